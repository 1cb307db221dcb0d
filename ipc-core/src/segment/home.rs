//! The per-user directory of named segments: `/dev/shm/ipc-UID`, mode 0700.
//!
//! Anybody may create anything in /dev/shm, so the directory is opened without following a link and believed only if it is
//! ours and closed to others. A squatted one falls back to `$XDG_RUNTIME_DIR/ipc`, under the same conditions; names are looked
//! up in both, so that a squatter who comes or goes hides nothing. All processes that share names should therefore have the
//! same `$XDG_RUNTIME_DIR`, or none.
//!
//! The directory goes with its last name: creators try again when it vanishes between their steps. Whoever works in a
//! directory that was removed meanwhile sees an empty one, and at one moment of its call that was the truth.
//!
//! # The lock of the directory
//!
//! Names appear by `linkat`, which fails if they are taken, and disappear by `unlinkat`, which takes away whatever they mean by
//! then. Who takes a name away therefore holds the lock of the directory (`flock`), and looks under it at what the name means:
//! it cannot become something else before `unlinkat`. Creating and attaching do not take it. The kernel gives it back when its
//! holder dies; one that is stopped holds it, and others give up after [`PATIENCE`], with [`ErrorKind::Busy`].

use super::registry::Key;
use super::retry::Retry;
use crate::error::{Error, ErrorKind, FileProblem};
use crate::member::fork::{self, Hold};
use crate::sys::fds::{self, FileKind, Stat};
use crate::sys::folder::{Folder, Links};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anybody waits for others who attach to or remove a name, which takes them microseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

const FILE_MODE: u32 = 0o600;

/// The opened directory.
pub(crate) struct Home {
    folder: Folder,
    path: PathBuf,
}

impl Home {
    /// The directory in which new names are made. `Ok(None)` if it was removed just now.
    pub(crate) fn for_new() -> Result<Option<Self>, Error> {
        let mut places = places();
        let first = Self::open(places.remove(0), true);
        match (first, places.pop()) {
            (Err(squatted), Some(fallback)) if is_squatted(&squatted) => Self::open(fallback, true),
            (other, _) => other,
        }
    }

    /// The directories in which names may be.
    pub(crate) fn existing() -> Result<Vec<Self>, Error> {
        let (mut homes, mut squatted) = (Vec::new(), Vec::new());
        let places = places();
        let count = places.len();
        for place in places {
            match Self::open(place, false) {
                Ok(home) => homes.extend(home),
                Err(error) if is_squatted(&error) => squatted.push(error),
                Err(error) => return Err(error),
            }
        }
        if squatted.len() == count { Err(squatted.remove(0)) } else { Ok(homes) }
    }

    /// The file that has this name, checked, and where it is.
    pub(crate) fn find(name: &str) -> Result<(Self, OwnedFd), Error> {
        for home in Self::existing()? {
            if let Some(file) = home.file(name)? {
                return Ok((home, file));
            }
        }
        Err(ErrorKind::NotFound { name: name.to_owned() }.into())
    }

    fn open(path: PathBuf, create: bool) -> Result<Option<Self>, Error> {
        let refuse = |path: PathBuf, problem| Err(ErrorKind::UnsafeDirectory { path, problem }.into());
        if create {
            Folder::make(&path).map_err(|e| Error::system("making the directory of named segments", e))?;
        }
        let folder = match Folder::open(&path, Links::Refused) {
            Ok(folder) => folder,
            Err(e) => match e.raw_os_error() {
                Some(libc::ENOENT) => return Ok(None),
                Some(libc::ELOOP | libc::ENOTDIR) => return refuse(path, FileProblem::NotADirectory),
                Some(libc::EACCES) => {
                    let problem = owner_of(&path).map_or(FileProblem::Closed, |uid| FileProblem::Owner { uid });
                    return refuse(path, problem);
                }
                _ => return Err(Error::system("opening the directory of named segments", e)),
            },
        };
        let st = folder.stat().map_err(|e| Error::system("looking at the directory of named segments", e))?;
        if st.uid != fds::user() {
            return refuse(path, FileProblem::Owner { uid: st.uid });
        }
        if st.mode & 0o077 != 0 {
            return refuse(path, FileProblem::Mode { mode: st.mode });
        }
        Ok(Some(Self { folder, path }))
    }

    /// A new file without a name, on the same file system.
    pub(crate) fn unnamed_file(&self) -> io::Result<OwnedFd> {
        self.folder.unnamed_file(FILE_MODE)
    }

    /// Gives an unnamed file its name: `EEXIST` if it is taken.
    pub(crate) fn link(&self, fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        self.folder.link(fd, name.as_ref())
    }

    /// Opens what has this name, after looking at it: a regular file of this user that nobody else may write.
    pub(crate) fn file(&self, name: &str) -> Result<Option<OwnedFd>, Error> {
        open_checked(&self.folder, name.as_ref())
    }

    /// Whether the name means this file now.
    pub(crate) fn means(&self, name: &str, key: Key) -> io::Result<bool> {
        means(&self.folder, name.as_ref(), key)
    }

    /// Whether something has this name: a look before much memory is reserved for nothing.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder.look(name.as_ref()).is_ok_and(|found| found.is_some())
    }

    /// The names in it that this library could have made.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let names = self.folder.names()?.into_iter().filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| super::name::check(name).is_ok()).collect())
    }

    /// Takes the lock of the directory; see the head of this file.
    pub(crate) fn lock(&self, patience: Duration) -> Result<Locked<'_>, Error> {
        let no_fork = fork::hold();
        let mut retry = Retry::within(patience);
        loop {
            match self.folder.try_lock() {
                Ok(true) => return Ok(Locked { home: self, _no_fork: no_fork }),
                Ok(false) if retry.pause() => {}
                Ok(false) => {
                    return Err(ErrorKind::Busy { doing: "removing a name", pid: 0, name: String::new() }.into());
                }
                Err(e) => return Err(Error::system("locking the directory of named segments", e)),
            }
        }
    }

    /// Removes the directory unless it has a name; a creator that finds it gone makes it again.
    pub(crate) fn tidy(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// The right to take names away. The process does not fork meanwhile: a child would have the lock, too.
pub(crate) struct Locked<'a> {
    home: &'a Home,
    _no_fork: Hold,
}

impl Locked<'_> {
    /// Takes a name away; false if nothing had it.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, Error> {
        match self.home.folder.remove(name.as_ref()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::system("removing the name of a segment", e)),
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.home.folder.unlock();
    }
}

/// Opens what has this name in a directory, after looking at it; `None` if nothing has.
pub(crate) fn open_checked(folder: &Folder, name: &OsStr) -> Result<Option<OwnedFd>, Error> {
    let found = match folder.refer(name) {
        Ok(fd) => fd,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::system("opening a segment by its name", e)),
    };
    let st = check_file(found.as_fd())?;
    match st.links {
        1 => {}
        // Unlinked since it was opened.
        0 => return Ok(None),
        times => return Err(ErrorKind::UnsafeFile { problem: FileProblem::Linked { times } }.into()),
    }
    match fds::reopen(found.as_fd()) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            Err(ErrorKind::UnsafeFile { problem: FileProblem::Closed }.into())
        }
        Err(e) => Err(Error::system("opening a segment by its name", e)),
    }
}

/// Whether a name of a directory means this file now.
pub(crate) fn means(folder: &Folder, name: &OsStr, key: Key) -> io::Result<bool> {
    Ok(folder.look(name)?.is_some_and(|st| (st.dev, st.ino) == (key.dev, key.ino)))
}

/// Refuses everything but a regular file of this user that no other user may write.
pub(crate) fn check_file(fd: BorrowedFd<'_>) -> Result<Stat, Error> {
    let st = fds::stat(fd).map_err(|e| Error::system("looking at a segment's file", e))?;
    let refuse = |problem| Err(ErrorKind::UnsafeFile { problem }.into());
    if let Some(found) = other_kind(st.kind) {
        return refuse(FileProblem::Kind { found });
    }
    if st.uid != fds::user() {
        return refuse(FileProblem::Owner { uid: st.uid });
    }
    if st.mode & 0o022 != 0 {
        return refuse(FileProblem::Mode { mode: st.mode });
    }
    Ok(st)
}

fn other_kind(kind: FileKind) -> Option<&'static str> {
    match kind {
        FileKind::Regular => None,
        FileKind::Directory => Some("directory"),
        FileKind::Symlink => Some("symlink"),
        FileKind::Fifo => Some("fifo"),
        FileKind::Socket => Some("socket"),
        FileKind::Device => Some("device"),
        FileKind::Other => Some("file of an unknown kind"),
    }
}

/// Where the directory may be: the usual place, and the other one if there is one.
fn places() -> Vec<PathBuf> {
    let shared = PathBuf::from(format!("/dev/shm/ipc-{}", fds::user()));
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    [Some(shared), runtime.map(|runtime| runtime.join("ipc"))].into_iter().flatten().collect()
}

fn is_squatted(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::UnsafeDirectory { .. })
}

/// Whose it is, if it is not ours.
fn owner_of(path: &Path) -> Option<u32> {
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::symlink_metadata(path).ok()?);
    (uid != fds::user()).then_some(uid)
}
