//! Children of tests: forked or exec'd, reaped whatever happens, told what to do over pipes.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A forked child; killed and reaped when dropped, also while the test panics.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    ended: Option<WaitStatus>,
}

impl Child {
    /// Forks a child that runs `body` and ends: status 0, or 101 if it panics.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn fork(body: impl FnOnce()) -> Self {
        // SAFETY: the child uses the libraries under test, whose atfork handlers free what other threads held, the allocator,
        // whose own handlers do the same, and nothing else that could be locked.
        match unsafe { fork() }.expect("a fork") {
            ForkResult::Parent { child } => Self { pid: child, ended: None },
            ForkResult::Child => {
                die_with_parent();
                let ran = catch_unwind(AssertUnwindSafe(body));
                exit(if ran.is_ok() { 0 } else { 101 })
            }
        }
    }

    /// As [`fork`](Self::fork), by the bare system call: no fork handler runs.
    ///
    /// If another thread may be inside the allocator, `body` must not allocate.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn fork_barely(body: impl FnOnce()) -> Self {
        // SAFETY: without CLONE_VM and a stack this is what fork does; the child does what its caller answers for, and exits.
        match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
            0 => {
                die_with_parent();
                let ran = catch_unwind(AssertUnwindSafe(body));
                exit(if ran.is_ok() { 0 } else { 101 })
            }
            pid if pid > 0 => Self { pid: Pid::from_raw(pid as i32), ended: None },
            _ => panic!("a bare fork: {}", nix::errno::Errno::last()),
        }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).expect("a child of ours can be signalled until it is reaped");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            self.signal(Signal::SIGKILL);
            self.wait();
        }
    }

    /// Waits until it has ended by itself, and says how.
    pub fn wait(&mut self) -> WaitStatus {
        while self.ended.is_none() {
            match waitpid(self.pid, None) {
                Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => self.ended = Some(status),
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => panic!("waiting for a child: {error}"),
            }
        }
        self.ended.expect("the loop ends with a status")
    }

    /// Waits and insists that all went well in it.
    pub fn join(mut self) {
        let ended = self.wait();
        assert!(matches!(ended, WaitStatus::Exited(_, 0)), "a child failed: {ended:?}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// For a forked child: SIGKILL when its parent ends.
pub fn die_with_parent() {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Ends this process at once: no destructors, no handlers.
pub fn exit(status: i32) -> ! {
    // SAFETY: `_exit` returns to nobody.
    unsafe { libc::_exit(status) }
}

/// Ends this process as `kill -9` would.
pub fn die() -> ! {
    // Nothing can be done about a failure, except to end anyway.
    let _ = kill(Pid::this(), Signal::SIGKILL);
    exit(9)
}

/// A signal from one process to others that they have come to a certain step: a pipe, made before the fork.
#[derive(Debug)]
pub struct Step {
    reading: io::PipeReader,
    writing: io::PipeWriter,
}

impl Step {
    /// Nobody has come there yet.
    ///
    /// # Panics
    /// If there are no descriptors left.
    pub fn new() -> Self {
        let (reading, writing) = io::pipe().expect("a pipe");
        Self { reading, writing }
    }

    /// Lets one waiter go on.
    pub fn reach(&self) {
        io::Write::write_all(&mut &self.writing, &[1]).expect("the other end is ours, too");
    }

    /// Waits until somebody has come there.
    pub fn wait(&self) {
        io::Read::read_exact(&mut &self.reading, &mut [0]).expect("the other end is ours, too");
    }
}

impl Default for Step {
    fn default() -> Self {
        Self::new()
    }
}
