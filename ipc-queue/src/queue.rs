//! `Queue`: the object, with the verbs for any thread.

use crate::batch::{SendIterError, SendManyError};
use crate::body::Body;
use crate::endpoints::{Receiver, Sender};
use crate::error::*;
use crate::pool::Pool;
use crate::ring::{Endpoint, Role, Stop, look_everywhere};
use ipc_core::raw::{Object, Place};
use ipc_core::{Deadline, Error, Plain, Segment, SegmentOptions, Ticket};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bounded queue between any threads of any processes, for plain values.
///
/// The handle sends and receives itself, from all threads at once: the counterpart of `multiprocessing.Queue`. While a
/// handle is alive in any process, both sides are there, so its verbs end only by [`close`](Self::close). For workers that
/// should notice that the others are gone, and for speed, use endpoints: [`bounded`], [`sender`](Self::sender),
/// [`receiver`](Self::receiver).
///
/// # Differences from `multiprocessing.Queue`
/// - Capacity is required. Messages are [`Plain`]; `MessageQueue` takes everything else.
/// - There is no feeder thread: what `send` returned from lies in shared memory and is seen by every later `recv` and `len`.
/// - It survives the death of any process that uses it.
///
/// # Process death
/// See [`send`](Self::send) and [`recv`](Self::recv).
///
/// # Fork
/// A child that inherited the handle takes a row of its own at first use.
///
/// # Examples
/// ```
/// use ipc_queue::Queue;
/// let queue = Queue::new(6)?;
/// std::thread::scope(|s| {
///     s.spawn(|| (0..20u64).for_each(|n| queue.send(n).expect("not closed")));
///     assert_eq!((0..20).map(|_| queue.recv().expect("not closed")).sum::<u64>(), 190);
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Only plain values lie in shared memory:
/// ```compile_fail,E0277
/// let queue = ipc_queue::Queue::<String>::new(6);
/// ```
pub struct Queue<T: Plain> {
    pool: Arc<Pool<T>>,
}

/// Choices for a new queue.
///
/// ```
/// let queue = ipc_queue::Queue::<u64>::options().endpoints(200).members(100).new(1000)?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QueueOptions<T: Plain> {
    endpoints: u32,
    segment: SegmentOptions,
    messages: std::marker::PhantomData<fn(T) -> T>,
}

impl<T: Plain> Queue<T> {
    /// A queue with room for `capacity` messages, in an anonymous segment of its own.
    ///
    /// A message takes its size and 8 bytes, rounded up to lines of 64 bytes; each endpoint row takes 128 bytes.
    ///
    /// # Errors
    /// `InvalidArgument` for a capacity of 0; else as [`Segment::new`].
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Self::options().new(capacity)
    }

    /// A queue with a name, which must be free. [`Segment::unlink`] removes the name.
    ///
    /// # Errors
    /// As [`new`](Self::new), and as [`Segment::create`].
    pub fn create(name: &str, capacity: usize) -> Result<Self, Error> {
        Self::options().create(name, capacity)
    }

    /// The queue that somebody created under this name.
    ///
    /// # Errors
    /// As [`Segment::open`]; `WrongKind` and `WrongType` if the name belongs to something else; `NoEndpointRow` if too many
    /// have it open.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::from_body(Body::open(Place::Open(name))?)
    }

    /// Opens the queue of this name, or creates it; of several who try at once, one creates.
    pub fn open_or_create(name: &str, capacity: usize) -> Result<Self, Error> {
        Self::options().open_or_create(name, capacity)
    }

    /// An unnamed queue in this segment.
    ///
    /// # Errors
    /// `NoSpace` if the segment is full.
    pub fn new_in(segment: &Segment, capacity: usize) -> Result<Self, Error> {
        Self::options().place(Place::NewIn(segment), capacity)
    }

    /// A queue under a name of this segment, which must be free.
    pub fn create_in(segment: &Segment, name: &str, capacity: usize) -> Result<Self, Error> {
        Self::options().place(Place::CreateIn(segment, name), capacity)
    }

    /// The queue under this name of this segment.
    pub fn open_in(segment: &Segment, name: &str) -> Result<Self, Error> {
        Self::from_body(Body::open(Place::OpenIn(segment, name))?)
    }

    /// Choices for a new queue.
    pub fn options() -> QueueOptions<T> {
        QueueOptions { endpoints: 64, segment: SegmentOptions::default(), messages: std::marker::PhantomData }
    }

    send_verbs!(T);
    recv_verbs!(T);
    send_many_verbs!(T);
    recv_many_verbs!(T);
    queue_queries!();

    /// A sending endpoint: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn sender(&self) -> Result<Sender<T>, EndpointError> {
        Sender::join(self.body().clone())
    }

    /// A receiving endpoint: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn receiver(&self) -> Result<Receiver<T>, EndpointError> {
        Receiver::join(self.body().clone())
    }

    /// A small value from which another process [`attach`](Self::attach)es. It keeps nothing alive.
    pub fn ticket(&self) -> Ticket {
        self.body().object.ticket()
    }

    /// Attaches to the queue that a ticket names.
    ///
    /// # Errors
    /// `Gone` if whoever gave the ticket has dropped the segment; else as [`open`](Self::open).
    pub fn attach(ticket: &Ticket) -> Result<Self, Error> {
        let object = Object::attach(ticket, Body::<T>::KIND, &Body::<T>::schema())?;
        Self::from_body(Body::claim(object)?)
    }

    pub(crate) fn from_body(body: Body<T>) -> Result<Self, Error> {
        Ok(Self { pool: Arc::new(Pool::new(body)?) })
    }

    fn body(&self) -> &Body<T> {
        self.pool.body()
    }

    #[inline]
    fn attempt<R>(&self, attempt: impl FnOnce(&Endpoint<T>) -> Result<R, Stop>) -> Result<R, Failure> {
        self.pool.with(attempt)
    }

    fn repaired(&self, side: Role) -> Result<bool, Failure> {
        self.pool.repaired(side)
    }

    fn wait<R>(
        &self,
        side: Role,
        deadline: Deadline,
        attempt: impl FnMut() -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.pool.wait(side, deadline, attempt)
    }
}

/// A queue with an endpoint on each side, and no other handle: each side notices when the other has left or died.
///
/// The counterpart of std's and crossbeam's channels. Clone the endpoints with `try_clone`, give them to processes.
///
/// # Errors
/// As [`Queue::new`].
///
/// # Examples
/// ```
/// let (tx, rx) = ipc_queue::bounded(16)?;
/// for n in 1..=10u64 {
///     tx.send(n)?;
/// }
/// drop(tx);
/// assert_eq!(rx.iter().sum::<u64>(), 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn bounded<T: Plain>(capacity: usize) -> Result<(Sender<T>, Receiver<T>), Error> {
    Queue::options().bounded(capacity)
}

impl<T: Plain> QueueOptions<T> {
    /// How many endpoints the queue can have at a time: 64 unless set, at most 8192. A `Queue` handle takes one per process
    /// that has it, a few more while many threads use it.
    pub fn endpoints(mut self, rows: u32) -> Self {
        self.endpoints = rows;
        self
    }

    /// How many processes can be attached at once: 64 unless set. For a queue in a segment of its own.
    pub fn members(mut self, rows: u32) -> Self {
        self.segment = self.segment.members(rows);
        self
    }

    /// Touches every page when mapping. For a queue in a segment of its own.
    pub fn populate(mut self, yes: bool) -> Self {
        self.segment = self.segment.populate(yes);
        self
    }

    /// See [`Queue::new`].
    #[expect(clippy::new_ret_no_self, reason = "a builder's last word, named as the shortcut")]
    pub fn new(&self, capacity: usize) -> Result<Queue<T>, Error> {
        self.place(Place::New, capacity)
    }

    /// See [`Queue::create`].
    pub fn create(&self, name: &str, capacity: usize) -> Result<Queue<T>, Error> {
        self.place(Place::Create(name), capacity)
    }

    /// See [`Queue::open_or_create`].
    pub fn open_or_create(&self, name: &str, capacity: usize) -> Result<Queue<T>, Error> {
        self.place(Place::OpenOrCreate(name), capacity)
    }

    /// See [`bounded`].
    pub fn bounded(&self, capacity: usize) -> Result<(Sender<T>, Receiver<T>), Error> {
        let body = Body::place(Place::New, capacity, self.endpoints, &self.segment)?;
        Ok((Sender::join(body.clone())?, Receiver::join(body)?))
    }

    /// Creates or opens as `place` says.
    pub fn place(&self, place: Place<'_>, capacity: usize) -> Result<Queue<T>, Error> {
        Queue::from_body(Body::place(place, capacity, self.endpoints, &self.segment)?)
    }
}

impl<T: Plain> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

/// Never waits.
impl<T: Plain> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("type", &Body::<T>::schema())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish()
    }
}

#[cfg(feature = "serde")]
mod travel {
    use super::*;
    use ipc_core::transport;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Inside spawn, queues and pipes only; elsewhere an error that names `.ticket()`.
    impl<T: Plain> Serialize for Queue<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            transport::serialize_object(&self.body().object, serializer)
        }
    }

    impl<'de, T: Plain> Deserialize<'de> for Queue<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let object = transport::deserialize_object(deserializer, Body::<T>::KIND, &Body::<T>::schema())?;
            Body::claim(object).and_then(Self::from_body).map_err(|e| D::Error::custom(transport::remember(e)))
        }
    }
}
