//! Placements: where the *other* party of a conformance test runs, and how it gets its handle.
//!
//! | placement      | the other party is …                | its handle comes by …                                  |
//! |----------------|-------------------------------------|--------------------------------------------------------|
//! | `Threads`      | a thread of this process            | `clone`                                                |
//! | `Forked`       | a child forked from this process    | `fork`; it registers as a member at first use          |
//! | `ByName`       | this program, executed anew         | `open(name)`                                           |
//! | `ByDescriptor` | this program, executed anew         | a message whose descriptors are passed by SCM_RIGHTS   |
//!
//! The other party is a [`Peer`]: it executes commands, lines of text, that come over a socket, and answers each with a line.
//! So a test is one sequence of steps, the same in every placement, and no step waits by sleeping.
//!
//! A program executed anew is the test binary itself, told by an environment variable to be a peer and by its arguments to
//! run only the test that [`roles!`](crate::roles) writes, which is nothing without that variable.

use crate::child::Child;
use crate::passing;
use crate::unique::UniqueName;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, Command, Stdio};
use std::thread::JoinHandle;

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Placement {
    Threads,
    Forked,
    ByName,
    ByDescriptor,
}

/// A type that has a conformance suite.
pub trait Placed: Clone + Send + Serialize + DeserializeOwned + 'static {
    /// Name of the type, and of its role.
    const ROLE: &'static str;
    /// Makes an anonymous one.
    fn anonymous() -> Self;
    /// Makes one with a name.
    fn named(name: &str) -> Self;
    /// Opens the one with this name.
    fn open(name: &str) -> Self;
    /// Executes commands until the line ends.
    fn serve(self, line: &mut Line);
}

/// An object in a placement: the handle of this process, and how others get theirs.
#[derive(Debug)]
pub struct Stage<T> {
    /// The handle of this process.
    pub handle: T,
    placement: Placement,
    name: Option<UniqueName>,
}

impl<T: Placed> Stage<T> {
    /// Makes the object.
    pub fn new(placement: Placement) -> Self {
        let name = (placement == Placement::ByName).then(|| UniqueName::new(T::ROLE));
        let handle = name.as_deref().map_or_else(T::anonymous, T::named);
        Self { handle, placement, name }
    }

    /// Starts another party.
    pub fn peer(&self) -> Peer {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let body = match self.placement {
            Placement::Threads => {
                let handle = self.handle.clone();
                Body::Thread(Some(std::thread::spawn(|| handle.serve(&mut Line::new(theirs)))))
            }
            Placement::Forked => Body::Forked(Child::fork(|| self.handle.clone().serve(&mut Line::new(theirs)))),
            Placement::ByName => Body::Executed(execute::<T>(theirs, self.name.as_deref().unwrap_or_default())),
            Placement::ByDescriptor => {
                let child = execute::<T>(theirs, "");
                let (text, luggage) = ipc_core::transport::send(|| serde_json::to_vec(&self.handle));
                let fds = luggage.into_fds().expect("duplicates of descriptors");
                let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                passing::send(&ours, &text.expect("a handle travels"), &fds).expect("the child listens");
                Body::Executed(child)
            }
        };
        Peer { line: Line::new(ours), body }
    }
}

const ROLE: &str = "IPC_TESTS_ROLE";
const NAME: &str = "IPC_TESTS_NAME";

/// Starts this program anew as a peer, with its end of the line as standard input.
fn execute<T: Placed>(line: UnixStream, name: &str) -> process::Child {
    let mut command = Command::new("/proc/self/exe");
    command.args(["role", "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, T::ROLE).env(NAME, name);
    command.stdin(OwnedFd::from(line)).stdout(Stdio::null());
    command.spawn().expect("this program starts again")
}

/// The whole life of a program that was started anew, if this is one with that role.
pub fn play<T: Placed>() {
    if std::env::var(ROLE).as_deref() != Ok(T::ROLE) {
        return;
    }
    let line = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("standard input is the line"));
    let handle = match std::env::var(NAME).unwrap_or_default().as_str() {
        "" => {
            let (text, fds) = passing::receive(&line).expect("the message with the handle");
            ipc_core::transport::receive(fds, || serde_json::from_slice(&text)).expect("a handle arrives")
        }
        name => T::open(name),
    };
    handle.serve(&mut Line::new(line));
    process::exit(0);
}

/// Writes the test that is the beginning of programs started anew. The suite's file calls it once, with its types.
#[macro_export]
macro_rules! roles {
    ($($placed:ty),*) => {
        #[test]
        fn role() {
            $($crate::placement::play::<$placed>();)*
        }
    };
}

/// Writes each test of a suite for each placement. The tests are functions of a [`Placement`]; those in the second list need
/// another party that can be killed.
#[macro_export]
macro_rules! in_every_placement {
    ([$($test:ident),* $(,)?], [$($deadly:ident),* $(,)?]) => {
        $crate::in_every_placement!(@ threads Threads $($test)*);
        $crate::in_every_placement!(@ forked Forked $($test)* $($deadly)*);
        $crate::in_every_placement!(@ by_name ByName $($test)* $($deadly)*);
        $crate::in_every_placement!(@ by_descriptor ByDescriptor $($test)* $($deadly)*);
    };
    (@ $module:ident $placement:ident $($test:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    let _watchdog = $crate::watchdog::Watchdog::start(stringify!($module::$test));
                    super::$test($crate::placement::Placement::$placement);
                }
            )*
        }
    };
}

/// One end of a line: commands go one way, answers the other.
#[derive(Debug)]
pub struct Line {
    stream: BufReader<UnixStream>,
}

impl Line {
    fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Says something.
    pub fn say(&mut self, text: &str) {
        // A party that has gone is noticed by whoever listens.
        let _ = writeln!(self.stream.get_mut(), "{text}");
    }

    /// Hears something; `None` if the other end has gone.
    pub fn hear(&mut self) -> Option<String> {
        let mut text = String::new();
        let heard = self.stream.read_line(&mut text).unwrap_or(0);
        (heard > 0).then(|| text.trim_end().to_owned())
    }
}

/// Another party. When dropped it is told to end, and waited for, or killed if it is a process.
#[derive(Debug)]
pub struct Peer {
    line: Line,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Thread(Option<JoinHandle<()>>),
    Forked(Child),
    Executed(process::Child),
}

impl Peer {
    /// Lets it do something, without waiting for the answer.
    pub fn tell(&mut self, command: &str) {
        self.line.say(command);
    }

    /// Its next answer.
    ///
    /// # Panics
    /// If it has gone.
    pub fn hear(&mut self) -> String {
        self.line.hear().expect("the other party answers")
    }

    /// Lets it do something, and waits for the answer.
    pub fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.hear()
    }

    /// Its process.
    ///
    /// # Panics
    /// If it is a thread.
    pub fn pid(&self) -> Pid {
        match &self.body {
            Body::Thread(_) => panic!("a thread is no process"),
            Body::Forked(child) => child.pid(),
            Body::Executed(child) => Pid::from_raw(child.id() as i32),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a child of ours can be signalled until it is reaped");
    }

    /// SIGKILL; it is gone when this returns.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.reap();
    }

    /// Ends the line and waits until it has left by itself.
    pub fn leave(mut self) {
        let _ = self.line.stream.get_ref().shutdown(std::net::Shutdown::Both);
        self.reap();
    }

    fn reap(&mut self) {
        match &mut self.body {
            Body::Thread(thread) => {
                thread.take().map(JoinHandle::join).transpose().expect("the other party did not panic");
            }
            Body::Forked(child) => _ = child.wait(),
            Body::Executed(child) => _ = child.wait().expect("a child of ours"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.line.stream.get_ref().shutdown(std::net::Shutdown::Both);
        match &mut self.body {
            // It may be blocked in what the test is about; a thread cannot be made to end.
            Body::Thread(thread) => drop(thread.take()),
            Body::Forked(child) => child.kill(),
            Body::Executed(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
