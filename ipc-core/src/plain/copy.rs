//! Copies of plain values into and out of memory that another process may be writing.
//!
//! ## Why word by word, with relaxed atomics
//!
//! The protocols above (locks, rings) keep two members from touching one value at once, as long as all members play by
//! them. A peer that does not may write at any moment, so
//!
//! - a copy must not be a data race: `ptr::read`, `memcpy` and volatile accesses that meet a concurrent write are undefined
//!   behaviour, an atomic load is whatever the word holds;
//! - each byte is read once, so that what was checked is what is used;
//! - what comes out may be a mixture of two values, but any bytes are a valid value of a [`Plain`] type.
//!
//! Relaxed loads and stores of up to 8 bytes are the plain move instructions on every target. What they cost is the wide
//! vector moves that `memcpy` would use: 4 KiB take about 230 ns instead of 115; small values take no longer.
//!
//! ## Which words
//!
//! Chosen from alignment, size and address of the value alone, and segments are mapped at page boundaries, so all
//! processes cut the same value into the same words:
//!
//! | value                                          | words                                                        |
//! |------------------------------------------------|--------------------------------------------------------------|
//! | alignment 8 or more                            | of 8 bytes                                                   |
//! | up to [`FEW`] units of its alignment (1, 2, 4) | units                                                        |
//! | any other                                      | units up to a multiple of 8, words of 8, units up to the end |
//!
//! No word is smaller than the alignment, up to 8. Hence a scalar of up to 8 bytes is never torn, not even inside a struct;
//! larger values may be, by another writer and by death.
//!
//! ## Death at a step
//!
//! | step of `store_plain`               | what is left                       | who repairs it                | test |
//! |-------------------------------------|------------------------------------|-------------------------------|------|
//! | 1. padding of a private copy zeroed | the old value                      | nobody needs to               | –    |
//! | 2. words stored                     | some scalars new, the others old   | the protocol above: a mark, a second copy, a slot's state | `words_cover_and_split_no_scalar` |
//!
//! Orderings: all relaxed [copy/W]; the acquire and release around a copy belong to the protocol that owns the memory.
//!
//! In a loom build the bytes are copied without atomics, which is the stricter test: the cell around them reports every
//! access that the protocol did not order.

use super::value::Plain;
use std::mem::MaybeUninit;

/// Most units that are copied one by one rather than by words of 8 bytes.
const FEW: usize = 8;

/// Stores `value` with all of its padding zero.
///
/// # Process death
///
/// Killed inside, the caller leaves a mixture of old and new fields; each scalar of up to 8 bytes is old or new, whole.
///
/// # Safety
///
/// 1. `dst` is aligned for `T`, and valid for reads and writes of `size_of::<T>()` bytes during the call.
/// 2. No reference to these bytes is alive in this process, and no other thread of it accesses them meanwhile except by
///    functions of this file, for the same `T` at the same address.
///
/// Other processes may do anything to the bytes meanwhile; then the outcome is a mixture.
#[inline]
pub unsafe fn store_plain<T: Plain>(dst: *mut T, value: T) {
    let mut image = MaybeUninit::new(value);
    let bytes = image.as_mut_ptr().cast::<u8>();
    // 1.
    T::padding(0, &mut |gap| {
        // SAFETY: duty 3 of Plain keeps the gap inside the image.
        unsafe { bytes.wrapping_add(gap.start).write_bytes(0, gap.len()) }
    });
    // 2.
    for_each_run(dst.cast(), size_of::<T>(), align_of::<T>(), |run| {
        // SAFETY: fields and zeroed gaps leave no byte of the image uninitialised (duty 3 of Plain), and it has not moved
        // since; the run lies within `dst`, which our caller vouches for, and is aligned for its words.
        unsafe { run.store(bytes.wrapping_add(run.offset)) }
    });
}

/// Copies the value at `src` out, padding and all.
///
/// # Safety
///
/// 1. `src` is aligned for `T`, and valid for reads of `size_of::<T>()` bytes during the call; all of them are
///    initialised, as mapped memory is.
/// 2. It does not come from a `&T`, and no other thread of this process writes the bytes meanwhile except by functions of
///    this file, for the same `T` at the same address.
///
/// Other processes may do anything to the bytes meanwhile; then the result is a mixture.
#[inline]
pub unsafe fn load_plain<T: Plain>(src: *const T) -> T {
    let mut image = MaybeUninit::<T>::uninit();
    let bytes = image.as_mut_ptr().cast::<u8>();
    for_each_run(src.cast_mut().cast(), size_of::<T>(), align_of::<T>(), |run| {
        // SAFETY: the run lies within `src`, which our caller vouches for, and is aligned for its words; as much room is
        // in the image at the same offset.
        unsafe { run.load(bytes.wrapping_add(run.offset)) }
    });
    // SAFETY: the runs cover all bytes, and any bytes are a valid T (`FromBytes`).
    unsafe { image.assume_init() }
}

/// Zeroes the padding of a value in place, for values that were written through a `&mut T`.
///
/// An assignment through a reference may leave anything in the padding, even bytes of this process's stack.
///
/// # Safety
///
/// `at` is aligned for `T` and valid for reads and writes of `size_of::<T>()` bytes; until the call returns, no reference to
/// these bytes is alive in this process, and no other thread of it accesses them. Other processes may do anything.
#[inline]
pub unsafe fn scrub_padding<T: Plain>(at: *mut T) {
    const ZERO: [u8; 64] = [0; 64];
    T::padding(0, &mut |mut gap| {
        while !gap.is_empty() {
            let len = gap.len().min(ZERO.len());
            for_each_run(at.cast::<u8>().wrapping_add(gap.start), len, 1, |run| {
                // SAFETY: duty 3 of Plain keeps the gap inside `*at`, which our caller vouches for; ZERO is as long.
                unsafe { run.store(ZERO.as_ptr().wrapping_add(run.offset)) }
            });
            gap.start += len;
        }
    });
}

/// Some words of one size in shared memory, `offset` bytes from where the copy began.
#[derive(Clone, Copy)]
struct Run {
    shared: *mut u8,
    offset: usize,
    words: usize,
    word_bytes: usize,
}

/// Cuts `len` bytes at `shared`, aligned to `align`, into runs as tabled above.
#[inline(always)]
fn for_each_run(shared: *mut u8, len: usize, align: usize, mut visit: impl FnMut(Run)) {
    let mut run = |offset: usize, bytes: usize, word_bytes: usize| {
        visit(Run { shared: shared.wrapping_add(offset), offset, words: bytes / word_bytes, word_bytes });
    };
    if align >= 8 {
        run(0, len, 8);
    } else if len / align <= FEW {
        run(0, len, align);
    } else {
        let (head, body) = cut(shared.addr(), len);
        run(0, head, align);
        run(head, body, 8);
        run(head + body, len - head - body, align);
    }
}

/// Bytes before the first multiple of 8 at or after `addr`, and the whole words of 8 bytes from there, in `len` bytes.
#[inline]
fn cut(addr: usize, len: usize) -> (usize, usize) {
    let head = (addr.wrapping_neg() % 8).min(len);
    (head, (len - head) / 8 * 8)
}

impl Run {
    /// Copies from `from` to the shared words.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of the run's bytes, all initialised; the words are aligned, valid for writes, and accessed
    /// by no other thread of this process but in words of the same size.
    #[inline(always)]
    unsafe fn store(self, from: *const u8) {
        match self.word_bytes {
            // SAFETY: passed on from our caller, as in the next three.
            8 => unsafe { store_words::<u64>(from.cast(), self.shared.cast(), self.words) },
            // SAFETY: see above.
            4 => unsafe { store_words::<u32>(from.cast(), self.shared.cast(), self.words) },
            // SAFETY: see above.
            2 => unsafe { store_words::<u16>(from.cast(), self.shared.cast(), self.words) },
            // SAFETY: see above.
            _ => unsafe { store_words::<u8>(from, self.shared, self.words) },
        }
    }

    /// Copies from the shared words to `to`.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of the run's bytes; the words are aligned, valid for reads, initialised, and written by no
    /// other thread of this process but in words of the same size.
    #[inline(always)]
    unsafe fn load(self, to: *mut u8) {
        match self.word_bytes {
            // SAFETY: passed on from our caller, as in the next three.
            8 => unsafe { load_words::<u64>(self.shared.cast(), to.cast(), self.words) },
            // SAFETY: see above.
            4 => unsafe { load_words::<u32>(self.shared.cast(), to.cast(), self.words) },
            // SAFETY: see above.
            2 => unsafe { load_words::<u16>(self.shared.cast(), to.cast(), self.words) },
            // SAFETY: see above.
            _ => unsafe { load_words::<u8>(self.shared, to, self.words) },
        }
    }
}

/// Stores `words` words, lowest address first.
///
/// # Safety
///
/// As for [`Run::store`]; `from` need not be aligned.
#[inline(always)]
unsafe fn store_words<W: Word>(from: *const W, shared: *mut W, words: usize) {
    for i in 0..words {
        // SAFETY: our caller vouches for `words` words at `from`.
        let word = unsafe { from.wrapping_add(i).read_unaligned() };
        // SAFETY: our caller vouches for `words` aligned words at `shared`.
        unsafe { W::store(shared.wrapping_add(i), word) };
    }
}

/// Loads `words` words, lowest address first.
///
/// # Safety
///
/// As for [`Run::load`]; `to` need not be aligned.
#[inline(always)]
unsafe fn load_words<W: Word>(shared: *const W, to: *mut W, words: usize) {
    for i in 0..words {
        // SAFETY: our caller vouches for `words` aligned words at `shared`.
        let word = unsafe { W::load(shared.wrapping_add(i)) };
        // SAFETY: our caller vouches for room for `words` words at `to`.
        unsafe { to.wrapping_add(i).write_unaligned(word) };
    }
}

/// An integer that one instruction moves between a register and shared memory.
trait Word: Copy {
    /// Stores the word, relaxed.
    ///
    /// # Safety
    ///
    /// `shared` is aligned and valid for writes; concurrent accesses in this process are atomic and of the same size.
    unsafe fn store(shared: *mut Self, word: Self);

    /// Loads the word, relaxed.
    ///
    /// # Safety
    ///
    /// `shared` is aligned, initialised and valid for reads, not by way of a reference to something without an
    /// `UnsafeCell`; concurrent writes in this process are atomic and of the same size.
    unsafe fn load(shared: *const Self) -> Self;
}

macro_rules! words {
    ($($word:ty, $atomic:ident;)*) => {$(
        impl Word for $word {
            #[cfg(not(ipc_loom))]
            #[inline(always)]
            unsafe fn store(shared: *mut Self, word: Self) {
                use crate::shim::{$atomic, Ordering};
                // SAFETY: an atomic has the layout of its integer on the supported targets; our caller vouches for
                // alignment, validity and the absence of other accesses than atomic ones.
                let shared = unsafe { &*shared.cast::<$atomic>() };
                // ORDERING: Relaxed [copy/W]: the protocol that owns the memory publishes the value.
                shared.store(word, Ordering::Relaxed);
            }

            #[cfg(not(ipc_loom))]
            #[inline(always)]
            unsafe fn load(shared: *const Self) -> Self {
                use crate::shim::{$atomic, Ordering};
                // SAFETY: as in `store`; a relaxed load of up to 8 bytes is allowed on read-only mappings too.
                let shared = unsafe { &*shared.cast::<$atomic>() };
                // ORDERING: Relaxed [copy/W]: the protocol that owns the memory acquired the value, if it did.
                shared.load(Ordering::Relaxed)
            }

            #[cfg(ipc_loom)]
            unsafe fn store(shared: *mut Self, word: Self) {
                // SAFETY: loom's cell has checked that nobody else accesses it; the rest is our caller's word.
                unsafe { shared.write(word) }
            }

            #[cfg(ipc_loom)]
            unsafe fn load(shared: *const Self) -> Self {
                // SAFETY: loom's cell has checked that nobody writes it; the rest is our caller's word.
                unsafe { shared.read() }
            }
        }
    )*};
}

words! {
    u8, AtomicU8;
    u16, AtomicU16;
    u32, AtomicU32;
    u64, AtomicU64;
}

#[cfg(test)]
mod tests;
