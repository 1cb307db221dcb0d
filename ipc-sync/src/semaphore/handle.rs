//! `Semaphore`, and the permits it gives.

use super::spans::{MAX_PERMITS, Spans};
use super::state::{Head, Slot, Table, first_word};
use ipc_core::raw::{Fixed, Kind, Owner, Placed, State, View, fork_epoch};
use ipc_core::shim::{AtomicU64, Ordering};
use ipc_core::{Corrupt, Error, ErrorKind};
use std::fmt;

/// At most so many at a time: a number of permits that threads of any processes take and give back, and that come back by
/// themselves when their holder is killed.
///
/// `Semaphore::new(permits, maximum)` has `permits` at first; [`add_permits`](Self::add_permits) makes more, up to `maximum`,
/// and [`Permit::forget`] fewer. The maximum is the size of a table, 8 bytes for each and 256 in front; as a field of a
/// `#[shared]` struct it is part of the type, [`SemaphoreState<N>`](SemaphoreState).
///
/// # Differences from `multiprocessing.Semaphore`
/// - Only who has a [`Permit`] releases, by dropping it; `release()` by anybody is [`AnonymousSemaphore`](crate::AnonymousSemaphore)'s.
/// - There is a maximum, so `add_permits` can fail, and does so exactly.
/// - A holder that is killed leaves nothing behind.
///
/// # Process death
/// See [`acquire`](Self::acquire). A holder that is *stopped* keeps its permits.
///
/// # Fork
/// A child inherits no permits: a [`Permit`] that it finds in its memory releases nothing there.
///
/// # Examples
/// ```
/// use ipc_sync::{AcquireError, Semaphore};
/// let slots = Semaphore::new(2, 2)?;
/// let (one, two) = (slots.acquire()?, slots.try_acquire()?);
/// assert_eq!(slots.try_acquire().err(), Some(AcquireError::WouldBlock));
/// drop(one);
/// assert_eq!(slots.available(), 1);
///
/// // A permit may go to another thread together with the work it is for.
/// std::thread::scope(|s| {
///     s.spawn(move || drop(two));
/// });
/// assert_eq!(slots.acquire_many(2)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Semaphore {
    placed: Placed<Head>,
}

/// A [`Semaphore`] of at most `N` permits in shared memory: a field of a `#[shared]` struct. At first all `N` are free.
///
/// 256 bytes and 8 for each permit.
pub type SemaphoreState<const N: usize> = Fixed<Head, N>;

/// What a [`Semaphore`] is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreInit {
    /// Permits at first.
    pub permits: u32,
    /// How many there can ever be, 1 to [`MAX_PERMITS`].
    pub maximum: u32,
}

// SAFETY: 1. atomics only, the tail too. 2. there is no element type. 3. 64.
unsafe impl State for Head {
    const KIND: Kind = Kind::SEMAPHORE;
    type Init = SemaphoreInit;
    type Tail = AtomicU64;
    type Handle = Semaphore;

    fn len(init: &SemaphoreInit, _members: u32) -> Result<usize, Error> {
        table_len(init)
    }

    fn init(new: View<'_, Self>, init: Option<&SemaphoreInit>) {
        init_table(new.state(), new.tail(), init.map(|init| init.permits));
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        check_len(at.tail().len())
    }

    fn handle(placed: Placed<Self>) -> Semaphore {
        Semaphore { placed }
    }
}

/// Words of a table, if there can be such a semaphore.
pub(super) fn table_len(init: &SemaphoreInit) -> Result<usize, Error> {
    let refused = |what, found: u32, expected| {
        Err(ErrorKind::InvalidArgument { what, found: found.to_string(), expected }.into())
    };
    match *init {
        SemaphoreInit { maximum, .. } if !(1..=MAX_PERMITS).contains(&maximum) => {
            refused("the maximum of a semaphore", maximum, "1 to 65536 permits")
        }
        SemaphoreInit { permits, maximum } if permits > maximum => {
            refused("the number of permits at first", permits, "at most the maximum")
        }
        SemaphoreInit { maximum, .. } => Ok(maximum as usize),
    }
}

/// Writes a fresh table; all permits are free unless `free` says how many.
pub(super) fn init_table(head: &Head, words: &[AtomicU64], free: Option<u32>) {
    let maximum = words.len() as u32;
    let free = free.unwrap_or(maximum);
    head.init(Spans::of(maximum), free);
    for (index, word) in words.iter().enumerate() {
        // ORDERING: Relaxed: whoever publishes the memory around it publishes this.
        word.store(first_word(index as u32, free), Ordering::Relaxed);
    }
}

/// Refuses a table that no member can have made.
pub(super) fn check_len(len: usize) -> Result<(), Corrupt> {
    let fits = u32::try_from(len).is_ok_and(|len| len <= MAX_PERMITS);
    if fits { Ok(()) } else { Err(Corrupt { what: "number of permits in a directory entry", found: len as u64 }) }
}

ipc_core::handle!(
    tailed Semaphore of Head, "a semaphore with `permits` free permits of at most `maximum`";
    new(permits: u32, maximum: u32) => &SemaphoreInit { permits, maximum }
);

impl Semaphore {
    permit_methods!();

    #[inline]
    fn table(&self) -> Table<'_> {
        Table::new(&self.placed, self.placed.tail())
    }
}

/// Never waits: shows how many permits are free, and how many wait for one.
impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("value", &self.available())
            .field("maximum", &self.maximum())
            .field("waiters", &self.table().waiters())
            .finish()
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphoreHead").field("waiters", &self.freed.waiters().count()).finish_non_exhaustive()
    }
}

/// A permit of a semaphore, until dropped.
///
/// It belongs to the process, not to the thread: nothing is guarded by it but a number, so it may be sent to the thread that
/// does the work it is for (which is why a semaphore cannot tell a thread that it waits for itself).
///
/// Dropping it is async-signal-safe: three atomic accesses and, if somebody sleeps, a system call.
///
/// # Process death
/// If its process is killed it is free again, as [`Semaphore::acquire`] says. A leaked one is held until its process ends or
/// drops its last handle of the segment. One inherited by `fork` releases nothing in the child.
#[must_use = "the permit is given back when this is dropped"]
pub struct Permit<'a> {
    slot: Slot<'a>,
    me: Owner,
    epoch: u32,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(slot: Slot<'a>, me: Owner) -> Self {
        Self { slot, me, epoch: fork_epoch() }
    }

    /// Keeps the permit from ever coming back: there is one fewer, until [`Semaphore::add_permits`].
    ///
    /// # Process death
    /// Killed inside, it is forgotten, or free again.
    pub fn forget(self) {
        if self.epoch == fork_epoch() {
            self.slot.forget(self.me);
        }
        // Not given back by `drop`: the word no longer names us, but it may soon again, for another permit.
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.epoch == fork_epoch() {
            self.slot.release(self.me);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("owner", &self.me.member()).finish_non_exhaustive()
    }
}

/// Several permits taken at once, until dropped; what is said of a [`Permit`] holds for each, but dropping frees memory and is
/// not async-signal-safe.
#[must_use = "the permits are given back when this is dropped"]
#[derive(Debug)]
pub struct Permits<'a> {
    permits: Vec<Permit<'a>>,
}

impl<'a> Permits<'a> {
    pub(super) fn new(table: Table<'a>, (indexes, me): (Vec<u32>, Owner)) -> Self {
        Self { permits: indexes.into_iter().map(|index| Permit::new(table.slot(index), me)).collect() }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.permits.len()
    }

    /// Whether they are none.
    pub fn is_empty(&self) -> bool {
        self.permits.is_empty()
    }

    /// Keeps them from ever coming back, see [`Permit::forget`].
    pub fn forget(self) {
        self.permits.into_iter().for_each(Permit::forget);
    }
}

/// One by one, to be given back one by one.
impl<'a> IntoIterator for Permits<'a> {
    type Item = Permit<'a>;
    type IntoIter = std::vec::IntoIter<Permit<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.permits.into_iter()
    }
}
