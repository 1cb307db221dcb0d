//! An open directory: `openat(2)`, `linkat(2)`, `unlinkat(2)`, `O_TMPFILE`, `flock(2)`.
//!
//! Names are looked up from the descriptor on, so that what is done to one directory stays there, whatever happens to its path.

use super::fds::{self, Stat};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstatat};
use nix::unistd::{UnlinkatFlags, linkat, mkdir, unlinkat};
use rustix::fs::FlockOperation;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A directory, open for looking up names.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

/// What a symbolic link in place of the directory is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Followed,
    Refused,
}

impl Folder {
    /// Opens a directory.
    pub(crate) fn open(path: &Path, links: Links) -> io::Result<Self> {
        let refuse = if links == Links::Refused { OFlag::O_NOFOLLOW } else { OFlag::empty() };
        Ok(Self(open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | refuse, Mode::empty())?))
    }

    /// Makes a directory of mode 0700; one that exists is no error.
    pub(crate) fn make(path: &Path) -> io::Result<()> {
        match mkdir(path, Mode::S_IRWXU) {
            Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// What `fstat` says of the directory itself.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        fds::stat(self.0.as_fd())
    }

    /// `O_TMPFILE`: a new file without a name, on the same file system. `EOPNOTSUPP` where there is no such thing.
    pub(crate) fn unnamed_file(&self, mode: u32) -> io::Result<OwnedFd> {
        let mode = Mode::from_bits_truncate(mode);
        let fd = openat(&self.0, ".", OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC, mode)?;
        // The umask may have taken bits away.
        fchmod(fd.as_fd(), mode)?;
        Ok(fd)
    }

    /// Gives an unnamed file its name: `EEXIST` if it is taken, `ENOENT` if the directory has been removed.
    pub(crate) fn link(&self, fd: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        let source = format!("/proc/self/fd/{}", fd.as_raw_fd());
        Ok(linkat(AT_FDCWD, source.as_str(), &self.0, name, AtFlags::AT_SYMLINK_FOLLOW)?)
    }

    /// A reference (`O_PATH`) to what has this name, itself and not what it may link to: nothing happens to it.
    pub(crate) fn refer(&self, name: &OsStr) -> io::Result<OwnedFd> {
        Ok(openat(&self.0, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?)
    }

    /// What has this name, without following a link; `None` if nothing has.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(st) => Ok(Some(fds::reduce(&st))),
            Err(nix::Error::ENOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a name.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// The names in it, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<std::ffi::OsString>> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Takes the lock of the directory for this open file description, alone or shared, unless others have it.
    pub(crate) fn try_lock(&self, alone: bool) -> io::Result<bool> {
        let (exclusive, shared) = (FlockOperation::NonBlockingLockExclusive, FlockOperation::NonBlockingLockShared);
        match rustix::fs::flock(&self.0, if alone { exclusive } else { shared }) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Gives the lock back: by name, because a child that is just being spawned may have the description, too.
    pub(crate) fn unlock(&self) {
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }

    /// `fsync(2)`: the names in it are on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}
