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
//! # Taking names away
//!
//! Names appear by `linkat`, which fails if they are taken, and disappear by `unlinkat`, which takes away whatever they mean by
//! then. So that nobody takes away what he has not looked at, whoever takes a name away holds the unlink byte of the file that it
//! means (`layout/header`) and a shared lock of the directory (`flock`), and looks under them: the name cannot become something
//! else before his `unlinkat`, because for that somebody would have had to take it away. What has no such byte (a symbolic link,
//! a FIFO: nobody knows how they came here) is taken away under the lock of the directory, alone. Creating and attaching take
//! neither. The kernel gives both back when their holder dies; one that is stopped keeps them, and others give up after
//! [`PATIENCE`], with [`ErrorKind::Busy`].

use super::registry::Key;
use super::retry::Retry;
use crate::error::{Error, ErrorKind, FileProblem};
use crate::layout::header::UNLINK_AT;
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

    /// A mere reference to what has this name, whatever it is and wherever: opening it for real may have effects.
    pub(crate) fn reference(name: &str) -> Result<OwnedFd, Error> {
        for home in Self::existing()? {
            match home.folder.refer(name.as_ref()) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => return other.map_err(|e| Error::system("looking at a name", e)),
            }
        }
        Err(ErrorKind::NotFound { name: name.to_owned() }.into())
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

    /// Takes the right to take the name of this file away, or of what is no file; see the head of this file.
    pub(crate) fn lock(&self, file: Option<BorrowedFd<'_>>, patience: Duration) -> Result<Locked<'_>, Error> {
        let refused = |e| Error::system("taking the right to remove a name", e);
        let mut retry = Retry::within(patience);
        loop {
            if let Some(locked) = self.try_lock(file).map_err(refused)? {
                return Ok(locked);
            }
            if !retry.pause() {
                return Err(ErrorKind::Busy { doing: "removing a name", pid: 0, name: String::new() }.into());
            }
        }
    }

    fn try_lock(&self, file: Option<BorrowedFd<'_>>) -> io::Result<Option<Locked<'_>>> {
        // Only while it has something: who waits keeps no other thread from forking.
        let no_fork = fork::hold();
        let file = file.map(fds::reopen).transpose()?;
        if !self.folder.try_lock(file.is_none())? {
            return Ok(None);
        }
        // From here on dropping it gives back what was taken.
        let locked = Locked { home: self, file, _no_fork: no_fork };
        let whole = match &locked.file {
            Some(file) => fds::try_lock_byte(file.as_fd(), UNLINK_AT)?,
            None => true,
        };
        Ok(whole.then_some(locked))
    }

    /// Takes a name away, whatever it means; false if it means nothing.
    pub(crate) fn unlink(&self, name: &str) -> Result<bool, Error> {
        let mut retry = Retry::within(PATIENCE);
        loop {
            let Some(file) = self.lockable(name)? else { return Ok(false) };
            let locked = self.lock(file.as_ref().map(AsFd::as_fd), PATIENCE)?;
            if file.is_none_or(|file| self.still_means(name, &file)) {
                return locked.remove(name);
            }
            drop(locked);
            if !retry.pause() {
                return Err(
                    ErrorKind::Busy { doing: "making the name anew again and again", pid: 0, name: "".into() }.into()
                );
            }
        }
    }

    /// The file that a name means, `Some(None)` if it means something that cannot be locked, `None` if nothing.
    fn lockable(&self, name: &str) -> Result<Option<Option<OwnedFd>>, Error> {
        let found = match self.folder.refer(name.as_ref()) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::system("looking at a name", e)),
        };
        let regular = fds::stat(found.as_fd()).is_ok_and(|st| st.kind == FileKind::Regular);
        Ok(Some(if regular { fds::reopen(found.as_fd()).ok() } else { None }))
    }

    fn still_means(&self, name: &str, file: &OwnedFd) -> bool {
        let key = fds::stat(file.as_fd()).map(|st| Key { dev: st.dev, ino: st.ino, id: 0 });
        key.and_then(|key| self.means(name, key)).unwrap_or(false)
    }

    /// Removes the directory unless it has a name; a creator that finds it gone makes it again.
    pub(crate) fn tidy(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// The right to take a name away. The process does not fork meanwhile: a child would have it, too.
pub(crate) struct Locked<'a> {
    home: &'a Home,
    /// With the byte, through a description of its own: any other may be shared with other processes.
    file: Option<OwnedFd>,
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
        // By name and not only by closing: a child that is just being spawned may have the descriptions, too.
        if let Some(file) = &self.file {
            fds::unlock_byte(file.as_fd(), UNLINK_AT);
        }
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
    if let Some(problem) = problem_of_kind(st.kind) {
        return refuse(problem);
    }
    if st.uid != fds::user() {
        return refuse(FileProblem::Owner { uid: st.uid });
    }
    if st.mode & 0o022 != 0 {
        return refuse(FileProblem::Mode { mode: st.mode });
    }
    Ok(st)
}

/// What is wrong with this kind of file, if anything.
pub(crate) fn problem_of_kind(kind: FileKind) -> Option<FileProblem> {
    let found = match kind {
        FileKind::Regular => return None,
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
        FileKind::Device => "device",
        FileKind::Other => "file of an unknown kind",
    };
    Some(FileProblem::Kind { found })
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
