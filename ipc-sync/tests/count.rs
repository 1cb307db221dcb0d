//! `AnonymousSemaphore` and `BinarySemaphore` between threads; SEMANTICS.md, section 3, and LK10.

use ipc_sync::*;
use std::thread;
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// SM01, SM02, SM07: down to 0, and up above the start value.
#[test]
fn smoke() -> Outcome {
    let semaphore = AnonymousSemaphore::new(2)?;
    semaphore.acquire()?;
    semaphore.try_acquire()?;
    assert_eq!(semaphore.try_acquire(), Err(CountError::WouldBlock));
    assert_eq!(semaphore.available(), 0);
    semaphore.release()?;
    semaphore.release_many(3)?;
    assert_eq!(semaphore.available(), 4);
    assert_eq!(format!("{semaphore:?}"), "AnonymousSemaphore { value: 4 }");
    Ok(())
}

/// SM03.
#[test]
fn at_zero_it_gives_up_in_time() -> Outcome {
    let semaphore = AnonymousSemaphore::new(0)?;
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(20)] {
        let began = Instant::now();
        assert_eq!(semaphore.acquire_timeout(timeout), Err(CountError::Timeout));
        assert!(began.elapsed() >= timeout);
    }
    assert_eq!(semaphore.acquire_deadline(Instant::now()), Err(CountError::Timeout));
    semaphore.release()?;
    semaphore.acquire_timeout(Duration::ZERO)?;
    Ok(())
}

/// The largest count is a typed error, not a wrap-around.
#[test]
fn overflow_is_an_error() -> Outcome {
    let semaphore = AnonymousSemaphore::new(u32::MAX - 1)?;
    semaphore.release()?;
    let overflow = ReleaseError::Overflow { asked: 1, found: u32::MAX, maximum: u32::MAX };
    assert_eq!(semaphore.release(), Err(overflow));
    assert_eq!(semaphore.available(), u32::MAX);
    Ok(())
}

/// SM09: whoever likes releases; as many acquire as were released.
#[test]
fn what_others_release_is_acquired() -> Outcome {
    let semaphore = AnonymousSemaphore::new(0)?;
    thread::scope(|s| {
        let takers: Vec<_> = (0..4).map(|_| s.spawn(|| (0..250).try_for_each(|_| semaphore.acquire()))).collect();
        for _ in 0..2 {
            s.spawn(|| (0..100).for_each(|_| semaphore.release_many(5).expect("no overflow")));
        }
        takers.into_iter().for_each(|taker| taker.join().expect("no panic").expect("acquired"));
    });
    assert_eq!(semaphore.available(), 0);
    Ok(())
}

/// LK10, LK04: the turn is handed over; a turn that is there cannot be given back.
#[test]
fn a_turn_is_handed_over() -> Outcome {
    let (ping, pong) = (BinarySemaphore::new(true)?, BinarySemaphore::new(false)?);
    thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..100 {
                pong.acquire().expect("our turn");
                ping.release().expect("it was taken");
            }
        });
        for _ in 0..100 {
            ping.acquire()?;
            pong.release()?;
        }
        ping.acquire()?;
        assert_eq!(ping.try_acquire(), Err(CountError::WouldBlock));
        ping.release()?;
        assert_eq!(ping.release(), Err(ReleaseError::Overflow { asked: 1, found: 1, maximum: 1 }));
        assert!(ping.is_available() && !pong.is_available());
        assert_eq!(format!("{ping:?}"), "BinarySemaphore { available: true }");
        Outcome::Ok(())
    })
}
