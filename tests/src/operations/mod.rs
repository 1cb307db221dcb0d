//! The registered operations: one file per object, one line per operation.
//!
//! | file      | objects                                                       |
//! |-----------|---------------------------------------------------------------|
//! | controls  | broken on purpose: what the tool must find                    |
//! | wait_word | `raw::WaitWord`                                               |
//! | ledger    | what victims write down about their work, for checks          |
//! | locked    | what Value, Array, Lock, RLock and RwLock have in common      |
//! | value, array, lock, rlock, rwlock | the rest of each                      |
//! | lock_all  | several locks at once                                         |
//! | condition, barrier, once | with live sleepers and parties beside the victim |
//! | semaphore | Semaphore and BoundedSemaphore                                |
//! | count     | AnonymousSemaphore and BinarySemaphore                        |
//! | event     | Event                                                         |
//! | directory | objects in a segment: create, open, attach                    |
//! | segment   | segments: create, open, unlink, attach, leave                 |
//! | shared    | shared structs: create, open, attach, handles of fields      |
//! | lifetime  | names that go with their last member; segments in files       |
//! | queue     | queues and their endpoints                                    |

mod array;
mod barrier;
mod condition;
mod controls;
mod count;
mod directory;
mod event;
mod ledger;
mod lifetime;
mod lock;
mod lock_all;
mod locked;
mod once;
mod queue;
mod rlock;
mod rwlock;
mod segment;
mod semaphore;
mod shared;
mod value;
mod wait_word;

use crate::child::Child;
use crate::registry::Registry;

/// Every registered operation of the workspace.
pub fn all() -> Registry {
    // Asked once per process, with much reading in /proc: here, and not by each victim in the middle of an operation.
    let _ = ipc_core::raw::Backoff::new();
    let mut registry = Registry::default();
    controls::register(&mut registry);
    wait_word::register(&mut registry);
    value::register(&mut registry);
    array::register(&mut registry);
    lock::register(&mut registry);
    rlock::register(&mut registry);
    rwlock::register(&mut registry);
    lock_all::register(&mut registry);
    condition::register(&mut registry);
    barrier::register(&mut registry);
    once::register(&mut registry);
    semaphore::register(&mut registry);
    count::register(&mut registry);
    event::register(&mut registry);
    directory::register(&mut registry);
    segment::register(&mut registry);
    shared::register(&mut registry);
    lifetime::register(&mut registry);
    queue::register(&mut registry);
    registry
}

/// The child of somebody else: its memory is all one can look at.
fn wait_until_gone(sleeper: &Child) {
    let stat = format!("/proc/{}/stat", sleeper.pid());
    let running = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
    while running() {
        std::thread::yield_now();
    }
}
