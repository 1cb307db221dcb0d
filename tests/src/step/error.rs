//! Why a sweep could not be made. What it *finds* is a [`Violation`](super::Violation), not an error.

use nix::errno::Errno;

/// Why the stepping could not go on.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Forking is only sound in a program of one thread.
    #[error("this process has {threads} threads, and what they hold would stay held in a forked child; use one thread")]
    Threaded {
        /// Threads found.
        threads: usize,
    },
    /// The system lets no child be traced. Nothing was tested.
    #[error(
        "ptrace was refused: allow it (a container's seccomp profile, CAP_SYS_PTRACE, kernel.yama.ptrace_scope below 3)"
    )]
    Refused,
    /// A system call of the tracer failed.
    #[error("the system refused {doing}: {errno}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        errno: Errno,
    },
    /// The victim died or fell asleep on the way to the operation, or the live peer before the step where it was to pause.
    #[error("the child did not get to its place: {at}")]
    Lost {
        /// Where it ended.
        at: super::At,
    },
    /// The operation has more instructions than [`Limits::instructions`](super::Limits::instructions).
    #[error("the operation did not end within {most} instructions")]
    TooLong {
        /// The limit.
        most: usize,
    },
}

impl StepError {
    /// For `map_err` behind a system call.
    pub(super) fn system(doing: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { doing, errno }
    }
}
