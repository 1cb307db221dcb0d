//! `Condition`: wait, with a lock released, until somebody says that something may have changed.
//!
//! An event count would not do: `notify_one` would have to wake all, since it cannot know who of them is the one. So each
//! waiter owns a *cell* with a word of its own to sleep on, and a notification is a state of a cell, which names the one who
//! has it at every instruction. Nobody ever waits for a waiter.
//!
//! # Memory
//!
//! | offset | type      | name  | written by                                                          |
//! |--------|-----------|-------|---------------------------------------------------------------------|
//! | 0      | u64       | lock  | the first waiter: which lock this condition belongs to; 0: none yet  |
//! | 8      | u64       | next  | waiters, + 1 each: the next ticket                                   |
//! | 16     | u32       | used  | waiters: no cell from here on was ever taken                         |
//! | 20     | 44 B      | –     | nobody                                                               |
//! | 64     | Cell × n  | cells | see `cell.rs`                                                        |
//!
//! `next` and `used` count nothing that anybody owns: a ticket that was drawn and never used, or a bound that is too high,
//! costs nothing.
//!
//! # States of a cell
//!
//! | state           | enter            | notify       | its owner leaves        | its owner dies                                        |
//! |-----------------|------------------|--------------|-------------------------|-------------------------------------------------------|
//! | FREE            | WAITING          |              |                         |                                                       |
//! | WAITING         |                  | NOTIFIED     | FREE: not notified      | FREE, by a waiter's re-check or by who needs a cell    |
//! | NOTIFIED        |                  |              | FREE: notified          | NOTIFIED by another waiter, who returns with it        |
//! | PENDING         |                  |              |                         | has none; NOTIFIED by another waiter                   |
//!
//! # Steps
//!
//! Wait, holding the lock: **1** bind the condition to the lock, one CAS, if it is not · **2** draw a ticket · **3** write it
//! into a free cell and raise `used` · **4** take the cell: one CAS FREE → WAITING.
//! **5** unlock · **6** sleep on the cell's word while it says WAITING, at most one re-check interval.
//! On expiry: **7** look for a notification that a dead waiter has, or that is PENDING, and that is for our ticket, and take it
//! over: one CAS, dead's NOTIFIED → our NOTIFIED; **8** free the cell we had: one CAS WAITING → FREE; if somebody notified it
//! just then, **9** we have two: the inherited one becomes PENDING, and the longest waiting is woken to look. Then ask whether
//! the lock's holder lives, and whether the longest waiting does: a dead one's cell becomes FREE.
//! **10** lock again · **11** free the cell: one CAS, which tells whether we were notified · **12** return.
//! Notify: **a** read `next` · **b** find the lowest ticket that waits, below `next` · **c** write `until` · **d** one CAS
//! WAITING → NOTIFIED · **e** wake it.
//!
//! # Happens before
//!
//! | label         | release side                                | acquire side                                                      |
//! |---------------|---------------------------------------------|-------------------------------------------------------------------|
//! | [cond/C1]     | step 4, CAS: the ticket is in the cell      | step b, 7: load of the word, then of the ticket                    |
//! | [cond/C2]     | step d, CAS: `until` is in the cell         | step 7: load of the word, then of `until`                          |
//! | [cond/C3]     | step 4 before the unlock of step 5          | the notifier's lock before step a: it sees every cell taken before |
//!
//! The data that the wait is about is ordered by its lock alone. A sleeper cannot miss step d: the kernel compares the word
//! before it puts anybody to sleep, and only its owner and the notifier write it.
//!
//! # Death at step n
//!
//! | dies after  | is left                                       | who repairs it                                   | test                                              |
//! |-------------|-----------------------------------------------|--------------------------------------------------|---------------------------------------------------|
//! | 1, 2, 3     | a ticket that nobody uses, and a held lock    | the lock's next holder                           | `crashpoints` Condition::wait                     |
//! | 4           | a cell that waits, and a held lock            | as 5                                             | `crashpoints` Condition::wait                     |
//! | 5, 6        | a dead cell WAITING; may swallow one notification | a waiter's re-check frees it; else 7         | `a_dead_waiters_notification_goes_to_another`     |
//! | 7           | a dead cell NOTIFIED, and a dead one WAITING  | 7 of another waiter                              | `an_heir_that_dies_is_inherited_from`             |
//! | 8           | a dead cell NOTIFIED                          | 7 of another waiter                              | `an_heir_that_dies_is_inherited_from`             |
//! | 9, before the wake | a notification PENDING                 | a waiter's re-check                              | `one_too_many_is_given_back`                      |
//! | 10          | a dead cell NOTIFIED, or WAITING; a held lock | as above                                         | `crashpoints` Condition::wait                     |
//! | 11          | nothing: it had returned                      |                                                  | `crashpoints` Condition::wait                     |
//! | b, c        | fewer than n notified                         | nobody: a notifier's death is not hidden          | `crashpoints` Condition::notify                   |
//! | d           | its waiter is notified and not woken          | the waiter's re-check, at most 50 ms             | `crashpoints` Condition::notify_one               |
//! | the holder of the lock, anywhere | waiters that nobody will notify | their re-check ends the wait, see below    | `the_death_of_the_locks_holder_ends_the_wait`     |
//!
//! A notification whose owner died is taken over by one who waited already when it was made, never by a later one: it is for
//! tickets below `until`. If there is none any more, it is forgotten when the cell is needed.
//!
//! **The holder of the lock dies.** Whoever would have notified may have been just that one, so a waiter whose re-check finds
//! the lock held by the dead, or its data marked inconsistent, locks again and returns: with `Inconsistent` if the dead had
//! begun to write, else with [`Wake::HolderDied`].
//!
//! # ABA
//!
//! A cell's word names its owner. Who frees a dead one's cell compares generation, row and thread, and the dead do not come
//! back. A notifier that is stopped between b and d may notify a later wait of the same thread in the same cell: a
//! notification for one who waits. It needs a notifier without the lock. Tickets do not wrap.
//!
//! # Not promised
//!
//! - A notification without the lock may find a waiter that has not taken its cell yet: it is lost, as with any condition.
//!   A notifier that *has held the lock since it changed what is waited for* finds every waiter that saw the old state.
//! - A notifier that is killed after it unlocked and before it notified has notified nobody. Notify before unlocking: then its
//!   death ends the waits.
//! - The order is that of waiting; an inherited notification goes to whoever finds it first.
//!
//! Sources: the order of cells is that of the waiter queues of Birrell, "An Introduction to Programming with Threads" (1989);
//! taking over a dead waiter's notification is ours.

mod cell;
#[cfg(not(ipc_loom))]
mod handle;
mod state;

#[cfg(ipc_loom)]
pub use cell::Cell;
#[cfg(not(ipc_loom))]
pub(crate) use handle::check_count;
#[cfg(not(ipc_loom))]
pub use handle::{Condition, ConditionOptions, ConditionState};
pub use state::{ConditionError, Wake};
#[cfg(ipc_loom)]
pub use state::{ConditionHead, Ended, Wait, Waiting};
