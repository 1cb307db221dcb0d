//! The way in for handles: values are serialised and deserialised on a journey on which handles may be among them.
//!
//! The one file that knows how ipc-core carries handles. Bytes are postcard; descriptors travel beside them.

use crate::error::{CodecError, DecodeError, EncodeError};
use std::os::fd::OwnedFd;

/// Bytes with the descriptors that the handles in them refer to.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) luggage: Vec<OwnedFd>,
}

/// Runs `encode`, which appends values to the bytes it is given, on an outward journey.
pub(crate) fn pack<E>(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Packed, E> {
    let mut bytes = Vec::new();
    encode(&mut bytes)?;
    Ok(Packed { bytes, luggage: Vec::new() })
}

/// Runs `decode` on the bytes, on the journey inward.
pub(crate) fn unpack<T>(packed: Packed, decode: impl FnOnce(&[u8]) -> T) -> T {
    let Packed { bytes, luggage } = packed;
    drop(luggage);
    decode(&bytes)
}

/// Appends one value.
pub(crate) fn append<T: serde::Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    let whole = std::mem::take(bytes);
    *bytes = postcard::to_extend(value, whole).map_err(|e| EncodeError::Codec(CodecError::new(e)))?;
    Ok(())
}

/// Takes one value off the front of the bytes.
pub(crate) fn take<T: serde::de::DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|e| DecodeError::Codec(CodecError::new(e)))?;
    *bytes = rest;
    Ok(value)
}

/// Everything must have been taken.
pub(crate) fn finish(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.is_empty() { Ok(()) } else { Err(DecodeError::Excess { bytes: bytes.len() }) }
}
