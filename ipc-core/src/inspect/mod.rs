//! What is in a segment: a read-only description of any bytes, however damaged, that disturbs nobody.

mod format;

pub use crate::layout::record::{Place, Record};
#[doc(hidden)]
pub use crate::layout::record::{Recorded, size_of_field};
pub use format::{FORMAT, NUMBERS};
