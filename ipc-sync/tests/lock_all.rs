//! `lock_all`: one order, all or none.

use ipc_sync::{
    Lock, LockAllError, LockError, RLock, Segment, lock_all, lock_all_deadline, lock_all_timeout, try_lock_all,
};
use std::time::{Duration, Instant};

fn three() -> (Segment, [Lock<u64>; 3]) {
    let segment = Segment::new(16 << 10).unwrap();
    let lock = || Lock::new_in(&segment, 0).unwrap();
    let locks = [lock(), lock(), lock()];
    (segment, locks)
}

#[test]
fn smoke() {
    let (_segment, locks) = three();
    let own = Lock::new(5u64).unwrap();
    let again = RLock::new(1u64).unwrap();
    {
        let (mut one, mut mine, shared) = lock_all((&locks[0], &own, &again)).unwrap();
        *one += *mine + shared.get();
        *mine = 0;
    }
    let values: Vec<_> = lock_all(&locks).unwrap().iter().map(|value| **value).collect();
    assert_eq!(values, [6, 0, 0]);
    assert_eq!(*own.lock().unwrap(), 0);
}

#[test]
fn guards_come_in_the_order_given() {
    let (_segment, locks) = three();
    (0..3).for_each(|n| *locks[n].lock().unwrap() = n as u64);
    let values: Vec<_> = lock_all(&[&locks[2], &locks[0], &locks[1]]).unwrap().iter().map(|value| **value).collect();
    assert_eq!(values, [2, 0, 1]);
}

#[test]
fn the_same_lock_twice_is_refused() {
    let (_segment, locks) = three();
    let twin = Lock::<u64>::attach(&locks[1].ticket()).unwrap();
    let refused = lock_all(&[&locks[1], &locks[0], &twin]).err();
    assert_eq!(refused, Some(LockAllError::Duplicate { first: 0, second: 2 }));
    assert_eq!(lock_all((&locks[0], &locks[0])).err(), Some(LockAllError::Duplicate { first: 0, second: 1 }));
    assert!(try_lock_all(&locks).is_ok(), "nothing is held");
}

#[test]
fn all_are_released_when_one_fails() {
    let (_segment, locks) = three();
    let held = locks[2].lock().unwrap();
    let everybody_else = |expected: LockError| {
        let failed = |error| Some(LockAllError::Lock { index: 2, error });
        assert_eq!(try_lock_all(&locks).err(), failed(LockError::WouldBlock));
        let soon = Duration::from_millis(5);
        assert_eq!(lock_all_timeout(&locks, soon).err(), failed(expected.clone()));
        assert_eq!(lock_all_deadline(&locks, Instant::now() + soon).err(), failed(expected));
        assert!(locks[..2].iter().all(|lock| lock.try_lock().is_ok()));
    };
    everybody_else(LockError::WouldDeadlock);
    std::thread::scope(|s| s.spawn(|| everybody_else(LockError::Timeout)).join().unwrap());
    drop(held);
    assert!(lock_all_timeout(&locks, Duration::ZERO).is_ok());
}

#[test]
fn a_marked_lock_is_named() {
    let (_segment, locks) = three();
    let panicked = std::thread::scope(|s| {
        s.spawn(|| {
            let mut held = locks[1].lock().unwrap();
            *held = 1;
            std::panic::resume_unwind(Box::new("on purpose"));
        })
        .join()
    });
    assert!(panicked.is_err());
    let told = lock_all(&locks).err();
    assert!(matches!(told, Some(LockAllError::Lock { index: 1, error: LockError::Inconsistent { .. } })), "{told:?}");
    drop(locks[1].recover(|value| *value = 0).unwrap());
    assert_eq!(lock_all(&locks).unwrap().len(), 3);
}

/// Each thread names the locks in another order, and all come through.
#[test]
fn opposite_orders_do_not_deadlock() {
    let (_segment, locks) = three();
    let orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]];
    std::thread::scope(|s| {
        for order in orders {
            let locks = &locks;
            s.spawn(move || {
                for _ in 0..500 {
                    let set = order.map(|n| &locks[n]);
                    lock_all(&set).unwrap().iter_mut().for_each(|value| **value += 1);
                }
            });
        }
    });
    assert!(lock_all(&locks).unwrap().iter().all(|value| **value == 2000));
}
