//! The verbs that an endpoint and a queue handle share, written once.
//!
//! A handle has three private ways to its ring: `attempt` does something with an endpoint, once; `repaired` says, after an
//! attempt in vain, whether it is worth another; `wait` makes attempts until one succeeds.

/// For a handle that can send.
macro_rules! send_verbs {
    ($t:ident) => {
        /// Sends, waiting for room if there is none.
        ///
        /// When it returns `Ok`, the message lies in shared memory: the sender may die, and it is delivered.
        ///
        /// # Blocking
        /// While the queue is full: spins for 2–3 µs, then sleeps. Without contention it makes no system call.
        ///
        /// # Process death
        /// Killed inside, the sender has sent the message whole or not at all; a slot that it had claimed is skipped by
        /// the receivers within 100 ms. The death of a receiver inside `recv` gives its slot back within the same time.
        /// A process that is *stopped* inside an operation can hold others up as long as it is stopped.
        ///
        /// # Errors
        /// [`SendError::Closed`] after `close`, or when all receivers (and there has been one) have left, which is found at
        /// once, or died, which is found when the queue is full. The others as listed there. The message comes back.
        #[doc(alias = "put")]
        #[inline]
        pub fn send(&self, message: $t) -> Result<(), SendError<$t>> {
            match self.attempt(|endpoint| endpoint.try_send(message)) {
                Ok(()) => Ok(()),
                Err(Failure::WouldBlock) => {
                    self.wait_to_send(message, Deadline::NEVER).map_err(|failure| SendError::of(message, failure))
                }
                Err(failure) => Err(SendError::of(message, failure)),
            }
        }

        /// Sends if there is room now.
        ///
        /// # Process death
        /// As for [`send`](Self::send). Who polls in vain for over a millisecond looks whether a dead process is in the way.
        ///
        /// # Errors
        /// [`TrySendError::Full`]; otherwise as for [`send`](Self::send). The message comes back.
        #[doc(alias = "put_nowait")]
        #[inline]
        pub fn try_send(&self, message: $t) -> Result<(), TrySendError<$t>> {
            match self.attempt(|endpoint| endpoint.try_send(message)) {
                Ok(()) => Ok(()),
                Err(Failure::WouldBlock) => self.try_to_send_again(message).map_err(|f| TrySendError::of(message, f)),
                Err(failure) => Err(TrySendError::of(message, failure)),
            }
        }

        /// As [`send`](Self::send), giving up with [`SendTimeoutError::Timeout`] after `timeout`.
        pub fn send_timeout(&self, message: $t, timeout: Duration) -> Result<(), SendTimeoutError<$t>> {
            self.send_until(message, || Deadline::after(timeout))
        }

        /// As [`send`](Self::send), giving up with [`SendTimeoutError::Timeout`] at `deadline`.
        pub fn send_deadline(&self, message: $t, deadline: Instant) -> Result<(), SendTimeoutError<$t>> {
            self.send_until(message, || Deadline::at(deadline))
        }

        fn send_until(&self, message: $t, deadline: impl FnOnce() -> Deadline) -> Result<(), SendTimeoutError<$t>> {
            match self.attempt(|endpoint| endpoint.try_send(message)) {
                Err(Failure::WouldBlock) => self.wait_to_send(message, deadline()),
                done => done,
            }
            .map_err(|failure| SendTimeoutError::of(message, failure))
        }

        #[cold]
        fn try_to_send_again(&self, message: $t) -> Result<(), Failure> {
            if self.repaired(Role::Sender)? {
                self.attempt(|endpoint| endpoint.try_send(message))
            } else {
                Err(Failure::WouldBlock)
            }
        }

        #[cold]
        fn wait_to_send(&self, message: $t, deadline: Deadline) -> Result<(), Failure> {
            self.wait(Role::Sender, deadline, || self.attempt(|endpoint| endpoint.try_send(message)))
        }
    };
}

/// For a handle that can receive.
macro_rules! recv_verbs {
    ($t:ident) => {
        /// Receives the next message, waiting for one if there is none.
        ///
        /// Messages of one sender come in the order in which it sent them; each goes to one receiver.
        ///
        /// # Blocking
        /// While the queue is empty: spins for 2–3 µs, then sleeps. Without contention it makes no system call.
        ///
        /// # Process death
        /// At most once: a message that was returned dies with its receiver; one that a receiver was killed over before
        /// that goes to another receiver within 100 ms, out of turn. No torn message is ever returned. Killed while it
        /// waits, a receiver leaves nothing behind.
        ///
        /// # Errors
        /// [`RecvError::Closed`] once nothing is left inside, after `close`, or when all senders (and there has been one)
        /// have left or died. The others as listed there.
        #[doc(alias = "get")]
        #[inline]
        pub fn recv(&self) -> Result<$t, RecvError> {
            match self.attempt(|endpoint| endpoint.try_recv()) {
                Ok(message) => Ok(message),
                Err(failure) => self.settle(failure, || Deadline::NEVER, |e| e.try_recv()).map_err(RecvError::of),
            }
        }

        /// Receives a message if there is one now.
        ///
        /// # Process death
        /// As for [`recv`](Self::recv). Who polls in vain for over a millisecond looks whether a dead process is in the way.
        ///
        /// # Errors
        /// [`TryRecvError::Empty`]; otherwise as for [`recv`](Self::recv).
        #[doc(alias = "get_nowait")]
        #[inline]
        pub fn try_recv(&self) -> Result<$t, TryRecvError> {
            match self.attempt(|endpoint| endpoint.try_recv()) {
                Ok(message) => Ok(message),
                Err(failure) => self.try_again(failure, |endpoint| endpoint.try_recv()).map_err(TryRecvError::of),
            }
        }

        /// As [`recv`](Self::recv), giving up with [`RecvTimeoutError::Timeout`] after `timeout`.
        pub fn recv_timeout(&self, timeout: Duration) -> Result<$t, RecvTimeoutError> {
            self.recv_until(|| Deadline::after(timeout))
        }

        /// As [`recv`](Self::recv), giving up with [`RecvTimeoutError::Timeout`] at `deadline`.
        pub fn recv_deadline(&self, deadline: Instant) -> Result<$t, RecvTimeoutError> {
            self.recv_until(|| Deadline::at(deadline))
        }

        fn recv_until(&self, deadline: impl FnOnce() -> Deadline) -> Result<$t, RecvTimeoutError> {
            match self.attempt(|endpoint| endpoint.try_recv()) {
                Ok(message) => Ok(message),
                Err(failure) => self.settle(failure, deadline, |e| e.try_recv()).map_err(RecvTimeoutError::of),
            }
        }

        /// What to do about a first attempt that failed and may wait.
        #[cold]
        pub(crate) fn settle<R>(
            &self,
            failure: Failure,
            deadline: impl FnOnce() -> Deadline,
            mut receive: impl FnMut(&Endpoint<$t>) -> Result<R, Stop>,
        ) -> Result<R, Failure> {
            match failure {
                // Closed as well: the dead may have claimed messages that can still be delivered.
                Failure::WouldBlock | Failure::Closed => {
                    self.wait(Role::Receiver, deadline(), || self.attempt(&mut receive))
                }
                _ => Err(failure),
            }
        }

        /// What to do about a first attempt that failed and may not wait.
        #[cold]
        pub(crate) fn try_again<R>(
            &self,
            failure: Failure,
            receive: impl FnOnce(&Endpoint<$t>) -> Result<R, Stop>,
        ) -> Result<R, Failure> {
            let again = match failure {
                Failure::WouldBlock => self.repaired(Role::Receiver)?,
                // The dead may have claimed messages that can still be delivered.
                Failure::Closed => look_everywhere(&self.body().ring, self.segment()).map_err(Failure::Corrupt)?,
                _ => false,
            };
            if again { self.attempt(receive) } else { Err(failure) }
        }

        /// The messages as they come, waiting for each, until the queue is closed (or fails: an iterator cannot say).
        ///
        /// ```
        /// let (tx, rx) = ipc_queue::bounded(4)?;
        /// tx.send(1u32)?;
        /// tx.send(2)?;
        /// drop(tx);
        /// assert_eq!(rx.iter().sum::<u32>(), 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn iter(&self) -> impl Iterator<Item = $t> {
            std::iter::from_fn(|| self.recv().ok()).fuse()
        }

        /// The messages that are there now, without waiting.
        pub fn try_iter(&self) -> impl Iterator<Item = $t> {
            std::iter::from_fn(|| self.try_recv().ok())
        }
    };
}

/// For a handle with `body: &Body<T>` from `fn body(&self)`.
macro_rules! queue_queries {
    () => {
        /// Messages inside now, those being sent or received this moment included as their claims stand.
        ///
        /// What was sent before the call, by whatever process, is counted. A moment later it may be different.
        #[doc(alias = "qsize")]
        pub fn len(&self) -> usize {
            self.body().ring.len() as usize
        }

        /// Whether no message is inside now.
        #[doc(alias = "empty")]
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Whether there is no room now.
        #[doc(alias = "full")]
        pub fn is_full(&self) -> bool {
            self.len() == self.capacity()
        }

        /// How many messages fit in. Never changes.
        #[doc(alias = "maxsize")]
        pub fn capacity(&self) -> usize {
            self.body().ring.positions().capacity() as usize
        }

        /// Accepts no message any more, in any process. What is inside can be received, then everybody gets `Closed`.
        /// Closing twice is closing once. Never waits.
        ///
        /// # Process death
        /// Killed inside, the caller has closed the queue or not; sleepers notice within 50 ms.
        pub fn close(&self) {
            self.body().ring.close();
        }

        /// Whether [`close`](Self::close) was called, by whatever process. Says nothing of who has left or died.
        pub fn is_closed(&self) -> bool {
            self.body().ring.is_closed()
        }

        /// The segment it lies in.
        pub fn segment(&self) -> &Segment {
            self.body().object.segment()
        }
    };
}
