//! A second, read-only mapping of a segment's bytes: what a tracer digests to see that shared memory has changed.

use ipc_core::Segment;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// A view of a whole segment.
#[derive(Debug)]
pub struct View {
    start: NonNull<c_void>,
    words: usize,
}

impl View {
    /// Maps the segment once more.
    ///
    /// # Panics
    /// If there is no memory for the mapping.
    pub fn of(segment: &Segment) -> Self {
        let len = NonZeroUsize::new(segment.len_bytes() as usize).expect("a segment has bytes");
        // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe { mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, segment.as_fd(), 0) };
        Self { start: start.expect("a second mapping"), words: len.get() / size_of::<u64>() }
    }

    /// FNV-1a over the words.
    pub fn digest(&self) -> u64 {
        let first = self.start.cast::<u64>();
        (0..self.words).fold(0xcbf2_9ce4_8422_2325, |digest, n| {
            // SAFETY: inside the mapping.
            let word = unsafe { first.add(n) };
            // SAFETY: mapped, aligned, any bits are a u64; volatile, since other processes write.
            let word = unsafe { word.read_volatile() };
            (digest ^ word).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: mapped in `of` with this length; no reference into it was ever given out.
        let unmapped = unsafe { munmap(self.start, self.words * size_of::<u64>()) };
        debug_assert!(unmapped.is_ok());
    }
}
