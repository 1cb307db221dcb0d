//! `futex(2)`: wait until a deadline, wake. Shared between processes: the PRIVATE flag is never set.

use crate::Deadline;
use crate::shim::Woken;
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU32;

/// `FUTEX_WAIT_BITSET`: sleeps while `word` holds `expected`, until woken or `deadline` (absolute, monotonic).
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Woken {
    let until = deadline
        .as_nanos()
        .map(|ns| Timespec { tv_sec: (ns / 1_000_000_000) as _, tv_nsec: (ns % 1_000_000_000) as _ });
    match futex::wait_bitset(word, Flags::empty(), expected, until.as_ref(), NonZeroU32::MAX) {
        Err(Errno::TIMEDOUT) => Woken::TimedOut,
        // Woken, EAGAIN (the word had changed) or EINTR (even under SA_RESTART): the caller looks again.
        _ => Woken::Maybe,
    }
}

/// `FUTEX_WAKE`: wakes up to `n` sleepers, and says how many. The kernel reads the count as signed; larger counts would wake
/// nobody.
pub(crate) fn wake(word: &AtomicU32, n: u32) -> u32 {
    // An error here could only mean an address that is no longer mapped, which a reference rules out.
    futex::wake(word, Flags::empty(), n.min(i32::MAX as u32)).map_or(0, |woken| woken as u32)
}
