//! Queues of serde messages of any size up to a maximum: a ring of envelopes, and blocks for what does not fit into one.
//!
//! | file      | what                                                                      |
//! |-----------|---------------------------------------------------------------------------|
//! | blocks    | the blocks: who has which, chains, orphans (memory, steps, death)         |
//! | envelope  | what lies in a slot                                                       |
//! | body      | ring and blocks as one object in a segment                                |
//! | post      | sending and receiving bytes: blocks first, then the ring                  |
//! | handle    | `MessageQueue`, `MessageSender`, `MessageReceiver`: messages to bytes     |
//! | error     | what can go wrong with a message, beside what can with a queue            |

mod blocks;
mod body;
mod envelope;
mod error;
mod handle;
mod post;

pub use error::{CodecError, DecodeError, RecvMessageError, SendMessageError};
pub use handle::{MessageQueue, MessageQueueOptions, MessageReceiver, MessageSender, message_queue};
