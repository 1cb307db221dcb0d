//! One slot: a word that says whose it is and what its payload is worth, and the payload.
//!
//! | bits  | field    | meaning                                                                   |
//! |-------|----------|---------------------------------------------------------------------------|
//! | 63–16 | lap      | of the position that the slot serves now                                  |
//! | 15–3  | endpoint | row of the loan's holder in WRITING and READING, otherwise 0              |
//! | 2–0   | phase    | below; 0 and 7 are nothing a member writes, so that zeros are no slot word |
//!
//! | phase     | payload                       | left by                                                             |
//! |-----------|-------------------------------|---------------------------------------------------------------------|
//! | EMPTY     | nothing, or being written     | acknowledgement; a claim changes nothing here, the tail tells       |
//! | WRITING   | on loan to a sender           | commit → FULL, drop → TOMB, death → TOMB                            |
//! | FULL      | a message, or being read      | acknowledgement → EMPTY of the next lap, death of its receiver → REDELIVER |
//! | READING   | on loan to a receiver         | acknowledgement → EMPTY of the next lap, drop or death → REDELIVER  |
//! | TOMB      | nothing: its sender died      | the receiver that claims it → EMPTY of the next lap                 |
//! | REDELIVER | a message claimed by the dead | any receiver → READING                                              |

use super::position::{Position, Positions};
use ipc_core::shim::{AtomicU64, UnsafeCell};
use std::mem::MaybeUninit;

/// What the payload of a slot is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// Free, or claimed by a sender that has not committed.
    Empty = 1,
    /// Lent to a sender.
    Writing = 2,
    /// Committed; claimed by a receiver once the head has passed.
    Full = 3,
    /// Lent to a receiver.
    Reading = 4,
    /// To be skipped.
    Tomb = 5,
    /// To be received once more.
    Redeliver = 6,
}

const LAP_SHIFT: u32 = 16;
const ENDPOINT_SHIFT: u32 = 3;
const ENDPOINTS: u64 = (1 << 13) - 1;
const PHASE: u64 = 0b111;

/// The stored form of lap, endpoint and phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotWord(pub u64);

impl SlotWord {
    /// A word without a loan.
    #[inline(always)]
    pub const fn new(lap: u64, phase: Phase) -> Self {
        Self(lap << LAP_SHIFT | phase as u64)
    }

    /// A word on loan to an endpoint.
    pub const fn lent(lap: u64, endpoint: u16, phase: Phase) -> Self {
        Self(lap << LAP_SHIFT | (endpoint as u64 & ENDPOINTS) << ENDPOINT_SHIFT | phase as u64)
    }

    /// Free for the sender of `position`.
    #[inline(always)]
    pub const fn empty(ring: &Positions, position: Position) -> Self {
        Self::new(ring.lap(position), Phase::Empty)
    }

    /// Free for the sender one lap after `position`.
    #[inline(always)]
    pub const fn acknowledged(ring: &Positions, position: Position) -> Self {
        Self::new(ring.next_lap(position), Phase::Empty)
    }

    /// Committed at `position`.
    #[inline(always)]
    pub const fn full(ring: &Positions, position: Position) -> Self {
        Self::new(ring.lap(position), Phase::Full)
    }

    /// A tombstone at `position`.
    #[inline(always)]
    pub const fn tomb(ring: &Positions, position: Position) -> Self {
        Self::new(ring.lap(position), Phase::Tomb)
    }

    /// The phase; `None` for a value that no member writes.
    pub const fn phase(self) -> Option<Phase> {
        Some(match self.0 & PHASE {
            1 => Phase::Empty,
            2 => Phase::Writing,
            3 => Phase::Full,
            4 => Phase::Reading,
            5 => Phase::Tomb,
            6 => Phase::Redeliver,
            _ => return None,
        })
    }

    /// The lap.
    pub const fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    /// The row of the endpoint that has the slot on loan.
    pub const fn endpoint(self) -> u16 {
        (self.0 >> ENDPOINT_SHIFT & ENDPOINTS) as u16
    }
}

/// A slot in shared memory. Whole lines: neighbours never share one, and most messages travel on a single line.
///
/// 1. `payload` is written only by the claimant of a position whose word is EMPTY (or its loan, WRITING).
/// 2. `payload` is read only by the claimant of a position whose word is FULL (or its loan, READING).
#[repr(C, align(64))]
pub struct Slot<T> {
    /// Lap, endpoint, phase.
    pub word: AtomicU64,
    /// The message.
    pub payload: UnsafeCell<MaybeUninit<T>>,
}

#[cfg(not(ipc_loom))]
ipc_core::record! { "slot of a u64", Slot<u64> { word: u64, payload: u64, .. } }

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        for phase in [Phase::Empty, Phase::Writing, Phase::Full, Phase::Reading, Phase::Tomb, Phase::Redeliver] {
            let word = SlotWord::lent((1 << 48) - 1, 8191, phase);
            assert_eq!((word.lap(), word.endpoint(), word.phase()), ((1 << 48) - 1, 8191, Some(phase)));
            assert_eq!(SlotWord::new(3, phase).endpoint(), 0);
        }
    }

    #[test]
    fn zeros_and_ones_are_no_phase() {
        assert_eq!(SlotWord(0).phase(), None);
        assert_eq!(SlotWord(u64::MAX).phase(), None);
    }

    #[test]
    fn a_small_slot_is_one_line_and_a_large_one_whole_lines() {
        assert_eq!(size_of::<Slot<u8>>(), 64);
        assert_eq!(size_of::<Slot<[u8; 56]>>(), 64);
        assert_eq!(size_of::<Slot<[u8; 57]>>(), 128);
        assert_eq!(size_of::<Slot<[u64; 512]>>(), 4096 + 64);
    }
}
