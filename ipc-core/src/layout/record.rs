//! The written format as data: which field of which structure lies where.
//!
//! A structure of shared memory lists its fields once more, with the plain type that each one holds, in [`record!`]. The
//! compiler checks the list: a field left out, one whose plain type has another size, or padding, does not compile. What comes
//! of it holds `docs/layout.md` to the code (`cargo test -p ipc-tests --test layout`) and lets [`inspect`](crate::inspect) read a
//! structure out of bytes that are not a mapping.

use std::mem::MaybeUninit;

/// A structure as it lies in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name in `docs/layout.md`.
    pub name: &'static str,
    /// Its size in bytes, padding at the end included.
    pub bytes: usize,
    /// Its alignment in bytes.
    pub align: usize,
    /// Its fields, as declared.
    pub fields: &'static [Place],
}

/// A field of a [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// The plain type it holds.
    pub kind: &'static str,
    /// Its offset from the start of the structure.
    pub offset: usize,
    /// Its size in bytes.
    pub bytes: usize,
}

/// A structure of shared memory that can be copied out of any bytes.
///
/// # Safety
/// Every field is an atomic, or another `Recorded`: any initialised bytes are a valid value, and there is nothing to drop.
#[doc(hidden)]
pub unsafe trait Recorded: Sized {
    /// What lies where.
    const RECORD: Record;

    /// A private copy made of `bytes`; what is missing is zero, what is too much is left out.
    fn copied(bytes: &[u8]) -> Self {
        let mut copy = MaybeUninit::<Self>::zeroed();
        let len = bytes.len().min(size_of::<Self>());
        let to = copy.as_mut_ptr().cast::<u8>();
        // SAFETY: `len` bytes fit into both, and the copy is ours.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), len) };
        // SAFETY: all bytes are initialised, and any are a valid value, as implementors promise.
        unsafe { copy.assume_init() }
    }
}

/// The size of a field, told by its accessor.
#[doc(hidden)]
pub const fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

/// Implements [`Recorded`](crate::inspect::Recorded): `record! { "name", Struct { field: plain type } }`.
///
/// To be used where the fields are visible, for structures that are atomics, or other recorded structures, all through. They
/// have no padding, unless the list ends in `..`: such a structure must not be written as a whole.
#[doc(hidden)]
#[macro_export]
macro_rules! record {
    ($name:literal, $state:ident $(<$t:ty>)? { $($field:ident: $plain:ty),+ $(,)? }) => {
        $crate::record! { $name, $state$(<$t>)? { $($field: $plain),+, .. } }

        // What alignment adds must be a field: `raw::Pad`.
        const _: () = ::core::assert!(
            0 $(+ ::core::mem::size_of::<$plain>())+ == ::core::mem::size_of::<$state$(<$t>)?>(),
            ::core::concat!("padding would carry bytes of the writer's stack into shared memory: ", $name),
        );
    };
    ($name:literal, $state:ident $(<$t:ty>)? { $($field:ident: $plain:ty),+, .. }) => {
        const _: () = {
            type RecordOf = $state$(<$t>)?;
            // All fields are listed.
            const _: fn(&RecordOf) = |$state { $($field: _),+ }| ();
            $(::core::assert!(
                $crate::inspect::size_of_field(|state: &RecordOf| &state.$field) == ::core::mem::size_of::<$plain>(),
                ::core::concat!("the plain type of `", ::core::stringify!($field), "` has another size"),
            );)+

            // SAFETY: the structure lies in shared memory, where others write whatever they like: it is atomics only.
            unsafe impl $crate::inspect::Recorded for RecordOf {
                const RECORD: $crate::inspect::Record = $crate::inspect::Record {
                    name: $name,
                    bytes: ::core::mem::size_of::<RecordOf>(),
                    align: ::core::mem::align_of::<RecordOf>(),
                    fields: &[$($crate::inspect::Place {
                        name: ::core::stringify!($field),
                        kind: ::core::stringify!($plain),
                        offset: ::core::mem::offset_of!(RecordOf, $field),
                        bytes: ::core::mem::size_of::<$plain>(),
                    }),+],
                };
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

    #[repr(C, align(32))]
    struct Sample {
        first: AtomicU32,
        second: AtomicU64,
        third: [AtomicU8; 3],
    }

    record! { "sample", Sample { first: u32, second: u64, third: [u8; 3], .. } }

    #[test]
    fn a_record_says_what_lies_where() {
        let record = Sample::RECORD;
        assert_eq!((record.name, record.bytes, record.align), ("sample", 32, 32));
        let places: Vec<_> = record.fields.iter().map(|f| (f.name, f.kind, f.offset, f.bytes)).collect();
        assert_eq!(places, [("first", "u32", 0, 4), ("second", "u64", 8, 8), ("third", "[u8; 3]", 16, 3)]);
    }

    #[test]
    fn a_copy_of_few_bytes_is_zero_behind_them() {
        let copy = Sample::copied(&[1, 0, 0, 0, 9, 9, 9, 9, 2]);
        assert_eq!(copy.first.load(Ordering::Relaxed), 1);
        assert_eq!(copy.second.load(Ordering::Relaxed), 2);
        assert_eq!(copy.third[2].load(Ordering::Relaxed), 0);
        assert_eq!(Sample::copied(&[7; 100]).third[2].load(Ordering::Relaxed), 7);
    }
}
