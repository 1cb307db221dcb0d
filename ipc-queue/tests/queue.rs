//! `Queue`, `Sender` and `Receiver`. Across exec'd processes see the conformance suite; here: threads, and forked children.

use ipc_core::transport;
use ipc_queue::{
    EndpointError, ErrorKind, Queue, Receiver, RecvError, RecvTimeoutError, Segment, SendError, Sender, TryRecvError,
    TrySendError, bounded, plain,
};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// No test hangs for longer.
const WATCHDOG: Duration = Duration::from_secs(60);

#[plain]
#[derive(Debug, PartialEq)]
struct Job {
    id: u64,
    cost: u32,
}

/// Runs `child` in a forked process and returns its pid. The child never returns into the test harness.
fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs `child` and exits at once; what it needs of the process's locks is in order (fork.rs of ipc-core).
    match unsafe { libc::fork() } {
        0 => {
            let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).is_ok();
            // SAFETY: always.
            unsafe { libc::_exit(if fine { 0 } else { 101 }) }
        }
        pid => pid,
    }
}

fn kill(pid: libc::pid_t) {
    // SAFETY: a child of ours that has not been waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// The wait status.
fn reap(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a child of ours; the status is a local.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

#[test]
fn smoke() {
    let queue = Queue::new(2).unwrap();
    queue.send(Job { id: 1, cost: 2 }).unwrap();
    assert_eq!(queue.recv().unwrap(), Job { id: 1, cost: 2 });
}

/// QU01, QU02, QU03, QU04, QU06, QU07, QU09, QU19.
#[test]
fn qu01_to_qu09_order_bounds_and_sizes() {
    let queue = Queue::new(6).unwrap();
    assert!(queue.is_empty() && !queue.is_full() && queue.capacity() == 6);
    for n in 1..=6u32 {
        queue.send_timeout(n, Duration::MAX).unwrap();
        assert_eq!(queue.len(), n as usize);
    }
    assert!(queue.is_full() && !queue.is_empty());
    assert_eq!(queue.try_send(7), Err(TrySendError::Full(7)));
    for timeout in [0, 20] {
        let (timeout, started) = (Duration::from_millis(timeout), Instant::now());
        assert!(queue.send_timeout(7, timeout).unwrap_err().would_block());
        assert!(started.elapsed() >= timeout);
    }
    let (deadline, two) = (Instant::now() + WATCHDOG, queue.try_recv());
    assert_eq!(
        (two, queue.recv(), queue.recv_timeout(WATCHDOG), queue.recv_deadline(deadline)),
        (Ok(1), Ok(2), Ok(3), Ok(4))
    );
    assert_eq!(queue.try_iter().collect::<Vec<_>>(), [5, 6]);
    assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
    let started = Instant::now();
    assert_eq!(queue.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
    assert_eq!(queue.recv_deadline(started), Err(RecvTimeoutError::Timeout));
    assert!(started.elapsed() >= Duration::from_millis(20));
}

/// QU12, QU13, SQ02, SQ03.
#[test]
fn qu13_a_closed_queue_is_drained_and_then_closed() {
    let queue = Queue::new(2).unwrap();
    queue.send(1u8).unwrap();
    queue.close();
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.send(2), Err(SendError::Closed(2)));
    assert_eq!(queue.try_send(2).unwrap_err().into_inner(), 2);
    assert_eq!(queue.recv(), Ok(1));
    assert_eq!(queue.recv(), Err(RecvError::Closed));
    assert_eq!(queue.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(queue.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Closed));
}

#[test]
fn closing_wakes_all_sleepers() {
    let (full, empty) = (Queue::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    full.send(0u64).unwrap();
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| assert_eq!(empty.recv(), Err(RecvError::Closed)));
            s.spawn(|| assert_eq!(full.send(1), Err(SendError::Closed(1))));
        }
        // Closed before, while or after they fall asleep: the outcome is the same.
        std::thread::yield_now();
        full.close();
        empty.close();
    });
}

/// QU17, XS26 (conservation), with more threads than rows.
#[test]
fn each_message_comes_once_and_in_order_per_sender() {
    const EACH: u64 = 2_000;
    const SENDERS: u64 = 4;
    for (capacity, endpoints) in [(1, 1), (3, 2), (64, 64)] {
        let queue = Queue::options().endpoints(endpoints).new(capacity).unwrap();
        let got = Mutex::new(Vec::new());
        std::thread::scope(|s| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let queue = &queue;
                    s.spawn(move || (0..EACH).for_each(|n| queue.send([sender, n]).unwrap()))
                })
                .collect();
            for _ in 0..3 {
                s.spawn(|| {
                    let mine: Vec<[u64; 2]> = queue.iter().collect();
                    for sender in 0..SENDERS {
                        let order: Vec<_> = mine.iter().filter(|m| m[0] == sender).map(|m| m[1]).collect();
                        assert!(order.is_sorted(), "sender {sender}, capacity {capacity}");
                    }
                    got.lock().unwrap().extend(mine);
                });
            }
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            queue.close();
        });
        let mut got = got.into_inner().unwrap();
        got.sort_unstable();
        assert!(
            got.iter().copied().eq((0..SENDERS).flat_map(|s| (0..EACH).map(move |n| [s, n]))),
            "capacity {capacity}"
        );
    }
}

#[test]
fn endpoints_notice_that_the_others_have_left() {
    let (tx, rx) = bounded(4).unwrap();
    let other = tx.try_clone().unwrap();
    tx.send(1u64).unwrap();
    drop(tx);
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "one sender is left");
    drop(other);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(rx.iter().next(), None);

    let (tx, rx) = bounded(4).unwrap();
    drop(rx);
    assert_eq!(tx.try_send(1u64), Err(TrySendError::Closed(1)));
    assert_eq!(tx.send(1), Err(SendError::Closed(1)));
}

#[test]
fn a_sleeper_is_woken_when_the_last_one_leaves() {
    for _ in 0..50 {
        let (tx, rx) = bounded::<u64>(1).unwrap();
        std::thread::scope(|s| {
            s.spawn(move || assert_eq!(rx.recv(), Err(RecvError::Closed)));
            drop(tx);
        });
        let (tx, rx) = bounded::<u64>(1).unwrap();
        tx.send(1).unwrap();
        std::thread::scope(|s| {
            s.spawn(move || assert!(tx.send(2).unwrap_err().is_closed()));
            drop(rx);
        });
    }
}

#[test]
fn a_queue_handle_counts_on_both_sides() {
    let queue = Queue::<u64>::new(1).unwrap();
    let (tx, rx) = (queue.sender().unwrap(), queue.receiver().unwrap());
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(queue);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn rows_run_out_and_come_back() {
    let queue = Queue::<u64>::options().endpoints(3).new(1).unwrap();
    let (tx, _rx) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let error = queue.sender().unwrap_err();
    assert_eq!(error, EndpointError::NoEndpoint { rows: 3 });
    assert!(error.to_string().contains(".endpoints(n)"));
    drop(tx);
    let tx = queue.sender().unwrap();
    assert!(tx.try_clone().is_err());
    let none = Queue::<u64>::options().endpoints(1).bounded(1).unwrap_err();
    assert!(matches!(none.kind(), ErrorKind::NoEndpointRow { rows: 1 }));
}

#[test]
fn what_cannot_be_is_said() {
    for capacity in [0, usize::MAX] {
        let error = Queue::<u64>::new(capacity).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument { what: "the capacity", .. }), "{error}");
    }
    let error = Queue::<u64>::options().endpoints(0).new(1).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error}");
    let error = Queue::<[u64; 1 << 20]>::new(1 << 31).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory { .. }), "{error}");
}

#[test]
fn many_in_one_segment_named_and_not() {
    let segment = Segment::new(1 << 20).unwrap();
    let named = Queue::<u64>::create_in(&segment, "jobs", 4).unwrap();
    let unnamed: Vec<_> = (0..20).map(|_| Queue::<u64>::new_in(&segment, 4).unwrap()).collect();
    unnamed.iter().zip(0..).for_each(|(queue, n)| queue.send(n).unwrap());
    let again = Queue::<u64>::open_in(&segment, "jobs").unwrap();
    named.send(7).unwrap();
    assert_eq!(again.recv(), Ok(7));
    assert!(unnamed.iter().zip(0..).all(|(queue, n)| queue.recv() == Ok(n)));
    let other = Queue::<u32>::open_in(&segment, "jobs").unwrap_err();
    assert!(matches!(other.kind(), ErrorKind::WrongType { .. }), "{other}");
}

#[test]
fn a_ticket_attaches() {
    let queue = Queue::<u64>::new(4).unwrap();
    let text = queue.ticket().to_string();
    let other = Queue::<u64>::attach(&text.parse().unwrap()).unwrap();
    queue.send(5).unwrap();
    assert_eq!(other.recv(), Ok(5));
}

#[test]
fn handles_that_travel() {
    let queue = Queue::<u64>::new(4).unwrap();
    let (tx, rx) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let (text, luggage) = transport::send(|| serde_json::to_string(&(&queue, &tx, &rx)));
    assert_eq!(luggage.len(), 1);
    let (text, fds) = (text.unwrap(), luggage.into_fds().unwrap());
    assert_eq!(tx.try_send(1), Err(TrySendError::Moved(1)));
    assert_eq!(tx.try_clone().unwrap_err(), EndpointError::Moved);
    let receive =
        |fds| transport::receive(fds, || serde_json::from_str::<(Queue<u64>, Sender<u64>, Receiver<u64>)>(&text));
    let (queue_there, tx_there, rx_there) = receive(fds).unwrap();
    drop((queue, tx, rx));
    tx_there.send(3).unwrap();
    queue_there.send(4).unwrap();
    assert_eq!((rx_there.recv(), rx_there.recv()), (Ok(3), Ok(4)), "dropped here, alive there");
    // A second copy of the message finds its endpoints taken.
    let (_, luggage) = transport::send(|| serde_json::to_string(&queue_there));
    receive(luggage.into_fds().unwrap()).unwrap_err();
    assert!(matches!(transport::take_error().unwrap().kind(), ErrorKind::Gone { .. }));
    drop((queue_there, tx_there));
    assert_eq!(rx_there.recv(), Err(RecvError::Closed));
}

#[test]
fn an_endpoint_that_never_arrived_leaves_when_dropped() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let (text, luggage) = transport::send(|| serde_json::to_string(&tx));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "in transit it counts as alive");
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    let late = transport::receive(luggage.into_fds().unwrap(), || serde_json::from_str::<Sender<u64>>(&text.unwrap()));
    assert!(late.is_err());
}

#[test]
fn an_endpoint_does_not_travel_outside_a_journey() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    assert!(serde_json::to_string(&tx).unwrap_err().to_string().contains(".ticket()"));
    tx.send(1).unwrap();
    assert_eq!(rx.recv(), Ok(1), "it has gone nowhere");
}

#[test]
fn a_sender_is_not_a_receiver() {
    let (tx, _rx) = bounded::<u64>(4).unwrap();
    let (text, luggage) = transport::send(|| serde_json::to_string(&tx));
    let fds = luggage.into_fds().unwrap();
    assert!(transport::receive(fds, || serde_json::from_str::<Receiver<u64>>(&text.unwrap())).is_err());
}

/// QU08, QU20, QU21: what a child has sent is there, whatever becomes of the child.
#[test]
fn qu21_what_a_child_sent_before_it_died_arrives() {
    let queue = Queue::new(40).unwrap();
    (0..10u64).for_each(|n| queue.send(n).unwrap());
    let child = fork(|| {
        (10..20).for_each(|n| queue.send(n).unwrap());
        kill(std::process::id() as libc::pid_t);
    });
    assert!(libc::WIFSIGNALED(reap(child)));
    assert!(queue.try_iter().eq(0..20));
}

#[test]
fn inherited_endpoints_are_the_parents() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let child = fork(|| {
        assert_eq!(tx.try_send(1), Err(TrySendError::Forked(1)));
        assert_eq!(tx.send(1), Err(SendError::Forked(1)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Forked));
        assert_eq!(rx.recv(), Err(RecvError::Forked));
        assert_eq!(tx.try_clone().unwrap_err(), EndpointError::Forked);
        // SAFETY: a copy of a value that is never used again: the child exits.
        drop(unsafe { std::ptr::read(&tx) });
    });
    assert_eq!(reap(child), 0);
    tx.send(2).unwrap();
    assert_eq!(rx.recv(), Ok(2), "the child's drop did nothing");
}

/// XS12, XS08: the last sender is killed while receivers sleep.
#[test]
fn xs12_the_last_senders_death_closes() {
    let queue = Queue::<u64>::new(4).unwrap();
    let (ready, went) = bounded::<u64>(1).unwrap();
    let rx = queue.receiver().unwrap();
    let child = fork(|| {
        let tx = queue.sender().unwrap();
        tx.send(9).unwrap();
        loop {
            std::thread::park();
        }
    });
    assert_eq!(rx.recv(), Ok(9));
    drop((queue, ready));
    assert_eq!(went.recv(), Err(RecvError::Closed));
    assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout), "a stopped sender is alive");
    kill(child);
    let started = Instant::now();
    assert_eq!(rx.recv_timeout(WATCHDOG), Err(RecvTimeoutError::Closed));
    assert!(started.elapsed() < WATCHDOG);
    reap(child);
}

/// XS08, XS09, XS10: members are killed at random while others work; nothing is stuck, torn or twice.
#[test]
fn a_small_storm_of_kills() {
    const ROUNDS: u64 = 60;
    for capacity in [1, 5] {
        let queue = Queue::<[u64; 4]>::options().endpoints(8).members(8).new(capacity).unwrap();
        let log = Queue::<u64>::options().endpoints(8).members(8).new(1 << 16).unwrap();
        let mut all = Vec::new();
        for round in 0..ROUNDS {
            let base = round << 32;
            let sender = fork(|| {
                for n in 1.. {
                    let id = base | n;
                    queue.send([id, !id, id.rotate_left(17), id ^ 0x5555]).unwrap();
                }
            });
            let receiver = fork(|| {
                for m in queue.iter() {
                    assert_eq!(m, [m[0], !m[0], m[0].rotate_left(17), m[0] ^ 0x5555], "torn");
                    log.send(m[0]).unwrap();
                }
            });
            let until = Instant::now() + Duration::from_micros(200 + round * 37 % 900);
            while Instant::now() < until {
                if let Ok(m) = queue.try_recv() {
                    log.send(m[0]).unwrap();
                }
            }
            kill(if round % 2 == 0 { sender } else { receiver });
            kill(if round % 2 == 0 { receiver } else { sender });
            reap(sender);
            reap(receiver);
            // The queue must work, whatever they left.
            let (mut marked, stuck) = (false, Instant::now() + WATCHDOG);
            loop {
                marked = marked || queue.try_send([0; 4]).is_ok();
                match queue.try_recv() {
                    Ok([0, ..]) => break,
                    Ok(m) => log.send(m[0]).unwrap(),
                    Err(error) => assert!(error.would_block() && Instant::now() < stuck, "{error}: {queue:?}"),
                }
            }
            // The dead receiver may have been logging: what it had claimed there is in the way until somebody waits for it.
            log.send(u64::MAX).unwrap();
            let mut ids: Vec<u64> = log.iter().take_while(|&id| id != u64::MAX).collect();
            ids.extend(queue.try_iter().map(|m| m[0]));
            // What the dead receiver had claimed may come a round later: nobody had waited for it.
            assert!(ids.iter().all(|id| id >> 32 <= round), "a message of a round to come");
            all.extend(ids);
        }
        all.sort_unstable();
        assert!(all.windows(2).all(|w| w[0] < w[1]), "a message came twice");
        let sent = |of: &[u64]| of.last().map_or(0, |id| id & 0xffff_ffff);
        let lost = all.chunk_by(|a, b| a >> 32 == b >> 32).map(|of| sent(of) - of.len() as u64).sum::<u64>();
        // At most the one message that the killed receiver had in hand, and the one it had not yet logged.
        assert!(lost <= 2 * ROUNDS, "lost {lost} of {}", all.len());
    }
}

/// An endpoint of both roles overlooked, as a sender, the sign of a message that it had to take as a receiver.
#[test]
fn sending_does_not_overlook_what_is_to_be_redelivered() {
    let queue = Queue::<u64>::new(1).unwrap();
    for round in 0..30 {
        let child = fork(|| {
            loop {
                let _ = queue.try_recv();
            }
        });
        let until = Instant::now() + Duration::from_micros(300 + round * 41 % 500);
        while Instant::now() < until {
            let _ = queue.try_send(round);
        }
        kill(child);
        reap(child);
        let stuck = Instant::now() + WATCHDOG;
        while queue.try_send(u64::MAX).is_err() {
            assert!(Instant::now() < stuck, "{queue:?}");
            let _ = queue.try_recv();
        }
        while queue.try_recv() != Ok(u64::MAX) {
            assert!(Instant::now() < stuck, "{queue:?}");
        }
    }
}

/// Batches keep each sender's order, and each message comes once, whatever the sizes.
#[test]
fn batches_of_all_sizes_come_once_and_in_order() {
    const EACH: u64 = 3_000;
    const SENDERS: u64 = 3;
    for (capacity, endpoints) in [(1, 1), (5, 3), (64, 64)] {
        let queue = Queue::<[u64; 2]>::options().endpoints(endpoints).new(capacity).unwrap();
        let received = Mutex::new(Vec::new());
        std::thread::scope(|s| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|who| {
                    let queue = &queue;
                    s.spawn(move || {
                        let all: Vec<[u64; 2]> = (0..EACH).map(|n| [who, n]).collect();
                        let mut rest = &all[..];
                        for size in (1..9).cycle() {
                            let (now, later) = rest.split_at(size.min(rest.len()));
                            queue.send_many(now).unwrap();
                            rest = later;
                            if rest.is_empty() {
                                break;
                            }
                        }
                    })
                })
                .collect();
            for most in [1, 3, 100] {
                let (queue, received) = (&queue, &received);
                s.spawn(move || {
                    let mut last = [None; SENDERS as usize];
                    for batch in queue.batches(most) {
                        assert!(!batch.is_empty() && batch.len() <= most);
                        for [who, n] in &batch {
                            assert!(last[*who as usize] < Some(*n), "in order");
                            last[*who as usize] = Some(*n);
                        }
                        received.lock().unwrap().extend(batch);
                    }
                });
            }
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            queue.close();
        });
        let mut received = received.into_inner().unwrap();
        received.sort_unstable();
        assert!(received.iter().copied().eq((0..SENDERS).flat_map(|who| (0..EACH).map(move |n| [who, n]))));
    }
}

#[test]
fn a_batch_that_does_not_fit_says_how_far_it_came() {
    let (tx, rx) = bounded(3).unwrap();
    assert_eq!(tx.try_send_many(&[1u32, 2, 3, 4, 5]), Ok(3));
    assert_eq!(tx.try_send_many(&[4]), Err(TrySendError::Full(())));
    assert_eq!((tx.try_send_many(&[]), tx.send_many(&[])), (Ok(0), Ok(())));
    let late = tx.send_many_timeout(&[4, 5], Duration::from_millis(1)).unwrap_err();
    assert!(late.sent == 0 && late.error.would_block(), "{late}");
    let mut got = vec![0];
    assert_eq!((rx.try_recv_many(&mut got, 2), rx.recv_many(&mut got, 0)), (Ok(2), Ok(0)));
    assert_eq!(got, [0, 1, 2]);
    let late = tx.send_many_deadline(&[4, 5, 6], Instant::now()).unwrap_err();
    assert_eq!(late.sent, 2, "{late}");
    drop(rx);
    let unsent = tx.send_iter(10..20).unwrap_err();
    assert_eq!((unsent.sent, unsent.unsent, unsent.error), (0, vec![10, 11, 12], SendError::Closed(())));
    assert!(tx.send_many(&[1]).unwrap_err().error.is_closed());
}

#[test]
fn an_empty_queue_gives_no_batch() {
    let (tx, rx) = bounded::<u8>(3).unwrap();
    let mut got = Vec::new();
    assert_eq!(rx.try_recv_many(&mut got, 9), Err(TryRecvError::Empty));
    assert_eq!(rx.recv_many_timeout(&mut got, 9, Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_many_deadline(&mut got, 9, Instant::now()), Err(RecvTimeoutError::Timeout));
    tx.send(1).unwrap();
    drop(tx);
    assert_eq!((rx.recv_many(&mut got, usize::MAX), rx.recv_many(&mut got, 1)), (Ok(1), Err(RecvError::Closed)));
}

/// XS09: whoever dies with a loan has sent nothing, and not received.
#[test]
fn xs09_the_loans_of_the_dead_are_skipped_or_come_again() {
    let queue = Queue::new(4).unwrap();
    queue.send([7u64; 16]).unwrap();
    let child = fork(|| {
        let (tx, rx) = (queue.sender().unwrap(), queue.receiver().unwrap());
        let read = rx.recv_ref().unwrap();
        assert_eq!(*read, [7; 16]);
        let mut written = tx.reserve().unwrap();
        *written = [8; 16];
        // SAFETY: always.
        unsafe { libc::_exit(7) };
    });
    assert_eq!(libc::WEXITSTATUS(reap(child)), 7);
    queue.send([9; 16]).unwrap();
    let mut got = [(); 2].map(|()| queue.recv_timeout(WATCHDOG).unwrap()[0]);
    got.sort_unstable();
    assert_eq!(got, [7, 9]);
    assert_eq!((queue.try_recv().unwrap_err(), queue.len()), (TryRecvError::Empty, 0));
}

/// A loan inherited by fork is the parent's.
#[test]
fn a_forked_child_cannot_touch_a_loan() {
    let (tx, rx) = bounded::<u64>(2).unwrap();
    tx.send(1).unwrap();
    let mut written = tx.reserve().unwrap();
    *written = 2;
    let read = rx.recv_ref().unwrap();
    let child = fork(|| {
        std::panic::set_hook(Box::new(|_| ()));
        let look = std::panic::AssertUnwindSafe(|| *read);
        assert!(std::panic::catch_unwind(look).is_err());
        // SAFETY: read once here, in a process of its own; the parent has the other one.
        drop(unsafe { std::ptr::read(&written) });
        // SAFETY: as above.
        drop(unsafe { std::ptr::read(&read) });
    });
    assert_eq!(reap(child), 0);
    written.commit();
    assert_eq!(*read, 1);
    read.ack();
    assert_eq!((rx.recv(), tx.send(3), rx.recv()), (Ok(2), Ok(()), Ok(3)));
}

/// What is written in place keeps no byte of this process's memory in its padding.
#[test]
fn padding_of_a_loan_is_zeroed() {
    let (tx, rx) = bounded::<Job>(1).unwrap();
    let mut place = tx.reserve().unwrap();
    let bytes = (&raw mut *place).cast::<u8>();
    // SAFETY: a Job is this long, and any bytes are one.
    unsafe { bytes.write_bytes(0xA5, size_of::<Job>()) };
    place.commit();
    let job = rx.recv_ref().unwrap();
    assert_eq!((job.id, job.cost), (0xA5A5_A5A5_A5A5_A5A5, 0xA5A5_A5A5));
    let padding = (&raw const *job).cast::<u8>().wrapping_add(12).cast::<u32>();
    // SAFETY: the last four bytes of a Job; mapped bytes are initialised.
    let padding = unsafe { padding.read() };
    assert_eq!(padding, 0);
    job.ack();
}
