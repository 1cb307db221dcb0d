//! Loans of endpoints: a message written where it will be read, and read where it was written. How: `ring/loan.rs`.

use crate::endpoints::{Hand, Receiver, Sender};
use crate::error::*;
use crate::ring::{Lent, Role};
use ipc_core::raw::scrub_padding;
use ipc_core::{Deadline, Plain};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// A free place in the queue, to write a message in it; made by [`Sender::reserve`].
///
/// It holds its place: messages that others send afterwards wait behind it, and it holds the whole queue up once the queue
/// has gone round. [`commit`](Self::commit) sends; dropped, it sends nothing and the place is skipped.
///
/// What is in it at first is what was there before: any bytes are a `T`, but no particular ones.
///
/// # Process death
/// If the process dies before `commit`, nothing was sent; receivers skip the place within 100 ms.
///
/// # Fork
/// A forked child that inherits it can do nothing with it: access panics, `commit` and drop do nothing.
#[must_use = "dropped, it sends nothing"]
pub struct SendLoan<'a, T: Plain> {
    hand: &'a Hand<T>,
    lent: Option<Lent>,
}

/// A message that is read where it lies; made by [`Receiver::recv_ref`].
///
/// It holds its place, as a [`SendLoan`] does. [`ack`](Self::ack) says that it has been dealt with; dropped without, the
/// message goes to the next one who receives, out of turn.
///
/// # Process death
/// At least once: if the process dies before `ack`, another receiver gets the message within 100 ms.
///
/// # Fork
/// As for [`SendLoan`].
#[must_use = "dropped, the message comes again; `ack` says that it has been dealt with"]
pub struct RecvLoan<'a, T: Plain> {
    hand: &'a Hand<T>,
    lent: Option<Lent>,
}

impl<T: Plain> Sender<T> {
    /// Takes the next free place, to write a message where it will be read: for messages that are large, and made in place.
    ///
    /// ```
    /// let (tx, rx) = ipc_queue::bounded(4)?;
    /// let mut place = tx.reserve()?;
    /// *place = [0u64; 512];
    /// place[7] = 49;
    /// place.commit();
    /// let message = rx.recv_ref()?;
    /// assert_eq!(message[7], 49);
    /// message.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Blocking
    /// While the queue is full.
    ///
    /// # Process death
    /// See [`SendLoan`].
    ///
    /// # Errors
    /// As for `send`.
    pub fn reserve(&self) -> Result<SendLoan<'_, T>, SendError<()>> {
        self.reserve_by(|| Deadline::NEVER).map_err(|failure| SendError::of((), failure))
    }

    /// Takes a free place if there is one now.
    ///
    /// # Errors
    /// [`TrySendError::Full`]; otherwise as for `send`.
    pub fn try_reserve(&self) -> Result<SendLoan<'_, T>, TrySendError<()>> {
        let attempt = || self.attempt(|endpoint| endpoint.try_reserve());
        match attempt() {
            Err(Failure::WouldBlock) => match self.repaired(Role::Sender) {
                Ok(true) => attempt(),
                Ok(false) => Err(Failure::WouldBlock),
                Err(failure) => Err(failure),
            },
            done => done,
        }
        .map(|lent| SendLoan { hand: self.hand(), lent: Some(lent) })
        .map_err(|failure| TrySendError::of((), failure))
    }

    /// As [`reserve`](Self::reserve), giving up after `timeout`.
    pub fn reserve_timeout(&self, timeout: Duration) -> Result<SendLoan<'_, T>, SendTimeoutError<()>> {
        self.reserve_by(|| Deadline::after(timeout)).map_err(|failure| SendTimeoutError::of((), failure))
    }

    /// As [`reserve`](Self::reserve), giving up at `deadline`.
    pub fn reserve_deadline(&self, deadline: Instant) -> Result<SendLoan<'_, T>, SendTimeoutError<()>> {
        self.reserve_by(|| Deadline::at(deadline)).map_err(|failure| SendTimeoutError::of((), failure))
    }

    fn reserve_by(&self, deadline: impl FnOnce() -> Deadline) -> Result<SendLoan<'_, T>, Failure> {
        let attempt = || self.attempt(|endpoint| endpoint.try_reserve());
        let lent = match attempt() {
            Err(Failure::WouldBlock) => self.wait(Role::Sender, deadline(), attempt)?,
            done => done?,
        };
        Ok(SendLoan { hand: self.hand(), lent: Some(lent) })
    }
}

impl<T: Plain> Receiver<T> {
    /// Takes the next message to read it where it lies: for messages that are large, or must not be lost with their receiver.
    ///
    /// # Blocking
    /// While the queue is empty.
    ///
    /// # Process death
    /// See [`RecvLoan`].
    ///
    /// # Errors
    /// As for `recv`.
    pub fn recv_ref(&self) -> Result<RecvLoan<'_, T>, RecvError> {
        self.recv_ref_by(|| Deadline::NEVER).map_err(RecvError::of)
    }

    /// Takes a message to read it where it lies, if there is one now.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`]; otherwise as for `recv`.
    pub fn try_recv_ref(&self) -> Result<RecvLoan<'_, T>, TryRecvError> {
        match self.attempt(|endpoint| endpoint.try_borrow()) {
            Err(failure) => self.try_again(failure, |endpoint| endpoint.try_borrow()),
            done => done,
        }
        .map(|lent| RecvLoan { hand: self.hand(), lent: Some(lent) })
        .map_err(TryRecvError::of)
    }

    /// As [`recv_ref`](Self::recv_ref), giving up after `timeout`.
    pub fn recv_ref_timeout(&self, timeout: Duration) -> Result<RecvLoan<'_, T>, RecvTimeoutError> {
        self.recv_ref_by(|| Deadline::after(timeout)).map_err(RecvTimeoutError::of)
    }

    /// As [`recv_ref`](Self::recv_ref), giving up at `deadline`.
    pub fn recv_ref_deadline(&self, deadline: Instant) -> Result<RecvLoan<'_, T>, RecvTimeoutError> {
        self.recv_ref_by(|| Deadline::at(deadline)).map_err(RecvTimeoutError::of)
    }

    fn recv_ref_by(&self, deadline: impl FnOnce() -> Deadline) -> Result<RecvLoan<'_, T>, Failure> {
        let lent = match self.attempt(|endpoint| endpoint.try_borrow()) {
            Err(failure) => self.settle(failure, deadline, |endpoint| endpoint.try_borrow())?,
            Ok(lent) => lent,
        };
        Ok(RecvLoan { hand: self.hand(), lent: Some(lent) })
    }
}

impl<T: Plain> SendLoan<'_, T> {
    /// Sends the message. It is there for receivers when this returns.
    pub fn commit(mut self) {
        if let (Ok(endpoint), Some(lent)) = (self.hand.endpoint(), self.lent.take()) {
            if const { T::SCHEMA.has_padding() } {
                // SAFETY: the payload is this loan's alone until the commit, a whole T, and no reference to it is left.
                unsafe { scrub_padding(endpoint.payload(&lent).as_ptr()) };
            }
            endpoint.commit_reserved(lent);
        }
    }
}

impl<T: Plain> RecvLoan<'_, T> {
    /// The message has been dealt with: its place is free.
    pub fn ack(mut self) {
        if let (Ok(endpoint), Some(lent)) = (self.hand.endpoint(), self.lent.take()) {
            endpoint.acknowledge_borrowed(lent);
        }
    }
}

impl<T: Plain> Drop for SendLoan<'_, T> {
    fn drop(&mut self) {
        if let (Ok(endpoint), Some(lent)) = (self.hand.endpoint(), self.lent.take()) {
            endpoint.discard_reserved(lent);
        }
    }
}

impl<T: Plain> Drop for RecvLoan<'_, T> {
    fn drop(&mut self) {
        if let (Ok(endpoint), Some(lent)) = (self.hand.endpoint(), self.lent.take()) {
            endpoint.redeliver_borrowed(lent);
        }
    }
}

/// Where the payload is.
///
/// # Panics
/// If the loan was inherited by fork: it is the parent's.
fn payload<T: Plain>(hand: &Hand<T>, lent: &Option<Lent>) -> NonNull<T> {
    match (hand.endpoint(), lent) {
        (Ok(endpoint), Some(lent)) => endpoint.payload(lent),
        _ => panic!("this loan was inherited by fork: it belongs to the parent process"),
    }
}

impl<T: Plain> Deref for SendLoan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the payload is a whole T in the mapping, aligned; any bytes are one; and it is this loan's alone.
        unsafe { payload(self.hand, &self.lent).as_ref() }
    }
}

impl<T: Plain> DerefMut for SendLoan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes it the only reference.
        unsafe { payload(self.hand, &self.lent).as_mut() }
    }
}

impl<T: Plain> Deref for RecvLoan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the payload is a whole T in the mapping, aligned; any bytes are one; nobody writes to it until it is given
        // back.
        unsafe { payload(self.hand, &self.lent).as_ref() }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for SendLoan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendLoan").field(&**self).finish()
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for RecvLoan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvLoan").field(&**self).finish()
    }
}
