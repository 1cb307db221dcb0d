//! The word of an event.
//!
//! ```text
//!  63                              8 7    3    2      1       0
//! ┌─────────────────────────────────┬──────┬──────┬───────┬───────┐
//! │  generation: how often set      │  0   │ AUTO │  SET  │ VALID │
//! └─────────────────────────────────┴──────┴──────┴───────┴───────┘
//!   VALID missing, or another bit below 8: corrupt; a punched hole reads as zero
//! ```
//!
//! | state | set                  | clear | a wait gets through                          | which leaves it             |
//! |-------|----------------------|-------|----------------------------------------------|-----------------------------|
//! | unset | set, generation + 1  | unset | if the generation moved on since it began; not AUTO | unset                |
//! | set   | set                  | unset | yes                                          | set; AUTO: unset            |

use super::state::Reset;
use ipc_core::Corrupt;

const VALID: u64 = 0b001;
const SET: u64 = 0b010;
const AUTO: u64 = 0b100;
const ZERO: u64 = 0b1111_1000;
const ONE_GENERATION: u64 = 1 << 8;
const FLAGS: u64 = ONE_GENERATION - 1;

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// Not set, and never was.
    pub fn unset(reset: Reset) -> Self {
        Self(VALID | if reset == Reset::Auto { AUTO } else { 0 })
    }

    /// Whether a member can have written it.
    #[inline]
    pub fn check(self) -> Result<(), Corrupt> {
        if self.0 & (VALID | ZERO) == VALID { Ok(()) } else { Err(Corrupt { what: "the event", found: self.0 }) }
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(self) -> bool {
        self.0 & (VALID | SET) == VALID | SET
    }

    /// Which kind it is.
    #[inline]
    pub fn reset(self) -> Reset {
        if self.0 & AUTO != 0 { Reset::Auto } else { Reset::Manual }
    }

    /// The word after a set.
    pub fn set(self) -> Self {
        if self.0 & SET != 0 { self } else { Self((self.0 | SET).wrapping_add(ONE_GENERATION)) }
    }

    /// The word after a clear, or after an automatic one.
    pub fn clear(self) -> Self {
        Self(self.0 & !SET)
    }

    /// Whether one who began to wait at `before` gets through now.
    #[inline]
    pub fn lets_through(self, before: Self) -> bool {
        self.is_set() || self.reset() == Reset::Manual && self.0 & !FLAGS != before.0 & !FLAGS
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn set_and_clear_are_idempotent() {
        for reset in [Reset::Manual, Reset::Auto] {
            let unset = Word::unset(reset);
            let set = unset.set();
            assert!(set.is_set() && !unset.is_set() && set.reset() == reset);
            assert_eq!(set.set(), set);
            assert_eq!(set.clear().clear(), set.clear());
            assert!(!set.clear().is_set() && set.clear() != unset);
            assert!([unset, set, set.clear()].iter().all(|word| word.check().is_ok()));
        }
    }

    /// EV06: who waited before `set(); clear()` gets through; who comes later does not, and never with AUTO.
    #[test]
    fn a_generation_lets_those_through_who_were_there() {
        let before = Word::unset(Reset::Manual);
        let after = before.set().clear();
        assert!(after.lets_through(before) && !after.lets_through(after));
        assert!(before.set().lets_through(before.set()));
        let before = Word::unset(Reset::Auto);
        assert!(!before.set().clear().lets_through(before) && before.set().lets_through(before));
    }

    #[test]
    fn the_generation_wraps_into_nothing_else() {
        let last = Word(!FLAGS | VALID);
        assert_eq!(last.set(), Word(VALID | SET));
        assert!(last.set().clear().lets_through(last));
    }

    #[test]
    fn what_no_member_wrote_is_corrupt_and_not_set() {
        for word in [0, SET, AUTO, ZERO | VALID, u64::MAX] {
            assert_eq!(Word(word).check(), Err(Corrupt { what: "the event", found: word }));
        }
        assert!(!Word(SET).is_set());
    }
}
