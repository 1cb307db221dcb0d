//! Segments: mmap'd regions that processes share.

mod directory;
mod handle;
mod home;
mod name;
mod object;
mod open;
mod options;
mod publish;
pub(crate) mod registry;
mod ticket;

pub(crate) use directory::DirectoryState;
pub(crate) use handle::Inner;
pub use handle::Segment;
pub(crate) use home::Home;
pub(crate) use name::check as check_name;
pub use object::{Blueprint, Object, Place};
pub use options::SegmentOptions;
pub use ticket::Ticket;
