//! What happens to users and is remembered of them: what the books tell the caps, and nodes tell each other.
//!
//! ```text
//! version u8 = 1 | user u64 | ms since 1970 i64 | 1 shown u8, creative u64, line item u64, campaign u64, advertiser u64, answered u8
//!                                               | 2 clicked u8, line item u64
//!                                               | 3 bought u8, what was sold u64
//!                                               | 4 returned u8, what was sold u64, ms of the purchase i64
//! ```

use super::{CapLevel, CapObject};
use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::{ObjectId, Timestamp, UserKey};

const VERSION: u8 = 1;

/// One thing that happened to one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    pub user: UserKey,
    pub at: Timestamp,
    pub fact: UserFact,
}

impl Noted {
    pub fn write(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.u8(VERSION);
        out.u64(self.user.0);
        out.i64(self.at.0);
        match self.fact {
            UserFact::Shown(shown) => {
                out.u8(1);
                for id in [shown.creative, shown.line_item, shown.campaign, shown.advertiser] {
                    out.u64(id.0);
                }
                out.u8(shown.answered.into());
            }
            UserFact::Clicked(line_item) => {
                out.u8(2);
                out.u64(line_item.0);
            }
            UserFact::Bought(sold) => {
                out.u8(3);
                out.u64(sold.0);
            }
            UserFact::Returned { sold, bought_at } => {
                out.u8(4);
                out.u64(sold.0);
                out.i64(bought_at.0);
            }
        }
        out.finish()
    }

    /// # Errors
    /// The bytes were written by another version.
    pub fn read(bytes: &[u8]) -> Result<Noted, BadFields> {
        let mut fields = FieldReader::new(bytes);
        if fields.u8()? != VERSION {
            return Err(fields.bad("has a version that is not known to this program"));
        }
        let (user, at) = (UserKey(fields.u64()?), Timestamp(fields.i64()?));
        let fact = match fields.u8()? {
            1 => UserFact::Shown(Shown {
                creative: ObjectId(fields.u64()?),
                line_item: ObjectId(fields.u64()?),
                campaign: ObjectId(fields.u64()?),
                advertiser: ObjectId(fields.u64()?),
                answered: fields.u8()? != 0,
            }),
            2 => UserFact::Clicked(ObjectId(fields.u64()?)),
            3 => UserFact::Bought(CapObject(fields.u64()?)),
            4 => UserFact::Returned {
                sold: CapObject(fields.u64()?),
                bought_at: Timestamp(fields.i64()?),
            },
            _ => return Err(fields.bad("is no kind of fact")),
        };
        fields.finish()?;
        Ok(Noted { user, at, fact })
    }

    /// The user alone, of bytes that [`write`](Noted::write) made.
    pub fn user_in(bytes: &[u8]) -> Option<UserKey> {
        let key = bytes.get(1..9)?.try_into().ok()?;
        (bytes[0] == VERSION).then(|| UserKey(u64::from_le_bytes(key)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserFact {
    /// An impression was billed.
    Shown(Shown),
    /// An ad of this line item was clicked.
    Clicked(ObjectId),
    /// A conversion, by [`CapObject::bought`].
    Bought(CapObject),
    /// The conversion of then was reversed.
    Returned { sold: CapObject, bought_at: Timestamp },
}

/// What an impression counts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub creative: ObjectId,
    pub line_item: ObjectId,
    pub campaign: ObjectId,
    pub advertiser: ObjectId,
    /// It was clicked before it was billed.
    pub answered: bool,
}

impl Shown {
    /// Groups of the creative are added where it is counted.
    pub fn objects(&self) -> Objects {
        let unanswered = CapObject::unanswered(self.line_item);
        Objects {
            all: [
                CapObject::of(CapLevel::Creative, self.creative),
                CapObject::of(CapLevel::LineItem, self.line_item),
                CapObject::of(CapLevel::Campaign, self.campaign),
                CapObject::of(CapLevel::Advertiser, self.advertiser),
                unanswered,
            ],
            count: if self.answered { 4 } else { 5 },
        }
    }
}

pub struct Objects {
    all: [CapObject; 5],
    count: usize,
}

impl Objects {
    pub fn as_slice(&self) -> &[CapObject] {
        &self.all[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = ObjectId;
        let shown = |answered| {
            UserFact::Shown(Shown {
                creative: id(1),
                line_item: id(2),
                campaign: id(3),
                advertiser: id(u64::MAX),
                answered,
            })
        };
        let sold = CapObject::bought(id(3), "purchase");
        let bought_at = Timestamp(-5);
        for fact in [
            shown(true),
            shown(false),
            UserFact::Clicked(id(2)),
            UserFact::Bought(sold),
            UserFact::Returned { sold, bought_at },
        ] {
            let (user, at) = (UserKey(0x0123_4567_89ab_cdef), Timestamp(1_772_000_000_000));
            let noted = Noted { user, at, fact };
            let bytes = noted.write();
            assert_eq!(Noted::read(&bytes), Ok(noted));
            assert_eq!(Noted::user_in(&bytes), Some(user));
            for cut in 0..bytes.len() {
                assert!(Noted::read(&bytes[..cut]).is_err());
            }
            assert!(Noted::read(&[&bytes[..], &[0]].concat()).is_err());
        }
        assert!(Noted::read(&[2; 50]).is_err());
    }
}
