//! Which offsets of a segment's space are entries of its directory: those that one comes to from the front, entry by entry.
//!
//! A ticket's offset may come from anywhere, and bytes that look like an entry may lie in the middle of an array. Entries follow
//! each other without gaps, never move and never change their length, so each process walks over each entry once and remembers
//! where it was: eight bytes per object, and one look for each further ticket.

use crate::error::Corrupt;

/// How far a process has walked.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Where entries begin, ascending.
    entries: Vec<u64>,
    /// Where the next one begins.
    next: u64,
}

impl Walk {
    /// Not begun.
    pub(crate) fn from(space_at: u64) -> Self {
        Self { entries: Vec::new(), next: space_at }
    }

    /// Whether an entry begins at `offset`, where one can be read. `len` of an entry is at least 64, or an error.
    pub(crate) fn reach(&mut self, offset: u64, len: impl Fn(u64) -> Result<u64, Corrupt>) -> Result<bool, Corrupt> {
        while self.next <= offset {
            let len = len(self.next)?;
            self.entries.push(self.next);
            self.next += len;
        }
        Ok(self.entries.binary_search(&offset).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn only_what_is_walked_over_counts_and_each_entry_is_read_once() {
        let reads = Cell::new(0);
        let len = |at: u64| {
            reads.set(reads.get() + 1);
            Ok(if at == 100 { 64 } else { 128 })
        };
        let mut walk = Walk::from(100);
        assert_eq!(walk.reach(292, len), Ok(true));
        assert_eq!(walk.reach(164, len), Ok(true));
        assert_eq!(walk.reach(228, len), Ok(false), "in the middle of an entry");
        assert_eq!(walk.reach(36, len), Ok(false), "in front of all");
        assert_eq!(reads.get(), 3);
    }

    #[test]
    fn a_damaged_entry_ends_the_walk_with_an_error_and_not_for_ever() {
        let damage = Corrupt { what: "state of a directory entry", found: 0 };
        let mut walk = Walk::from(0);
        assert_eq!(walk.reach(64, |_| Err(damage)), Err(damage));
        assert_eq!(walk.reach(64, |_| Ok(64)), Ok(true));
    }
}
