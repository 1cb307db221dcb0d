//! The words of a barrier: what they say, and nothing else.
//!
//! ```text
//! control                                             place
//!  63             24 23        8 7     4 3    0        63           32 31    16 15        3 2    0
//! ┌─────────────────┬───────────┬───────┬──────┐      ┌───────────────┬────────┬───────────┬──────┐
//! │      pass       │   place   │ cause │ kind │      │  generation   │  row   │    tag    │ kind │
//! └─────────────────┴───────────┴───────┴──────┘      └───────────────┴────────┴───────────┴──────┘
//!   FILLING  the pass waits for its parties             FREE     nobody's
//!   ACTING   all have come; the party at `place`        ABSENT   a party that is not waiting now
//!            runs its action                            ARRIVED  it waits in the pass of the tag, or has not left yet
//!   BROKEN   for `cause`; `place`: who died, or acted   TOLD     it waited in that pass when the barrier was reset
//!   anything else: corrupt                              anything else: corrupt
//! ```
//!
//! A place names a member, not a thread, since it is processes that die. The tag is the low 13 bits of the pass in which the
//! place last changed, also of a free one: so a compare-exchange that was meant for an earlier pass fails.

use ipc_core::Corrupt;
use ipc_core::raw::Owner;

const KIND: u64 = 0b111;
const TAG_SHIFT: u32 = 3;
const TAG: u64 = (1 << 13) - 1;
/// Pass numbers have 40 bits: at a million passes a second, twelve days; then they begin again.
const PASS: u64 = (1 << 40) - 1;

/// Why a barrier is broken, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Died = 1,
    TimedOut = 2,
    Aborted = 3,
    Reset = 4,
    Panicked = 5,
}

const CAUSES: [Cause; 5] = [Cause::Died, Cause::TimedOut, Cause::Aborted, Cause::Reset, Cause::Panicked];

/// What a control word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Filling,
    Acting { place: usize },
    Broken { cause: Cause, place: usize },
}

/// A control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub number: u64,
    pub control: Control,
}

impl Pass {
    pub const FIRST: Self = Self { number: 0, control: Control::Filling };

    /// The next pass, waiting for its parties.
    pub const fn next(self) -> Self {
        Self { number: (self.number + 1) & PASS, control: Control::Filling }
    }

    /// The same pass, otherwise.
    pub const fn with(self, control: Control) -> Self {
        Self { number: self.number, control }
    }

    pub const fn word(self) -> u64 {
        let low = match self.control {
            Control::Filling => 1,
            Control::Acting { place } => (place as u64 & 0xffff) << 8 | 2,
            Control::Broken { cause, place } => (place as u64 & 0xffff) << 8 | (cause as u64) << 4 | 3,
        };
        self.number << 24 | low
    }

    pub fn read(word: u64) -> Result<Self, Corrupt> {
        let place = (word >> 8 & 0xffff) as usize;
        let cause = CAUSES.into_iter().find(|&cause| cause as u64 == word >> 4 & 0xf);
        let control = match (word & 0xf, cause) {
            (1, None) if word & 0xff_fff0 == 0 => Control::Filling,
            (2, None) if word & 0xf0 == 0 => Control::Acting { place },
            (3, Some(cause)) => Control::Broken { cause, place },
            _ => return Err(Corrupt { what: "control word of a barrier", found: word }),
        };
        Ok(Self { number: word >> 24, control })
    }
}

/// What a place word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Free,
    Absent,
    Arrived,
    Told,
}

/// A place word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// The member; meaningless if the place is free.
    pub owner: Owner,
    tag: u64,
    pub kind: Kind,
}

impl Seat {
    pub fn free(pass: u64) -> Self {
        Self { owner: Owner::from_word(0), tag: pass & TAG, kind: Kind::Free }
    }

    /// A member's place, changed in this pass.
    pub fn of(owner: Owner, kind: Kind, pass: u64) -> Self {
        Self { owner: owner.member(), tag: pass & TAG, kind }
    }

    /// Whether its owner waits in this pass.
    pub fn arrived_in(self, pass: u64) -> bool {
        self.kind == Kind::Arrived && self.tag == pass & TAG
    }

    pub fn is_of(self, owner: Owner) -> bool {
        self.owner == owner.member()
    }

    pub fn word(self) -> u64 {
        let kind = match self.kind {
            Kind::Free => 1,
            Kind::Absent => 2,
            Kind::Arrived => 3,
            Kind::Told => 4,
        };
        self.owner.word() | self.tag << TAG_SHIFT | kind
    }

    pub fn read(word: u64) -> Result<Self, Corrupt> {
        let owner = Owner::from_word(word).member();
        let kind = match (word & KIND, owner.is_somebody()) {
            (1, false) if owner.word() == 0 => Kind::Free,
            (2, true) => Kind::Absent,
            (3, true) => Kind::Arrived,
            (4, true) => Kind::Told,
            _ => return Err(Corrupt { what: "place of a barrier", found: word }),
        };
        Ok(Self { owner, tag: word >> TAG_SHIFT & TAG, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_comes_back() {
        let all = CAUSES.map(|cause| Control::Broken { cause, place: 0xffff });
        for control in [Control::Filling, Control::Acting { place: 7 }, Control::Acting { place: 0 }].iter().chain(&all)
        {
            let pass = Pass { number: PASS, control: *control };
            assert_eq!(Pass::read(pass.word()), Ok(pass));
        }
        assert_eq!(Pass { number: PASS, control: Control::Filling }.next(), Pass::FIRST);
    }

    #[test]
    fn every_seat_comes_back() {
        let owner = Owner::new(3, 9, 77);
        for kind in [Kind::Absent, Kind::Arrived, Kind::Told] {
            let seat = Seat::of(owner, kind, 8191);
            assert_eq!(Seat::read(seat.word()), Ok(seat));
            assert!(seat.is_of(Owner::new(3, 9, 1)), "a place is a member's, whichever thread waits");
        }
        assert_eq!(Seat::read(Seat::free(5).word()), Ok(Seat::free(5)));
        assert!(Seat::of(owner, Kind::Arrived, 5).arrived_in(5) && !Seat::of(owner, Kind::Arrived, 5).arrived_in(6));
    }

    #[test]
    fn what_no_member_wrote_is_corrupt() {
        for word in [0, 4, 0x13, 3, 0x53, 0x12, 0x11, 0x101, u64::MAX] {
            if word != 0x13 && word != 0x53 {
                assert!(Pass::read(word).is_err(), "{word:#x}");
            }
        }
        for word in [0, 2, 3, 5, Owner::new(1, 0, 0).word() | 1, Owner::new(0, 1, 0).word() | 1, u64::MAX] {
            assert!(Seat::read(word).is_err(), "{word:#x}");
        }
    }
}
