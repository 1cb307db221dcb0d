//! `mmap(2)`: the mapping of a segment, and the page that keeps a row lock alive.

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// A shared, writable mapping. Other processes write to it at any time, so it is never lent out as a slice.
#[derive(Debug)]
pub(crate) struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Maps the first `len` bytes of `fd`; `populate` touches every page now.
    pub(crate) fn new(fd: BorrowedFd<'_>, len: usize, populate: bool) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.len(len);
        if populate {
            options.populate();
        }
        Ok(Self { raw: options.map_raw(fd.as_raw_fd())? })
    }

    /// Its first byte, aligned to a page.
    pub(crate) fn start(&self) -> NonNull<u8> {
        // SAFETY: mmap never returns a null pointer for a successful mapping.
        unsafe { NonNull::new_unchecked(self.raw.as_mut_ptr()) }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }
}

/// `madvise(MADV_WIPEONFORK)`: forked children find this static zeroed. It must fill whole pages that have no file behind them.
pub(crate) fn wipe_on_fork<T>(place: NonNull<T>) -> io::Result<()> {
    // SAFETY: this changes nothing in this process.
    Ok(unsafe { madvise(place.cast(), size_of::<T>(), MmapAdvise::MADV_WIPEONFORK) }?)
}

/// One inaccessible page mapped through an open file description.
///
/// The mapping holds the description, the description holds its locks; the page is not inherited by `fork` and goes with
/// the address space. So a lock kept this way lives exactly as long as the process image: closing descriptors, passing them
/// on or forking does not affect it, exec and death end it.
#[derive(Debug)]
pub(crate) struct KeeperPage {
    page: NonNull<c_void>,
}

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

// SAFETY: the page is inaccessible; the value is only the right to unmap it, which any thread may do.
unsafe impl Send for KeeperPage {}

impl KeeperPage {
    /// Maps a page that keeps the description behind `fd` open.
    pub(crate) fn new(fd: impl AsFd) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
        let page = unsafe { mmap(None, PAGE, ProtFlags::PROT_NONE, MapFlags::MAP_SHARED, fd, 0) }?;
        let keeper = Self { page };
        // SAFETY: the page was mapped above and is ours.
        unsafe { madvise(page, PAGE.get(), MmapAdvise::MADV_DONTFORK) }?;
        Ok(keeper)
    }

    /// For a forked child, which did not inherit the page: forgets it without unmapping what may lie there now.
    pub(crate) fn not_inherited(self) {
        std::mem::forget(self);
    }
}

impl Drop for KeeperPage {
    fn drop(&mut self) {
        // SAFETY: the page is ours and nobody has a reference into it: it was never accessible.
        let _ = unsafe { munmap(self.page, PAGE.get()) };
    }
}
