//! Permits of the dead: found by whoever waits, set free by one CAS each.

use super::permit::{self, FREE, Seen};
use super::state::Table;
use ipc_core::Corrupt;
use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::Ordering;
use std::sync::atomic::AtomicU32;

/// How many holders are asked about at one re-check. A verdict costs a system call.
const MOST_ASKED: usize = 64;

/// Where the next round of questions begins: every holder's turn comes, however many there are.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    next: u32,
}

impl Rounds {
    /// Waiters, and the calls of a poller, begin at different places.
    pub fn begin() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self { next: NEXT.fetch_add(MOST_ASKED as u32, Ordering::Relaxed) }
    }
}

impl Table<'_> {
    /// Asks about holders until one is dead, and sets all its permits free; true if there is something to search for.
    ///
    /// # Errors
    /// A permit word that no member wrote.
    #[cold]
    pub fn reclaim(&self, census: &impl Census, rounds: &mut Rounds) -> Result<bool, Corrupt> {
        let mut asked = Asked::default();
        for _ in 0..self.words.len() {
            let index = rounds.next % self.spans.permits();
            // ORDERING: Acquire [sem/S2]: the member row of the holder is at least as new.
            let word = self.words[index as usize].load(Ordering::Acquire);
            match permit::read(word)? {
                // Somebody died between setting it free and raising the sign, or it was set free just now.
                Seen::Free => {
                    self.slot(index).raise_sign();
                    return Ok(true);
                }
                Seen::Absent => {}
                Seen::Held(owner) => match asked.about(owner, word) {
                    Ask::Known => {}
                    Ask::Enough => return Ok(false),
                    Ask::Now if census.verdict(owner) == Verdict::Dead => {
                        self.take_back(word);
                        return Ok(true);
                    }
                    Ask::Now => {}
                },
            }
            rounds.next = index + 1;
        }
        Ok(false)
    }

    /// Sets every permit free that the dead one holds.
    fn take_back(&self, dead: u64) {
        let mut any = false;
        for index in 0..self.spans.permits() {
            let theirs = self.words[index as usize].load(Ordering::Relaxed) == dead;
            // 9. By CAS: others do the same. No ABA: the dead take no permit again, and nobody else has that generation.
            if theirs && self.slot(index).change(dead, FREE) {
                self.slot(index).raise_sign();
                any = true;
            }
        }
        if any {
            // 10. The dead may have slept, too. Wakes everybody.
            self.head.freed.purge();
        }
    }
}

/// Who has been asked about in this round: direct-mapped by row, so that forgetting one costs a second question at most.
struct Asked {
    about: [u64; MOST_ASKED],
    left: usize,
}

enum Ask {
    Known,
    Now,
    Enough,
}

impl Default for Asked {
    fn default() -> Self {
        Self { about: [0; MOST_ASKED], left: MOST_ASKED }
    }
}

impl Asked {
    fn about(&mut self, owner: Owner, word: u64) -> Ask {
        let known = &mut self.about[usize::from(owner.row()) % MOST_ASKED];
        if *known == word {
            Ask::Known
        } else if self.left == 0 {
            Ask::Enough
        } else {
            *known = word;
            self.left -= 1;
            Ask::Now
        }
    }
}
