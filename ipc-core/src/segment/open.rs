//! Attaching: from a descriptor that anybody may have made to a mapping that can be used.
//!
//! A file is a regular one of this user that nobody else may write and that has one name; anonymous memory is sealed. It is large
//! enough for a header, and every byte of it is reserved. Its header is checked against its size and copied. All this is found
//! out through `fstat` and `read`, before anything is mapped: a file that is cut short meanwhile is an error here.
//!
//! Then the steps of [`collect`](super::collect): the gate, a row, and whether the name still means this file. A segment that
//! the process has mapped already is used instead of a second mapping.

use super::collect::{self, Gate};
use super::handle::{Inner, Segment};
use super::home::{self, Home, PATIENCE};
use super::options::SegmentOptions;
use super::registry::{self, Key};
use super::retry::Retry;
use super::{file, name};
use crate::error::{Error, ErrorKind, FileProblem, MemberError};
use crate::layout::header::{COLLECTED, Geometry, HEADER_BYTES, HeaderState, OBSERVABLE, PAGE};
use crate::member::fork;
use crate::sys::fds;
use crate::sys::folder::Folder;
use crate::sys::mapping::Mapping;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Attaches to what has this name.
pub(crate) fn by_name(name: &str, options: &SegmentOptions) -> Result<Segment, Error> {
    name::check(name)?;
    patiently(|| {
        let (home, file) = Home::find(name)?;
        attach(file, &Way::Name(&home, name), options)
    })
}

/// Attaches to the file at this path.
pub(crate) fn by_path(path: &Path, options: &SegmentOptions) -> Result<Segment, Error> {
    let (folder, name) = file::split(path)?;
    patiently(|| {
        let file = home::open_checked(&folder, name)?.ok_or_else(|| file::not_found(path))?;
        attach(file, &Way::File(&folder, name), options)
    })
}

/// Attaches through a descriptor: inherited, received, or reopened. `id`: which segment it must be, if known.
pub(crate) fn by_descriptor(fd: OwnedFd, id: Option<u128>) -> Result<Segment, Error> {
    let options = SegmentOptions::default();
    patiently(|| {
        let again = fd.try_clone().map_err(|e| Error::system("duplicating a descriptor", e))?;
        attach(again, &Way::Descriptor(id), &options)
    })
}

/// How somebody came to a file.
enum Way<'a> {
    Name(&'a Home, &'a str),
    File(&'a Folder, &'a OsStr),
    Descriptor(Option<u128>),
}

impl Way<'_> {
    /// Step 5.
    fn still_leads_to(&self, key: Key) -> io::Result<bool> {
        match self {
            Self::Name(home, name) => home.means(name, key),
            Self::File(folder, name) => home::means(folder, name, key),
            Self::Descriptor(_) => Ok(true),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(_, name) => Some(name),
            _ => None,
        }
    }
}

/// What one attempt has come to.
enum Attempt {
    Attached(Segment),
    /// The name means something else by now.
    Changed,
    /// A collector has the gate.
    Held,
}

fn patiently(attempt: impl Fn() -> Result<Attempt, Error>) -> Result<Segment, Error> {
    let mut retry = Retry::within(PATIENCE);
    loop {
        let goes_on = match attempt()? {
            Attempt::Attached(segment) => return Ok(segment),
            Attempt::Changed => retry.goes_on(),
            Attempt::Held => retry.pause(),
        };
        if !goes_on {
            return Err(ErrorKind::Busy { doing: "removing the name", pid: 0, name: String::new() }.into());
        }
    }
}

/// A file that has passed every check that needs no mapping.
pub(crate) struct Checked {
    pub fd: OwnedFd,
    pub key: Key,
    pub geometry: Geometry,
}

/// The part of step 1 that needs no mapping.
pub(crate) fn check(fd: OwnedFd) -> Result<Checked, Error> {
    let st = home::check_file(fd.as_fd())?;
    if fds::is_unsealed_memory(fd.as_fd()) {
        return Err(ErrorKind::UnsafeFile { problem: FileProblem::Unsealed }.into());
    }
    if st.size < PAGE || st.size > isize::MAX as u64 {
        return Err(bad_size("file size", st.size, "at least one page".into()));
    }
    if st.reserved < st.size {
        return Err(bad_size("reserved size", st.reserved, format!("the whole {} bytes", st.size)));
    }
    let bytes = fds::first_bytes::<HEADER_BYTES>(fd.as_fd()).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => bad_size("file size", 0, "at least one page".into()),
        _ => Error::system("reading the header of a segment", e),
    })?;
    let geometry = Geometry::read(&HeaderState::from_bytes(bytes), st.size)?;
    Ok(Checked { fd, key: Key { dev: st.dev, ino: st.ino, id: geometry.id }, geometry })
}

fn attach(fd: OwnedFd, way: &Way<'_>, options: &SegmentOptions) -> Result<Attempt, Error> {
    // 1.
    let file = check(fd)?;
    let key = file.key;
    if let Way::Descriptor(Some(expected)) = way
        && *expected != key.id
    {
        return Err(ErrorKind::BadTicket { found: format!("the descriptor is segment {:032x}", key.id) }.into());
    }
    let asking = |e| Error::system("asking for the members of a segment", e);
    let gate = if file.geometry.flags & COLLECTED == 0 {
        None
    } else {
        // 2.
        let gate = Gate::of(file.fd.as_fd()).map_err(asking)?;
        if !gate.share().map_err(asking)? {
            return Ok(Attempt::Held);
        }
        // 3.
        if let Way::Name(home, name) = way
            && !gate.has_members().map_err(asking)?
        {
            drop(gate);
            collect::collect(home, name, Some(key), PATIENCE)?;
            return Ok(Attempt::Changed);
        }
        Some(gate)
    };
    // 4.
    let joined = join(file, way.name(), options);
    let still = joined.is_err() || way.still_leads_to(key).map_err(asking)?;
    match (joined, still) {
        (Ok(segment), true) => Ok(Attempt::Attached(segment)),
        // 5. The gate first, or leaving would find it taken.
        (Ok(segment), false) => {
            drop(gate);
            drop(segment);
            Ok(Attempt::Changed)
        }
        (Err(error), _) => {
            if let Some(gate) = gate {
                gate.open();
                collect::after_leaving(Ok(gate.segment()), way.name(), key);
            }
            Err(error)
        }
    }
}

/// Maps the segment, unless this process has, and makes the process a member, unless it is one.
fn join(file: Checked, name: Option<&str>, options: &SegmentOptions) -> Result<Segment, Error> {
    // One thread at a time from the look into the table to the entry in it, or the process would be two members.
    static ATTACHING: Mutex<()> = Mutex::new(());
    let no_fork = fork::hold();
    let _one_at_a_time = fork::lock(&ATTACHING, &no_fork);
    if let Some(inner) = registry::find(file.key) {
        inner.me()?;
        inner.choose(options)?;
        return Ok(Segment::from_inner(inner));
    }
    let len = file.geometry.total as usize;
    let mapping = Mapping::new(file.fd.as_fd(), len).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied if fds::is_sealed_for_writing(file.fd.as_fd()) => ErrorKind::OneWriter.into(),
        _ => Error::system("mapping a segment", e),
    })?;
    let inner = Inner::new(file.geometry, mapping, file.fd, name)?;
    inner.me().map_err(|error| match error {
        MemberError::NoRow { .. } if file.geometry.flags & OBSERVABLE != 0 => ErrorKind::OneWriter.into(),
        other => Error::from(other),
    })?;
    inner.choose(options)?;
    let inner = Arc::new(inner);
    registry::insert(&inner);
    Ok(Segment::from_inner(inner))
}

pub(crate) fn bad_size(field: &'static str, found: u64, expected: String) -> Error {
    ErrorKind::Header { field, found: format!("{found} bytes"), expected }.into()
}

/// A reference to a segment's file, for reading only.
pub(crate) fn read_only(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    fds::reopen_to_read(fd).map_err(|e| Error::system("opening a segment for reading", e))
}
