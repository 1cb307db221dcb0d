//! `Barrier`: nobody goes on before all have come.
//!
//! A counter of arrivals would be wrong after the first death: killed between taking part and being counted, a party is one
//! too many or too few for ever. So there is no count. Each of the n *places* is a word that names the member who waits there,
//! taken by one CAS; the pass is full when all of them say so; and one CAS on the control word releases everybody at once.
//! Places keep naming their party between passes: that is how its death is noticed then, too.
//!
//! # Memory
//!
//! | offset | type     | name    | written by                                                              |
//! |--------|----------|---------|-------------------------------------------------------------------------|
//! | 0      | u64      | control | who breaks, resets, or finds it full: pass, and what it waits for  |
//! | 8      | u64      | timeout | the creator: nanoseconds that `wait` waits at most; `u64::MAX`: for ever |
//! | 64     | WaitWord | changed | those who sleep until the control word changes                          |
//! | 128    | WaitWord | doors   | those who sleep until a place is given back                             |
//! | 192    | u64 × n  | places  | their parties                                                            |
//!
//! The words are drawn in `word.rs`.
//!
//! # States
//!
//! | control        | the last one comes | its action is done | time-out, abort, a death, a panic | reset               |
//! |----------------|--------------------|--------------------|-----------------------------------|---------------------|
//! | FILLING k      | ACTING k           |                    | BROKEN k                          | BROKEN k, then FILLING k+1 |
//! | ACTING k       |                    | FILLING k+1        | BROKEN k                          | BROKEN k, then FILLING k+1 |
//! | BROKEN k       |                    |                    | BROKEN k                          | FILLING k+1         |
//!
//! | place          | arrive in pass k                           | leave, passed | leave, broken | reset in pass k        |
//! |----------------|--------------------------------------------|---------------|---------------|------------------------|
//! | FREE           | ARRIVED k                                  |               |               | FREE, tag k+1          |
//! | ABSENT         | ARRIVED k; another's only if that one lives |               |               | FREE                   |
//! | ARRIVED k      |                                            | ABSENT        | FREE          | TOLD; FREE of the dead |
//! | ARRIVED k−1    |                                            | ABSENT        |               | as it is; FREE of the dead |
//! | TOLD           |                                            |               | FREE          | as it is; FREE of the dead |
//!
//! # Steps
//!
//! Wait: **1** read the control word: FILLING k · **2** choose a place: one of our member's that is ABSENT, else a FREE one,
//! else the ABSENT one of another that lives; none: sleep at the doors; then read the control word again: the same · **3** take it: one CAS → ARRIVED k ·
//! **4** read the control word, **5** look at all places, once, and at each re-check: all ARRIVED k: **6** one CAS FILLING k → ACTING k, place ·
//! **7** run the action · **8** one CAS ACTING k → FILLING k+1, which releases all · **9** wake them.
//! Otherwise **10** sleep while the control word is as in 4, at most one re-check interval; on expiry ask about those who keep us
//! waiting (who acts; or the owners of all places that are not ARRIVED k) and about one neighbour who waits like us: so each
//! who waits is asked about by one, and who does not by all. Dead: **11** one CAS → BROKEN k, wake all.
//! The control word says k no more, or BROKEN: **12** read our place: ARRIVED k is *passed*, unless BROKEN k; TOLD is *reset*.
//! **13** give it back: one CAS → ABSENT, or FREE when broken; wake one at the doors.
//! Reset: **a** one CAS → BROKEN k · **b** tell: each ARRIVED k → TOLD; forget: each ABSENT, and what the dead left → FREE ·
//! **c** one CAS BROKEN k → FILLING k+1 · **d** wake all. Whoever finds BROKEN by a reset does b to d itself: nobody is told twice,
//! and a resetter that dies holds nobody up.
//!
//! Why 12 is right: a place that was taken in step 3 had not changed since step 2, tag and all, and after that the control word
//! still said k. So pass k had not been left by step 3: leaving it by release needs this place ARRIVED k, by reset gives it
//! another tag. From then on every reset finds the place and tells it.
//!
//! # Happens before
//!
//! | label       | release side                                  | acquire side                                                     |
//! |-------------|-----------------------------------------------|------------------------------------------------------------------|
//! | [barrier/B1] | step 3, CAS: what its party did before       | step 5, load of all places: the last one saw all come             |
//! | [barrier/B2] | step 8, CAS: all that, and the action        | step 12, load of the control word                                 |
//! | [barrier/B3] | step 3 SeqCst, then 5 SeqCst                 | the same of another: of the last two, one sees both places taken  |
//! | [barrier/B4] | step b before c                              | step 12, control word before the place                            |
//! | [wait/W1]   | steps 8, 11, c, 13: SeqCst RMW before the wake | registration before the look: [`WaitWord`](ipc_core::raw::WaitWord) |
//!
//! # Death at step n
//!
//! | dies after  | is left                                   | who repairs it                                        | test                                           |
//! |-------------|-------------------------------------------|-------------------------------------------------------|------------------------------------------------|
//! | 1, 2        | nothing, or the place of a dead party     | 10: broken, if it had been a party before             | `crashpoints` Barrier::wait                    |
//! | 3, 4, 5     | a dead party's place, ARRIVED             | 10 of those who wait, or come: broken, or passed if it was noticed too late | `a_party_that_dies_breaks_the_barrier` |
//! | 6, 7        | ACTING, by the dead                       | 10 of those who wait: broken                          | `a_leader_that_dies_breaks_the_barrier`        |
//! | 8           | released, and nobody woken                | their re-check, at most 50 ms; then as a party that died between passes | `crashpoints` Barrier::wait       |
//! | 10          | a registration too many                   | `purge` by reset                                      | `crashpoints` Barrier::wait_timeout            |
//! | 11          | broken, and nobody woken                  | their re-check                                        | `crashpoints` Barrier::abort                   |
//! | 13, between passes | a dead party's place, ABSENT       | 10 of the next pass; 2 of whoever wants the place: broken | `killed_between_passes_is_broken`          |
//! | a, b        | broken by a reset; some told              | whoever waits, or comes, goes on with b               | `crashpoints` Barrier::reset                   |
//! | c           | reset, and nobody woken                   | their re-check                                        | `crashpoints` Barrier::reset                   |
//!
//! # ABA
//!
//! Passes have 40 bits in the control word and 13 in a place. A party that is stopped between 2 and 3 while exactly a multiple
//! of 8192 passes go by without it (so there are more parties than places) would arrive in a pass that it did not read.
//!
//! # Not promised
//!
//! The death of a process that has never waited cannot be noticed: it is no party yet. More parties than places take turns
//! without an order.
//!
//! Sources: the verbs and their outcomes are those of Python's `threading.Barrier`; releasing all by one store that flips a
//! phase is the sense-reversing barrier of Hensgen, Finkel and Manber (1988); places instead of a count are ours.

#[cfg(not(ipc_loom))]
mod handle;
mod state;
mod word;

#[cfg(not(ipc_loom))]
pub use handle::{Barrier, BarrierOptions, BarrierState};
pub use state::{Arrival, BarrierError, Breach};
#[cfg(ipc_loom)]
pub use state::{BarrierHead, Meeting, new_place};
