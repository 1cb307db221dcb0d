//! The fork gate: as long as somebody holds it, this process does not fork.
//!
//! Not a lock of a library, because it must be found in order by a child that was forked at any moment: one word without
//! queues or tables behind it, which the child handler simply stores anew. (parking_lot keeps the waiters of all locks in one
//! table; a child inherits the entries of threads it does not have. Measured: 4 of 1500 children hung.)
//!
//! | bits | name    | meaning                                                     |
//! |------|---------|-------------------------------------------------------------|
//! | 31   | FORKING | somebody forks or waits to; nobody else may come in         |
//! | 30–0 | holders | threads that hold the gate                                  |
//!
//! A thread that holds it may take it again, also while another waits to fork: that one waits for its first hold to end.
//!
//! The word is in the page that no child inherits, see [`own`]. There is no way through it for an orphan, whatever it was
//! forked from the middle of.

use super::own::{self, Orphan, gate};
use crate::Deadline;
use crate::sys::futex;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

const FORKING: u32 = 1 << 31;

thread_local! {
    /// How often this thread holds the gate.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A hold on the gate, until dropped in the same thread.
#[derive(Debug)]
pub(crate) struct Hold {
    not_send: PhantomData<*mut ()>,
}

/// Keeps the process from forking until dropped. Re-entrant. What lies behind it may be locked, unless this is an orphan.
pub(crate) fn hold() -> Result<Hold, Orphan> {
    own::install();
    if !own::is_in_order() {
        return Err(Orphan);
    }
    let depth = DEPTH.get();
    if depth == 0 {
        enter();
    }
    DEPTH.set(depth + 1);
    Ok(Hold { not_send: PhantomData })
}

fn enter() {
    let mut now = gate().load(Ordering::Relaxed);
    loop {
        if now & FORKING != 0 {
            futex::wait(gate(), now, Deadline::NEVER);
            now = gate().load(Ordering::Relaxed);
            continue;
        }
        // ORDERING: Acquire [gate/G1]: after the fork that was under way.
        match gate().compare_exchange_weak(now, now + 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return,
            Err(changed) => now = changed,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        // Inherited by an orphan: the hold is the parent's.
        if !own::is_in_order() {
            return;
        }
        // ORDERING: Release [gate/G1]: what was done under the gate comes before a fork that waits for it.
        if depth == 0 && gate().fetch_sub(1, Ordering::Release) & FORKING != 0 {
            futex::wake(gate(), u32::MAX);
        }
    }
}

/// Closes the gate and waits until nobody but perhaps the caller holds it.
pub(super) fn close() {
    let mine = u32::from(DEPTH.get() > 0);
    // ORDERING: Acquire [gate/G1], in the loads below.
    while gate().fetch_or(FORKING, Ordering::Acquire) & FORKING != 0 {
        futex::wait(gate(), gate().load(Ordering::Relaxed) | FORKING, Deadline::NEVER);
    }
    loop {
        let now = gate().load(Ordering::Acquire);
        if now & !FORKING == mine {
            return;
        }
        futex::wait(gate(), now, Deadline::NEVER);
    }
}

/// Opens the gate after a fork, in the parent.
pub(super) fn open() {
    // ORDERING: Release [gate/G1].
    gate().fetch_and(!FORKING, Ordering::Release);
    futex::wake(gate(), u32::MAX);
}

/// Opens the gate in the child, which has one thread: the caller, with the holds it had.
pub(super) fn open_in_child() {
    gate().store(u32::from(DEPTH.get() > 0), Ordering::Relaxed);
}
