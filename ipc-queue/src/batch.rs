//! Batches: several messages by one claim, which is one compare-and-swap and one wake for all of them.

use std::fmt;

/// For a handle that can send.
macro_rules! send_many_verbs {
    ($t:ident) => {
        /// Sends all of these in order, waiting for room: as many at a time as there is room for.
        ///
        /// As `send` for each of them, cheaper from two messages on: room for several is claimed by one compare-and-swap, and
        /// receivers are woken once. Messages of other senders may come between those of one call.
        ///
        /// # Blocking
        /// While the queue is full.
        ///
        /// # Process death
        /// Killed inside, the sender has sent the first so many of them, each whole.
        ///
        /// # Errors
        /// [`SendManyError`]: why, and how many were sent. An empty slice is sent at once.
        ///
        /// # Examples
        /// ```
        /// let (tx, rx) = ipc_queue::bounded(4)?;
        /// tx.send_many(&[1u32, 2, 3])?;
        /// drop(tx);
        /// let mut received = Vec::new();
        /// assert_eq!(rx.recv_many(&mut received, 100)?, 3);
        /// assert_eq!(received, [1, 2, 3]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn send_many(&self, messages: &[$t]) -> Result<(), SendManyError<SendError<()>>> {
            self.send_all(messages, Deadline::NEVER)
                .map_err(|(sent, failure)| SendManyError { sent, error: SendError::of((), failure) })
        }

        /// Sends as many of the first of these as there is room for now: how many.
        ///
        /// # Process death
        /// As for [`send_many`](Self::send_many).
        ///
        /// # Errors
        /// [`TrySendError::Full`] if there is room for none; otherwise as for `send`. Nothing was sent then.
        pub fn try_send_many(&self, messages: &[$t]) -> Result<usize, TrySendError<()>> {
            if messages.is_empty() {
                return Ok(0);
            }
            let attempt = || self.attempt(|endpoint| endpoint.send_first(messages));
            match attempt() {
                Err(Failure::WouldBlock) => match self.repaired(Role::Sender) {
                    Ok(true) => attempt(),
                    Ok(false) => Err(Failure::WouldBlock),
                    Err(failure) => Err(failure),
                },
                done => done,
            }
            .map_err(|failure| TrySendError::of((), failure))
        }

        /// As [`send_many`](Self::send_many), giving up after `timeout`.
        pub fn send_many_timeout(
            &self,
            messages: &[$t],
            timeout: Duration,
        ) -> Result<(), SendManyError<SendTimeoutError<()>>> {
            self.send_all(messages, Deadline::after(timeout))
                .map_err(|(sent, failure)| SendManyError { sent, error: SendTimeoutError::of((), failure) })
        }

        /// As [`send_many`](Self::send_many), giving up at `deadline`.
        pub fn send_many_deadline(
            &self,
            messages: &[$t],
            deadline: Instant,
        ) -> Result<(), SendManyError<SendTimeoutError<()>>> {
            self.send_all(messages, Deadline::at(deadline))
                .map_err(|(sent, failure)| SendManyError { sent, error: SendTimeoutError::of((), failure) })
        }

        /// Sends all that an iterator gives, in batches: how many it were.
        ///
        /// # Blocking
        /// While the queue is full, and while the iterator makes its next items: what it has made waits for them, up to 64.
        ///
        /// # Process death
        /// As for [`send_many`](Self::send_many).
        ///
        /// # Errors
        /// [`SendIterError`]: why, how many were sent, and what the iterator had given and was not.
        pub fn send_iter(&self, messages: impl IntoIterator<Item = $t>) -> Result<usize, SendIterError<$t>> {
            let mut messages = messages.into_iter();
            let most = self.capacity().min($crate::batch::CHUNK);
            let mut chunk = Vec::with_capacity(most);
            let mut sent = 0;
            loop {
                chunk.extend(messages.by_ref().take(most));
                if chunk.is_empty() {
                    return Ok(sent);
                }
                if let Err(SendManyError { sent: of_these, error }) = self.send_many(&chunk) {
                    chunk.drain(..of_these);
                    return Err(SendIterError { sent: sent + of_these, unsent: chunk, error });
                }
                sent += chunk.len();
                chunk.clear();
            }
        }

        /// The first so many were sent if it fails.
        fn send_all(&self, messages: &[$t], deadline: Deadline) -> Result<(), (usize, Failure)> {
            let mut sent = 0;
            while sent < messages.len() {
                let attempt = || self.attempt(|endpoint| endpoint.send_first(&messages[sent..]));
                let done = match attempt() {
                    Err(Failure::WouldBlock) => self.wait(Role::Sender, deadline, attempt),
                    done => done,
                };
                sent += done.map_err(|failure| (sent, failure))?;
            }
            Ok(())
        }
    };
}

/// For a handle that can receive.
macro_rules! recv_many_verbs {
    ($t:ident) => {
        /// Receives the next messages, `most` at most, behind what is in `into`: how many. Waits until there is one.
        ///
        /// As `recv`, cheaper from two messages on: what is there is claimed by one compare-and-swap. It never waits for more
        /// once it has one.
        ///
        /// # Blocking
        /// While the queue is empty.
        ///
        /// # Process death
        /// As for `recv`, for each of them: killed inside, messages go to another receiver, or had just been received.
        ///
        /// # Errors
        /// As for `recv`. With a `most` of 0 it receives nothing, at once.
        pub fn recv_many(&self, into: &mut Vec<$t>, most: usize) -> Result<usize, RecvError> {
            self.recv_some(into, most, || Deadline::NEVER).map_err(RecvError::of)
        }

        /// Receives what is there now, `most` at most, behind what is in `into`: how many.
        ///
        /// # Errors
        /// [`TryRecvError::Empty`] if there is none; otherwise as for `recv`.
        pub fn try_recv_many(&self, into: &mut Vec<$t>, most: usize) -> Result<usize, TryRecvError> {
            if most == 0 {
                return Ok(0);
            }
            let mut receive = |endpoint: &Endpoint<$t>| endpoint.recv_into(into, most);
            match self.attempt(&mut receive) {
                Ok(n) => Ok(n),
                Err(failure) => self.try_again(failure, receive).map_err(TryRecvError::of),
            }
        }

        /// As [`recv_many`](Self::recv_many), giving up after `timeout`.
        pub fn recv_many_timeout(
            &self,
            into: &mut Vec<$t>,
            most: usize,
            timeout: Duration,
        ) -> Result<usize, RecvTimeoutError> {
            self.recv_some(into, most, || Deadline::after(timeout)).map_err(RecvTimeoutError::of)
        }

        /// As [`recv_many`](Self::recv_many), giving up at `deadline`.
        pub fn recv_many_deadline(
            &self,
            into: &mut Vec<$t>,
            most: usize,
            deadline: Instant,
        ) -> Result<usize, RecvTimeoutError> {
            self.recv_some(into, most, || Deadline::at(deadline)).map_err(RecvTimeoutError::of)
        }

        /// The messages as they come, `most` at most at a time, until the queue is closed (or fails: an iterator cannot say).
        ///
        /// ```
        /// let (tx, rx) = ipc_queue::bounded(8)?;
        /// tx.send_iter(0..5u64)?;
        /// drop(tx);
        /// assert_eq!(rx.batches(3).collect::<Vec<_>>(), [vec![0, 1, 2], vec![3, 4]]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn batches(&self, most: usize) -> impl Iterator<Item = Vec<$t>> {
            let next = move || {
                let mut batch = Vec::new();
                (self.recv_many(&mut batch, most).ok()? > 0).then_some(batch)
            };
            std::iter::from_fn(next).fuse()
        }

        fn recv_some(
            &self,
            into: &mut Vec<$t>,
            most: usize,
            deadline: impl FnOnce() -> Deadline,
        ) -> Result<usize, Failure> {
            if most == 0 {
                return Ok(0);
            }
            let mut receive = |endpoint: &Endpoint<$t>| endpoint.recv_into(into, most);
            match self.attempt(&mut receive) {
                Ok(n) => Ok(n),
                Err(failure) => self.settle(failure, deadline, receive),
            }
        }
    };
}

/// How many items of an iterator are sent by one claim.
pub(crate) const CHUNK: usize = 64;

/// Why not all of a batch was sent: the first `sent` were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendManyError<E> {
    /// How many were sent, in order.
    pub sent: usize,
    /// What became of the next.
    pub error: E,
}

impl<E: fmt::Display> fmt::Display for SendManyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} messages: {}", self.sent, self.error)
    }
}

impl<E: std::error::Error + 'static> std::error::Error for SendManyError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Why not all that an iterator gave was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SendIterError<T> {
    /// How many were sent, in order.
    pub sent: usize,
    /// What the iterator had given, and was not sent, in order.
    pub unsent: Vec<T>,
    /// Why.
    pub error: crate::SendError<()>,
}

impl<T> fmt::Display for SendIterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} messages: {}", self.sent, self.error)
    }
}

/// Without the messages, which may not be `Debug`.
impl<T> fmt::Debug for SendIterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendIterError")
            .field("sent", &self.sent)
            .field("unsent", &self.unsent.len())
            .field("error", &self.error)
            .finish()
    }
}

impl<T: 'static> std::error::Error for SendIterError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
