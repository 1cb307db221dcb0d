//! Errors of setting up: what was found, what was expected, what to do.

use crate::plain::schema::differ::Difference;
use std::fmt;

/// Why a segment, an object or a ticket could not be created, opened or attached.
///
/// [`kind`](Self::kind) is for programs, the text for people: it says what was found, what was expected and what to do.
/// Setting up never leaves anything behind when it fails.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    source: Option<std::io::Error>,
}

/// The condition behind an [`Error`].
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No segment or object has this name.
    NotFound {
        /// The name looked for.
        name: String,
    },
    /// The name is taken.
    AlreadyExists {
        /// The name.
        name: String,
    },
    /// A name is 1–200 bytes of `[A-Za-z0-9._-]`, the first not `.`.
    InvalidName {
        /// What is wrong with it.
        problem: NameProblem,
    },
    /// A size, count or option that cannot be.
    InvalidArgument {
        /// Which argument.
        what: &'static str,
        /// What it was.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The segment has no room for one more object.
    NoSpace {
        /// Bytes the object takes.
        needed: u64,
        /// Bytes left.
        free: u64,
    },
    /// The system has no memory, or no room in its shared-memory file system, for a segment of this size.
    OutOfMemory {
        /// Bytes asked for.
        bytes: u64,
    },
    /// Every member row is taken by a living process.
    NoMemberRow {
        /// Rows of the segment.
        rows: u32,
    },
    /// Every endpoint row of a queue is taken by a living process.
    NoEndpointRow {
        /// Rows of the queue.
        rows: u32,
    },
    /// The header of the file is not one this version can use.
    Header {
        /// Which field.
        field: &'static str,
        /// What the file says.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// The object is of another kind.
    WrongKind {
        /// What lies there.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The element type differs.
    WrongType {
        /// The layout recorded by the creator.
        found: String,
        /// The layout of the type that wants to attach.
        expected: String,
    },
    /// The file is not something to map: a symlink, a FIFO, another user's.
    UnsafeFile {
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// The directory of this user's named segments was made by somebody else, or is open to others.
    UnsafeDirectory {
        /// Where it is.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// Another process has been in the middle of something for seconds, and lives: it is stopped, or the system is overloaded.
    Busy {
        /// What it is in the middle of.
        doing: &'static str,
        /// Its pid; 0 if unknown.
        pid: u32,
        /// Its name; empty if unknown.
        name: String,
    },
    /// The segment has one writing process, and this is another: it may observe.
    OneWriter,
    /// The segment, or the object, was not made to be observed.
    NotObservable {
        /// What it is.
        found: String,
    },
    /// The file system lacks what a segment needs.
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
    /// The process that a ticket names may not be looked into: it is another user's, or more privileged.
    NotPermitted {
        /// The process.
        pid: u32,
    },
    /// What a ticket, or a handle in a message, pointed to is no longer there.
    Gone {
        /// The process that held it open; 0 if unknown.
        pid: u32,
    },
    /// A ticket that does not parse, or points to another segment than it says.
    BadTicket {
        /// What is wrong with it.
        found: String,
    },
    /// Words in shared memory hold a value that no member of this library wrote.
    Corrupt(Corrupt),
    /// A handle was serialised outside spawn, queues and pipes.
    NotTravelling,
    /// This process was forked past the fork handlers: by the bare system call, or by `_Fork`. See [`MemberError::Forked`].
    Forked,
    /// The system refused for a reason of its own; see `source()`.
    System {
        /// The operation that was refused.
        doing: &'static str,
    },
}

/// Why a file or a directory is refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileProblem {
    /// Not a regular file.
    Kind {
        /// What it is: `symlink`, `fifo`, `directory`, `socket`, `device`.
        found: &'static str,
    },
    /// Not a directory.
    NotADirectory,
    /// Another user's.
    Owner {
        /// The uid of that user.
        uid: u32,
    },
    /// Others may write to the file, or enter the directory.
    Mode {
        /// Its permission bits.
        mode: u32,
    },
    /// It has more than one name.
    Linked {
        /// How many.
        times: u64,
    },
    /// Anonymous memory that could be cut short.
    Unsealed,
    /// This user may not open it.
    Closed,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kind { found } => write!(f, "a {found}; expected a regular file"),
            Self::NotADirectory => f.write_str("not a directory"),
            Self::Owner { uid } => write!(f, "owned by uid {uid}; expected this user"),
            Self::Mode { mode } => {
                write!(f, "of mode {mode:04o}, open to others; expected only its owner to have access")
            }
            Self::Linked { times } => write!(f, "linked {times} times; expected one name"),
            Self::Unsealed => {
                f.write_str("memory that can be cut short; expected it sealed against shrinking and growing")
            }
            Self::Closed => f.write_str("closed to this user"),
        }
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameProblem {
    /// It has no bytes.
    Empty,
    /// It has more than 200 bytes.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It has a byte that is not allowed, or not allowed in front.
    Byte {
        /// The byte.
        byte: u8,
        /// Its position, from 0.
        position: usize,
    },
}

/// A word in shared memory that no member of this library wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// Which word.
    pub what: &'static str,
    /// What it held.
    pub found: u64,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} holds {:#x}, which no member wrote: the segment is damaged", self.what, self.found)
    }
}

impl std::error::Error for Corrupt {}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, source: None }))
    }

    /// The system refused while `doing` something.
    pub fn system(doing: &'static str, source: impl Into<std::io::Error>) -> Self {
        Self(Box::new(Inner { kind: ErrorKind::System { doing }, source: Some(source.into()) }))
    }

    /// The condition.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(ErrorKind::Corrupt(corrupt))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.kind, f)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name } => write!(f, "nothing is named `{name}`; create it first, or use open_or_create"),
            Self::AlreadyExists { name } => write!(f, "`{name}` exists already; open it, or use open_or_create"),
            Self::InvalidName { problem } => {
                write!(f, "{problem}; a name is 1 to 200 bytes of [A-Za-z0-9._-], the first not `.`")
            }
            Self::InvalidArgument { what, found, expected } => write!(f, "{what} is {found}; it must be {expected}"),
            Self::NoSpace { needed, free } => {
                write!(f, "the segment is full: {needed} bytes needed, {free} free; create it with more bytes")
            }
            Self::OutOfMemory { bytes } => {
                write!(f, "the system cannot reserve {bytes} bytes of shared memory; free some, or ask for less")
            }
            Self::NoMemberRow { rows } => write!(
                f,
                "all {rows} member rows belong to living processes; create the segment with more `.members(n)`"
            ),
            Self::NoEndpointRow { rows } => write!(
                f,
                "all {rows} endpoint rows of the queue are in use by living processes; create it with more `.endpoints(n)`"
            ),
            Self::Header { field, found, expected } => {
                write!(
                    f,
                    "the header's {field} is {found}, expected {expected}; this file is not usable by this version"
                )
            }
            Self::WrongKind { found, expected } => write!(f, "the object is a {found}, not a {expected}"),
            Self::WrongType { found, expected } => {
                let difference = Difference::new(found, expected);
                write!(f, "the types differ, and both sides must agree: {difference}")
            }
            Self::UnsafeFile { problem } => write!(f, "refusing a file that is {problem}"),
            Self::UnsafeDirectory { path, problem } => write!(
                f,
                "refusing {}, which is {problem}; remove it, or set XDG_RUNTIME_DIR to a directory of this user",
                path.display()
            ),
            Self::Busy { doing, pid: 0, .. } => {
                write!(f, "another process has been {doing} for too long; if it is stopped, continue or kill it")
            }
            Self::Busy { doing, pid, name } => {
                write!(f, "process {pid} ({name}) has been {doing} for too long; if it is stopped, continue or kill it")
            }
            Self::OneWriter => f.write_str("the segment has one writing process, and this is another; use an Observer"),
            Self::NotObservable { found } => {
                write!(
                    f,
                    "a {found} cannot be observed; create the segment `.observable()`, and see Observer for what can"
                )
            }
            Self::Unsupported { what } => write!(f, "the file system has no {what}; take another one"),
            Self::NotPermitted { pid } => {
                write!(f, "process {pid}, which the ticket names, belongs to another user or has more rights")
            }
            Self::Gone { pid: 0 } => {
                write!(f, "what the ticket points to is gone; keep a handle open until it is attached")
            }
            Self::Gone { pid } => write!(
                f,
                "what the ticket points to is gone from process {pid}; keep a handle open there until it is attached"
            ),
            Self::BadTicket { found } => write!(f, "not a usable ticket: {found}"),
            Self::Corrupt(corrupt) => corrupt.fmt(f),
            Self::NotTravelling => f.write_str(
                "a handle is a serde value only inside spawn, queues and pipes; elsewhere send its `.ticket()`",
            ),
            Self::Forked => MemberError::Forked.fmt(f),
            Self::System { doing } => write!(f, "the system refused {doing}"),
        }
    }
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong { len } => write!(f, "the name has {len} bytes"),
            Self::Byte { byte, position } => {
                write!(
                    f,
                    "byte {byte:#04x} (`{}`) at position {position} of the name is not allowed",
                    byte.escape_ascii()
                )
            }
        }
    }
}

/// Why a process could not become a member of a segment it has mapped; happens at first use after a fork, if at all.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Every member row is taken by a living process.
    #[error("all {rows} member rows belong to living processes; create the segment with more `.members(n)`")]
    NoRow {
        /// Rows of the segment.
        rows: u32,
    },
    /// This process was forked past the fork handlers: by the bare system call, or by `_Fork`. It has copies of locks that
    /// threads of its parent may have held, and a row that is its parent's, so it can use no segment before it calls exec.
    #[error("this process was forked past the fork handlers, by a bare system call; use fork(3), or call exec first")]
    Forked,
    /// The system refused the row lock; the value is the error number.
    #[error("the system refused the row lock: {}", std::io::Error::from_raw_os_error(*.errno))]
    System {
        /// The error number.
        errno: i32,
    },
}
