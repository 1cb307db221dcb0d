//! `BoundedSemaphore`: a semaphore whose maximum is its start value.

use super::handle::{SemaphoreInit, check_len, init_table, table_len};
use super::state::{Head, Table};
use ipc_core::raw::{Fixed, Kind, Placed, State, View};
use ipc_core::shim::AtomicU64;
use ipc_core::{Corrupt, Error};
use std::fmt;

/// A [`Semaphore`](crate::Semaphore) of which all permits are there at first, and no more ever.
///
/// [`add_permits`](Self::add_permits) only brings back what was [forgotten](crate::Permit::forget); anything more is `Full`, and
/// exactly so, however many try at once. (The check of Python's is racy, and says so.)
///
/// # Process death
/// As for `Semaphore`.
///
/// # Examples
/// ```
/// use ipc_sync::{AddError, BoundedSemaphore};
/// let slots = BoundedSemaphore::new(2)?;
/// assert_eq!(slots.add_permits(1), Err(AddError::Full { asked: 1, room: 0 }));
/// slots.acquire()?.forget();
/// assert_eq!(slots.available(), 1);
/// slots.add_permits(1)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BoundedSemaphore {
    placed: Placed<BoundedSemaphoreHead>,
}

/// A [`BoundedSemaphore`] of `N` permits in shared memory: a field of a `#[shared]` struct. 256 bytes and 8 for each permit.
pub type BoundedSemaphoreState<const N: usize> = Fixed<BoundedSemaphoreHead, N>;

/// What the permits of a [`BoundedSemaphore`] follow.
#[repr(transparent)]
#[derive(Debug)]
pub struct BoundedSemaphoreHead(Head);

// SAFETY: as for `Head`, which it is.
unsafe impl State for BoundedSemaphoreHead {
    const KIND: Kind = Kind::BOUNDED_SEMAPHORE;
    type Init = u32;
    type Tail = AtomicU64;
    type Handle = BoundedSemaphore;

    fn len(&permits: &u32, _members: u32) -> Result<usize, Error> {
        table_len(&SemaphoreInit { permits, maximum: permits })
    }

    fn init(new: View<'_, Self>, _permits: Option<&u32>) {
        init_table(&new.state().0, new.tail(), None);
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        check_len(at.tail().len())
    }

    fn handle(placed: Placed<Self>) -> BoundedSemaphore {
        BoundedSemaphore { placed }
    }
}

ipc_core::handle!(
    tailed BoundedSemaphore of BoundedSemaphoreHead, "a semaphore with `permits` permits";
    new(permits: u32) => &permits
);

impl BoundedSemaphore {
    permit_methods!();

    #[inline]
    fn table(&self) -> Table<'_> {
        Table::new(&self.placed.0, self.placed.tail())
    }
}

/// Never waits: shows how many permits are free, and how many wait for one.
impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore")
            .field("value", &self.available())
            .field("maximum", &self.maximum())
            .field("waiters", &self.table().waiters())
            .finish()
    }
}
