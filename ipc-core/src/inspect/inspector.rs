//! `Inspector`: what it knows, what it opens, and in which order it looks.
//!
//! **1** the file is opened as a mere reference, looked at, and opened for reading only if it is a regular one: opening a FIFO or
//! a device has effects · **2** header · **3** member rows, with verdicts · **4** directory and objects.
//!
//! It takes no row, no lock and no right to repair, and has no way to write: the descriptor cannot.

use super::body::Describer;
use super::cells;
use super::directory::Walk;
use super::header;
use super::members::Members;
use super::report::Report;
use super::sheet::Sheet;
use super::source::Source;
use crate::error::{Error, ErrorKind};
use crate::segment::{Home, problem_of_kind};
use crate::sys::fds::{self, Stat};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Describes segments. Nobody who uses the segment notices.
///
/// # Examples
/// ```
/// use ipc_core::Value;
/// use ipc_core::inspect::Inspector;
///
/// let hits = Value::new(7u64)?;
/// let guard = hits.lock()?;
/// let report = Inspector::new().fd(hits.segment().as_fd())?;
/// assert!(report.is_sound());
/// assert_eq!(report.objects[0].sheet.get("value"), Some("7"));
/// assert!(report.objects[0].sheet.get("lock").is_some_and(|text| text.starts_with("held by process")));
/// # drop(guard);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inspector {
    describers: Vec<Describer>,
}

impl Inspector {
    /// One that knows the kinds of this crate and `ipc_sync::Lock`.
    pub fn new() -> Self {
        Self { describers: cells::DESCRIBERS.to_vec() }
    }

    /// Knows these kinds, too; what another crate brings is in its `inspect::DESCRIBERS`.
    pub fn with(mut self, describers: &[Describer]) -> Self {
        self.describers.extend_from_slice(describers);
        self
    }

    /// What has this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::UnsafeFile`] if it is no regular file; the system's. However damaged a file is, it
    /// is described.
    pub fn name(&self, name: &str) -> Result<Report, Error> {
        crate::segment::check_name(name)?;
        self.reference(Home::reference(name)?, format!("segment `{name}`"))
    }

    /// The file at this path, for what does not lie where names do: a copy, or `/proc/PID/fd/N`.
    ///
    /// # Errors
    /// As [`name`](Self::name).
    pub fn path(&self, path: &Path) -> Result<Report, Error> {
        let found = fds::open_path(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound { name: path.display().to_string() }.into(),
            _ => Error::system("opening the file to inspect", error),
        })?;
        self.reference(found, path.display().to_string())
    }

    /// The file behind this descriptor, such as [`Segment::as_fd`](crate::Segment::as_fd).
    ///
    /// # Errors
    /// As [`name`](Self::name).
    pub fn fd(&self, fd: BorrowedFd<'_>) -> Result<Report, Error> {
        self.open(fd, "descriptor".to_owned())
    }

    /// Bytes that somebody has read. Nobody can be asked who lives.
    pub fn bytes(&self, bytes: &[u8]) -> Report {
        self.examine(&Source::memory(bytes), None, format!("{} bytes", bytes.len()), Sheet::default())
    }

    fn reference(&self, found: OwnedFd, what: String) -> Result<Report, Error> {
        self.open(found.as_fd(), what)
    }

    /// Step 1.
    fn open(&self, found: BorrowedFd<'_>, what: String) -> Result<Report, Error> {
        let stat = |fd| fds::stat(fd).map_err(|e| Error::system("looking at the file to inspect", e));
        if let Some(problem) = problem_of_kind(stat(found)?.kind) {
            return Err(ErrorKind::UnsafeFile { problem }.into());
        }
        let fd = fds::reopen_to_read(found).map_err(|e| Error::system("opening the file to inspect", e))?;
        let st = stat(fd.as_fd())?;
        let mut sheet = Sheet::default();
        describe_file(&st, fd.as_fd(), &mut sheet);
        let file = File::from(fd);
        Ok(self.examine(&Source::file(&file, st.size), Some(file.as_fd()), what, sheet))
    }

    /// Steps 2 to 4.
    fn examine(&self, source: &Source<'_>, fd: Option<BorrowedFd<'_>>, what: String, file: Sheet) -> Report {
        let (mut header, mut directory) = (Sheet::default(), Sheet::default());
        let shape = header::examine(source, &mut header);
        let Some(shape) = shape else {
            return Report { what, file, header, rows: None, members: Vec::new(), directory, objects: Vec::new() };
        };
        let members = Members::read(source, fd, shape.rows);
        let objects = Walk::new(source, &members, &self.describers, &mut directory).run(&shape);
        let rows = Some(members.count());
        Report { what, file, header, rows, members: members.into_taken(), directory, objects }
    }
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
}

/// What attaching would mind.
fn describe_file(st: &Stat, fd: BorrowedFd<'_>, sheet: &mut Sheet) {
    sheet.fact("size", format_args!("{} bytes", st.size));
    if st.reserved < st.size {
        sheet.damage("reserved", format_args!("{} bytes of {}: an access may be a SIGBUS", st.reserved, st.size));
    }
    if st.mode & 0o022 == 0 {
        sheet.fact("mode", format_args!("{:04o}, uid {}", st.mode, st.uid));
    } else {
        sheet.damage("mode", format_args!("{:04o}, uid {}: others may write", st.mode, st.uid));
    }
    if fds::is_memory(fd) {
        if fds::is_unsealed_memory(fd) {
            sheet.damage("anonymous", "not sealed: it can be cut short");
        } else {
            sheet.fact("anonymous", "sealed");
        }
    } else {
        match st.links {
            0 => sheet.notice("links", "0, it has no name any more"),
            1 => sheet.fact("links", 1),
            links => sheet.damage("links", format_args!("{links}, expected 1")),
        }
    }
}
