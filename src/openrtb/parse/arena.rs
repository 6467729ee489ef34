//! Text that the body does not hold literally: integers where text is expected, joined version numbers.
//!
//! The room is the tail of the request's own body buffer, so that such text borrows for as long as all other text.

use std::io::Write;

pub(super) struct Arena<'a> {
    rest: &'a mut [u8],
}

impl<'a> Arena<'a> {
    pub fn new(room: &'a mut [u8]) -> Arena<'a> {
        Arena { rest: room }
    }

    /// `None` when the room is used up.
    pub fn integer(&mut self, value: i64) -> Option<&'a str> {
        let mut digits = itoa::Buffer::new();
        self.write(|room| room.write_all(digits.format(value).as_bytes()).ok())
    }

    /// The parts with dots between them; `None` when the room is used up or there is no part.
    pub fn dotted<'b>(&mut self, parts: impl Iterator<Item = &'b str>) -> Option<&'a str> {
        self.write(|room| {
            for (i, part) in parts.enumerate() {
                if i > 0 {
                    room.write_all(b".").ok()?;
                }
                room.write_all(part.as_bytes()).ok()?;
            }
            Some(())
        })
        .filter(|text| !text.is_empty())
    }

    /// Takes what `fill` wrote off the room, or nothing if it failed.
    fn write(&mut self, fill: impl FnOnce(&mut &mut [u8]) -> Option<()>) -> Option<&'a str> {
        let mut room = &mut *self.rest;
        let before = room.len();
        fill(&mut room)?;
        let used = before - room.len();
        let (text, rest) = std::mem::take(&mut self.rest).split_at_mut(used);
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }
}
