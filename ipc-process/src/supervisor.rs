//! The supervisor: one thread that starts all children of this process, hears what they say, and reaps them.
//!
//! One thread, since a parent-death signal follows the thread that started the child; it never ends before its process. It
//! is made at the first spawn. Callers hand it an order and wait for the answer; handles wait on a condition.
//!
//! # Memory (of this process; all of it under the lock `STATE`)
//!
//! | what        | written by                       | holds                                                                     |
//! |-------------|----------------------------------|---------------------------------------------------------------------------|
//! | `events`    | whoever spawns first             | what the thread sleeps on; absent: there is no thread (yet, or after fork) |
//! | `orders`    | spawning threads; the supervisor | jobs not yet started                                                      |
//! | `children`  | the supervisor; handles          | one [`Record`] per child that lives, or that a handle still asks about    |
//!
//! `START` is held from when an order leaves its queue until the child's record exists. A thread that forks takes `START`, then
//! `STATE` (see `fork.rs`), so a forked process knows every descriptor it has inherited from here.
//! Neither lock is held while code of others runs: no destructor of an argument, no `Deserialize`.
//!
//! The locks are std's, one word each, which a fork copies whole (`docs/decisions/0005-a-gate-of-one-word.md`).
//!
//! # Steps
//!
//! Parent: **1** pack the arguments (the caller's thread) · **2** order · **3** a socket pair, the launch written into it ·
//! **4** posix_spawn · **5** pidfd · **6** record, events · **7** `Go` · **8** answer the caller.
//! The child: `door.rs`. Then: **9** `Attached`: the parent's copy of the arguments is dropped · **10** the report ·
//! **11** the pidfd says that it ended: read what is left in the socket, reap, tell those who wait.
//!
//! # Death at step n
//!
//! | who dies, after    | what is left                              | who ends it                                             | test                                      |
//! |--------------------|-------------------------------------------|---------------------------------------------------------|-------------------------------------------|
//! | parent, 3          | nothing but memory                        | the kernel                                              | –                                         |
//! | parent, 4 to 6     | a child without `Go`                      | itself: end of the socket, or another parent            | `killed_while_spawning`                   |
//! | parent, 7          | a child that may run                      | a daemon: the kernel; else it runs on, as documented    | `a_child_outlives_its_parent`             |
//! | child, 4 to 7      | a zombie                                  | step 11; an answer of 5 or 6 that fails: kill and reap  | `descriptors_run_out_at_every_step`       |
//! | child, before 9    | the arguments here                        | step 11 drops them                                      | `arguments_are_dropped_when_a_child_dies` |
//! | child, 9 to 10     | half a report at most                     | step 11: no report                                      | `killed_is_signalled`                     |
//! | child, 10          | its report                                | step 11 delivers it                                     | `a_result_outlives_its_process`           |
//!
//! Nothing waits for the *end of the socket*: a grandchild may hold it open. The pidfd decides, and what the child has said
//! before its death is in the socket by then.
//!
//! # Failures of a system call
//!
//! Steps 3 to 7 undo what came before them, kill and reap the child if there is one, and answer with the error. Without `Go`
//! the child has not run anything of the user's.

use crate::ExitStatus;
use crate::error::{Garbled, ResultError, SpawnError};
use crate::handle::Handle;
use crate::luggage::Inbound;
use crate::message::Report;
use crate::parcel::{Inbox, Kind, PACKET_BYTES, Parcel, ReceiveError};
use crate::start::{self, Order};
use crate::sys::events::{BELL, Events, EventsRef};
use crate::sys::socket::Blocking;
use crate::sys::{exec, wait};
use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// The name of the thread, as debuggers show it.
const NAME: &str = "ipc-supervisor";

/// How soon to ask again for the status of a child that has ended but cannot be reaped yet: a debugger has it.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// The arguments as the caller gave them, alive while their copies travel.
pub(crate) type Keep = Box<dyn Any + Send>;

pub(crate) static START: Mutex<()> = Mutex::new(());
pub(crate) static STATE: Mutex<State> = Mutex::new(State::new());

thread_local! {
    static IS_SUPERVISOR: Cell<bool> = const { Cell::new(false) };
}

/// Everything this process knows of its children.
pub(crate) struct State {
    pub(crate) events: Option<Events>,
    pub(crate) orders: VecDeque<Order>,
    pub(crate) children: BTreeMap<u64, Record>,
    next_id: u64,
}

/// A child.
pub(crate) struct Record {
    /// Absent once it is reaped.
    pub(crate) pidfd: Option<OwnedFd>,
    /// The parent's end of the control socket. Absent once it is reaped.
    pub(crate) socket: Option<OwnedFd>,
    /// Present until `Attached`, or the end.
    pub(crate) keep: Option<Keep>,
    pub(crate) inbox: Inbox,
    pub(crate) report: Option<Report>,
    pub(crate) status: Option<ExitStatus>,
    ended: Arc<Condvar>,
    /// Whether there is a [`Handle`](crate::handle::Handle); if not, the record goes when the child is reaped.
    pub(crate) has_handle: bool,
}

impl State {
    const fn new() -> Self {
        Self { events: None, orders: VecDeque::new(), children: BTreeMap::new(), next_id: 0 }
    }

    /// Makes the events and the thread, if there are none in this process yet.
    fn ensure_supervisor(&mut self) -> Result<(), SpawnError> {
        if self.events.is_some() {
            return Ok(());
        }
        let events = Events::new().map_err(|e| SpawnError::system("to make what the supervisor sleeps on", e))?;
        let handle = events.handle().for_ever();
        let thread = std::thread::Builder::new().name(NAME.to_owned());
        let started = exec::with_signals_blocked(|| thread.spawn(move || supervise(handle)));
        started.map_err(|e| SpawnError::system("to start the supervisor's thread", e))?;
        self.events = Some(events);
        Ok(())
    }

    fn add(&mut self, pidfd: OwnedFd, socket: OwnedFd, ended: Arc<Condvar>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let record = Record {
            pidfd: Some(pidfd),
            socket: Some(socket),
            keep: None,
            inbox: Inbox::default(),
            report: None,
            status: None,
            ended,
            has_handle: true,
        };
        self.children.insert(id, record);
        id
    }
}

/// Whether this is the supervisor's thread, which must not wait for itself.
pub(crate) fn is_this_thread() -> bool {
    IS_SUPERVISOR.get()
}

pub(crate) fn locked() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the supervisor start a child, and waits until it has.
pub(crate) fn spawn(
    order: impl FnOnce(mpsc::SyncSender<Result<Handle, SpawnError>>) -> Order,
) -> Result<Handle, SpawnError> {
    if is_this_thread() {
        return Err(SpawnError::WouldDeadlock);
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let order = order(answer);
    let mut state = locked();
    state.ensure_supervisor()?;
    state.orders.push_back(order);
    if let Some(events) = &state.events {
        events.handle().ring();
    }
    drop(state);
    let gone = || SpawnError::system("to reach the supervisor", std::io::ErrorKind::BrokenPipe.into());
    answered.recv().unwrap_or_else(|_| Err(gone()))
}

/// The thread.
fn supervise(events: EventsRef<'static>) {
    IS_SUPERVISOR.set(true);
    let mut keys = Vec::new();
    let mut buffer = vec![0; PACKET_BYTES];
    let mut unreaped: Vec<u64> = Vec::new();
    loop {
        events.wait(&mut keys, (!unreaped.is_empty()).then_some(ASK_AGAIN));
        for &key in &keys {
            match (key == BELL, key % 2 == 0, key / 2) {
                (true, ..) => events.hush(),
                (_, true, id) => listen(events, id, &mut buffer),
                (_, false, id) => unreaped.push(id),
            }
        }
        unreaped.retain(|&id| !bury(events, id, &mut buffer));
        while fulfil_next(events) {}
    }
}

/// The keys of a child's socket and pidfd.
fn keys(id: u64) -> (u64, u64) {
    (id * 2, id * 2 + 1)
}

/// Steps 3 to 8, for the next order; `false` if there is none.
fn fulfil_next(events: EventsRef<'static>) -> bool {
    let starting = START.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(order) = locked().orders.pop_front() else { return false };
    let start::Attempt { answer, keep, started } = start::start(order);
    let watched = started.and_then(|started| watch(events, started));
    let (handle, keep) = match watched {
        Ok(handle) => match locked().children.get_mut(&handle.id()) {
            // Before the next event is heard, so no `Attached` can have been missed.
            Some(record) => (Ok(handle), record.keep.replace(keep)),
            None => (Ok(handle), Some(keep)),
        },
        Err(error) => (Err(error), Some(keep)),
    };
    drop(starting);
    drop_guarded(keep);
    // 8. The caller waits for it: it is there.
    let _ = answer.send(handle);
    true
}

/// Steps 5 to 7, for a child that nobody else knows of yet.
fn watch(events: EventsRef<'static>, started: start::Started) -> Result<Handle, SpawnError> {
    let start::Started { pid, socket } = started;
    let undo = |doing, error| {
        wait::kill_and_reap(pid);
        SpawnError::system(doing, error)
    };
    // 5. The child's end of the socket was closed just now, so a number for this descriptor is free.
    let pidfd = wait::open(pid).map_err(|e| undo("to watch the new process", e))?;
    // 6.
    let mut state = locked();
    let (socket_key, pidfd_key) = keys(state.next_id);
    let added = events.add(socket.as_fd(), socket_key).and_then(|()| events.add(pidfd.as_fd(), pidfd_key));
    // 7.
    if let Err(error) = added.and_then(|()| start::say_go(socket.as_fd())) {
        events.remove(socket.as_fd());
        events.remove(pidfd.as_fd());
        return Err(undo("to listen to the new process", error));
    }
    let ended = Arc::new(Condvar::new());
    let id = state.add(pidfd, socket, ended.clone());
    Ok(Handle::new(id, pid as u32, ended))
}

/// Hears what a child says, as much as is there. Stops listening at its last word, or at the first one that makes no sense.
fn listen(events: EventsRef<'static>, id: u64, buffer: &mut [u8]) {
    loop {
        let mut state = locked();
        let Some(record) = state.children.get_mut(&id) else { return };
        let Some(socket) = record.socket.as_ref().filter(|_| record.report.is_none()) else { return };
        let heard = record.inbox.receive(socket.as_fd(), buffer, Blocking::No);
        let report = match heard {
            Err(ReceiveError::Empty) => return,
            Err(ReceiveError::Closed) => {
                events.remove(socket.as_fd());
                return;
            }
            Ok(Parcel { kind: Kind::Attached, .. }) if record.keep.is_some() => {
                let keep = record.keep.take();
                drop(state);
                drop_guarded(keep);
                continue;
            }
            other => {
                events.remove(socket.as_fd());
                other
            }
        };
        drop(state);
        let report = understand(report);
        if let Some(record) = locked().children.get_mut(&id) {
            record.report = Some(report);
        }
        return;
    }
}

/// Turns a child's last word into its report; reads a long one from its file.
fn understand(heard: Result<Parcel, ReceiveError>) -> Report {
    let bytes = heard.and_then(|Parcel { kind, body, descriptors }| Ok((kind, body.into_bytes()?, descriptors)));
    match bytes {
        Ok((Kind::Returned, bytes, descriptors)) => Report::Returned(Inbound { bytes, descriptors }),
        Ok((Kind::Panicked, bytes, _)) => {
            postcard::from_bytes(&bytes).map_or(Report::Garbled(Garbled::Content), Report::Panicked)
        }
        Ok((Kind::Failed, bytes, _)) => {
            postcard::from_bytes(&bytes).map_or(Report::Garbled(Garbled::Content), Report::Failed)
        }
        Ok(_) | Err(ReceiveError::Empty | ReceiveError::Closed) => Report::Garbled(Garbled::OutOfTurn),
        Err(ReceiveError::Garbled(what)) => Report::Garbled(what),
        Err(ReceiveError::LostDescriptors) => Report::Lost(ResultError::NoDescriptors),
        Err(ReceiveError::System(error)) => Report::Lost(ResultError::Receive(error)),
    }
}

/// Step 11: reaps a child that has ended. Returns whether that is done; a debugger may have to let go of it first.
fn bury(events: EventsRef<'static>, id: u64, buffer: &mut [u8]) -> bool {
    listen(events, id, buffer);
    let mut state = locked();
    let Some(record) = state.children.get_mut(&id) else { return true };
    let Some(pidfd) = &record.pidfd else { return true };
    let status = wait::reap(pidfd.as_fd());
    // Level-triggered: an ended child would be reported without end.
    events.remove(pidfd.as_fd());
    let Some(status) = status else { return false };
    if let Some(socket) = record.socket.take() {
        events.remove(socket.as_fd());
    }
    record.pidfd = None;
    record.inbox = Inbox::default();
    let keep = record.keep.take();
    drop(state);
    // Before anybody is told: who has waited finds no trace of the arguments.
    drop_guarded(keep);
    let mut state = locked();
    let Some(record) = state.children.get_mut(&id) else { return true };
    record.status = Some(status);
    record.ended.notify_all();
    let gone = if record.has_handle { None } else { state.children.remove(&id) };
    drop(state);
    drop(gone);
    true
}

/// Drops arguments, whose destructors are the user's: a panic in one must not end the thread.
fn drop_guarded(keep: Option<Keep>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(keep))) {
        // Its destructor could panic again.
        std::mem::forget(payload);
    }
}
