//! The handle of a child: what a parent's threads may ask of a record that the supervisor writes.
//!
//! A handle is the record's number. Every question takes the lock of `supervisor.rs` for a moment; waiting is a condition on
//! it, which the supervisor notifies once, when the child is reaped. A handle that came through a fork is of another epoch:
//! its record still has a pidfd to look at and to signal by, but the child is another process's to wait for.

use crate::ExitStatus;
use crate::error::{SignalError, WaitError};
use crate::fork;
use crate::message::Report;
use crate::supervisor::{self, locked};
use crate::sys::wait;
use ipc_core::Deadline;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, PoisonError};
use std::time::Duration;

/// A child, as [`Process`](crate::Process) holds it. Dropping it lets go of the child, which is reaped all the same.
#[derive(Debug)]
pub(crate) struct Handle {
    id: u64,
    pid: u32,
    ended: Arc<Condvar>,
    epoch: u32,
}

impl Handle {
    pub(crate) fn new(id: u64, pid: u32, ended: Arc<Condvar>) -> Self {
        Self { id, pid, ended, epoch: fork::epoch() }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the child has ended and is reaped.
    pub(crate) fn wait(&self, deadline: Deadline) -> Result<ExitStatus, WaitError> {
        let mut state = locked();
        loop {
            let status = state.children.get(&self.id).and_then(|record| record.status);
            if let Some(status) = status {
                return Ok(status);
            }
            if fork::epoch() != self.epoch {
                return Err(WaitError::Forked);
            }
            if supervisor::is_this_thread() {
                return Err(WaitError::WouldDeadlock);
            }
            state = match deadline.remaining() {
                Some(Duration::ZERO) => return Err(WaitError::Timeout),
                Some(left) => self.ended.wait_timeout(state, left).map(|(s, _)| s).unwrap_or_else(|e| e.into_inner().0),
                None => self.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    pub(crate) fn status(&self) -> Option<ExitStatus> {
        locked().children.get(&self.id).and_then(|record| record.status)
    }

    /// A process that has ended counts as alive until it is reaped, so that `!is_alive` means that its status is there. One
    /// that another process reaps (this handle came through a fork) is asked for itself.
    pub(crate) fn is_alive(&self) -> bool {
        let state = locked();
        let Some(record) = state.children.get(&self.id) else { return false };
        if fork::epoch() == self.epoch {
            record.status.is_none()
        } else {
            record.pidfd.as_ref().is_some_and(|pidfd| !wait::has_ended(pidfd.as_fd()))
        }
    }

    pub(crate) fn signal(&self, what: wait::SignalKind) -> Result<(), SignalError> {
        let state = locked();
        let pidfd = state.children.get(&self.id).and_then(|record| record.pidfd.as_ref());
        match pidfd.map_or(Ok(()), |pidfd| wait::signal(pidfd.as_fd(), what)) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(SignalError::NotPermitted),
            sent => sent.map_err(SignalError::System),
        }
    }

    /// Waits, and takes what the child has reported.
    pub(crate) fn finish(self) -> Result<(ExitStatus, Option<Report>), WaitError> {
        let status = self.wait(Deadline::NEVER)?;
        let report = locked().children.get_mut(&self.id).and_then(|record| record.report.take());
        Ok((status, report))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = locked();
        let Some(record) = state.children.get_mut(&self.id) else { return };
        record.has_handle = false;
        if record.status.is_some() || fork::epoch() != self.epoch {
            let gone = state.children.remove(&self.id);
            drop(state);
            drop(gone);
        }
    }
}
