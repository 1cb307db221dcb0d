//! The protocol of the word. The steps are those of the [module](super).

use ipc_core::raw::{Backoff, Census, Owner, Pause, Slept, Verdict};
use ipc_core::shim::{Futex64, Ordering};
use ipc_core::{Corrupt, Deadline, MemberError};
use std::fmt;

const VALID: u64 = 0b001;
const TRIED: u64 = 0b010;
const DONE: u64 = 0b100;
const FLAGS: u64 = 0b111;

/// The word.
#[repr(transparent)]
pub struct OnceLine {
    word: Futex64,
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<OnceLine>() == 8);

/// Why something is not initialised after a call.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnceError {
    /// Somebody else was still initialising when the time passed.
    #[error("somebody else was still initialising when the time passed")]
    Timeout,
    /// The initialiser calls for itself and would wait for itself for ever.
    #[error("this thread is the one that initialises")]
    WouldDeadlock,
    /// The initialiser forked: the initialisation is the parent process's.
    #[error("this process was forked by the initialiser; the initialisation belongs to its parent")]
    Forked,
    /// The word holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// This process is not a member of the segment and could not become one (first use after a fork).
    #[error(transparent)]
    Member(#[from] MemberError),
}

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Nobody { tried: bool },
    Running(Owner),
    Done,
}

fn read(word: u64) -> Result<Says, Corrupt> {
    let owner = Owner::from_word(word);
    match (word & FLAGS & !TRIED, owner.is_somebody()) {
        (VALID, true) => Ok(Says::Running(owner)),
        _ if word & !TRIED == VALID => Ok(Says::Nobody { tried: word & TRIED != 0 }),
        _ if word == VALID | DONE => Ok(Says::Done),
        _ => Err(Corrupt { what: "word of a Once", found: word }),
    }
}

impl OnceLine {
    /// Nobody has begun.
    pub fn new() -> Self {
        Self { word: Futex64::new(VALID) }
    }

    /// The same, of zero bytes.
    pub fn init(&self) {
        // ORDERING: Relaxed: whoever publishes the memory around it publishes this.
        self.word.store(VALID, Ordering::Relaxed);
    }

    /// As somebody left it who began and did not end: for models, which cannot kill.
    #[cfg(ipc_loom)]
    pub fn left_running(owner: Owner) -> Self {
        Self { word: Futex64::new(running(owner, false)) }
    }

    /// Step 1: whether it is done.
    #[inline]
    pub fn is_done(&self) -> bool {
        // ORDERING: Acquire [once/O1].
        self.word.load(Ordering::Acquire) == VALID | DONE
    }

    /// Runs `init` unless it is done, or waits for whoever runs it; `init` is told whether somebody tried before. What it makes
    /// is given to `store`, before it is done.
    #[inline]
    pub fn call<V>(
        &self,
        census: &impl Census,
        init: impl FnOnce(bool) -> V,
        store: impl FnOnce(V),
        deadline: Deadline,
    ) -> Result<(), OnceError> {
        if self.is_done() { Ok(()) } else { self.call_slow(census, init, store, deadline) }
    }

    #[cold]
    fn call_slow<V>(
        &self,
        census: &impl Census,
        init: impl FnOnce(bool) -> V,
        store: impl FnOnce(V),
        deadline: Deadline,
    ) -> Result<(), OnceError> {
        let me = census.me()?;
        let (mut backoff, mut pause) = (Backoff::new(), Pause::new());
        loop {
            // ORDERING: Acquire [once/O1], [once/O2].
            let seen = self.word.load(Ordering::Acquire);
            match read(seen)? {
                Says::Done => return Ok(()),
                // 2.
                Says::Nobody { tried } if self.begin(seen, me, tried) => {
                    return self.run(census, (me, tried), init, store);
                }
                Says::Nobody { .. } => {}
                Says::Running(owner) if owner == me && me.thread() != 0 => return Err(OnceError::WouldDeadlock),
                Says::Running(_) if deadline != Deadline::PASSED && backoff.spin() => continue,
                Says::Running(owner) => {
                    // 7.
                    self.word.wait(seen, deadline.min(pause.due()));
                    let slept = pause.ended(deadline);
                    // 8.
                    if slept != Slept::Woken
                        && self.word.load(Ordering::Relaxed) == seen
                        && census.verdict(owner) == Verdict::Dead
                        && self.begin(seen, me, true)
                    {
                        return self.run(census, (me, true), init, store);
                    }
                }
            }
            if deadline.has_passed() {
                return if self.is_done() { Ok(()) } else { Err(OnceError::Timeout) };
            }
        }
    }

    fn begin(&self, seen: u64, me: Owner, tried: bool) -> bool {
        // ORDERING: AcqRel [once/O2].
        self.word.compare_exchange(seen, running(me, tried), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Steps 3 to 6.
    fn run<V>(
        &self,
        census: &impl Census,
        (me, tried): (Owner, bool),
        init: impl FnOnce(bool) -> V,
        store: impl FnOnce(V),
    ) -> Result<(), OnceError> {
        let mut attempt = Attempt { line: self, census, me, tried, becomes: VALID | TRIED };
        // 3.
        let made = init(tried);
        if attempt.is_inherited() {
            return Err(OnceError::Forked);
        }
        store(made);
        attempt.becomes = VALID | DONE;
        Ok(())
    }
}

impl fmt::Debug for OnceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match read(self.word.load(Ordering::Relaxed)) {
            Ok(says) => write!(f, "Once({says:?})"),
            Err(corrupt) => write!(f, "Once({corrupt:?})"),
        }
    }
}

impl Default for OnceLine {
    fn default() -> Self {
        Self::new()
    }
}

fn running(me: Owner, tried: bool) -> u64 {
    me.word() | VALID | if tried { TRIED } else { 0 }
}

/// While the initialiser runs: whatever happens to it, the word stops naming us.
struct Attempt<'a, C: Census> {
    line: &'a OnceLine,
    census: &'a C,
    me: Owner,
    tried: bool,
    becomes: u64,
}

impl<C: Census> Attempt<'_, C> {
    /// Whether the initialiser forked, and this is the child.
    fn is_inherited(&self) -> bool {
        self.census.me().map_or(true, |now| now.member() != self.me.member())
    }
}

impl<C: Census> Drop for Attempt<'_, C> {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        let word = &self.line.word;
        // 4., 6. ORDERING: AcqRel [once/O1]. Lost: to somebody who scribbles.
        let _ = word.compare_exchange(running(self.me, self.tried), self.becomes, Ordering::AcqRel, Ordering::Relaxed);
        // 5.
        word.wake(u32::MAX);
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_state_comes_back() {
        let me = Owner::new(3, 5, 9);
        assert_eq!(read(VALID), Ok(Says::Nobody { tried: false }));
        assert_eq!(read(VALID | TRIED), Ok(Says::Nobody { tried: true }));
        assert_eq!(read(VALID | DONE), Ok(Says::Done));
        for tried in [false, true] {
            assert_eq!(read(running(me, tried)), Ok(Says::Running(me)));
        }
    }

    #[test]
    fn what_no_member_wrote_is_corrupt() {
        let me = Owner::new(3, 5, 9).word();
        for word in [0, TRIED, DONE, DONE | VALID | TRIED, me, me | DONE | VALID, Owner::new(0, 5, 9).word() | VALID] {
            assert!(read(word).is_err(), "{word:#x}");
        }
    }
}
