//! `RwLock`: many readers or one writer, none of whom blocks the others by dying.
//!
//! There is no count of readers: a count beside its holders cannot be changed with them by one instruction, so a reader killed
//! in between would block writers for ever. Each read hold is an *entry* that names its owner, taken by one CAS and given back
//! by one; the writer closes a gate and then looks at all entries. Writers and upgradable holders are ordered by a
//! [`LockLine`](ipc_core::raw::LockLine), the same word, mark and recovery as `Lock`'s.
//!
//! # Memory (704 bytes and the data)
//!
//! | offset | type     | name    | written by                                                                        |
//! |--------|----------|---------|-----------------------------------------------------------------------------------|
//! | 0      | LockLine | line    | writers and upgradable holders                                                    |
//! | 64     | u64      | gate    | the holder of the line only; its low half is a futex that waiting readers sleep on |
//! | 72     | u32      | waiters | those readers, see [`Waiters`](ipc_core::raw::Waiters)                             |
//! | 76     | 52 B     | –       | nobody: zero                                                                      |
//! | 128    | WaitWord | drained | a closing writer sleeps here; readers that leave while the gate is closed notify   |
//! | 192    | u64 × 64 | entries | threads of the member that an entry names; of the dead, whoever has the verdict    |
//! | 704    | T        | data    | the writer                                                                        |
//!
//! What the bits of `gate` and of an entry mean is in `state`; the steps below are in `raw`, the types in `handle`.
//!
//! Entries belong to whoever takes them, and lie where threads of neighbouring rows and tokens find them on different cache
//! lines: up to eight readers, in one process or in many, share no line that any of them writes. 64 of them are as many as a
//! segment has member rows unless told otherwise. When all are taken, threads of one member share an entry, with a number in
//! it; a thread of a 65th *process* that wants to read at the same moment waits for one of them, looking every 1 to 50 ms.
//!
//! # States
//!
//! | line                 | gate            | entries   | means                                                             |
//! |----------------------|-----------------|-----------|-------------------------------------------------------------------|
//! | free                 | open            | any       | free, or read                                                     |
//! | held                 | open            | any       | upgradable, perhaps read; or a writer about to close, or leaving  |
//! | held                 | closed          | some      | a writer waits for readers; new ones wait                         |
//! | held                 | closed          | none      | written                                                           |
//! | free, inconsistent   | closed          | none      | marked: everybody is told, until `recover`                        |
//! | free, or owner dead  | closed          | any       | left by the dead: whoever meets it takes the line and opens       |
//!
//! Invariants. **I1** the gate is written by the holder of the line only. **I2** the data is written only by the holder of the
//! line, with the gate closed and after every entry was seen free. **I3** while the gate is open the data is good.
//!
//! # Steps
//!
//! Reader: **1** one CAS entry free → me; **2** read the gate; open: it has the lock; **3** closed: as 4 to 6, then spin, then
//! sleep on the gate. Leaving: **4** one CAS entry me → free; **5** read the gate; closed: **6** notify `drained`.
//! Writer: **7** take the line; **8** exchange gate → closed by me; **9** look at every entry, waiting for each to be free;
//! **10** first mutable access: `touched = me`; **11** the data is written; **12** `touched = 0`; **13** exchange gate → open;
//! **14** free the line, wake one of its sleepers; **15** wake the readers.
//! Upgradable: 7; a gate that the dead left closed is opened. To write: 8 and 9; back: 12, 13, 15.
//! Coming down to a reader: 1 before 12, so that the next writer finds the entry; no entry left: the line itself is kept.
//! A gate that is closed while the line is free, or by a dead member: take the line (which marks what the dead had
//! touched; then everybody is told and the gate stays closed), 13, 14, 15.
//!
//! # Happens before
//!
//! | label   | one side                                     | other side                                                       |
//! |---------|----------------------------------------------|------------------------------------------------------------------|
//! | [rw/R1] | step 1 SeqCst, then 2 SeqCst                 | step 8 SeqCst, then 9 SeqCst: one of the two sees the other      |
//! | [rw/R2] | step 4, Release: the reads are over          | step 9, Acquire: before the data is written                      |
//! | [rw/R3] | step 13, Release: the data is written        | step 2, Acquire: before it is read                               |
//! | [rw/R4] | step 4 SeqCst, then 5 SeqCst                 | step 8 SeqCst, then 9 and the check before its sleep: a reader that sees no writer was seen to leave |
//! | [rw/W5] | step 13 SeqCst, then a look at `waiters`     | registration SeqCst, then a look at the gate: no lost wake       |
//!
//! Between writers: [lock/L1] of the line. Between a sleeping writer and step 6: [wait/W1] of the wait word.
//!
//! # Death at step n
//!
//! | dies after | is left                                          | who repairs it                                  | test                                  |
//! |------------|--------------------------------------------------|-------------------------------------------------|---------------------------------------|
//! | 1, 2       | an entry of the dead                             | the next writer, or a reader that finds no other, frees it | `a_dead_reader_blocks_no_writer` |
//! | 4, 5       | a writer not notified                            | its re-check                                    | `crashpoints` RwLock::read            |
//! | 7          | the line of the dead, gate open                  | the next writer takes over                      | `crashpoints` RwLock::write           |
//! | 8, 9, 12   | the line of the dead, gate closed, untouched     | whoever comes next takes over; readers settle   | `a_dead_writer_is_told_if_it_had_touched` |
//! | 10, 11     | the same, touched                                | the same marks; `recover`                       | `a_dead_writer_is_told_if_it_had_touched` |
//! | 13         | the line of the dead, gate open, data good       | the next writer takes over                      | `crashpoints` RwLock::write           |
//! | 14         | sleeping readers not woken                       | their re-check, at most 50 ms                   | `crashpoints` RwLock::write           |
//!
//! # Preference
//!
//! **Writers first.** From the moment a writer has the line, readers that come wait, and it waits only for those that had come
//! before; so readers, however many, never starve a writer. Between two writers the gate opens, and readers that are awake may
//! come in; writers that never pause can starve readers. A thread that reads and wants to read again while a writer waits
//! would wait for itself: `WouldDeadlock`, found where it is about to sleep.
//!
//! # Transitions
//!
//! Those of Boost's `upgradable_mutex`, as operations on guards:
//!
//! | from        | to          | verb                                                     | waits for                       |
//! |-------------|-------------|----------------------------------------------------------|---------------------------------|
//! | exclusive   | shared      | `WriteGuard::downgrade`                                  | nobody                          |
//! | exclusive   | upgradable  | `WriteGuard::downgrade_to_upgradable`                    | nobody                          |
//! | upgradable  | shared      | `UpgradableGuard::downgrade`                             | nobody                          |
//! | upgradable  | exclusive   | `UpgradableGuard::upgrade`, `_timeout`, `_deadline`, `try_` | readers                      |
//! | shared      | upgradable  | `ReadGuard::try_upgradable`                              | nobody: fails beside another upgradable holder or a writer |
//! | shared      | exclusive   | `ReadGuard::try_upgrade`                                 | nobody: fails beside anybody    |
//!
//! # Wrap-around and ABA
//!
//! Nothing is counted but holds in a shared entry, at most 8 191; then the next entry is taken. The CAS that frees an entry of
//! the dead compares generation, row and number, which only that member could write. A sleeper at the gate compares the low
//! half: another generation of the same row and thread may keep it asleep for one re-check interval.
//!
//! Sources: the reader's mark and the writer's scan are those of big-reader locks and of BRAVO (Dice and Kogan, 2019);
//! transitions and names from Boost.Interprocess; the gate's repair is ours.

#[cfg(not(ipc_loom))]
mod handle;
pub mod raw;
mod state;

#[cfg(not(ipc_loom))]
pub use handle::{ReadGuard, RwLock, RwLockState, UpgradableGuard, WriteGuard};
