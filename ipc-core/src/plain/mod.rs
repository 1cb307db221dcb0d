//! Plain values: what may lie in a segment, how its layout is told apart, and how its bytes get in and out.
//!
//! | file     | what it holds                                                              |
//! |----------|----------------------------------------------------------------------------|
//! | `value`  | the trait [`Plain`] and the types it is implemented for                    |
//! | `schema` | the text that describes a layout, and its fingerprint                      |
//! | `text`   | [`Text`], the plain string                                                  |
//! | `copy`   | stores that zero the padding, loads that survive a writer at the same time |

mod copy;
#[cfg_attr(ipc_loom, allow(dead_code))]
pub(crate) mod schema;
mod text;
mod value;

pub use copy::{load_plain, scrub_padding, store_plain};
#[doc = include_str!("attribute.md")]
pub use ipc_core_macros::plain;
#[cfg(not(ipc_loom))]
pub(crate) use schema::size_and_align;
pub use schema::{Field, Schema};
pub use text::{Text, TextError};
pub use value::Plain;
