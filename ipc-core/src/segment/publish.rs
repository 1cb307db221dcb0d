//! Making segments: reserve, initialise, then publish.
//!
//! **1** a file without a name (memfd, or `O_TMPFILE` in the user's directory) · **2** every byte reserved · **3** mapped, its
//! header written, without the magic number · **4** this process registers; the magic number · **5** the object, if the segment is
//! made for one · **6** anonymous: sealed; named: linked under its name, which fails if the name is taken.
//!
//! A death before 6 leaves nothing: the file has no name and goes with its last descriptor. A death after 6 leaves a complete
//! segment. Nobody ever sees a half-built one. A name that the dead left ([`collect`](super::collect)) is collected first. The
//! creator is a member before the name appears.

use super::collect::{self, Fate};
use super::handle::{Inner, Segment};
use super::home::{Home, PATIENCE};
use super::options::SegmentOptions;
use super::{name, registry};
use crate::error::{Error, ErrorKind};
use crate::layout::header::{Geometry, HeaderState};
use crate::member::fork;
use crate::sys::fds;
use crate::sys::mapping::Mapping;
use crate::sys::process::Identity;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Requests above this are compared with what the system has left; smaller ones just fail in the reservation.
const LARGE: u64 = 64 << 20;

/// Creators that find the directory gone, or the name taken and free again, try so often.
const TRIES: u32 = 100;

/// How much a segment must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub space: u64,
    pub buckets: u32,
}

/// An anonymous segment. `fill` may place objects in it before anybody else can see it.
pub(crate) fn anonymous<R>(
    capacity: Capacity,
    options: &SegmentOptions,
    fill: impl FnOnce(&Segment) -> Result<R, Error>,
) -> Result<R, Error> {
    refuse_mode(options)?;
    let fd = fds::memfd(options.label.as_deref().unwrap_or("ipc"))
        .map_err(|e| Error::system("making anonymous shared memory", e))?;
    let segment = build(fd, None, capacity, options)?;
    let filled = fill(&segment)?;
    fds::seal(segment.inner().fd(), options.observable).map_err(|e| Error::system("sealing a segment", e))?;
    Ok(filled)
}

/// A segment with a name, which appears only when `fill` has succeeded.
pub(crate) fn named<R>(
    name: &str,
    capacity: Capacity,
    options: &SegmentOptions,
    fill: impl Fn(&Segment) -> Result<R, Error>,
) -> Result<R, Error> {
    name::check(name)?;
    refuse_mode(options)?;
    let taken = || Error::new(ErrorKind::AlreadyExists { name: name.to_owned() });
    for _ in 0..TRIES {
        if is_taken(name)? {
            return Err(taken());
        }
        let Some(home) = Home::for_new()? else { continue };
        let fd = match home.unnamed_file() {
            // The directory went with its last name after we had opened it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.inspect_err(|_| home.tidy()).map_err(|e| Error::system("making a file for a segment", e))?,
        };
        let built = build(fd, Some(name), capacity, options).and_then(|segment| Ok((fill(&segment)?, segment)));
        let (filled, segment) = built.inspect_err(|_| home.tidy())?;
        return name_it(home, &segment, name).map(|()| filled);
    }
    Err(Error::system("making a file for a segment, because others kept removing the directory", again()))
}

/// Step 6 for a named one. If the directory has gone with its last name since the file was made, the file gets its name in the
/// next one: what took long is not done again, so that those who create and remove names all the time hold up nobody.
fn name_it(mut home: Home, segment: &Segment, name: &str) -> Result<(), Error> {
    for _ in 0..TRIES {
        match home.link(segment.inner().fd(), name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ErrorKind::AlreadyExists { name: name.to_owned() }.into());
            }
            other => {
                return other.inspect_err(|_| home.tidy()).map_err(|e| Error::system("naming a segment", e));
            }
        }
        if let Some(next) = Home::for_new()? {
            home = next;
        }
    }
    Err(Error::system("naming a segment, because others kept removing the directory", again()))
}

/// Whether somebody has the name, after what the dead left has been collected. A look before much memory is reserved for
/// nothing: what counts is whether linking fails.
fn is_taken(name: &str) -> Result<bool, Error> {
    for home in Home::existing()? {
        if home.has(name) {
            // What is not a segment has the name, too.
            return Ok(!matches!(collect::collect(&home, name, None, PATIENCE), Ok(Fate::Collected | Fate::Gone)));
        }
    }
    Ok(false)
}

/// Opens what has the name, or creates it; whoever comes second opens.
pub(crate) fn open_or_create<R>(
    name: &str,
    open: impl Fn() -> Result<R, Error>,
    create: impl Fn() -> Result<R, Error>,
) -> Result<R, Error> {
    name::check(name)?;
    alternate(open, create)
}

/// Opens, or creates if there is nothing; again if somebody was faster.
pub(crate) fn alternate<R>(
    open: impl Fn() -> Result<R, Error>,
    create: impl Fn() -> Result<R, Error>,
) -> Result<R, Error> {
    for _ in 0..TRIES {
        match open() {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound { .. }) => {}
            other => return other,
        }
        match create() {
            Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists { .. }) => {}
            other => return other,
        }
    }
    Err(Error::system("opening or creating, because others kept creating and removing the name", again()))
}

/// Removes a name. Those who have the segment open keep it.
pub(crate) fn unlink(name: &str) -> Result<(), Error> {
    name::check(name)?;
    let mut removed = false;
    for home in Home::existing()?.into_iter().filter(|home| home.has(name)) {
        removed |= home.unlink(name)?;
        home.tidy();
    }
    if removed { Ok(()) } else { Err(ErrorKind::NotFound { name: name.to_owned() }.into()) }
}

/// Steps 2 to 4.
pub(crate) fn build(
    fd: OwnedFd,
    name: Option<&str>,
    capacity: Capacity,
    options: &SegmentOptions,
) -> Result<Segment, Error> {
    let id = fds::random_u128().map_err(|e| Error::system("drawing a segment id", e))?.max(1);
    let geometry = Geometry::new(id, capacity.space, options.rows(), capacity.buckets, options.flags())?;
    reserve(&fd, geometry.total)?;
    let mapping = Mapping::new(fd.as_fd(), geometry.total as usize)
        .map_err(|e| no_memory_or("mapping a segment", geometry.total, e))?;
    // SAFETY: the mapping is at least one page, aligned to a page, zeroed, and a HeaderState is atomics only.
    let header = unsafe { mapping.start().cast::<HeaderState>().as_ref() };
    geometry.write(header, &Identity::of_this_process());
    let inner = Inner::new(geometry, mapping, fd, name)?;
    inner.choose(options)?;
    inner.directory().init();
    inner.me()?;
    Geometry::publish(inner.header());
    let inner = Arc::new(inner);
    registry::insert(&inner, &fork::hold()?);
    Ok(Segment::from_inner(inner))
}

/// Step 2. What does not fit is an error now, so that no access can be a SIGBUS later.
fn reserve(fd: &OwnedFd, bytes: u64) -> Result<(), Error> {
    // Beyond this limit the kernel sends a deadly signal rather than an error.
    if fds::file_size_limit().is_some_and(|limit| bytes > limit) {
        return Err(ErrorKind::OutOfMemory { bytes }.into());
    }
    // The kernel would rather kill a process than refuse anonymous memory that is not there.
    if bytes > LARGE && fds::available_memory().is_some_and(|available| bytes > available) {
        return Err(ErrorKind::OutOfMemory { bytes }.into());
    }
    fds::reserve(fd.as_fd(), bytes).map_err(|e| no_memory_or("reserving shared memory", bytes, e))
}

fn no_memory_or(doing: &'static str, bytes: u64, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::ENOMEM | libc::EFBIG | libc::EDQUOT) => ErrorKind::OutOfMemory { bytes }.into(),
        _ => Error::system(doing, error),
    }
}

fn refuse_mode(options: &SegmentOptions) -> Result<(), Error> {
    match options.mode {
        None | Some(0o600) => Ok(()),
        Some(mode) => Err(ErrorKind::InvalidArgument {
            what: "mode",
            found: format!("{mode:04o}"),
            expected: "0600 for anything but a file at a path",
        }
        .into()),
    }
}

fn again() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
}
