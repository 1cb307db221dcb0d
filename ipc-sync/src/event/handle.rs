//! `Event`: the handle.

use super::state::{EventError, EventState, Reset};
use ipc_core::raw::{Kind, Placed, State, View, WaitWord, Waitable};
use ipc_core::{Corrupt, Deadline};
use std::fmt;
use std::time::{Duration, Instant};

/// Something happens, and whoever waits for it, in any process, goes on.
///
/// With [`Reset::Manual`] it stays set until [`clear`](Self::clear), and everybody gets through; `set(); clear()` back to back
/// lets everybody through who was already waiting. With [`Reset::Auto`] whoever gets through clears it, so one waiter does for
/// each time that it is set while it is not.
///
/// # Differences from `multiprocessing.Event`
/// - [`set`](Self::set) waits for nobody, whoever was killed, and may be called from a signal handler.
/// - No waiter that was there is left behind by `set(); clear()`.
///
/// # Process death
/// A waiter that is killed is missed by nobody: it had taken an automatic event, or the event is still set. Who is killed while
/// setting it has set it, or not; sleepers notice within 50 ms.
///
/// # Examples
/// ```
/// use ipc_sync::{Event, Reset};
/// let ready = Event::new(Reset::Manual)?;
/// std::thread::scope(|s| {
///     s.spawn(|| ready.wait());
///     ready.set();
/// });
/// assert!(ready.is_set());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Event {
    placed: Placed<EventState>,
}

// SAFETY: 1. atomics and a wait word. 2. there is no element type. 3. 64.
unsafe impl State for EventState {
    const KIND: Kind = Kind::EVENT;
    type Init = Reset;
    type Tail = ();
    type Handle = Event;

    fn init(new: View<'_, Self>, reset: Option<&Reset>) {
        new.state().init(reset.copied().unwrap_or(Reset::Manual));
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        at.state().check()
    }

    fn handle(placed: Placed<Self>) -> Event {
        Event { placed }
    }
}

ipc_core::handle!(Event of EventState, "an event that is not set"; new(reset: Reset) => &reset);

impl Event {
    /// Sets it: everybody who waits goes on, or one, with [`Reset::Auto`]. Nothing happens if it is set.
    ///
    /// What was done before is visible to whoever gets through. Async-signal-safe. On a damaged event it does nothing.
    ///
    /// # Blocking
    /// Never: waiters that were killed or stopped are not waited for.
    pub fn set(&self) {
        self.placed.set();
    }

    /// Unsets it. Who waits already and was let through by a `set` goes on all the same, unless waits reset it.
    pub fn clear(&self) {
        self.placed.clear();
    }

    /// Whether it is set; a snapshot.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.placed.is_set()
    }

    /// Whether waits leave it set: as it was made.
    pub fn reset(&self) -> Reset {
        self.placed.reset()
    }

    /// Waits until it is set, or has been since this call began.
    ///
    /// # Blocking
    /// Spins for 2–3 µs, then sleeps.
    ///
    /// # Errors
    /// `Corrupt` if the event is damaged.
    #[inline]
    pub fn wait(&self) -> Result<(), EventError> {
        self.placed.wait(Deadline::NEVER)
    }

    /// As [`wait`](Self::wait), giving up with `Timeout` after `timeout`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), EventError> {
        self.placed.wait(Deadline::after(timeout))
    }

    /// As [`wait`](Self::wait), giving up with `Timeout` at `deadline`.
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), EventError> {
        self.placed.wait(Deadline::at(deadline))
    }
}

#[cfg(feature = "raw_sync")]
impl Event {
    pub(crate) fn state(&self) -> &EventState {
        &self.placed
    }
}

impl Waitable for Event {
    fn moment(&self) -> u64 {
        self.placed.moment()
    }

    fn is_ready(&self, since: u64) -> bool {
        self.placed.is_ready(since)
    }

    fn wait_word(&self) -> &WaitWord {
        self.placed.wait_word()
    }
}

/// Never waits: `Event(set)` or `Event(unset)`.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({})", if self.is_set() { "set" } else { "unset" })
    }
}

impl fmt::Debug for EventState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_set() { "set" } else { "unset" };
        f.debug_struct("EventState").field("word", &word).field("waiters", &self.wait_word().waiters().count()).finish()
    }
}
