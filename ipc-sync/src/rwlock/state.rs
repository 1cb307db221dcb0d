//! What the words of a `RwLock` mean: pure functions of 64 bits. The protocol is in `raw`, the essay in the module above.
//!
//! ```text
//!  63           32 31    16 15      3    2       1       0
//! ┌───────────────┬────────┬─────────┬────────┬──────┬───────┐
//! │  generation   │  row   │ number  │ CLOSED │ MANY │ VALID │
//! └───────────────┴────────┴─────────┴────────┴──────┴───────┘
//!
//! an entry   nobody, VALID                 free
//!            owner,  VALID                 one read hold of the thread `number`
//!            owner,  VALID, MANY           `number` read holds of threads of this member
//! the gate   nobody, VALID                 open
//!            owner,  VALID, CLOSED         closed by this thread
//! ```
//!
//! Anything else is corrupt; a punched hole reads as zero, which is neither. CLOSED says nothing that the owner does not,
//! except in the low half, which is what sleepers compare.

use ipc_core::Corrupt;
use ipc_core::raw::Owner;

const VALID: u64 = 0b001;
const MANY: u64 = 0b010;
const CLOSED: u64 = 0b100;
const FLAGS: u64 = 0b111;

/// No read hold.
pub(super) const FREE: u64 = VALID;
/// Readers may come in.
pub(super) const OPEN: u64 = VALID;

/// The gate as this thread closes it.
pub(super) fn closed_by(me: Owner) -> u64 {
    me.word() | VALID | CLOSED
}

/// Who closed the gate.
pub(super) fn closer(gate: u64) -> Result<Owner, Corrupt> {
    let owner = Owner::from_word(gate);
    let valid = gate & FLAGS == VALID | CLOSED && owner.is_somebody();
    if valid { Ok(owner) } else { Err(Corrupt { what: "gate of a RwLock", found: gate }) }
}

/// One hold of this thread.
pub(super) fn one(me: Owner) -> u64 {
    me.word() | VALID
}

/// The member whose threads hold; with its thread if that is known.
pub(super) fn reader(entry: u64) -> Result<Owner, Corrupt> {
    let owner = Owner::from_word(entry);
    let valid = entry & (VALID | CLOSED) == VALID && owner.is_somebody();
    match valid {
        true if is_many(entry) => Ok(owner.member()),
        true => Ok(owner),
        false => Err(Corrupt { what: "reader's entry of a RwLock", found: entry }),
    }
}

/// How many holds an entry stands for.
pub(super) fn holds(entry: u64) -> u32 {
    match reader(entry) {
        Ok(_) if is_many(entry) => Owner::from_word(entry).thread().into(),
        Ok(_) => 1,
        Err(_) => 0,
    }
}

/// An entry with one hold more, if it belongs to the member of `me` and has room.
pub(super) fn one_more(entry: u64, me: Owner) -> Option<u64> {
    let mine = reader(entry).is_ok_and(|owner| owner.member() == me.member());
    (mine && holds(entry) < Owner::MAX_THREAD.into()).then(|| many(me, holds(entry) + 1))
}

/// An entry with one hold less; `None` if the member of `me` has none in it.
pub(super) fn one_less(entry: u64, me: Owner) -> Option<u64> {
    let mine = reader(entry).is_ok_and(|owner| owner.member() == me.member());
    match holds(entry) {
        1 if mine => Some(FREE),
        n if mine && n > 1 => Some(many(me, n - 1)),
        _ => None,
    }
}

/// Whether this very thread is known to hold: its own next wait for the entry would never end.
pub(super) fn is_held_by(entry: u64, me: Owner) -> bool {
    me.thread() != 0 && entry == one(me)
}

fn is_many(entry: u64) -> bool {
    entry & MANY != 0
}

fn many(me: Owner, holds: u32) -> u64 {
    Owner::new(me.generation(), me.row(), holds as u16).word() | VALID | MANY
}

/// The `n`-th entry in the order in which they are tried. Neighbours in that order lie on different cache lines, as long as
/// there are lines: members of neighbouring rows, and threads of neighbouring tokens, do not disturb each other.
pub(super) fn spread<const ENTRIES: usize>(n: usize) -> usize {
    const PER_LINE: usize = 8;
    let n = n % ENTRIES;
    if !ENTRIES.is_multiple_of(PER_LINE) {
        return n;
    }
    let lines = ENTRIES / PER_LINE;
    n % lines * PER_LINE + n / lines
}

/// Where a thread begins to look for an entry, in the order of [`spread`].
pub(super) fn home(me: Owner) -> usize {
    usize::from(me.row()) + usize::from(me.thread())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Owner = Owner::new(7, 3, 5);
    const MY_OTHER_THREAD: Owner = Owner::new(7, 3, 6);
    const MY_SUCCESSOR: Owner = Owner::new(8, 3, 5);

    #[test]
    fn zero_is_nothing() {
        assert!(closer(0).is_err() && reader(0).is_err());
        assert_eq!((holds(0), one_more(0, ME), one_less(0, ME)), (0, None, None));
    }

    #[test]
    fn free_and_open_belong_to_nobody() {
        assert!(reader(FREE).is_err() && closer(OPEN).is_err());
        assert_eq!((holds(FREE), one_more(FREE, ME), one_less(FREE, ME)), (0, None, None));
    }

    #[test]
    fn the_gate_names_who_closed_it() {
        assert_eq!(closer(closed_by(ME)), Ok(ME));
        let row_0 = Owner::new(1, 0, 0);
        assert_ne!(closed_by(row_0) as u32, OPEN as u32, "sleepers compare the low half");
        assert!(reader(closed_by(ME)).is_err() && closer(one(ME)).is_err());
    }

    #[test]
    fn holds_are_counted_up_and_down() {
        let first = one(ME);
        assert_eq!((reader(first), holds(first)), (Ok(ME), 1));
        assert!(is_held_by(first, ME) && !is_held_by(first, MY_OTHER_THREAD));
        let second = one_more(first, MY_OTHER_THREAD).unwrap();
        assert_eq!((reader(second), holds(second)), (Ok(ME.member()), 2));
        assert!(!is_held_by(second, ME), "no longer known");
        let again = one_less(second, ME).unwrap();
        assert_eq!(holds(again), 1);
        assert_eq!(one_less(again, MY_OTHER_THREAD), Some(FREE));
        assert_eq!(one_less(first, ME), Some(FREE));
    }

    #[test]
    fn holds_of_others_are_theirs() {
        assert_eq!((one_more(one(ME), MY_SUCCESSOR), one_less(one(ME), MY_SUCCESSOR)), (None, None));
        let full = many(ME, Owner::MAX_THREAD.into());
        assert_eq!((one_more(full, ME), holds(full)), (None, Owner::MAX_THREAD.into()));
    }

    #[test]
    fn every_entry_is_tried_once_and_neighbours_are_a_line_apart() {
        let order: Vec<_> = (0..64).map(spread::<64>).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).collect::<Vec<_>>());
        assert!(order.windows(8).all(|eight| {
            let mut lines: Vec<_> = eight.iter().map(|at| at / 8).collect();
            lines.sort_unstable();
            lines == [0, 1, 2, 3, 4, 5, 6, 7]
        }));
        assert_eq!((0..3).map(spread::<2>).collect::<Vec<_>>(), [0, 1, 0]);
    }
}
