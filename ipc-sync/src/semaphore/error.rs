//! What can go wrong with permits.

use ipc_core::{Corrupt, LockError, MemberError};

/// Why no permit was given.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// `try_`: there were not enough free permits, or somebody gathers several and is served first.
    #[error("no permit is free")]
    WouldBlock,
    /// The time passed before there were enough free permits.
    #[error("no permit was free in time")]
    Timeout,
    /// More than there can ever be: waiting would not help.
    #[error("{asked} permits asked for at once, and there are at most {maximum}")]
    TooMany {
        /// Permits asked for.
        asked: u32,
        /// Permits there can be.
        maximum: u32,
    },
    /// A signal handler interrupted this very call of the same thread, and would wait for itself.
    #[error("this thread is in the middle of the same call; do not acquire several permits in a signal handler")]
    WouldDeadlock,
    /// A word of the semaphore holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// This process is not a member of the segment and could not become one (first use after a fork).
    #[error(transparent)]
    Member(#[from] MemberError),
}

/// Why no permit was added.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// There would be more than the maximum. Nothing was added.
    #[error("{asked} permits cannot be added: there is room for {room}")]
    Full {
        /// Permits that were to be added.
        asked: u32,
        /// How many more there can be.
        room: u32,
    },
    /// A signal handler interrupted this very call of the same thread, and would wait for itself.
    #[error("this thread is in the middle of the same call; do not add permits in a signal handler")]
    WouldDeadlock,
    /// A word of the semaphore holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// This process is not a member of the segment and could not become one (first use after a fork).
    #[error(transparent)]
    Member(#[from] MemberError),
}

/// What the internal locks say, which protect no data.
macro_rules! from_lock_error {
    ($error:ident, $late:expr) => {
        impl From<LockError> for $error {
            fn from(error: LockError) -> Self {
                match error {
                    LockError::WouldBlock | LockError::Timeout => $late,
                    LockError::WouldDeadlock => Self::WouldDeadlock,
                    LockError::Corrupt(corrupt) => Self::Corrupt(corrupt),
                    LockError::Member(member) => Self::Member(member),
                    // Never of a lock that is taken by whoever would recover.
                    _ => Self::Corrupt(Corrupt { what: "a lock of the semaphore", found: 0 }),
                }
            }
        }
    };
}

from_lock_error!(AcquireError, Self::Timeout);
from_lock_error!(AddError, Self::Corrupt(Corrupt { what: "a lock of the semaphore", found: 0 }));
