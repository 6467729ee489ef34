//! What is known of one creative at one exchange, and how each notice changes it.

use super::{CreativeLoss, Place, View};
use crate::units::Timestamp;

/// The first code that speaks of the creative: 200, filtered in general.
pub const CODE_FIRST: u32 = 200;
/// 200 to 215 of the list, and one place for all above.
pub const CODES: usize = 17;

const PENDING: u32 = 201;
const DISAPPROVED: u32 = 202;

const MINUTE_MS: i64 = 60_000;
/// Exchanges review within minutes where a machine does, within hours where a person does.
const WAIT_FIRST_MS: i64 = 15 * MINUTE_MS;
const WAIT_MAX_MS: i64 = 24 * 60 * MINUTE_MS;

/// Whether the exchange lets a creative take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing holds it back.
    Open,
    /// Under review there: held back until then.
    Waiting { until: Timestamp },
    /// Disapproved there.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub version: u64,
    pub state: State,
    pub since: Timestamp,
    /// How long the last wait was; 0 = there was none since the creative took part.
    pub wait_ms: i64,
    pub losses: [u32; CODES],
}

impl Entry {
    pub fn new(version: u64) -> Entry {
        Entry {
            version,
            state: State::Open,
            since: Timestamp(i64::MIN),
            wait_ms: 0,
            losses: [0; CODES],
        }
    }

    pub fn is_held(&self) -> bool {
        self.state != State::Open
    }

    pub fn allows(&self, version: u64, now: Timestamp) -> bool {
        self.version != version
            || match self.state {
                State::Open => true,
                State::Waiting { until } => now > until,
                State::Stopped => false,
            }
    }

    pub fn lose(&mut self, loss: &CreativeLoss) {
        if loss.version != self.version {
            *self = Entry::new(loss.version);
        }
        let place = (loss.code.saturating_sub(CODE_FIRST) as usize).min(CODES - 1);
        self.losses[place] = self.losses[place].saturating_add(1);
        let is_news = loss.bid_at >= self.since;
        match (loss.code, self.state) {
            (_, State::Stopped) => {}
            (DISAPPROVED, State::Waiting { .. }) => self.set(State::Stopped, loss.at),
            (DISAPPROVED, State::Open) if is_news => self.set(State::Stopped, loss.at),
            (PENDING, _) if is_news => {
                self.wait_ms = (self.wait_ms * 2).clamp(WAIT_FIRST_MS, WAIT_MAX_MS);
                let until = Timestamp(loss.at.0.saturating_add(self.wait_ms));
                self.set(State::Waiting { until }, loss.at);
            }
            _ => {}
        }
    }

    pub fn take_part(&mut self, bid_at: Timestamp, at: Timestamp) {
        if matches!(self.state, State::Waiting { .. }) && bid_at >= self.since {
            self.open(at);
        }
    }

    pub fn open(&mut self, at: Timestamp) {
        self.wait_ms = 0;
        self.set(State::Open, at);
    }

    pub fn view(&self, place: Place) -> View {
        View {
            place,
            version: self.version,
            state: self.state,
            since: self.since,
            losses: self.losses,
        }
    }

    fn set(&mut self, state: State, at: Timestamp) {
        self.state = state;
        self.since = at;
    }
}
