//! What can go wrong, one small type per operation: spawn, wait, join, signal.

use crate::ExitStatus;
use serde::{Deserialize, Serialize};
use std::io;

/// Why no child was started. Nothing is left behind: no process, no descriptor of it, and the function has not run.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// An argument could not be serialised.
    #[error("argument {argument} cannot be passed on")]
    Encode {
        /// Its position, from 0.
        argument: usize,
        /// What its `Serialize` met.
        source: EncodeError,
    },
    /// This process may open no more descriptors, or has too many on their way.
    #[error("no descriptors left to start a process with; close some, or raise the limit (RLIMIT_NOFILE)")]
    NoDescriptors {
        /// The system's own words.
        source: io::Error,
    },
    /// This process is a child that has not reached [`init`](crate::init()) yet.
    #[error("this is a child process that has not reached ipc_process::init(); call it first in main")]
    BeforeInit,
    /// This crate is in a shared library, or the program's start did not run this crate's start function: a child of this
    /// program could not be entered.
    #[error("only a program that ipc-process is linked into can start children of its own; this is {found}")]
    NotAProgram {
        /// What was found instead.
        found: &'static str,
    },
    /// The function lies in a shared library, which a child would not have at the same place, or not at all.
    #[error("the function `{name}` lies in a shared library; it must be part of the program")]
    ForeignFunction {
        /// The function's type.
        name: &'static str,
    },
    /// The program runs with more rights than its caller has (setuid, setgid or file capabilities), or its real and
    /// effective ids differ.
    #[error("a program with the rights of another (setuid, file capabilities) starts no children this way")]
    Privileged,
    /// A destructor of an argument called `spawn` on the thread that starts processes.
    #[error("the destructor of an argument cannot start processes; it runs on the thread that starts them")]
    WouldDeadlock,
    /// The system refused for a reason of its own.
    #[error("the system refused {doing}")]
    System {
        /// The operation that was refused.
        doing: &'static str,
        /// The system's own words.
        source: io::Error,
    },
}

impl SpawnError {
    /// Sorts a refusal of the system.
    pub(crate) fn system(doing: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ETOOMANYREFS) => Self::NoDescriptors { source },
            _ => Self::System { doing, source },
        }
    }
}

/// Why a child has no result.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The function panicked.
    #[error("the process panicked at {file}:{line}: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
        /// The source file; empty if the function replaced the panic hook.
        file: String,
        /// The line in it; 0 if the function replaced the panic hook.
        line: u32,
    },
    /// A signal ended it.
    #[error("the process was ended by signal {signal}{}", if *.core_dumped { " (core dumped)" } else { "" })]
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Whether the system wrote a core dump.
        core_dumped: bool,
    },
    /// It exited without a result, by `std::process::exit` or the like.
    #[error("the process exited with code {code} before its function returned")]
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// It ended without a result, and somebody else in this process took its status.
    #[error("the process ended without a result, and its status was taken by somebody else who waits for any child")]
    Lost,
    /// An argument could not be used in the child; the function has not run.
    #[error("the process could not take argument {argument}")]
    Attach {
        /// Its position, from 0.
        argument: usize,
        /// What was wrong.
        source: AttachError,
    },
    /// The child would not run the function.
    #[error("the process did not run the function")]
    Refused(#[source] Refusal),
    /// The function returned, and its result could not be brought here.
    #[error("the function returned, but its result was lost on the way")]
    Result(#[source] ResultError),
    /// The child sent something that this library never sends.
    #[error("the process sent {what}, which this library never does; it ended with {status}")]
    Garbled {
        /// What was wrong with it.
        what: Garbled,
        /// How it ended.
        status: ExitStatus,
    },
    /// See [`WaitError`].
    #[error(transparent)]
    Wait(WaitError),
}

/// Why the end of a child was not seen.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The time was over first.
    #[error("the process is still running")]
    Timeout,
    /// This handle was inherited through a fork: only the process that spawned the child can wait for it.
    #[error("only the process that spawned it can wait for it; this one inherited the handle through a fork")]
    Forked,
    /// A destructor of an argument waited on the thread that starts and reaps processes.
    #[error("the destructor of an argument cannot wait for processes; it runs on the thread that reaps them")]
    WouldDeadlock,
}

/// Why a signal was not sent.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The child runs under another user by now.
    #[error("not allowed to signal the process; it runs under another user")]
    NotPermitted,
    /// The system refused for a reason of its own.
    #[error("the system refused to signal the process")]
    System(#[source] io::Error),
}

/// Why a value could not be serialised.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A handle in it could not go along.
    #[error("a handle in it cannot go along")]
    Handle(#[source] ipc_core::Error),
    /// Its `Serialize` failed.
    #[error(transparent)]
    Codec(CodecError),
}

/// Why a value could not be deserialised.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A handle in it could not be attached.
    #[error("a handle in it cannot be attached")]
    Handle(#[source] ipc_core::Error),
    /// Its `Deserialize` failed.
    #[error(transparent)]
    Codec(CodecError),
    /// Bytes were left over: `Serialize` and `Deserialize` disagree.
    #[error("{bytes} bytes are left over; its Serialize and Deserialize disagree")]
    Excess {
        /// How many.
        bytes: usize,
    },
}

/// What the codec (postcard) says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value does not fit the codec: {0}")]
pub struct CodecError(postcard::Error);

impl CodecError {
    pub(crate) fn new(error: postcard::Error) -> Self {
        Self(error)
    }
}

/// Why a child could not take an argument. The reasons are the child's own words.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AttachError {
    /// What a handle points to is no longer there.
    #[error("what it points to is gone from process {pid}; keep a handle open there until it is attached")]
    Gone {
        /// The process that held it; 0 if unknown.
        pid: u32,
    },
    /// A handle could not be attached.
    #[error("it could not be attached: {reason}")]
    Handle {
        /// Why.
        reason: String,
    },
    /// It could not be deserialised.
    #[error("it could not be deserialised: {reason}")]
    Decode {
        /// Why.
        reason: String,
    },
}

impl From<DecodeError> for AttachError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Handle(error) => match *error.kind() {
                ipc_core::ErrorKind::Gone { pid } => Self::Gone { pid },
                _ => Self::Handle { reason: error.to_string() },
            },
            other => Self::Decode { reason: other.to_string() },
        }
    }
}

/// Why a child would not run the function it was started for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It found itself to be another program than its parent.
    #[error("it runs another program than its parent; was the file overwritten?")]
    OtherProgram,
    /// What it was told to run is not a function of this program.
    #[error("what it was told to run is no task of this program")]
    UnknownTask,
    /// Descriptors did not reach it.
    #[error("it may not open enough descriptors for its arguments (RLIMIT_NOFILE)")]
    NoDescriptors,
    /// It could not read what it was told to do.
    #[error("what it was told to do did not arrive whole")]
    BadLaunch,
    /// It could not set itself up.
    #[error("the system refused {}: {}", .step, io::Error::from_raw_os_error(*.errno))]
    Setup {
        /// Which step failed.
        step: Step,
        /// The error number.
        errno: i32,
    },
}

/// A step of a child on its way to its function.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Moving the control socket away from descriptor 0.
    ControlSocket,
    /// Putting standard input, output and error in their places.
    StandardStreams,
    /// Asking to die with the parent.
    DeathSignal,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ControlSocket => "to move its control socket",
            Self::StandardStreams => "to set up its standard streams",
            Self::DeathSignal => "to make it die with its parent",
        })
    }
}

/// Why a result did not arrive.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// The child could not serialise it; the reason is the child's own words.
    #[error("it cannot be serialised: {reason}")]
    Encode {
        /// Why.
        reason: String,
    },
    /// It could not be deserialised here.
    #[error("it cannot be deserialised")]
    Decode(#[source] DecodeError),
    /// The child could not send it.
    #[error("the process could not send it")]
    Send(#[source] io::Error),
    /// It could not be received here.
    #[error("it could not be received")]
    Receive(#[source] io::Error),
    /// This process may open no more descriptors.
    #[error("no descriptors left to receive it; close some, or raise the limit (RLIMIT_NOFILE)")]
    NoDescriptors,
}

/// What was wrong with bytes on a control socket.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// A packet does not start as ours do.
    #[error("a packet of unknown form")]
    Form,
    /// A packet's lengths or counts contradict what arrived.
    #[error("a packet whose lengths do not fit")]
    Lengths,
    /// A long message is not in a sealed file of its length.
    #[error("a long message that is not in a sealed file")]
    NotSealed,
    /// A message that makes no sense at this point.
    #[error("a message out of turn")]
    OutOfTurn,
    /// A message whose content does not decode.
    #[error("a message that cannot be decoded")]
    Content,
}
