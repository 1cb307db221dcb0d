//! `AnonymousSemaphore`: the handle.

use super::state::{Count, CountError, ReleaseError};
use ipc_core::raw::{Kind, Placed, State, View};
use ipc_core::{Corrupt, Deadline};
use std::fmt;
use std::time::{Duration, Instant};

/// A plain count that anybody takes from and anybody adds to: POSIX's and Python's semaphore.
///
/// For hand-over and signalling, where who takes is not who gives back. For "at most n at a time" take
/// [`Semaphore`](crate::Semaphore).
///
/// # Process death
/// Nothing is promised: what a killed process had acquired stays acquired, for nobody knows what that was. Nobody hangs for
/// any other reason: what was released is there, and a waiter that is killed takes nothing.
///
/// # Examples
/// ```
/// use ipc_sync::AnonymousSemaphore;
/// let items = AnonymousSemaphore::new(0)?;
/// std::thread::scope(|s| {
///     s.spawn(|| items.acquire());
///     items.release()
/// })?;
/// assert_eq!(items.available(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AnonymousSemaphore {
    placed: Placed<AnonymousSemaphoreState>,
}

/// An [`AnonymousSemaphore`] in shared memory: a field of a `#[shared]` struct. At first its count is 1. 128 bytes.
#[repr(transparent)]
#[derive(Debug)]
pub struct AnonymousSemaphoreState(Count);

// SAFETY: 1. atomics and a wait word. 2. there is no element type. 3. 64.
unsafe impl State for AnonymousSemaphoreState {
    const KIND: Kind = Kind::ANONYMOUS_SEMAPHORE;
    type Init = u32;
    type Tail = ();
    type Handle = AnonymousSemaphore;

    fn init(new: View<'_, Self>, permits: Option<&u32>) {
        new.0.init(permits.copied().unwrap_or(1));
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        at.0.get().map(drop)
    }

    fn handle(placed: Placed<Self>) -> AnonymousSemaphore {
        AnonymousSemaphore { placed }
    }
}

ipc_core::handle!(
    AnonymousSemaphore of AnonymousSemaphoreState, "a semaphore whose count is `permits`";
    new(permits: u32) => &permits
);

impl AnonymousSemaphore {
    /// Takes one from the count, waiting until it is not 0.
    ///
    /// # Blocking
    /// Spins for 2–3 µs, then sleeps.
    ///
    /// # Process death
    /// What a killed process acquired does not come back.
    ///
    /// # Errors
    /// `Corrupt` if the count is damaged.
    #[inline]
    pub fn acquire(&self) -> Result<(), CountError> {
        self.placed.0.acquire(Deadline::NEVER)
    }

    /// Takes one from the count if it is not 0; else `WouldBlock`.
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

    /// Adds one to the count, and wakes one who waits. Async-signal-safe.
    ///
    /// # Errors
    /// `Overflow` at `u32::MAX`; `Corrupt` if the count is damaged. Nothing is changed then.
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.release_many(1)
    }

    /// Adds `n` to the count, all at once, and wakes so many. Async-signal-safe.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    #[inline]
    pub fn release_many(&self, n: u32) -> Result<(), ReleaseError> {
        self.placed.0.release(n, u32::MAX)
    }

    /// The count; a snapshot. 0 if it is damaged.
    pub fn available(&self) -> u32 {
        self.placed.0.get().unwrap_or(0)
    }
}

/// Never waits.
impl fmt::Debug for AnonymousSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnonymousSemaphore").field("value", &self.available()).finish()
    }
}
