//! Explicit padding.

use std::cell::UnsafeCell;
use std::fmt;

/// `N` bytes that are zero and that nobody reads: the gap between two fields, said.
///
/// A struct with gaps that is written by value takes whatever the writer's stack holds there along, into memory that others
/// read. With the gaps said, every byte is written as zero.
#[repr(transparent)]
pub struct Pad<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: nobody reads or writes it.
unsafe impl<const N: usize> Sync for Pad<N> {}

impl<const N: usize> Pad<N> {
    /// Zeroes.
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }
}

impl<const N: usize> Default for Pad<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Pad<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pad({N})")
    }
}
