//! A permit word: free, absent, or the member that holds it.
//!
//! ```text
//!  63           32 31    16 15      3  2      1        0
//! ┌───────────────┬────────┬──────────┬───┬────────┬───────┐
//! │  generation   │  row   │    0     │ 0 │ ABSENT │ VALID │
//! └───────────────┴────────┴──────────┴───┴────────┴───────┘
//!   nobody, VALID            free
//!   nobody, VALID, ABSENT    not there: never added, or forgotten
//!   member, VALID            held
//!   anything else            corrupt: a punched hole reads as zero
//! ```
//!
//! No thread is named: a permit belongs to a process, and may go from thread to thread.

use ipc_core::Corrupt;
use ipc_core::raw::Owner;

const VALID: u64 = 0b001;

/// A permit that anybody may take.
pub const FREE: u64 = VALID;
/// A permit that there is not.
pub const ABSENT: u64 = VALID | 0b010;

/// What a permit word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Anybody may take it.
    Free,
    /// There is no such permit at present.
    Absent,
    /// This member has it.
    Held(Owner),
}

/// The word of a permit that `who` holds.
#[inline]
pub fn held_by(who: Owner) -> u64 {
    who.member().word() | VALID
}

/// Reads a word that anybody may have written.
pub fn read(word: u64) -> Result<Seen, Corrupt> {
    let owner = Owner::from_word(word);
    match word {
        FREE => Ok(Seen::Free),
        ABSENT => Ok(Seen::Absent),
        _ if owner.is_somebody() && word == held_by(owner) => Ok(Seen::Held(owner)),
        _ => Err(Corrupt { what: "a permit of the semaphore", found: word }),
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_told_from_every_other() {
        let owner = Owner::new(7, 3, 9);
        assert_eq!(read(FREE), Ok(Seen::Free));
        assert_eq!(read(ABSENT), Ok(Seen::Absent));
        assert_eq!(read(held_by(owner)), Ok(Seen::Held(owner.member())));
        assert_eq!(read(held_by(Owner::new(1, 0, 0))), Ok(Seen::Held(Owner::new(1, 0, 0))));
    }

    #[test]
    fn what_no_member_wrote_is_corrupt() {
        for word in
            [0, 2, 4, 5, u64::MAX, 1 << 16 | 1, held_by(Owner::new(7, 3, 0)) | 2, Owner::new(7, 3, 9).word() | 1]
        {
            assert_eq!(read(word), Err(Corrupt { what: "a permit of the semaphore", found: word }));
        }
    }
}
