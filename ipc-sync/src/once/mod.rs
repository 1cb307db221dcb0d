//! `Once` and `OnceValue`: something is initialised by one process, once; the others wait, and find it done.
//!
//! # Memory
//!
//! | offset             | type | name  | written by                                                              |
//! |--------------------|------|-------|-------------------------------------------------------------------------|
//! | 0                  | u64  | word  | who begins, ends or takes over; its low half is the futex               |
//! | 8, aligned for T   | T    | value | `OnceValue` only: who initialises, before it is done                    |
//!
//! ```text
//!  63           32 31    16 15      3    2      1       0
//! ┌───────────────┬────────┬─────────┬──────┬───────┬───────┐
//! │  generation   │  row   │ thread  │ DONE │ TRIED │ VALID │
//! └───────────────┴────────┴─────────┴──────┴───────┴───────┘
//!   nobody, VALID            nobody has begun; with TRIED: somebody did and failed
//!   owner,  VALID            its owner initialises; with TRIED: not as the first
//!   nobody, VALID, DONE      done, for ever
//!   anything else            corrupt: a punched hole reads as zero
//! ```
//!
//! # Steps
//!
//! **1** read the word: done, and that is all. **2** one CAS nobody → me · **3** run the initialiser, then store the value, unless
//! this process was forked meanwhile · **4** one CAS me → DONE ·
//! **5** wake all. A panic in 3: **6** one CAS me → nobody, TRIED, and wake all.
//! Waiting: **7** sleep on the word, at most one re-check interval; on expiry ask about its owner; dead: **8** one CAS dead → me,
//! TRIED, and on with 3.
//!
//! | label     | release side            | acquire side                                        |
//! |-----------|-------------------------|-----------------------------------------------------|
//! | [once/O1] | step 4, CAS             | step 1, load: whoever sees it done sees what it did |
//! | [once/O2] | step 2 or 8, CAS        | step 7, load: the owner's member row                |
//!
//! What a dead initialiser did is visible to the one who takes over: the verdict comes through the kernel after its teardown.
//!
//! # Death at step n
//!
//! | dies after | is left                                   | who repairs it              | test                                  |
//! |------------|-------------------------------------------|-----------------------------|---------------------------------------|
//! | 2, 3       | a word that names the dead, half the work | the next caller begins anew | `the_next_one_initialises_for_the_dead` |
//! | 4          | done; nobody woken                        | the sleepers' re-check      | `crashpoints` Once::call_once         |
//! | 6          | nobody, TRIED; nobody woken               | the sleepers' re-check      | `crashpoints` Once::call_once         |
//! | 7          | nothing                                   |                             | `crashpoints` Once::call_once_timeout |
//! | 8          | as 2                                      | as 2                        | `crashpoints` Once::call_once         |
//!
//! **A panic is like a death**: the next caller runs its own initialiser, and is told that it is not the first. There is no
//! poison, since nothing was ever promised about what failed.
//!
//! # ABA
//!
//! The CAS of step 8 compares generation, row and thread, and the dead do not come back. DONE never changes again.
//!
//! # Not promised
//!
//! An initialiser that is killed between its last instruction and step 4 has done everything, and the next one does it again:
//! *completed* is exactly one, *begun* may be more. What it does outside must bear that; a [`OnceValue`] does.
//!
//! Source: the states are those of std's futex `Once`; the owner in the word and the take-over are ours.
//!
//! [`OnceValue`]: crate::OnceValue

#[cfg(not(ipc_loom))]
mod handle;
mod state;

#[cfg(not(ipc_loom))]
pub use handle::{Once, OnceState, OnceValue, OnceValueState};
pub use state::OnceError;
#[cfg(ipc_loom)]
pub use state::OnceLine;
