//! Pollers must not hang behind the dead either, and must not ask the system each time.

#[cfg(not(ipc_loom))]
use crate::deadline::now_ns;
#[cfg(not(ipc_loom))]
use std::cell::Cell;

/// How long a poller meets the same obstacle before it asks whether whoever put it there lives.
#[cfg(not(ipc_loom))]
const PATIENCE_NS: u64 = 1_000_000;

/// Places a thread remembers: pollers go round.
#[cfg(not(ipc_loom))]
const REMEMBERED: usize = 16;

#[derive(Clone, Copy)]
#[cfg(not(ipc_loom))]
struct Met {
    at: usize,
    word: u64,
    since: u64,
}

/// Whether this thread has met this very word at this place for over a millisecond; true at most once per millisecond.
///
/// For verbs that do not wait: a `try_lock` that is refused because of the same owner as before, for so long, asks for its
/// verdict once. `place` tells obstacles apart by its address and is not looked at.
#[cfg(not(ipc_loom))]
pub fn met_for_long<T>(place: &T, word: u64) -> bool {
    thread_local! {
        static MET: Cell<[Met; REMEMBERED]> = const { Cell::new([Met { at: 0, word: 0, since: 0 }; REMEMBERED]) };
    }
    let (at, now) = (std::ptr::from_ref(place).addr(), now_ns());
    let mut met = MET.get();
    let known = met.iter().position(|last| last.at == at);
    let oldest = || (0..REMEMBERED).min_by_key(|&i| met[i].since).unwrap_or(0);
    let last = &mut met[known.unwrap_or_else(oldest)];
    let same = (last.at, last.word) == (at, word);
    let long = same && now.saturating_sub(last.since) > PATIENCE_NS;
    if !same || long {
        *last = Met { at, word, since: now };
        MET.set(met);
    }
    long
}

/// A model has no clock: pollers ask at once where sleepers would, and never where they would not.
#[cfg(ipc_loom)]
pub fn met_for_long<T>(_place: &T, _word: u64) -> bool {
    crate::shim::recheck(super::RECHECK_FIRST) == crate::Deadline::PASSED
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn patience_is_per_place_and_word() {
        let places = [0u8; 2];
        assert!(!met_for_long(&places[0], 7) && !met_for_long(&places[1], 7));
        while !met_for_long(&places[0], 7) {}
        assert!(!met_for_long(&places[0], 7), "asked a moment ago");
        assert!(!met_for_long(&places[0], 8), "another obstacle");
    }
}
