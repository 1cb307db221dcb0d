//! `Condition` between threads: its verbs, its errors, the locks it works with. Between processes: the suite of `ipc-tests`.

use ipc_core::{Array, Value};
use ipc_sync::{Condition, ConditionError, ErrorKind, Lock, LockError, Segment, Wake};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);

fn until_waiting(condition: &Condition, waiters: usize) {
    while condition.waiters() != waiters {
        std::thread::yield_now();
    }
}

#[test]
fn smoke() {
    let (turn, condition) = (Lock::new(0u32).unwrap(), Condition::new().unwrap());
    std::thread::scope(|s| {
        s.spawn(|| {
            let mut guard = condition.wait_while(turn.lock().unwrap(), |turn| *turn != 1).unwrap();
            *guard = 2;
            condition.notify_one();
        });
        *turn.lock().unwrap() = 1;
        condition.notify_one();
        let guard = condition.wait_for(turn.lock().unwrap(), |turn| *turn == 2).unwrap();
        assert_eq!(*guard, 2);
    });
}

/// CV05, CV13: a time-out is told as one, no earlier than it should, and the lock is held again.
#[test]
fn a_timed_wait_gives_up_in_time() {
    let (lock, condition) = (Lock::new(()).unwrap(), Condition::new().unwrap());
    let mut guard = lock.lock().unwrap();
    for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
        let began = Instant::now();
        let wake;
        (guard, wake) = condition.wait_timeout(guard, timeout).unwrap();
        assert!(wake.timed_out() && began.elapsed() >= timeout);
        assert_eq!(lock.try_lock().err(), Some(LockError::WouldBlock));
    }
    let (_guard, wake) = condition.wait_deadline(guard, Instant::now()).unwrap();
    assert_eq!((wake, condition.waiters()), (Wake::TimedOut, 0));
}

/// CV08: the predicate decides, not the notifications; the time is that of the whole wait.
#[test]
fn a_predicate_that_stays_false_times_out() {
    let (lock, condition) = (Lock::new(0u32).unwrap(), Condition::new().unwrap());
    std::thread::scope(|s| {
        let waiter = s.spawn(|| {
            let began = Instant::now();
            let (guard, met) = condition.wait_for_timeout(lock.lock().unwrap(), |n| *n == 9, 4 * SHORT).unwrap();
            (*guard, met, began.elapsed() >= 4 * SHORT)
        });
        for _ in 0..3 {
            while condition.waiters() == 0 && !waiter.is_finished() {
                std::thread::yield_now();
            }
            *lock.lock().unwrap() += 1;
            condition.notify_all();
        }
        let (_, met, in_time) = waiter.join().unwrap();
        assert!(!met && in_time);
    });
    let (_, met) = condition.wait_while_timeout(lock.lock().unwrap(), |n| *n == 0, Duration::ZERO).unwrap();
    assert!(met, "what is true already does not wait");
    let (_, met) = condition.wait_while_deadline(lock.lock().unwrap(), |_| true, Instant::now()).unwrap();
    assert!(!met);
    let (_, met) = condition.wait_for_deadline(lock.lock().unwrap(), |_| true, Instant::now()).unwrap();
    assert!(met);
}

/// CV04: nothing is remembered for those who come later.
#[test]
fn a_notification_is_not_remembered() {
    let (lock, condition) = (Lock::new(()).unwrap(), Condition::new().unwrap());
    assert!(!condition.notify_one());
    assert_eq!((condition.notify(3), condition.notify_all()), (0, 0));
    assert!(condition.wait_timeout(lock.lock().unwrap(), SHORT).unwrap().1.timed_out());
}

/// CV11: the guard of a value kept twice, and of a slice; what was replaced meanwhile is seen.
#[test]
fn it_works_with_every_lock() {
    let segment = Segment::new(64 << 10).unwrap();
    let (value, words) = (Value::new_in(&segment, [0u64; 3]).unwrap(), Array::<u32>::new(4).unwrap());
    let (of_value, of_words) = (Condition::new_in(&segment).unwrap(), Condition::new().unwrap());
    std::thread::scope(|s| {
        let one = s.spawn(|| *of_value.wait_while(value.lock().unwrap(), |v| v[2] == 0).unwrap());
        let other = s.spawn(|| of_words.wait_while(words.lock().unwrap(), |w| w[3] == 0).unwrap().to_vec());
        until_waiting(&of_value, 1);
        until_waiting(&of_words, 1);
        // Replaces the copy that the waiter's guard had.
        value.set([1, 2, 3]).unwrap();
        words.write(0, &[4, 5, 6, 7]).unwrap();
        assert!(of_value.notify_one() && of_words.notify_one());
        assert_eq!((one.join().unwrap(), other.join().unwrap()), ([1, 2, 3], vec![4, 5, 6, 7]));
    });
}

/// A condition belongs to the lock that it was first waited on with; after an error the lock is free.
#[test]
fn another_lock_is_an_error() {
    let (one, other, condition) = (Lock::new(()).unwrap(), Lock::new(0u64).unwrap(), Condition::new().unwrap());
    assert!(condition.wait_timeout(one.lock().unwrap(), Duration::ZERO).unwrap().1.timed_out());
    assert_eq!(condition.wait(other.lock().unwrap()).err(), Some(ConditionError::WrongLock));
    assert!(other.try_lock().is_ok() && one.try_lock().is_ok());
    let twin = Lock::<()>::attach(&one.ticket()).unwrap();
    assert!(condition.wait_timeout(twin.lock().unwrap(), Duration::ZERO).is_ok(), "the same lock by another handle");
}

#[test]
fn a_full_condition_is_an_error() {
    let lock = Lock::new(()).unwrap();
    let condition = Condition::options().cells(2).new().unwrap();
    std::thread::scope(|s| {
        let waiters = [(); 2].map(|()| s.spawn(|| drop(condition.wait(lock.lock().unwrap()).unwrap())));
        until_waiting(&condition, 2);
        assert_eq!(condition.wait(lock.lock().unwrap()).err(), Some(ConditionError::NoCell { cells: 2 }));
        assert_eq!(condition.notify_all(), 2);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    for cells in [0, 1 << 20] {
        let error = Condition::options().cells(cells).new().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument { what: "number of cells", .. }), "{error}");
    }
}

/// A panic while writing is told to those who wait, too.
#[test]
fn a_panic_under_the_lock_ends_the_wait() {
    let (lock, condition) = (Lock::new(0u32).unwrap(), Condition::new().unwrap());
    std::thread::scope(|s| {
        let waiter = s.spawn(|| condition.wait(lock.lock().unwrap()).map(drop));
        until_waiting(&condition, 1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            *lock.lock().unwrap() += 1;
            let mut guard = lock.lock().unwrap();
            *guard += 1;
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(panicked.is_err());
        assert!(matches!(waiter.join().unwrap(), Err(ConditionError::Lock(LockError::Inconsistent { .. }))));
    });
    drop(lock.recover(|n| *n = 0).unwrap());
    assert!(condition.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap().1.timed_out());
    assert_eq!(condition.waiters(), 0);
}

/// CV12: each wake happens in the phase in which it was notified, whatever the mixture of old and new waiters.
#[test]
fn phases_do_not_mix() {
    // The phase, and how many wakes have been seen.
    let (state, condition) = (Lock::new([0u32; 2]).unwrap(), Condition::new().unwrap());
    let wake = || {
        let mut now = condition.wait(state.lock().unwrap()).unwrap();
        now[1] += 1;
        now[0]
    };
    std::thread::scope(|s| {
        let waiters: Vec<_> = (0..5).map(|_| s.spawn(|| (wake(), wake()))).collect();
        until_waiting(&condition, 5);
        let advance = |n: usize| {
            let mut now = state.lock().unwrap();
            now[0] += 1;
            assert_eq!(condition.notify(n), n);
        };
        // All who were notified in a phase have seen it before the next begins.
        let until_seen = |wakes: u32, waiting: u32| {
            while state.lock().unwrap()[1] < wakes {
                std::thread::yield_now();
            }
            until_waiting(&condition, waiting as _);
        };
        advance(3);
        until_seen(3, 5);
        advance(5);
        until_seen(8, 2);
        advance(2);
        let mut seen: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 2), (1, 2), (1, 2), (2, 3), (2, 3)]);
    });
}

#[test]
fn by_name_by_ticket_and_many_in_one_segment() {
    let segment = Segment::new(1 << 20).unwrap();
    let lock = Lock::new_in(&segment, ()).unwrap();
    let many: Vec<_> = (0..100).map(|n| Condition::create_in(&segment, &format!("c{n}")).unwrap()).collect();
    let twin = Condition::open_in(&segment, "c42").unwrap();
    std::thread::scope(|s| {
        s.spawn(|| drop(many[42].wait(lock.lock().unwrap()).unwrap()));
        until_waiting(&twin, 1);
        assert!(many[41].waiters() == 0 && Condition::attach(&twin.ticket()).unwrap().notify_one());
    });
    assert!(matches!(Lock::<()>::open_in(&segment, "c1").unwrap_err().kind(), ErrorKind::WrongKind { .. }));
    assert!(format!("{twin:?}").contains("cells: 64"));
}
