//! Files: anonymous memory, reservation, reopening, and locks of open file descriptions.

use nix::fcntl::{self, FallocateFlags, FcntlArg, OFlag, SealFlag};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// What `fstat` says, reduced to what attaching checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub dev: u64,
    pub ino: u64,
    pub uid: u32,
    pub mode: u32,
    pub links: u64,
    pub size: u64,
    /// Bytes that the file system has really set aside.
    pub reserved: u64,
    pub kind: FileKind,
}

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    Symlink,
    Fifo,
    Socket,
    Device,
    Other,
}

/// `memfd_create(2)`: anonymous memory, mode 0600, not executable, sealable, closed on exec.
pub(crate) fn memfd(label: &str) -> io::Result<OwnedFd> {
    // The kernel takes up to 249 bytes without NUL.
    let shown: Vec<u8> = label.bytes().filter(|&byte| byte != 0).take(200).collect();
    let label = std::ffi::CString::new(shown).unwrap_or_default();
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let fd = match memfd_create(label.as_c_str(), flags | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL)) {
        // Before Linux 6.3 the flag does not exist.
        Err(nix::Error::EINVAL) => memfd_create(label.as_c_str(), flags)?,
        other => other?,
    };
    // A memfd starts with mode 0777.
    fchmod(fd.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(fd)
}

/// `fcntl(F_ADD_SEALS)`: the size is final, and so are the seals.
pub(crate) fn seal(fd: BorrowedFd<'_>) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl::fcntl(fd, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// `fallocate(2)`: sets the size and reserves every byte, so that no access can fail later. `ENOSPC` when there is no room.
pub(crate) fn reserve(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    let len = i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    loop {
        match fcntl::fallocate(fd, FallocateFlags::empty(), 0, len) {
            Err(nix::Error::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Whether an anonymous file could be cut short by whoever has it: it is memory, and lacks the seals.
pub(crate) fn is_unsealed_memory(fd: BorrowedFd<'_>) -> bool {
    let needed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    let seals = fcntl::fcntl(fd, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_truncate);
    is_memory(fd) && !seals.contains(needed)
}

/// Whether a file is anonymous memory.
pub(crate) fn is_memory(fd: BorrowedFd<'_>) -> bool {
    let target = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    target.is_ok_and(|target| target.as_os_str().as_bytes().starts_with(b"/memfd:"))
}

/// `RLIMIT_FSIZE`, if there is one.
pub(crate) fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// Bytes that the system could still hand out, as it estimates them (`MemAvailable` plus free swap).
pub(crate) fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = |key: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    Some((kib("MemAvailable:")? + kib("SwapFree:").unwrap_or(0)) * 1024)
}

/// `fstat(2)`.
pub(crate) fn stat(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    Ok(reduce(&fstat(fd)?))
}

fn reduce(st: &FileStat) -> Stat {
    let kind = match SFlag::from_bits_truncate(st.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => FileKind::Regular,
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFLNK => FileKind::Symlink,
        SFlag::S_IFIFO => FileKind::Fifo,
        SFlag::S_IFSOCK => FileKind::Socket,
        SFlag::S_IFBLK | SFlag::S_IFCHR => FileKind::Device,
        _ => FileKind::Other,
    };
    // The widths differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    Stat {
        dev: st.st_dev,
        ino: st.st_ino,
        uid: st.st_uid,
        mode: st.st_mode & 0o7777,
        links: st.st_nlink as u64,
        size: st.st_size as u64,
        reserved: (st.st_blocks as u64).saturating_mul(512),
        kind,
    }
}

/// A new open file description of the same file, through `/proc/self/fd`. Works for an `O_PATH` descriptor too.
pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(fcntl::open(path.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// As [`reopen`], for reading alone.
pub(crate) fn reopen_to_read(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(fcntl::open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Takes the write lock on one byte for the open file description, if nobody else holds it.
pub(crate) fn try_lock_byte(fd: BorrowedFd<'_>, at: u64) -> io::Result<bool> {
    match fcntl::fcntl(fd, FcntlArg::F_OFD_SETLK(&write_lock(at))) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Whether an open file description other than `fd`'s holds the lock on this byte.
pub(crate) fn is_byte_locked(fd: BorrowedFd<'_>, at: u64) -> io::Result<bool> {
    let mut lock = write_lock(at);
    fcntl::fcntl(fd, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

fn write_lock(at: u64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: at as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

/// A random number that no other segment has: `getrandom(2)`.
pub(crate) fn random_u128() -> io::Result<u128> {
    let mut bytes = [0u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(u128::from_ne_bytes(bytes))
}

/// Opens a path as a mere reference: nothing happens to what it refers to.
pub(crate) fn open_path(path: impl AsRef<std::path::Path>) -> io::Result<OwnedFd> {
    Ok(fcntl::open(path.as_ref(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?)
}
