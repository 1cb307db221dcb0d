//! Who holds a lock, for people: error messages, logs and tools.

use super::{Census, LockLine};
use crate::deadline::now_ns;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Who holds a lock, and for how long others have been waiting: a snapshot, past as soon as it is taken.
///
/// The time that it has been *held* is not known: a lock that nobody waits for reads no clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its pid in its own PID namespace; 0 if the process is gone and its row belongs to another.
    pub pid: u32,
    /// The name under which it registered, see [`set_member_name`](crate::set_member_name).
    pub name: Cow<'static, str>,
    /// Token of the thread, unique in its process; 0 if unknown.
    pub thread: u16,
    /// Whether it is the calling process.
    pub is_this_process: bool,
    /// Threads that sleep until it lets go, the dead among them included until somebody finds them.
    pub waiters: u32,
    /// How long somebody has been waiting without a pause; `None` if nobody sleeps.
    pub waited_for: Option<Duration>,
}

impl LockLine {
    /// Who holds it, if anybody. Never waits; a peer that scribbles over the line makes it say nonsense, nothing worse.
    pub fn inspect(&self, census: &impl Census) -> Option<Holder> {
        let owner = self.holder()?;
        let (pid, name) = census.describe(owner);
        Some(Holder {
            pid,
            name,
            thread: owner.thread(),
            is_this_process: census.me().is_ok_and(|me| me.member() == owner.member()),
            waiters: self.waiting(),
            waited_for: self.waited_since_ns().map(|since| Duration::from_nanos(now_ns().saturating_sub(since))),
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name, thread, .. } = self;
        match pid {
            0 => f.write_str("a process that is gone")?,
            _ => write!(f, "process {pid} ({name}), thread {thread}")?,
        }
        match self.waited_for {
            Some(time) => write!(f, "; {} waiting, for {time:.1?}", self.waiters),
            None => Ok(()),
        }
    }
}
