//! XS25: a peer that scribbles. Every call returns, with a result or a typed error, and nothing is touched outside the ring.

use super::*;
use ipc_core::Deadline;
use ipc_core::shim::Ordering::SeqCst;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Generous: a call with a deadline of 200 µs that takes longer hangs.
const WATCHDOG: Duration = Duration::from_secs(20);

/// Words that a confused or hostile peer might store.
fn nasty(valid: u64) -> Vec<u64> {
    let mut words = vec![0, 1, 2, 3, 4, 5, 6, 7, u64::MAX, 1 << 63, 1 << 62, !(1 << 63), valid ^ 1, valid ^ 1 << 16];
    words.extend([valid.wrapping_add(1), valid.wrapping_sub(1), valid << 1, valid ^ 1 << 62, valid ^ 1 << 40]);
    words.extend((0..7).map(|phase| valid & !7 | phase));
    words
}

/// Uses everything a ring offers, each call with a bound; says whether any was refused as corrupt.
fn exercise(heap: &HeapRing<u64>, both: &Endpoint<u64>) -> bool {
    let me = heap.member(0);
    let started = Instant::now();
    let soon = || Deadline::after(Duration::from_micros(200));
    let mut corrupt = false;
    let mut note = |failed: bool| corrupt |= failed;
    let is_corrupt = |stop: &Stop| matches!(stop, Stop::Corrupt(_));
    for n in 0..3 {
        note(both.try_send(n).is_err_and(|stop| is_corrupt(&stop)));
        note(both.try_recv().is_err_and(|stop| is_corrupt(&stop)));
    }
    note(both.send_until(1, soon(), &me).is_err_and(|stop| is_corrupt(&stop)));
    note(both.send_until(2, soon(), &me).is_err_and(|stop| is_corrupt(&stop)));
    for _ in 0..3 {
        note(both.recv_until(soon(), &me).is_err_and(|stop| is_corrupt(&stop)));
    }
    note(heap.repair(0).is_err());
    note(look_everywhere(&heap.ring(), &me).is_err());
    assert!(heap.ring().len() <= heap.ring().positions().capacity());
    match heap.join(0, Role::Both) {
        Ok(endpoint) => endpoint.leave(),
        Err(error) => note(matches!(error, JoinError::Corrupt(_))),
    }
    assert!(started.elapsed() < WATCHDOG, "a call hung");
    corrupt
}

/// Each word of the ring in turn holds each nasty value, at rest and with a message inside.
#[test]
fn every_word_may_hold_anything() {
    for filled in [false, true] {
        let size = HeapRing::<u64>::new(2, 3, 1, 2).len_bytes();
        for offset in (0..size).step_by(8) {
            let valid = HeapRing::<u64>::new(2, 3, 1, 2).word(offset).load(SeqCst);
            if valid == 0 {
                continue; // Padding and payload: any bytes will do.
            }
            for word in nasty(valid) {
                let heap = HeapRing::<u64>::new(2, 3, 1, 2);
                let both = heap.join(0, Role::Both).unwrap();
                if filled {
                    both.try_send(1).unwrap();
                }
                heap.word(offset).store(word, SeqCst);
                exercise(&heap, &both);
            }
        }
    }
}

/// A peer punches a hole: zeros are never taken for a state.
#[test]
fn a_hole_is_corrupt() {
    let size = HeapRing::<u64>::new(2, 3, 1, 2).len_bytes();
    let heap = HeapRing::<u64>::new(2, 3, 1, 2);
    let both = heap.join(0, Role::Both).unwrap();
    (0..size).step_by(8).for_each(|offset| heap.word(offset).store(0, SeqCst));
    assert!(matches!(both.try_send(1), Err(Stop::Corrupt(_))));
    assert!(matches!(both.try_recv(), Err(Stop::Corrupt(_))));
    assert!(matches!(both.send_until(1, Deadline::NEVER, &heap.member(0)), Err(Stop::Corrupt(_))));
    assert!(matches!(both.recv_until(Deadline::NEVER, &heap.member(0)), Err(Stop::Corrupt(_))));
    assert!(matches!(heap.join(0, Role::Both), Err(JoinError::Corrupt(_))));
    // Only the slots: the cursors are still right.
    let heap = HeapRing::<u64>::new(2, 3, 1, 2);
    let both = heap.join(0, Role::Both).unwrap();
    let slots = size - 2 * 64;
    [slots, slots + 64].iter().for_each(|offset| heap.word(*offset).store(0, SeqCst));
    assert!(matches!(both.try_send(1), Err(Stop::Corrupt(_))));
    assert!(matches!(both.try_recv(), Err(Stop::Corrupt(_))));
}

/// A position that is held by nobody is said to be corrupt, not waited for.
#[test]
fn a_wiped_intent_is_corrupt_not_a_hang() {
    let heap = HeapRing::<u64>::new(2, 3, 1, 2);
    let (tx, rx) = (heap.join(0, Role::Sender).unwrap(), heap.join(0, Role::Receiver).unwrap());
    assert!(dying_at(2, || tx.try_send(1)).is_err());
    heap.word(640 + 8).store(1, SeqCst);
    assert!(matches!(rx.recv_until(Deadline::NEVER, &heap.member(0)), Err(Stop::Corrupt(_))));
}

/// Random words, everywhere, all the time.
#[test]
fn every_call_returns_while_a_peer_scribbles() {
    for seed in 1..=6u64 {
        let heap = HeapRing::<u64>::new(3, 4, 1, 2);
        let both = heap.join(0, Role::Both).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|s| {
            s.spawn(|| {
                let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut next = || {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random
                };
                while !stop.load(SeqCst) {
                    let offset = next() as usize % (heap.len_bytes() / 8) * 8;
                    let word = heap.word(offset).load(SeqCst);
                    let words = nasty(word);
                    let pick = next() as usize;
                    heap.word(offset)
                        .store(if pick.is_multiple_of(3) { next() } else { words[pick % words.len()] }, SeqCst);
                }
            });
            for _ in 0..20 {
                exercise(&heap, &both);
            }
            stop.store(true, SeqCst);
        });
    }
}

/// A peer keeps moving the cursors: no operation chases them without end.
#[test]
fn a_cursor_that_never_stands_still_is_given_up_on() {
    let heap = HeapRing::<u64>::new(4, 3, 1, 2);
    let both = heap.join(0, Role::Both).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            let positions = *heap.ring().positions();
            let mut at = positions.at(5, 0);
            while !stop.load(SeqCst) {
                at = positions.next(at);
                heap.word(256).store(at.cursor(), SeqCst);
                heap.word(384).store(at.cursor(), SeqCst);
            }
        });
        for _ in 0..20 {
            exercise(&heap, &both);
        }
        stop.store(true, SeqCst);
    });
}
