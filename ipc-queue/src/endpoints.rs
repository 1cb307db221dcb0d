//! `Sender` and `Receiver`: endpoints of a queue, one row each.

use crate::batch::{SendIterError, SendManyError};
use crate::body::Body;
use crate::error::*;
use crate::ring::{Endpoint, Role, Stop, look_everywhere, wait};
use ipc_core::raw::fork_epoch;
use ipc_core::{Deadline, Plain, Segment};
use std::fmt;
use std::time::{Duration, Instant};

/// One row of a queue in the hands of one thread of one process.
pub(crate) struct Hand<T: Plain> {
    endpoint: Endpoint<T>,
    body: Body<T>,
    epoch: u32,
    /// Whether it asks after the dead when it polls in vain: system calls, and locks on the way.
    asks: bool,
}

impl<T: Plain> Hand<T> {
    pub(crate) fn new(body: Body<T>, role: Role) -> Result<Self, EndpointError> {
        Ok(Self::of(body.join(role)?, body))
    }

    fn of(endpoint: Endpoint<T>, body: Body<T>) -> Self {
        Self { endpoint, body, epoch: fork_epoch(), asks: true }
    }

    /// What it is an endpoint of.
    #[cfg(feature = "serde")]
    pub(crate) fn object(&self) -> &ipc_core::raw::Object {
        &self.body.object
    }

    /// The endpoint, unless this process inherited it by fork.
    #[inline(always)]
    pub(crate) fn endpoint(&self) -> Result<&Endpoint<T>, Failure> {
        if self.epoch == fork_epoch() { Ok(&self.endpoint) } else { Err(Failure::Forked) }
    }

    pub(crate) fn try_clone(&self, role: Role) -> Result<Self, EndpointError> {
        if self.epoch != fork_epoch() {
            return Err(EndpointError::Forked);
        }
        if self.endpoint.is_travelling() {
            return Err(EndpointError::Moved);
        }
        Self::new(self.body.clone(), role)
    }

    /// True if polling in vain on this side led to a repair, so that polling again is worth while.
    #[cold]
    pub(crate) fn repaired(&self, side: Role) -> Result<bool, Failure> {
        if !self.asks {
            return Ok(false);
        }
        self.endpoint.in_vain(side, self.body.object.segment()).map_err(Failure::Corrupt)
    }
}

/// The ways to the ring that the verbs need, for a handle around a [`Hand`].
macro_rules! ways {
    ($t:ident) => {
        fn body(&self) -> &Body<$t> {
            &self.hand.body
        }

        pub(crate) fn hand(&self) -> &Hand<$t> {
            &self.hand
        }

        #[inline(always)]
        pub(crate) fn attempt<R>(&self, attempt: impl FnOnce(&Endpoint<$t>) -> Result<R, Stop>) -> Result<R, Failure> {
            Ok(attempt(self.hand.endpoint()?)?)
        }

        #[cold]
        pub(crate) fn repaired(&self, side: Role) -> Result<bool, Failure> {
            self.hand.repaired(side)
        }

        #[cold]
        pub(crate) fn wait<R>(
            &self,
            side: Role,
            deadline: Deadline,
            attempt: impl FnMut() -> Result<R, Failure>,
        ) -> Result<R, Failure> {
            self.hand.wait(side, deadline, attempt)
        }
    };
}

impl<T: Plain> Hand<T> {
    /// Attempts until one succeeds.
    #[cold]
    pub(crate) fn wait<R>(
        &self,
        side: Role,
        deadline: Deadline,
        attempt: impl FnMut() -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        wait(&self.body.ring, side, deadline, self.body.object.segment(), self.endpoint()?.turn(), attempt)
    }
}

impl<T: Plain> Drop for Hand<T> {
    fn drop(&mut self) {
        // An endpoint inherited by fork is the parent's.
        if self.epoch == fork_epoch() {
            self.endpoint.leave();
        }
    }
}

/// The sending side of a queue: an endpoint of its own, as fast as a queue gets.
///
/// One thread uses it at a time (`Send`, not `Sync`); [`try_clone`](Self::try_clone) makes another. It can be given to
/// `Process::spawn`, which moves it into the child. Dropping it leaves the queue; when the last sender has left or died and
/// no `Queue` handle is alive, receivers get `Closed` after the last message.
///
/// # Process death
/// See [`send`](Self::send). An endpoint lives as long as its process, or until it is dropped: one that is leaked holds the
/// queue open.
///
/// # Fork
/// An inherited endpoint is the parent's: its verbs return `Forked`, dropping it does nothing.
///
/// # Signal handlers
/// [`try_send`](Self::try_send) may be called from a signal handler on an endpoint that was
/// [reserved](Self::reserved_for_signals) for it. On an endpoint that the handler interrupted it is
/// [`TrySendError::Busy`].
///
/// # Examples
/// ```
/// let (tx, rx) = ipc_queue::bounded(2)?;
/// tx.send(1u64)?;
/// tx.send(2)?;
/// assert!(tx.try_send(3).unwrap_err().would_block());
/// drop(rx);
/// assert_eq!(tx.send(3).unwrap_err().into_inner(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Two threads do not share it:
/// ```compile_fail,E0277
/// let (tx, rx) = ipc_queue::bounded::<u64>(1).unwrap();
/// std::thread::scope(|s| {
///     s.spawn(|| tx.send(1));
/// });
/// ```
pub struct Sender<T: Plain> {
    hand: Hand<T>,
}

/// The receiving side of a queue: an endpoint of its own, as fast as a queue gets.
///
/// One thread uses it at a time (`Send`, not `Sync`); [`try_clone`](Self::try_clone) makes another, and each message goes to
/// one of them. It can be given to `Process::spawn`, which moves it into the child. Dropping it leaves the queue; when the
/// last receiver has left or died and no `Queue` handle is alive, senders get `Closed`.
///
/// # Process death
/// See [`recv`](Self::recv). An endpoint lives as long as its process, or until it is dropped.
///
/// # Fork
/// An inherited endpoint is the parent's: its verbs return `Forked`, dropping it does nothing.
///
/// # Examples
/// ```
/// let (tx, rx) = ipc_queue::bounded(2)?;
/// let other = rx.try_clone()?;
/// tx.send([1.5f64, 2.5])?;
/// assert_eq!(other.recv()?, [1.5, 2.5]);
/// drop(tx);
/// assert!(rx.recv().unwrap_err().is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Two threads do not share it:
/// ```compile_fail,E0277
/// let (tx, rx) = ipc_queue::bounded::<u64>(1).unwrap();
/// std::thread::scope(|s| {
///     s.spawn(|| rx.recv());
/// });
/// ```
pub struct Receiver<T: Plain> {
    hand: Hand<T>,
}

impl<T: Plain> Sender<T> {
    pub(crate) fn join(body: Body<T>) -> Result<Self, EndpointError> {
        Ok(Self { hand: Hand::new(body, Role::Sender)? })
    }

    send_verbs!(T);
    send_many_verbs!(T);
    queue_queries!();

    /// Another endpoint of the same queue, for another thread: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn try_clone(&self) -> Result<Self, EndpointError> {
        Ok(Self { hand: self.hand.try_clone(Role::Sender)? })
    }

    /// Makes this the endpoint of a signal handler: its [`try_send`](Self::try_send) is async-signal-safe, always.
    ///
    /// It neither allocates nor takes a lock, and the one system call it may make wakes a sleeper. In exchange it does not
    /// look for dead processes in its way: other endpoints do.
    pub fn reserved_for_signals(mut self) -> Self {
        self.hand.asks = false;
        self
    }

    ways!(T);
}

impl<T: Plain> Receiver<T> {
    pub(crate) fn join(body: Body<T>) -> Result<Self, EndpointError> {
        Ok(Self { hand: Hand::new(body, Role::Receiver)? })
    }

    recv_verbs!(T);
    recv_many_verbs!(T);
    queue_queries!();
    ways!(T);

    /// Another endpoint of the same queue, for another thread: a row of its own.
    ///
    /// # Errors
    /// [`EndpointError::NoEndpoint`] if the queue has no row left.
    pub fn try_clone(&self) -> Result<Self, EndpointError> {
        Ok(Self { hand: self.hand.try_clone(Role::Receiver)? })
    }
}

/// The messages as they come, until the queue is closed.
#[derive(Debug)]
pub struct IntoIter<T: Plain>(Receiver<T>);

impl<T: Plain> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T: Plain> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

impl<T: Plain> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl<T: Plain> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

#[cfg(feature = "serde")]
pub(crate) mod travel {
    use super::*;
    use crate::ring::{JoinError, RowWord};
    use ipc_core::raw::{Census, Kind, Object, Owner};
    use ipc_core::{Error, ErrorKind, transport};
    use serde::de::Error as _;
    use serde::ser::{Error as _, SerializeTuple};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::borrow::Cow;
    use std::marker::PhantomData;

    struct Leaving<'a>(&'a Object);

    impl Serialize for Leaving<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            transport::serialize_object(self.0, serializer)
        }
    }

    /// What kind of queue an endpoint on its way is of.
    pub(crate) trait Carried {
        type Payload: Plain;
        const KIND: Kind;
        fn schema() -> Cow<'static, str>;
    }

    /// A queue of plain messages.
    pub(crate) struct Plainly<T>(PhantomData<T>);

    impl<T: Plain> Carried for Plainly<T> {
        type Payload = T;
        const KIND: Kind = Body::<T>::KIND;

        fn schema() -> Cow<'static, str> {
            Body::<T>::schema()
        }
    }

    struct Arriving<C>(Object, PhantomData<C>);

    impl<'de, C: Carried> Deserialize<'de> for Arriving<C> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self(transport::deserialize_object(deserializer, C::KIND, &C::schema())?, PhantomData))
        }
    }

    impl<T: Plain> Hand<T> {
        pub(crate) fn send_off<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut tuple = serializer.serialize_tuple(3)?;
            // First: outside a journey this fails, and the endpoint has gone nowhere.
            tuple.serialize_element(&Leaving(&self.body.object))?;
            let (row, word) = match self.endpoint() {
                Err(_) => Err(EndpointError::Forked),
                Ok(endpoint) => endpoint.travel().map_err(|_| EndpointError::Moved),
            }
            .map_err(|error| S::Error::custom(transport::remember(error.into())))?;
            tuple.serialize_element(&row)?;
            tuple.serialize_element(&word.bits())?;
            tuple.end()
        }

        pub(crate) fn take_over<'de, C: Carried<Payload = T>, D: Deserializer<'de>>(
            role: Role,
            deserializer: D,
        ) -> Result<Self, D::Error> {
            let (Arriving(object, _), row, bits) = <(Arriving<C>, u32, u64)>::deserialize(deserializer)?;
            let refuse = |error: Error| D::Error::custom(transport::remember(error));
            let body = Body::claim(object).map_err(refuse)?;
            let segment = body.object.segment();
            let word = RowWord::from_bits(bits);
            let gone = || ErrorKind::Gone { pid: segment.describe(Owner::from_word(bits)).0 }.into();
            let endpoint = match Endpoint::adopt(body.ring, row, word, segment) {
                Ok(endpoint) if endpoint.role() == role => endpoint,
                Ok(endpoint) => {
                    endpoint.leave();
                    return Err(refuse(gone()));
                }
                Err(JoinError::Gone) => return Err(refuse(gone())),
                Err(error) => return Err(refuse(EndpointError::of(error, body.ring.endpoints()).into())),
            };
            Ok(Self::of(endpoint, body))
        }
    }

    macro_rules! travels {
        ($endpoint:ident) => {
            /// Inside spawn, queues and pipes only: the endpoint *moves*. It counts as alive all the way; once serialised it
            /// refuses to work here, and dropping it here is nothing if it has arrived, and leaving if it has not.
            impl<T: Plain> Serialize for $endpoint<T> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    self.hand.send_off(serializer)
                }
            }

            impl<'de, T: Plain> Deserialize<'de> for $endpoint<T> {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Hand::take_over::<Plainly<T>, _>(Role::$endpoint, deserializer).map(|hand| Self { hand })
                }
            }
        };
    }

    travels!(Sender);
    travels!(Receiver);
}
