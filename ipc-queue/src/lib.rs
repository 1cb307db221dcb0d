//! Crash-safe queues between processes.

#[cfg(not(ipc_loom))]
#[macro_use]
mod verbs;
#[cfg(not(ipc_loom))]
mod body;
#[cfg(not(ipc_loom))]
mod endpoints;
#[cfg(not(ipc_loom))]
mod error;
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
pub use queue::{Queue, QueueOptions, bounded};
