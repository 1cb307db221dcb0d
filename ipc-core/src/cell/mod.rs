//! Cells: values and arrays that processes share.

#[macro_use]
mod verbs;
mod array;
mod atomic;
mod raw_value;
mod shared;
mod value;

pub use array::{Array, ArrayError, ArrayHead, ArrayState};
pub use atomic::{AtomicArray, AtomicArrayHead, AtomicArrayState, AtomicPlain, AtomicState, AtomicValue};
pub use raw_value::{RawValue, RawValueState};
pub use shared::{Composite, Fresh, Shared};
pub use value::{Value, ValueState};
