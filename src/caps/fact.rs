//! What happens to users and is remembered of them: what the books tell the caps, and nodes tell each other.

use super::{CapLevel, CapObject};
use crate::units::{ObjectId, Timestamp, UserKey};

/// One thing that happened to one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    pub user: UserKey,
    pub at: Timestamp,
    pub fact: UserFact,
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
