//! What was already seen of each bid and order, so that the same event is never counted twice.
//!
//! Invariant: what is remembered stays until its time is over; when there is no room, new things are refused
//! rather than old ones forgotten.

use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::{BidId, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// How much is remembered and for how long.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// An entry takes about 80 bytes: ten million bids are 800 MB.
    pub bids_max: usize,
    /// A bid is remembered until the end of its hold and this long.
    pub bid_margin_ms: i64,
    pub orders_max: usize,
    /// A conversion's order id is remembered this long.
    pub order_keep_ms: i64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        MemoryLimits {
            bids_max: 10_000_000,
            // Senders repeat a notice for minutes, not hours; pages stay open for a day.
            bid_margin_ms: Timestamp::MS_PER_DAY,
            orders_max: 1_000_000,
            // The longest conversion window in common use.
            order_keep_ms: 30 * Timestamp::MS_PER_DAY,
        }
    }
}

/// Which kinds of event were seen of a bid: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub u32);

impl Marks {
    pub const WON: Marks = Marks(1);
    pub const LOST: Marks = Marks(1 << 1);
    pub const BILLED: Marks = Marks(1 << 2);
    pub const SHOWN: Marks = Marks(1 << 3);
    pub const VIEWED: Marks = Marks(1 << 4);
    pub const CLICKED: Marks = Marks(1 << 5);
    pub const VAST_ERROR: Marks = Marks(1 << 6);
    /// Money was booked, by whichever event was the billable one.
    pub const BOOKED: Marks = Marks(1 << 7);
    /// The first of the six playback events; the others follow bit by bit.
    pub const PLAYBACK: Marks = Marks(1 << 8);

    pub fn has_any(self, other: Marks) -> bool {
        self.0 & other.0 != 0
    }
}

/// A conversion that must not count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderKey(pub u128);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Counted,
    Reversed,
}

pub struct Memory {
    limits: MemoryLimits,
    /// The latest time that any event carried.
    clock: Timestamp,
    /// Bids whose hold ended before this may be forgotten. Never goes back, also when the margin is made longer.
    horizon: Timestamp,
    bids: HashMap<BidId, (Marks, Timestamp)>,
    orders: HashMap<OrderKey, (Order, Timestamp)>,
    bid_ends: Ends<BidId>,
    order_ends: Ends<OrderKey>,
}

/// Keys by the minute in which their time is over.
type Ends<K> = BTreeMap<i64, Vec<K>>;

impl Memory {
    pub fn new(limits: MemoryLimits) -> Memory {
        Memory {
            limits,
            clock: Timestamp(i64::MIN),
            horizon: Timestamp(i64::MIN),
            bids: HashMap::new(),
            orders: HashMap::new(),
            bid_ends: Ends::new(),
            order_ends: Ends::new(),
        }
    }

    /// Whether a bid whose hold ended then may be forgotten already. A clock that goes back changes nothing.
    pub fn may_have_forgotten(&self, hold_end: Timestamp, at: Timestamp) -> bool {
        hold_end < self.horizon(at)
    }

    pub fn marks(&self, bid: BidId) -> Marks {
        self.bids.get(&bid).map(|(marks, _)| *marks).unwrap_or_default()
    }

    pub fn order(&self, key: OrderKey) -> Option<Order> {
        self.orders.get(&key).map(|(order, _)| *order)
    }

    /// When the conversion was counted that is remembered under this key.
    pub fn order_at(&self, key: OrderKey) -> Option<Timestamp> {
        let (_, until) = self.orders.get(&key)?;
        Some(Timestamp(until.0.saturating_sub(self.limits.order_keep_ms)))
    }

    pub fn has_room_for_bid(&self, bid: BidId) -> bool {
        self.bids.len() < self.limits.bids_max || self.bids.contains_key(&bid)
    }

    pub fn has_room_for_order(&self, key: OrderKey) -> bool {
        self.orders.len() < self.limits.orders_max || self.orders.contains_key(&key)
    }

    pub fn len(&self) -> (usize, usize) {
        (self.bids.len(), self.orders.len())
    }

    pub fn mark(&mut self, bid: BidId, marks: Marks, hold_end: Timestamp) {
        let until = Timestamp(hold_end.0.saturating_add(self.limits.bid_margin_ms));
        let ends = &mut self.bid_ends;
        let (known, _) = self.bids.entry(bid).or_insert_with(|| {
            ends.entry(minute(until)).or_default().push(bid);
            (Marks::default(), until)
        });
        known.0 |= marks.0;
    }

    pub fn keep_order(&mut self, key: OrderKey, order: Order, at: Timestamp) {
        let until = Timestamp(at.0.saturating_add(self.limits.order_keep_ms));
        let ends = &mut self.order_ends;
        let (known, _) = self.orders.entry(key).or_insert_with(|| {
            ends.entry(minute(until)).or_default().push(key);
            (order, until)
        });
        *known = order;
    }

    /// The latest time that any event carried; 1970 where there was none.
    pub fn clock(&self) -> Timestamp {
        self.clock.max(Timestamp(0))
    }

    /// Moves the clock on and forgets what is over.
    pub fn advance(&mut self, at: Timestamp) {
        self.horizon = self.horizon(at);
        self.clock = self.clock.max(at);
        let now = minute(self.clock);
        while let Some(entry) = self.bid_ends.first_entry().filter(|entry| *entry.key() < now) {
            for bid in entry.remove() {
                self.bids.remove(&bid);
            }
        }
        while let Some(entry) = self.order_ends.first_entry().filter(|entry| *entry.key() < now) {
            for key in entry.remove() {
                self.orders.remove(&key);
            }
        }
    }

    pub fn checkpoint(&self, out: &mut FieldWriter) {
        out.i64(self.clock.0);
        out.i64(self.horizon.0);
        out.count(self.bids.len());
        for (bid, (marks, until)) in &self.bids {
            out.u128(bid.0);
            out.u32(marks.0);
            out.i64(until.0);
        }
        out.count(self.orders.len());
        for (key, (order, until)) in &self.orders {
            out.u128(key.0);
            out.u8(u8::from(*order == Order::Reversed));
            out.i64(until.0);
        }
    }

    pub fn restore(limits: MemoryLimits, fields: &mut FieldReader<'_>) -> Result<Memory, BadFields> {
        let mut memory = Memory::new(limits);
        memory.clock = Timestamp(fields.i64()?);
        memory.horizon = Timestamp(fields.i64()?);
        for _ in 0..fields.count(28)? {
            let (bid, marks) = (BidId(fields.u128()?), Marks(fields.u32()?));
            let until = Timestamp(fields.i64()?);
            memory.bids.insert(bid, (marks, until));
            memory.bid_ends.entry(minute(until)).or_default().push(bid);
        }
        for _ in 0..fields.count(25)? {
            let key = OrderKey(fields.u128()?);
            let order = if fields.u8()? == 0 {
                Order::Counted
            } else {
                Order::Reversed
            };
            let until = Timestamp(fields.i64()?);
            memory.orders.insert(key, (order, until));
            memory.order_ends.entry(minute(until)).or_default().push(key);
        }
        Ok(memory)
    }

    fn horizon(&self, at: Timestamp) -> Timestamp {
        self.horizon
            .max(Timestamp(at.0.saturating_sub(self.limits.bid_margin_ms)))
    }
}

fn minute(at: Timestamp) -> i64 {
    at.0.div_euclid(60_000)
}
