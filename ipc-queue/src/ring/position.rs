//! Where in the ring: laps, indexes, cursors. Pure arithmetic, no memory.
//!
//! A position counts the slots ever claimed on one side: `lap << shift | index`, with `shift = ceil(log2(capacity))`. Unlike
//! a plain counter it needs no division, and unlike Vyukov's it serves any capacity, 1 included.
//!
//! | word     | 63     | 62     | 61                      | 60 …                                          |
//! |----------|--------|--------|-------------------------|-----------------------------------------------|
//! | cursor   | CLOSED | CURSOR | 0 (and bit 60)          | position (60 bits)                            |
//! | intent   | position (60 bits) in bits 63–4 …         | … kind in bits 3–0, see `row.rs`              |
//! | slot     | lap (48 bits) in bits 63–16 …             | … endpoint and phase, see `slot.rs`           |
//!
//! So a position has 60 bits, and a lap `min(48, 60 - shift)` of them. Laps wrap; two positions compare by their wrapping
//! distance, which is right while they are less than half of all laps apart: the two cursors are never more than one lap
//! apart, and only a thread that sleeps through exactly 2^48 laps (162 days at capacity 1 and 20 million messages a second)
//! could mistake one lap for another. CURSOR is always set, so that a word of zeros is never a cursor.

/// Set in a cursor that accepts nothing more.
pub const CLOSED: u64 = 1 << 63;
/// Set in every cursor.
const CURSOR: u64 = 1 << 62;
const POSITION_BITS: u32 = 60;
const LAP_BITS: u32 = 48;

/// One place in the sequence of all places: a lap and an index below the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position(u64);

impl Position {
    /// The bits as stored in an intent.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The cursor that stands at this position and is open.
    #[inline(always)]
    pub const fn cursor(self) -> u64 {
        CURSOR | self.0
    }
}

/// The arithmetic of one ring. Lives in the handle: the capacity in shared memory is never read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    capacity: u64,
    index_mask: u64,
    lap_mask: u64,
    /// All bits that a position may have.
    known: u64,
    shift: u32,
}

impl Positions {
    /// The largest capacity: a lap keeps at least 28 bits.
    pub const MAX_CAPACITY: u64 = 1 << 32;

    /// The arithmetic for a capacity of 1 to [`Self::MAX_CAPACITY`] slots.
    pub const fn new(capacity: u64) -> Option<Self> {
        if capacity == 0 || capacity > Self::MAX_CAPACITY {
            return None;
        }
        let shift = u64::BITS - (capacity - 1).leading_zeros();
        let lap_bits = if POSITION_BITS - shift < LAP_BITS { POSITION_BITS - shift } else { LAP_BITS };
        let (index_mask, lap_mask) = ((1 << shift) - 1, (1 << lap_bits) - 1);
        Some(Self { capacity, index_mask, lap_mask, known: lap_mask << shift | index_mask, shift })
    }

    /// Slots in the ring.
    #[inline(always)]
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The position of a lap (taken modulo the laps there are) and an index below the capacity.
    pub const fn at(&self, lap: u64, index: u64) -> Position {
        Position((lap & self.lap_mask) << self.shift | index)
    }

    /// Which slot; always below the capacity.
    #[inline(always)]
    pub const fn index(&self, position: Position) -> usize {
        (position.0 & self.index_mask) as usize
    }

    /// Which lap.
    #[inline(always)]
    pub const fn lap(&self, position: Position) -> u64 {
        position.0 >> self.shift
    }

    /// The lap after that of `position`: what its slot becomes when it is free again.
    #[inline(always)]
    pub const fn next_lap(&self, position: Position) -> u64 {
        (self.lap(position) + 1) & self.lap_mask
    }

    /// The position `n` slots on; `n` is at most the capacity.
    #[inline(always)]
    pub const fn after(&self, position: Position, n: u64) -> Position {
        let index = (position.0 & self.index_mask) + n;
        if index < self.capacity {
            Position(position.0 + n)
        } else {
            Position(self.next_lap(position) << self.shift | (index - self.capacity))
        }
    }

    /// The position that follows.
    #[inline(always)]
    pub const fn next(&self, position: Position) -> Position {
        if (position.0 & self.index_mask) + 1 < self.capacity {
            Position(position.0 + 1)
        } else {
            Position(self.next_lap(position) << self.shift)
        }
    }

    /// The same slot one lap earlier.
    pub const fn lap_before(&self, position: Position) -> Position {
        self.at(self.lap(position).wrapping_sub(1), position.0 & self.index_mask)
    }

    /// Slots from `from` to `to`, negative if `to` lies behind.
    pub const fn distance(&self, from: Position, to: Position) -> i64 {
        let laps = self.lap(to).wrapping_sub(self.lap(from)) & self.lap_mask;
        let half = (self.lap_mask >> 1) + 1;
        // At most 2^48 laps at a capacity of up to 2^12, and 2^60 positions at any: no overflow.
        let laps = if laps < half { laps as i64 } else { laps as i64 - self.lap_mask as i64 - 1 };
        laps * self.capacity as i64 + (to.0 & self.index_mask) as i64 - (from.0 & self.index_mask) as i64
    }

    /// Reads position bits that came from shared memory; `None` if no member wrote them.
    #[inline(always)]
    pub const fn checked(&self, bits: u64) -> Option<Position> {
        if bits > self.known || bits & self.index_mask >= self.capacity { None } else { Some(Position(bits)) }
    }

    /// Reads an open cursor; `None` if it is closed, or if no member wrote it. One comparison tells all of it but the index.
    #[inline(always)]
    pub const fn open_cursor(&self, word: u64) -> Option<Position> {
        self.checked(word ^ CURSOR)
    }

    /// Reads a cursor, closed or not; `None` if no member wrote it.
    pub const fn cursor(&self, word: u64) -> Option<Position> {
        self.open_cursor(word & !CLOSED)
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn capacities() -> impl Strategy<Value = u64> {
        prop_oneof![1u64..=9, Just(64), Just(65), Just(8192), Just(8193), Just(1 << 20), Just(Positions::MAX_CAPACITY)]
    }

    #[test]
    fn capacities_that_cannot_be() {
        assert_eq!(Positions::new(0), None);
        assert_eq!(Positions::new(Positions::MAX_CAPACITY + 1), None);
        assert_eq!(Positions::new(u64::MAX), None);
    }

    #[test]
    fn a_word_of_zeros_is_no_cursor() {
        for capacity in 1..9 {
            let ring = Positions::new(capacity).unwrap();
            assert_eq!(ring.cursor(0), None);
            assert_eq!(ring.cursor(CLOSED), None);
            assert_eq!(ring.cursor(u64::MAX), None);
        }
    }

    #[test]
    fn closing_changes_only_what_is_accepted() {
        let ring = Positions::new(3).unwrap();
        let here = ring.at(7, 2);
        assert_eq!(ring.open_cursor(here.cursor()), Some(here));
        assert_eq!(ring.open_cursor(here.cursor() | CLOSED), None);
        assert_eq!(ring.cursor(here.cursor() | CLOSED), Some(here));
    }

    #[test]
    fn the_lap_wraps_to_zero_and_goes_on() {
        let ring = Positions::new(5).unwrap();
        let last = ring.at(u64::MAX, 4);
        let next = ring.next(last);
        assert_eq!((ring.lap(next), ring.index(next)), (0, 0));
        assert_eq!(ring.distance(last, next), 1);
        assert_eq!(ring.distance(next, last), -1);
        assert_eq!(ring.lap_before(ring.at(0, 4)), last);
    }

    proptest! {
        #[test]
        fn distance_counts_steps(capacity in capacities(), lap in any::<u64>(), index in any::<u64>(), steps in 0i64..50) {
            let ring = Positions::new(capacity).unwrap();
            let from = ring.at(lap, index % capacity);
            let mut to = from;
            for _ in 0..steps { to = ring.next(to); }
            if steps as u64 <= capacity { prop_assert_eq!(ring.after(from, steps as u64), to); }
            prop_assert_eq!(ring.distance(from, to), steps);
            prop_assert_eq!(ring.distance(to, from), -steps);
        }

        #[test]
        fn what_is_stored_is_read_back(capacity in capacities(), lap in any::<u64>(), index in any::<u64>()) {
            let ring = Positions::new(capacity).unwrap();
            let here = ring.at(lap, index % capacity);
            prop_assert_eq!(ring.checked(here.bits()), Some(here));
            prop_assert_eq!(ring.open_cursor(here.cursor()), Some(here));
            prop_assert!(here.bits() < 1 << POSITION_BITS);
            prop_assert_eq!(ring.distance(ring.lap_before(here), here), capacity as i64);
        }

        #[test]
        fn any_word_gives_an_index_inside_or_nothing(capacity in capacities(), word in any::<u64>()) {
            let ring = Positions::new(capacity).unwrap();
            for word in [word, word & !CLOSED | CURSOR, word >> 32 | CURSOR] {
                if let Some(position) = ring.cursor(word) {
                    prop_assert!((ring.index(position) as u64) < capacity);
                }
            }
        }
    }
}
