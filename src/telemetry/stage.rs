//! What is measured of a bid request: the time of each stage, and how many line items it met.

/// In the order in which a request passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// From the request's head to the last byte of its body.
    Read,
    Parse,
    /// Consent, profile look-up, targeting, caps: everything up to the model.
    Target,
    Score,
    /// Value, price, choice, reservation.
    Price,
    Write,
    /// From the request's head to the finished answer.
    Total,
}

impl Stage {
    pub const COUNT: usize = 7;
    pub const ALL: [Stage; Self::COUNT] = [
        Stage::Read,
        Stage::Parse,
        Stage::Target,
        Stage::Score,
        Stage::Price,
        Stage::Write,
        Stage::Total,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Parse => "parse",
            Stage::Target => "target",
            Stage::Score => "score",
            Stage::Price => "price",
            Stage::Write => "write",
            Stage::Total => "total",
        }
    }
}

/// What is measured of every decision beside its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Size {
    /// Line items that matched, over all imps.
    Matched,
    /// Line items that the model scored, over all imps.
    Scored,
}

impl Size {
    pub const COUNT: usize = 2;
    pub const ALL: [Size; Self::COUNT] = [Size::Matched, Size::Scored];

    pub fn name(self) -> &'static str {
        match self {
            Size::Matched => "matched",
            Size::Scored => "scored",
        }
    }
}
