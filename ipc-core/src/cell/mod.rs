//! Cells: values and arrays that processes share.

#[macro_use]
mod verbs;
mod array;
mod atomic;
mod value;

pub use array::{Array, ArrayError, ArrayHead, ArrayState};
pub use atomic::{AtomicArray, AtomicArrayHead, AtomicArrayState, AtomicPlain, AtomicState, AtomicValue};
pub use value::{Value, ValueState};
