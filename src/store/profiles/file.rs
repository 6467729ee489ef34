//! The file as it is written, section by section. Invariant: one pass, constant memory; the header comes last, in front.

use super::dedupe::Survivors;
use super::error::Error;
use super::layout::{
    BYTE_ORDER, Bucket, Header, MAGIC, Names, PAGE, Row, SLOTS, Section, VERSION, home, homes_of, schema,
};
use super::profile::Tag;
use super::report::BuildReport;
use super::scratch::Scratch;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;
use zerocopy::{FromZeros, IntoBytes};

/// The file being written: sections one after the other, each summed as it goes.
pub(super) struct StoreFile {
    path: PathBuf,
    file: BufWriter<File>,
    position: u64,
    sections: Vec<Section>,
    sum: Xxh3,
}

impl StoreFile {
    pub fn create(path: &Path) -> Result<StoreFile, Error> {
        let file = File::create(path).map_err(Error::io(path, "create"))?;
        let mut store = StoreFile {
            path: path.to_path_buf(),
            file: BufWriter::with_capacity(1 << 20, file),
            position: 0,
            sections: Vec::new(),
            sum: Xxh3::new(),
        };
        // Room for the header, which is known last.
        store.write(&[0; PAGE as usize])?;
        Ok(store)
    }

    pub fn write_index(&mut self, scratch: &Scratch, survivors: &Survivors, keys: u64) -> Result<(), Error> {
        self.start()?;
        let homes = homes_of(keys);
        let mut sorted = scratch.open("keys")?;
        let (mut at, mut bucket) = (0, Bucket::new_zeroed());
        for _ in 0..keys {
            let (mut key, mut record) = ([0; 8], [0; 4]);
            sorted
                .read_exact(&mut key)
                .map_err(scratch.failed("read keys in"))?;
            sorted
                .read_exact(&mut record)
                .map_err(scratch.failed("read keys in"))?;
            let (key, record) = (u64::from_le_bytes(key), u32::from_le_bytes(record));
            while at < home(key, homes) {
                self.write(std::mem::take(&mut bucket).as_bytes())?;
                at += 1;
            }
            if usize::from(bucket.used) == SLOTS {
                bucket.spilled = 1;
                self.write(std::mem::take(&mut bucket).as_bytes())?;
                at += 1;
            }
            bucket.keys[usize::from(bucket.used)] = key;
            bucket.rows[usize::from(bucket.used)] = survivors.rank(record);
            bucket.used += 1;
        }
        self.write(bucket.as_bytes())?;
        for _ in at + 1..homes {
            self.write(Bucket::new_zeroed().as_bytes())?;
        }
        self.end();
        Ok(())
    }

    /// Rows of survivors, with the tags of those left out taken off their offsets.
    pub fn write_rows(&mut self, scratch: &Scratch, survivors: &Survivors) -> Result<(), Error> {
        self.start()?;
        let mut first_tag = 0;
        each_row(scratch, |record, mut row| {
            if survivors.has(record) {
                row.first_tag = first_tag;
                first_tag += u64::from(row.tags);
                self.write(row.as_bytes())?;
            }
            Ok(())
        })?;
        self.end();
        Ok(())
    }

    /// Returns how many were written.
    pub fn write_tags(&mut self, scratch: &Scratch, survivors: &Survivors) -> Result<u64, Error> {
        self.start()?;
        let mut tags = scratch.open("tags")?;
        let mut written = 0;
        let mut bytes = Vec::new();
        each_row(scratch, |record, row| {
            bytes.resize(row.tags as usize * size_of::<Tag>(), 0);
            tags.read_exact(&mut bytes)
                .map_err(scratch.failed("read tags in"))?;
            if survivors.has(record) {
                written += u64::from(row.tags);
                self.write(&bytes)?;
            }
            Ok(())
        })?;
        self.end();
        Ok(written)
    }

    pub fn write_names(&mut self, names: &Names) -> Result<(), Error> {
        self.start()?;
        let mut bytes = Vec::new();
        names.write(&mut bytes);
        self.write(&bytes)?;
        self.end();
        Ok(())
    }

    /// Writes the header and makes everything durable; returns the length of the file.
    pub fn seal(mut self, source: u64, report: &BuildReport) -> Result<u64, Error> {
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            byte_order: BYTE_ORDER,
            schema: schema(),
            source,
            users: report.users,
            keys: report.keys,
            tags: report.tags,
            names: report.names,
            sections: std::array::from_fn(|i| self.sections[i]),
            checksum: 0,
        };
        let length = self.position;
        let failed = || Error::io(&self.path, "write");
        self.file.seek(SeekFrom::Start(0)).map_err(failed())?;
        self.file.write_all(header.seal().as_bytes()).map_err(failed())?;
        self.file.flush().map_err(failed())?;
        self.file.get_ref().sync_all().map_err(failed())?;
        Ok(length)
    }

    fn start(&mut self) -> Result<(), Error> {
        let padding = self.position.next_multiple_of(PAGE) - self.position;
        self.write(&[0; PAGE as usize][..padding as usize])?;
        self.sections.push(Section {
            offset: self.position,
            bytes: 0,
            checksum: 0,
        });
        self.sum = Xxh3::new();
        Ok(())
    }

    fn end(&mut self) {
        let section = self.sections.last_mut().expect("a section was started");
        section.bytes = self.position - section.offset;
        section.checksum = self.sum.digest();
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sum.update(bytes);
        self.position += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::io(&self.path, "write"))
    }
}

fn each_row(scratch: &Scratch, mut each: impl FnMut(u32, Row) -> Result<(), Error>) -> Result<(), Error> {
    let mut rows = scratch.open("rows")?;
    let bytes = rows
        .get_ref()
        .metadata()
        .map_err(scratch.failed("read rows in"))?
        .len();
    for record in 0..bytes / size_of::<Row>() as u64 {
        let mut row = Row::new_zeroed();
        rows.read_exact(row.as_mut_bytes())
            .map_err(scratch.failed("read rows in"))?;
        each(record as u32, row)?;
    }
    Ok(())
}
