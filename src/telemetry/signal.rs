//! What may restrict the use of personal data. One list, so that the decision, tokens, metrics and log agree.

/// What decided, the furthest-reaching first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Signal {
    /// `regs.coppa`.
    Coppa,
    /// `regs.gdpr`, or a TC string beside an unknown `regs.gdpr`: nobody sends one where it does not apply.
    Gdpr,
    /// `regs.us_privacy` says opted out of sale, or is no such string.
    UsPrivacy,
    /// A section of `regs.gpp` that `regs.gpp_sid` puts in force, or a GPP string without saying which are.
    Gpp,
    /// `regs.ext.gpc`: the Global Privacy Control of the browser (OpenRTB 2.x extension "gpc").
    Gpc,
    /// `device.lmt`.
    Lmt,
    /// `device.dnt`.
    Dnt,
    /// The list of those who opted out with us. Last, as it is asked only where the signals leave something to take.
    OptOut,
    /// Nothing restricts.
    Nothing,
}

impl Signal {
    pub const ALL: [Signal; 9] = [
        Signal::Coppa,
        Signal::Gdpr,
        Signal::UsPrivacy,
        Signal::Gpp,
        Signal::Gpc,
        Signal::Lmt,
        Signal::Dnt,
        Signal::OptOut,
        Signal::Nothing,
    ];
    pub const COUNT: usize = Self::ALL.len();

    /// For logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Coppa => "coppa",
            Signal::Gdpr => "gdpr",
            Signal::UsPrivacy => "us_privacy",
            Signal::Gpp => "gpp",
            Signal::Gpc => "gpc",
            Signal::Lmt => "lmt",
            Signal::Dnt => "dnt",
            Signal::OptOut => "opt_out",
            Signal::Nothing => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_stand_at_their_own_index() {
        for (index, signal) in Signal::ALL.into_iter().enumerate() {
            assert_eq!(signal as usize, index);
        }
    }
}
