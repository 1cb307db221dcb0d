//! `Event` between threads; SEMANTICS.md, section 5.

use ipc_core::raw::Waitable;
use ipc_sync::*;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn until_asleep(event: &Event, sleepers: u32) {
    while event.wait_word().waiters().count() < sleepers {
        thread::yield_now();
    }
}

/// EV01, EV02, EV04, EV07.
#[test]
fn smoke() -> Outcome {
    let event = Event::new(Reset::Manual)?;
    assert!(!event.is_set() && event.reset() == Reset::Manual);
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(20)] {
        let began = Instant::now();
        assert_eq!(event.wait_timeout(timeout), Err(EventError::Timeout));
        assert!(began.elapsed() >= timeout);
    }
    assert_eq!(event.wait_deadline(Instant::now()), Err(EventError::Timeout));
    assert_eq!(format!("{event:?}"), "Event(unset)");
    event.set();
    event.set();
    assert!(event.is_set());
    assert_eq!(format!("{event:?}"), "Event(set)");
    event.wait()?;
    event.wait_timeout(Duration::ZERO)?;
    event.clear();
    event.clear();
    assert_eq!(event.wait_timeout(Duration::ZERO), Err(EventError::Timeout));
    Ok(())
}

/// EV05: one set wakes all; later waits return at once; it works again after a clear.
#[test]
fn one_set_wakes_all() -> Outcome {
    let event = Event::new(Reset::Manual)?;
    for _ in 0..3 {
        thread::scope(|s| {
            let waiters: Vec<_> = (0..5).map(|_| s.spawn(|| event.wait())).collect();
            until_asleep(&event, 5);
            event.set();
            waiters.into_iter().for_each(|waiter| waiter.join().expect("no panic").expect("it was set"));
        });
        event.wait()?;
        event.clear();
        assert!(!event.is_set());
    }
    Ok(())
}

/// EV06: `set(); clear()` back to back lets everybody through who was already waiting.
#[test]
fn set_and_clear_back_to_back_leaves_nobody_behind() -> Outcome {
    let event = Event::new(Reset::Manual)?;
    for _ in 0..50 {
        thread::scope(|s| {
            let waiters: Vec<_> = (0..5).map(|_| s.spawn(|| event.wait())).collect();
            until_asleep(&event, 5);
            event.set();
            event.clear();
            waiters.into_iter().for_each(|waiter| waiter.join().expect("no panic").expect("it was set"));
        });
        assert_eq!(event.wait_timeout(Duration::ZERO), Err(EventError::Timeout), "who comes later waits");
    }
    Ok(())
}

/// An automatic event lets one through for each time that it is set.
#[test]
fn an_automatic_one_lets_one_through() -> Outcome {
    let event = Event::new(Reset::Auto)?;
    event.set();
    event.set();
    event.wait()?;
    assert!(!event.is_set(), "set twice is set once");
    assert_eq!(event.wait_timeout(Duration::ZERO), Err(EventError::Timeout));
    let through = AtomicU32::new(0);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                event.wait().expect("it is set");
                through.fetch_add(1, SeqCst);
            });
        }
        for n in 1..=4 {
            event.set();
            while through.load(SeqCst) < n {
                thread::yield_now();
            }
            assert!(!event.is_set());
        }
    });
    event.set();
    event.clear();
    assert_eq!(event.wait_timeout(Duration::from_millis(2)), Err(EventError::Timeout));
    Ok(())
}

/// What `select` is made of: readiness since a moment, also when it was undone.
#[test]
fn readiness_since_a_moment() -> Outcome {
    let event = Event::new(Reset::Manual)?;
    let before = event.moment();
    assert!(!event.is_ready(before));
    event.set();
    assert!(event.is_ready(before) && event.is_ready(event.moment()));
    event.clear();
    assert!(event.is_ready(before) && !event.is_ready(event.moment()));
    Ok(())
}

/// Two who play ping-pong over automatic events: none gets lost.
#[test]
fn no_event_gets_lost() -> Outcome {
    let (ping, pong) = (Event::new(Reset::Auto)?, Event::new(Reset::Auto)?);
    thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..2000 {
                ping.wait().expect("set");
                pong.set();
            }
        });
        for _ in 0..2000 {
            ping.set();
            pong.wait()?;
        }
        assert!(!ping.is_set() && !pong.is_set());
        Outcome::Ok(())
    })
}
