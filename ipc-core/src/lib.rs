//! Crash-safe shared memory for processes, in the vocabulary of Python's `multiprocessing`.
//!
//! **The promise.** `kill -9` any process at any instruction: the others go on, are told, and lose nothing they were promised.
//! **The refusals.** Linux 5.16 or later on x86_64 and aarch64 only. A process that is *stopped* while it holds something keeps
//! it: nothing is ever concluded from time. A peer that writes nonsense into a segment gets errors out of this library, never
//! a crash, but the data it overwrote is gone.
//!
//! # What to use for what
//!
//! | you have | take |
//! |---|---|
//! | a value that is read and written whole | [`Value`]: `get`, `set`, `update` |
//! | many of them behind one lock | [`Array`] |
//! | a counter, a flag | [`AtomicValue`]: std's atomics, no lock, cannot fail |
//! | many counters | [`AtomicArray`] |
//! | several of these as one struct | [`Shared`] of a [`#[shared]`](macro@shared) struct |
//! | text | [`Text`], which is plain |
//! | several of these for several processes | a [`Segment`] with all of them in it |
//! | a critical section around something else | `ipc_sync::Lock` |
//! | items that go from one to another | `ipc_queue` |
//! | a process to share them with | `ipc_process::Process::spawn` |
//! | a program on the crate `shared_memory` | `Segment::try_from(shmem)`, feature `shared_memory` |
//! | a segment that behaves oddly | [`inspect`], or `cargo run -p ipc-core --example inspect NAME` |
//!
//! What may lie in shared memory is [`Plain`]: numbers, arrays of plain values, and structs marked [`#[plain]`](macro@plain).
//!
//! # A value, shared
//!
//! ```
//! use ipc_core::Value;
//!
//! let hits = Value::new(0u64)?;                 // in an anonymous segment of its own
//! hits.update(|n| *n += 1)?;                    // under its lock; whole or absent, whoever dies
//! assert_eq!(hits.get()?, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # An array behind one lock
//!
//! ```
//! use ipc_core::Array;
//!
//! let row = Array::<f64>::new(8)?;
//! row.set(3, 1.5)?;                             // one element, under the lock
//! for cell in row.lock()?.iter_mut() {          // all of them, under one hold of it
//!     *cell *= 2.0;
//! }
//! assert_eq!(row.get(3)?, 3.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Numbers without a lock
//!
//! ```
//! use ipc_core::AtomicValue;
//! use std::sync::atomic::Ordering::Relaxed;
//!
//! let served = AtomicValue::new(0u64)?;
//! served.fetch_add(1, Relaxed);                 // one instruction: done, or not done
//! assert_eq!(served.load(Relaxed), 1);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Many objects, one segment
//!
//! Each `new` above makes a segment: a descriptor, a mapping, some pages. A segment of your own holds as many objects as fit, and
//! placing one there is no system call. Every process that attaches takes a row of the segment's member table, 64 unless
//! [`SegmentOptions::members`] says otherwise.
//!
//! ```
//! use ipc_core::{Array, AtomicValue, Segment, Value};
//!
//! let segment = Segment::new(64 << 10)?;
//! let total = Value::create_in(&segment, "total", 0u64)?;
//! let parts = Array::<u32>::create_in(&segment, "parts", 100)?;
//! let ticks = AtomicValue::new_in(&segment, 0u32)?;     // unnamed: whoever gets its ticket finds it
//! let again = Value::<u64>::open_in(&segment, "total")?;
//! # let _ = (total, parts, ticks, again);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Names
//!
//! `create` instead of `new` gives a segment a name, by which any process of this user opens it. It appears complete or not at
//! all, and stays until somebody unlinks it, whoever dies.
//!
//! ```
//! use ipc_core::{Segment, Value};
//!
//! # let name = &format!("guide-{}", std::process::id());
//! let here = Value::create(name, 1u64)?;
//! let there = Value::<u64>::open(name)?;                // in any process
//! there.set(2)?;
//! assert_eq!(here.get()?, 2);
//! Segment::unlink(name)?;                               // who has it open keeps it
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tickets
//!
//! What has no name travels as a ticket, a text for a shell variable or a message; inside `Process::spawn` and queues, the handle
//! itself is a serde value. A ticket keeps nothing alive: it is good as long as the process that gave it has the object open.
//!
//! ```
//! use ipc_core::{Ticket, Value};
//!
//! let value = Value::new(7u32)?;
//! let text = value.ticket().to_string();
//! let twin = Value::<u32>::attach(&text.parse::<Ticket>()?)?;
//! assert_eq!(twin.get()?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When somebody dies
//!
//! `set` and `update` are whole or absent. Through a guard, data is written in place: if the holder is killed, or panics, after
//! its first mutable access, the next one is told, and nobody gets the data before it was repaired.
//!
//! ```
//! use ipc_core::{LockError, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let balance = Value::new([100i64, 0])?;
//! match balance.lock() {
//!     Ok(mut accounts) => {
//!         accounts[0] -= 30;                    // killed here, the next one is told
//!         accounts[1] += 30;
//!     }
//!     Err(LockError::Inconsistent { cause }) => {
//!         eprintln!("{cause}");                 // process 4711 (worker-3) died holding the lock
//!         balance.recover(|accounts| accounts[1] = 100 - accounts[0])?;
//!     }
//!     Err(other) => return Err(other.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it costs
//!
//! Printed by `cargo run -p ipc-core --example costs`: bytes, descriptors and mappings are exact; the times are medians of an
//! unoptimised build on a busy machine, so that yours are better. Run it with `--release` there.
//!
//! | a segment of its own | bytes | descriptors | mappings | µs |
//! |---|---:|---:|---:|---:|
//! | `Value::<u64>::new`, `AtomicValue::<u64>::new` | 12 288 | 1 | 2 | 72 |
//! | `Value::<u64>::create`, and unlink | 12 288 | 1 | 2 | 111 |
//! | `Array::<u64>::new(1000)` | 20 480 | 1 | 2 | 73 |
//! | `Segment::new(4096)` | 16 384 | 1 | 2 | 62 |
//! | `Segment::new(1 << 20)` | 1 069 056 | 1 | 2 | 317 |
//!
//! | one more object in a segment | bytes | µs |
//! |---|---:|---:|
//! | `Value::<u64>::new_in` | 256 | 1.3 |
//! | `Value::<u64>::create_in`, with a name | 256 | 1.7 |
//! | `Value::<[u64; 8]>::new_in` | 384 | 1.9 |
//! | `Array::<u64>::new_in`, 100 elements | 1024 | 1.2 |
//! | `AtomicValue::<u64>::new_in` | 192 | 1.2 |
//! | `Value::<u64>::open_in` | 0 | 1.3 |
//!
//! One descriptor and two mappings for each segment, however many objects it has: the second mapping is the page that keeps the
//! row lock. Each member row is 128 bytes, and 64 rows are reserved unless you say otherwise.
//!
//! # Fork without exec
//!
//! A child of `fork(3)` is another member: what it inherited registers at first use, a guard it inherited is its parent's. A
//! child that was forked past the C library, by the bare system call, gets [`MemberError::Forked`] until it calls exec.
//!
//! # Build your own
//!
//! [`raw`] holds the parts: the crash-aware lock word, the event count, objects, owners and verdicts, and
//! [`State`](raw::State), the one trait that makes a primitive placeable in every way. `docs/layout.md` has the written format.

#[cfg(not(ipc_loom))]
#[macro_use]
mod cell;
#[doc(hidden)]
pub mod __private;
mod deadline;
mod error;
#[cfg(not(ipc_loom))]
pub mod inspect;
#[cfg(not(ipc_loom))]
mod layout;
#[cfg(not(ipc_loom))]
mod member;
mod plain;
pub mod raw;
#[cfg(not(ipc_loom))]
mod segment;
pub mod shim;
#[cfg_attr(ipc_loom, allow(dead_code))]
mod sys;
#[cfg(all(feature = "serde", not(ipc_loom)))]
pub mod transport;

#[cfg(not(ipc_loom))]
pub use cell::{
    Array, ArrayError, ArrayHead, ArrayState, AtomicArray, AtomicArrayHead, AtomicArrayState, AtomicPlain, AtomicState,
    AtomicValue, Composite, Fresh, RawValue, RawValueState, Shared, Value, ValueState,
};
pub use deadline::Deadline;
pub use error::{Corrupt, Error, ErrorKind, FileProblem, MemberError, NameProblem};
#[doc = include_str!("cell/attribute.md")]
pub use ipc_core_macros::shared;
#[cfg(not(ipc_loom))]
pub use member::table::set_member_name;
pub use plain::{Field, Plain, Schema, Text, TextError, plain};
pub use raw::lock_line::{Cause, LockError};
#[cfg(not(ipc_loom))]
pub use segment::{GcReport, Kept, Observer, Segment, SegmentOptions, Ticket, Watched, WatchedArray, gc};

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("ipc-core works on Linux on x86_64 and aarch64 only");
