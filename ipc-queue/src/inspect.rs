//! How a queue is written, and how it is described.

use crate::ring::{EndpointRow, Header, RingState, Slot};
use ipc_core::inspect::{Record, Recorded};

/// The structures of a queue as they lie in shared memory, in the order of `docs/layout.md`.
pub const FORMAT: &[Record] =
    &[RingState::RECORD, Header::RECORD, EndpointRow::RECORD, <Slot<u64> as Recorded>::RECORD];
