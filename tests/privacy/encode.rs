//! Writes TC strings and GPP strings bit by bit, from the specifications and not from the reader.

/// 2025-06-15T00:00Z in tenths of a second: after policy 4 became required and before disclosure did.
pub const JUNE_2025: u64 = 17_499_456_000;

#[derive(Default)]
pub struct Bits(Vec<bool>);

impl Bits {
    pub fn int(&mut self, value: u64, width: u32) -> &mut Bits {
        assert!(value >> width == 0, "{value} in {width} bits");
        self.0.extend((0..width).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    /// One bit for each number from 1 to `width`.
    pub fn set(&mut self, numbers: &[u8], width: u8) -> &mut Bits {
        self.0.extend((1..=width).map(|number| numbers.contains(&number)));
        self
    }

    pub fn fibonacci(&mut self, mut value: u64) -> &mut Bits {
        let mut numbers = vec![1, 2];
        while numbers[numbers.len() - 1] <= value {
            numbers.push(numbers[numbers.len() - 1] + numbers[numbers.len() - 2]);
        }
        numbers.pop();
        let mut code = Vec::new();
        for number in numbers.iter().rev() {
            let taken = *number <= value;
            value -= if taken { number } else { &0 };
            if taken || !code.is_empty() {
                code.push(taken);
            }
        }
        self.0.extend(code.iter().rev());
        self.0.push(true);
        self
    }

    pub fn text(&self) -> String {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let code =
            |six: &[bool]| (0..6).fold(0, |code, bit| code * 2 + usize::from(six.get(bit) == Some(&true)));
        self.0
            .chunks(6)
            .map(|six| char::from(alphabet[code(six)]))
            .collect()
    }
}

/// A set of vendors in either of its forms.
#[derive(Clone, Debug)]
pub enum Vendors {
    Bits(Vec<u16>),
    Ranges(Vec<(u16, u16)>),
}

impl Vendors {
    pub fn has(&self, vendor: u16) -> bool {
        match self {
            Vendors::Bits(ids) => ids.contains(&vendor),
            Vendors::Ranges(ranges) => ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&vendor)),
        }
    }

    fn write(&self, bits: &mut Bits) {
        match self {
            Vendors::Bits(ids) => {
                let max = ids.iter().max().copied().unwrap_or(0);
                bits.int(max.into(), 16).int(0, 1);
                bits.0.extend((1..=max).map(|id| ids.contains(&id)));
            }
            Vendors::Ranges(ranges) => {
                let max = ranges.iter().map(|(_, last)| *last).max().unwrap_or(0);
                write_ranges(ranges, bits.int(max.into(), 16).int(1, 1));
            }
        }
    }
}

pub fn write_ranges(ranges: &[(u16, u16)], bits: &mut Bits) {
    bits.int(ranges.len() as u64, 12);
    for &(first, last) in ranges {
        bits.int((first != last).into(), 1).int(first.into(), 16);
        if first != last {
            bits.int(last.into(), 16);
        }
    }
}

/// Purpose, kind, vendors.
pub type Restriction = (u8, u8, Vec<(u16, u16)>);

#[derive(Clone, Debug)]
pub struct TcString {
    pub version: u64,
    pub created: u64,
    pub updated: u64,
    pub policy: u64,
    pub service_specific: bool,
    pub features: Vec<u8>,
    pub consent: Vec<u8>,
    pub interest: Vec<u8>,
    pub purpose_one_not_asked: bool,
    pub consented: Vendors,
    pub interested: Vendors,
    pub restrictions: Vec<Restriction>,
    pub disclosed: Option<Vendors>,
}

impl TcString {
    /// Every purpose and special feature for `vendor`, in a string of June 2025.
    pub fn all(vendor: u16) -> TcString {
        TcString {
            version: 2,
            created: JUNE_2025,
            updated: JUNE_2025,
            policy: 5,
            service_specific: true,
            features: vec![1, 2],
            consent: (1..=11).collect(),
            interest: (1..=11).collect(),
            purpose_one_not_asked: false,
            consented: Vendors::Bits(vec![1, vendor, vendor + 3]),
            interested: Vendors::Ranges(vec![(vendor - 2, vendor + 2), (9, 9)]),
            restrictions: Vec::new(),
            disclosed: None,
        }
    }

    pub fn core(&self) -> String {
        let mut bits = Bits::default();
        bits.int(self.version, 6)
            .int(self.created, 36)
            .int(self.updated, 36);
        // Platform 300, its version 7, screen 1, language EN, vendor list 120.
        bits.int(300, 12)
            .int(7, 12)
            .int(1, 6)
            .int(4, 6)
            .int(13, 6)
            .int(120, 12);
        bits.int(self.policy, 6)
            .int(self.service_specific.into(), 1)
            .int(0, 1);
        bits.set(&self.features, 12)
            .set(&self.consent, 24)
            .set(&self.interest, 24);
        bits.int(self.purpose_one_not_asked.into(), 1).int(3, 6).int(4, 6);
        self.consented.write(&mut bits);
        self.interested.write(&mut bits);
        bits.int(self.restrictions.len() as u64, 12);
        for (purpose, kind, vendors) in &self.restrictions {
            write_ranges(vendors, bits.int((*purpose).into(), 6).int((*kind).into(), 2));
        }
        bits.text()
    }

    pub fn text(&self) -> String {
        let disclosed = self.disclosed.as_ref().map(disclosed_vendors);
        [Some(self.core()), disclosed]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(".")
    }
}

pub fn disclosed_vendors(vendors: &Vendors) -> String {
    let mut bits = Bits::default();
    vendors.write(bits.int(1, 3));
    bits.text()
}

/// A GPP string of `sections`, in ascending order; every run of ids is one entry of the header.
pub fn gpp(sections: &[(u32, String)]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (id, _) in sections {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *id => *last = *id,
            _ => runs.push((*id, *id)),
        }
    }
    let mut header = Bits::default();
    header.int(3, 6).int(1, 6).int(runs.len() as u64, 12);
    let mut before = 0;
    for (first, last) in runs {
        header
            .int((first != last).into(), 1)
            .fibonacci((first - before).into());
        if first != last {
            header.fibonacci((last - first).into());
        }
        before = last;
    }
    let texts = sections.iter().map(|(_, text)| text.clone());
    [header.text()]
        .into_iter()
        .chain(texts)
        .collect::<Vec<_>>()
        .join("~")
}

/// A core of a US section: its version, then two bits for each value.
pub fn us_core(version: u64, values: &[u8]) -> String {
    let mut bits = Bits::default();
    bits.int(version, 6);
    for value in values {
        bits.int((*value).into(), 2);
    }
    bits.text()
}
