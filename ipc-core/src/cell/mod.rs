//! Cells: values and arrays that processes share.

#[macro_use]
mod verbs;
mod array;
mod atomic;
mod value;

pub use array::{Array, ArrayError};
pub use atomic::{AtomicArray, AtomicPlain, AtomicValue};
pub use value::Value;
