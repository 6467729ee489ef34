//! What is played, and what goes wrong meanwhile.

use crate::units::{Cpm, Spread};
use std::fmt;
use std::str::FromStr;

/// A day with more would not be played in a second.
pub const AUCTIONS_MAX: u32 = 5_000_000;
pub const DAYS_MAX: u32 = 31;
pub const NODES_MAX: u16 = 16;
/// A token has room for holds of 18 hours.
pub const HOLD_MAX_S: u32 = 18 * 3_600;

#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// At most [`AUCTIONS_MAX`].
    pub auctions_per_day: u32,
    pub days: u32,
    /// Bidders that share the budgets; 1 = one with its own journal of leases.
    pub nodes: u16,
    /// Share of the auctions that the budget pays for when it is spread over the day.
    pub win_rate: f64,
    /// What the budgets have, of the money that takes; far above 1 nothing binds.
    pub budget: f64,
    /// How long money has to be held until a win is known: 99.9 % of wins are told within two thirds of it.
    pub hold_s: u32,
    /// The exchange tells of losses.
    pub losses: bool,
    /// Of which bids the exchange tells the price that was needed to win.
    pub min_to_win: MinToWin,
    /// How bids in the open first-price auction are priced.
    pub shading: Shading,
    /// How the budgets are spread over a day.
    pub spread: Spread,
    pub faults: Faults,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            auctions_per_day: 200_000,
            days: 1,
            nodes: 1,
            win_rate: 0.3,
            budget: 1.0,
            hold_s: 60,
            losses: true,
            min_to_win: MinToWin::All,
            shading: Shading::Off,
            spread: Spread::Even,
            faults: Faults::NONE,
        }
    }
}

/// How bids in the open first-price auction are priced.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Shading {
    /// At the paced value, as where an exchange's settings say nothing.
    #[default]
    Off,
    /// As where they say `learn`.
    On,
    /// At this share of the paced value, [`FACTOR_MIN`](Shading::FACTOR_MIN)..=1: to compare with.
    Fixed(f64),
}

impl Shading {
    pub const FACTOR_MIN: f64 = 0.1;

    /// What is bid at a fixed share of the paced value; never below the floor.
    pub(super) fn price(factor: f64, paced: Cpm, floor: Cpm) -> Cpm {
        Cpm((paced.0 as f64 * factor).round() as i64).clamp(floor.max(Cpm(1)), paced)
    }
}

/// Of which bids the price to win is told (`${AUCTION_MIN_TO_WIN}`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinToWin {
    #[default]
    All,
    Losses,
    None,
}

impl MinToWin {
    pub const ALL: [MinToWin; 3] = [MinToWin::All, MinToWin::Losses, MinToWin::None];

    pub fn name(self) -> &'static str {
        match self {
            MinToWin::All => "all",
            MinToWin::Losses => "losses",
            MinToWin::None => "none",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write on, off, or a fixed factor from {min} to 1 to compare with", min = Shading::FACTOR_MIN)]
pub struct NoShading;

impl FromStr for Shading {
    type Err = NoShading;

    fn from_str(text: &str) -> Result<Shading, NoShading> {
        match text {
            "off" => Ok(Shading::Off),
            "on" => Ok(Shading::On),
            _ => {
                let factor = text.parse().ok();
                let factor = factor.filter(|factor| (Shading::FACTOR_MIN..=1.0).contains(factor));
                factor.map(Shading::Fixed).ok_or(NoShading)
            }
        }
    }
}

impl fmt::Display for Shading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shading::Off => f.write_str("off"),
            Shading::On => f.write_str("on"),
            Shading::Fixed(factor) => write!(f, "{factor}"),
        }
    }
}

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Fault {
    /// One notice in fifty comes much later, one in three hundred after its hold.
    Delayed = 1,
    /// One notice in a hundred never comes.
    Lost = 1 << 1,
    /// One notice in thirty comes twice.
    Doubled = 1 << 2,
    /// One win in ten is told after its bill.
    Reordered = 1 << 3,
    /// Each node is killed some five times a day, in the middle of a write, of a bid or of nothing, and restarted once in order.
    Crash = 1 << 4,
    /// The server that several nodes share is away, slow, or cut off from one of them, some five times a day.
    Authority = 1 << 5,
    /// Budgets are lowered, also below what is spent, lifted, and set again.
    Reload = 1 << 6,
    /// The clock of each node is up to two seconds wrong.
    Skew = 1 << 7,
    /// The first day has 23 or 25 hours.
    ClockChange = 1 << 8,
    /// A quarter of an hour with five times the requests, and one without any.
    Surge = 1 << 9,
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u16);

impl Fault {
    pub const ALL: [(Fault, &'static str); 10] = [
        (Fault::Delayed, "delayed"),
        (Fault::Lost, "lost"),
        (Fault::Doubled, "doubled"),
        (Fault::Reordered, "reordered"),
        (Fault::Crash, "crash"),
        (Fault::Authority, "authority"),
        (Fault::Reload, "reload"),
        (Fault::Skew, "skew"),
        (Fault::ClockChange, "clock-change"),
        (Fault::Surge, "surge"),
    ];
}

impl Faults {
    pub const NONE: Faults = Faults(0);
    pub const ALL: Faults = Faults((1 << Fault::ALL.len()) - 1);

    pub fn has(self, fault: Fault) -> bool {
        self.0 & fault as u16 != 0
    }

    pub fn with(self, fault: Fault) -> Faults {
        Faults(self.0 | fault as u16)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault: write `all`, `none`, or some of {names}, with commas", names = names())]
pub struct NoFault(String);

fn names() -> String {
    Fault::ALL.map(|(_, name)| name).join(", ")
}

/// `all`, `none`, or names with commas between them.
impl FromStr for Faults {
    type Err = NoFault;

    fn from_str(text: &str) -> Result<Faults, NoFault> {
        match text {
            "all" => Ok(Faults::ALL),
            "none" => Ok(Faults::NONE),
            _ => text.split(',').try_fold(Faults::NONE, |faults, name| {
                let found = Fault::ALL.iter().find(|(_, known)| *known == name.trim());
                found
                    .map(|(fault, _)| faults.with(*fault))
                    .ok_or_else(|| NoFault(name.trim().to_owned()))
            }),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Faults::ALL => f.write_str("all"),
            Faults::NONE => f.write_str("none"),
            some => {
                let names = Fault::ALL
                    .iter()
                    .filter(|(fault, _)| some.has(*fault))
                    .map(|(_, name)| *name);
                f.write_str(&names.collect::<Vec<_>>().join(","))
            }
        }
    }
}
