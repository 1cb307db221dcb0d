//! One child by its pidfd: is it dead, how did it die, signal it. `pidfd_open(2)`, `waitid(2)`, `pidfd_send_signal(2)`
//!
//! A pid may belong to somebody else once its process is reaped; a pidfd never does. A pid is used here only between
//! `posix_spawn` and `pidfd_open`, while nobody can have reaped it. rustix, not nix, whose `waitid` reaps a child that a
//! real-time signal ended and then has no name for the signal but an error.

use crate::ExitStatus;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitid,
    waitpid,
};
use std::io::Result;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The process of this pid, close-on-exec.
pub(crate) fn open(pid: i32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    super::stdio::above(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Kills and reaps a child that has no pidfd. Only for a child that nobody else knows of yet.
pub(crate) fn kill_and_reap(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    // Both fail only if somebody else waited for any child and got this one: then there is nothing left to do.
    let _ = kill_process(pid, Signal::KILL);
    let _ = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
}

/// Whether the process has ended; a zombie has, a stopped process has not.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    retry_on_intr(|| poll(&mut asked, Some(&at_once))).is_ok() && asked[0].revents().contains(PollFlags::IN)
}

/// Takes the status of an ended child; `None` while it is not to be had.
///
/// [`ExitStatus::Unknown`] if somebody else in this process has taken it, or the process ignores SIGCHLD.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    match retry_on_intr(|| waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)) {
        Ok(None) => None,
        Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::Exited { code },
            (_, Some(signal)) => ExitStatus::Signalled { signal, core_dumped: status.dumped() },
            _ => ExitStatus::Unknown,
        }),
        Err(_) => Some(ExitStatus::Unknown),
    }
}

/// The signals that this crate sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalKind {
    Kill,
    Terminate,
}

/// Sends a signal; a process that has ended needs none.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, what: SignalKind) -> Result<()> {
    let signal = match what {
        SignalKind::Kill => Signal::KILL,
        SignalKind::Terminate => Signal::TERM,
    };
    match pidfd_send_signal(pidfd, signal) {
        Err(Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}
