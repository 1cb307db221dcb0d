//! Processes: who am I, and does that one still live. `pidfd_open(2)`, `/proc`.

use crate::raw::Verdict;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything by which a process can be told from any other, now and later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// In its own PID namespace.
    pub pid: u32,
    /// Inode of its PID namespace; 0 if unknown.
    pub pid_ns: u64,
    /// Inode of its pidfd: unique per process and boot since Linux 6.9; 0 before.
    pub pidfs_ino: u64,
    /// Start time in clock ticks since boot; 0 if unknown.
    pub start_ticks: u64,
    /// Boot id; 0 if unknown.
    pub boot: u128,
}

/// What may tell a process from another one that has its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Only what the kernel says of the process itself.
    KernelOnly,
    /// Its start time in /proc too, which differs between time namespaces and in a /proc of another PID namespace.
    StartTime,
}

impl Identity {
    /// Whether all of it could be found out: a process without descriptors to spare should ask again.
    pub(crate) fn is_complete(&self) -> bool {
        self.pid_ns != 0 && self.start_ticks != 0 && self.boot != 0
    }

    /// Of the calling process. A forked child asks anew.
    pub(crate) fn of_this_process() -> Self {
        let pid = getpid();
        let number = pid.as_raw_nonzero().get() as u32;
        Self {
            pid: number,
            pid_ns: pid_namespace(),
            pidfs_ino: pidfd_open(pid, PidfdFlags::empty()).map_or(0, |fd| pidfs_inode(&fd)),
            start_ticks: start_ticks(number).unwrap_or(0),
            boot: boot_id(),
        }
    }

    /// Whether its process lives, as far as a pidfd can tell: only inside one boot and one PID namespace.
    ///
    /// `EPERM`, `EMFILE` or a missing system call is `Unknown`, never dead.
    pub(crate) fn verdict(&self, trust: Trust) -> Verdict {
        if self.pid_ns == 0 || self.pid_ns != pid_namespace() || self.boot != boot_id() {
            return Verdict::Unknown;
        }
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Verdict::Unknown };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => Verdict::Dead,
            Err(_) => Verdict::Unknown,
            Ok(fd) => self.verdict_by(&fd, trust),
        }
    }

    fn verdict_by(&self, pidfd: &OwnedFd, trust: Trust) -> Verdict {
        let other_process = match (self.pidfs_ino, pidfs_inode(pidfd)) {
            (0, _) | (_, 0) if trust == Trust::KernelOnly => false,
            (0, _) | (_, 0) => {
                start_ticks(self.pid).is_some_and(|ticks| self.start_ticks != 0 && ticks != self.start_ticks)
            }
            (recorded, found) => recorded != found,
        };
        if other_process || has_exited(pidfd) { Verdict::Dead } else { Verdict::Alive }
    }
}

/// A pidfd is readable once every thread of the process has exited: a zombie is dead, a dead first thread is not.
fn has_exited(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0)
}

/// The inode of a pidfd where pidfds have inodes of their own.
fn pidfs_inode(pidfd: &OwnedFd) -> u64 {
    const PID_FS_MAGIC: u64 = 0x5049_4446;
    match rustix::fs::fstatfs(pidfd) {
        Ok(fs) if fs.f_type as u64 == PID_FS_MAGIC => rustix::fs::fstat(pidfd).map_or(0, |st| st.st_ino),
        _ => 0,
    }
}

/// Asked each time: a process may enter another namespace only for its children, but a forked child may be such a child.
fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino())
}

/// The same for the whole boot, so asked once. No `OnceLock`: a child forked while another thread was inside would wait for
/// it for ever; two threads that ask at once store the same answer.
fn boot_id() -> u128 {
    static BOOT: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    let [low, high] = [0, 1].map(|half| BOOT[half].load(Ordering::Relaxed));
    if low != 0 && high != 0 {
        return u128::from(high) << 64 | u128::from(low);
    }
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let id = u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0);
    BOOT[0].store(id as u64, Ordering::Relaxed);
    BOOT[1].store((id >> 64) as u64, Ordering::Relaxed);
    id
}

/// Field 22 of `/proc/PID/stat`; the command name in field 2 may contain anything, so count from its closing parenthesis.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Whether a process is stopped, by a signal or a tracer: for people to know, never to conclude anything from.
pub(crate) fn is_stopped(who: &Identity) -> bool {
    let stat = || fs::read_to_string(format!("/proc/{}/stat", who.pid)).ok();
    let state = |stat: String| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    who.pid_ns == pid_namespace() && stat().and_then(state).is_some_and(|state| matches!(state, 'T' | 't'))
}

/// The name of this process as the system shows it, at most 15 bytes.
pub(crate) fn command_name() -> String {
    fs::read_to_string("/proc/self/comm").map_or_else(|_| String::new(), |s| s.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_whole() {
        let me = Identity::of_this_process();
        assert_eq!(me.pid, std::process::id());
        assert!(me.start_ticks > 0 && me.boot != 0 && me.pid_ns != 0);
        assert_eq!(me.verdict(Trust::StartTime), Verdict::Alive);
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let mut other = Identity::of_this_process();
        other.pidfs_ino = other.pidfs_ino.wrapping_add(1);
        other.start_ticks += 1;
        assert_eq!(other.verdict(Trust::StartTime), Verdict::Dead);
    }

    #[test]
    fn another_namespace_or_boot_is_unknown() {
        let me = Identity::of_this_process();
        assert_eq!(Identity { pid_ns: me.pid_ns + 1, ..me }.verdict(Trust::StartTime), Verdict::Unknown);
        assert_eq!(Identity { boot: me.boot ^ 1, ..me }.verdict(Trust::StartTime), Verdict::Unknown);
    }

    #[test]
    fn a_zombie_is_dead() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let id = Identity {
            pid: child.id(),
            pidfs_ino: pidfs_inode(&pidfd),
            start_ticks: start_ticks(child.id()).unwrap(),
            ..Identity::of_this_process()
        };
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
        assert_eq!(id.verdict(Trust::KernelOnly), Verdict::Dead);
        let mut child = child;
        child.wait().unwrap();
        assert_eq!(id.verdict(Trust::KernelOnly), Verdict::Dead);
    }
}
