//! The semaphores in every placement.

use ipc_sync::{AcquireError, AnonymousSemaphore, BinarySemaphore, BoundedSemaphore, Event, Reset, Semaphore};
use ipc_tests::child::Child;
use std::cell::RefCell;
use std::time::Duration;

ipc_tests::roles!(Semaphore, BoundedSemaphore, AnonymousSemaphore, BinarySemaphore);

mod semaphore {
    ipc_tests::semaphore_suite!(ipc_sync::Semaphore);
}

mod bounded {
    ipc_tests::semaphore_suite!(ipc_sync::BoundedSemaphore);
}

mod count {
    use ipc_tests::suites::count::*;

    ipc_tests::in_every_placement!(
        [smoke, timed_verbs_give_up_in_time, as_many_get_through_as_are_released, a_turn_is_handed_over],
        [a_killed_waiter_takes_nothing, a_permit_dies_with_its_holder]
    );
}

/// A child inherits no permits: neither dropping nor forgetting one that it finds in its memory changes anything.
#[test]
fn a_forked_child_has_no_permits() {
    let semaphore = Semaphore::new(2, 2).expect("a semaphore");
    let permits = RefCell::new(vec![semaphore.acquire().expect("one"), semaphore.acquire().expect("two")]);
    Child::fork(|| {
        permits.take().pop().expect("a copy").forget();
        drop(permits.take());
        assert_eq!(semaphore.available(), 0);
        assert_eq!(semaphore.acquire_timeout(Duration::from_millis(5)).err(), Some(AcquireError::Timeout));
    })
    .join();
    assert_eq!((semaphore.available(), permits.borrow().len()), (0, 2));
    drop(permits);
    Child::fork(|| assert_eq!(semaphore.acquire_many(2).expect("its own").len(), 2)).join();
    assert_eq!(semaphore.acquire_many(2).expect("the child has left").len(), 2);
}

/// XS27: who waits sleeps: eight waiters for half a second use next to no processor time.
#[test]
fn waiters_sleep() {
    let semaphore = Semaphore::new(0, 1).expect("a semaphore");
    let event = Event::new(Reset::Manual).expect("an event");
    let waiter = Child::fork(|| {
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| semaphore.acquire_timeout(Duration::from_millis(500)).is_ok());
                s.spawn(|| event.wait_timeout(Duration::from_millis(500)).is_ok());
            }
        });
        let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).expect("usage");
        let used = used.user_time() + used.system_time();
        assert!(used.tv_sec() == 0 && used.tv_usec() < 200_000, "{used}");
    });
    waiter.join();
}
