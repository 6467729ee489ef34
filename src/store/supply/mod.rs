//! Who may sell what: `ads.txt`, `app-ads.txt` and `sellers.json` from local files, and the check of a request's supply
//! path against them (OpenRTB 2.6, sections 3.2.25 and 3.2.26).
//!
//! Invariant: a [`Supply`] is made whole and never changes; a check allocates nothing.
//!
//! A crawler outside keeps the files; a reload takes new ones up:
//!
//! | file | holds |
//! |---|---|
//! | `supply/ads.txt/DOMAIN.txt` | what stands at `https://DOMAIN/ads.txt` |
//! | `supply/app-ads.txt/DOMAIN.txt` | what stands at `https://DOMAIN/app-ads.txt`, DOMAIN being the developer's |
//! | `supply/sellers/SYSTEM.json` | what stands at `https://SYSTEM/sellers.json` |
//! | `supply/developers.txt` | `BUNDLE, DOMAIN` a line: the developer's domain that the app store gives |
//!
//! Domains and accounts are numbered once over all files, as the same resellers stand in most of them: a line of a file
//! takes four bytes.

mod ads_txt;
mod check;
mod files;
mod name;
mod policy;
mod sellers;

pub use check::Verdict;
pub use files::{SupplyError, Unusable, Why};
pub use policy::{Action, NotADomain, SupplyPolicy};

use ads_txt::{Line, Relation};
use name::{Name, trimmed};
use sellers::SellerKind;
use std::collections::HashMap;

/// Everything that is known about who may sell what.
#[derive(Debug, Default)]
pub struct Supply {
    systems: HashMap<Box<str>, System>,
    /// By [`SellerId`]: what the system itself says; `None` = it does not list this account.
    listed: Vec<Option<SellerKind>>,
    sites: HashMap<Box<str>, Authorised>,
    apps: HashMap<Box<str>, Authorised>,
    /// Bundle → the developer's domain.
    developers: HashMap<Box<str>, Box<str>>,
}

/// Which of a publisher's two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inventory {
    /// `ads.txt`.
    Site,
    /// `app-ads.txt`.
    App,
}

/// Why a file says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NothingRead {
    #[error("its name is no domain; call it after the domain that it was fetched from")]
    NoDomain,
    #[error("another file is of the same domain; keep one of them")]
    Twice,
    #[error(
        "holds no record, so it counts as missing; an owner who authorises nobody writes a placeholder record"
    )]
    NoRecord,
    #[error("is no sellers.json: {0}")]
    NotSellers(String),
}

/// An account at an advertising system, numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SellerId(u32);

/// An advertising system (`asi`).
#[derive(Debug, Default)]
struct System {
    /// Its `sellers.json` is there.
    published: bool,
    sellers: HashMap<Box<str>, SellerId>,
}

/// One `ads.txt` or `app-ads.txt`.
#[derive(Debug)]
struct Authorised {
    /// Sorted; the two lowest bits are [`Relation`]s, the others a [`SellerId`].
    sellers: Box<[u32]>,
    subdomains: Box<[Box<str>]>,
    partners: Box<[Box<str>]>,
}

impl Supply {
    /// Adds the `ads.txt` or `app-ads.txt` of a domain.
    ///
    /// # Errors
    /// The file says nothing; nothing is added.
    pub fn add_owner(&mut self, kind: Inventory, domain: &str, file: &[u8]) -> Result<(), NothingRead> {
        let domain = Name::of(domain)
            .filter(Name::is_domain)
            .ok_or(NothingRead::NoDomain)?;
        if self.owners(kind).contains_key(domain.as_str()) {
            return Err(NothingRead::Twice);
        }
        let authorised = self.authorised(file).ok_or(NothingRead::NoRecord)?;
        let owners = match kind {
            Inventory::Site => &mut self.sites,
            Inventory::App => &mut self.apps,
        };
        owners.insert(domain.as_str().into(), authorised);
        Ok(())
    }

    /// Adds the `sellers.json` of an advertising system.
    ///
    /// # Errors
    /// The file says nothing; nothing is added.
    pub fn add_sellers(&mut self, system: &str, file: &[u8]) -> Result<(), NothingRead> {
        let system = Name::of(system)
            .filter(Name::is_domain)
            .ok_or(NothingRead::NoDomain)?;
        if self
            .systems
            .get(system.as_str())
            .is_some_and(|known| known.published)
        {
            return Err(NothingRead::Twice);
        }
        for seller in sellers::parse(file).map_err(NothingRead::NotSellers)? {
            let id = self.number(&system, &seller.id);
            self.listed[id.0 as usize] = Some(seller.kind);
        }
        self.systems.entry(system.as_str().into()).or_default().published = true;
        Ok(())
    }

    /// Adds lines of `BUNDLE, DOMAIN`, from an app store's listing; others mean nothing.
    ///
    /// # Errors
    /// Not one line means anything.
    pub fn add_developers(&mut self, file: &[u8]) -> Result<(), NothingRead> {
        let before = self.developers.len();
        for line in file.split(|b| matches!(b, b'\n' | b'\r')) {
            let line = line.split(|b| *b == b'#').next().unwrap_or_default();
            let text = std::str::from_utf8(line).unwrap_or_default();
            let (bundle, domain) = text.split_once(',').unwrap_or_default();
            if let Some(domain) = Name::of(domain).filter(Name::is_domain) {
                self.developers
                    .insert(trimmed(bundle).into(), domain.as_str().into());
            }
        }
        if self.developers.len() == before {
            return Err(NothingRead::NoRecord);
        }
        Ok(())
    }

    /// Files of sites and of apps, and systems with a `sellers.json`.
    pub fn counts(&self) -> [usize; 3] {
        let published = self.systems.values().filter(|system| system.published).count();
        [self.sites.len(), self.apps.len(), published]
    }

    fn owners(&self, kind: Inventory) -> &HashMap<Box<str>, Authorised> {
        match kind {
            Inventory::Site => &self.sites,
            Inventory::App => &self.apps,
        }
    }

    fn authorised(&mut self, file: &[u8]) -> Option<Authorised> {
        let (mut sellers, mut subdomains, mut partners) = (Vec::new(), Vec::new(), Vec::new());
        for line in ads_txt::lines(file) {
            match line {
                Line::Record {
                    system,
                    seller,
                    relation,
                } => sellers.push(self.number(&system, seller).with(relation)),
                Line::Subdomain(name) => subdomains.push(name.as_str().into()),
                Line::InventoryPartner(name) => partners.push(name.as_str().into()),
            }
        }
        sellers.sort_unstable();
        sellers.dedup();
        let says_something = !(sellers.is_empty() && subdomains.is_empty() && partners.is_empty());
        says_something.then(|| Authorised {
            sellers: sellers.into(),
            subdomains: subdomains.into(),
            partners: partners.into(),
        })
    }

    fn number(&mut self, system: &Name, account: &str) -> SellerId {
        if !self.systems.contains_key(system.as_str()) {
            self.systems.insert(system.as_str().into(), System::default());
        }
        let system = self.systems.get_mut(system.as_str()).expect("added above");
        if let Some(known) = system.sellers.get(account) {
            return *known;
        }
        let id = SellerId::of(self.listed.len());
        self.listed.push(None);
        system.sellers.insert(account.into(), id);
        id
    }

    fn seller(&self, system: &Name, account: &str) -> Option<SellerId> {
        self.systems.get(system.as_str())?.sellers.get(account).copied()
    }
}

impl SellerId {
    /// Two bits of an entry hold the relation. 2³⁰ accounts take more memory than a machine that bids has.
    fn of(number: usize) -> SellerId {
        assert!(number < 1 << 30, "fewer than 2³⁰ accounts in all files");
        SellerId(number as u32)
    }

    fn with(self, relation: Relation) -> u32 {
        self.0 << 2 | relation as u32
    }
}

impl Authorised {
    /// How this file lists an account; `None` = not at all. Listed as both, it is direct.
    fn relation(&self, seller: SellerId) -> Option<Relation> {
        [Relation::Direct, Relation::Reseller]
            .into_iter()
            .find(|relation| self.sellers.binary_search(&seller.with(*relation)).is_ok())
    }

    /// `SUBDOMAIN=`: only then does a subdomain's own file count (ads.txt 1.1).
    fn refers_to(&self, subdomain: &str) -> bool {
        self.subdomains.iter().any(|name| **name == *subdomain)
    }

    /// `INVENTORYPARTNERDOMAIN=`.
    fn has_partner(&self, partner: &Name) -> bool {
        self.partners.iter().any(|name| **name == *partner.as_str())
    }
}

/// The file that speaks for a domain: that of the shortest name above it that has one, unless that refers to the file
/// of a longer one. Public suffixes are not known here; they have no file.
fn speaks_for<'s>(files: &'s HashMap<Box<str>, Authorised>, domain: &Name) -> Option<&'s Authorised> {
    let mut found: Option<&Authorised> = None;
    for name in domain.suffixes() {
        if let Some(file) = files.get(name)
            && found.is_none_or(|above| above.refers_to(name))
        {
            found = Some(file);
        }
    }
    found
}
