//! What the traffic of one exchange is held to.

use super::Places;
use crate::store::supply::Action;
use crate::telemetry::Finding;

/// By default crawlers and blocked places are refused, addresses of data centres and non-human ones counted: carriers and
/// companies send people through data centres too, and only an exchange's own traffic shows how many.
#[derive(Clone, Debug)]
pub struct TrafficPolicy {
    actions: [Action; Finding::TRAFFIC.len()],
    /// Places that are blocked at this exchange, beside those of the lists.
    pub blocked: Places,
}

impl Default for TrafficPolicy {
    fn default() -> TrafficPolicy {
        TrafficPolicy {
            actions: [Action::Count; Finding::TRAFFIC.len()],
            blocked: Places::default(),
        }
        .with(Finding::Crawler, Action::Refuse)
        .with(Finding::BlockedPlace, Action::Refuse)
    }
}

impl TrafficPolicy {
    pub fn with(mut self, finding: Finding, action: Action) -> TrafficPolicy {
        if let Some(place) = place(finding) {
            self.actions[place] = action;
        }
        self
    }

    pub fn action(&self, finding: Finding) -> Action {
        place(finding).map_or(Action::Off, |place| self.actions[place])
    }
}

fn place(finding: Finding) -> Option<usize> {
    Finding::TRAFFIC.iter().position(|known| *known == finding)
}
