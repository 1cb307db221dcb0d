//! What POSIX shared memory of another library is: which file is mapped, and whether it is blank.

use rustix::fs::SeekFrom;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// Device and inode of the file that this process has mapped at an address, as `/proc/self/maps` tells.
pub(crate) fn mapped_at(address: usize) -> io::Result<Option<(u64, u64)>> {
    let maps = std::fs::read("/proc/self/maps")?;
    // The names in it may be any bytes.
    Ok(String::from_utf8_lossy(&maps)
        .lines()
        .filter_map(parse)
        .find(|(range, _)| range.contains(&address))
        .map(|(_, file)| file))
}

/// `7f0a1000-7f0a2000 rw-s 00000000 00:1a 4711   /dev/shm/name`.
fn parse(line: &str) -> Option<(std::ops::Range<usize>, (u64, u64))> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (major, minor) = words.nth(2)?.split_once(':')?;
    let ino = words.next()?.parse().ok()?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let device = |text| u32::from_str_radix(text, 16).ok();
    Some((address(start)?..address(end)?, (libc::makedev(device(major)?, device(minor)?), ino)))
}

/// Where the first byte that is not zero lies, and what it is. Holes are passed over, and stay holes: an object may be larger
/// than the machine.
pub(crate) fn first_not_zero(fd: BorrowedFd<'_>) -> io::Result<Option<(u64, u8)>> {
    let file = File::from(fd.as_fd().try_clone_to_owned()?);
    let mut bytes = vec![0; 64 << 10];
    let mut at = 0;
    loop {
        at = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            Err(rustix::io::Errno::NXIO) => return Ok(None),
            data => data?,
        };
        let len = match file.read_at(&mut bytes, at) {
            Ok(0) => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if let Some(found) = bytes[..len].iter().position(|&byte| byte != 0) {
            return Ok(Some((at + found as u64, bytes[found])));
        }
        at += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps() {
        let line = "7f01000-7f03000 rw-s 00000000 00:1a 4711                       /dev/shm/with space";
        assert_eq!(parse(line), Some((0x7f0_1000..0x7f0_3000, (libc::makedev(0, 0x1a), 4711))));
        assert_eq!(parse("nonsense"), None);
        assert_eq!(parse(""), None);
    }
}
