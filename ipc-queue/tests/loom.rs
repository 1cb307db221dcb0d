//! Models of the ring under every schedule: `RUSTFLAGS="--cfg ipc_loom" cargo test --release -p ipc-queue --test loom`.
//!
//! One small model per ordering label or race of `ring/mod.rs`. Loom watches every payload access, so that a missing
//! happens-before is a failure even where the value would have been right.
#![cfg(ipc_loom)]

use ipc_core::Deadline;
use ipc_core::shim::set_rechecks;
use ipc_queue::ring::{Endpoint, HeapRing, Role, Stop, dying_at};
use ipc_queue::sabotage;
use std::sync::{Arc, Mutex, MutexGuard};

const A: u16 = 0;
const B: u16 = 1;
const C: u16 = 2;

type Heap = Arc<HeapRing<u64>>;

/// Whether sleepers wake by themselves is one switch for the whole process: one model at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A fault put in for the length of one model.
struct Fault(Option<fn(bool)>);

impl Fault {
    fn new(fault: Option<fn(bool)>) -> Self {
        fault.inspect(|set| set(true));
        Self(fault)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.0.inspect(|set| set(false));
    }
}

/// Explores `f`. Without re-checks a lost wake is a deadlock, which loom reports.
fn model(preemptions: usize, rechecks: bool, f: impl Fn() + Sync + Send + 'static) {
    model_with(None, preemptions, rechecks, f);
}

fn model_with(fault: Option<fn(bool)>, preemptions: usize, rechecks: bool, f: impl Fn() + Sync + Send + 'static) {
    let _alone = alone();
    let _fault = Fault::new(fault);
    set_rechecks(rechecks);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(f);
}

fn heap(capacity: u64, endpoints: u32) -> Heap {
    Arc::new(HeapRing::new(capacity, endpoints, 1, 3))
}

fn spawn<R: 'static>(heap: &Heap, f: impl FnOnce(&Heap) -> R + 'static) -> loom::thread::JoinHandle<R> {
    let heap = heap.clone();
    loom::thread::spawn(move || f(&heap))
}

fn send(heap: &Heap, me: u16, endpoint: &Endpoint<u64>, message: u64) {
    assert_eq!(endpoint.send_until(message, Deadline::NEVER, &heap.member(me)), Ok(()));
}

fn recv(heap: &Heap, me: u16, endpoint: &Endpoint<u64>) -> u64 {
    endpoint.recv_until(Deadline::NEVER, &heap.member(me)).expect("a message")
}

/// Polls: far fewer schedules than a wait, for models of something else.
fn poll<R>(mut attempt: impl FnMut() -> Result<R, Stop>) -> R {
    loop {
        match attempt() {
            Ok(result) => return result,
            Err(stop) => assert_eq!(stop, Stop::WouldBlock),
        }
        loom::thread::yield_now();
    }
}

/// Works while one member dies: sends a message, receives a little, repairs. Returns what came.
fn work_meanwhile(heap: &Heap, tx: &Endpoint<u64>, rx: &Endpoint<u64>) -> Vec<u64> {
    let mut got = Vec::new();
    let mut sent = false;
    for _ in 0..2 {
        sent = sent || tx.try_send(77).is_ok();
        got.extend(rx.try_recv().ok());
        heap.repair(A).expect("nobody scribbles");
        loom::thread::yield_now();
    }
    // The dead one may have been in the way until now.
    got.extend(if sent { None } else { Some(77) });
    got
}

/// What is left inside once the dead one is repaired; and the ring works for two laps.
fn drain_and_check(heap: &Heap, tx: &Endpoint<u64>, rx: &Endpoint<u64>) -> Vec<u64> {
    heap.repair(A).expect("nobody scribbles");
    let left = std::iter::from_fn(|| rx.try_recv().ok()).collect();
    let capacity = heap.ring().positions().capacity();
    for lap in 0..2 {
        (0..capacity).for_each(|i| assert_eq!(tx.try_send(80 + lap * 10 + i), Ok(())));
        assert_eq!(tx.try_send(1), Err(Stop::WouldBlock));
        (0..capacity).for_each(|i| assert_eq!(rx.try_recv(), Ok(80 + lap * 10 + i)));
    }
    left
}

/// [ring/P1], [ring/A1], [ring/T1], [ring/H1]: payloads pass from sender to receiver and back, across a wrap.
fn passes(capacity: u64) {
    model(3, false, move || {
        let heap = heap(capacity, 2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        for n in 1..capacity {
            assert_eq!((tx.try_send(n), rx.try_recv()), (Ok(()), Ok(n)));
        }
        let sender = spawn(&heap, move |_| [1, 2].map(|n| poll(|| tx.try_send(n))));
        assert_eq!([(); 2].map(|()| poll(|| rx.try_recv())), [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn a_payload_passes_at_capacity_1() {
    passes(1);
}

#[test]
fn a_payload_passes_at_capacity_2() {
    passes(2);
}

#[test]
fn two_senders_take_two_positions() {
    model(3, false, || {
        let heap = heap(2, 3);
        let rx = heap.join(A, Role::Receiver).unwrap();
        let (first, second) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Sender).unwrap());
        let sender = spawn(&heap, move |_| assert_eq!(second.try_send(2), Ok(())));
        assert_eq!(first.try_send(1), Ok(()));
        sender.join().unwrap();
        let mut got = [rx.try_recv().unwrap(), rx.try_recv().unwrap()];
        got.sort_unstable();
        assert_eq!((got, rx.try_recv()), ([1, 2], Err(Stop::WouldBlock)));
    });
}

#[test]
fn two_receivers_take_two_messages() {
    model(3, false, || {
        let heap = heap(2, 3);
        let tx = heap.join(A, Role::Sender).unwrap();
        let (first, second) = (heap.join(A, Role::Receiver).unwrap(), heap.join(B, Role::Receiver).unwrap());
        assert_eq!((tx.try_send(1), tx.try_send(2)), (Ok(()), Ok(())));
        let receiver = spawn(&heap, move |_| second.try_recv());
        let here = first.try_recv().unwrap();
        assert_eq!(here + receiver.join().unwrap().unwrap(), 3);
        assert_eq!((tx.try_send(3), first.try_recv()), (Ok(()), Ok(3)));
    });
}

/// [wait/W1] as the ring uses it: whoever goes to sleep is woken.
#[test]
fn no_wake_is_lost_to_a_receiver() {
    model(3, false, || {
        let heap = heap(1, 2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        let receiver = spawn(&heap, move |heap| recv(heap, B, &rx));
        assert_eq!(tx.try_send(1), Ok(()));
        assert_eq!(receiver.join().unwrap(), 1);
    });
}

#[test]
fn no_wake_is_lost_to_a_sender() {
    model(3, false, || {
        let heap = heap(1, 2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        assert_eq!(tx.try_send(1), Ok(()));
        let sender = spawn(&heap, move |heap| send(heap, A, &tx, 2));
        assert_eq!(rx.try_recv(), Ok(1));
        sender.join().unwrap();
        assert_eq!(rx.try_recv(), Ok(2));
    });
}

/// One wake may be eaten by a receiver that cannot use it, as when the second position is committed first: it is passed on.
#[test]
fn an_eaten_wake_is_passed_on() {
    model(1, false, || {
        let heap = heap(2, 4);
        let receivers = [A, B].map(|me| {
            let rx = heap.join(me, Role::Receiver).unwrap();
            spawn(&heap, move |heap| recv(heap, me, &rx))
        });
        let (first, second) = (heap.join(A, Role::Sender).unwrap(), heap.join(C, Role::Sender).unwrap());
        let sender = spawn(&heap, move |_| assert_eq!(second.try_send(2), Ok(())));
        assert_eq!(first.try_send(1), Ok(()));
        sender.join().unwrap();
        let [one, other] = receivers.map(|receiver| receiver.join().unwrap());
        assert_eq!(one + other, 3);
    });
}

/// [ring/E1], [ring/C1]: what was sent before the last sender left is received before `Closed`, and nobody sleeps on.
#[test]
fn leaving_is_noticed_after_the_last_message() {
    model(3, false, || {
        let heap = heap(1, 2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        let sender = spawn(&heap, move |_| {
            assert_eq!(tx.try_send(1), Ok(()));
            tx.leave();
        });
        assert_eq!(rx.recv_until(Deadline::NEVER, &heap.member(B)), Ok(1));
        assert_eq!(rx.recv_until(Deadline::NEVER, &heap.member(B)), Err(Stop::Closed));
        sender.join().unwrap();
    });
}

/// A sender clones itself into a row already looked at and leaves one not yet looked at: nobody is told `Closed`.
#[test]
fn a_clone_that_hops_rows_is_not_overlooked() {
    model(3, false, || {
        let heap = heap(1, 3);
        let placeholder = heap.join(A, Role::Receiver).unwrap();
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        placeholder.leave();
        let sender = spawn(&heap, move |heap| {
            let clone = heap.join(A, Role::Sender).unwrap();
            tx.leave();
            clone
        });
        assert_eq!(rx.try_recv(), Err(Stop::WouldBlock));
        assert!(heap.anybody(Role::Sender));
        let clone = sender.join().unwrap();
        assert!(clone.is_joined());
    });
}

#[test]
fn closing_races_with_sending() {
    model(3, false, || {
        let heap = heap(1, 2);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Receiver).unwrap());
        let sender = spawn(&heap, move |_| tx.try_send(1));
        let closer = spawn(&heap, |heap| heap.ring().close());
        let got = loop {
            match rx.try_recv() {
                Err(Stop::WouldBlock) => loom::thread::yield_now(),
                done => break done,
            }
        };
        match sender.join().unwrap() {
            Ok(()) => assert_eq!(got, Ok(1), "accepted is delivered"),
            stop => assert_eq!((stop, got), (Err(Stop::Closed), Err(Stop::Closed))),
        }
        closer.join().unwrap();
        assert_eq!(rx.try_recv(), Err(Stop::Closed));
    });
}

/// A member stops for ever at step `n` of `act`, while another works; then the ring is whole again. Up to `lost` messages
/// die with it.
fn dies(capacity: u64, steps: std::ops::RangeInclusive<u32>, prefill: u64, lost: usize, act: fn(&Endpoint<u64>)) {
    for n in steps {
        model(2, true, move || {
            let heap = heap(capacity, 3);
            let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(A, Role::Receiver).unwrap());
            (1..=prefill).for_each(|i| assert_eq!(tx.try_send(i), Ok(())));
            let victim = heap.join(B, Role::Both).unwrap();
            let thread = spawn(&heap, move |heap| {
                let _ = dying_at(n, || act(&victim));
                heap.bury(B);
            });
            let mut got = work_meanwhile(&heap, &tx, &rx);
            thread.join().unwrap();
            got.extend(drain_and_check(&heap, &tx, &rx));
            let whole = got.iter().filter(|m| (1..=prefill).contains(m) || **m == 77).count();
            let dead_ones = got.iter().filter(|m| (8..=10).contains(*m)).count();
            assert!(whole + dead_ones == got.len(), "torn: {got:?}");
            assert!(whole + lost > prefill as usize, "lost: {got:?}");
            got.sort_unstable();
            assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "twice: {got:?}");
        });
    }
}

#[test]
fn a_sender_dies_at_every_step_capacity_1() {
    dies(1, 1..=5, 0, 0, |victim| _ = victim.try_send(9));
}

#[test]
fn a_sender_dies_at_every_step_capacity_2() {
    dies(2, 1..=5, 0, 0, |victim| _ = victim.try_send(9));
}

#[test]
fn a_receiver_dies_at_every_step() {
    dies(2, 1..=5, 1, 1, |victim| _ = victim.try_recv());
}

/// [ring/I1]: a batch is announced by two words, and its claim covers several positions.
#[test]
fn a_batch_passes_beside_another_sender() {
    model(2, false, || {
        let heap = heap(2, 3);
        let rx = heap.join(A, Role::Receiver).unwrap();
        let (many, one) = (heap.join(A, Role::Sender).unwrap(), heap.join(B, Role::Sender).unwrap());
        let sender = spawn(&heap, move |_| poll(|| one.try_send(9)));
        let first = poll(|| many.send_first(&[1, 2]));
        let mut got = Vec::new();
        while got.len() < first + 1 {
            got.extend(std::iter::from_fn(|| rx.try_recv().ok()));
            loom::thread::yield_now();
        }
        sender.join().unwrap();
        got.retain(|message| *message != 9);
        assert_eq!(got, [1, 2][..first]);
    });
}

/// Stopped for ever at each step of its second batch, which is longer than the first.
#[test]
fn a_sender_of_batches_dies_at_every_step() {
    dies(3, 1..=8, 0, 0, |victim| _ = victim.try_send(8).and_then(|()| victim.send_first(&[9, 10]).map(drop)));
}

#[test]
fn a_receiver_of_batches_dies_at_every_step() {
    dies(3, 1..=9, 2, 2, |victim| _ = victim.recv_first(2, |_| ()));
}

/// [ring/I1]: whoever looks for the holder of a position while batches come and go finds it, or that it is no longer held.
#[test]
fn a_busy_sender_of_batches_is_not_taken_for_nobody() {
    model(3, true, || {
        let heap = heap(4, 2);
        let _rx = heap.join(A, Role::Receiver).unwrap();
        let tx = heap.join(B, Role::Sender).unwrap();
        let sender = spawn(&heap, move |_| assert_eq!((tx.try_send(1), tx.send_first(&[2, 3])), (Ok(()), Ok(2))));
        heap.repair(A).expect("nobody scribbles");
        sender.join().unwrap();
    });
}

/// [ring/D1]: a loan's payload is its endpoint's alone, whoever repairs meanwhile.
#[test]
fn a_loan_dies_at_every_step() {
    dies(2, 1..=9, 1, 0, |victim| {
        if let Ok(loan) = victim.try_reserve() {
            victim.discard_reserved(loan);
        }
        if let Ok(loan) = victim.try_borrow() {
            victim.redeliver_borrowed(loan);
        }
    });
}

/// A bystander is stopped between its announcement and its claim while the dead one is repaired, and then goes on.
#[test]
fn a_bystander_pauses_during_repair() {
    for n in 2..=4 {
        model(2, true, move || {
            let heap = heap(2, 3);
            let rx = heap.join(A, Role::Receiver).unwrap();
            let (victim, bystander) = (heap.join(B, Role::Sender).unwrap(), heap.join(C, Role::Sender).unwrap());
            let bystander = spawn(&heap, move |_| bystander.try_send(5));
            assert!(dying_at(n, || victim.try_send(9)).is_err());
            heap.bury(B);
            assert_eq!(recv(&heap, A, &rx), 5, "the dead one's message is skipped, the living one's is not");
            assert_eq!(bystander.join().unwrap(), Ok(()));
            assert_eq!(rx.try_recv(), Err(Stop::WouldBlock));
        });
    }
}

/// [ring/I1]: whoever looks for the holder of a position finds it, or finds that it is no longer held.
#[test]
fn a_busy_sender_is_not_taken_for_nobody() {
    model(3, true, || {
        let heap = heap(2, 2);
        let _rx = heap.join(A, Role::Receiver).unwrap();
        let tx = heap.join(B, Role::Sender).unwrap();
        let sender = spawn(&heap, move |_| assert_eq!((tx.try_send(1), tx.try_send(2)), (Ok(()), Ok(()))));
        heap.repair(A).expect("nobody scribbles");
        sender.join().unwrap();
    });
}

/// Two members find the same dead one.
#[test]
fn two_repair_at_once() {
    for n in 2..=4 {
        model(2, true, move || {
            let heap = heap(2, 3);
            let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(C, Role::Receiver).unwrap());
            let victim = heap.join(B, Role::Both).unwrap();
            assert!(dying_at(n, || victim.try_send(9)).is_err());
            heap.bury(B);
            let other = spawn(&heap, |heap| heap.repair(C).expect("nobody scribbles"));
            heap.repair(A).expect("nobody scribbles");
            other.join().unwrap();
            assert_eq!(tx.try_send(1), Ok(()));
            assert_eq!(rx.try_recv(), Ok(1));
            assert!(heap.join(A, Role::Both).is_ok(), "the row is free");
        });
    }
}

/// A waiter finds and repairs what is in its way by itself.
#[test]
fn a_waiting_receiver_gets_past_the_dead() {
    model(2, true, || {
        let heap = heap(2, 3);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(C, Role::Receiver).unwrap());
        let victim = heap.join(B, Role::Both).unwrap();
        assert!(dying_at(2, || victim.try_send(9)).is_err());
        assert_eq!(tx.try_send(1), Ok(()));
        let undertaker = spawn(&heap, |heap| heap.bury(B));
        assert_eq!(recv(&heap, C, &rx), 1);
        undertaker.join().unwrap();
    });
}

/// A ring with a position that a sender claimed and died on, and a message behind it.
fn one_dead_sender_and_a_message(fault: Option<fn(bool)>) {
    model_with(fault, 2, true, || {
        let heap = heap(2, 3);
        let (tx, rx) = (heap.join(A, Role::Sender).unwrap(), heap.join(A, Role::Receiver).unwrap());
        let victim = heap.join(B, Role::Sender).unwrap();
        assert!(dying_at(2, || victim.try_send(9)).is_err());
        heap.bury(B);
        send(&heap, A, &tx, 1);
        heap.repair(A).expect("nobody scribbles");
        assert_eq!(rx.try_recv(), Ok(1), "a message");
    });
}

#[test]
fn a_message_behind_a_dead_sender_is_received() {
    one_dead_sender_and_a_message(None);
}

/// Negative control: without repair, a dead sender's position stays in the way for ever.
#[test]
#[should_panic(expected = "a message")]
fn without_repair_the_ring_is_stuck() {
    one_dead_sender_and_a_message(Some(sabotage::repair_off));
}

/// Negative control: had the repairer stored EMPTY instead of TOMB, nobody would ever fill or skip that position.
#[test]
#[should_panic(expected = "nobody holds")]
fn an_empty_slot_instead_of_a_tomb_is_stuck() {
    one_dead_sender_and_a_message(Some(sabotage::tomb_as_empty));
}
