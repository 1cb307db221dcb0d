//! Bytes of a structure in shared memory that mean nothing yet.
//!
//! A structure is written as a whole, its padding included, and padding holds whatever was on the writer's stack: addresses,
//! or worse, for everybody who may map the segment. So a structure of shared memory has none: what its alignment adds is a
//! field that is zero. [`record!`](crate::record) refuses a structure with gaps.

use std::sync::atomic::AtomicU32;

/// `WORDS` words of 32 bits, all zero, for a later format.
#[repr(transparent)]
pub struct Reserved<const WORDS: usize>([AtomicU32; WORDS]);

impl<const WORDS: usize> Reserved<WORDS> {
    /// Zeros.
    pub const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; WORDS])
    }
}

impl<const WORDS: usize> Default for Reserved<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WORDS: usize> std::fmt::Debug for Reserved<WORDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", 4 * WORDS)
    }
}
