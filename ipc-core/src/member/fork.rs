//! What a `fork` without exec must find in order: the process-local locks free, the tables rebuilt.
//!
//! A forked child has one thread and a copy of everything, including locks that other threads held and rows that belong to
//! its parent. So nobody forks while a thread of the process is in the middle of something: those threads hold the [gate],
//! and the prepare handler closes it. The child opens it anew, forgets the rows, and counts one epoch on, by which guards and
//! endpoints that it inherited know that they are not its own.
//!
//! Everything process-local that is locked (the table of segments, the keeper pages, the cached identity) is locked under the
//! gate only, by the locks of std, which are one word each; and so is free in the child.

use super::gate;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use gate::{Hold, hold};

static EPOCH: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process and this one, modulo 2^32.
///
/// A handle that must not survive a fork notes it when made and compares it on use: one load.
#[inline]
pub fn fork_epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

/// Locks something process-local, under the gate. A panic while it was held left it as good as any other moment.
pub(crate) fn lock<'a, T>(mutex: &'a Mutex<T>, _no_fork: &Hold) -> MutexGuard<'a, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the handlers; called before anything process-local is locked.
///
/// No `Once`: a child forked while another thread was inside would wait for it for ever.
pub(crate) fn install() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !INSTALLED.load(Ordering::Relaxed) && !INSTALLED.swap(true, Ordering::AcqRel) {
        // SAFETY: the three functions are `extern "C"`, live for ever and do not unwind. A failure (out of memory) leaves a
        // process that must not fork, as before.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

extern "C" fn prepare() {
    gate::close();
}

extern "C" fn parent() {
    gate::open();
}

extern "C" fn child() {
    gate::open_in_child();
    EPOCH.fetch_add(1, Ordering::Relaxed);
    let no_fork = hold();
    crate::segment::registry::forget_membership(&no_fork);
    super::table::forget_identity(&no_fork);
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
