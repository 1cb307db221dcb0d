//! `Once` and `OnceValue` between threads. Between processes: the suite of `ipc-tests`.

use ipc_sync::{ErrorKind, Once, OnceError, OnceValue, Segment};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[test]
fn smoke() {
    let (once, mut done) = (Once::new().unwrap(), 0);
    assert!(!once.is_completed());
    once.call_once(|| done += 1).unwrap();
    once.call_once(|| done += 1).unwrap();
    assert!(once.is_completed() && done == 1);
}

#[test]
fn of_many_one_initialises_and_all_see_it() {
    for _ in 0..50 {
        let (value, begun) = (OnceValue::<[u64; 4]>::new().unwrap(), AtomicU32::new(0));
        let start = Barrier::new(8);
        std::thread::scope(|s| {
            for n in 0..8 {
                let (value, begun, start) = (&value, &begun, &start);
                s.spawn(move || {
                    start.wait();
                    let made = value.get_or_init(|| [u64::from(begun.fetch_add(1, SeqCst)) + 7; 4]).unwrap();
                    assert_eq!(made, [7; 4], "{n}");
                });
            }
        });
        assert_eq!((begun.load(SeqCst), value.get()), (1, Some([7; 4])));
    }
}

#[test]
fn a_panic_lets_the_next_one_try() {
    let once = Once::new().unwrap();
    let panicked =
        catch_unwind(AssertUnwindSafe(|| once.call_once(|| std::panic::resume_unwind(Box::new("on purpose")))));
    assert!(panicked.is_err() && !once.is_completed());
    let mut repeated = None;
    once.call_once_with(|again| repeated = Some(again)).unwrap();
    assert!(once.is_completed() && repeated == Some(true));
}

#[test]
fn a_call_from_inside_is_an_error() {
    let once = Once::new().unwrap();
    once.call_once(|| assert_eq!(once.call_once(|| unreachable!()), Err(OnceError::WouldDeadlock))).unwrap();
    assert!(once.is_completed());
}

#[test]
fn who_waits_gives_up_in_time() {
    let value = OnceValue::<u32>::new().unwrap();
    let (inside, finish) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|s| {
        s.spawn(|| {
            value.get_or_init(|| {
                inside.wait();
                finish.wait();
                5
            })
        });
        inside.wait();
        for timeout in [Duration::ZERO, Duration::from_millis(5)] {
            let began = Instant::now();
            assert_eq!(value.get_or_init_timeout(|| unreachable!(), timeout), Err(OnceError::Timeout));
            assert!(began.elapsed() >= timeout && value.get().is_none());
        }
        assert_eq!(value.get_or_init_deadline(|| unreachable!(), Instant::now()), Err(OnceError::Timeout));
        finish.wait();
        assert_eq!(value.get_or_init(|| unreachable!()), Ok(5));
    });
    let once = Once::new().unwrap();
    once.call_once_timeout(|| (), Duration::ZERO).unwrap();
    once.call_once_deadline(|| unreachable!(), Instant::now()).unwrap();
}

#[test]
fn by_name_and_many_in_one_segment() {
    let segment = Segment::new(1 << 16).unwrap();
    let value = OnceValue::<u64>::create_in(&segment, "seed").unwrap();
    assert_eq!(value.get_or_init(|| 3), Ok(3));
    assert_eq!(OnceValue::<u64>::open_in(&segment, "seed").unwrap().get(), Some(3));
    assert_eq!(OnceValue::<u64>::attach(&value.ticket()).unwrap().get(), Some(3));
    assert!(matches!(OnceValue::<u32>::open_in(&segment, "seed").unwrap_err().kind(), ErrorKind::WrongType { .. }));
    assert!(matches!(Once::open_in(&segment, "seed").unwrap_err().kind(), ErrorKind::WrongKind { .. }));
}
