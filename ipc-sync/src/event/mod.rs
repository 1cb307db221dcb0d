//! `Event`: something has happened, and everybody, or one, who waits for it goes on.
//!
//! # Memory
//!
//! | offset | type     | name     | written by                                                  |
//! |--------|----------|----------|-------------------------------------------------------------|
//! | 0      | u64      | word     | all: set or not, how often it was set, which kind it is     |
//! | 64     | WaitWord | sleepers | sleepers, and whoever sets                                  |
//!
//! The states are tabled in `word.rs`.
//!
//! # Steps
//!
//! Set: **1** read the word, **2** CAS: SET, and the next generation if it was not; **3** read the number of sleepers; **4** wake
//! all, or one if waits reset it. Clear: 1 and 2 without SET.
//! Wait: **5** note the generation; **6** get through if it is SET or, unless waits reset it, if the generation has moved on;
//! where waits reset it, getting through is a CAS that clears it. **7** else spin, register, look again, sleep at most one
//! re-check interval, and look again.
//!
//! The generation is what makes `set(); clear()` wake everybody who was already waiting, however late they come to look.
//!
//! # Happens before
//!
//! | label      | release side                                      | acquire side                                    |
//! |------------|---------------------------------------------------|-------------------------------------------------|
//! | [event/E1] | step 2, CAS, also of an event that is set already | step 6: what was done before `set` is visible   |
//! | [wait/W1]  | step 2 SeqCst, then 3                             | registration, then the look of step 7           |
//!
//! # Death at step n
//!
//! | dies after            | is left                                  | who repairs it                          | test                                         |
//! |-----------------------|------------------------------------------|-----------------------------------------|----------------------------------------------|
//! | 1                     | nothing                                  | –                                       | `crashpoints` Event, `set`                   |
//! | 2, 3                  | the event, set; sleepers not woken       | their re-check, at most 50 ms           | `crashpoints` Event, `set`                   |
//! | 5, 7                  | a registration too many: a needless wake | nobody                                  | `a_killed_waiter_is_waited_for_by_nobody`    |
//! | 6, before the CAS     | the event, still set                     | the next one who waits or re-checks     | `crashpoints` Event, auto                    |
//! | 6, after the CAS      | the event, taken                         | nobody: it got through                  | `crashpoints` Event, auto                    |
//!
//! # Wrap-around
//!
//! A waiter is fooled only if the event is set exactly 2^56 times between its steps 5 and 6.

#[cfg(not(ipc_loom))]
mod handle;
mod state;
mod word;

#[cfg(not(ipc_loom))]
pub use handle::Event;
pub use state::{EventError, EventState, Reset};
