//! How a process ended.

use std::fmt;

/// How a process ended, as the system tells it.
///
/// ```
/// use ipc_process::{ExitStatus, Process};
/// let child = Process::spawn(|| -> () { std::process::exit(3) }, ())?;
/// assert_eq!(child.wait()?, ExitStatus::Exited { code: 3 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited, by returning from its function (0), by a panic (1) or by `std::process::exit`.
    Exited {
        /// Its exit code, 0 to 255.
        code: i32,
    },
    /// A signal ended it.
    Signalled {
        /// The signal's number, as in `signal(7)`.
        signal: i32,
        /// Whether the system wrote a core dump.
        core_dumped: bool,
    },
    /// It ended, and nobody can say how: somebody else in this process waited for any child and took its status, or the
    /// process ignores SIGCHLD.
    Unknown,
}

impl ExitStatus {
    /// Whether it exited with code 0.
    pub fn success(self) -> bool {
        self == Self::Exited { code: 0 }
    }

    /// The exit code, if it exited.
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Exited { code } => Some(code),
            _ => None,
        }
    }

    /// The signal that ended it, if one did.
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Signalled { signal, .. } => Some(signal),
            _ => None,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exit code {code}"),
            Self::Signalled { signal, core_dumped: false } => write!(f, "signal {signal}"),
            Self::Signalled { signal, core_dumped: true } => write!(f, "signal {signal} (core dumped)"),
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}
