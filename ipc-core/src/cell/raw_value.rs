//! `RawValue`: a plain value without a lock, which is what a plain field of a shared struct is.
//!
//! | offset | type | name | written by             |
//! |--------|------|------|------------------------|
//! | 0      | T    | data | whoever calls `set`    |
//!
//! No reference to the data is ever made: it is copied in and out word by word, by [`load_plain`] and [`store_plain`]. A death
//! inside `set` leaves what these leave: each scalar of up to 8 bytes old or new.
//!
//! [`load_plain`]: crate::raw::load_plain
//! [`store_plain`]: crate::raw::store_plain

use crate::raw::{Kind, Placed, PlainCell, Shareable, State, View};
use crate::{Plain, Schema};
use std::fmt;

/// A plain value that processes share without a lock.
///
/// For what is written once, or by one process, or is a single number of which any recent value will do. To change a number
/// depending on what it was, use [`AtomicValue`](crate::AtomicValue); for whole values of more than 8 bytes, [`Value`](crate::Value).
///
/// Each scalar of up to 8 bytes is read and written whole, also inside a struct or an array; a larger value that is read
/// while it is written may be a mixture of old and new scalars. Nothing orders it with other accesses.
///
/// # Process death
/// A process that dies inside [`set`](Self::set) leaves a mixture of old and new scalars. Nobody is told.
///
/// # Examples
/// ```
/// use ipc_core::RawValue;
/// let limit = RawValue::new(10u32)?;
/// limit.set(12);
/// assert_eq!(limit.get(), 12);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[doc(alias = "RawArray")]
pub struct RawValue<T: Plain> {
    placed: Placed<RawValueState<T>>,
}

/// A [`RawValue`] in shared memory: what a plain field of a `#[shared]` struct becomes. At first it is zero.
#[repr(transparent)]
pub struct RawValueState<T: Plain> {
    data: PlainCell<T>,
}

// SAFETY: 1. a cell of a plain value. 2. the type of the value is all there is to tell. 3. not for all types: a segment
// refuses the rest.
unsafe impl<T: Plain> State for RawValueState<T> {
    const KIND: Kind = Kind::RAW_VALUE;
    const ELEMENT: Schema = T::SCHEMA;
    /// As what it is to its user: a plain field.
    const SCHEMA: Schema = T::SCHEMA;
    type Init = T;
    type Tail = ();
    type Handle = RawValue<T>;

    fn init(new: View<'_, Self>, value: Option<&T>) {
        if let Some(&value) = value {
            new.state().set(value);
        }
    }

    fn handle(placed: Placed<Self>) -> RawValue<T> {
        RawValue { placed }
    }
}

handle!(RawValue<T: Plain> of RawValueState<T>, "a value without a lock"; new(value: T) => &value);

impl<T: Plain> RawValue<T> {
    /// A copy of the value.
    #[inline]
    pub fn get(&self) -> T {
        self.placed.get()
    }

    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: T) {
        self.placed.set(value);
    }
}

impl<T: Plain> RawValueState<T> {
    #[inline]
    fn get(&self) -> T {
        // SAFETY: the value is reached by these two functions only.
        unsafe { self.data.load() }
    }

    #[inline]
    fn set(&self, value: T) {
        // SAFETY: as in `get`; no reference to the value is ever made.
        unsafe { self.data.store(value) }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for RawValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawValue").field(&self.get()).finish()
    }
}

impl<T: Plain> fmt::Debug for RawValueState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawValueState").field("type", &T::SCHEMA).finish()
    }
}

/// Makes plain types fields of shared structs.
#[doc(hidden)]
#[macro_export]
macro_rules! plain_is_shareable {
    ($($plain:ty),* $(,)?) => {$(
        impl $crate::raw::Shareable for $plain {
            type State = $crate::RawValueState<$plain>;
        }
    )*};
}

plain_is_shareable!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, ());

impl<const N: usize> Shareable for crate::Text<N> {
    type State = RawValueState<Self>;
}
