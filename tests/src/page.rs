//! A value in shared anonymous memory: what forked children and their parent all see.

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use nix::unistd::ftruncate;

/// The name of pages that are no part of the object under test.
pub const BOOKS: &str = "books-of-a-test";

/// A `T` that stays shared across fork: ledgers, counters, step signals of tests.
#[derive(Debug)]
pub struct Page<T> {
    value: NonNull<T>,
    _owns: PhantomData<T>,
}

// SAFETY: a `Page` gives out only `&T`; that several threads, or processes, may have one is what `T: Sync` says.
unsafe impl<T: Sync> Sync for Page<T> {}
// SAFETY: nothing of a page belongs to the thread that made it; the value is shared anyway.
unsafe impl<T: Send + Sync> Send for Page<T> {}

impl<T: Sync> Page<T> {
    const NO_DROP: () = assert!(!std::mem::needs_drop::<T>(), "nobody would drop a value that several processes share");
    const BYTES: NonZeroUsize = NonZeroUsize::new(if size_of::<T>() == 0 { 1 } else { size_of::<T>() }).unwrap();

    const ACCESS: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

    /// Maps memory and puts `value` there.
    ///
    /// # Panics
    /// If there is no memory.
    pub fn new(value: T) -> Self {
        // SAFETY: a fresh anonymous mapping, at no address in particular, replaces nothing.
        let memory = unsafe { mmap_anonymous(None, Self::BYTES, Self::ACCESS, MapFlags::MAP_SHARED) };
        Self::holding(memory.expect("shared memory for a test page").cast(), value)
    }

    /// The same for what a test writes down about the object under test, under a name by which a tracer knows it: the object
    /// knows nothing of it.
    ///
    /// # Panics
    /// If there is no memory.
    pub fn books(value: T) -> Self {
        let file = memfd_create(BOOKS, MFdFlags::MFD_CLOEXEC).expect("a file for a test page");
        ftruncate(&file, Self::BYTES.get() as i64).expect("memory for a test page");
        // SAFETY: a fresh mapping, at no address in particular, replaces nothing.
        let memory = unsafe { mmap(None, Self::BYTES, Self::ACCESS, MapFlags::MAP_SHARED, &file, 0) };
        Self::holding(memory.expect("shared memory for a test page").cast(), value)
    }

    /// `memory` is a fresh mapping of BYTES.
    fn holding(memory: NonNull<T>, value: T) -> Self {
        let () = Self::NO_DROP;
        const { assert!(align_of::<T>() <= 4096) };
        // SAFETY: fresh, writable, large enough, page-aligned, and nobody else knows it yet.
        unsafe { memory.write(value) };
        Self { value: memory, _owns: PhantomData }
    }
}

impl<T> Page<T> {
    /// The bytes, for a digest.
    pub fn as_ptr(&self) -> NonNull<T> {
        self.value
    }
}

impl<T> Deref for Page<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: initialised in `new`, mapped until drop, and no `&mut` to it is ever made.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Page<T> {
    fn drop(&mut self) {
        let bytes = size_of::<T>().max(1);
        // SAFETY: mapped in `new` with this length; no reference outlives `self`. Other processes keep their own mapping.
        let unmapped = unsafe { munmap(self.value.cast(), bytes) };
        debug_assert!(unmapped.is_ok());
    }
}
