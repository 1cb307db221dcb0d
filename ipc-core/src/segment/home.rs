//! The per-user directory of named segments: `/dev/shm/ipc-UID`, mode 0700.
//!
//! Anybody may create anything in /dev/shm, so the directory is opened without following a link and believed only if it is
//! ours and closed to others. A squatted one falls back to `$XDG_RUNTIME_DIR/ipc`, under the same conditions. It goes with
//! its last name: creators therefore try again when it vanishes between their steps.

use crate::error::{Error, ErrorKind};
use crate::sys::fds::{self, FileKind, Stat};
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::fstatat;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, geteuid, linkat, mkdir, unlinkat};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The opened directory.
pub(crate) struct Home {
    dir: OwnedFd,
    path: PathBuf,
}

const SAFE_DIRECTORY: &str = "a directory of this user with mode 0700";

impl Home {
    /// Opens the directory, making it if `create`. `Ok(None)` if it does not exist: then no name does.
    pub(crate) fn open(create: bool) -> Result<Option<Self>, Error> {
        let shared = PathBuf::from(format!("/dev/shm/ipc-{}", geteuid()));
        match Self::open_at(shared, create) {
            Err(squatted) if matches!(squatted.kind(), ErrorKind::UnsafeFile { .. }) => {
                match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
                    Some(runtime) if runtime.is_absolute() => Self::open_at(runtime.join("ipc"), create),
                    _ => Err(squatted),
                }
            }
            other => other,
        }
    }

    fn open_at(path: PathBuf, create: bool) -> Result<Option<Self>, Error> {
        if create {
            match mkdir(&path, Mode::S_IRWXU) {
                Ok(()) | Err(nix::Error::EEXIST) => {}
                Err(e) => return Err(Error::system("making the directory of named segments", e)),
            }
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = match open(&path, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(nix::Error::ENOENT) => return Ok(None),
            Err(nix::Error::ELOOP | nix::Error::ENOTDIR) => return Err(unsafe_home(&path, "not a directory")),
            Err(nix::Error::EACCES) => return Err(unsafe_home(&path, "closed to this user")),
            Err(e) => return Err(Error::system("opening the directory of named segments", e)),
        };
        let st = fds::stat(dir.as_fd()).map_err(|e| Error::system("looking at the directory of named segments", e))?;
        if st.uid != geteuid().as_raw() {
            return Err(unsafe_home(&path, &format!("owned by uid {}", st.uid)));
        }
        if st.mode & 0o077 != 0 {
            return Err(unsafe_home(&path, &format!("of mode {:04o}", st.mode)));
        }
        Ok(Some(Self { dir, path }))
    }

    /// A new file without a name, on the same file system.
    pub(crate) fn unnamed_file(&self) -> nix::Result<OwnedFd> {
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let fd = openat(&self.dir, ".", OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC, mode)?;
        // The umask may have taken bits away.
        fchmod(fd.as_fd(), mode)?;
        Ok(fd)
    }

    /// Gives an unnamed file its name: `EEXIST` if it is taken.
    pub(crate) fn link(&self, fd: BorrowedFd<'_>, name: &str) -> nix::Result<()> {
        let source = format!("/proc/self/fd/{}", fd.as_raw_fd());
        linkat(nix::fcntl::AT_FDCWD, source.as_str(), &self.dir, name, AtFlags::AT_SYMLINK_FOLLOW)
    }

    /// Opens what has this name, after looking at it: a regular file of this user that nobody else may write.
    pub(crate) fn file(&self, name: &str) -> Result<OwnedFd, Error> {
        let found = self.reference(name)?;
        let st = check_file(found.as_fd())?;
        match st.links {
            1 => {}
            // Unlinked since it was opened.
            0 => return Err(ErrorKind::NotFound { name: name.to_owned() }.into()),
            links => {
                let found = format!("linked {links} times");
                return Err(ErrorKind::UnsafeFile { found, expected: "a file with one name" }.into());
            }
        }
        fds::reopen(found.as_fd()).map_err(|e| Error::system("opening a named segment", e))
    }

    /// A mere reference to what has this name, whatever it is: opening it for real may have effects.
    pub(crate) fn reference(&self, name: &str) -> Result<OwnedFd, Error> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(fd) => Ok(fd),
            Err(nix::Error::ENOENT) => Err(ErrorKind::NotFound { name: name.to_owned() }.into()),
            Err(e) => Err(Error::system("opening a named segment", e)),
        }
    }

    /// Whether something has this name: a look before much memory is reserved for nothing.
    pub(crate) fn has(&self, name: &str) -> bool {
        fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// Removes a name; the directory goes with the last one.
    pub(crate) fn unlink(&self, name: &str) -> Result<(), Error> {
        let removed = unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir);
        self.tidy();
        match removed {
            Ok(()) => Ok(()),
            Err(nix::Error::ENOENT) => Err(ErrorKind::NotFound { name: name.to_owned() }.into()),
            Err(e) => Err(Error::system("removing the name of a segment", e)),
        }
    }

    /// Removes the directory unless it has a name; a creator that finds it gone makes it again.
    pub(crate) fn tidy(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Refuses everything but a regular file of this user that no other user may write.
pub(crate) fn check_file(fd: BorrowedFd<'_>) -> Result<Stat, Error> {
    let st = fds::stat(fd).map_err(|e| Error::system("looking at a segment's file", e))?;
    let refuse = |found: String, expected| Err(ErrorKind::UnsafeFile { found, expected }.into());
    if st.kind != FileKind::Regular {
        return refuse(format!("a {:?}", st.kind).to_lowercase(), "a regular file");
    }
    if st.uid != geteuid().as_raw() {
        return refuse(format!("owned by uid {}", st.uid), "a file of this user");
    }
    if st.mode & 0o022 != 0 {
        return refuse(format!("of mode {:04o}", st.mode), "a file that only its owner may write");
    }
    Ok(st)
}

fn unsafe_home(path: &Path, found: &str) -> Error {
    ErrorKind::UnsafeFile { found: format!("{} ({found})", path.display()), expected: SAFE_DIRECTORY }.into()
}
