//! What is in a segment: a read-only description of any bytes, however damaged, that disturbs nobody.
//!
//! ```
//! use ipc_core::inspect::Inspector;
//! use ipc_core::{Segment, Value};
//!
//! let segment = Segment::new(4096)?;
//! let value = Value::create_in(&segment, "hits", 3u64)?;
//! let report = Inspector::new().fd(segment.as_fd())?;
//! println!("{report}");
//! assert_eq!(report.object("hits").and_then(|object| object.sheet.get("lock")), Some("free"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `cargo run -p ipc-core --example inspect NAME` prints such a report.
//!
//! **The promise.** It takes no member row and no lock, and cannot write; whatever the bytes are, it comes to an end, does not
//! panic, and what is damaged does not hide the rest. It works on a segment in use: what changes under its eyes is read again, and
//! if it does not settle the report says so.
//!
//! **What it shows.** File · header, field by field · members with verdicts, stopped ones too · the directory, and who is creating ·
//! every object, finished or half-built: name, kind, type, place, and what its body says: who holds the lock, whether they
//! live, who waits and for how long, what is marked inconsistent and who left it so; of a queue its depth, ends and slots.
//!
//! # Objects of other crates
//!
//! This crate knows its own kinds. A crate that brings another kind exports a list of [`Describer`]s, and whoever inspects hands
//! it over:
//!
//! ```text
//! Inspector::new().with(ipc_queue::inspect::DESCRIBERS).name("jobs")
//! ```
//!
//! A describer is a function from a [`Body`], which answers any question about its bytes, to lines in a [`Sheet`]. So arrows
//! between crates still go down only, nothing is registered at run time, and a kind that nobody here knows is shown with its entry. A
//! body that describes itself was the alternative: it would cost bytes in every object, be as damageable as the rest, and tell
//! offsets but no meaning.
//!
//! # The written format
//!
//! [`FORMAT`] and [`NUMBERS`] are `docs/layout.md` as data.

mod body;
mod cells;
mod directory;
mod format;
mod header;
mod inspector;
mod members;
mod report;
mod sheet;
mod source;

pub use crate::layout::record::{Place, Record};
#[doc(hidden)]
pub use crate::layout::record::{Recorded, size_of_field};
pub use body::{Body, Describer};
pub use cells::lock_line;
pub use directory::{ObjectReport, Stage};
pub use format::{FORMAT, NUMBERS};
pub use inspector::Inspector;
pub use members::{Member, Presence, Who};
pub use report::Report;
pub use sheet::{Fact, Sheet, Standing};
