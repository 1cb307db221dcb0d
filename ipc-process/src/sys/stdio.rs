//! Descriptors 0, 1 and 2: a program finds its standard input, output and error by number alone.

use rustix::fs::{Mode, OFlags};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
use std::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Moves a descriptor out of the way of the standard ones.
pub(crate) fn above(descriptor: OwnedFd) -> Result<OwnedFd> {
    if descriptor.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(descriptor);
    }
    Ok(fcntl_dupfd_cloexec(&descriptor, libc::STDERR_FILENO + 1)?)
}

/// The standard descriptor of this number, if it is open.
pub(crate) fn standard(number: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: 0 to 2 are not −1. Nobody owns them, so they count as open for ever; a system call on a closed one says so.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_getfd(descriptor).is_ok().then_some(descriptor)
}

/// Opens `/dev/null` at each standard number that is closed, lowest first, so that nothing else can land there.
pub(crate) fn fill_gaps() -> Result<()> {
    for number in 0..=libc::STDERR_FILENO {
        if standard(number).is_none() {
            // All lower numbers are taken, so it lands on this one, and stays.
            let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty())?;
            std::mem::forget(null);
        }
    }
    Ok(())
}

/// Makes `descriptor` the standard one of this number, in the place of what was there. `dup2(2)`
pub(crate) fn replace(number: RawFd, descriptor: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: a standard number belongs to whoever sets the process up, which is the caller, alone, before `main`.
    let mut target = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    if descriptor.as_raw_fd() == number {
        return Ok(rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?);
    }
    Ok(rustix::io::dup2(descriptor, &mut target)?)
}

/// Makes `/dev/null` the standard descriptor of this number.
pub(crate) fn replace_by_null(number: RawFd) -> Result<()> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    replace(number, std::os::fd::AsFd::as_fd(&null))
}
