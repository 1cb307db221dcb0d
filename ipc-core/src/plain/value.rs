//! The trait [`Plain`] and the types it is implemented for by hand.
//!
//! A plain value keeps its meaning when its bytes are read by another process, and *any* bytes are one of its values, so
//! that nothing a stranger writes can be undefined behaviour to read. The first half is why references, pointers and
//! `usize` are missing below, the second why `bool`, `char` and enums are.

use super::schema::Schema;
use std::ops::Range;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A value that may lie in shared memory: any bytes are valid, and they mean the same in every process.
///
/// Plain are `u8` to `u128`, `i8` to `i128`, `f32`, `f64`, `()`, arrays of plain values, and structs marked
/// [`#[plain]`](macro@crate::plain), which is the way to make a type plain. What is not plain has a plain stand-in:
///
/// | instead of                       | because                                              | store                                |
/// |----------------------------------|------------------------------------------------------|--------------------------------------|
/// | `bool`                           | only two of 256 bytes are a `bool`                   | `u8`, compared with 0                |
/// | `char`                           | most `u32` are no `char`                             | `u32` and [`char::from_u32`]         |
/// | an enum, `Option`                | most tags are no variant                             | a `u8` or `u32`, and `TryFrom` on it |
/// | `usize`, `isize`                 | their size differs between programs                  | `u64`, `i64`                         |
/// | a tuple                          | its layout is not specified                          | a `#[plain]` struct                  |
/// | a reference, pointer, function   | an address means nothing in another process          | an index, an offset, a ticket        |
/// | `String`, `Vec`, `Box`           | their bytes lie on one process's heap                | `[u8; N]`, or send it as a message   |
///
/// Messages of any serde type, `String` and `Vec` among them, go through the `MessageQueue` of ipc-queue.
///
/// Padding is allowed. Every store into shared memory zeroes it, so no byte of a process's own memory leaks.
///
/// # Safety
///
/// `#[plain]` discharges these duties; an implementation by hand must do so itself:
///
/// 1. The bytes of a value mean the same in every process that maps them: no address, descriptor or thread-local token.
/// 2. [`SCHEMA`](Self::SCHEMA) describes the layout: size, alignment, and all fields with their offsets and types.
/// 3. [`padding`](Self::padding) visits every byte of the type that its fields leave uninitialised, each once, and no
///    byte outside of `base..base + size_of::<Self>()`.
///
/// # Examples
///
/// ```
/// use ipc_core::{Plain, plain};
///
/// #[plain]
/// struct Reading {
///     at_ns: u64,
///     celsius: f32,
/// }
///
/// assert_eq!(Reading::SCHEMA.text(), "Reading{size 16 align 8; at_ns@0: u64, celsius@8: f32}");
/// assert_eq!(<[u32; 8]>::SCHEMA.text(), "[u32; 8]");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plain value, so it cannot lie in shared memory",
    label = "not a plain value",
    note = "plain are u8 to u128, i8 to i128, f32, f64, (), arrays of plain values, and structs marked `#[plain]`",
    note = "bool, char, enums, usize, tuples, references, pointers and types with heap memory are not: the documentation of `ipc_core::Plain` says what to store instead",
    note = "to send values of any serde type, such as String or Vec, use `MessageQueue` of ipc-queue"
)]
pub unsafe trait Plain: FromBytes + Immutable + KnownLayout + Copy + Send + Sync + 'static {
    /// The layout: compared when an object is opened, printed when it differs.
    const SCHEMA: Schema;

    /// Calls `visit` with each range of padding bytes of a value that begins at byte `base`.
    ///
    /// The default is for types without padding.
    #[inline]
    fn padding(base: usize, visit: &mut impl FnMut(Range<usize>)) {
        let _ = (base, visit);
    }
}

/// Scalars are named by their keyword, which fixes size and alignment; a target where that is not so does not compile.
macro_rules! scalars {
    ($($scalar:ty: $bytes:literal)*) => {$(
        const _: () = assert!(size_of::<$scalar>() == $bytes && align_of::<$scalar>() == $bytes);

        // SAFETY: numbers hold no address, the assertion above fixes size and alignment, and they have no padding.
        unsafe impl Plain for $scalar {
            const SCHEMA: Schema = Schema::scalar(stringify!($scalar), $bytes);
        }
    )*};
}

scalars! {
    u8: 1 u16: 2 u32: 4 u64: 8 u128: 16
    i8: 1 i16: 2 i32: 4 i64: 8 i128: 16
    f32: 4 f64: 8
}

// SAFETY: it has no bytes.
unsafe impl Plain for () {
    const SCHEMA: Schema = Schema::scalar("()", 0);
}

// SAFETY: elements lie one after the other with nothing between them, so the array means what its elements mean, its
// padding is theirs, and length and element say all of its layout.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {
    const SCHEMA: Schema = Schema::array(&T::SCHEMA, N as u64);

    #[inline]
    fn padding(base: usize, visit: &mut impl FnMut(Range<usize>)) {
        if const { T::SCHEMA.has_padding() } {
            for i in 0..N {
                T::padding(base + i * size_of::<T>(), visit);
            }
        }
    }
}
