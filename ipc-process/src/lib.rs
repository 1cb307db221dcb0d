//! Child processes that run a function: start one, join it, kill it, hear about every death.
//!
//! ```
//! use ipc_process::Process;
//!
//! fn count(text: String) -> usize {
//!     text.split_whitespace().count()
//! }
//!
//! let child = Process::spawn(count, ("one two three".to_owned(),))?;
//! assert_eq!(child.join()?, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//!
//! - **No line of yours in `main`.** A child is this program started anew, entered before `main`. Unit tests, integration
//!   tests, doc tests, examples and benches can start children. [`init`] exists for programs that want to be entered in `main`.
//! - **Nothing hangs because a child died**, whenever and however it did. [`Process::join`] tells a result from a panic (with
//!   message, file and line), a signal and an exit.
//! - **Nothing is left**: no zombie, no descriptor, no file, whether a handle is joined, dropped, or its owner is killed.
//! - **No fork.** A child costs the same with a parent of a megabyte and of a hundred gigabytes, and inherits no lock that a
//!   thread held. It inherits no descriptor either, except those that are not close-on-exec.
//!
//! # What it refuses
//!
//! - A closure that captures: the child is a new program image, in which the captured values do not exist. Pass arguments.
//! - A program that is not one: code in a shared library that another program loads cannot start that program into itself.
//! - A program that runs with rights its caller lacks (setuid, file capabilities).
//!
//! # Arguments and results
//!
//! serde values. Handles of ipc-core, ipc-sync and ipc-queue are such values here, at any depth of a structure.
//!
//! # Differences from Python's `multiprocessing.Process`
//!
//! | there                                             | here                                                                 |
//! |---------------------------------------------------|----------------------------------------------------------------------|
//! | `Process(target=f, args=(a, b)); p.start()`       | `Process::spawn(f, (a, b))?`                                         |
//! | the target's result is lost                       | `p.join()?`                                                          |
//! | an exception is an exit code 1                    | a panic is that, and `ProcessError::Panicked`                        |
//! | `p.exitcode` is −9                                | `ExitStatus::Signalled { signal: 9, .. }`                            |
//! | the parent joins its children when it exits       | they run on; daemons are killed                                      |
//! | daemons outlive a parent that was killed          | they do not                                                          |
//! | daemons may not have children                     | they may; those are daemons unless told otherwise                    |
//! | the child waits for its threads before it ends    | its threads end with its function, as with a Rust `main`             |
//! | standard input is `/dev/null`                     | the parent's                                                         |
//!
//! # Use of the process
//!
//! One thread named `ipc-supervisor` and two descriptors from the first spawn on; two descriptors per living child. `waitpid`
//! for *any* child, elsewhere in the program, takes statuses away: [`ExitStatus::Unknown`].

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("ipc-process works on 64-bit Linux only");

mod door;
mod error;
mod fork;
mod handle;
mod job;
mod luggage;
mod message;
mod parcel;
mod process;
mod start;
mod status;
mod supervisor;
mod sys;
mod task;

pub use door::{current_name, init};
pub use ipc_core::{Error, ErrorKind};

pub use error::{
    AttachError, CodecError, DecodeError, EncodeError, Garbled, ProcessError, Refusal, ResultError, SignalError,
    SpawnError, Step, WaitError,
};
pub use process::{Process, ProcessOptions};
pub use status::ExitStatus;
pub use task::{Arguments, Task};
