//! Starting one child: from an order to a process that waits for `Go`.
//!
//! The launch is complete, and in the socket with all its descriptors, before the child exists. So a child never waits for
//! its parent to go on sending, and whatever cannot be sent is found out while there is nothing to undo.

use crate::door;
use crate::error::SpawnError;
use crate::handle::Handle;
use crate::luggage::Outbound;
use crate::message::Launch;
use crate::parcel::{self, Kind};
use crate::supervisor::Keep;
use crate::sys::socket::{self, Blocking};
use crate::sys::{exec, stdio};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::SyncSender;

/// A job for the supervisor.
pub(crate) struct Order {
    pub(crate) launch: Launch,
    pub(crate) arguments: Outbound,
    /// What `arguments` were made from.
    pub(crate) keep: Keep,
    /// What the child gets as standard input, output and error in place of this process's.
    pub(crate) streams: [Option<OwnedFd>; 3],
    pub(crate) marker: String,
    pub(crate) answer: SyncSender<Result<Handle, SpawnError>>,
}

/// A child that has not begun.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) socket: OwnedFd,
}

/// What became of an order.
pub(crate) struct Attempt {
    pub(crate) answer: SyncSender<Result<Handle, SpawnError>>,
    pub(crate) keep: Keep,
    pub(crate) started: Result<Started, SpawnError>,
}

/// Steps 3 and 4 of `supervisor.rs`. Nothing is left if it fails.
pub(crate) fn start(order: Order) -> Attempt {
    let Order { mut launch, mut arguments, streams, marker, keep, answer } = order;
    let started = prepare(&mut launch, &arguments, &streams).and_then(|(ours, theirs)| {
        // 4.
        let pid = exec::start_self(theirs.as_fd(), door::MARKER, &marker);
        let pid = pid.map_err(|e| SpawnError::system("to start this program again (/proc/self/exe)", e))?;
        Ok(Started { pid, socket: ours })
    });
    arguments.bytes = Vec::new();
    // Segments among them are for the keeper to let go of, who does it without a lock.
    Attempt { answer, keep: Box::new((arguments, keep)), started }
}

/// Step 3: a socket pair with the launch in it; ours and theirs.
fn prepare(
    launch: &mut Launch,
    arguments: &Outbound,
    streams: &[Option<OwnedFd>; 3],
) -> Result<(OwnedFd, OwnedFd), SpawnError> {
    let (ours, theirs) = socket::pair().map_err(|e| SpawnError::system("a socket pair", e))?;
    // The child's standard input is the control socket at first, so the real one goes along.
    let stdin = streams[0].as_ref().map(|s| s.as_fd()).or_else(|| stdio::standard(0));
    let given = [stdin, streams[1].as_ref().map(|s| s.as_fd()), streams[2].as_ref().map(|s| s.as_fd())];
    launch.streams = given.map(|stream| stream.is_some());
    let descriptors: Vec<BorrowedFd<'_>> = given.into_iter().flatten().chain(arguments.descriptors()).collect();
    let head = postcard::to_allocvec(launch);
    let head = head.map_err(|_| SpawnError::system("the launch", ErrorKind::OutOfMemory.into()))?;
    parcel::send(ours.as_fd(), Kind::Launch, &[&head, &arguments.bytes], &descriptors, Blocking::No)
        .map_err(|e| SpawnError::system("to send the arguments", e))?;
    Ok((ours, theirs))
}

/// Step 7. A child that has ended already needs no telling.
pub(crate) fn say_go(socket: BorrowedFd<'_>) -> std::io::Result<()> {
    match parcel::send(socket, Kind::Go, &[], &[], Blocking::No) {
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
        sent => sent,
    }
}
