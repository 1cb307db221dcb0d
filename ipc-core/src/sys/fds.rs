//! Files: anonymous memory, reservation, reopening, and locks of open file descriptions.

use nix::fcntl::{self, FallocateFlags, FcntlArg, OFlag, SealFlag};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

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

/// `fcntl(F_ADD_SEALS)`: the size is final, and so are the seals. With `one_writer`, nobody can map it for writing from now on.
pub(crate) fn seal(fd: BorrowedFd<'_>, one_writer: bool) -> io::Result<()> {
    let size = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    let writing = if one_writer { SealFlag::F_SEAL_FUTURE_WRITE } else { SealFlag::empty() };
    fcntl::fcntl(fd, FcntlArg::F_ADD_SEALS(size | writing))?;
    Ok(())
}

/// Whether nobody can map this memory for writing any more.
pub(crate) fn is_sealed_for_writing(fd: BorrowedFd<'_>) -> bool {
    seals(fd).contains(SealFlag::F_SEAL_FUTURE_WRITE)
}

fn seals(fd: BorrowedFd<'_>) -> SealFlag {
    fcntl::fcntl(fd, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_truncate)
}

/// `fallocate(2)`: sets the size and reserves every byte, so that no access can fail later. `ENOSPC` when there is no room.
///
/// A file system that cannot reserve gets the bytes written, as `posix_fallocate(3)` does.
pub(crate) fn reserve(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    let len = i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    loop {
        match fcntl::fallocate(fd, FallocateFlags::empty(), 0, len) {
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EOPNOTSUPP) => return write_zeros(fd, bytes),
            other => return Ok(other?),
        }
    }
}

/// Of an empty file that nobody else has.
fn write_zeros(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    let file = std::fs::File::from(fd.try_clone_to_owned()?);
    let zeros = vec![0; bytes.min(1 << 20) as usize];
    let mut at = 0;
    while at < bytes {
        let len = (bytes - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..len as usize], at)?;
        at += len;
    }
    Ok(())
}

/// The first bytes of a file, copied.
pub(crate) fn first_bytes<const N: usize>(fd: BorrowedFd<'_>) -> io::Result<[u8; N]> {
    let file = std::fs::File::from(fd.try_clone_to_owned()?);
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// `fsync(2)`.
pub(crate) fn sync(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fsync(fd)?)
}

/// `geteuid(2)`.
pub(crate) fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether an anonymous file could be cut short by whoever has it: it is memory, and lacks the seals.
pub(crate) fn is_unsealed_memory(fd: BorrowedFd<'_>) -> bool {
    let needed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    is_memory(fd) && !seals(fd).contains(needed)
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

pub(super) fn reduce(st: &FileStat) -> Stat {
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
    try_lock(fd, &lock(libc::F_WRLCK, at, 1))
}

/// Takes the read lock on one byte for the open file description, if nobody else holds the write lock.
pub(crate) fn try_share_byte(fd: BorrowedFd<'_>, at: u64) -> io::Result<bool> {
    try_lock(fd, &lock(libc::F_RDLCK, at, 1))
}

/// Gives either back.
pub(crate) fn unlock_byte(fd: BorrowedFd<'_>, at: u64) {
    // Cannot fail for a lock that is there, and does nothing for one that is not.
    let _ = try_lock(fd, &lock(libc::F_UNLCK, at, 1));
}

/// Whether an open file description other than `fd`'s holds a lock on any of these bytes.
pub(crate) fn is_any_byte_locked(fd: BorrowedFd<'_>, at: u64, bytes: u64) -> io::Result<bool> {
    let mut asked = lock(libc::F_WRLCK, at, bytes);
    fcntl::fcntl(fd, FcntlArg::F_OFD_GETLK(&mut asked))?;
    Ok(asked.l_type != libc::F_UNLCK as libc::c_short)
}

fn try_lock(fd: BorrowedFd<'_>, lock: &libc::flock) -> io::Result<bool> {
    match fcntl::fcntl(fd, FcntlArg::F_OFD_SETLK(lock)) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn lock(kind: libc::c_int, at: u64, bytes: u64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: at as libc::off_t,
        l_len: bytes as libc::off_t,
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
