//! What is counted of one user: which objects, and at which moments. It lies in the user's own place in the table where it is
//! small enough, so that a look at it is one look into memory.
//!
//! ```text
//! objects n × u64 | moments m × u32, ascending | marks n × ⌈m/8⌉ bytes: bit k of an object's = the k-th moment counts on it
//! ```
//! An impression is one moment of all that it counts on. Moments are whole seconds since 1970 (good until 2106). What lies here
//! is packed anew at every change; there is no object without a moment and no moment without an object.

use super::CapObject;
use crate::units::Timestamp;

/// Of one user. Above it the object not shown for longest is forgotten.
pub const OBJECTS_MAX: usize = 64;
/// Five objects with two moments, four with four, three with six.
const ROOM: usize = 53;

#[derive(Clone, Debug)]
pub enum Past {
    Here {
        objects: u8,
        moments: u8,
        bytes: [u8; ROOM],
    },
    Away {
        objects: u8,
        moments: u16,
        bytes: Box<[u8]>,
    },
}

/// With the user's key before it a line of the cache.
const _: () = assert!(size_of::<Past>() == 56);

/// The parts of what is packed.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    objects: &'a [[u8; 8]],
    moments: &'a [[u8; 4]],
    marks: &'a [u8],
}

/// The same, to be changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Open {
    objects: Vec<CapObject>,
    /// Ascending, each with the set of places in `objects` that it counts on.
    moments: Vec<(u32, u64)>,
}

impl Past {
    pub const NONE: Past = Past::Here {
        objects: 0,
        moments: 0,
        bytes: [0; ROOM],
    };

    /// How many moments anything has at most.
    #[inline]
    pub fn moments(&self) -> usize {
        match self {
            Past::Here { moments, .. } => usize::from(*moments),
            Past::Away { moments, .. } => usize::from(*moments),
        }
    }

    #[inline]
    pub fn read(&self) -> Read<'_> {
        let (objects, moments, bytes) = match self {
            Past::Here {
                objects,
                moments,
                bytes,
            } => (*objects, u16::from(*moments), &bytes[..]),
            Past::Away {
                objects,
                moments,
                bytes,
            } => (*objects, *moments, &bytes[..]),
        };
        let (objects, bytes) = bytes.split_at(8 * usize::from(objects));
        let (moments, marks) = bytes.split_at(4 * usize::from(moments));
        Read {
            objects: objects.as_chunks().0,
            moments: moments.as_chunks().0,
            marks,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.read().objects.is_empty()
    }

    pub fn change(&mut self, change: impl FnOnce(&mut Open)) {
        let mut open = self.read().open();
        change(&mut open);
        *self = open.pack();
    }
}

impl<'a> Read<'a> {
    pub fn objects(&self) -> impl ExactSizeIterator<Item = CapObject> + use<'a> {
        self.objects
            .iter()
            .map(|&object| CapObject(u64::from_le_bytes(object)))
    }

    #[inline]
    pub fn place(&self, object: CapObject) -> Option<usize> {
        let object = object.0.to_le_bytes();
        self.objects.iter().position(|&of| of == object)
    }

    /// When anything was last counted.
    pub fn last(&self) -> u32 {
        self.moments.last().map_or(0, |&at| u32::from_le_bytes(at))
    }

    /// The moments of the object at this place, the latest first.
    pub fn latest(&self, place: usize) -> impl Iterator<Item = u32> + use<'a> {
        self.moments_of(place).rev()
    }

    /// The `n`-th latest moment of the object at this place, 1 = the latest.
    pub fn nth_latest(&self, place: usize, n: usize) -> Option<u32> {
        let mut left = n;
        for (index, &mark) in self.marks_of(place).iter().enumerate().rev() {
            let here = mark.count_ones() as usize;
            if left <= here {
                return bits(mark, index).rev().nth(left - 1).map(|k| self.moment(k));
            }
            left -= here;
        }
        None
    }

    /// The moments of the object at this place, the earliest first.
    pub fn moments_of(&self, place: usize) -> impl DoubleEndedIterator<Item = u32> + use<'a> {
        let moments = self.moments;
        let marked = self.marks_of(place).iter().enumerate();
        marked
            .flat_map(|(index, &mark)| bits(mark, index))
            .map(move |k| u32::from_le_bytes(moments[k]))
    }

    fn open(&self) -> Open {
        let mut moments: Vec<_> = (0..self.moments.len()).map(|k| (self.moment(k), 0)).collect();
        for place in 0..self.objects.len() {
            for (index, &mark) in self.marks_of(place).iter().enumerate() {
                bits(mark, index).for_each(|k| moments[k].1 |= 1 << place);
            }
        }
        Open {
            objects: self.objects().collect(),
            moments,
        }
    }

    fn moment(&self, k: usize) -> u32 {
        u32::from_le_bytes(self.moments[k])
    }

    fn marks_of(&self, place: usize) -> &'a [u8] {
        let each = self.moments.len().div_ceil(8);
        &self.marks[place * each..][..each]
    }
}

/// Which bits are set in the `index`-th byte of some.
fn bits(byte: u8, index: usize) -> impl DoubleEndedIterator<Item = usize> {
    (0..8)
        .filter(move |bit| byte >> bit & 1 == 1)
        .map(move |bit| 8 * index + bit)
}

impl Open {
    /// Counts one more (not always the latest: notices overtake each other), and keeps the `keep` latest.
    pub fn count(&mut self, object: CapObject, at_s: u32, keep: usize) {
        let bit = 1 << self.place_for(object);
        let end = self.moments.partition_point(|&(at, _)| at <= at_s);
        let same = self.moments[..end].iter_mut().rev();
        let free = same
            .take_while(|(at, _)| *at == at_s)
            .find(|(_, on)| on & bit == 0);
        match free {
            Some((_, on)) => *on |= bit,
            None => self.moments.insert(end, (at_s, bit)),
        }
        let surplus = self.of(bit).count().saturating_sub(keep.max(1));
        self.of(bit).take(surplus).for_each(|(_, on)| *on &= !bit);
    }

    /// Of an object.
    pub fn remove_before(&mut self, object: CapObject, moment: u32) {
        let bit = self.bit(object);
        self.of(bit)
            .take_while(|(at, _)| *at < moment)
            .for_each(|(_, on)| *on &= !bit);
    }

    /// Of each object what is not before its own first moment.
    pub fn retain_from(&mut self, first: impl Fn(CapObject) -> u32) {
        (0..self.objects.len()).for_each(|place| {
            let object = self.objects[place];
            self.remove_before(object, first(object));
        });
    }

    /// One of those at `moment`, where there is one.
    pub fn remove(&mut self, object: CapObject, moment: u32) {
        let bit = self.bit(object);
        if let Some((_, on)) = self.of(bit).find(|(at, _)| *at == moment) {
            *on &= !bit;
        }
    }

    fn of(&mut self, bit: u64) -> impl Iterator<Item = &mut (u32, u64)> {
        self.moments.iter_mut().filter(move |(_, on)| on & bit != 0)
    }

    /// None where it is not counted.
    fn bit(&self, object: CapObject) -> u64 {
        let place = self.objects.iter().position(|&of| of == object);
        place.map_or(0, |place| 1 << place)
    }

    fn place_for(&mut self, object: CapObject) -> usize {
        if let Some(known) = self.objects.iter().position(|&of| of == object) {
            return known;
        }
        if self.objects.len() < OBJECTS_MAX {
            self.objects.push(object);
            return self.objects.len() - 1;
        }
        let oldest = self.oldest();
        self.objects[oldest] = object;
        self.moments.iter_mut().for_each(|(_, on)| *on &= !(1 << oldest));
        oldest
    }

    /// Where the object not shown for longest is.
    fn oldest(&self) -> usize {
        let mut left = u64::MAX;
        for (_, on) in self.moments.iter().rev() {
            if left & !on == 0 {
                break;
            }
            left &= !on;
        }
        left.trailing_zeros() as usize
    }

    fn drop_empty(&mut self) {
        self.moments.retain(|(_, on)| *on != 0);
        for place in (0..self.objects.len()).rev() {
            if self.of(1 << place).next().is_none() {
                self.objects.remove(place);
                let below = (1 << place) - 1;
                self.moments
                    .iter_mut()
                    .for_each(|(_, on)| *on = *on & below | *on >> 1 & !below);
            }
        }
    }

    pub fn pack(mut self) -> Past {
        self.drop_empty();
        let (objects, moments) = (self.objects.len(), self.moments.len());
        let size = 8 * objects + 4 * moments + objects * moments.div_ceil(8);
        if size <= ROOM {
            let mut bytes = [0; ROOM];
            self.write(&mut bytes);
            return Past::Here {
                objects: objects as u8,
                moments: moments as u8,
                bytes,
            };
        }
        let mut bytes = vec![0; size].into_boxed_slice();
        self.write(&mut bytes);
        Past::Away {
            objects: objects as u8,
            moments: moments as u16,
            bytes,
        }
    }

    fn write(&self, bytes: &mut [u8]) {
        let (objects, bytes) = bytes.split_at_mut(8 * self.objects.len());
        let (moments, marks) = bytes.split_at_mut(4 * self.moments.len());
        let each = self.moments.len().div_ceil(8);
        for (place, object) in objects.as_chunks_mut().0.iter_mut().zip(&self.objects) {
            *place = object.0.to_le_bytes();
        }
        for (k, (place, &(at, on))) in moments
            .as_chunks_mut()
            .0
            .iter_mut()
            .zip(&self.moments)
            .enumerate()
        {
            *place = at.to_le_bytes();
            let mut left = on;
            while left != 0 {
                marks[left.trailing_zeros() as usize * each + k / 8] |= 1 << (k % 8);
                left &= left - 1;
            }
        }
    }
}

pub fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.0.div_euclid(1000)).unwrap_or(if at.0 < 0 { 0 } else { u32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Count { object: u64, at: u32, keep: usize },
        RemoveBefore { object: u64, at: u32 },
        Remove { object: u64, at: u32 },
        RetainFrom(u32),
    }

    fn step(objects: u64) -> impl Strategy<Value = Step> {
        let (object, at) = (0..objects, 0..40_u32);
        prop_oneof![
            12 => (object.clone(), at.clone(), prop_oneof![1..6_usize, Just(255)])
                .prop_map(|(object, at, keep)| Step::Count { object, at, keep }),
            1 => (object.clone(), at.clone()).prop_map(|(object, at)| Step::RemoveBefore { object, at }),
            2 => (object, at.clone()).prop_map(|(object, at)| Step::Remove { object, at }),
            1 => at.prop_map(Step::RetainFrom),
        ]
    }

    /// Each object with its own list of moments.
    #[derive(Default)]
    struct Lists(Vec<(CapObject, Vec<u32>)>);

    impl Lists {
        fn play(&mut self, step: &Step) {
            let of = |object: u64| move |(known, _): &&mut (CapObject, Vec<u32>)| known.0 == object;
            match *step {
                Step::Count { object, at, keep } => {
                    let Some((_, moments)) = self.0.iter_mut().find(of(object)) else {
                        return self.0.push((CapObject(object), vec![at]));
                    };
                    moments.push(at);
                    moments.sort_unstable();
                    moments.drain(..moments.len().saturating_sub(keep));
                }
                Step::RemoveBefore { object, at } => {
                    let known = self.0.iter_mut().find(of(object));
                    known
                        .into_iter()
                        .for_each(|(_, moments)| moments.retain(|&of| of >= at));
                }
                Step::Remove { object, at } => {
                    if let Some((_, moments)) = self.0.iter_mut().find(of(object)) {
                        let place = moments.iter().position(|&of| of == at);
                        place.map(|place| moments.remove(place));
                    }
                }
                Step::RetainFrom(at) => self
                    .0
                    .iter_mut()
                    .for_each(|(_, moments)| moments.retain(|&of| of >= at)),
            }
            self.0.retain(|(_, moments)| !moments.is_empty());
        }
    }

    fn play(past: &mut Past, step: &Step) {
        past.change(|open| match *step {
            Step::Count { object, at, keep } => open.count(CapObject(object), at, keep),
            Step::RemoveBefore { object, at } => open.remove_before(CapObject(object), at),
            Step::Remove { object, at } => open.remove(CapObject(object), at),
            Step::RetainFrom(at) => open.retain_from(|_| at),
        });
    }

    fn check(past: &Past, lists: &Lists) {
        let read = past.read();
        let all: Vec<_> = read
            .objects()
            .zip((0..).map(|place| read.moments_of(place).collect::<Vec<_>>()))
            .collect();
        assert_eq!(all, lists.0);
        assert_eq!(past.is_empty(), lists.0.is_empty());
        assert_eq!(
            read.last(),
            lists
                .0
                .iter()
                .filter_map(|(_, moments)| moments.last())
                .max()
                .copied()
                .unwrap_or(0)
        );
        for (object, moments) in &lists.0 {
            let place = read.place(*object).unwrap();
            let latest: Vec<_> = moments.iter().rev().copied().collect();
            assert_eq!(read.latest(place).collect::<Vec<_>>(), latest);
            let each: Vec<_> = (1..).map_while(|n| read.nth_latest(place, n)).collect();
            assert_eq!(each, latest);
            assert!(past.moments() >= moments.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_a_list_of_moments_for_each_object(
            steps in (1..12_u64).prop_flat_map(|objects| prop::collection::vec(step(objects), 1..120))
        ) {
            let (mut past, mut lists) = (Past::NONE, Lists::default());
            for step in &steps {
                play(&mut past, step);
                lists.play(step);
                check(&past, &lists);
            }
        }
    }

    #[test]
    fn an_impression_is_one_moment_of_all_that_it_counts_on_and_small_pasts_lie_in_place() {
        let shown = |objects: u64, impressions: u32| {
            let mut past = Past::NONE;
            (0..impressions).for_each(|at| {
                past.change(|open| (0..objects).for_each(|object| open.count(CapObject(object), at, 255)));
            });
            past
        };
        for (objects, impressions) in [(1, 10), (2, 8), (3, 6), (4, 4), (5, 2)] {
            let past = shown(objects, impressions);
            assert!(matches!(past, Past::Here { .. }) && past.moments() == impressions as usize);
            assert!(matches!(shown(objects, impressions + 1), Past::Away { .. }));
        }
    }

    #[test]
    fn the_most_that_a_user_can_have_is_packed() {
        let mut past = Past::NONE;
        past.change(|open| {
            open.objects = (0..64).map(CapObject).collect();
            open.moments = (0..64 * 255).map(|at| (at, 1 << (at % 64))).collect();
        });
        let read = past.read();
        assert_eq!((read.objects().len(), past.moments()), (64, 64 * 255));
        assert_eq!(
            (read.nth_latest(63, 255), read.nth_latest(63, 256)),
            (Some(63), None)
        );
        past.change(|open| open.count(CapObject(64), 1 << 20, 1));
        let read = past.read();
        assert_eq!(
            (read.objects().len(), read.place(CapObject(0))),
            (64, None),
            "the object not shown for longest is forgotten"
        );
        assert_eq!(read.last(), 1 << 20);
    }
}
