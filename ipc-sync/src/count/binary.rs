//! `BinarySemaphore`: the handle.

use super::state::{Count, CountError, ReleaseError};
use ipc_core::raw::{Kind, Placed, State, View};
use ipc_core::{Corrupt, Deadline};
use std::fmt;
use std::time::{Duration, Instant};

/// A turn that is handed over: taken here, given back there, by another thread or process.
///
/// The counterpart of `multiprocessing.Lock` where it is released by somebody else. For mutual exclusion take
/// [`Lock`](crate::Lock), whose holder is known.
///
/// # Process death
/// Nothing is promised: the turn of a killed process is gone, since nobody knows that it had it. Somebody may give it back.
///
/// # Examples
/// ```
/// use ipc_sync::BinarySemaphore;
/// let turn = BinarySemaphore::new(false)?;
/// std::thread::scope(|s| {
///     s.spawn(|| turn.release());
///     turn.acquire()
/// })?;
/// turn.release()?;
/// assert!(turn.release().is_err() && turn.is_available());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BinarySemaphore {
    placed: Placed<BinarySemaphoreState>,
}

/// A [`BinarySemaphore`] in shared memory: a field of a `#[shared]` struct. At first it is available. 128 bytes.
#[repr(transparent)]
#[derive(Debug)]
pub struct BinarySemaphoreState(Count);

// SAFETY: 1. atomics and a wait word. 2. there is no element type. 3. 64.
unsafe impl State for BinarySemaphoreState {
    const KIND: Kind = Kind::BINARY_SEMAPHORE;
    type Init = bool;
    type Tail = ();
    type Handle = BinarySemaphore;

    fn init(new: View<'_, Self>, available: Option<&bool>) {
        new.0.init(available.copied().unwrap_or(true).into());
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        at.0.get().map(drop)
    }

    fn handle(placed: Placed<Self>) -> BinarySemaphore {
        BinarySemaphore { placed }
    }
}

ipc_core::handle!(
    BinarySemaphore of BinarySemaphoreState, "a turn, taken or `available`";
    new(available: bool) => &available
);

impl BinarySemaphore {
    /// Takes the turn, waiting for it. Taking it twice in one thread waits until somebody gives it back.
    ///
    /// # Blocking
    /// Spins for 2–3 µs, then sleeps.
    ///
    /// # Process death
    /// The turn of a killed process does not come back by itself.
    ///
    /// # Errors
    /// `Corrupt` if it is damaged.
    #[inline]
    pub fn acquire(&self) -> Result<(), CountError> {
        self.placed.0.acquire(Deadline::NEVER)
    }

    /// Takes the turn if it is available; else `WouldBlock`.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), CountError> {
        self.placed.0.try_acquire()
    }

    /// As [`acquire`](Self::acquire), giving up with `Timeout` after `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<(), CountError> {
        self.placed.0.acquire(Deadline::after(timeout))
    }

    /// As [`acquire`](Self::acquire), giving up with `Timeout` at `deadline`.
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<(), CountError> {
        self.placed.0.acquire(Deadline::at(deadline))
    }

    /// Gives the turn back, whoever took it, and wakes one who waits. Async-signal-safe.
    ///
    /// # Errors
    /// `Overflow` if it was available; `Corrupt` if it is damaged. Nothing is changed then.
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.placed.0.release(1, 1)
    }

    /// Whether the turn can be taken; a snapshot.
    pub fn is_available(&self) -> bool {
        self.placed.0.get().is_ok_and(|count| count > 0)
    }
}

/// Never waits.
impl fmt::Debug for BinarySemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BinarySemaphore").field("available", &self.is_available()).finish()
    }
}
