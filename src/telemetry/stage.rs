//! The stages of a bid request that are timed apart.

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
