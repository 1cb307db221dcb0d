//! `Process`: the handle of a child, and the options to start one with. Everything it does is in `supervisor.rs`.

use crate::ExitStatus;
use crate::door;
use crate::error::{ProcessError, ResultError, SignalError, SpawnError, WaitError};
use crate::handle::Handle;
use crate::luggage;
use crate::message::{Launch, Report};
use crate::start::Order;
use crate::supervisor;
use crate::sys::wait::SignalKind;
use crate::task::{self, Arguments, Task};
use ipc_core::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How many children this process has tried to start; numbers their default names.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A process that runs one function and then ends: the handle by which its parent waits for it, signals it and takes the
/// result.
///
/// As Python's `multiprocessing.Process`, with these differences: it starts when it is made; the function's result comes back
/// from [`join`](Self::join), a panic with its place in the source; and dropping the handle leaves the process alone.
///
/// All methods that take `&self` can be called again and again, from any thread, also after the process has ended.
///
/// # Process death
/// The child may die at any instruction, by any signal: whoever waits is told within milliseconds (a core dump takes its
/// time first), and no wait depends on what the child said or on who else holds its descriptors. If *this* process dies,
/// the child runs on, unless it is a [daemon](ProcessOptions::daemon).
///
/// # Examples
/// ```
/// use ipc_process::Process;
///
/// fn add(a: u64, b: u64) -> u64 {
///     a + b
/// }
///
/// let child = Process::spawn(add, (40, 2))?;
/// assert_eq!(child.join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "Popen")]
pub struct Process<R> {
    handle: Handle,
    name: String,
    result: PhantomData<fn() -> R>,
}

impl Process<()> {
    /// Options for a process: its name, whether it dies with this one, its standard streams.
    ///
    /// ```
    /// use ipc_process::Process;
    /// let child = Process::options().name("adder").daemon(true).spawn(|a: u64| a + 1, (41,))?;
    /// assert_eq!(child.name(), "adder");
    /// assert_eq!(child.join()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> ProcessOptions {
        ProcessOptions::default()
    }
}

impl<R> Process<R> {
    /// Starts this program again as a child process, in which `f` is called with `arguments` spread out.
    ///
    /// `f` is a function or a closure that captures nothing; a capture is a compile error. `arguments` is a tuple of up to
    /// eight serde values. They move to the child: whatever else a handle among them stands for (an endpoint of a queue counts
    /// as alive) is kept up here until the child has it, and dropped then, on a thread of this crate.
    ///
    /// The child has this process's environment, arguments, working directory and standard streams, and inherits no
    /// descriptor that is close-on-exec. It is a new program image: global variables are as at the start, not as they are here.
    ///
    /// # Blocking
    /// Until the child exists, usually under a millisecond; not until it runs. Children are started one after the other.
    ///
    /// # Process death
    /// If the child dies before or while it runs `f`, `spawn` has succeeded and [`join`](Self::join) says what happened. If
    /// this process dies before `spawn` has returned, `f` may or may not run.
    ///
    /// # Errors
    /// See [`SpawnError`]. After an error there is no process and `f` has not run; the arguments are dropped.
    ///
    /// # Examples
    /// ```compile_fail
    /// # use ipc_process::Process;
    /// let n = 41u64;
    /// // error: `f` must be a function or a closure that captures nothing
    /// let child = Process::spawn(move || n + 1, ());
    /// ```
    /// What is needed goes along as an argument:
    /// ```
    /// # use ipc_process::Process;
    /// let n = 41u64;
    /// let child = Process::spawn(|n: u64| n + 1, (n,))?;
    /// assert_eq!(child.join()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<F, A>(f: F, arguments: A) -> Result<Process<R>, SpawnError>
    where
        F: Task<A, Output = R>,
        A: Arguments,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        ProcessOptions::default().spawn(f, arguments)
    }

    /// Waits until the process has ended and returns what its function returned.
    ///
    /// Dropped handles in a result are those of a process that has ended: a value or a lock lives on, an endpoint does not.
    ///
    /// # Blocking
    /// Until the process has ended and is reaped.
    ///
    /// # Process death
    /// [`ProcessError::Signalled`] or [`ProcessError::Exited`]. If the function had returned and its result was sent before
    /// the process died, the result is returned.
    ///
    /// # Errors
    /// See [`ProcessError`]: a panic with message, file and line; a signal; an exit; arguments that could not be taken; a
    /// result that could not be brought.
    pub fn join(self) -> Result<R, ProcessError>
    where
        R: DeserializeOwned,
    {
        let (status, report) = self.handle.finish().map_err(ProcessError::Wait)?;
        match report {
            Some(Report::Returned(result)) => luggage::unpack(result, |mut bytes| {
                let result = luggage::take(&mut bytes)?;
                luggage::finish(bytes).map(|()| result)
            })
            .map_err(|error| ProcessError::Result(ResultError::Decode(error))),
            Some(Report::Panicked(panic)) => Err(panic.into()),
            Some(Report::Failed(failure)) => Err(failure.into()),
            Some(Report::Lost(error)) => Err(ProcessError::Result(error)),
            Some(Report::Garbled(what)) => Err(ProcessError::Garbled { what, status }),
            None => Err(match status {
                ExitStatus::Signalled { signal, core_dumped } => ProcessError::Signalled { signal, core_dumped },
                ExitStatus::Exited { code } => ProcessError::Exited { code },
                ExitStatus::Unknown => ProcessError::Lost,
            }),
        }
    }

    /// Waits until the process has ended, and says how.
    ///
    /// # Blocking
    /// Until then.
    ///
    /// # Process death
    /// Is what it waits for.
    ///
    /// # Errors
    /// See [`WaitError`]; never `Timeout`.
    pub fn wait(&self) -> Result<ExitStatus, WaitError> {
        self.handle.wait(Deadline::NEVER)
    }

    /// As [`wait`](Self::wait), for at most `timeout`; zero looks once.
    ///
    /// # Errors
    /// [`WaitError::Timeout`] if the process is still running then.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<ExitStatus, WaitError> {
        self.handle.wait(Deadline::after(timeout))
    }

    /// As [`wait`](Self::wait), until `deadline` at most.
    ///
    /// # Errors
    /// [`WaitError::Timeout`] if the process is still running then.
    pub fn wait_deadline(&self, deadline: Instant) -> Result<ExitStatus, WaitError> {
        self.handle.wait(Deadline::at(deadline))
    }

    /// How the process has ended; `None` while it has not.
    ///
    /// `Some` stays as it is; after `None` the process may have ended at once.
    #[doc(alias = "exitcode")]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.handle.status()
    }

    /// Whether the process has not ended. One that is stopped (SIGSTOP, a debugger) is alive.
    ///
    /// `false` stays so, and [`exit_status`](Self::exit_status) is there then; after `true` it may have ended at once.
    pub fn is_alive(&self) -> bool {
        self.handle.is_alive()
    }

    /// Ends the process at once (SIGKILL): nothing in it runs any more. Of one that has ended: nothing.
    ///
    /// # Process death
    /// The child dies at whatever instruction it is at; what it held is for the survivors to repair.
    ///
    /// # Errors
    /// See [`SignalError`]. Success means that the signal was sent: [`wait`](Self::wait) for the end.
    pub fn kill(&self) -> Result<(), SignalError> {
        self.handle.signal(SignalKind::Kill)
    }

    /// Asks the process to end (SIGTERM), which it does at once unless its function handles that signal.
    ///
    /// # Process death
    /// As for [`kill`](Self::kill).
    ///
    /// # Errors
    /// See [`SignalError`].
    pub fn terminate(&self) -> Result<(), SignalError> {
        self.handle.signal(SignalKind::Terminate)
    }

    /// Its pid. Once the process has ended and was waited for, the system may give it to another.
    #[doc(alias = "ident")]
    pub fn pid(&self) -> u32 {
        self.handle.pid()
    }

    /// Its name: the one it was given, or `Process-1`, `Process-2` and so on; `Process-1:2` is the second child of the first.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("pid", &self.pid()).finish_non_exhaustive()
    }
}

/// How to start a process; made by [`Process::options`].
#[derive(Debug, Default)]
#[must_use = "options do nothing until `spawn`"]
pub struct ProcessOptions {
    name: Option<String>,
    is_daemon: Option<bool>,
    streams: [Option<OwnedFd>; 3],
}

impl ProcessOptions {
    /// The process's name, in its handle, in its own [`current_name`](crate::current_name), in segments it attaches, and, cut
    /// to 15 bytes, in `ps` and `top`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether the process is killed when this one ends, however it ends: a return from `main`, a panic, SIGKILL, an exec.
    ///
    /// Without this, a daemon's children are daemons and others are not. Unlike in Python a daemon may have children, since
    /// they do not outlive it unless told to.
    ///
    /// # Process death
    /// The kernel kills the daemon when this process is gone; or, if it had not got far enough to ask for that, it ends
    /// itself before its function is called.
    pub fn daemon(mut self, yes: bool) -> Self {
        self.is_daemon = Some(yes);
        self
    }

    /// Its standard input, in place of this process's.
    pub fn stdin(mut self, stream: impl Into<OwnedFd>) -> Self {
        self.streams[0] = Some(stream.into());
        self
    }

    /// Its standard output, in place of this process's.
    ///
    /// ```
    /// use std::io::Read;
    /// let (mut reader, writer) = std::io::pipe()?;
    /// let child = ipc_process::Process::options().stdout(writer).spawn(|| print!("hello"), ())?;
    /// child.join()?;
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stdout(mut self, stream: impl Into<OwnedFd>) -> Self {
        self.streams[1] = Some(stream.into());
        self
    }

    /// Its standard error, in place of this process's.
    pub fn stderr(mut self, stream: impl Into<OwnedFd>) -> Self {
        self.streams[2] = Some(stream.into());
        self
    }

    /// Starts the process; see [`Process::spawn`].
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn<F, A, R>(self, f: F, arguments: A) -> Result<Process<R>, SpawnError>
    where
        F: Task<A, Output = R>,
        A: Arguments,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let (image, marker) = door::for_children()?;
        let task = task::name_task::<F, A>(image, f).map_err(|name| SpawnError::ForeignFunction { name })?;
        let packed = luggage::pack(|bytes| arguments.append_to(bytes));
        let packed = packed.map_err(|(argument, source)| SpawnError::Encode { argument, source })?;
        let (name, lineage, is_daemon) = self.identity();
        let launch =
            Launch { program: image.identity(), task, name: name.clone(), lineage, is_daemon, streams: [false; 3] };
        let streams = self.streams;
        let keep = Box::new(arguments);
        let handle = supervisor::spawn(|answer| Order { launch, arguments: packed, streams, marker, keep, answer })?;
        Ok(Process { handle, name, result: PhantomData })
    }

    /// Name, lineage and whether it is a daemon.
    fn identity(&self) -> (String, String, bool) {
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let parent = door::current();
        let lineage = match parent {
            Some(parent) => format!("{}:{number}", parent.lineage),
            None => number.to_string(),
        };
        let name = self.name.clone().unwrap_or_else(|| format!("Process-{lineage}"));
        (name, lineage, self.is_daemon.unwrap_or(parent.is_some_and(|parent| parent.is_daemon)))
    }
}
