//! The ring on the heap: what it does, and what is left of each step at which a member dies.

use super::*;
use ipc_core::Deadline;
use ipc_core::raw::Census;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

const A: u16 = 0;
const B: u16 = 1;
const VICTIM: u16 = 2;
const MEMBERS: usize = 4;

fn ring(capacity: u64) -> HeapRing<u64> {
    HeapRing::new(capacity, 6, 1, MEMBERS)
}

/// Sends and receives for three laps: nothing is stuck, lost or out of order.
fn works_for_full_laps(heap: &HeapRing<u64>, tx: &Endpoint<u64>, rx: &Endpoint<u64>) {
    let capacity = heap.ring().positions().capacity();
    for lap in 0..3 {
        for i in 0..capacity {
            assert_eq!(tx.try_send(5000 + lap * 100 + i), Ok(()), "lap {lap}, message {i}");
        }
        assert_eq!(tx.try_send(1), Err(Stop::WouldBlock));
        assert_eq!(heap.ring().len(), capacity);
        for i in 0..capacity {
            assert_eq!(rx.try_recv(), Ok(5000 + lap * 100 + i), "lap {lap}, message {i}");
        }
        assert_eq!(rx.try_recv(), Err(Stop::WouldBlock));
    }
}

fn repair(heap: &HeapRing<u64>) {
    heap.repair(A).expect("no member scribbles");
}

fn drain(rx: &Endpoint<u64>) -> Vec<u64> {
    std::iter::from_fn(|| rx.try_recv().ok()).collect()
}

#[test]
fn smoke() {
    let heap = ring(3);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    works_for_full_laps(&heap, &tx, &rx);
}

/// How the victim of a death test is set up, what it does, and what may come of it.
struct Case {
    name: &'static str,
    capacity: u64,
    prefill: u64,
    lose_at_most: usize,
    act: fn(&Endpoint<u64>),
}

const CASES: [Case; 14] = [
    Case { name: "send", capacity: 4, prefill: 2, lose_at_most: 0, act: |e| assert!(e.try_send(100).is_ok()) },
    Case {
        name: "send, capacity 1",
        capacity: 1,
        prefill: 0,
        lose_at_most: 0,
        act: |e| assert!(e.try_send(100).is_ok()),
    },
    Case { name: "recv", capacity: 4, prefill: 2, lose_at_most: 1, act: |e| assert!(e.try_recv().is_ok()) },
    Case { name: "recv, capacity 1", capacity: 1, prefill: 1, lose_at_most: 1, act: |e| assert!(e.try_recv().is_ok()) },
    Case {
        name: "recv after send",
        capacity: 3,
        prefill: 1,
        lose_at_most: 1,
        act: |e| assert!(e.try_send(100).is_ok() && e.try_recv().is_ok()),
    },
    Case {
        name: "send after recv",
        capacity: 3,
        prefill: 3,
        lose_at_most: 1,
        act: |e| assert!(e.try_recv().is_ok() && e.try_send(100).is_ok()),
    },
    Case {
        name: "a batch is sent across the wrap",
        capacity: 5,
        prefill: 1,
        lose_at_most: 0,
        act: |e| assert_eq!(e.send_first(&[100, 101, 102]), Ok(3)),
    },
    Case {
        name: "a batch for which there is less room",
        capacity: 3,
        prefill: 1,
        lose_at_most: 0,
        act: |e| assert_eq!(e.send_first(&[100, 101, 102]), Ok(2)),
    },
    // The second batch's count must never stand beside the first one's intent.
    Case {
        name: "a longer batch after a short one",
        capacity: 6,
        prefill: 0,
        lose_at_most: 0,
        act: |e| assert_eq!((e.send_first(&[100, 101]), e.send_first(&[102, 103, 104])), (Ok(2), Ok(3))),
    },
    Case {
        name: "a message after a batch",
        capacity: 4,
        prefill: 0,
        lose_at_most: 0,
        act: |e| assert!(e.send_first(&[100, 101]) == Ok(2) && e.try_send(102).is_ok()),
    },
    Case {
        name: "a batch is received",
        capacity: 5,
        prefill: 4,
        lose_at_most: 3,
        act: |e| assert_eq!(e.recv_first(3, |_| ()), Ok(3)),
    },
    Case {
        name: "a batch is received after a batch was sent",
        capacity: 4,
        prefill: 1,
        lose_at_most: 1,
        act: |e| assert_eq!((e.send_first(&[100, 101]), e.recv_first(9, |_| ())), (Ok(2), Ok(3))),
    },
    Case {
        name: "a loan is written and sent",
        capacity: 3,
        prefill: 1,
        lose_at_most: 0,
        act: |e| write_in_place(e, 100),
    },
    Case {
        name: "a loan is read and acknowledged",
        capacity: 3,
        prefill: 2,
        lose_at_most: 1,
        act: |e| {
            let loan = e.try_borrow().unwrap();
            e.acknowledge_borrowed(loan);
        },
    },
];

fn write_in_place(endpoint: &Endpoint<u64>, message: u64) {
    let loan = endpoint.try_reserve().unwrap();
    // SAFETY: the loan's payload, which is this thread's until the commit.
    unsafe { endpoint.payload(&loan).write(message) };
    endpoint.commit_reserved(loan);
}

fn read_in_place(endpoint: &Endpoint<u64>, loan: &Lent) -> u64 {
    // SAFETY: as above, until the acknowledgement.
    unsafe { endpoint.payload(loan).read() }
}

/// Runs `case` with a victim that dies at step `n`; false once it survives. `repairer_dies_at` kills a repairer too.
fn victim_dies(case: &Case, n: u32, repairer_dies_at: u32, busy: bool) -> bool {
    let heap = ring(case.capacity);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    for i in 0..5 * case.capacity / 2 {
        tx.try_send(900 + i).unwrap();
        rx.try_recv().unwrap();
    }
    for i in 1..=case.prefill {
        tx.try_send(i).unwrap();
    }
    let victim = heap.join(VICTIM, Role::Both).unwrap();
    let died = dying_at(n, || (case.act)(&victim)).is_err();
    let mut got = Vec::new();
    let mut sent = Vec::new();
    if busy {
        // Others work while the victim is stopped, before it is dead.
        sent.extend(tx.try_send(50).is_ok().then_some(50));
        got.extend(rx.try_recv().ok());
        sent.extend(tx.try_send(51).is_ok().then_some(51));
        repair(&heap);
        got.extend(rx.try_recv().ok());
    }
    heap.bury(VICTIM);
    if repairer_dies_at > 0 {
        let _ = dying_at(repairer_dies_at, || repair(&heap));
    }
    repair(&heap);
    got.extend(drain(&rx));
    let what = format!("{} dies at {n}, repairer at {repairer_dies_at}, busy {busy}: got {got:?}", case.name);
    let unique: std::collections::BTreeSet<_> = got.iter().collect();
    assert_eq!(unique.len(), got.len(), "duplicated: {what}");
    let ours: Vec<_> = got.iter().copied().filter(|v| (100..110).contains(v)).collect();
    assert!(got.iter().all(|v| (1..=case.prefill).contains(v) || ours.contains(v) || sent.contains(v)), "torn: {what}");
    let in_order = ours.iter().copied().eq(100..100 + ours.len() as u64);
    assert!(in_order || case.lose_at_most > 0, "not the first of a batch: {what}");
    assert!(sent.iter().all(|v| got.contains(v)), "another's message is gone: {what}");
    let lost = (1..=case.prefill).filter(|v| !got.contains(v)).count();
    assert!(lost <= case.lose_at_most, "lost {lost}: {what}");
    assert!(died || lost <= case.lose_at_most, "{what}");
    works_for_full_laps(&heap, &tx, &rx);
    assert!(heap.join(A, Role::Both).is_ok() && heap.join(A, Role::Both).is_ok(), "a row leaked: {what}");
    died
}

#[test]
fn a_member_dies_at_every_step() {
    for case in &CASES {
        for busy in [false, true] {
            let steps = (1..).take_while(|n| victim_dies(case, *n, 0, busy)).count();
            assert!(steps >= 5, "{}: only {steps} steps", case.name);
        }
    }
}

#[test]
fn the_repairer_dies_at_every_step_too() {
    for case in &CASES {
        for n in 1.. {
            let mut more = true;
            for at in 1..40 {
                more = victim_dies(case, n, at, false);
            }
            if !more {
                break;
            }
        }
    }
}

/// Both die at any two steps, one after the other, having started at the same position.
#[test]
fn two_members_die_at_every_pair_of_steps() {
    const OTHER: u16 = 3;
    for (n, m) in (1..8).flat_map(|n| (1..8).map(move |m| (n, m))) {
        for send in [true, false] {
            let heap = ring(2);
            let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
            if !send {
                tx.try_send(1).unwrap();
                tx.try_send(2).unwrap();
            }
            let victims = [heap.join(VICTIM, Role::Both).unwrap(), heap.join(OTHER, Role::Both).unwrap()];
            for (victim, at) in victims.iter().zip([n, m]) {
                let _ = dying_at(at, || if send { victim.try_send(100).is_ok() } else { victim.try_recv().is_ok() });
            }
            heap.bury(VICTIM);
            repair(&heap);
            heap.bury(OTHER);
            repair(&heap);
            let got = drain(&rx);
            assert!(got.len() <= 2 && (send || got.windows(2).all(|w| w[0] < w[1])), "{n}, {m}, {send}: {got:?}");
            works_for_full_laps(&heap, &tx, &rx);
        }
    }
}

#[test]
fn a_joiner_dies_at_every_step() {
    for n in 1..3 {
        let heap = ring(2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        // Its predecessor in the row left an intent behind.
        let before = heap.join(A, Role::Both).unwrap();
        before.try_send(7).unwrap();
        before.leave();
        assert!(dying_at(n, || heap.join(VICTIM, Role::Sender)).is_err());
        heap.bury(VICTIM);
        tx.leave();
        assert_eq!(rx.try_recv(), Ok(7));
        let end = rx.recv_until(Deadline::after(Duration::from_secs(30)), &heap.member(B));
        assert_eq!(end, Err(Stop::Closed), "the dead joiner is nobody to wait for");
        let tx = heap.join(A, Role::Sender).unwrap();
        works_for_full_laps(&heap, &tx, &rx);
    }
}

#[test]
fn a_leaver_dies_at_every_step() {
    for n in 1..=2 {
        let heap = ring(2);
        let (tx, rx) = (heap.join(VICTIM, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        tx.try_send(7).unwrap();
        assert!(dying_at(n, || tx.leave()).is_err());
        heap.bury(VICTIM);
        assert_eq!(rx.try_recv(), Ok(7));
        let end = rx.recv_until(Deadline::after(Duration::from_secs(30)), &heap.member(B));
        assert_eq!(end, Err(Stop::Closed));
    }
}

#[test]
fn a_closer_dies_at_every_step() {
    for n in 1..=2 {
        let heap = ring(2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        tx.try_send(7).unwrap();
        assert!(dying_at(n, || heap.ring().close()).is_err());
        assert_eq!(tx.try_send(8), Err(Stop::Closed));
        assert_eq!(rx.try_recv(), Ok(7));
        let end = rx.recv_until(Deadline::after(Duration::from_secs(30)), &heap.member(B));
        assert_eq!(end, Err(Stop::Closed));
    }
}

/// A row on its way to another process: whoever is late finds it gone, and frees nothing.
#[test]
fn a_travelling_row_is_taken_once() {
    let heap = ring(2);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    let (row, word) = tx.travel().unwrap();
    assert_eq!(tx.try_send(1), Err(Stop::Moved));
    assert_eq!(tx.travel(), Err(Stop::Moved));
    let there = Endpoint::adopt(heap.ring(), row, word, &heap.member(VICTIM)).unwrap();
    assert!(matches!(Endpoint::adopt(heap.ring(), row, word, &heap.member(B)), Err(JoinError::Gone)));
    tx.leave();
    assert!(there.is_joined() && !tx.is_joined());
    there.try_send(2).unwrap();
    // Back home again: the first owner's late drop still frees nothing.
    let (row, word) = there.travel().unwrap();
    let back = Endpoint::adopt(heap.ring(), row, word, &heap.member(A)).unwrap();
    tx.leave();
    there.leave();
    assert!(back.is_joined());
    assert_eq!(rx.try_recv(), Ok(2));
    works_for_full_laps(&heap, &back, &rx);
    // Adopted, then dead at once.
    let (row, word) = back.travel().unwrap();
    assert!(dying_at(1, || Endpoint::adopt(heap.ring(), row, word, &heap.member(VICTIM))).is_err());
    heap.bury(VICTIM);
    let end = rx.recv_until(Deadline::after(Duration::from_secs(30)), &heap.member(B));
    assert_eq!(end, Err(Stop::Closed));
}

#[test]
fn a_living_bystander_is_waited_for() {
    let heap = ring(2);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    let (dead, bystander) = (heap.join(VICTIM, Role::Sender).unwrap(), heap.join(3, Role::Sender).unwrap());
    // The bystander is stopped after its announcement; the victim claims the position and dies before it says so.
    assert!(dying_at(1, || bystander.try_send(8)).is_err());
    assert!(dying_at(2, || dead.try_send(9)).is_err());
    heap.bury(VICTIM);
    repair(&heap);
    tx.try_send(10).unwrap();
    assert_eq!(rx.try_recv(), Err(Stop::WouldBlock), "whose the first position is, is not known yet");
    let late = rx.recv_until(Deadline::after(Duration::from_millis(1)), &heap.member(B));
    assert_eq!(late, Err(Stop::WouldBlock), "a stopped one blocks others, but not their deadlines");
    heap.bury(3);
    assert_eq!(rx.recv_until(Deadline::after(Duration::from_secs(30)), &heap.member(B)), Ok(10));
    works_for_full_laps(&heap, &tx, &rx);
}

#[test]
fn a_poller_gets_past_the_dead() {
    let heap = ring(2);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    let dead = heap.join(VICTIM, Role::Sender).unwrap();
    assert!(dying_at(2, || dead.try_send(9)).is_err());
    tx.try_send(10).unwrap();
    heap.bury(VICTIM);
    let watchdog = std::time::Instant::now() + Duration::from_secs(30);
    let got = loop {
        match rx.try_recv() {
            Ok(message) => break message,
            Err(_) => _ = rx.in_vain(Role::Receiver, &heap.member(B)).unwrap(),
        }
        assert!(std::time::Instant::now() < watchdog);
    };
    assert_eq!(got, 10);
}

/// Once two sides of one endpoint shared their count of polls, and each began anew what the other had counted.
#[test]
fn a_poller_of_both_sides_gets_past_the_dead() {
    let heap = ring(1);
    let both = heap.join(A, Role::Both).unwrap();
    let dead = heap.join(VICTIM, Role::Sender).unwrap();
    assert!(dying_at(2, || dead.try_send(9)).is_err());
    heap.bury(VICTIM);
    let watchdog = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        if both.try_send(10).is_err() {
            both.in_vain(Role::Sender, &heap.member(A)).unwrap();
        }
        match both.try_recv() {
            Ok(message) => break assert_eq!(message, 10),
            Err(_) => _ = both.in_vain(Role::Receiver, &heap.member(A)).unwrap(),
        }
        assert!(std::time::Instant::now() < watchdog);
    }
}

#[test]
fn rows_of_the_dead_are_given_out_again() {
    let heap = HeapRing::<u64>::new(2, 2, 1, MEMBERS);
    let tx = heap.join(A, Role::Sender).unwrap();
    let _dead = heap.join(VICTIM, Role::Receiver).unwrap();
    assert!(matches!(heap.join(B, Role::Receiver), Err(JoinError::NoRow)));
    heap.bury(VICTIM);
    let rx = heap.join(B, Role::Receiver).unwrap();
    works_for_full_laps(&heap, &tx, &rx);
}

#[test]
fn closed_needs_somebody_to_have_been_there() {
    let heap = ring(1);
    let tx = heap.join(A, Role::Sender).unwrap();
    tx.try_send(1).unwrap();
    let soon = || Deadline::after(Duration::from_millis(2));
    assert_eq!(tx.send_until(2, soon(), &heap.member(A)), Err(Stop::WouldBlock), "nobody has come yet");
    let rx = heap.join(B, Role::Receiver).unwrap();
    rx.leave();
    assert_eq!(tx.try_send(2), Err(Stop::Closed));
    assert_eq!(tx.send_until(2, Deadline::NEVER, &heap.member(A)), Err(Stop::Closed));
    let rx = heap.join(B, Role::Receiver).unwrap();
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(tx.try_send(3), Ok(()), "somebody came back");
    tx.leave();
    assert_eq!(rx.try_recv(), Ok(3), "what was sent comes first");
    assert_eq!(rx.try_recv(), Err(Stop::Closed));
    assert_eq!(rx.recv_until(Deadline::NEVER, &heap.member(B)), Err(Stop::Closed));
}

#[test]
fn the_last_ones_death_closes() {
    for side in [Role::Sender, Role::Receiver] {
        let heap = ring(1);
        let (here, _dead) = (heap.join(A, side.other()).unwrap(), heap.join(VICTIM, side).unwrap());
        heap.bury(VICTIM);
        let (deadline, me) = (Deadline::after(Duration::from_secs(30)), heap.member(A));
        if side == Role::Sender {
            assert_eq!(here.recv_until(deadline, &me), Err(Stop::Closed));
        } else {
            here.try_send(1).unwrap();
            assert_eq!(here.send_until(2, deadline, &me), Err(Stop::Closed));
        }
    }
}

#[test]
fn what_the_last_dead_receiver_held_is_delivered_before_closed() {
    let heap = ring(2);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    tx.try_send(1).unwrap();
    let dead = heap.join(VICTIM, Role::Receiver).unwrap();
    assert!(dying_at(3, || dead.try_recv()).is_err());
    heap.bury(VICTIM);
    tx.leave();
    assert_eq!(rx.recv_until(Deadline::NEVER, &heap.member(B)), Ok(1));
    assert_eq!(rx.recv_until(Deadline::NEVER, &heap.member(B)), Err(Stop::Closed));
}

/// The sender's way is barred by a message that only a receiver could take, and there is none: whoever repaired died before
/// it set the hint.
#[test]
fn a_message_to_redeliver_and_no_receiver_is_closed() {
    for n in 1..40 {
        let heap = ring(1);
        let tx = heap.join(A, Role::Sender).unwrap();
        let dead = heap.join(VICTIM, Role::Receiver).unwrap();
        tx.try_send(1).unwrap();
        assert!(dying_at(3, || dead.try_recv()).is_err());
        heap.bury(VICTIM);
        let _ = dying_at(n, || repair(&heap));
        let end = tx.send_until(2, Deadline::after(Duration::from_secs(30)), &heap.member(A));
        assert_eq!(end, Err(Stop::Closed), "repairer died at {n}");
    }
}

/// D1 to D5: whoever dies while it takes a message that another one died over.
#[test]
fn a_taker_of_a_redelivered_message_dies_at_every_step() {
    const OTHER: u16 = 3;
    for n in 1.. {
        let heap = ring(2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        let (first, second) = (heap.join(VICTIM, Role::Receiver).unwrap(), heap.join(OTHER, Role::Receiver).unwrap());
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        assert!(dying_at(3, || first.try_recv()).is_err());
        heap.bury(VICTIM);
        repair(&heap);
        let taken = dying_at(n, || second.try_recv());
        heap.bury(OTHER);
        repair(&heap);
        let got = drain(&rx);
        // Acknowledged, the message may have died with its taker; before, it comes again.
        assert!(got == [1, 2] || (n >= 4 && got == [2]), "{n}: {got:?}");
        works_for_full_laps(&heap, &tx, &rx);
        if taken.is_ok() {
            assert!(n > 4 && taken == Ok(Ok(1)));
            break;
        }
    }
}

/// A receiver was killed in its sleep: wakers make a system call too many until somebody notices.
#[test]
fn a_dead_sleepers_count_is_taken_back() {
    let heap = ring(2);
    let rx = heap.join(B, Role::Receiver).unwrap();
    let _dead = heap.join(VICTIM, Role::Receiver).unwrap();
    let _tx = heap.join(A, Role::Sender).unwrap();
    heap.ring().state().rx.waiters().register();
    heap.bury(VICTIM);
    for _ in 0..4 {
        let _ = rx.recv_until(Deadline::after(Duration::from_millis(5)), &heap.member(B));
    }
    assert_eq!(heap.ring().state().rx.waiters().count(), 0);
}

#[test]
fn an_endpoint_in_the_middle_of_something_is_busy() {
    let heap = ring(2);
    let tx = heap.join(A, Role::Sender).unwrap();
    {
        let _entered = tx.enter().unwrap();
        assert_eq!(tx.try_send(1), Err(Stop::Busy));
        assert_eq!(tx.travel(), Err(Stop::Busy));
    }
    assert_eq!(tx.try_send(1), Ok(()));
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Send,
    Recv,
    SendMany(u8),
    RecvMany(u8),
    Swap,
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        10 => Just(Op::Send),
        10 => Just(Op::Recv),
        5 => (1u8..12).prop_map(Op::SendMany),
        5 => (1u8..12).prop_map(Op::RecvMany),
        2 => Just(Op::Swap),
        1 => Just(Op::Close),
    ];
    prop::collection::vec(op, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, ..ProptestConfig::default() })]

    /// Against a VecDeque, at laps that wrap meanwhile.
    #[test]
    fn a_ring_is_a_bounded_queue(capacity in 1u64..=9, before_wrap in 0u64..6, ops in ops()) {
        let heap = HeapRing::<u64>::new(capacity, 6, 0u64.wrapping_sub(before_wrap), MEMBERS);
        let mut model = VecDeque::new();
        let mut closed = false;
        let mut endpoints = [heap.join(A, Role::Both).unwrap(), heap.join(B, Role::Both).unwrap()];
        for (i, op) in ops.into_iter().enumerate() {
            match op {
                Op::Send => {
                    let full = model.len() as u64 == capacity;
                    let expected = if closed { Err(Stop::Closed) } else if full { Err(Stop::WouldBlock) } else { Ok(()) };
                    prop_assert_eq!(endpoints[0].try_send(i as u64), expected);
                    if expected.is_ok() { model.push_back(i as u64); }
                }
                Op::Recv => {
                    let end = if closed { Stop::Closed } else { Stop::WouldBlock };
                    prop_assert_eq!(endpoints[0].try_recv(), model.pop_front().ok_or(end));
                }
                Op::SendMany(n) => {
                    let messages: Vec<u64> = (0..n).map(|m| 1000 * i as u64 + u64::from(m)).collect();
                    let room = (capacity as usize - model.len()).min(messages.len());
                    let expected = if closed { Err(Stop::Closed) } else if room == 0 { Err(Stop::WouldBlock) } else { Ok(room) };
                    prop_assert_eq!(endpoints[0].send_first(&messages), expected);
                    if expected.is_ok() { model.extend(&messages[..room]); }
                }
                Op::RecvMany(n) => {
                    let mut got = vec![];
                    let end = if closed { Stop::Closed } else { Stop::WouldBlock };
                    let there = model.len().min(n.into());
                    let expected = if there == 0 { Err(end) } else { Ok(there) };
                    prop_assert_eq!(endpoints[0].recv_into(&mut got, n.into()), expected);
                    prop_assert_eq!(got, model.drain(..there).collect::<Vec<_>>());
                }
                Op::Swap => endpoints.swap(0, 1),
                Op::Close => { heap.ring().close(); closed = true; }
            }
            prop_assert_eq!(heap.ring().len(), model.len() as u64);
        }
    }
}

/// With a loan outstanding, everything else goes on around it.
#[test]
fn a_loan_holds_its_slot_and_nothing_else() {
    let heap = ring(3);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    for i in 0..2 {
        let loan = tx.try_reserve().unwrap();
        tx.try_send(2).unwrap();
        assert_eq!(rx.try_recv(), Err(Stop::WouldBlock), "what was reserved comes first");
        // SAFETY: the loan's payload.
        unsafe { tx.payload(&loan).write(1) };
        tx.commit_reserved(loan);
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(2)));
        tx.try_send(10 + i).unwrap();
        tx.try_send(20).unwrap();
        let loan = rx.try_borrow().unwrap();
        assert_eq!(read_in_place(&rx, &loan), 10 + i);
        assert_eq!(rx.try_recv(), Ok(20));
        rx.acknowledge_borrowed(loan);
    }
    works_for_full_laps(&heap, &tx, &rx);
}

#[test]
fn a_loan_given_up_is_skipped_or_comes_again() {
    let heap = ring(2);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    let other = heap.join(VICTIM, Role::Receiver).unwrap();
    let loan = tx.try_reserve().unwrap();
    tx.try_send(1).unwrap();
    tx.discard_reserved(loan);
    let loan = rx.try_borrow().unwrap();
    assert_eq!(read_in_place(&rx, &loan), 1);
    assert_eq!(rx.travel(), Err(Stop::Busy), "it stays where its loan is");
    rx.redeliver_borrowed(loan);
    let loan = other.try_borrow().unwrap();
    assert_eq!(read_in_place(&other, &loan), 1);
    // Leaked: the slot is given back when the endpoint leaves.
    let _leaked = loan;
    other.leave();
    assert_eq!(rx.try_recv(), Ok(1));
    let _leaked = tx.try_reserve().unwrap();
    tx.leave();
    let tx = heap.join(A, Role::Sender).unwrap();
    assert_eq!(rx.try_recv(), Err(Stop::WouldBlock));
    works_for_full_laps(&heap, &tx, &rx);
}

/// L1 to L5: whoever dies with a loan. A message that was borrowed and not acknowledged always comes again.
#[test]
fn a_borrower_dies_at_every_step() {
    for n in 1.. {
        let heap = ring(3);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        let victim = heap.join(VICTIM, Role::Both).unwrap();
        let read = std::cell::Cell::new(false);
        let done = dying_at(n, || {
            let borrowed = victim.try_borrow().unwrap();
            let reserved = victim.try_reserve().unwrap();
            read.set(true);
            victim.discard_reserved(reserved);
            victim.redeliver_borrowed(borrowed);
        });
        heap.bury(VICTIM);
        repair(&heap);
        let mut got = drain(&rx);
        got.sort_unstable();
        assert_eq!(got, [1, 2], "died at {n}, read: {}", read.get());
        works_for_full_laps(&heap, &tx, &rx);
        if done.is_ok() {
            assert!(n > 10, "only {n} steps");
            break;
        }
    }
}

/// A bystander in a batch covers all of it; and a repairer that meets a batch in motion waits.
#[test]
fn a_living_batch_is_waited_for() {
    let heap = ring(4);
    let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
    let (dead, bystander) = (heap.join(VICTIM, Role::Sender).unwrap(), heap.join(3, Role::Sender).unwrap());
    // The bystander is stopped after it has announced three; the victim claims two of them and dies before it says so.
    assert!(dying_at(3, || bystander.send_first(&[8, 8, 8])).is_err());
    assert!(dying_at(4, || dead.send_first(&[9, 9])).is_err());
    heap.bury(VICTIM);
    repair(&heap);
    tx.try_send(10).unwrap();
    assert_eq!(rx.try_recv(), Err(Stop::WouldBlock), "whose the first positions are, is not known yet");
    heap.bury(3);
    assert_eq!(rx.recv_until(Deadline::after(Duration::from_secs(30)), &heap.member(B)), Ok(10));
    works_for_full_laps(&heap, &tx, &rx);
}

#[test]
fn a_member_is_described() {
    let heap = ring(1);
    let me = heap.member(A);
    assert_eq!(me.describe(me.me().unwrap()).0, 1);
}
