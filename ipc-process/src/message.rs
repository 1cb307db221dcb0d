//! What the bodies of parcels hold: postcard values, and behind a launch the arguments.
//!
//! Sender and receiver are the same program, so the form has no version of its own; that they are is checked first.

use crate::error::{AttachError, Garbled, ProcessError, Refusal, ResultError};
use crate::luggage::Inbound;
use serde::{Deserialize, Serialize};

/// What a child is told; the arguments follow in the body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// [`Image::identity`](crate::sys::image::Image::identity) of the parent.
    pub(crate) program: u64,
    pub(crate) task: TaskRef,
    /// The process's name.
    pub(crate) name: String,
    /// Its number among the children of its parent, after those of its ancestors: `1:2`.
    pub(crate) lineage: String,
    pub(crate) is_daemon: bool,
    /// For each of standard input, output and error: whether a descriptor for it came along, in front of the luggage.
    pub(crate) streams: [bool; 3],
}

/// How a task is named to a child.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TaskRef {
    /// By the offset of its table in the program's image, with the name of the function's type as a check.
    Table { offset: u64, name: String },
}

/// Where a panic happened, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    Attach { argument: u32, source: AttachError },
    Refused(Refusal),
    Encode { reason: String },
    Send { errno: i32 },
}

/// The last word of a child, as its parent keeps it.
#[derive(Debug)]
pub(crate) enum Report {
    Returned(Inbound),
    Panicked(Panic),
    Failed(Failure),
    /// It came, but could not be taken in.
    Lost(ResultError),
    Garbled(Garbled),
}

impl From<Panic> for ProcessError {
    fn from(Panic { message, file, line }: Panic) -> Self {
        Self::Panicked { message, file, line }
    }
}

impl From<Failure> for ProcessError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Attach { argument, source } => Self::Attach { argument: argument as usize, source },
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Encode { reason } => Self::Result(ResultError::Encode { reason }),
            Failure::Send { errno } => Self::Result(ResultError::Send(std::io::Error::from_raw_os_error(errno))),
        }
    }
}
