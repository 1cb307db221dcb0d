//! Bytes and arithmetic of a segment: no system calls, no pointers.

pub(crate) mod entry;
pub(crate) mod header;
pub(crate) mod record;
