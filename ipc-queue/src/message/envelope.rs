//! What lies in a slot: a short message itself, or where the blocks of a long one begin.

use ipc_core::plain;

/// Bytes of the longest message that needs no block. With its word, such a slot is one line.
pub const INLINE_BYTES: usize = 48;

/// A message's length, and the message or its first block.
#[plain(name = "ipc_queue/envelope/1")]
pub struct Envelope {
    len: u32,
    first: u32,
    bytes: [u8; INLINE_BYTES],
}

impl Envelope {
    /// Of a message of at most [`INLINE_BYTES`].
    pub fn short(message: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        bytes[..message.len()].copy_from_slice(message);
        Self { len: message.len() as u32, first: 0, bytes }
    }

    /// Of a message whose blocks begin with `first`.
    pub fn long(len: usize, first: u32) -> Self {
        Self { len: len as u32, first, bytes: [0; INLINE_BYTES] }
    }

    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The message itself, if it is here.
    pub fn message(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len())
    }

    /// The first block, for a message that is not.
    pub fn first(&self) -> u32 {
        self.first
    }
}
