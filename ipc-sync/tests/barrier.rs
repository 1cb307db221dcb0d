//! `Barrier` between threads: its verbs and errors. Between processes: the suite of `ipc-tests`.

use ipc_sync::{Barrier, BarrierError, Breach, ErrorKind, Segment};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);

fn until_waiting(barrier: &Barrier, parties: usize) {
    while barrier.n_waiting() != parties {
        std::thread::yield_now();
    }
}

fn breach<T: std::fmt::Debug>(result: Result<T, BarrierError>) -> Breach {
    match result {
        Err(BarrierError::Broken(breach)) => breach,
        other => panic!("{other:?}"),
    }
}

#[test]
fn smoke() {
    let barrier = Barrier::new(2).unwrap();
    std::thread::scope(|s| {
        let other = s.spawn(|| barrier.wait().unwrap());
        let mine = barrier.wait().unwrap();
        let hers = other.join().unwrap();
        assert!(mine.is_leader() != hers.is_leader() && mine.index() + hers.index() == 1);
    });
}

/// BA01, BA02, BA03, BA10: lockstep, distinct indexes, one action per pass, before anybody is released.
#[test]
fn all_pass_in_lockstep() {
    const PARTIES: usize = 5;
    const PASSES: u32 = 300;
    let barrier = Barrier::new(PARTIES).unwrap();
    let (entered, acted) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|s| {
        let party = || {
            (1..=PASSES)
                .map(|pass| {
                    entered.fetch_add(1, SeqCst);
                    let arrival = barrier
                        .wait_with(|| {
                            assert_eq!(entered.load(SeqCst), pass * PARTIES as u32, "all have come");
                            acted.fetch_add(1, SeqCst);
                        })
                        .unwrap();
                    assert!(acted.load(SeqCst) == pass, "the action is done, and the next pass needs this party");
                    (arrival.index(), usize::from(arrival.is_leader()))
                })
                .collect::<Vec<_>>()
        };
        let parties = [(); PARTIES].map(|()| s.spawn(party));
        let arrivals = parties.map(|party| party.join().unwrap());
        for pass in 0..PASSES as usize {
            let mut indexes = arrivals.each_ref().map(|arrivals| arrivals[pass].0);
            indexes.sort_unstable();
            assert_eq!(indexes, [0, 1, 2, 3, 4]);
            assert_eq!(arrivals.iter().map(|arrivals| arrivals[pass].1).sum::<usize>(), 1);
        }
    });
    assert_eq!((barrier.n_waiting(), barrier.is_broken()), (0, false));
}

/// BA09: one party never blocks; none, or too many, is an error.
#[test]
fn one_party_never_blocks() {
    let barrier = Barrier::new(1).unwrap();
    for _ in 0..3 {
        assert!(barrier.wait_timeout(Duration::ZERO).unwrap().is_leader());
    }
    for parties in [0, 1 << 20] {
        let error = Barrier::new(parties).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument { what: "number of parties", .. }), "{error}");
    }
}

/// BA07, BA08: a time-out breaks it for all, who comes late too.
#[test]
fn a_timeout_breaks_it_for_all() {
    let barrier = Barrier::new(3).unwrap();
    std::thread::scope(|s| {
        let patient = s.spawn(|| barrier.wait());
        until_waiting(&barrier, 1);
        let began = Instant::now();
        assert_eq!(breach(barrier.wait_timeout(SHORT)), Breach::TimedOut);
        assert!(began.elapsed() >= SHORT);
        assert_eq!(breach(patient.join().unwrap()), Breach::TimedOut);
    });
    assert_eq!(breach(barrier.wait_deadline(Instant::now())), Breach::TimedOut);
    let by_default = Barrier::options().timeout(SHORT).new(2).unwrap();
    assert_eq!(breach(by_default.wait()), Breach::TimedOut);
    assert_eq!(breach(by_default.wait()), Breach::TimedOut);
}

/// BA04, BA05, BA06: abort tells all until reset; reset tells those who wait, and then it works.
#[test]
fn abort_and_reset() {
    let barrier = Barrier::new(2).unwrap();
    for told in [Breach::Aborted, Breach::Reset] {
        std::thread::scope(|s| {
            let waiter = s.spawn(|| barrier.wait());
            until_waiting(&barrier, 1);
            match told {
                Breach::Aborted => barrier.abort().unwrap(),
                _ => barrier.reset().unwrap(),
            }
            assert_eq!(breach(waiter.join().unwrap()), told);
        });
        if told == Breach::Aborted {
            assert_eq!((barrier.breach(), breach(barrier.wait())), (Some(Breach::Aborted), Breach::Aborted));
            barrier.reset().unwrap();
        }
        assert_eq!((barrier.n_waiting(), barrier.breach()), (0, None));
        std::thread::scope(|s| {
            s.spawn(|| barrier.wait().unwrap());
            barrier.wait().unwrap();
        });
    }
}

/// BA11: an action that panics breaks it; the party that ran it gets its panic.
#[test]
fn an_action_that_panics_breaks_it() {
    let barrier = Barrier::new(2).unwrap();
    let party = || {
        catch_unwind(AssertUnwindSafe(|| {
            breach(barrier.wait_with(|| std::panic::resume_unwind(Box::new("on purpose"))))
        }))
    };
    let outcomes = std::thread::scope(|s| {
        let other = s.spawn(party);
        [party(), other.join().unwrap()]
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert!(outcomes.into_iter().flatten().all(|told| told == Breach::ActionPanicked));
    barrier.reset().unwrap();
    assert_eq!(barrier.n_waiting(), 0);
}

/// A deadline holds during the action, too: a leader that does not get on is left alone, and told.
#[test]
fn a_stuck_action_does_not_hold_timed_waits() {
    let (barrier, told) = (Barrier::new(2).unwrap(), AtomicU32::new(0));
    let party = || {
        let stuck = || {
            while told.load(SeqCst) == 0 {
                std::thread::yield_now();
            }
        };
        let breach = breach(barrier.wait_with_timeout(stuck, SHORT));
        told.store(1, SeqCst);
        breach
    };
    std::thread::scope(|s| {
        let other = s.spawn(party);
        assert_eq!(party(), Breach::TimedOut);
        assert_eq!(other.join().unwrap(), Breach::TimedOut);
    });
}

/// BA12: more parties than places take turns.
#[test]
fn more_parties_than_places_take_turns() {
    let (barrier, passed) = (Barrier::new(2).unwrap(), AtomicU32::new(0));
    std::thread::scope(|s| {
        let party = || {
            while barrier.wait().is_ok() {
                // Whoever is left alone in the end would wait for ever.
                if passed.fetch_add(1, SeqCst) == 300 {
                    barrier.abort().unwrap();
                }
            }
        };
        [(); 6].into_iter().for_each(|()| _ = s.spawn(party));
    });
    assert_eq!(barrier.breach(), Some(Breach::Aborted));
}

/// Who finds no place in time has broken nothing.
#[test]
fn no_place_in_time_breaks_nothing() {
    let barrier = Barrier::new(2).unwrap();
    let full = || assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::Timeout));
    std::thread::scope(|s| {
        s.spawn(|| barrier.wait_with(full).unwrap());
        barrier.wait_with(full).unwrap();
    });
    assert!(!barrier.is_broken());
}

/// BA13: the properties, and what `Debug` shows.
#[test]
fn properties() {
    let segment = Segment::new(1 << 16).unwrap();
    let barrier = Barrier::create_in(&segment, "b", 3).unwrap();
    assert_eq!((barrier.parties(), barrier.n_waiting(), barrier.is_broken()), (3, 0, false));
    let twin = Barrier::open_in(&segment, "b").unwrap();
    assert_eq!(twin.parties(), 3);
    std::thread::scope(|s| {
        let waiter = s.spawn(|| barrier.wait());
        until_waiting(&twin, 1);
        assert!(format!("{twin:?}").contains("parties: 3, waiting: 1"));
        twin.abort().unwrap();
        assert_eq!(breach(waiter.join().unwrap()), Breach::Aborted);
    });
    assert!(format!("{twin:?}").contains("Aborted") && twin.n_waiting() == 0);
}
