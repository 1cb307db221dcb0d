//! A sealed file: bytes too long for a packet, in an anonymous file that nobody can change any more. `memfd_create(2)`
//!
//! The receiver checks the seals before it reads. Only files of memory can carry them, so a descriptor that would block a
//! reader (a pipe, a file of a user-space file system) is refused, and what was measured stays true while it is read.

use rustix::fs::{MemfdFlags, Mode, SealFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// Nobody can write, grow or shrink the file, or take that back.
const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// Bytes that `st_blocks` counts in.
const BLOCK_BYTES: u64 = 512;

/// Writes `parts` into a new sealed file.
pub(crate) fn write(parts: &[IoSlice<'_>]) -> io::Result<OwnedFd> {
    let mut file = File::from(create()?);
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    for part in parts {
        file.write_all(part)?;
    }
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

fn create() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(c"ipc-process", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(c"ipc-process", flags)?),
        made => Ok(made?),
    }
}

/// Reads the `len_bytes` bytes of a sealed file; `None` if it is not sealed, or not as long as that.
pub(crate) fn read(file: OwnedFd, len_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let sealed = rustix::fs::fcntl_get_seals(file.as_fd()).is_ok_and(|seals| seals.contains(SEALS));
    let found = rustix::fs::fstat(&file)?;
    // A hole costs its sender nothing and would cost us memory: every byte must have been written.
    let written = (found.st_blocks as u64).saturating_mul(BLOCK_BYTES);
    if !sealed || found.st_size as u64 != len_bytes || written < len_bytes {
        return Ok(None);
    }
    let len = usize::try_from(len_bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(len, 0);
    File::from(file).read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_once_sealed() {
        let parts = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        assert_eq!(read(write(&parts).expect("write"), 7).expect("read").as_deref(), Some(&b"one two"[..]));
        assert_eq!(read(write(&parts).expect("write"), 8).expect("read"), None, "another length than announced");
    }

    #[test]
    fn what_could_change_or_block_is_refused() {
        let unsealed = create().expect("memfd");
        rustix::fs::ftruncate(&unsealed, 64).expect("truncate");
        assert_eq!(read(unsealed, 64).expect("read"), None);
        let (pipe, _writer) = std::io::pipe().expect("pipe");
        assert_eq!(read(pipe.into(), 0).expect("read"), None);
        let hollow = create().expect("memfd");
        rustix::fs::ftruncate(&hollow, 1 << 40).expect("truncate");
        rustix::fs::fcntl_add_seals(&hollow, SEALS).expect("seal");
        assert_eq!(read(hollow, 1 << 40).expect("read"), None, "a terabyte of holes");
    }
}
