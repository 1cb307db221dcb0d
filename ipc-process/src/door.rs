//! The door: how a child, which is this program started anew, gets from its first instruction to its function.
//!
//! # Two ways in
//!
//! A function in the program's `.init_array`, which the system runs before `main`, looks whether this process is a child. If
//! so, and the parent has called [`init`], it sets the process up and lets `main` run until that too calls [`init`], which
//! runs the task and ends the process. If the parent has not, the function runs the task itself and `main` is never entered:
//! so tests, doc tests, examples and benches start children with no line of their own.
//!
//! A child is known by an environment variable ([`MARKER`]) *and* by what waits on its descriptor 0: a socket of packets
//! whose next one is a launch. The variable alone does nothing, unless it names this process's parent: then something has
//! gone wrong, and the process ends rather than run `main` as if it were no child. A launch by another user, or in a program
//! that runs with the rights of another, is refused unread: its caller could have made it.
//!
//! # Steps
//!
//! | step | what                                                                                                          |
//! |------|---------------------------------------------------------------------------------------------------------------|
//! | 1    | is this a child? no: return, `main` goes on                                                                   |
//! | 2    | `/dev/null` on standard output and error if they are closed; the control socket moves above them              |
//! | 3    | receive the launch, which was in the socket before this process existed                                       |
//! | 4    | restore standard input (`/dev/null` if the parent has none) and what else was asked for                       |
//! | 5    | remove the variable, ignore SIGPIPE, take the name                                                            |
//! | 6    | a daemon asks for the death signal, *then* looks whether the parent still lives                               |
//! | 7    | wait for `Go`, which the parent sends once it watches this process                                            |
//! | 8    | check that this is the parent's program and the task is one of it                                             |
//! | 9    | decode the arguments, say `Attached`, call the function, encode the result                                    |
//! | 10   | send the result; exit as `std::process::exit` does: handlers run, standard output is flushed                   |
//!
//! # Death at step n
//!
//! | who, when                        | what happens                                                                        | test                                        |
//! |----------------------------------|-------------------------------------------------------------------------------------|---------------------------------------------|
//! | child, 1 to 10                   | the pidfd tells the parent; what it has not said is not there                       | `killed_on_the_way_in`                      |
//! | parent, before 6, daemon         | 6 finds the parent gone: exit                                                       | `a_daemon_dies_with_its_killed_parent`      |
//! | parent, after 6, daemon          | SIGKILL from the kernel                                                             | `a_daemon_dies_with_its_killed_parent`      |
//! | parent, before `Go`, no daemon   | 7 reads the end of the socket, or finds itself with another parent: exit            | `killed_while_spawning`                     |
//! | parent, after `Go`, no daemon    | the child goes on; its result has no reader, which is no error                      | `a_child_outlives_its_parent`               |
//!
//! If something else in the parent forked without exec, a copy of the parent's end of the socket may live on in there, and
//! the end of the socket would not come: so step 7 looks at its parent's pid as well, every [`LOOK_EVERY`].
//!
//! # What runs before `main` cannot count on
//!
//! The C library and the arguments of `std::env::args` are ready (with glibc). Start functions of other crates that the linker
//! put behind ours have not run. The first thread has no name, and its stack overflow is a bare SIGSEGV. Who needs any of
//! these calls [`init`] first thing in `main`.

use crate::SpawnError;
use crate::error::{Refusal, Step};
use crate::job::{self, FAILED, perform};
use crate::luggage::Inbound;
use crate::message::{Failure, Launch};
use crate::parcel::{self, Inbox, Kind, PACKET_BYTES, ReceiveError};
use crate::sys::image::{self, Image};
use crate::sys::socket::{self, Blocking};
use crate::sys::{exec, stdio};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The environment variable by which a child knows that it may be one. Its value is the way in, our version, and the pid of
/// who started it.
pub(crate) const MARKER: &str = "IPC_PROCESS_CHILD";
const BEFORE_MAIN: &str = "before-main";
const IN_MAIN: &str = "in-main";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often a child that waits to begin looks whether its parent is still its parent.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether the start function has run: it is in this program, and the system calls it.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Whether `init` was called: children of this process enter in `main`.
static ENTER_IN_MAIN: AtomicBool = AtomicBool::new(false);

/// A child that waits for its `main` to call `init`.
static PENDING: Mutex<Option<Entered>> = Mutex::new(None);

/// Whether there is one. Beside the lock, which a thread may hold while another one forks.
static IS_PENDING: AtomicBool = AtomicBool::new(false);

/// Who this process is, if it is a child.
static CURRENT: OnceLock<Current> = OnceLock::new();

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    // Without the handlers no child is ever started: `for_children` sees that this did not happen.
    STARTED.store(crate::fork::watch().is_ok(), Ordering::Relaxed);
    // 1. Most processes are nobody's child: one look at the environment, nothing else.
    let Some(value) = std::env::var_os(MARKER) else { return };
    let Some((in_main, parent)) = value.to_str().and_then(read_marker) else { return };
    if Image::of_this_program().is_none() {
        return;
    }
    match waiting_launch() {
        None if parent != exec::parent_pid() => return,
        Some(true) if !image::is_privileged() => {}
        // A launch that is not believed, or none although our parent says so: `main` is not run in its place, lest each
        // child start children as its parent does.
        _ => std::process::exit(FAILED),
    }
    match enter() {
        Ok(entered) if in_main => {
            *PENDING.lock().unwrap_or_else(PoisonError::into_inner) = Some(entered);
            IS_PENDING.store(true, Ordering::Relaxed);
        }
        Ok(entered) => perform(entered),
        Err(()) => std::process::exit(FAILED),
    }
}

/// Makes children of this process enter in `main`, at this call, instead of before it; a child runs its task here and ends.
///
/// Call it first in `main`, if at all. Children then start after all other start functions of the program have run and with
/// everything that Rust sets up before `main` (a named first thread, a message on stack overflow). Without it everything
/// works too, tests and doc tests included.
///
/// A child whose `main` ends without this call has exited without a result.
///
/// What `main` does before this call, every child does as well. Spawning there is [`SpawnError::BeforeInit`] in a child.
///
/// # Process death
/// A child that dies on the way here is reported to its parent like any other.
///
/// # Examples
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     ipc_process::init();
///     assert_eq!(ipc_process::Process::spawn(|| 42, ())?.join()?, 42);
///     Ok(())
/// }
/// ```
pub fn init() {
    ENTER_IN_MAIN.store(true, Ordering::Relaxed);
    if IS_PENDING.swap(false, Ordering::Relaxed) {
        let pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(entered) = pending {
            perform(entered);
        }
    }
}

/// The name of this process, if it was started by [`Process`](crate::Process); else `None`.
///
/// ```
/// use ipc_process::{Process, current_name};
/// assert_eq!(current_name(), None);
/// let child = Process::options().name("worker-3").spawn(|| current_name().map(str::to_owned), ())?;
/// assert_eq!(child.join()?.as_deref(), Some("worker-3"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn current_name() -> Option<&'static str> {
    current().map(|current| current.name.as_str())
}

/// What a child knows of itself.
#[derive(Debug)]
pub(crate) struct Current {
    name: String,
    pub(crate) lineage: String,
    pub(crate) is_daemon: bool,
}

pub(crate) fn current() -> Option<&'static Current> {
    CURRENT.get()
}

/// Whether this program can start children, and how they enter: the value for [`MARKER`].
pub(crate) fn for_children() -> Result<(&'static Image, String), SpawnError> {
    // Also keeps the start function: an object file that nothing refers to would not be linked in.
    let start = std::hint::black_box(&raw const START);
    if start.is_null() || !STARTED.load(Ordering::Relaxed) {
        return Err(SpawnError::NotAProgram { found: "one whose start functions did not run yet" });
    }
    if IS_PENDING.load(Ordering::Relaxed) {
        return Err(SpawnError::BeforeInit);
    }
    if image::is_privileged() || exec::would_be_privileged() {
        return Err(SpawnError::Privileged);
    }
    let image = Image::of_this_program().ok_or(SpawnError::NotAProgram { found: "a shared library" })?;
    can_be_started_again(image)?;
    let way = if ENTER_IN_MAIN.load(Ordering::Relaxed) { IN_MAIN } else { BEFORE_MAIN };
    Ok((image, format!("{way} {VERSION} {}", std::process::id())))
}

/// The way in (whether it is in `main`) and the parent's pid, if the marker is one of ours.
fn read_marker(value: &str) -> Option<(bool, i32)> {
    let (way, rest) = value.split_once(' ')?;
    let (version, parent) = rest.split_once(' ')?;
    let in_main = match way {
        BEFORE_MAIN => false,
        IN_MAIN => true,
        _ => return None,
    };
    (version == VERSION).then_some((in_main, parent.parse().ok()?))
}

/// Whether `/proc/self/exe` is this program; asked once.
fn can_be_started_again(image: &Image) -> Result<(), SpawnError> {
    static YES: AtomicBool = AtomicBool::new(false);
    if !YES.load(Ordering::Relaxed) {
        match image.is_proc_self_exe() {
            Ok(true) => YES.store(true, Ordering::Relaxed),
            Ok(false) => return Err(SpawnError::NotAProgram { found: "one that an explicit loader was started with" }),
            Err(error) => return Err(SpawnError::system("to open this program (/proc/self/exe)", error)),
        }
    }
    Ok(())
}

/// A child that is set up and may begin.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) socket: OwnedFd,
    pub(crate) launch: Launch,
    pub(crate) arguments: Inbound,
}

/// If descriptor 0 holds a launch: whether this user made it.
fn waiting_launch() -> Option<bool> {
    let stdin = stdio::standard(0).filter(|&stdin| parcel::is_next(stdin, Kind::Launch))?;
    Some(socket::maker(stdin).is_ok_and(|(_, uid)| uid == exec::effective_user()))
}

/// Steps 2 to 7. `Err`: this process must end, and its parent was told why, if it is still there.
fn enter() -> Result<Entered, ()> {
    let control = stdio::standard(0).ok_or(())?;
    // 2.
    let moved = stdio::fill_gaps().and_then(|()| stdio::above(control.try_clone_to_owned()?));
    let socket = moved.map_err(|error| refuse(control, setup(Step::ControlSocket, &error)))?;
    // 3.
    let (launch, streams, arguments) = receive_launch(&socket).map_err(|refusal| refuse(socket.as_fd(), refusal))?;
    // 4. From here on descriptor 0 is no socket of ours.
    let restored = restore_streams(&streams);
    restored.map_err(|error| refuse(socket.as_fd(), setup(Step::StandardStreams, &error)))?;
    drop(streams);
    // 5.
    // SAFETY: before `main` no other thread reads or writes the environment.
    unsafe { std::env::remove_var(MARKER) };
    exec::ignore_sigpipe();
    exec::show_name(&launch.name);
    ipc_core::set_member_name(&launch.name);
    let Launch { name, lineage, is_daemon, .. } = launch.clone();
    let _first = CURRENT.set(Current { name, lineage, is_daemon });
    // 6.
    if is_daemon {
        exec::die_with_parent().map_err(|error| refuse(socket.as_fd(), setup(Step::DeathSignal, &error)))?;
        if !parent_lives(&socket) {
            return Err(());
        }
    }
    // 7.
    wait_for_go(&socket)?;
    Ok(Entered { socket, launch, arguments })
}

type Streams = [Option<OwnedFd>; 3];

fn receive_launch(socket: &OwnedFd) -> Result<(Launch, Streams, Inbound), Refusal> {
    let mut buffer = vec![0; PACKET_BYTES];
    let bad = |error| match error {
        ReceiveError::LostDescriptors => Refusal::NoDescriptors,
        _ => Refusal::BadLaunch,
    };
    let parcel = Inbox::default().receive(socket.as_fd(), &mut buffer, Blocking::No).map_err(bad)?;
    let mut bytes = parcel.body.into_bytes().map_err(bad)?;
    let (launch, rest) = postcard::take_from_bytes::<Launch>(&bytes).map_err(|_| Refusal::BadLaunch)?;
    let arguments_len = rest.len();
    bytes.drain(..bytes.len() - arguments_len);
    let mut descriptors = parcel.descriptors.into_iter();
    let streams = launch.streams.map(|came| if came { descriptors.next() } else { None });
    if streams.iter().filter(|stream| stream.is_some()).count() != launch.streams.iter().filter(|&&came| came).count() {
        return Err(Refusal::BadLaunch);
    }
    Ok((launch, streams, Inbound { bytes, descriptors: descriptors.collect() }))
}

fn restore_streams(streams: &Streams) -> std::io::Result<()> {
    for (number, stream) in (0..).zip(streams) {
        match stream {
            Some(stream) => stdio::replace(number, stream.as_fd())?,
            None if number == 0 => stdio::replace_by_null(0)?,
            None => {}
        }
    }
    Ok(())
}

/// Whether the process that made the control socket is the parent, and its end is open.
fn parent_lives(socket: &OwnedFd) -> bool {
    let is_parent = socket::maker(socket.as_fd()).is_ok_and(|(pid, _)| pid == exec::parent_pid());
    is_parent && !socket::is_closed(socket.as_fd())
}

fn wait_for_go(socket: &OwnedFd) -> Result<(), ()> {
    let mut inbox = Inbox::default();
    let mut buffer = vec![0; PACKET_BYTES];
    loop {
        match inbox.receive(socket.as_fd(), &mut buffer, Blocking::No) {
            Ok(parcel) if parcel.kind == Kind::Go => return Ok(()),
            Err(ReceiveError::Empty) => {}
            _ => return Err(()),
        }
        if !socket::wait_for_packet(socket.as_fd(), LOOK_EVERY) && !parent_lives(socket) {
            return Err(());
        }
    }
}

fn setup(step: Step, error: &std::io::Error) -> Refusal {
    Refusal::Setup { step, errno: error.raw_os_error().unwrap_or(0) }
}

fn refuse(socket: BorrowedFd<'_>, refusal: Refusal) {
    // If it cannot be sent, the exit code is all the parent gets.
    let _ = job::say_failed(socket, &Failure::Refused(refusal));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read_back() {
        assert_eq!(read_marker(&format!("in-main {VERSION} 4711")), Some((true, 4711)));
        assert_eq!(read_marker(&format!("before-main {VERSION} 1")), Some((false, 1)));
        for other in ["", "1", "before-main", "before-main 0.0.0 1", "elsewhere 0.1.0 1", "before-main  1"] {
            assert_eq!(read_marker(other), None, "{other}");
        }
        assert_eq!(read_marker(&format!("before-main {VERSION} x")), None);
    }
}
