//! What the supply paths of an exchange's traffic are held to.

use super::name::Name;
use crate::telemetry::Finding;
use std::collections::{HashMap, HashSet};

/// What comes of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Not looked for.
    Off,
    /// Counted; the request is answered as if nothing were wrong.
    #[default]
    Count,
    /// Counted, and the request gets no bid.
    Refuse,
}

/// What the traffic of one exchange is held to. By default everything is counted, and only what the policy blocks by
/// name is refused.
#[derive(Clone, Debug)]
pub struct SupplyPolicy {
    actions: [Action; Finding::COUNT],
    /// Nodes that a chain may have; `None` = any number.
    pub hops_max: Option<u8>,
    /// The exchange's own advertising systems: the last node of its chains, and the seller's where there is no chain.
    systems: Vec<Box<str>>,
    /// Blocked systems; with accounts, only these are blocked.
    blocked: HashMap<Box<str>, HashSet<Box<str>>>,
}

impl Default for SupplyPolicy {
    fn default() -> SupplyPolicy {
        SupplyPolicy {
            actions: [Action::Count; Finding::COUNT],
            hops_max: None,
            systems: Vec::new(),
            blocked: HashMap::new(),
        }
        .with(Finding::NodeBlocked, Action::Refuse)
    }
}

impl SupplyPolicy {
    pub fn with(mut self, finding: Finding, action: Action) -> SupplyPolicy {
        self.actions[finding as usize] = action;
        self
    }

    pub fn action(&self, finding: Finding) -> Action {
        self.actions[finding as usize]
    }

    /// Adds an advertising system of the exchange.
    ///
    /// # Errors
    /// Not a domain.
    pub fn add_system(&mut self, domain: &str) -> Result<(), NotADomain> {
        self.systems.push(domain_of(domain)?.as_str().into());
        Ok(())
    }

    /// Blocks a system, or one account of it: `reseller.example` or `reseller.example/1234`. A system that is blocked
    /// as a whole stays so.
    ///
    /// # Errors
    /// What stands before the first `/` is not a domain.
    pub fn block(&mut self, node: &str) -> Result<(), NotADomain> {
        let (system, account) = node
            .split_once('/')
            .map_or((node, ""), |(system, account)| (system, account));
        let system = domain_of(system)?;
        let account = account.trim();
        match self.blocked.get_mut(system.as_str()) {
            Some(accounts) if account.is_empty() => accounts.clear(),
            Some(accounts) if accounts.is_empty() => {}
            Some(accounts) => drop(accounts.insert(account.into())),
            None => {
                let accounts = (!account.is_empty()).then(|| account.into());
                self.blocked
                    .insert(system.as_str().into(), accounts.into_iter().collect());
            }
        }
        Ok(())
    }

    pub(super) fn systems(&self) -> &[Box<str>] {
        &self.systems
    }

    pub(super) fn is_own_system(&self, system: &Name) -> bool {
        self.systems.iter().any(|own| **own == *system.as_str())
    }

    pub(super) fn blocks(&self, system: &Name, account: &str) -> bool {
        let accounts = self.blocked.get(system.as_str());
        accounts.is_some_and(|accounts| accounts.is_empty() || accounts.contains(account.trim()))
    }
}

/// Text that should have named an advertising system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no domain")]
pub struct NotADomain(pub String);

fn domain_of(text: &str) -> Result<Name, NotADomain> {
    Name::of(text)
        .filter(Name::is_domain)
        .ok_or_else(|| NotADomain(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_blocked_as_a_whole_or_by_account() {
        for (blocked, expected) in [
            (&["bad.example"][..], [true, true]),
            (&["bad.example/1"], [true, false]),
            (&["BAD.example/1", "bad.example"], [true, true]),
            (&["bad.example", "bad.example/1"], [true, true]),
            (&["bad.example/2", "bad.example/3"], [false, true]),
            (&["other.example"], [false, false]),
        ] {
            let mut policy = SupplyPolicy::default();
            blocked
                .iter()
                .for_each(|node| policy.block(node).expect("a domain"));
            let bad = Name::of("bad.example").expect("a name");
            assert_eq!(
                ["1", "2"].map(|account| policy.blocks(&bad, account)),
                expected,
                "{blocked:?}"
            );
        }
        assert!(SupplyPolicy::default().block("/1").is_err());
        assert!(SupplyPolicy::default().add_system("exchange").is_err());
    }
}
