//! What a `fork` without exec must find in order: the process-local locks free, the tables rebuilt.
//!
//! A forked child has one thread and a copy of everything, including locks that other threads held and rows that belong to
//! its parent. So nobody forks while a thread of the process is in the middle of something: those threads hold the [gate],
//! and the prepare handler closes it. The child opens it anew, forgets the rows, and counts one epoch on, by which guards and
//! endpoints that it inherited know that they are not its own.
//!
//! Everything process-local that is locked (the table of segments, the keeper pages, the cached identity) is locked under the
//! gate only, by the locks of std, which are one word each; and so is free in the child.
//!
//! A child of the bare system call has none of this, and [notices](super::own): nobody gets through its gate.

use super::{gate, own};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use gate::{Hold, hold};

/// The epoch of the process that is about to fork, for its child; 0 for the child of an orphan.
static PARENTS: AtomicU32 = AtomicU32::new(0);

/// Locks something process-local, under the gate. A panic while it was held left it as good as any other moment.
pub(crate) fn lock<'a, T>(mutex: &'a Mutex<T>, _no_fork: &Hold) -> MutexGuard<'a, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers the handlers, the first time it is called.
pub(super) fn install_handlers() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::AcqRel) {
        // SAFETY: the three functions are `extern "C"`, live for ever and do not unwind. After a failure (out of memory)
        // every forked child is an orphan, which gets errors.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

extern "C" fn prepare() {
    // The gate of an orphan is nobody's.
    if own::is_in_order() {
        gate::close();
    }
    PARENTS.store(own::epoch(), Ordering::Relaxed);
}

extern "C" fn parent() {
    if own::is_in_order() {
        gate::open();
    }
}

extern "C" fn child() {
    match PARENTS.load(Ordering::Relaxed) {
        0 => return,
        parents => own::start_epoch_after(parents),
    }
    gate::open_in_child();
    if let Ok(no_fork) = hold() {
        crate::segment::registry::forget_membership(&no_fork);
        super::table::forget_identity(&no_fork);
    }
}

/// The token of the calling thread: unique in its process, never reused, 0 once 8 191 threads have had one.
#[inline]
pub(crate) fn thread_token() -> u16 {
    thread_local! {
        static TOKEN: std::cell::Cell<u16> = const { std::cell::Cell::new(u16::MAX) };
    }
    let token = TOKEN.get();
    if token != u16::MAX {
        return token;
    }
    let fresh = next_token();
    TOKEN.set(fresh);
    fresh
}

#[cold]
fn next_token() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let most = crate::raw::Owner::MAX_THREAD;
    NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n <= most).then_some(n + 1)).unwrap_or(0)
}
