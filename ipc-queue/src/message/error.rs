//! What can go wrong with a message, beside what can with a queue.

use crate::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use std::fmt;

/// What the codec (postcard) says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value does not fit the codec: {0}")]
pub struct CodecError(postcard::Error);

impl CodecError {
    pub(super) fn new(error: postcard::Error) -> Self {
        Self(error)
    }
}

/// Why a message was not sent: for want of the queue (`E`, as for a [`Queue`](crate::Queue)), or because of the message. It
/// comes back in each case.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub enum SendMessageError<M, E> {
    /// As for a queue of plain values. The message is inside.
    Queue(E),
    /// Serialised, it is longer than any message of this queue may be.
    TooLarge {
        /// The message.
        message: M,
        /// Bytes it would take.
        len: usize,
        /// Bytes it may take: the queue's `max_message`.
        max: usize,
    },
    /// It could not be serialised.
    Encode {
        /// The message.
        message: M,
        /// Why.
        source: CodecError,
    },
}

/// What can be asked of each of them, without a look at which it is.
macro_rules! answers {
    ($($send:ident, $recv:ident;)*) => {$(
        impl<M> SendMessageError<M, $send<M>> {
            /// The message that was not sent.
            pub fn into_inner(self) -> M {
                match self {
                    Self::Queue(error) => error.into_inner(),
                    Self::TooLarge { message, .. } | Self::Encode { message, .. } => message,
                }
            }

            /// Whether nobody will receive any more.
            pub fn is_closed(&self) -> bool {
                matches!(self, Self::Queue(error) if error.is_closed())
            }
        }

        impl RecvMessageError<$recv> {
            /// Whether nothing will come any more.
            pub fn is_closed(&self) -> bool {
                matches!(self, Self::Queue(error) if error.is_closed())
            }
        }
    )*};
}

answers! {
    SendError, RecvError;
    TrySendError, TryRecvError;
    SendTimeoutError, RecvTimeoutError;
}

macro_rules! would_block {
    ($($send:ident, $recv:ident;)*) => {$(
        impl<M> SendMessageError<M, $send<M>> {
            /// Whether there was no room, now or in time.
            pub fn would_block(&self) -> bool {
                matches!(self, Self::Queue(error) if error.would_block())
            }
        }

        impl RecvMessageError<$recv> {
            /// Whether there was no message, now or in time.
            pub fn would_block(&self) -> bool {
                matches!(self, Self::Queue(error) if error.would_block())
            }
        }
    )*};
}

would_block! {
    TrySendError, TryRecvError;
    SendTimeoutError, RecvTimeoutError;
}

impl<M, E: fmt::Display> fmt::Display for SendMessageError<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(error) => error.fmt(f),
            Self::TooLarge { len, max, .. } => write!(
                f,
                "the message takes {len} bytes, and this queue's take {max} at most; create it with more `.max_message(bytes)`"
            ),
            Self::Encode { source, .. } => write!(f, "the message could not be serialised: {source}"),
        }
    }
}

/// Without the message, which may not be `Debug`.
impl<M, E: fmt::Debug> fmt::Debug for SendMessageError<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(error) => error.fmt(f),
            Self::TooLarge { len, max, .. } => write!(f, "TooLarge {{ len: {len}, max: {max}, .. }}"),
            Self::Encode { source, .. } => write!(f, "Encode {{ source: {source:?}, .. }}"),
        }
    }
}

impl<M: 'static, E: std::error::Error + 'static> std::error::Error for SendMessageError<M, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Queue(error) => error.source(),
            Self::TooLarge { .. } => None,
            Self::Encode { source, .. } => Some(source),
        }
    }
}

/// A message that was received and could not be deserialised. It will not come again; here are its bytes.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message of {} bytes could not be deserialised: {source}", bytes.len())]
pub struct DecodeError {
    /// The message as it was in the queue.
    pub bytes: Vec<u8>,
    /// Why.
    pub source: CodecError,
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError").field("len", &self.bytes.len()).field("source", &self.source).finish()
    }
}

/// Why no message was received: for want of one (`E`, as for a [`Queue`](crate::Queue)), or because of what it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvMessageError<E> {
    /// As for a queue of plain values.
    #[error(transparent)]
    Queue(E),
    /// The message was received, and is not what was expected.
    #[error(transparent)]
    Decode(DecodeError),
}
