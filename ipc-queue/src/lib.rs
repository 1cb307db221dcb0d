//! Queues between processes, in the vocabulary of Python's `multiprocessing`, at the speed of in-process channels.
//!
//! **The promise.** `kill -9` any process at any instruction: what `send` returned from is delivered, nothing is torn or comes
//! twice, capacity comes back, and the others go on within 100 ms.
//! **The refusals.** Linux 5.16 or later on x86_64 and aarch64. A message that `recv` returned dies with its receiver. A process
//! that is *stopped* in the middle of an operation can hold up those behind it: nothing is ever concluded from time.
//!
//! ```
//! use ipc_queue::bounded;
//!
//! let (tx, rx) = bounded(16)?;
//! for n in 1..=100u64 {
//!     if let Err(full) = tx.try_send(n) {
//!         assert_eq!(rx.recv()? + 16, full.into_inner());
//!         tx.send(n)?;
//!     }
//! }
//! drop(tx);
//! assert_eq!(rx.iter().count(), 16);                 // ends when the last sender has left, or died
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which handle
//!
//! | you have | take |
//! |---|---|
//! | two sides that should notice when the other is gone | [`bounded`]: a [`Sender`] and a [`Receiver`], as with std's channels |
//! | a queue that any thread of any process uses as it likes | [`Queue`]: `Clone + Send + Sync`, the verbs on itself; ends by `close()` |
//! | a queue with a name, or many in one segment | [`Queue::create`], [`Queue::open`], [`Queue::create_in`]; then [`sender`](Queue::sender) and [`receiver`](Queue::receiver) |
//! | a signal handler that sends | a [`Sender`] of its own, [`reserved_for_signals`](Sender::reserved_for_signals) |
//!
//! An endpoint belongs to one thread at a time and costs a row of the queue (64 unless [`QueueOptions::endpoints`] says
//! otherwise); it is the fastest way in. A `Queue` handle shares a few rows among all threads of its process.
//!
//! Another process gets at a queue by **name**, by **ticket** ([`Queue::ticket`] is text), or inside a message: all three
//! handles are serde values when given to `ipc_process::Process::spawn`. Endpoints *move*; they count as alive on the way.
//!
//! # What a message is
//!
//! Any [`Plain`] value: numbers, arrays of plain values, structs marked [`#[plain]`](macro@plain).
//!
//! ```
//! use ipc_queue::{Queue, plain};
//!
//! #[plain]
//! struct Job { id: u64, cost: u32 }
//!
//! let jobs = Queue::new(100)?;
//! jobs.send(Job { id: 1, cost: 5 })?;
//! assert_eq!(jobs.recv()?.cost, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything else that serde can write goes through a [`MessageQueue`], or [`message_queue`]'s endpoints: strings, enums, maps,
//! of any length up to a bound that the creator states.
//!
//! ```
//! let (tx, rx) = ipc_queue::message_queue(16)?;
//! tx.send(("jobs".to_owned(), vec![Some(1.5), None]))?;
//! let (name, costs) = rx.recv()?;
//! assert_eq!((name.as_str(), costs.len()), ("jobs", 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One by one, in batches, in place
//!
//! | you have | take | a receiver that dies over it |
//! |---|---|---|
//! | small messages as they come | `send`, `recv` | at most once: what it had received is gone |
//! | several at hand, or a receiver that is glad of several | [`Sender::send_many`], [`Sender::send_iter`], [`Receiver::recv_many`], [`Receiver::batches`]: one claim and one wake for all | the same |
//! | large messages that are made and read in place | [`Sender::reserve`] → write → [`SendLoan::commit`]; [`Receiver::recv_ref`] → read → [`RecvLoan::ack`] | at least once: until `ack`, it comes again |
//!
//! A loan holds its slot: whoever is a whole round of the queue behind it waits. For work that takes long, receive the message
//! instead.
//!
//! # When it ends
//!
//! `Closed` comes to senders at once and to receivers after the last message: after [`Queue::close`], and to endpoints also when
//! nobody is left on the other side. Whoever could still act counts: a living `Queue` handle in any process counts on both
//! sides, an endpoint on its way to another process counts, and at least one must have been there. Leaving is noticed at
//! once, death by whoever waits, within 100 ms.
//!
//! # When somebody dies
//!
//! | killed | the others see |
//! |---|---|
//! | a sender inside `send` | the whole message, or none; later ones flow |
//! | a sender after `send` returned | its message |
//! | a receiver inside `recv` | the message goes to another one, out of turn, or had just been received |
//! | a receiver after `recv` returned | nothing: its message died with it |
//! | anybody, waiting | nothing |
//! | the last of one side | `Closed` |

// Without serde nothing travels, and there are no message queues: what only they need is unused then.
#![cfg_attr(not(feature = "serde"), allow(dead_code, unused_imports))]

#[cfg(not(ipc_loom))]
#[macro_use]
mod verbs;
#[cfg(not(ipc_loom))]
#[macro_use]
mod batch;
#[cfg(not(ipc_loom))]
mod body;
#[cfg(not(ipc_loom))]
mod endpoints;
#[cfg(not(ipc_loom))]
mod error;
#[cfg(not(ipc_loom))]
pub mod inspect;
#[cfg(not(ipc_loom))]
mod loan;
#[cfg(all(feature = "serde", not(ipc_loom)))]
mod message;
#[cfg(not(ipc_loom))]
mod pool;
#[cfg(not(ipc_loom))]
mod queue;
#[cfg(ipc_loom)]
pub mod ring;
#[cfg(not(ipc_loom))]
mod ring;
#[doc(hidden)]
pub mod sabotage;

#[cfg(not(ipc_loom))]
pub use batch::{SendIterError, SendManyError};
#[cfg(not(ipc_loom))]
pub use endpoints::{IntoIter, Receiver, Sender};
#[cfg(not(ipc_loom))]
pub use error::{EndpointError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
#[doc(hidden)]
pub use ipc_core::__private;
pub use ipc_core::__private::plain_via_queue as plain;
#[cfg(not(ipc_loom))]
#[doc(no_inline)]
pub use ipc_core::{Deadline, Error, ErrorKind, Plain, Segment, SegmentOptions, Ticket};
#[cfg(not(ipc_loom))]
pub use loan::{RecvLoan, SendLoan};
#[cfg(all(feature = "serde", not(ipc_loom)))]
pub use message::{
    CodecError, DecodeError, MessageQueue, MessageQueueOptions, MessageReceiver, MessageSender, RecvMessageError,
    SendMessageError, message_queue,
};
#[cfg(not(ipc_loom))]
pub use queue::{Queue, QueueOptions, bounded};
