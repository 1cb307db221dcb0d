//! What a `fork` without exec must find in order: the process-local locks free, the tables rebuilt.
//!
//! A forked child has one thread and a copy of everything, including locks that other threads held and rows that belong to
//! its parent. So nobody forks while a thread of the process is in the middle of something: those threads hold the *gate*
//! for reading, and the prepare handler takes it for writing. The child gets a fresh gate, forgets the rows, and counts one
//! epoch on, by which guards and endpoints that it inherited know that they are not its own.
//!
//! Everything process-local that is locked (the table of segments, the keeper pages, the cached identity) is locked under the
//! gate only, and so is free in the child.

use parking_lot::{RwLock, RwLockReadGuard};
use std::cell::UnsafeCell;
use std::sync::Once;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

static EPOCH: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process and this one, modulo 2^32.
///
/// A handle that must not survive a fork notes it when made and compares it on use: one load.
#[inline]
pub fn fork_epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

struct Gate(UnsafeCell<RwLock<()>>);

// SAFETY: the cell is written only by the child handler, when the process has a single thread; otherwise it is the lock's.
unsafe impl Sync for Gate {}

static GATE: Gate = Gate(UnsafeCell::new(RwLock::new(())));

/// Keeps the process from forking until dropped. Re-entrant.
pub(crate) fn hold() -> RwLockReadGuard<'static, ()> {
    gate().read_recursive()
}

fn gate() -> &'static RwLock<()> {
    // SAFETY: see `Sync`: nobody writes while another thread exists.
    unsafe { &*GATE.0.get() }
}

/// Installs the handlers; called before the first segment is mapped.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the three functions are `extern "C"`, live for ever and do not unwind. A failure (out of memory) leaves a
        // process that must not fork, as before.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
}

extern "C" fn prepare() {
    std::mem::forget(gate().write());
}

extern "C" fn parent() {
    // SAFETY: `prepare` took the write lock in this thread and forgot the guard.
    unsafe { gate().force_unlock_write() };
}

extern "C" fn child() {
    // SAFETY: the only thread of a new process; whoever was parked on the old value does not exist here.
    unsafe { GATE.0.get().write(RwLock::new(())) };
    EPOCH.fetch_add(1, Ordering::Relaxed);
    crate::segment::registry::forget_membership();
    super::table::forget_identity();
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
