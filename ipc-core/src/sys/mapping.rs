//! `mmap(2)`: the mapping of a segment, and the page that keeps a row lock alive.

use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// A shared mapping. Other processes write to it at any time, so it is never lent out as a slice.
#[derive(Debug)]
pub(crate) struct Mapping {
    raw: MmapRaw,
}

/// How this process wants its mapping; none of it concerns others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Every page is touched now.
    pub populate: bool,
    /// Large pages where the system gives them.
    pub huge_pages: bool,
    /// Never paged out.
    pub locked: bool,
    /// Left out of core dumps.
    pub not_dumped: bool,
}

impl Mapping {
    /// Maps the first `len` bytes of `fd` for reading and writing.
    pub(crate) fn new(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Ok(Self { raw: MmapOptions::new().len(len).map_raw(fd.as_raw_fd())? })
    }

    /// Maps the first `len` bytes of `fd` for reading: a store is a SIGSEGV.
    pub(crate) fn read_only(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Ok(Self { raw: MmapOptions::new().len(len).map_raw_read_only(fd.as_raw_fd())? })
    }

    /// `madvise(2)`, `mlock(2)`: large pages first, so that touching the pages makes large ones.
    pub(crate) fn arrange(&self, manner: Manner) -> io::Result<()> {
        if manner.not_dumped {
            self.raw.advise(Advice::DontDump)?;
        }
        if manner.huge_pages {
            self.ask_for_huge_pages();
        }
        if manner.populate {
            self.raw.advise(Advice::PopulateWrite)?;
        }
        if manner.locked {
            self.raw.lock()?;
        }
        Ok(())
    }

    /// Both are requests: a kernel without large pages for this kind of file refuses, and small ones do the same.
    fn ask_for_huge_pages(&self) {
        const MADV_COLLAPSE: libc::c_int = 25;
        let _ = self.raw.advise(Advice::HugePage);
        // SAFETY: the range is ours; collapsing changes which pages hold the bytes, not the bytes.
        let _ = unsafe { libc::madvise(self.raw.as_mut_ptr().cast(), self.raw.len(), MADV_COLLAPSE) };
    }

    /// `msync(2)`: what is in memory is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.raw.flush()
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
