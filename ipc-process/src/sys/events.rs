//! What the supervisor sleeps on: one epoll set, and an event counter by which others wake it. `epoll(7)`, `eventfd(2)`
//!
//! The set is not limited by RLIMIT_NOFILE as `poll(2)` is, and costs the same with one child and with a thousand. A
//! registration belongs to the open file, not to the descriptor: a copy that a forked process holds would keep it alive, so
//! every descriptor is taken out before it is closed.

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::{Errno, retry_on_intr};
use std::io::Result;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The set and the bell.
#[derive(Debug)]
pub(crate) struct Events {
    set: OwnedFd,
    bell: OwnedFd,
}

/// The key under which the bell reports.
pub(crate) const BELL: u64 = u64::MAX;

/// Pause between two attempts to listen to a set that is broken.
const DEAF: Duration = Duration::from_millis(50);

impl Events {
    pub(crate) fn new() -> Result<Self> {
        let set = super::stdio::above(epoll::create(epoll::CreateFlags::CLOEXEC)?)?;
        let bell = super::stdio::above(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)?;
        let events = Self { set, bell };
        events.handle().add(events.bell.as_fd(), BELL)?;
        Ok(events)
    }

    /// The same set and bell for a thread that cannot own them.
    pub(crate) fn handle(&self) -> EventsRef<'_> {
        EventsRef { set: self.set.as_fd(), bell: self.bell.as_fd() }
    }
}

/// A borrowed [`Events`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventsRef<'a> {
    set: BorrowedFd<'a>,
    bell: BorrowedFd<'a>,
}

impl<'a> EventsRef<'a> {
    /// The same for a thread that lives as long as its process.
    pub(crate) fn for_ever(self) -> EventsRef<'static> {
        // SAFETY: the owner keeps the set until the process ends, or until a fork, in a process without that thread.
        let set = unsafe { BorrowedFd::borrow_raw(self.set.as_raw_fd()) };
        // SAFETY: as above.
        let bell = unsafe { BorrowedFd::borrow_raw(self.bell.as_raw_fd()) };
        EventsRef { set, bell }
    }

    /// Reports `descriptor` under `key` while it is readable or closed by the other side.
    pub(crate) fn add(self, descriptor: BorrowedFd<'_>, key: u64) -> Result<()> {
        Ok(epoll::add(self.set, descriptor, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?)
    }

    /// Reports it no more. Absent is fine.
    pub(crate) fn remove(self, descriptor: BorrowedFd<'_>) {
        // ENOENT: it was taken out before.
        let _ = epoll::delete(self.set, descriptor);
    }

    /// Wakes the waiter.
    pub(crate) fn ring(self) {
        // EAGAIN: the counter is full, so the waiter is being woken anyway.
        let _ = retry_on_intr(|| rustix::io::write(self.bell, &1u64.to_ne_bytes()));
    }

    /// Makes the bell silent again.
    pub(crate) fn hush(self) {
        let _ = retry_on_intr(|| rustix::io::read(self.bell, &mut [0; 8]));
    }

    /// Waits for reports, at most for `timeout` if there is one, and leaves their keys in `keys`.
    pub(crate) fn wait(self, keys: &mut Vec<u64>, timeout: Option<Duration>) {
        let timeout = timeout.map(|t| Timespec { tv_sec: t.as_secs() as _, tv_nsec: t.subsec_nanos() as _ });
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 64];
        keys.clear();
        match epoll::wait(self.set, &mut events, timeout.as_ref()) {
            Ok((ready, _)) => keys.extend(ready.iter().map(|event| event.data.u64())),
            Err(Errno::INTR) => {}
            // Somebody closed a descriptor that is ours. Nothing can be heard any more, but nothing must burn either.
            Err(_) => std::thread::sleep(DEAF),
        }
    }
}
