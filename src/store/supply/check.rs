//! The check of one request's supply path: who passed it on, and whether the owner of the inventory lets them.
//!
//! The order of look-ups follows the IAB Tech Lab's implementation guidance for inventory sharing and for supply chains
//! 1.1: nodes that are not paid (`hp` = 0) need no line in `ads.txt`, but an entry in `sellers.json`.

use super::ads_txt::Relation;
use super::name::Name;
use super::sellers::SellerKind;
use super::{Action, Authorised, SellerId, Supply, SupplyPolicy, speaks_for};
use crate::openrtb::request::{Channel, ChannelKind, Request, SchainNode};
use crate::telemetry::Finding;

/// `sid` has at most 64 characters (OpenRTB 2.6, section 3.2.26).
const SID_CHARS_MAX: usize = 64;
/// Real chains have up to ten nodes. Only the last ones of a longer chain are looked at, so that its length is no way
/// to make a bid late; it has too many hops under every policy.
const NODES_MAX: usize = 64;

/// What was found, and which finding refuses the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// One bit per [`Finding`].
    found: u32,
    /// The first one, in the order of [`Finding::ALL`], that the policy refuses.
    pub refused: Option<Finding>,
}

impl Verdict {
    /// Adds what was found under a policy that says `action`; the first refusal stays the reason.
    pub fn add(&mut self, finding: Finding, action: Action) {
        if action != Action::Off {
            self.found |= 1 << finding as usize;
        }
        if action == Action::Refuse {
            self.refused = self.refused.or(Some(finding));
        }
    }

    /// What either found; the reason of `self` goes first.
    pub fn and(self, other: Verdict) -> Verdict {
        Verdict {
            found: self.found | other.found,
            refused: self.refused.or(other.refused),
        }
    }

    pub fn has(self, finding: Finding) -> bool {
        self.found & 1 << finding as usize != 0
    }

    /// Everything that the policy counts or refuses.
    pub fn findings(self) -> impl Iterator<Item = Finding> {
        Finding::ALL.into_iter().filter(move |finding| self.has(*finding))
    }
}

impl Supply {
    /// Judges the path of a request by the policy of the exchange that sent it. Allocates nothing.
    pub fn check(&self, request: &Request, policy: &SupplyPolicy) -> Verdict {
        let mut check = Check {
            supply: self,
            policy,
            found: 0,
        };
        let nodes = request.source.schain.as_ref().map(|chain| {
            let nodes = request.schain_nodes(chain);
            check.chain(nodes, chain.complete);
            (&nodes[nodes.len().saturating_sub(NODES_MAX)..], chain.complete)
        });
        match nodes {
            Some((nodes, complete)) => {
                check.nodes(nodes);
                check.owner_of_chain(nodes, complete, &request.channel);
            }
            None => {
                check.find(Finding::ChainMissing);
                check.publisher(&request.channel);
            }
        }
        check.verdict()
    }
}

struct Check<'c> {
    supply: &'c Supply,
    policy: &'c SupplyPolicy,
    found: u32,
}

/// What the owner's file says about an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Listed(Relation),
    Unlisted,
    /// The file that would tell is missing.
    Unknown,
}

/// The files that speak for the place of an ad.
struct Owner<'s> {
    own: &'s Authorised,
    partner: Partner<'s>,
}

/// `inventorypartnerdomain`: an entity that owns a part of the inventory and authorises sellers for it.
enum Partner<'s> {
    /// The request names none, or one that the owner does not name.
    None,
    /// Both name it, but its file is missing.
    Unknown,
    Known(&'s Authorised),
}

impl Owner<'_> {
    fn standing(&self, seller: Option<SellerId>) -> Standing {
        let listed_in = |file: &Authorised| {
            seller
                .and_then(|seller| file.relation(seller))
                .map(Standing::Listed)
        };
        listed_in(self.own).unwrap_or_else(|| match &self.partner {
            Partner::None => Standing::Unlisted,
            Partner::Unknown => Standing::Unknown,
            Partner::Known(file) => listed_in(file).unwrap_or(Standing::Unlisted),
        })
    }
}

impl<'c> Check<'c> {
    fn find(&mut self, finding: Finding) {
        if self.policy.action(finding) != Action::Off {
            self.found |= 1 << finding as usize;
        }
    }

    fn is_wanted(&self, findings: &[Finding]) -> bool {
        findings
            .iter()
            .any(|finding| self.policy.action(*finding) != Action::Off)
    }

    fn verdict(self) -> Verdict {
        let verdict = Verdict {
            found: self.found,
            refused: None,
        };
        let refused = verdict
            .findings()
            .find(|finding| self.policy.action(*finding) == Action::Refuse);
        Verdict { refused, ..verdict }
    }

    /// The chain as a whole.
    fn chain(&mut self, nodes: &[SchainNode], complete: bool) {
        if !complete || nodes.is_empty() {
            self.find(Finding::ChainIncomplete);
        }
        if nodes.len() > self.policy.hops_max.map_or(NODES_MAX, usize::from) {
            self.find(Finding::TooManyHops);
        }
        let sender = nodes.last().and_then(|node| Name::of(node.asi));
        let sender_is_known = sender.is_some_and(|sender| self.policy.is_own_system(&sender));
        if !(nodes.is_empty() || sender_is_known || self.policy.systems().is_empty()) {
            self.find(Finding::SenderUnknown);
        }
    }

    /// Each node by itself.
    fn nodes(&mut self, nodes: &[SchainNode]) {
        for node in nodes {
            if node.paid.is_none() {
                self.find(Finding::HopUnmarked);
            }
            if node.sid.is_empty() || node.sid.chars().count() > SID_CHARS_MAX {
                self.find(Finding::NodeMalformed);
            }
            let Some(system) = Name::of(node.asi) else {
                self.find(Finding::NodeMalformed);
                continue;
            };
            if self.policy.blocks(&system, node.sid) {
                self.find(Finding::NodeBlocked);
            }
            self.listing(&system, node.sid);
        }
    }

    /// The entry in the system's `sellers.json`.
    fn listing(&mut self, system: &Name, account: &str) {
        match self.supply.systems.get(system.as_str()) {
            Some(known) if known.published => {
                let seller = known.sellers.get(account.trim());
                if seller.is_none_or(|seller| self.kind(*seller).is_none()) {
                    self.find(Finding::SellerUnlisted);
                }
            }
            _ => self.find(Finding::SellersUnavailable),
        }
    }

    /// The owner's word on the paid nodes: the last one sells to us, the first one is the owner's own.
    fn owner_of_chain(&mut self, nodes: &[SchainNode], complete: bool, channel: &Channel) {
        let mut paid = nodes.iter().filter(|node| node.paid != Some(false));
        let Some(seller) = paid.next_back() else {
            return self.publisher(channel);
        };
        let Some(owner) = self.owner(channel) else { return };
        match owner.standing(self.seller(seller)) {
            Standing::Listed(_) => {}
            Standing::Unlisted => self.find(Finding::AdsTxtViolation),
            Standing::Unknown => self.find(Finding::AdsTxtUnavailable),
        }
        if paid
            .clone()
            .any(|node| owner.standing(self.seller(node)) == Standing::Unlisted)
        {
            self.find(Finding::UpstreamUnlisted);
        }
        let first = self.seller(paid.next().unwrap_or(seller));
        if complete && self.is_resold(&owner, first) {
            self.find(Finding::OwnerNotDirect);
        }
    }

    /// Without a chain, the seller is the publisher's account at the exchange (section 3.2.15): one that any of its
    /// systems lists is right.
    fn publisher(&mut self, channel: &Channel) {
        let account = channel.publisher_id.unwrap_or_default().trim();
        let names = self.policy.systems().iter().filter_map(|system| Name::of(system));
        let of_system = |system: Name| self.supply.seller(&system, account);
        let published = |system: &Name| {
            let known = self.supply.systems.get(system.as_str());
            known.is_some_and(|known| known.published)
        };
        if account.is_empty() || !names.clone().any(|system| published(&system)) {
            self.find(Finding::SellersUnavailable);
        } else if !names
            .clone()
            .filter_map(of_system)
            .any(|seller| self.kind(seller).is_some())
        {
            self.find(Finding::SellerUnlisted);
        }
        let Some(owner) = self.owner(channel) else { return };
        let mut best = if account.is_empty() || self.policy.systems().is_empty() {
            Standing::Unknown
        } else {
            Standing::Unlisted
        };
        for system in names {
            match owner.standing(of_system(system)) {
                Standing::Unlisted => {}
                better => best = better,
            }
            if matches!(best, Standing::Listed(_)) {
                return;
            }
        }
        self.find(match best {
            Standing::Unknown => Finding::AdsTxtUnavailable,
            _ => Finding::AdsTxtViolation,
        });
    }

    /// The files that speak for the place; `None` = there are none, which is found, or none are wanted.
    fn owner(&mut self, channel: &Channel) -> Option<Owner<'c>> {
        let wanted = [
            Finding::AdsTxtUnavailable,
            Finding::AdsTxtViolation,
            Finding::UpstreamUnlisted,
            Finding::OwnerNotDirect,
        ];
        // Screens in public places have no such file.
        if channel.kind == ChannelKind::Dooh || !self.is_wanted(&wanted) {
            return None;
        }
        let owner = self.supply.owner(channel);
        if owner.is_none() {
            self.find(Finding::AdsTxtUnavailable);
        }
        owner
    }

    /// Listed, but not as the owner's own account.
    fn is_resold(&self, owner: &Owner, seller: Option<SellerId>) -> bool {
        match owner.standing(seller) {
            Standing::Listed(Relation::Reseller) => true,
            Standing::Listed(Relation::Direct) => {
                seller.and_then(|seller| self.kind(seller)) == Some(SellerKind::Intermediary)
            }
            Standing::Unlisted | Standing::Unknown => false,
        }
    }

    fn seller(&self, node: &SchainNode) -> Option<SellerId> {
        self.supply.seller(&Name::of(node.asi)?, node.sid.trim())
    }

    fn kind(&self, seller: SellerId) -> Option<SellerKind> {
        self.supply.listed[seller.0 as usize]
    }
}

impl Supply {
    fn owner(&self, channel: &Channel) -> Option<Owner<'_>> {
        let files = match channel.kind {
            ChannelKind::Site => &self.sites,
            ChannelKind::App => &self.apps,
            ChannelKind::Dooh | ChannelKind::Unknown => return None,
        };
        let own = speaks_for(files, &self.domain(channel)?)?;
        let partner = channel.inventory_partner_domain.and_then(Name::of);
        let partner = match partner.filter(|partner| own.has_partner(partner)) {
            None => Partner::None,
            Some(partner) => {
                let file = speaks_for(&self.sites, &partner).or_else(|| speaks_for(&self.apps, &partner));
                file.map_or(Partner::Unknown, Partner::Known)
            }
        };
        Some(Owner { own, partner })
    }

    /// A site's domain, or its page's where that is missing. An app's is the one that its store gives, else, as its
    /// developer is not known, the one in the request.
    fn domain(&self, channel: &Channel) -> Option<Name> {
        let claimed = channel.domain.and_then(Name::of);
        if channel.kind == ChannelKind::App {
            let bundle = channel.bundle.unwrap_or_default().trim();
            let developer = self.developers.get(bundle);
            return developer.and_then(|domain| Name::of(domain)).or(claimed);
        }
        claimed.or_else(|| Name::of(channel.page?))
    }
}
