//! Segments: mmap'd regions that processes share.

mod collect;
mod directory;
mod file;
mod handle;
mod home;
mod name;
mod object;
mod observe;
mod open;
mod options;
mod publish;
pub(crate) mod registry;
mod retry;
#[cfg(feature = "shared_memory")]
mod shmem;
mod ticket;
mod walk;

pub use collect::{GcReport, Kept, gc};
pub(crate) use directory::DirectoryState;
pub(crate) use handle::Inner;
pub use handle::Segment;
pub(crate) use home::{Home, problem_of_kind};
pub(crate) use name::check as check_name;
pub use object::{Blueprint, Object, Place};
pub use observe::{Observer, Watched, WatchedArray};
pub use options::SegmentOptions;
pub use ticket::Ticket;
