//! The handle of a condition.

use super::cell::Cell;
use super::state::{ConditionError, ConditionHead, Ended, Waiting, Wake};
use ipc_core::raw::{Fixed, Guard, Guarded, Kind, Place, Placed, State, View};
use ipc_core::{Corrupt, Deadline, Error, ErrorKind, Segment, SegmentOptions};
use std::fmt;
use std::time::{Duration, Instant};

/// Waits, with a lock released, until somebody says that something may have changed.
///
/// Used with the guard of any lock over plain data: a [`Lock`](crate::Lock), an `ipc_core::Value`, an `ipc_core::Array`.
/// [`wait`](Self::wait) consumes the guard and returns it. The first wait binds the condition to its lock for good; the guard
/// of another one is [`ConditionError::WrongLock`].
///
/// Who waits owns one of the condition's *cells*, 64 unless [`cells`](ConditionOptions::cells) says otherwise, of 32 bytes each.
///
/// # Differences from `multiprocessing.Condition` and `std::sync::Condvar`
/// - It has no lock of its own: `Condition::new()` beside the `Lock` or `Value` that it is about. The lock is not recursive.
/// - `notify` never waits for those whom it wakes, so it cannot hang behind one that died.
/// - `notify` needs no lock, as in std. But a notifier that does not hold the lock, and has not held it since it changed what
///   is waited for, may come between a waiter's look and its sleep; and one that unlocks first may be killed in between.
/// - A timed wait says *why* it ended: [`Wake::TimedOut`] is a time-out and nothing else.
///
/// # Process death
/// - *A waiter* that is killed is not waited for; if it had been notified, its notification goes to another one that waited
///   already, within 100 ms.
/// - *The holder of the lock*, who may have been about to notify: if it had begun to write, all waiters get
///   `Inconsistent` within 100 ms (those that sleep when somebody [`recover`](crate::Lock::recover)s first do not: notify them);
///   otherwise a waiter that notices returns with [`Wake::HolderDied`].
/// - *A notifier* that is killed inside `notify(n)` has notified up to n.
/// - *A child forked* by a process whose threads wait does not wait; a guard that it inherited panics.
///
/// # Examples
/// ```
/// use ipc_sync::{Condition, Lock};
/// let (jobs, arrived) = (Lock::new(0u32)?, Condition::new()?);
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         let mut guard = arrived.wait_while(jobs.lock().unwrap(), |jobs| *jobs == 0).unwrap();
///         *guard -= 1;
///     });
///     *jobs.lock().unwrap() += 1;
///     arrived.notify_one();
/// });
/// assert_eq!(*jobs.lock()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "Condvar")]
pub struct Condition {
    placed: Placed<ConditionHead>,
}

/// A [`Condition`] in shared memory, with so many cells: a field of a `#[shared]` struct. 64 bytes and 32 for each cell.
pub type ConditionState<const CELLS: usize = DEFAULT_CELLS> = Fixed<ConditionHead, CELLS>;

/// How many can wait at once unless the creator says otherwise.
const DEFAULT_CELLS: usize = 64;
/// A cell is counted in 32 bits, and looked at by whoever notifies.
const MOST_CELLS: usize = 1 << 16;

// SAFETY: 1. atomics, in the head and in the cells. 2. there is one layout. 3. 64 and 32.
unsafe impl State for ConditionHead {
    const KIND: Kind = Kind::CONDITION;
    type Init = usize;
    type Tail = Cell;
    type Handle = Condition;

    fn len(cells: &usize, _members: u32) -> Result<usize, Error> {
        if (1..=MOST_CELLS).contains(cells) {
            return Ok(*cells);
        }
        Err(ErrorKind::InvalidArgument { what: "number of cells", found: cells.to_string(), expected: "1 to 65536" }
            .into())
    }

    fn init(new: View<'_, Self>, _cells: Option<&usize>) {
        new.state().init(new.tail());
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        check_count("number of cells of a condition", at.tail().len(), MOST_CELLS)
    }

    fn handle(placed: Placed<Self>) -> Condition {
        Condition { placed }
    }
}

ipc_core::handle!(tailed Condition of ConditionHead, "a condition"; new() => &DEFAULT_CELLS);

/// Refuses a number of elements that no creator gave.
pub(crate) fn check_count(what: &'static str, found: usize, most: usize) -> Result<(), Corrupt> {
    if (1..=most).contains(&found) { Ok(()) } else { Err(Corrupt { what, found: found as u64 }) }
}

impl Condition {
    /// Choices for a new condition.
    pub fn options() -> ConditionOptions {
        ConditionOptions { cells: DEFAULT_CELLS, segment: SegmentOptions::default() }
    }

    /// Unlocks, waits for a notification, and locks again.
    ///
    /// It may end without a notification if the lock's holder dies, so call it in a loop that looks at the data, or use
    /// [`wait_while`](Self::wait_while).
    ///
    /// # Blocking
    /// Until notified, and then until the lock is free.
    ///
    /// # Process death
    /// See [`Condition`].
    ///
    /// # Errors
    /// Whatever the error, the lock is not held any more. [`WrongLock`](ConditionError::WrongLock);
    /// [`NoCell`](ConditionError::NoCell) if as many living ones wait as there are cells; [`Lock`](ConditionError::Lock) if the
    /// lock was not given back: its holder died writing.
    ///
    /// # Panics
    /// If the guard was inherited by `fork`.
    pub fn wait<'a, T: ?Sized + Guarded>(&self, guard: Guard<'a, T>) -> Result<Guard<'a, T>, ConditionError> {
        self.wait_by(guard, Deadline::NEVER).map(|(guard, _)| guard)
    }

    /// As [`wait`](Self::wait), for `timeout` at most: the time bounds the wait for a notification, not that for the lock.
    ///
    /// # Examples
    /// ```
    /// use ipc_sync::{Condition, Lock};
    /// use std::time::Duration;
    /// let (lock, condition) = (Lock::new(())?, Condition::new()?);
    /// let (guard, wake) = condition.wait_timeout(lock.lock()?, Duration::from_millis(1))?;
    /// assert!(wake.timed_out());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        timeout: Duration,
    ) -> Result<(Guard<'a, T>, Wake), ConditionError> {
        self.wait_by(guard, Deadline::after(timeout))
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline`.
    pub fn wait_deadline<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        deadline: Instant,
    ) -> Result<(Guard<'a, T>, Wake), ConditionError> {
        self.wait_by(guard, Deadline::at(deadline))
    }

    /// Waits as long as `blocked` says so of the data, which it is asked under the lock: first of all, and after each wake.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_while<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        blocked: impl FnMut(&T) -> bool,
    ) -> Result<Guard<'a, T>, ConditionError> {
        self.wait_while_by(guard, blocked, Deadline::NEVER).map(|(guard, _)| guard)
    }

    /// As [`wait_while`](Self::wait_while), for `timeout` at most; true if `blocked` is false now, and false only after the time
    /// has passed.
    pub fn wait_while_timeout<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        blocked: impl FnMut(&T) -> bool,
        timeout: Duration,
    ) -> Result<(Guard<'a, T>, bool), ConditionError> {
        self.wait_while_by(guard, blocked, Deadline::after(timeout))
    }

    /// As [`wait_while_timeout`](Self::wait_while_timeout), until `deadline`.
    pub fn wait_while_deadline<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        blocked: impl FnMut(&T) -> bool,
        deadline: Instant,
    ) -> Result<(Guard<'a, T>, bool), ConditionError> {
        self.wait_while_by(guard, blocked, Deadline::at(deadline))
    }

    /// Waits until `ready` says so of the data: [`wait_while`](Self::wait_while), the other way round, as Python has it.
    pub fn wait_for<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        mut ready: impl FnMut(&T) -> bool,
    ) -> Result<Guard<'a, T>, ConditionError> {
        self.wait_while(guard, |data| !ready(data))
    }

    /// As [`wait_for`](Self::wait_for), for `timeout` at most; true if `ready` is true now, and false only after the time has
    /// passed.
    pub fn wait_for_timeout<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        mut ready: impl FnMut(&T) -> bool,
        timeout: Duration,
    ) -> Result<(Guard<'a, T>, bool), ConditionError> {
        self.wait_while_timeout(guard, |data| !ready(data), timeout)
    }

    /// As [`wait_for_timeout`](Self::wait_for_timeout), until `deadline`.
    pub fn wait_for_deadline<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        mut ready: impl FnMut(&T) -> bool,
        deadline: Instant,
    ) -> Result<(Guard<'a, T>, bool), ConditionError> {
        self.wait_while_deadline(guard, |data| !ready(data), deadline)
    }

    /// Notifies the one that has waited longest; whether anybody waited. With nobody waiting it is not remembered.
    ///
    /// Never waits, and may be called from a signal handler. Hold the lock, or have held it since you changed what is waited
    /// for: then everybody who saw the old state is found.
    ///
    /// # Process death
    /// A waiter that died gets its notification passed on to another; a notifier that is killed before it returns has notified
    /// one, or none.
    pub fn notify_one(&self) -> bool {
        self.notify(1) == 1
    }

    /// Notifies up to `n`, the longest waiting first; how many. As [`notify_one`](Self::notify_one).
    pub fn notify(&self, n: usize) -> usize {
        self.waiting().notify(n)
    }

    /// Notifies everybody who waits; how many. As [`notify_one`](Self::notify_one).
    pub fn notify_all(&self) -> usize {
        self.notify(usize::MAX)
    }

    /// How many wait and have not been notified, the dead among them included; a snapshot.
    pub fn waiters(&self) -> usize {
        self.waiting().count()
    }

    fn waiting(&self) -> Waiting<'_, Segment> {
        Waiting { head: &self.placed, cells: self.placed.tail(), census: self.placed.segment() }
    }

    fn wait_by<'a, T: ?Sized + Guarded>(
        &self,
        guard: Guard<'a, T>,
        deadline: Deadline,
    ) -> Result<(Guard<'a, T>, Wake), ConditionError> {
        let waiting = self.waiting();
        let mut wait = waiting.enter(Guard::lock_id(&guard))?;
        let lock = Guard::unlock(guard);
        let ended = waiting.sleep(&mut wait, deadline, || lock.is_lost());
        let relocked = lock.lock(Deadline::NEVER);
        // Under the lock, or refused it: in any case we do not wait any more.
        let notified = waiting.leave(wait);
        let guard = relocked?;
        Ok((
            guard,
            match (notified?, ended?) {
                (true, _) | (false, Ended::Notified) => Wake::Notified,
                (false, Ended::LockLost) => Wake::HolderDied,
                (false, Ended::Deadline) => Wake::TimedOut,
            },
        ))
    }

    fn wait_while_by<'a, T: ?Sized + Guarded>(
        &self,
        mut guard: Guard<'a, T>,
        mut blocked: impl FnMut(&T) -> bool,
        deadline: Deadline,
    ) -> Result<(Guard<'a, T>, bool), ConditionError> {
        while blocked(&guard) {
            let (again, wake) = self.wait_by(guard, deadline)?;
            guard = again;
            if wake.timed_out() {
                let met = !blocked(&guard);
                return Ok((guard, met));
            }
        }
        Ok((guard, true))
    }
}

/// Never waits.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiters", &self.waiters()).field("cells", &self.placed.tail().len()).finish()
    }
}

/// Choices for a new [`Condition`].
///
/// ```
/// let condition = ipc_sync::Condition::options().cells(1000).new()?;
/// # Ok::<(), ipc_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConditionOptions {
    cells: usize,
    segment: SegmentOptions,
}

impl ConditionOptions {
    /// How many can wait at once: 1 to 65 536.
    pub fn cells(mut self, cells: usize) -> Self {
        self.cells = cells;
        self
    }

    /// Choices for a segment of its own.
    pub fn segment(mut self, segment: SegmentOptions) -> Self {
        self.segment = segment;
        self
    }

    /// See [`Condition::new`].
    ///
    /// # Errors
    /// Also `InvalidArgument` for a number of cells that cannot be.
    #[allow(clippy::new_ret_no_self, clippy::wrong_self_convention)]
    pub fn new(&self) -> Result<Condition, Error> {
        self.place(Place::New)
    }

    /// See [`Condition::create`].
    pub fn create(&self, name: &str) -> Result<Condition, Error> {
        self.place(Place::Create(name))
    }

    /// See [`Condition::open_or_create`].
    pub fn open_or_create(&self, name: &str) -> Result<Condition, Error> {
        self.place(Place::OpenOrCreate(name))
    }

    /// See [`Condition::new_in`].
    pub fn new_in(&self, segment: &Segment) -> Result<Condition, Error> {
        self.place(Place::NewIn(segment))
    }

    /// See [`Condition::create_in`].
    pub fn create_in(&self, segment: &Segment, name: &str) -> Result<Condition, Error> {
        self.place(Place::CreateIn(segment, name))
    }

    /// See [`Condition::place`].
    pub fn place(&self, place: Place<'_>) -> Result<Condition, Error> {
        Placed::place(place, &self.cells, &self.segment).map(|placed| Condition { placed })
    }
}
