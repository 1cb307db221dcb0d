//! `Value` in one process; across processes see the conformance suite.

use ipc_core::{Cause, ErrorKind, LockError, Segment, Value, plain};
use std::time::{Duration, Instant};

#[plain]
#[derive(Debug, PartialEq)]
struct Pair {
    a: u64,
    b: u64,
}

/// VA06.
#[test]
fn smoke() {
    let value = Value::new(Pair { a: 1, b: 2 }).unwrap();
    value.set(Pair { a: 3, b: 4 }).unwrap();
    assert_eq!(value.get().unwrap(), Pair { a: 3, b: 4 });
    assert_eq!(
        value
            .update(|p| {
                p.a += 1;
                p.b
            })
            .unwrap(),
        4
    );
    value.lock().unwrap().b = 9;
    assert_eq!(value.get().unwrap(), Pair { a: 4, b: 9 });
    value.set(Pair { a: 0, b: 0 }).unwrap();
    assert_eq!(value.clone().get().unwrap(), Pair { a: 0, b: 0 });
}

#[test]
fn threads_lose_no_update() {
    let value = Value::new(0u64).unwrap();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..5_000).for_each(|_| value.update(|v| *v += 1).unwrap()));
        }
    });
    assert_eq!(value.get().unwrap(), 20_000);
}

#[test]
fn relocking_is_an_error_not_a_hang() {
    let value = Value::new(1u8).unwrap();
    let guard = value.lock().unwrap();
    assert_eq!(value.lock().unwrap_err(), LockError::WouldDeadlock);
    assert_eq!(value.try_lock().unwrap_err(), LockError::WouldBlock);
    drop(guard);
    assert!(value.lock().is_ok());
}

#[test]
fn a_held_lock_times_out_for_another_thread() {
    let value = Value::new(1u8).unwrap();
    let _guard = value.lock().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| {
            let started = Instant::now();
            assert_eq!(value.lock_timeout(Duration::from_millis(20)).unwrap_err(), LockError::Timeout);
            assert!(started.elapsed() >= Duration::from_millis(20));
            assert_eq!(value.lock_timeout(Duration::ZERO).unwrap_err(), LockError::Timeout);
        });
    });
}

#[test]
fn a_panic_while_writing_marks_and_recover_unmarks() {
    let value = Value::new(Pair { a: 1, b: 1 }).unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut guard = value.lock().unwrap();
        guard.a = 2;
        panic!("half-way");
    }));
    assert!(result.is_err());
    let Err(LockError::Inconsistent { cause: Cause::Panicked { pid, .. } }) = value.get() else { panic!("not told") };
    assert_eq!(pid, std::process::id());
    assert!(value.is_inconsistent());
    let guard = value.recover(|p| p.b = p.a).unwrap();
    assert_eq!(*guard, Pair { a: 2, b: 2 });
    drop(guard);
    assert_eq!(value.get().unwrap(), Pair { a: 2, b: 2 });
    value.recover(|_| unreachable!("nothing to repair")).map(drop).unwrap();
}

#[test]
fn a_panic_while_reading_or_updating_marks_nothing() {
    let value = Value::new(Pair { a: 1, b: 1 }).unwrap();
    for attempt in [true, false] {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if attempt {
                let _guard = value.lock().unwrap();
                panic!("only read");
            }
            value
                .update(|p| {
                    p.a = 7;
                    panic!("on a copy")
                })
                .unwrap()
        }));
        assert!(result.is_err());
        assert_eq!(value.get().unwrap(), Pair { a: 1, b: 1 });
    }
}

#[test]
fn a_repair_that_panics_leaves_the_mark() {
    let value = Value::new(1u32).unwrap();
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        *value.lock().unwrap() = 2;
        let mut guard = value.lock().unwrap();
        *guard = 3;
        panic!("first");
    }));
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = value.recover(|_| panic!("second"));
    }));
    assert!(matches!(value.get(), Err(LockError::Inconsistent { .. })));
    assert_eq!(*value.recover(|v| *v = 5).unwrap(), 5);
}

#[test]
fn many_in_one_segment_named_and_not() {
    let segment = Segment::new(1 << 20).unwrap();
    let named = Value::create_in(&segment, "named", 1u64).unwrap();
    let unnamed: Vec<_> = (0..1000u64).map(|i| Value::new_in(&segment, i).unwrap()).collect();
    assert!(unnamed.iter().zip(0..).all(|(v, i)| v.get().unwrap() == i));
    let again = Value::<u64>::open_in(&segment, "named").unwrap();
    again.set(77).unwrap();
    assert_eq!(named.get().unwrap(), 77);
    let taken = Value::create_in(&segment, "named", 1u64).unwrap_err();
    assert!(matches!(taken.kind(), ErrorKind::AlreadyExists { name } if name == "named"));
    let missing = Value::<u64>::open_in(&segment, "nobody").unwrap_err();
    assert!(matches!(missing.kind(), ErrorKind::NotFound { .. }));
    let other = Value::<u32>::open_in(&segment, "named").unwrap_err();
    assert!(matches!(other.kind(), ErrorKind::WrongType { found, expected } if found == "u64" && expected == "u32"));
    let other = ipc_core::Array::<u64>::open_in(&segment, "named").unwrap_err();
    assert!(matches!(other.kind(), ErrorKind::WrongKind { .. }));
}

#[test]
fn a_full_segment_says_how_full() {
    let segment = Segment::new(4096).unwrap();
    let error = std::iter::repeat_with(|| Value::new_in(&segment, [0u8; 100])).find_map(Result::err).unwrap();
    let ErrorKind::NoSpace { needed, free } = *error.kind() else { panic!("{error}") };
    assert!(needed > free && free == segment.free_bytes());
    assert!(Value::new_in(&segment, [0u8; 100]).is_err(), "and stays usable");
}

/// SH08.
#[test]
fn a_ticket_leads_back() {
    let value = Value::new(5i32).unwrap();
    let twin = Value::<i32>::attach(&value.ticket().to_string().parse().unwrap()).unwrap();
    twin.set(6).unwrap();
    assert_eq!(value.get().unwrap(), 6);
    let ticket = value.ticket();
    drop((value, twin));
    assert!(matches!(Value::<i32>::attach(&ticket).unwrap_err().kind(), ErrorKind::Gone { .. }));
}
