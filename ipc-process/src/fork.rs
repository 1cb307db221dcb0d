//! A fork without exec: the forked process has copies of everything here except the supervisor's thread.
//!
//! | step                        | who                  | what                                                                      |
//! |-----------------------------|----------------------|---------------------------------------------------------------------------|
//! | before the fork             | the forking thread   | takes `START` and `STATE`: no child is half started, no record half written |
//! | after it, in the parent     | the same             | releases both                                                             |
//! | after it, in the new process | its only thread     | closes its copies of the sockets and of what the supervisor slept on; forgets the orders and arguments of threads that it does not have; counts one up; releases both |
//!
//! The new process has no children. Handles that it inherited can look and send signals, which the pidfds they still have
//! allow, but not wait. Its first spawn makes a supervisor of its own.
//!
//! Arguments are forgotten, not dropped: their destructors are the user's, and the original is the parent's to drop.
//! What forks by the bare system call runs no handlers, and must not use this crate before it calls exec.

use crate::supervisor::{START, STATE, State};
use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{MutexGuard, PoisonError};

/// How many forks lie between the first process with these statics and this one.
static EPOCH: AtomicU32 = AtomicU32::new(0);

/// Both locks, while a fork is under way.
struct Held(UnsafeCell<Option<(MutexGuard<'static, ()>, MutexGuard<'static, State>)>>);

// SAFETY: the cell is used only by the fork handlers. Those run in the forking thread, which puts the guards in once it has
// them and takes them out before it lets go of the locks: the locks themselves exclude all others.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// See [`EPOCH`]; a handle of another epoch was inherited.
pub(crate) fn epoch() -> u32 {
    // ORDERING: Relaxed: it changes only while a process has one thread.
    EPOCH.load(Ordering::Relaxed)
}

/// Installs the handlers for this process and all that come from it. `pthread_atfork(3)`
///
/// Called once, before `main`: later, another thread might fork between the first use of the locks and the installation.
pub(crate) fn watch() -> io::Result<()> {
    // SAFETY: the handlers are functions of the object this code is in; the C library forgets them when it unloads that.
    let error = unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

extern "C" fn before() {
    let start = START.lock().unwrap_or_else(PoisonError::into_inner);
    let state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let cell = HELD.0.get();
    // SAFETY: this thread holds both locks, so no other is between `before` and its counterpart.
    unsafe { *cell = Some((start, state)) };
}

fn held() -> Option<(MutexGuard<'static, ()>, MutexGuard<'static, State>)> {
    let cell = HELD.0.get();
    // SAFETY: called by the thread that filled the cell in `before`, or by its copy, the only thread of a new process.
    unsafe { (*cell).take() }
}

extern "C" fn after_in_parent() {
    drop(held());
}

extern "C" fn after_in_child() {
    // ORDERING: Relaxed: this process has one thread.
    EPOCH.fetch_add(1, Ordering::Relaxed);
    let Some((start, mut state)) = held() else { return };
    state.forget_parent();
    drop((start, state));
}

impl State {
    fn forget_parent(&mut self) {
        // Closing copies of descriptors changes nothing for the parent.
        self.events = None;
        for order in self.orders.drain(..) {
            let crate::start::Order { arguments, streams, keep, answer, .. } = order;
            drop(streams);
            std::mem::forget((arguments, keep));
            // Its other end belongs to a thread that does not exist here.
            std::mem::forget(answer);
        }
        self.children.retain(|_, record| {
            record.socket = None;
            record.inbox = Default::default();
            std::mem::forget(record.keep.take());
            record.has_handle
        });
    }
}
