//! `Semaphore`: permits that come back when their holder is killed.
//!
//! A count beside a list of holders cannot be changed together with it by one instruction: killed between the two, a permit is
//! lost or doubled. So there is no count. A semaphore is a table of *permit words*, each of which names its holder or nobody,
//! and is taken by one CAS; how many are available is computed.
//!
//! # Memory
//!
//! | offset | type         | name      | written by                                                          |
//! |--------|--------------|-----------|---------------------------------------------------------------------|
//! | 0      | WaitWord     | freed     | sleepers, and whoever sets a permit free                            |
//! | 64     | LockLine     | gathering | who acquires several                                                |
//! | 128    | LockLine     | adding    | who adds permits                                                    |
//! | 192    | u64 × 8      | signs     | a bit per span of permits: something may be free there; only a hint |
//! | 256    | u64 × n      | words     | see `permit.rs`: free, absent, or held by a member                  |
//!
//! The number n of words is the maximum. It is known when the object is created and kept in its directory entry, or in its type;
//! it is never read from here.
//!
//! # States of a permit word
//!
//! | state  | acquire      | release    | forget | add  | its holder dies            |
//! |--------|--------------|------------|--------|------|----------------------------|
//! | free   | held (by me) |            |        |      |                            |
//! | held   |              | free       | absent |      | free, by whoever waits     |
//! | absent |              |            |        | free |                            |
//!
//! # Steps
//!
//! Acquire: **1** one CAS free → me at the word where this thread always begins, and if that fails **2** at any that is free:
//! all are looked at where there are few, else the spans whose sign is up.
//! Release: **3** one CAS me → free, **4** raise the sign of its span unless it is up, **5** wake one sleeper.
//! A search that finds a span without a free permit **6** takes its sign down and **7** looks through it again.
//! Waiting: spin, **8** sleep on `freed`, at most one re-check interval; on expiry ask about holders, in turn, at most 64 at a
//! time. Of the first dead one **9** every word is set free by a CAS, and **10** all sleepers are woken.
//! Several at once: **11** take `gathering`, acquire one after the other, waiting with what there is so far; **12** on an error
//! release them. Adding: **13** take `adding`, count the absent words; **14** set n of them free, with 4 and 5.
//!
//! # Happens before
//!
//! | label     | release side                                   | acquire side                                                       |
//! |-----------|------------------------------------------------|--------------------------------------------------------------------|
//! | [sem/S1]  | steps 3, 9 and 14, CAS                         | step 1, CAS: the next holder sees what was done under that permit  |
//! | [sem/S2]  | step 1, CAS: whoever reads the holder          | the look before 9, Acquire: also sees that holder's member row     |
//! | [sem/S3]  | step 3 SeqCst, then 4 SeqCst                   | step 6 SeqCst, then 7 SeqCst: one of the two sees the other        |
//! | [wait/W1] | step 3 SeqCst, then 5                          | registration, then the look of step 8: see `WaitWord`              |
//!
//! # Death at step n
//!
//! | dies after  | is left                                      | who repairs it                             | test                                              |
//! |-------------|----------------------------------------------|--------------------------------------------|---------------------------------------------------|
//! | 1, 2        | a permit held by the dead                    | who waits or polls for over 1 ms: 9        | `permits_of_the_dead_come_back`                   |
//! | 3           | a free permit under a sign that may be down  | 4 by who waits and meets it at a re-check  | `a_hidden_permit_is_found_by_who_waits`           |
//! | 3, 4        | a free permit, sleepers not woken            | their re-check, at most 50 ms              | `crashpoints` Semaphore, `Permit::drop`           |
//! | 6           | as after 3                                   | as after 3                                 | `a_hidden_permit_is_found_by_who_waits`           |
//! | 8           | a registration too many: a needless wake     | 10                                         | `a_killed_waiter_harms_nobody`                    |
//! | 9           | some words free, some still held by the dead | the next one who waits repeats 9           | `crashpoints` Semaphore, `of the dead`            |
//! | 11          | the lock held by the dead                    | the next one takes it over                 | `crashpoints` Semaphore, `acquire_many`           |
//! | 11, 12      | some permits held by the dead                | as after 1                                 | `crashpoints` Semaphore, `acquire_many`           |
//! | 13, 14      | some of the n added                          | nobody: it is as if fewer had been added   | `crashpoints` Semaphore, `add_permits`            |
//!
//! # ABA
//!
//! Step 9 compares with a word that names row and generation: the dead take no permit again, and whoever gets the row later has
//! another generation. Step 3 compares with my own word: only I release it while I live.
//!
//! # Not promised
//!
//! No fairness beyond the kernel's wake order. `try_acquire` looks at each word once: while others release and acquire at the
//! same time it may find none free although at each moment some other one was.
//!
//! Sources: the table of owners in place of a count is ours; signs are the summary bits of bitmap allocators; gathering one at a
//! time is the head of the queue in tokio's `batch_semaphore.rs`.

#[cfg(not(ipc_loom))]
#[macro_use]
mod methods;
#[cfg(not(ipc_loom))]
mod bounded;
mod error;
#[cfg(not(ipc_loom))]
mod handle;
mod permit;
mod reclaim;
mod spans;
mod state;
#[cfg(all(test, not(ipc_loom)))]
mod tests;
mod verbs;

#[cfg(not(ipc_loom))]
pub use bounded::{BoundedSemaphore, BoundedSemaphoreHead, BoundedSemaphoreState};
pub use error::{AcquireError, AddError};
#[cfg(not(ipc_loom))]
pub use handle::{Permit, Permits, Semaphore, SemaphoreInit, SemaphoreState};
pub use spans::MAX_PERMITS;
#[cfg(ipc_loom)]
pub use spans::Spans;
#[cfg(not(ipc_loom))]
pub use state::Head as SemaphoreHead;
#[cfg(ipc_loom)]
pub use state::{Head, Table, first_word};
