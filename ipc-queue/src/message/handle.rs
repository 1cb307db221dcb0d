//! `MessageQueue`, `MessageSender`, `MessageReceiver`: from messages to bytes and back, and the verbs.

use super::body::{Choice, MessageBody};
use super::envelope::Envelope;
use super::error::{CodecError, DecodeError, RecvMessageError, SendMessageError};
use super::post::owner;
use crate::endpoints::Hand;
use crate::endpoints::travel::Carried;
use crate::error::*;
use crate::pool::Pool;
use crate::ring::{Endpoint, Role, Stop, look_everywhere};
use ipc_core::raw::{Kind, Object, Place};
use ipc_core::{Deadline, Error, Segment, SegmentOptions, Ticket, transport};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bounded queue of serde messages between any threads of any processes.
///
/// As [`Queue`](crate::Queue), for messages that are not [`Plain`](ipc_core::Plain): strings, vectors, enums, whatever is
/// `Serialize` and `DeserializeOwned`. Messages of up to 48 bytes, serialised, lie in their slots; longer ones in blocks of 1 KiB
/// of the same segment, as many as a message needs.
///
/// # Differences from `multiprocessing.Queue`
/// - Capacity is required, and so is a bound on a message's length; a message within it is accepted as soon as there is room,
///   whatever was sent before.
/// - There is no feeder thread: `send` itself says what cannot be serialised, and what it returned from lies in shared memory.
///
/// # Process death
/// As for [`Queue`](crate::Queue): a sender that is killed has sent its message whole or not at all; blocks that it had taken
/// come back within 100 ms to whoever waits for them.
///
/// # Examples
/// ```
/// use ipc_queue::MessageQueue;
/// let queue = MessageQueue::<(String, Vec<u32>)>::new(16)?;
/// queue.send(("squares".to_owned(), (0..1000).map(|n| n * n).collect()))?;
/// let (name, numbers) = queue.recv()?;
/// assert_eq!((name.as_str(), numbers[31]), ("squares", 961));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MessageQueue<M> {
    pool: Arc<Pool<Envelope>>,
    body: MessageBody,
    messages: PhantomData<fn(M) -> M>,
}

/// The sending side of a [`MessageQueue`]: an endpoint of its own, as [`Sender`](crate::Sender).
pub struct MessageSender<M> {
    hand: Hand<Envelope>,
    body: MessageBody,
    messages: PhantomData<fn(M) -> M>,
}

/// The receiving side of a [`MessageQueue`]: an endpoint of its own, as [`Receiver`](crate::Receiver).
pub struct MessageReceiver<M> {
    hand: Hand<Envelope>,
    body: MessageBody,
    messages: PhantomData<fn(M) -> M>,
}

/// Choices for a new message queue.
///
/// ```
/// let queue = ipc_queue::MessageQueue::<String>::options().max_message(10_000_000).budget(64 << 20).new(100)?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MessageQueueOptions<M> {
    endpoints: u32,
    max_message: usize,
    budget: Option<usize>,
    segment: SegmentOptions,
    messages: PhantomData<fn(M) -> M>,
}

/// Bytes of the longest message, unless chosen.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes per slot in the budget, unless chosen.
const PER_SLOT: usize = 1 << 10;

impl<M: Serialize + DeserializeOwned> MessageQueue<M> {
    /// A queue with room for `capacity` messages, in an anonymous segment of its own; of 1 MiB each at most, and 1 KiB for each
    /// slot together, or 1 MiB if that is more.
    ///
    /// # Errors
    /// `InvalidArgument` for a capacity of 0; else as [`Segment::new`].
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Self::options().new(capacity)
    }

    /// A queue with a name, which must be free. [`Segment::unlink`] removes the name.
    pub fn create(name: &str, capacity: usize) -> Result<Self, Error> {
        Self::options().place(Place::Create(name), capacity)
    }

    /// The queue that somebody created under this name. What type its messages are of is between those who use it.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::from_body(MessageBody::open(Place::Open(name))?)
    }

    /// Opens the queue of this name, or creates it; of several who try at once, one creates.
    pub fn open_or_create(name: &str, capacity: usize) -> Result<Self, Error> {
        Self::options().place(Place::OpenOrCreate(name), capacity)
    }

    /// An unnamed queue in this segment.
    pub fn new_in(segment: &Segment, capacity: usize) -> Result<Self, Error> {
        Self::options().place(Place::NewIn(segment), capacity)
    }

    /// A queue under a name of this segment, which must be free.
    pub fn create_in(segment: &Segment, name: &str, capacity: usize) -> Result<Self, Error> {
        Self::options().place(Place::CreateIn(segment, name), capacity)
    }

    /// The queue under this name of this segment.
    pub fn open_in(segment: &Segment, name: &str) -> Result<Self, Error> {
        Self::from_body(MessageBody::open(Place::OpenIn(segment, name))?)
    }

    /// Choices for a new queue.
    pub fn options() -> MessageQueueOptions<M> {
        MessageQueueOptions {
            endpoints: 64,
            max_message: MAX_MESSAGE,
            budget: None,
            segment: SegmentOptions::default(),
            messages: PhantomData,
        }
    }

    /// A sending endpoint: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn sender(&self) -> Result<MessageSender<M>, EndpointError> {
        MessageSender::join(self.body.clone())
    }

    /// A receiving endpoint: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn receiver(&self) -> Result<MessageReceiver<M>, EndpointError> {
        MessageReceiver::join(self.body.clone())
    }

    /// A small value from which another process [`attach`](Self::attach)es. It keeps nothing alive.
    pub fn ticket(&self) -> Ticket {
        self.body.ring.object.ticket()
    }

    /// Attaches to the queue that a ticket names.
    pub fn attach(ticket: &Ticket) -> Result<Self, Error> {
        let object = Object::attach(ticket, MessageBody::KIND, MessageBody::SCHEMA)?;
        Self::from_body(MessageBody::claim(object)?)
    }

    fn from_body(body: MessageBody) -> Result<Self, Error> {
        Ok(Self { pool: Arc::new(Pool::new(body.ring.clone())?), body, messages: PhantomData })
    }
}

impl<M: Serialize + DeserializeOwned> MessageQueueOptions<M> {
    /// How many endpoints the queue can have at a time: 64 unless set, at most 8192.
    pub fn endpoints(mut self, rows: u32) -> Self {
        self.endpoints = rows;
        self
    }

    /// Bytes of the longest message, serialised: 1 MiB unless set.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Bytes for all messages of more than 48 bytes together: 1 KiB for each slot unless set. There is always room for one of
    /// the longest.
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// How many processes can be attached at once: 64 unless set. For a queue in a segment of its own.
    pub fn members(mut self, rows: u32) -> Self {
        self.segment = self.segment.members(rows);
        self
    }

    /// See [`MessageQueue::new`].
    #[expect(clippy::new_ret_no_self, reason = "a builder's last word, named as the shortcut")]
    pub fn new(&self, capacity: usize) -> Result<MessageQueue<M>, Error> {
        self.place(Place::New, capacity)
    }

    /// See [`MessageQueue::create`].
    pub fn create(&self, name: &str, capacity: usize) -> Result<MessageQueue<M>, Error> {
        self.place(Place::Create(name), capacity)
    }

    /// See [`message_queue`].
    pub fn bounded(&self, capacity: usize) -> Result<(MessageSender<M>, MessageReceiver<M>), Error> {
        let body = self.body(Place::New, capacity)?;
        Ok((MessageSender::join(body.clone())?, MessageReceiver::join(body)?))
    }

    /// Creates or opens as `place` says.
    pub fn place(&self, place: Place<'_>, capacity: usize) -> Result<MessageQueue<M>, Error> {
        MessageQueue::from_body(self.body(place, capacity)?)
    }

    fn body(&self, place: Place<'_>, capacity: usize) -> Result<MessageBody, Error> {
        let budget = self.budget.unwrap_or(capacity.saturating_mul(PER_SLOT));
        let choice = Choice { capacity, endpoints: self.endpoints, max_message: self.max_message, budget };
        MessageBody::place(place, &choice, &self.segment)
    }
}

/// A message queue with an endpoint on each side, and no other handle: as [`bounded`](crate::bounded), for serde messages.
///
/// ```
/// let (tx, rx) = ipc_queue::message_queue(4)?;
/// tx.send(Some("first".to_owned()))?;
/// tx.send(None)?;
/// drop(tx);
/// assert_eq!(rx.iter().collect::<Vec<_>>(), [Some("first".to_owned()), None]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn message_queue<M: Serialize + DeserializeOwned>(
    capacity: usize,
) -> Result<(MessageSender<M>, MessageReceiver<M>), Error> {
    MessageQueue::options().bounded(capacity)
}

/// The ways to the ring that the verbs need.
trait Ways {
    fn body(&self) -> &MessageBody;
    fn attempt<R>(&self, attempt: impl FnOnce(&Endpoint<Envelope>) -> Result<R, Stop>) -> Result<R, Failure>;
    fn repaired(&self, side: Role) -> Result<bool, Failure>;
    fn wait<R>(
        &self,
        side: Role,
        deadline: Deadline,
        attempt: impl FnMut() -> Result<R, Failure>,
    ) -> Result<R, Failure>;
}

macro_rules! ways_by_hand {
    ($handle:ident) => {
        impl<M> Ways for $handle<M> {
            fn body(&self) -> &MessageBody {
                &self.body
            }

            fn attempt<R>(&self, attempt: impl FnOnce(&Endpoint<Envelope>) -> Result<R, Stop>) -> Result<R, Failure> {
                Ok(attempt(self.hand.endpoint()?)?)
            }

            fn repaired(&self, side: Role) -> Result<bool, Failure> {
                self.hand.repaired(side)
            }

            fn wait<R>(
                &self,
                side: Role,
                deadline: Deadline,
                attempt: impl FnMut() -> Result<R, Failure>,
            ) -> Result<R, Failure> {
                self.hand.wait(side, deadline, attempt)
            }
        }
    };
}

ways_by_hand!(MessageSender);
ways_by_hand!(MessageReceiver);

impl<M> Ways for MessageQueue<M> {
    fn body(&self) -> &MessageBody {
        &self.body
    }

    fn attempt<R>(&self, attempt: impl FnOnce(&Endpoint<Envelope>) -> Result<R, Stop>) -> Result<R, Failure> {
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

thread_local! {
    /// The bytes of the message that a thread is sending or receiving: one allocation for all of them.
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Buffers that grew beyond this are not kept.
const KEPT: usize = 1 << 16;

fn with_bytes<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut bytes = BYTES.take();
    bytes.clear();
    let result = work(&mut bytes);
    if bytes.capacity() <= KEPT {
        BYTES.set(bytes);
    }
    result
}

/// Serialises `message`, and sends it by `post`.
fn send_message<M: Serialize, E>(
    message: M,
    max: usize,
    post: impl FnOnce(&[u8]) -> Result<(), Failure>,
    error: impl FnOnce(M, Failure) -> E,
) -> Result<(), SendMessageError<M, E>> {
    with_bytes(|bytes| {
        match postcard::to_extend(&message, std::mem::take(bytes)) {
            Ok(encoded) => *bytes = encoded,
            Err(source) => return Err(SendMessageError::Encode { message, source: CodecError::new(source) }),
        }
        if bytes.len() > max {
            return Err(SendMessageError::TooLarge { message, len: bytes.len(), max });
        }
        post(bytes).map_err(|failure| SendMessageError::Queue(error(message, failure)))
    })
}

/// Receives by `fetch`, and deserialises what came.
fn recv_message<M: DeserializeOwned, E>(
    fetch: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>,
    error: impl FnOnce(Failure) -> E,
) -> Result<M, RecvMessageError<E>> {
    with_bytes(|bytes| {
        fetch(bytes).map_err(|failure| RecvMessageError::Queue(error(failure)))?;
        let decoded = match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => return Ok(message),
            Ok(_) => postcard::Error::DeserializeBadEncoding,
            Err(source) => source,
        };
        Err(RecvMessageError::Decode(DecodeError { bytes: std::mem::take(bytes), source: CodecError::new(decoded) }))
    })
}

/// Sends bytes if there is room now.
fn try_post(ways: &impl Ways, bytes: &[u8]) -> Result<(), Failure> {
    let attempt = || ways.attempt(|endpoint| ways.body().try_send(endpoint, bytes));
    match attempt() {
        Err(Failure::WouldBlock) if ways.repaired(Role::Sender)? => attempt(),
        done => done,
    }
}

/// Sends bytes, waiting for room.
fn post(ways: &impl Ways, bytes: &[u8], deadline: impl FnOnce() -> Deadline) -> Result<(), Failure> {
    let attempt = || ways.attempt(|endpoint| ways.body().try_send(endpoint, bytes));
    match attempt() {
        Err(Failure::WouldBlock) => {}
        done => return done,
    }
    let (body, deadline) = (ways.body(), deadline());
    if !MessageBody::needs_blocks(bytes) {
        return ways.wait(Role::Sender, deadline, attempt);
    }
    let me = ways.attempt(|endpoint| Ok(owner(endpoint)))?;
    body.with_blocks(me, bytes.len(), deadline, |taken| {
        let attempt = || ways.attempt(|endpoint| body.send_in(endpoint, taken, bytes));
        ways.wait(Role::Sender, deadline, attempt)
    })
}

/// Receives bytes if there are some now.
fn try_fetch(ways: &impl Ways, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    let mut attempt = || ways.attempt(|endpoint| ways.body().try_recv(endpoint, bytes));
    let again = match attempt() {
        Err(Failure::WouldBlock) => ways.repaired(Role::Receiver)?,
        // The dead may have claimed messages that can still be delivered.
        Err(Failure::Closed) => {
            let body = ways.body();
            if !look_everywhere(&body.ring.ring, body.segment())? {
                return Err(Failure::Closed);
            }
            true
        }
        done => return done,
    };
    if again { attempt() } else { Err(Failure::WouldBlock) }
}

/// Receives bytes, waiting for some.
fn fetch(ways: &impl Ways, bytes: &mut Vec<u8>, deadline: impl FnOnce() -> Deadline) -> Result<(), Failure> {
    let mut attempt = || ways.attempt(|endpoint| ways.body().try_recv(endpoint, bytes));
    match attempt() {
        // Closed as well: the dead may have claimed messages that can still be delivered.
        Err(Failure::WouldBlock | Failure::Closed) => ways.wait(Role::Receiver, deadline(), attempt),
        done => done,
    }
}

macro_rules! send_verbs {
    () => {
        /// Sends, waiting for room: for a slot, and for blocks if the message is longer than 48 bytes.
        ///
        /// When it returns `Ok`, the message lies in shared memory: the sender may die, and it is delivered.
        ///
        /// # Blocking
        /// While there is no room. Senders that wait for blocks get them one after the other, so that long messages are not
        /// overtaken for ever by short ones.
        ///
        /// # Process death
        /// Killed inside, the sender has sent the message whole or not at all; slot and blocks come back within 100 ms.
        ///
        /// # Errors
        /// [`SendMessageError`]; the message comes back.
        #[doc(alias = "put")]
        pub fn send(&self, message: M) -> Result<(), SendMessageError<M, SendError<M>>>
        where
            M: Serialize,
        {
            send_message(message, self.max_message(), |bytes| post(self, bytes, || Deadline::NEVER), SendError::of)
        }

        /// Sends if there is room now.
        #[doc(alias = "put_nowait")]
        pub fn try_send(&self, message: M) -> Result<(), SendMessageError<M, TrySendError<M>>>
        where
            M: Serialize,
        {
            send_message(message, self.max_message(), |bytes| try_post(self, bytes), TrySendError::of)
        }

        /// As [`send`](Self::send), giving up after `timeout`.
        pub fn send_timeout(
            &self,
            message: M,
            timeout: Duration,
        ) -> Result<(), SendMessageError<M, SendTimeoutError<M>>>
        where
            M: Serialize,
        {
            let send = |bytes: &[u8]| post(self, bytes, || Deadline::after(timeout));
            send_message(message, self.max_message(), send, SendTimeoutError::of)
        }

        /// As [`send`](Self::send), giving up at `deadline`.
        pub fn send_deadline(
            &self,
            message: M,
            deadline: Instant,
        ) -> Result<(), SendMessageError<M, SendTimeoutError<M>>>
        where
            M: Serialize,
        {
            let send = |bytes: &[u8]| post(self, bytes, || Deadline::at(deadline));
            send_message(message, self.max_message(), send, SendTimeoutError::of)
        }
    };
}

macro_rules! recv_verbs {
    () => {
        /// Receives the next message, waiting for one if there is none.
        ///
        /// # Blocking
        /// While the queue is empty.
        ///
        /// # Process death
        /// At most once, as for a queue of plain values. No half of a message is ever returned.
        ///
        /// # Errors
        /// [`RecvMessageError`]. A message that is not an `M` is received, and comes back as bytes.
        #[doc(alias = "get")]
        pub fn recv(&self) -> Result<M, RecvMessageError<RecvError>>
        where
            M: DeserializeOwned,
        {
            recv_message(|bytes| fetch(self, bytes, || Deadline::NEVER), RecvError::of)
        }

        /// Receives a message if there is one now.
        #[doc(alias = "get_nowait")]
        pub fn try_recv(&self) -> Result<M, RecvMessageError<TryRecvError>>
        where
            M: DeserializeOwned,
        {
            recv_message(|bytes| try_fetch(self, bytes), TryRecvError::of)
        }

        /// As [`recv`](Self::recv), giving up after `timeout`.
        pub fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvMessageError<RecvTimeoutError>>
        where
            M: DeserializeOwned,
        {
            recv_message(|bytes| fetch(self, bytes, || Deadline::after(timeout)), RecvTimeoutError::of)
        }

        /// As [`recv`](Self::recv), giving up at `deadline`.
        pub fn recv_deadline(&self, deadline: Instant) -> Result<M, RecvMessageError<RecvTimeoutError>>
        where
            M: DeserializeOwned,
        {
            recv_message(|bytes| fetch(self, bytes, || Deadline::at(deadline)), RecvTimeoutError::of)
        }

        /// The messages as they come, waiting for each, until the queue is closed (or fails: an iterator cannot say).
        pub fn iter(&self) -> impl Iterator<Item = M>
        where
            M: DeserializeOwned,
        {
            std::iter::from_fn(|| self.recv().ok()).fuse()
        }
    };
}

macro_rules! queries {
    ($handle:ident) => {
        impl<M> $handle<M> {
            /// Messages inside now.
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                self.body.ring.ring.len() as usize
            }

            /// Whether no message is inside now.
            #[doc(alias = "empty")]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// How many messages fit in.
            #[doc(alias = "maxsize")]
            pub fn capacity(&self) -> usize {
                self.body.ring.ring.positions().capacity() as usize
            }

            /// Bytes of the longest message, serialised.
            pub fn max_message(&self) -> usize {
                self.body.max_message
            }

            /// Accepts no message any more, in any process. What is inside can be received.
            pub fn close(&self) {
                self.body.close();
            }

            /// Whether [`close`](Self::close) was called, by whatever process.
            pub fn is_closed(&self) -> bool {
                self.body.ring.ring.is_closed()
            }

            /// The segment it lies in.
            pub fn segment(&self) -> &Segment {
                self.body.segment()
            }
        }

        impl<M> fmt::Debug for $handle<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($handle))
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .field("max_message", &self.max_message())
                    .finish_non_exhaustive()
            }
        }
    };
}

queries!(MessageQueue);
queries!(MessageSender);
queries!(MessageReceiver);

impl<M> MessageQueue<M> {
    send_verbs!();
    recv_verbs!();
}

impl<M> MessageSender<M> {
    send_verbs!();

    fn join(body: MessageBody) -> Result<Self, EndpointError> {
        Ok(Self { hand: Hand::new(body.ring.clone(), Role::Sender)?, body, messages: PhantomData })
    }

    /// Another endpoint of the same queue: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn try_clone(&self) -> Result<Self, EndpointError> {
        let hand = self.hand.try_clone(Role::Sender)?;
        Ok(Self { hand, body: self.body.clone(), messages: PhantomData })
    }
}

impl<M> MessageReceiver<M> {
    recv_verbs!();

    fn join(body: MessageBody) -> Result<Self, EndpointError> {
        Ok(Self { hand: Hand::new(body.ring.clone(), Role::Receiver)?, body, messages: PhantomData })
    }

    /// Another endpoint of the same queue: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn try_clone(&self) -> Result<Self, EndpointError> {
        let hand = self.hand.try_clone(Role::Receiver)?;
        Ok(Self { hand, body: self.body.clone(), messages: PhantomData })
    }
}

impl<M> Clone for MessageQueue<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), body: self.body.clone(), messages: PhantomData }
    }
}

/// Endpoints of message queues on their way.
struct Messages;

impl Carried for Messages {
    type Payload = Envelope;
    const KIND: Kind = MessageBody::KIND;

    fn schema() -> Cow<'static, str> {
        MessageBody::SCHEMA.into()
    }
}

macro_rules! travels {
    ($endpoint:ident, $role:expr) => {
        /// Inside spawn, queues and pipes only: the endpoint *moves*, as for a queue of plain values.
        impl<M> Serialize for $endpoint<M> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.hand.send_off(serializer)
            }
        }

        impl<'de, M> Deserialize<'de> for $endpoint<M> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let hand = Hand::take_over::<Messages, _>($role, deserializer)?;
                let body = MessageBody::claim(hand.object().clone());
                let body = body.map_err(|error| D::Error::custom(transport::remember(error)))?;
                Ok(Self { hand, body, messages: PhantomData })
            }
        }
    };
}

travels!(MessageSender, Role::Sender);
travels!(MessageReceiver, Role::Receiver);

/// Inside spawn, queues and pipes only; elsewhere an error that names `.ticket()`.
impl<M> Serialize for MessageQueue<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        transport::serialize_object(&self.body.ring.object, serializer)
    }
}

impl<'de, M: Serialize + DeserializeOwned> Deserialize<'de> for MessageQueue<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = transport::deserialize_object(deserializer, MessageBody::KIND, MessageBody::SCHEMA)?;
        MessageBody::claim(object)
            .and_then(Self::from_body)
            .map_err(|error| D::Error::custom(transport::remember(error)))
    }
}
