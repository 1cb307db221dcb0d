//! Segments in files at any path: they survive a reboot.
//!
//! **1** `O_TMPFILE` in the directory of the path · **2** every byte reserved, the header and the directory written, this process
//! a member · **3** `fsync`, so that a power failure leaves a complete segment too · **4** `linkat` under its name, which fails if
//! it is taken · **5** `fsync` of the directory.
//!
//! | dies after | is left                                                   |
//! |------------|-----------------------------------------------------------|
//! | 1 to 3     | nothing: the file has no name and goes with the process   |
//! | 4, 5       | a complete segment                                        |
//!
//! Test: `crashpoints` Segment::create_file.
//!
//! A file system without `O_TMPFILE` is refused, [`ErrorKind::Unsupported`]: a file that is built under a name and renamed stays
//! behind when its creator is killed. See `docs/decisions/0012-no-file-without-o-tmpfile.md`.
//!
//! # After a reboot
//!
//! Attaching compares neither boot id nor namespace. Row locks end with a boot, so every member in the file is dead, and what
//! they held is repaired by whoever meets it, as after any death; see `member/table` for the generations.
//!
//! # Power failures
//!
//! The kernel writes pages back when it likes, each by itself. After an orderly shutdown all is there. After a power failure the
//! file is what had been written back: an object may be older, or torn, except for what [`Segment::sync`] had written when
//! nobody was writing. Crash safety in this library is about processes.
//!
//! # The path
//!
//! Symbolic links are followed up to the last component, never there. Nobody but this user may write the file; whether others
//! may read it is up to [`SegmentOptions::mode`]. Whoever may write it can also cut it short, and access is a SIGBUS then: files
//! cannot be sealed. On file systems that copy on write (btrfs, zfs) a reservation does not cover the copies.

use super::open::by_path;
use super::publish::{self, Capacity};
use super::{Segment, SegmentOptions, home};
use crate::error::{Error, ErrorKind};
use crate::sys::fds;
use crate::sys::folder::{Folder, Links};
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// Owner's bits a file must have, and bits it may not have.
const OWNER: u32 = 0o600;
const NEVER: u32 = !0o644;

impl Segment {
    /// A segment in a file at this path, which must be free, with room for `bytes` of objects. It survives a reboot. Remove it
    /// as any file; processes that have it open keep it.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` if the directory does not exist, `OutOfMemory` if the disk is full, `Unsupported` if the
    /// file system has no `O_TMPFILE`.
    ///
    /// # Process death
    /// A creator that is killed leaves nothing, or a complete segment.
    ///
    /// # Examples
    /// ```
    /// use ipc_core::{Segment, Value};
    /// # let directory = std::env::temp_dir().join(format!("ipc-doc-{}", std::process::id()));
    /// # std::fs::create_dir(&directory)?;
    /// # let path = directory.join("state");
    /// let state = Segment::create_file(&path, 64 << 10)?;
    /// Value::create_in(&state, "runs", 0u64)?;
    /// drop(state);
    /// // … days later, in another process, after a reboot:
    /// let state = Segment::open_file(&path)?;
    /// Value::<u64>::open_in(&state, "runs")?.update(|runs| *runs += 1)?;
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_file(path: impl AsRef<Path>, bytes: u64) -> Result<Self, Error> {
        Self::options().create_file(path, bytes)
    }

    /// Attaches to the segment in the file at this path.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn open_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::options().open_file(path)
    }

    /// Writes what is in memory to the disk, if the segment is in a file: `msync(2)`. Waits for the disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&self) -> Result<(), Error> {
        self.inner().sync().map_err(|e| Error::system("writing a segment to its file", e))
    }
}

impl SegmentOptions {
    /// See [`Segment::create_file`].
    pub fn create_file(&self, path: impl AsRef<Path>, bytes: u64) -> Result<Segment, Error> {
        create(path.as_ref(), Capacity::for_many(bytes), self)
    }

    /// See [`Segment::open_file`].
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<Segment, Error> {
        by_path(path.as_ref(), self)
    }

    /// Opens the file, or creates it; of several who try at once, one creates.
    pub fn open_or_create_file(&self, path: impl AsRef<Path>, bytes: u64) -> Result<Segment, Error> {
        let path = path.as_ref();
        publish::alternate(|| self.open_file(path), || self.create_file(path, bytes))
    }

    /// The permissions of a file at a path: `0o600` unless set. Others may be let read it, for backups; nobody else may write,
    /// attach or observe. Who can read a file can also hold shared locks on it, with which the rows of the dead look taken:
    /// let read only whom you trust not to.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }
}

fn create(path: &Path, capacity: Capacity, options: &SegmentOptions) -> Result<Segment, Error> {
    let mode = options.mode.unwrap_or(OWNER);
    if mode & OWNER != OWNER || mode & NEVER != 0 {
        return Err(ErrorKind::InvalidArgument {
            what: "mode",
            found: format!("{mode:04o}"),
            expected: "0600, 0640, 0604 or 0644: the owner reads and writes, others read at most",
        }
        .into());
    }
    if options.collected {
        return Err(ErrorKind::InvalidArgument {
            what: "unlink_with_last_member",
            found: "set for a file at a path".to_owned(),
            expected: "set for names only: nobody would look for such files",
        }
        .into());
    }
    let (folder, name) = split(path)?;
    let taken = || ErrorKind::AlreadyExists { name: path.display().to_string() }.into();
    if folder.look(name).is_ok_and(|found| found.is_some()) {
        return Err(taken());
    }
    // 1.
    let fd = folder.unnamed_file(mode).map_err(|e| match e.raw_os_error() {
        // EISDIR is what a kernel says that takes the flag for O_DIRECTORY.
        Some(libc::EOPNOTSUPP | libc::EISDIR) => {
            ErrorKind::Unsupported { what: "files without a name (O_TMPFILE)" }.into()
        }
        _ => Error::system("making a file for a segment", e),
    })?;
    // 2.
    let segment = publish::build(fd, None, capacity, options)?;
    // 3.
    let to_disk = |e| Error::system("writing a new segment to its file", e);
    fds::sync(segment.as_fd()).map_err(to_disk)?;
    // 4.
    match folder.link(segment.as_fd().as_fd(), name) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(taken()),
        other => other.map_err(|e| Error::system("naming a segment", e))?,
    }
    // 5.
    folder.sync().or_else(|e| take_back(&folder, name, &segment, e)).map_err(to_disk)?;
    Ok(segment)
}

/// The name is not on the disk: what fails leaves nothing, unless directories cannot be written to the disk here at all.
fn take_back(folder: &Folder, name: &OsStr, segment: &Segment, error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::InvalidInput {
        return Ok(());
    }
    if home::means(folder, name, segment.inner().key()).unwrap_or(false) {
        let _ = folder.remove(name);
    }
    Err(error)
}

/// The directory of a path, opened, and the last component.
pub(crate) fn split(path: &Path) -> Result<(Folder, &OsStr), Error> {
    let name = path.file_name().filter(|_| !path.as_os_str().as_encoded_bytes().ends_with(b"/")).ok_or_else(|| {
        ErrorKind::InvalidArgument {
            what: "path",
            found: format!("`{}`", path.display()),
            expected: "the path of a file, not of a directory",
        }
    })?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = Folder::open(directory, Links::Followed).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => not_found(directory),
        _ => Error::system("opening the directory of a file", e),
    })?;
    Ok((folder, name))
}

pub(crate) fn not_found(path: &Path) -> Error {
    ErrorKind::NotFound { name: path.display().to_string() }.into()
}
