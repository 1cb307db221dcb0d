//! How values and the handles among them are packed: bytes, and beside them the descriptors that the handles need.
//!
//! The one file that knows the codec (postcard) and how ipc-core carries handles.

use crate::error::{CodecError, DecodeError, EncodeError};
use ipc_core::transport::{self, Luggage};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Values about to leave. Holds the segments of the handles among them open.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    pub(crate) bytes: Vec<u8>,
    luggage: Luggage,
}

impl Outbound {
    /// The descriptors that must go along, in this order.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.luggage.segments().iter().map(|segment| segment.as_fd())
    }
}

/// Values that have arrived.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Runs `encode`, which appends values to the bytes it is given. Handles can be among them.
pub(crate) fn pack<E>(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Outbound, E> {
    let mut bytes = Vec::new();
    let (encoded, luggage) = transport::send(|| encode(&mut bytes));
    encoded.map(|()| Outbound { bytes, luggage })
}

/// Runs `decode` on the bytes. Handles among them attach through the descriptors that came along.
pub(crate) fn unpack<T>(inbound: Inbound, decode: impl FnOnce(&[u8]) -> T) -> T {
    let Inbound { bytes, descriptors } = inbound;
    transport::receive(descriptors, || decode(&bytes))
}

/// Appends one value; within [`pack`].
pub(crate) fn append<T: serde::Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    let whole = std::mem::take(bytes);
    *bytes = postcard::to_extend(value, whole).map_err(|codec| match transport::take_error() {
        Some(handle) => EncodeError::Handle(handle),
        None => EncodeError::Codec(CodecError::new(codec)),
    })?;
    Ok(())
}

/// Takes one value off the front of the bytes; within [`unpack`].
pub(crate) fn take<T: serde::de::DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|codec| match transport::take_error() {
        Some(handle) => DecodeError::Handle(handle),
        None => DecodeError::Codec(CodecError::new(codec)),
    })?;
    *bytes = rest;
    Ok(value)
}

/// Everything must have been taken.
pub(crate) fn finish(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.is_empty() { Ok(()) } else { Err(DecodeError::Excess { bytes: bytes.len() }) }
}
