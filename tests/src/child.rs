//! Children of tests: forked or exec'd, reaped whatever happens, told what to do over pipes.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

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

    /// As `wait`, for a child that nothing else is done to.
    pub fn wait_to_end(mut self) -> WaitStatus {
        self.wait()
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

/// A user that no other test is, whose directory of named segments goes when this is dropped. Only root may become one.
#[derive(Debug)]
pub struct Stranger {
    /// The uid.
    pub uid: u32,
    owner: u32,
}

impl Stranger {
    /// `None`, with a line that says so, unless this process is root in a system that knows the uid.
    #[allow(clippy::print_stderr)]
    pub fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let owner = std::process::id();
        let uid = 100_000_000 + owner * 64 + NEXT.fetch_add(1, Ordering::Relaxed) % 64;
        let able = nix::unistd::geteuid().is_root()
            && Self::is_over(&Child::fork(|| exit(i32::from(become_user(uid).is_err()))).wait_to_end());
        if !able {
            eprintln!("skipped: this user may not become another");
        }
        able.then_some(Self { uid, owner })
    }

    fn is_over(status: &WaitStatus) -> bool {
        matches!(status, WaitStatus::Exited(_, 0))
    }

    /// Forks a child that is this user.
    pub fn fork(&self, body: impl FnOnce()) -> Child {
        Child::fork(|| {
            become_user(self.uid).expect("tried when this was made");
            body();
        })
    }

    /// Where this user's named segments are.
    pub fn home(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm/ipc-{}", self.uid))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = std::fs::remove_dir_all(self.home());
            let _ = std::fs::remove_file(self.home());
        }
    }
}

/// For a forked child of root: becomes another user, with no way back.
fn become_user(uid: u32) -> io::Result<()> {
    let done = |status: libc::c_int| if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: no groups, hence no memory.
    done(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: three numbers.
    done(unsafe { libc::setresgid(uid, uid, uid) })?;
    // SAFETY: three numbers.
    done(unsafe { libc::setresuid(uid, uid, uid) })?;
    // SAFETY: PR_SET_DUMPABLE takes a number; /proc/self belongs to root otherwise.
    done(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) })?;
    // The kernel forgets the death signal when a process becomes somebody else.
    die_with_parent();
    Ok(())
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
