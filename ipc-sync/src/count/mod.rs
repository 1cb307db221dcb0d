//! `AnonymousSemaphore` and `BinarySemaphore`: a count, without owners.
//!
//! Whoever likes releases: another thread, another process, one that never acquired, a signal handler. The price is that nobody
//! knows who has what: a permit dies with its holder. [`Semaphore`](crate::Semaphore) is the one whose permits come back.
//!
//! # Memory
//!
//! | offset | type     | name     | written by                               |
//! |--------|----------|----------|------------------------------------------|
//! | 0      | u64      | word     | all: the count, and a bit that is always set |
//! | 64     | WaitWord | released | sleepers, and whoever releases           |
//!
//! # Steps
//!
//! Acquire: **1** CAS count → count − 1. Release: **2** CAS count → count + n, not above the maximum; **3** wake n sleepers.
//! Waiting: spin, **4** register, look again, sleep at most one re-check interval, look at the count.
//!
//! # Happens before
//!
//! | label      | release side                  | acquire side                                            |
//! |------------|-------------------------------|---------------------------------------------------------|
//! | [count/C1] | step 2, CAS                   | step 1, CAS, Acquire, and through every CAS in between  |
//! | [wait/W1]  | step 2 SeqCst, then 3         | registration, then the look of step 4                   |
//!
//! # Death at step n
//!
//! | dies after | is left                                    | who repairs it                | test                                  |
//! |------------|--------------------------------------------|-------------------------------|---------------------------------------|
//! | 1          | one permit fewer                           | nobody: that is what it says  | `a_permit_dies_with_its_holder`       |
//! | 2          | the new count, sleepers not woken          | their re-check, at most 50 ms | `crashpoints` AnonymousSemaphore      |
//! | 4          | a registration too many: a needless wake   | nobody                        | `a_killed_waiter_takes_nothing`       |

#[cfg(not(ipc_loom))]
mod anonymous;
#[cfg(not(ipc_loom))]
mod binary;
mod state;

#[cfg(not(ipc_loom))]
pub use anonymous::{AnonymousSemaphore, AnonymousSemaphoreState};
#[cfg(not(ipc_loom))]
pub use binary::{BinarySemaphore, BinarySemaphoreState};
#[cfg(ipc_loom)]
pub use state::Count;
pub use state::{CountError, ReleaseError};
