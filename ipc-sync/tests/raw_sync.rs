//! Events through the traits of the crate `raw_sync`, between processes.

use ipc_sync::raw_sync::Event;
use ipc_sync::{EventError, Reset};
use raw_sync::Timeout;
use raw_sync::events::{EventImpl, EventInit, EventState};
use shared_memory::{Shmem, ShmemConf};
use std::time::{Duration, Instant};

/// An odd address: the event finds its place by itself.
const AT: usize = 3;

fn mapping() -> Shmem {
    ShmemConf::new().size(4096).create().unwrap()
}

fn at(shmem: &Shmem) -> *mut u8 {
    shmem.as_ptr().wrapping_add(AT)
}

/// A forked child that does this, and exits with what it comes to; waited for when dropped, and killed first.
struct Child(libc::pid_t);

impl Child {
    fn run(body: impl FnOnce() -> bool) -> Self {
        // SAFETY: the child uses the library and the allocator, both of which are good after fork, and never returns.
        match unsafe { libc::fork() } {
            0 => {
                let status = i32::from(!body());
                // SAFETY: no preconditions.
                unsafe { libc::_exit(status) }
            }
            pid => Self(pid),
        }
    }

    fn end(self) -> bool {
        let mut status = -1;
        // SAFETY: a child of ours, waited for once; the status is a local.
        let waited = unsafe { libc::waitpid(self.0, &mut status, 0) };
        let good = waited == self.0 && status == 0;
        std::mem::forget(self);
        good
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: a child of ours that nobody has waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        // SAFETY: as above.
        unsafe { libc::waitpid(self.0, std::ptr::null_mut(), 0) };
    }
}

fn timed_out(event: &dyn EventImpl, timeout: Duration) -> bool {
    let error = event.wait(Timeout::Val(timeout)).unwrap_err();
    matches!(error.downcast_ref(), Some(EventError::Timeout))
}

#[test]
fn one_process_sets_and_another_waits() {
    let shmem = mapping();
    // SAFETY: the mapping has room and outlives the events.
    let (there, used) = unsafe { Event::new(at(&shmem), true) }.unwrap();
    assert_eq!(used, Event::size_of(Some(at(&shmem))));
    assert_eq!(used, 61 + 128);
    let child = Child::run(|| {
        // SAFETY: as above; the child has the mapping at the same address.
        let here = unsafe { Event::from_existing(at(&shmem)) };
        here.is_ok_and(|(here, _)| here.wait(Timeout::Infinite).is_ok())
    });
    there.set(EventState::Signaled).unwrap();
    assert!(child.end());
    assert!(timed_out(&*there, Duration::ZERO), "the wait has reset it");
}

#[test]
fn a_manual_event_stays_set_until_it_is_cleared() {
    let mut memory = vec![0u8; Event::size_of(None)];
    // SAFETY: so many bytes, which outlive the event.
    let (event, used) = unsafe { Event::new(memory.as_mut_ptr(), false) }.unwrap();
    assert!(used <= memory.len());
    event.set(EventState::Signaled).unwrap();
    event.wait(Timeout::Infinite).unwrap();
    event.wait(Timeout::Val(Duration::ZERO)).unwrap();
    event.set(EventState::Clear).unwrap();
    assert!(timed_out(&*event, Duration::ZERO));
}

/// A waiter that is killed holds up nobody.
#[test]
fn a_killed_waiter_is_missed_by_nobody() {
    let shmem = mapping();
    // SAFETY: the mapping has room and outlives the event.
    let (event, _) = unsafe { Event::new(at(&shmem), true) }.unwrap();
    drop(Child::run(|| event.wait(Timeout::Infinite).is_ok()));
    event.set(EventState::Signaled).unwrap();
    event.wait(Timeout::Infinite).unwrap();
}

/// Not at once, as in `raw_sync` whenever the nanoseconds are not carried.
#[test]
fn timeouts_last() {
    let mut memory = vec![0u8; Event::size_of(None)];
    // SAFETY: so many bytes, which outlive the event.
    let (event, _) = unsafe { Event::new(memory.as_mut_ptr(), true) }.unwrap();
    for _ in 0..4 {
        let (start, timeout) = (Instant::now(), Duration::from_millis(30));
        assert!(timed_out(&*event, timeout));
        assert!(start.elapsed() >= timeout);
    }
}

/// XS24.
#[test]
fn what_is_not_an_event_is_refused() {
    let mut memory = vec![0xffu8; Event::size_of(None)];
    // SAFETY: so many bytes, which outlive the event.
    let Err(error) = (unsafe { Event::from_existing(memory.as_mut_ptr()) }) else { panic!("believed") };
    assert!(error.is::<ipc_core::Corrupt>(), "{error}");
    // SAFETY: refused before anything is touched.
    assert!(unsafe { Event::new(std::ptr::null_mut(), true) }.is_err());
}

#[test]
fn an_event_of_a_segment_is_one_of_theirs() {
    let event = ipc_sync::Event::new(Reset::Auto).unwrap();
    let theirs: &dyn EventImpl = &event;
    theirs.set(EventState::Signaled).unwrap();
    assert!(event.is_set());
    theirs.wait(Timeout::Infinite).unwrap();
    assert!(timed_out(theirs, Duration::ZERO));
}
