//! The errors: one small enum per operation, with the message handed back.

use crate::ring::{JoinError, Obstructed, Stop};
use ipc_core::{Corrupt, Error, ErrorKind, MemberError};
use std::fmt;

/// Why a process could not get one more endpoint of a queue.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// Every row belongs to a living endpoint. Create the queue with more `.endpoints(n)`, or drop some.
    NoEndpoint {
        /// Rows of the queue.
        rows: u32,
    },
    /// The process could not become a member of the segment: only in a forked child, at first use.
    Member(MemberError),
    /// The endpoint was inherited by `fork`: it is the parent's.
    Forked,
    /// The endpoint has travelled to another process.
    Moved,
    /// Shared memory holds what no member of this library wrote.
    Corrupt(Corrupt),
}

impl EndpointError {
    pub(crate) fn of(error: JoinError, rows: u32) -> Self {
        match error {
            JoinError::NoRow => Self::NoEndpoint { rows },
            JoinError::Gone => Self::Moved,
            JoinError::Member(error) => Self::Member(error),
            JoinError::Corrupt(corrupt) => Self::Corrupt(corrupt),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint { rows } => write!(
                f,
                "all {rows} endpoint rows of the queue are in use by living processes; create it with more `.endpoints(n)`"
            ),
            Self::Member(error) => error.fmt(f),
            Self::Forked => f.write_str(FORKED),
            Self::Moved => f.write_str(MOVED),
            Self::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl std::error::Error for EndpointError {}

impl From<EndpointError> for Error {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::NoEndpoint { rows } => ErrorKind::NoEndpointRow { rows }.into(),
            EndpointError::Member(error) => error.into(),
            EndpointError::Corrupt(corrupt) => corrupt.into(),
            EndpointError::Forked | EndpointError::Moved => ErrorKind::Gone { pid: 0 }.into(),
        }
    }
}

const CLOSED: &str = "the queue is closed, or nobody is left on the other side";
const BUSY: &str = "this endpoint is in the middle of an operation; give a signal handler an endpoint of its own";
const FORKED: &str = "this endpoint was inherited by fork and is the parent's; take one from a Queue handle";
const MOVED: &str = "this endpoint has travelled to another process";

/// Why an attempt through some endpoint did not succeed, whichever verb made it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    WouldBlock,
    Closed,
    Busy,
    Forked,
    Moved,
    Corrupt(Corrupt),
    Endpoint(EndpointError),
}

impl From<Stop> for Failure {
    #[inline]
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::WouldBlock => Self::WouldBlock,
            Stop::Closed => Self::Closed,
            Stop::Busy => Self::Busy,
            Stop::Moved => Self::Moved,
            Stop::Corrupt(corrupt) => Self::Corrupt(corrupt),
        }
    }
}

impl From<Corrupt> for Failure {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl Obstructed for Failure {
    fn is_would_block(&self) -> bool {
        matches!(self, Self::WouldBlock)
    }

    fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

/// An error of one verb on the sending side. `$would_block`, where there is one, is what it means that there was no room.
macro_rules! send_error {
    ($(#[$doc:meta])* $name:ident $(, $(#[$block_doc:meta])* $block:ident = $text:literal)?) => {
        $(#[$doc])*
        ///
        /// Every variant hands the message back; see [`into_inner`](Self::into_inner).
        #[non_exhaustive]
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum $name<T> {
            $($(#[$block_doc])* $block(T),)?
            /// The queue was closed, or all receivers have left or died.
            Closed(T),
            /// A signal handler interrupted an operation on this very endpoint.
            Busy(T),
            /// The endpoint was inherited by `fork`: it is the parent's.
            Forked(T),
            /// The endpoint has travelled to another process.
            Moved(T),
            /// Shared memory holds what no member of this library wrote.
            Corrupt(T, Corrupt),
            /// A `Queue` handle inherited by `fork` got no row of its own.
            Endpoint(T, EndpointError),
        }

        impl<T> $name<T> {
            /// The message that was not sent.
            pub fn into_inner(self) -> T {
                match self {
                    $(Self::$block(message) => message,)?
                    Self::Closed(message) | Self::Busy(message) | Self::Forked(message) | Self::Moved(message) => message,
                    Self::Corrupt(message, _) | Self::Endpoint(message, _) => message,
                }
            }

            $(
                #[doc = concat!("Whether it is `", stringify!($block), "`.")]
                pub fn would_block(&self) -> bool {
                    matches!(self, Self::$block(_))
                }
            )?

            /// Whether nobody will receive any more.
            pub fn is_closed(&self) -> bool {
                matches!(self, Self::Closed(_))
            }

            #[cold]
            pub(crate) fn of(message: T, failure: Failure) -> Self {
                match failure {
                    Failure::WouldBlock => send_error!(@block message, $($block)?),
                    Failure::Closed => Self::Closed(message),
                    Failure::Busy => Self::Busy(message),
                    Failure::Forked => Self::Forked(message),
                    Failure::Moved => Self::Moved(message),
                    Failure::Corrupt(corrupt) => Self::Corrupt(message, corrupt),
                    Failure::Endpoint(error) => Self::Endpoint(message, error),
                }
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$block(_) => f.write_str($text),)?
                    Self::Closed(_) => f.write_str(CLOSED),
                    Self::Busy(_) => f.write_str(BUSY),
                    Self::Forked(_) => f.write_str(FORKED),
                    Self::Moved(_) => f.write_str(MOVED),
                    Self::Corrupt(_, corrupt) => corrupt.fmt(f),
                    Self::Endpoint(_, error) => error.fmt(f),
                }
            }
        }

        /// Without the message, which may not be `Debug`.
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$block(_) => f.write_str(concat!(stringify!($block), "(..)")),)?
                    Self::Closed(_) => f.write_str("Closed(..)"),
                    Self::Busy(_) => f.write_str("Busy(..)"),
                    Self::Forked(_) => f.write_str("Forked(..)"),
                    Self::Moved(_) => f.write_str("Moved(..)"),
                    Self::Corrupt(_, corrupt) => write!(f, "Corrupt(.., {corrupt:?})"),
                    Self::Endpoint(_, error) => write!(f, "Endpoint(.., {error:?})"),
                }
            }
        }

        impl<T> std::error::Error for $name<T> {}
    };
    (@block $message:ident, $block:ident) => { Self::$block($message) };
    // A verb without a deadline does not come back for want of room.
    (@block $message:ident,) => { Self::Closed($message) };
}

/// An error of one verb on the receiving side.
macro_rules! recv_error {
    ($(#[$doc:meta])* $name:ident $(, $(#[$block_doc:meta])* $block:ident = $text:literal)?) => {
        $(#[$doc])*
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$block_doc])* $block,)?
            /// Nothing is left, and the queue was closed, or all senders have left or died.
            Closed,
            /// A signal handler interrupted an operation on this very endpoint.
            Busy,
            /// The endpoint was inherited by `fork`: it is the parent's.
            Forked,
            /// The endpoint has travelled to another process.
            Moved,
            /// Shared memory holds what no member of this library wrote.
            Corrupt(Corrupt),
            /// A `Queue` handle inherited by `fork` got no row of its own.
            Endpoint(EndpointError),
        }

        impl $name {
            $(
                #[doc = concat!("Whether it is `", stringify!($block), "`.")]
                pub fn would_block(&self) -> bool {
                    matches!(self, Self::$block)
                }
            )?

            /// Whether nothing will come any more.
            pub fn is_closed(&self) -> bool {
                matches!(self, Self::Closed)
            }

            #[cold]
            pub(crate) fn of(failure: Failure) -> Self {
                match failure {
                    Failure::WouldBlock => recv_error!(@block $($block)?),
                    Failure::Closed => Self::Closed,
                    Failure::Busy => Self::Busy,
                    Failure::Forked => Self::Forked,
                    Failure::Moved => Self::Moved,
                    Failure::Corrupt(corrupt) => Self::Corrupt(corrupt),
                    Failure::Endpoint(error) => Self::Endpoint(error),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$block => f.write_str($text),)?
                    Self::Closed => f.write_str(CLOSED),
                    Self::Busy => f.write_str(BUSY),
                    Self::Forked => f.write_str(FORKED),
                    Self::Moved => f.write_str(MOVED),
                    Self::Corrupt(corrupt) => corrupt.fmt(f),
                    Self::Endpoint(error) => error.fmt(f),
                }
            }
        }

        impl std::error::Error for $name {}
    };
    (@block $block:ident) => { Self::$block };
    // A verb without a deadline does not come back for want of a message.
    (@block) => { Self::Closed };
}

send_error! {
    /// Why `send` did not send.
    SendError
}
send_error! {
    /// Why `try_send` did not send.
    TrySendError,
    /// There is no room now.
    Full = "the queue is full"
}
send_error! {
    /// Why `send_timeout` or `send_deadline` did not send.
    SendTimeoutError,
    /// The time has passed without there being room.
    Timeout = "the time passed while the queue was full"
}
recv_error! {
    /// Why `recv` did not receive.
    RecvError
}
recv_error! {
    /// Why `try_recv` did not receive.
    TryRecvError,
    /// There is no message now.
    Empty = "the queue is empty"
}
recv_error! {
    /// Why `recv_timeout` or `recv_deadline` did not receive.
    RecvTimeoutError,
    /// The time has passed without a message.
    Timeout = "the time passed while the queue was empty"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_travel_between_threads_and_hand_back() {
        fn is_error<E: std::error::Error + Send + Sync + 'static>(_: &E) {}
        let error = TrySendError::Full(7u64);
        is_error(&error);
        is_error(&RecvError::Closed);
        assert_eq!((error.would_block(), error.to_string()), (true, "the queue is full".to_owned()));
        assert_eq!(error.into_inner(), 7);
        assert_eq!(format!("{:?}", SendError::Closed([0u8; 3])), "Closed(..)");
    }
}
