//! The endpoint rows of a queue handle: a few for all threads of the process.
//!
//! A thread has a row only for the few instructions of one attempt, never while it waits, so that one row would do. Under
//! contention up to [`MOST`] are taken; if none is to be had, a thread waits its turn for the one there is.
//!
//! A forked child inherits locks that other threads may hold and rows that are its parent's. So the rows are kept with the
//! fork epoch they belong to; a child puts rows of its own in their place at first use, and lets the old ones be.

use crate::body::Body;
use crate::error::{EndpointError, Failure};
use crate::ring::{Endpoint, JoinError, Role, Stop, Turn, wait};
use ipc_core::raw::fork_epoch;
use ipc_core::{Deadline, Plain};
use parking_lot::{Mutex, MutexGuard};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Rows per handle at most.
const MOST: usize = 4;

/// The rows of one process. The first is always there: it is what makes the handle count as alive.
struct Rows<T: Plain> {
    epoch: u32,
    rows: [Mutex<Option<Endpoint<T>>>; MOST],
}

impl<T: Plain> Rows<T> {
    fn new(body: &Body<T>) -> Result<Self, EndpointError> {
        let epoch = fork_epoch();
        let rows = std::array::from_fn(|_| Mutex::new(None));
        *rows[0].lock() = Some(body.join(Role::Both)?);
        Ok(Self { epoch, rows })
    }

    fn leave(&self) {
        for row in &self.rows {
            if let Some(endpoint) = row.lock().take() {
                endpoint.leave();
            }
        }
    }
}

pub(crate) struct Pool<T: Plain> {
    body: Body<T>,
    current: AtomicPtr<Rows<T>>,
}

// SAFETY: the pointer is to a `Box` of this pool's own, whose content is Sync: endpoints behind mutexes.
unsafe impl<T: Plain> Send for Pool<T> {}
// SAFETY: as for Send.
unsafe impl<T: Plain> Sync for Pool<T> {}

impl<T: Plain> Pool<T> {
    pub fn new(body: Body<T>) -> Result<Self, EndpointError> {
        let rows = Box::new(Rows::new(&body)?);
        Ok(Self { body, current: AtomicPtr::new(Box::into_raw(rows)) })
    }

    pub fn body(&self) -> &Body<T> {
        &self.body
    }

    /// Makes one attempt with a row that nobody else is using.
    #[inline]
    pub fn with<R>(&self, attempt: impl FnOnce(&Endpoint<T>) -> Result<R, Stop>) -> Result<R, Failure> {
        let rows = self.current().map_err(Failure::Endpoint)?;
        if let Some(row) = rows.rows[0].try_lock()
            && let Some(endpoint) = &*row
        {
            return Ok(attempt(endpoint)?);
        }
        let row = self.another(rows).map_err(Failure::Endpoint)?;
        match &*row {
            Some(endpoint) => Ok(attempt(endpoint)?),
            None => Err(Failure::WouldBlock),
        }
    }

    /// Attempts until one succeeds, with no row in hand between attempts, so that any number of threads can.
    #[cold]
    pub fn wait<R>(
        &self,
        side: Role,
        deadline: Deadline,
        attempt: impl FnMut() -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        wait(&self.body.ring, side, deadline, self.body.object.segment(), &Turn::new(0), attempt)
    }

    /// True if polling in vain on this side led to a repair, so that polling again is worth while.
    pub fn repaired(&self, side: Role) -> Result<bool, Failure> {
        self.with(|endpoint| Ok(endpoint.in_vain(side, self.body.object.segment())?))
    }

    /// The first row is busy: another that is not, a new one, or the first when its turn comes.
    #[cold]
    fn another<'a>(&self, rows: &'a Rows<T>) -> Result<MutexGuard<'a, Option<Endpoint<T>>>, EndpointError> {
        for row in &rows.rows[1..] {
            let Some(mut row) = row.try_lock() else { continue };
            if row.is_none() {
                *row = match Endpoint::join_free(self.body.ring, Role::Both, self.body.object.segment()) {
                    Ok(endpoint) => Some(endpoint),
                    Err(JoinError::NoRow) => break,
                    Err(error) => return Err(EndpointError::of(error, self.body.ring.endpoints())),
                };
            }
            return Ok(row);
        }
        Ok(rows.rows[0].lock())
    }

    #[inline]
    fn current(&self) -> Result<&Rows<T>, EndpointError> {
        // SAFETY: always a Box that is dropped only with the pool; replaced ones are leaked on purpose.
        let rows = unsafe { &*self.current.load(Ordering::Acquire) };
        if rows.epoch == fork_epoch() { Ok(rows) } else { self.after_fork(rows) }
    }

    /// This process is a child of the one that took the rows.
    #[cold]
    fn after_fork(&self, old: &Rows<T>) -> Result<&Rows<T>, EndpointError> {
        let fresh = Box::into_raw(Box::new(Rows::new(&self.body)?));
        let old = ptr::from_ref(old).cast_mut();
        match self.current.compare_exchange(old, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just made, and now the pool's. The old rows stay as they are: the parent's, their locks in any state.
            Ok(_) => Ok(unsafe { &*fresh }),
            Err(current) => {
                // SAFETY: nobody else has seen it.
                let fresh = unsafe { Box::from_raw(fresh) };
                fresh.leave();
                // SAFETY: as in `current`; another thread of this process has put it there.
                Ok(unsafe { &*current })
            }
        }
    }
}

impl<T: Plain> Drop for Pool<T> {
    fn drop(&mut self) {
        let rows = *self.current.get_mut();
        // SAFETY: as in `current`.
        if unsafe { &*rows }.epoch == fork_epoch() {
            // SAFETY: nobody else has the pool any more.
            let rows = unsafe { Box::from_raw(rows) };
            rows.leave();
        }
    }
}
