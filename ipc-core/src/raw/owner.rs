//! The one stored form of "who": 64 bits that name a member of a segment and a thread of it.
//!
//! | bits  | field      | meaning                                                                        |
//! |-------|------------|--------------------------------------------------------------------------------|
//! | 63–32 | generation | of the member row; never 0 for a member                                        |
//! | 31–16 | row        | in the segment's member table                                                  |
//! | 15–3  | thread     | token unique in its process; 0: unknown                                        |
//! | 2–0   | flags      | belong to the word that stores the owner, see [`LockLine`](super::LockLine)     |
//!
//! Never a pid: pids are reused and mean nothing in another PID namespace. A row's generation moves on each time the row is
//! given to a new process, so an owner of an older generation is dead without asking the system.

/// Who owns a word: a member (row and generation) and, where known, the thread.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(u64);

const ROW_SHIFT: u32 = 16;
const THREAD_SHIFT: u32 = 3;
const FLAGS: u64 = 0b111;

impl Owner {
    /// The largest thread token.
    pub const MAX_THREAD: u16 = (1 << 13) - 1;

    /// The owner for a row of a generation and a thread token of at most [`Owner::MAX_THREAD`].
    pub const fn new(generation: u32, row: u16, thread: u16) -> Self {
        let thread = (thread & Self::MAX_THREAD) as u64;
        Self((generation as u64) << 32 | (row as u64) << ROW_SHIFT | thread << THREAD_SHIFT)
    }

    /// Reads the owner out of a stored word, leaving its three flag bits behind.
    pub const fn from_word(word: u64) -> Self {
        Self(word & !FLAGS)
    }

    /// The stored form, flag bits zero.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Generation of the member row; 0 means that the word names nobody.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Index of the member row.
    pub const fn row(self) -> u16 {
        (self.0 >> ROW_SHIFT) as u16
    }

    /// Token of the thread in its process, 0 if unknown.
    pub const fn thread(self) -> u16 {
        (self.0 >> THREAD_SHIFT) as u16 & Self::MAX_THREAD
    }

    /// The same member without the thread.
    pub const fn member(self) -> Self {
        Self(self.0 & !(0xffff))
    }

    /// Whether the word names a member at all.
    pub const fn is_somebody(self) -> bool {
        self.generation() != 0
    }
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Owner(row {} generation {} thread {})", self.row(), self.generation(), self.thread())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        for (generation, row, thread) in [(1, 0, 0), (u32::MAX, u16::MAX, Owner::MAX_THREAD), (7, 4095, 1)] {
            let owner = Owner::new(generation, row, thread);
            assert_eq!((owner.generation(), owner.row(), owner.thread()), (generation, row, thread));
            assert_eq!(Owner::from_word(owner.word() | 0b101), owner);
            assert_eq!(owner.member(), Owner::new(generation, row, 0));
        }
        assert!(!Owner::from_word(7).is_somebody());
    }
}
