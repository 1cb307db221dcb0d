//! `Semaphore` and `BoundedSemaphore` between threads; SEMANTICS.md, section 3.

use ipc_core::raw::{Place, Placed, State};
use ipc_sync::*;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// SM01: two permits, taken and given back.
#[test]
fn smoke() -> Outcome {
    let semaphore = Semaphore::new(2, 2)?;
    assert_eq!(semaphore.available(), 2);
    let one = semaphore.acquire()?;
    assert_eq!(semaphore.available(), 1);
    let two = semaphore.acquire()?;
    assert_eq!(semaphore.available(), 0);
    assert_eq!(semaphore.try_acquire().err(), Some(AcquireError::WouldBlock));
    assert_eq!(semaphore.available(), 0);
    drop(one);
    assert_eq!(semaphore.available(), 1);
    drop(two);
    assert_eq!((semaphore.available(), semaphore.maximum()), (2, 2));
    Ok(())
}

/// SM03: without a permit, what does not wait is refused at once, what waits for a time after that time.
#[test]
fn without_a_permit_it_gives_up_in_time() -> Outcome {
    let semaphore = Semaphore::new(0, 1)?;
    assert_eq!(semaphore.try_acquire().err(), Some(AcquireError::WouldBlock));
    assert_eq!(semaphore.try_acquire_many(1).err(), Some(AcquireError::WouldBlock));
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(20)] {
        let began = Instant::now();
        assert_eq!(semaphore.acquire_timeout(timeout).err(), Some(AcquireError::Timeout));
        assert_eq!(semaphore.acquire_many_timeout(1, timeout).err(), Some(AcquireError::Timeout));
        assert!(began.elapsed() >= 2 * timeout);
    }
    assert_eq!(semaphore.acquire_deadline(Instant::now()).err(), Some(AcquireError::Timeout));
    semaphore.add_permits(1)?;
    drop(semaphore.acquire_timeout(Duration::MAX)?);
    drop(semaphore.acquire_deadline(Instant::now())?);
    Ok(())
}

/// SM04: what cannot be is a typed error, and leaves nothing.
#[test]
fn impossible_numbers_are_errors() -> Outcome {
    let refused = |made: Result<Semaphore, Error>| match made.map(drop).unwrap_err().kind() {
        ErrorKind::InvalidArgument { found, .. } => found.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Semaphore::new(0, 0)), "0");
    assert_eq!(refused(Semaphore::new(3, 2)), "3");
    assert_eq!(refused(Semaphore::new(1, MAX_PERMITS + 1)), "65537");
    assert!(BoundedSemaphore::new(0).is_err());
    assert_eq!(Semaphore::new(MAX_PERMITS, MAX_PERMITS)?.available(), MAX_PERMITS);
    let semaphore = Semaphore::new(1, 2)?;
    assert_eq!(semaphore.acquire_many(3).err(), Some(AcquireError::TooMany { asked: 3, maximum: 2 }));
    assert!(semaphore.acquire_many(0)?.is_empty());
    Ok(())
}

/// SM05: as many get through in each phase as there are permits.
#[test]
fn as_many_get_through_as_there_are_permits() -> Outcome {
    let semaphore = Semaphore::new(7, 14)?;
    let (inside, gate) = (Barrier::new(8), Barrier::new(8));
    thread::scope(|s| {
        for _ in 0..7 {
            s.spawn(|| {
                for _ in 0..2 {
                    let permit = semaphore.acquire().expect("a permit");
                    inside.wait();
                    gate.wait();
                    drop(permit);
                }
            });
        }
        for _ in 0..2 {
            inside.wait();
            assert_eq!(semaphore.try_acquire().err(), Some(AcquireError::WouldBlock));
            gate.wait();
        }
    });
    assert_eq!(semaphore.available(), 7);
    Ok(())
}

/// SM06: of ten tries at three free permits, three succeed.
#[test]
fn tries_succeed_as_often_as_there_are_permits() -> Outcome {
    let semaphore = Semaphore::new(4, 4)?;
    let _taken = semaphore.acquire()?;
    let tried = Barrier::new(5);
    let successes: usize = thread::scope(|s| {
        let threads: Vec<_> = (0..5)
            .map(|_| {
                s.spawn(|| {
                    let permits: Vec<_> = (0..2).filter_map(|_| semaphore.try_acquire().ok()).collect();
                    tried.wait();
                    permits.len()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((successes, semaphore.available()), (3, 3));
    Ok(())
}

/// SM07: several are added, taken and given back at once.
#[test]
fn several_at_once() -> Outcome {
    let semaphore = Semaphore::new(0, 100)?;
    thread::scope(|s| {
        let taker = s.spawn(|| semaphore.acquire_many(100).map(|permits| permits.len()));
        semaphore.add_permits(60)?;
        semaphore.add_permits(40)?;
        assert_eq!(taker.join().expect("no panic")?, 100);
        Outcome::Ok(())
    })?;
    assert_eq!(semaphore.available(), 100);
    let permits = semaphore.try_acquire_many(99)?;
    assert_eq!(semaphore.try_acquire_many(2).err(), Some(AcquireError::WouldBlock));
    assert_eq!(semaphore.available(), 1, "what could not be gathered was given back");
    let some: Vec<_> = permits.into_iter().take(9).collect();
    assert_eq!((some.len(), semaphore.available()), (9, 91));
    Ok(())
}

/// SM08: a scope, a scope in a scope, a panic.
#[test]
fn permits_follow_scopes() -> Outcome {
    let semaphore = Semaphore::new(2, 2)?;
    {
        let _outer = semaphore.acquire()?;
        {
            let _inner = semaphore.acquire()?;
            assert_eq!(semaphore.available(), 0);
        }
        assert_eq!(semaphore.available(), 1);
    }
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _permit = semaphore.acquire();
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(panicked.is_err());
    assert_eq!(semaphore.available(), 2);
    Ok(())
}

/// SM10: the count, in the text too.
#[test]
fn debug_shows_the_value() -> Outcome {
    let semaphore = Semaphore::new(2, 3)?;
    let _permit = semaphore.acquire()?;
    assert_eq!(format!("{semaphore:?}"), "Semaphore { value: 1, maximum: 3, waiters: 0 }");
    assert!(format!("{:?}", BoundedSemaphore::new(1)?).starts_with("BoundedSemaphore { value: 1, maximum: 1"));
    Ok(())
}

/// BS01, BS02: all that there is and no more; a refused addition changes nothing.
#[test]
fn a_bounded_one_takes_no_more() -> Outcome {
    let semaphore = BoundedSemaphore::new(2)?;
    assert_eq!(semaphore.add_permits(1), Err(AddError::Full { asked: 1, room: 0 }));
    let (one, two) = (semaphore.acquire()?, semaphore.acquire()?);
    assert_eq!(semaphore.try_acquire().err(), Some(AcquireError::WouldBlock));
    assert_eq!(semaphore.add_permits(1), Err(AddError::Full { asked: 1, room: 0 }), "held permits count");
    one.forget();
    drop(two);
    assert_eq!(semaphore.available(), 1);
    assert_eq!(semaphore.add_permits(2), Err(AddError::Full { asked: 2, room: 1 }));
    assert_eq!(semaphore.available(), 1);
    semaphore.add_permits(1)?;
    semaphore.add_permits(0)?;
    assert_eq!(semaphore.available(), 2);
    Ok(())
}

/// BS03 (differs): exact, however many add at once.
#[test]
fn the_bound_is_exact_under_contention() -> Outcome {
    let semaphore = Semaphore::new(0, 90)?;
    let added: u32 = thread::scope(|s| {
        let adding: Vec<_> = (0..8)
            .map(|n| {
                let semaphore = &semaphore;
                s.spawn(move || {
                    let many = n % 3 + 1;
                    (0..40).filter(|_| semaphore.add_permits(many).is_ok()).count() as u32 * many
                })
            })
            .collect();
        adding.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((added, semaphore.available()), (90, 90));
    Ok(())
}

/// Takers, gatherers and forgetters all at once: never more than there are, and afterwards all that there should be.
#[test]
fn nothing_is_lost_or_doubled() -> Outcome {
    for permits in [3, 80] {
        let semaphore = Semaphore::new(permits, permits)?;
        let inside = std::sync::atomic::AtomicU32::new(0);
        let enter = |n: u32| {
            let now = inside.fetch_add(n, std::sync::atomic::Ordering::SeqCst) + n;
            assert!(now <= permits, "{now} of {permits}");
            thread::yield_now();
            inside.fetch_sub(n, std::sync::atomic::Ordering::SeqCst);
        };
        thread::scope(|s| {
            for n in 0..6 {
                let (semaphore, enter) = (&semaphore, &enter);
                s.spawn(move || {
                    for round in 0..300 {
                        match (n + round) % 4 {
                            0 => {
                                let held = semaphore.acquire_many(permits / 2 + 1).expect("permits");
                                enter(held.len() as u32);
                            }
                            1 => drop(semaphore.try_acquire().inspect(|_| enter(1))),
                            2 => drop(semaphore.try_acquire_many(2).inspect(|held| enter(held.len() as u32))),
                            _ => {
                                let held = semaphore.acquire().expect("a permit");
                                enter(1);
                                held.forget();
                                semaphore.add_permits(1).expect("room for what was forgotten");
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(semaphore.available(), permits);
    }
    Ok(())
}

/// A permit goes with the work to another thread.
#[test]
fn a_permit_moves_between_threads() -> Outcome {
    let semaphore = Semaphore::new(1, 1)?;
    let permit = semaphore.acquire()?;
    thread::scope(|s| _ = s.spawn(move || drop(permit)).join());
    assert_eq!(semaphore.available(), 1);
    Ok(())
}

/// In every place: named, in a segment with others, by ticket; and of a size that is part of the type.
#[test]
fn everywhere_it_can_lie() -> Outcome {
    let segment = Segment::new(16 << 10)?;
    let many: Vec<_> = (0..10).map(|_| Semaphore::new_in(&segment, 1, 2)).collect::<Result<_, _>>()?;
    many[3].acquire()?.forget();
    assert_eq!(many.iter().map(Semaphore::available).sum::<u32>(), 9);
    Semaphore::create_in(&segment, "s", 3, 5)?;
    let twin = Semaphore::open_in(&segment, "s")?;
    assert_eq!((twin.available(), twin.maximum()), (3, 5));
    assert_eq!(Semaphore::attach(&twin.ticket())?.available(), 3);
    assert!(matches!(BoundedSemaphore::open_in(&segment, "s").unwrap_err().kind(), ErrorKind::WrongKind { .. }));

    let init = SemaphoreInit { permits: 3, maximum: 4 };
    let options = SegmentOptions::default();
    let fixed = SemaphoreState::<4>::handle(Placed::place(Place::New, &init, &options)?);
    assert_eq!((fixed.acquire()?, fixed.available(), fixed.maximum()).1, 2);
    assert_eq!((fixed.available(), fixed.maximum()), (3, 4));
    assert!(Placed::<SemaphoreState<5>>::place(Place::New, &init, &options).is_err());
    let bounded = BoundedSemaphoreState::<70>::handle(Placed::place(Place::New, &70, &options)?);
    assert_eq!(bounded.acquire_many(70)?.len(), 70);
    Ok(())
}
