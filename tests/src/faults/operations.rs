//! The operations that are made under a failing system.
//!
//! Scenes are made by processes of their own, so that the children do not find mapped already what they are to map.

use super::Operation;
use crate::child::{Child, die};
use crate::page::Page;
use crate::unique::UniqueName;
use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::{Array, ErrorKind, LockError, Segment, Ticket, Value};
use ipc_queue::{Queue, Receiver, Sender, TryRecvError, bounded};
use ipc_sync::Lock;
use nix::sys::wait::WaitStatus;
use std::fmt::Display;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const SPACE: u64 = 8192;
/// For segments in which each child leaves some objects.
const ROOMY: u64 = 1 << 20;

/// Every operation that has a place here.
pub fn all() -> Vec<Operation> {
    let mut all = segments();
    all.extend(objects());
    all.extend(after_a_fork());
    all.extend(beside_the_dead());
    all
}

/// A process that keeps an object open, and its ticket.
struct Elsewhere {
    ticket: Ticket,
    _keeper: Child,
}

impl Elsewhere {
    /// `make` runs in that process, and returns what is to be kept, and its ticket.
    fn keep<T>(make: impl FnOnce() -> (T, Ticket)) -> Self {
        let (mut reading, writing) = pipe().expect("a pipe");
        let keeper = Child::fork(|| {
            let (_kept, ticket) = make();
            tell(writing, &ticket);
            loop {
                nix::unistd::pause();
            }
        });
        Self { ticket: hear(&mut reading), _keeper: keeper }
    }
}

/// Writes the ticket and ends the text, in a child that has no other use for its copy of the pipe.
fn tell(mut writing: PipeWriter, ticket: &Ticket) {
    writing.write_all(ticket.to_string().as_bytes()).expect("a reader");
}

fn hear(reading: &mut PipeReader) -> Ticket {
    let mut text = String::new();
    reading.read_to_string(&mut text).expect("a pipe");
    text.parse().expect("a ticket")
}

/// A name that a process, which is gone, gave to a value of 7.
fn named_value() -> (UniqueName, Ticket) {
    let name = fresh_name();
    let (mut reading, writing) = pipe().expect("a pipe");
    Child::fork(|| tell(writing, &Value::create(&name, 7u64).expect("a value").ticket())).join();
    let ticket = hear(&mut reading);
    (name, ticket)
}

/// A name that a process, which is gone, gave to a segment.
fn named_segment() -> UniqueName {
    let name = fresh_name();
    Child::fork(|| drop(Segment::create(&name, ROOMY).expect("a segment"))).join();
    name
}

fn fresh_name() -> UniqueName {
    UniqueName::new("fault")
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Whether there is room for an object in it, and the object works.
fn usable(segment: &Segment) -> Result<(), String> {
    let value = Value::new_in(segment, 5u64).map_err(text)?;
    value.update(|n| *n += 1).map_err(text)?;
    if value.get() == Ok(6) { Ok(()) } else { Err("a value is not what was stored".to_owned()) }
}

/// A segment that was made under `name`, or was not: after this it is not there.
fn removed(name: &str, made: Option<Segment>) -> Result<(), String> {
    let Some(segment) = made else {
        return match Segment::open(name) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => Ok(()),
            other => Err(format!("after an error: {other:?}")),
        };
    };
    usable(&segment)?;
    Segment::unlink(name).map_err(text)
}

fn is_usable<S>(_: &S, (): (), made: Option<Segment>) -> Result<(), String> {
    made.as_ref().map_or(Ok(()), usable)
}

fn segments() -> Vec<Operation> {
    vec![
        Operation::new("Segment::new", || (), |_| (), |_, _| Segment::new(SPACE), is_usable),
        Operation::new(
            "Segment::create",
            fresh_name,
            |_| (),
            |name, _| Segment::create(name, SPACE),
            |name, _, made| removed(name, made),
        ),
        Operation::new("Segment::open", named_segment, |_| (), |name, _| Segment::open(name), is_usable),
        Operation::new(
            "Segment::open, of nothing",
            fresh_name,
            |_| (),
            |name, _| match Segment::open(name) {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.to_string()),
                Ok(_) => Err("it was there".to_owned()),
            },
            |_, _, _| Ok(()),
        ),
        Operation::new(
            "Segment::open_or_create, first",
            fresh_name,
            |_| (),
            |name, _| Segment::open_or_create(name, SPACE),
            |name, _, made| removed(name, made),
        ),
        Operation::new(
            "Segment::open_or_create, second",
            named_segment,
            |_| (),
            |name, _| Segment::open_or_create(name, SPACE),
            is_usable,
        ),
        Operation::new(
            "Segment::unlink",
            fresh_name,
            |name| drop(Segment::create(name, SPACE).expect("a segment")),
            |name, _| Segment::unlink(name),
            |name, _, unlinked| match (unlinked, Segment::unlink(name)) {
                (None, Ok(())) => Ok(()),
                // The name was removed, and then something else was refused.
                (_, Err(error)) if matches!(error.kind(), ErrorKind::NotFound { .. }) => Ok(()),
                (unlinked, again) => Err(format!("{unlinked:?}, then {again:?}")),
            },
        ),
        Operation::new(
            "Segment::from_fd",
            || Elsewhere::keep(|| Segment::new(ROOMY).map(|segment| with_ticket(&segment)).expect("a segment")),
            |there| descriptor_of(&there.ticket),
            |_, fd| fd.take().map_or_else(|| Err("no descriptor".to_owned()), |fd| Segment::from_fd(fd).map_err(text)),
            |_, _, made| made.as_ref().map_or(Ok(()), usable),
        ),
        Operation::new(
            "Segment, last handle dropped",
            || (),
            |_| Segment::new(SPACE).ok(),
            |_, segment| {
                drop(segment.take());
                Ok::<_, String>(())
            },
            |_, _, _| Ok(()),
        ),
    ]
}

/// A value in this segment, which is what a ticket names.
fn with_ticket(segment: &Segment) -> (Value<u64>, Ticket) {
    let value = Value::new_in(segment, 0u64).expect("room");
    let ticket = value.ticket();
    (value, ticket)
}

/// The descriptor that a ticket names, in this process.
fn descriptor_of(ticket: &Ticket) -> Option<OwnedFd> {
    let text = ticket.to_string();
    let (pid, fd) = text.strip_prefix("ipc:fd:")?.split(':').next()?.split_once('.')?;
    let file = std::fs::File::options().read(true).write(true).open(format!("/proc/{pid}/fd/{fd}"));
    file.ok().map(OwnedFd::from)
}

fn objects() -> Vec<Operation> {
    let elsewhere = || {
        Elsewhere::keep(|| {
            let value = Value::new(7u64).expect("a value");
            let ticket = value.ticket();
            (value, ticket)
        })
    };
    let queue_elsewhere = || {
        Elsewhere::keep(|| {
            let queue = Queue::<u64>::new(4).expect("a queue");
            let ticket = queue.ticket();
            (queue, ticket)
        })
    };
    let value_is = |wanted: u64, made: Option<Value<u64>>| match made.map(|value| value.get()) {
        None => Ok(()),
        Some(Ok(found)) if found == wanted => Ok(()),
        Some(other) => Err(format!("{other:?}")),
    };
    vec![
        Operation::new("Value::new", || (), |_| (), |_, _| Value::new(7u64), move |_, _, made| value_is(7, made)),
        Operation::new(
            "Value::create",
            fresh_name,
            |_| (),
            |name, _| Value::create(name, 7u64),
            move |name, _, made| match made {
                Some(value) => value_is(7, Some(value)).and_then(|()| Segment::unlink(name).map_err(text)),
                None => removed(name, None),
            },
        ),
        Operation::new(
            "Value::attach, by descriptor",
            elsewhere,
            |_| (),
            |there, _| Value::<u64>::attach(&there.ticket),
            move |_, _, made| value_is(7, made),
        ),
        Operation::new(
            "Value::attach, by name",
            named_value,
            |_| (),
            |(_, ticket), _| Value::<u64>::attach(ticket),
            move |_, _, made| value_is(7, made),
        ),
        Operation::new(
            "Array::new",
            || (),
            |_| (),
            |_, _| Array::<u32>::new(1000),
            |_, _, made| match made {
                Some(array) => array.set(999, 1).map_err(text),
                None => Ok(()),
            },
        ),
        Operation::new(
            "Lock::new",
            || (),
            |_| (),
            |_, _| Lock::new(()),
            |_, _, made| match made {
                Some(lock) => lock.lock().map(drop).map_err(text),
                None => Ok(()),
            },
        ),
        Operation::new("Queue::new", || (), |_| (), |_, _| Queue::<u64>::new(4), |_, _, made| works(made)),
        Operation::new(
            "Queue::attach",
            queue_elsewhere,
            |_| (),
            |there, _| Queue::<u64>::attach(&there.ticket),
            |_, _, made| works(made),
        ),
        Operation::new(
            "bounded",
            || (),
            |_| (),
            |_, _| bounded::<u64>(4),
            |_, _, made| match made {
                Some((sender, receiver)) => passes(&sender, &receiver),
                None => Ok(()),
            },
        ),
        Operation::new(
            "Queue, last handle dropped",
            || (),
            |_| Queue::<u64>::new(4).ok(),
            |_, queue| {
                drop(queue.take());
                Ok::<_, String>(())
            },
            |_, _, _| Ok(()),
        ),
    ]
}

fn works(queue: Option<Queue<u64>>) -> Result<(), String> {
    let Some(queue) = queue else { return Ok(()) };
    queue.send(3).map_err(text)?;
    if queue.recv() == Ok(3) { Ok(()) } else { Err("a message is lost".to_owned()) }
}

fn passes(sender: &Sender<u64>, receiver: &Receiver<u64>) -> Result<(), String> {
    sender.send(3).map_err(text)?;
    if receiver.recv() == Ok(3) { Ok(()) } else { Err("a message is lost".to_owned()) }
}

/// The children inherit the handles, and take their rows while the system fails.
fn after_a_fork() -> Vec<Operation> {
    vec![
        Operation::new(
            "first lock after a fork",
            || Value::new(0u64).expect("a value"),
            |_| (),
            |value, _| value.lock().map(drop),
            |value, _, _| value.update(|n| *n += 1).map_err(text),
        )
        .registering(),
        Operation::new(
            "first send after a fork",
            || Queue::<u64>::new(4).expect("a queue"),
            |_| (),
            |queue, _| queue.send(1),
            |queue, _, sent| match (sent, queue.try_recv()) {
                (Some(()), Ok(1)) | (None, Err(TryRecvError::Empty)) => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .registering(),
    ]
}

/// What a process left that was killed: judged, taken over and repaired while the system fails.
fn beside_the_dead() -> Vec<Operation> {
    vec![
        Operation::new(
            "lock behind a dead holder",
            || Value::new([0u64; 2]).expect("a value"),
            one_dies_holding,
            |value, _| match value.lock() {
                Err(LockError::Inconsistent { .. }) => Ok(()),
                Err(error) => Err(error.to_string()),
                Ok(_) => Err("nobody was told".to_owned()),
            },
            |value, _, _| value.recover(|words| words[1] = words[0]).map(drop).map_err(text),
        )
        .registering(),
        Operation::new(
            "recv behind a dead sender",
            || Queue::<u64>::new(2).expect("a queue"),
            |queue| {
                dies(|| {
                    let sender = queue.sender().expect("a row");
                    sender.send(5).expect("room");
                    std::mem::forget(sender);
                });
            },
            |queue, _| queue.recv(),
            |queue, _, got| match got.or_else(|| queue.recv().ok()) {
                Some(5) => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .registering(),
        Operation::new(
            "verdict on a dead member",
            || Segment::new(SPACE).expect("a segment"),
            |segment| {
                let word = Page::new(AtomicU64::new(0));
                dies(|| word.store(segment.me().expect("a row").word(), SeqCst));
                Owner::from_word(word.load(SeqCst))
            },
            |segment, dead| Ok::<_, String>((segment.verdict(*dead), segment.begin_repair(*dead).map(drop))),
            |_, _, found| match found {
                Some((Verdict::Alive, _)) => Err("the dead are taken for alive".to_owned()),
                _ => Ok(()),
            },
        ),
    ]
}

/// A child does this and is killed.
fn dies(then: impl FnOnce()) {
    let mut child = Child::fork(|| {
        then();
        die()
    });
    assert!(matches!(child.wait(), WaitStatus::Signaled(..)), "it came to its end");
}

/// A child is killed that holds the lock, and has written.
fn one_dies_holding(value: &Value<[u64; 2]>) {
    dies(|| {
        let mut guard = value.lock().expect("a free lock");
        guard[0] += 1;
        std::mem::forget(guard);
    });
}
