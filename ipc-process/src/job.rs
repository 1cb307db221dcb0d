//! The job: what a child does once it may begin, and the last word it has with its parent. Steps 8 to 10 of `door.rs`.
//!
//! The function may do anything to its process: close every descriptor, fork and return twice, replace the panic hook. So
//! the control socket is checked to be the one this process entered with before each word, and a panic's place is told only
//! where the hook has seen that very panic.

use crate::door::Entered;
use crate::error::Refusal;
use crate::luggage::Outbound;
use crate::message::{Failure, Launch, Panic};
use crate::parcel::{self, Kind};
use crate::sys::image::Image;
use crate::sys::socket::{self, Blocking};
use crate::task;
use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::Arc;

/// The exit code of a child without a result: its function panicked, or could not be run.
pub(crate) const FAILED: i32 = 1;

/// Steps 8 to 10.
pub(crate) fn perform(entered: Entered) -> ! {
    let Entered { socket, launch, arguments } = entered;
    let line = ControlLine::new(socket);
    remember_panics(&line);
    let code = match find_task(&launch) {
        Ok(run) => {
            line.conclude(std::panic::catch_unwind(AssertUnwindSafe(|| run(arguments, &mut || line.attached()))))
        }
        Err(refusal) => line.conclude(Ok(Err(Failure::Refused(refusal)))),
    };
    // 10.
    std::process::exit(code)
}

fn find_task(launch: &Launch) -> Result<task::Run, Refusal> {
    // 8.
    let image = Image::of_this_program().filter(|image| image.identity() == launch.program);
    task::find(image.ok_or(Refusal::OtherProgram)?, &launch.task)
}

/// The child's end of the control socket, and how to know that it still is.
#[derive(Clone, Debug)]
struct ControlLine {
    socket: Arc<OwnedFd>,
    pid: u32,
    inode: Option<u64>,
}

impl ControlLine {
    fn new(socket: OwnedFd) -> Self {
        let inode = socket::inode(socket.as_fd());
        Self { socket: Arc::new(socket), pid: std::process::id(), inode }
    }

    /// The socket, unless the function closed it (then its number may be another file's) or this is a fork of the child.
    fn get(&self) -> Option<BorrowedFd<'_>> {
        let is_ours = std::process::id() == self.pid && socket::inode(self.socket.as_fd()) == self.inode;
        is_ours.then(|| self.socket.as_fd())
    }

    fn attached(&self) {
        if let Some(socket) = self.get() {
            // If the parent is gone, nobody needs to know.
            let _ = parcel::send(socket, Kind::Attached, &[], &[], Blocking::Yes);
        }
    }

    /// Sends how the task ended; returns the exit code.
    fn conclude(&self, ended: std::thread::Result<Result<Outbound, Failure>>) -> i32 {
        let Some(socket) = self.get() else { return FAILED };
        let (sent, code) = match ended {
            Ok(Ok(result)) => {
                let luggage: Vec<_> = result.descriptors().collect();
                (parcel::send(socket, Kind::Returned, &[&result.bytes], &luggage, Blocking::Yes), 0)
            }
            Ok(Err(failure)) => (say_failed(socket, &failure), FAILED),
            Err(payload) => (say(socket, Kind::Panicked, &panic_of(payload)), FAILED),
        };
        match sent {
            Ok(()) => code,
            // The parent is gone: there is nobody who could miss it.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => code,
            Err(error) => {
                let _ = say_failed(socket, &Failure::Send { errno: error.raw_os_error().unwrap_or(0) });
                FAILED
            }
        }
    }
}

thread_local! {
    /// The last panic of this thread, as the hook saw it.
    static LAST_PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Puts a hook before the one in force, which goes on printing the usual message.
fn remember_panics(line: &ControlLine) {
    let before = std::panic::take_hook();
    let line = line.clone();
    std::panic::set_hook(Box::new(move |info| {
        let panic = panic_seen(info);
        if cfg!(panic = "abort") {
            // Nobody will catch it: this is the last chance to tell.
            if let Some(socket) = line.get() {
                let _ = say(socket, Kind::Panicked, &panic);
            }
        }
        // Gone if the thread is ending: then the panic cannot be the task's.
        let _ = LAST_PANIC.try_with(|last| last.replace(Some(panic)));
        before(info);
    }));
}

fn panic_seen(info: &PanicHookInfo<'_>) -> Panic {
    let (file, line) = info.location().map_or((String::new(), 0), |at| (at.file().to_owned(), at.line()));
    Panic { message: message_of(info.payload()), file, line }
}

/// The panic that was caught: where it happened is known if it is the one that the hook saw last.
fn panic_of(payload: Box<dyn std::any::Any + Send>) -> Panic {
    let message = message_of(payload.as_ref());
    // Its destructor could panic again.
    std::mem::forget(payload);
    match LAST_PANIC.take() {
        Some(seen) if seen.message == message => seen,
        _ => Panic { message, file: String::new(), line: 0 },
    }
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "Box<dyn Any>".to_owned(),
    }
}

/// Tells the parent that there is no result.
pub(crate) fn say_failed(socket: BorrowedFd<'_>, failure: &Failure) -> std::io::Result<()> {
    say(socket, Kind::Failed, failure)
}

fn say<T: serde::Serialize>(socket: BorrowedFd<'_>, kind: Kind, what: &T) -> std::io::Result<()> {
    let body = postcard::to_allocvec(what).map_err(std::io::Error::other)?;
    parcel::send(socket, kind, &[&body], &[], Blocking::Yes)
}
