//! The count in memory, on the heap or in a segment. See the [module](super) for the steps.

use ipc_core::raw::{Backoff, Pad, Pause, Slept, WaitWord};
use ipc_core::shim::{AtomicU64, Ordering};
use ipc_core::{Corrupt, Deadline};

/// A number of permits that belong to nobody.
///
/// ```text
///  63          33 32            1   0
/// ┌──────────────┬───────────────┬───────┐
/// │      0       │  count        │ VALID │      anything else is corrupt: a punched hole reads as zero
/// └──────────────┴───────────────┴───────┘
/// ```
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Count {
    word: AtomicU64,
    rest: Pad<56>,
    released: WaitWord,
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<Count>() == 128);

const VALID: u64 = 1;
const ONE: u64 = 2;

/// Why no permit was taken.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    /// `try_`: the count is 0.
    #[error("the count is 0")]
    WouldBlock,
    /// The time passed and the count was 0.
    #[error("the count was 0 all the time")]
    Timeout,
    /// The word holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why nothing was released.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The count would be above its maximum. It was not changed.
    #[error("{asked} released at {found}, of at most {maximum}")]
    Overflow {
        /// Permits that were to be released.
        asked: u32,
        /// The count.
        found: u32,
        /// What it may be at most.
        maximum: u32,
    },
    /// The word holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

fn word_of(count: u32) -> u64 {
    (u64::from(count) * ONE) | VALID
}

fn count(word: u64) -> Result<u32, Corrupt> {
    let corrupt = Corrupt { what: "the count of the semaphore", found: word };
    if word & VALID == 0 { Err(corrupt) } else { u32::try_from(word >> 1).map_err(|_| corrupt) }
}

impl Count {
    /// So many permits.
    #[cfg(any(test, ipc_loom))]
    pub fn new(permits: u32) -> Self {
        Self { word: AtomicU64::new(word_of(permits)), rest: Pad::new(), released: WaitWord::new() }
    }

    /// The same of zero bytes, in place.
    #[cfg(not(ipc_loom))]
    pub(super) fn init(&self, permits: u32) {
        // ORDERING: Relaxed: whoever publishes the memory around it publishes this.
        self.word.store(word_of(permits), Ordering::Relaxed);
    }

    /// The count; a snapshot.
    pub fn get(&self) -> Result<u32, Corrupt> {
        count(self.word.load(Ordering::Acquire))
    }

    /// Takes one, if the count is not 0.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), CountError> {
        // ORDERING: Acquire in the CAS below [count/C1].
        let mut now = self.word.load(Ordering::Relaxed);
        while count(now)? > 0 {
            // 1. ORDERING: Acquire [count/C1]: what was done before the release.
            match self.word.compare_exchange_weak(now, now - ONE, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(changed) => now = changed,
            }
        }
        Err(CountError::WouldBlock)
    }

    /// Takes one, waiting until `deadline`.
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<(), CountError> {
        match self.try_acquire() {
            Err(CountError::WouldBlock) => self.acquire_slow(deadline),
            done => done,
        }
    }

    #[cold]
    fn acquire_slow(&self, deadline: Deadline) -> Result<(), CountError> {
        let (mut backoff, mut pause) = (Backoff::new(), Pause::new());
        let mut last = false;
        loop {
            match self.try_acquire() {
                Err(CountError::WouldBlock) if last => return Err(CountError::Timeout),
                Err(CountError::WouldBlock) => {}
                done => return done,
            }
            if backoff.spin() {
                continue;
            }
            // 4. ORDERING: SeqCst [wait/W1]: not before the registration.
            let ready = || self.word.load(Ordering::SeqCst) != VALID;
            let slept = self.released.sleep(&mut pause, deadline, ready);
            last = slept == Slept::Deadline || deadline.has_passed();
        }
    }

    /// Adds `n`, unless that makes more than `maximum`. Async-signal-safe.
    #[inline]
    pub fn release(&self, n: u32, maximum: u32) -> Result<(), ReleaseError> {
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            let found = count(now)?;
            if found.checked_add(n).is_none_or(|sum| sum > maximum) {
                return Err(ReleaseError::Overflow { asked: n, found, maximum });
            }
            let next = now + u64::from(n) * ONE;
            // 2. ORDERING: SeqCst: [count/C1] publishes what was done before; [wait/W1] before sleepers are looked for.
            match self.word.compare_exchange_weak(now, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break,
                Err(changed) => now = changed,
            }
        }
        // 3.
        self.released.notify(n);
        Ok(())
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_down_and_up() {
        let count = Count::new(1);
        assert_eq!(count.try_acquire(), Ok(()));
        assert_eq!(count.try_acquire(), Err(CountError::WouldBlock));
        assert_eq!(count.acquire(Deadline::PASSED), Err(CountError::Timeout));
        assert_eq!(count.release(3, 3), Ok(()));
        assert_eq!(count.release(1, 3), Err(ReleaseError::Overflow { asked: 1, found: 3, maximum: 3 }));
        assert_eq!(count.get(), Ok(3));
    }

    #[test]
    fn the_largest_count_overflows_into_an_error() {
        let count = Count::new(u32::MAX);
        assert!(count.release(1, u32::MAX).is_err() && count.release(0, u32::MAX).is_ok());
        assert_eq!(count.get(), Ok(u32::MAX));
        assert!(Count::new(5).release(u32::MAX, u32::MAX).is_err());
    }

    #[test]
    fn what_no_member_wrote_is_corrupt() {
        for word in [0, 2, u64::MAX, 1 << 40 | 1] {
            let count = Count::new(0);
            count.word.store(word, Ordering::Relaxed);
            let corrupt = Corrupt { what: "the count of the semaphore", found: word };
            assert_eq!(count.try_acquire(), Err(corrupt.into()));
            assert_eq!(count.acquire(Deadline::NEVER), Err(corrupt.into()));
            assert_eq!(count.release(1, 9), Err(corrupt.into()));
        }
    }
}
