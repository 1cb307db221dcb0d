//! Crash-safe shared memory for processes, in the vocabulary of Python's `multiprocessing`.
//!
//! **The promise.** `kill -9` any process at any instruction: the others go on, are told, and lose nothing they were promised.
//! **The refusals.** Linux 5.16 or later on x86_64 and aarch64 only. A process that is *stopped* while it holds something keeps
//! it: nothing is ever concluded from time. A peer that writes nonsense into a segment gets errors out of this library, never
//! a crash, but the data it overwrote is gone.
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
//! Another process gets at it in one of three ways: by **name** (`Value::create("hits", 0)` there, `Value::open("hits")`
//! here), by **ticket** (`hits.ticket()` is text), or inside a message: handles are serde values when given to
//! `ipc_process::Process::spawn` or sent through a queue.
//!
//! # Which cell
//!
//! | you have | take |
//! |---|---|
//! | a counter, a flag | [`AtomicValue`]: std's atomics, no lock, cannot fail |
//! | a value that is read and written whole | [`Value`]: `get`, `set`, `update` |
//! | many of them behind one lock | [`Array`] |
//! | many counters | [`AtomicArray`] |
//! | a critical section around something else | `ipc_sync::Lock` |
//! | several of these under one name | [`Shared`] of a [`#[shared]`](macro@shared) struct |
//! | text | [`Text`], which is plain |
//! | items that go from one to another | `ipc_queue` |
//!
//! What may lie in shared memory is [`Plain`]: numbers, arrays of plain values, and structs marked [`#[plain]`](macro@plain).
//!
//! # When somebody dies
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
//! # Many objects, one segment
//!
//! [`Segment::new`] or [`Segment::create`], then `Value::new_in(&segment, ..)` or `create_in(&segment, "name", ..)`: no system
//! call, no descriptor and no mapping for each. Every process that attaches takes a row of the segment's member table, 64
//! unless [`SegmentOptions::members`] says otherwise.
//!
//! # Build your own
//!
//! [`raw`] holds the parts: the crash-aware lock word, the event count, objects, owners and verdicts. [`raw::State`] says how a
//! new primitive is written.

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
