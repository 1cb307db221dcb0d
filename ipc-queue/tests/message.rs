//! `MessageQueue`, `MessageSender` and `MessageReceiver`: threads, and forked children.

use ipc_core::transport;
use ipc_queue::{
    DecodeError, ErrorKind, MessageQueue, MessageReceiver, MessageSender, Queue, RecvError, RecvMessageError,
    RecvTimeoutError, Segment, SendError, SendMessageError, TryRecvError, message_queue,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// No test hangs for longer.
const WATCHDOG: Duration = Duration::from_secs(60);

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

/// The wait status.
fn reap(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a child of ours; the status is a local.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

/// As long as it says, and of bytes that tell it from others.
fn text(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(seed | 1) >> 3) as u8).collect()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Job {
    Rest,
    Count { words: Vec<String>, of: BTreeMap<u32, Option<f64>> },
}

#[test]
fn smoke() {
    let queue = MessageQueue::new(4).unwrap();
    let count = || Job::Count { words: vec!["the".into(), "ΟΔΟΣ".into()], of: [(7, None), (9, Some(0.5))].into() };
    queue.send(Job::Rest).unwrap();
    queue.send(count()).unwrap();
    assert_eq!((queue.len(), queue.capacity(), queue.is_empty()), (2, 4, false));
    assert_eq!((queue.recv().unwrap(), queue.recv().unwrap()), (Job::Rest, count()));
    assert_eq!(queue.try_recv(), Err(RecvMessageError::Queue(TryRecvError::Empty)));
}

/// On both sides of every limit: a slot, a block, the longest message.
#[test]
fn every_length_arrives_whole() {
    let queue = MessageQueue::options().max_message(40_000).budget(1).new(2).unwrap();
    for len in [0, 1, 46, 47, 48, 49, 1020, 1021, 1022, 1023, 1024, 2045, 2046, 2047, 39_996, 39_997] {
        queue.send_timeout(text(len, 77), WATCHDOG).unwrap_or_else(|error| panic!("{len}: {error}"));
        assert_eq!(queue.recv_timeout(WATCHDOG).unwrap(), text(len, 77), "{len}");
    }
}

#[test]
fn what_is_too_large_comes_back_with_both_numbers() {
    let queue = MessageQueue::options().max_message(100).new(2).unwrap();
    match queue.send(text(100, 1)) {
        Err(SendMessageError::TooLarge { message, len: 101, max: 100 }) => assert_eq!(message, text(100, 1)),
        other => panic!("{other:?}"),
    }
    queue.send(text(99, 1)).unwrap();
    assert_eq!(queue.recv().unwrap(), text(99, 1));
}

/// QU10 (differs): what cannot be serialised is an error of `send` itself; later messages pass, and no slot is lost.
#[test]
fn qu10_what_cannot_be_serialised_is_an_error_of_send() {
    #[derive(Debug)]
    struct Picky(u32);

    impl Serialize for Picky {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0 == 13 { Err(serde::ser::Error::custom("not this one")) } else { self.0.serialize(serializer) }
        }
    }

    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u32::deserialize(deserializer).map(Picky)
        }
    }

    let queue = MessageQueue::new(1).unwrap();
    for n in [1, 13, 2, 13, 3] {
        match queue.send(Picky(n)) {
            Ok(()) => assert_eq!(queue.recv().unwrap().0, n),
            Err(SendMessageError::Encode { message, .. }) => assert_eq!((message.0, queue.len()), (13, 0)),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_cannot_be_deserialised_comes_as_bytes_and_later_messages_follow() {
    let segment = Segment::new(1 << 16).unwrap();
    let texts = MessageQueue::<Vec<u8>>::options()
        .budget(4096)
        .max_message(2000)
        .place(ipc_core::raw::Place::CreateIn(&segment, "jobs"), 4);
    let texts = texts.unwrap();
    let numbers = MessageQueue::<(bool, u8)>::open_in(&segment, "jobs").unwrap();
    texts.send(text(1500, 5)).unwrap();
    numbers.send((true, 9)).unwrap();
    match numbers.recv() {
        Err(RecvMessageError::Decode(DecodeError { bytes, .. })) => assert_eq!(bytes.len(), 1502),
        other => panic!("{other:?}"),
    }
    assert_eq!(numbers.recv().unwrap(), (true, 9));
}

#[test]
fn another_kind_is_refused() {
    let segment = Segment::new(1 << 16).unwrap();
    Queue::<u64>::create_in(&segment, "plain", 2).unwrap();
    let error = MessageQueue::<u64>::open_in(&segment, "plain").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongKind { .. }), "{error}");
    let error = MessageQueue::<u64>::options().max_message(0).new(1).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error}");
    let error = MessageQueue::<u64>::new(0).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error}");
}

/// Long and short ones from several senders, with blocks for one long one: all arrive whole, once, and in order per sender.
#[test]
fn long_and_short_messages_share_few_blocks() {
    const EACH: u64 = 400;
    let queue = MessageQueue::<(u64, u64, Vec<u8>)>::options().max_message(20_000).budget(1).new(8).unwrap();
    let length = |who: u64, n: u64| (n * 2654435761 % [30, 2_000, 19_900][who as usize]) as usize;
    let received = Mutex::new(BTreeMap::new());
    std::thread::scope(|s| {
        let senders: Vec<_> = (0..3)
            .map(|who| {
                let queue = &queue;
                s.spawn(move || (0..EACH).for_each(|n| queue.send((who, n, text(length(who, n), n))).unwrap()))
            })
            .collect();
        for _ in 0..2 {
            s.spawn(|| {
                let mut last = [None; 3];
                for (who, n, bytes) in queue.iter() {
                    assert!(last[who as usize] < Some(n), "in order");
                    last[who as usize] = Some(n);
                    assert_eq!(bytes, text(length(who, n), n));
                    assert_eq!(received.lock().unwrap().insert((who, n), ()), None, "once");
                }
            });
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        queue.close();
    });
    assert_eq!(received.into_inner().unwrap().len() as u64, 3 * EACH);
}

#[test]
fn waiting_for_blocks_ends_in_time_and_when_closed() {
    let queue = MessageQueue::options().max_message(10_000).budget(1).new(8).unwrap();
    queue.send(text(9_000, 1)).unwrap();
    let started = Instant::now();
    let late = queue.send_timeout(text(9_000, 2), Duration::from_millis(20)).unwrap_err();
    assert!(late.would_block() && !late.is_closed(), "{late}");
    assert_eq!(late.into_inner(), text(9_000, 2));
    assert!(started.elapsed() >= Duration::from_millis(20));
    queue.try_send(text(9_000, 2)).unwrap_err();
    queue.send(text(20, 3)).unwrap();
    std::thread::scope(|s| {
        let sender = s.spawn(|| queue.send(text(9_000, 4)));
        // Closed before, while or after it falls asleep: the outcome is the same.
        std::thread::yield_now();
        queue.close();
        assert!(sender.join().unwrap().unwrap_err().is_closed());
    });
    assert_eq!((queue.recv().unwrap(), queue.recv().unwrap()), (text(9_000, 1), text(20, 3)));
    assert_eq!(queue.recv(), Err(RecvMessageError::Queue(RecvError::Closed)));
}

/// XS10, XS11: what a killed sender had sent arrives; the blocks of what it had not come back.
#[test]
fn xs10_the_blocks_of_the_dead_come_back() {
    let queue = MessageQueue::options().max_message(10_000).budget(1).new(4).unwrap();
    for round in 0..20u64 {
        let child = fork(|| {
            queue.send(text(4_000, round)).unwrap();
            // There is no room for it until the first is received.
            let _ = queue.send(text(9_900, round));
            loop {
                std::thread::park();
            }
        });
        assert_eq!(queue.recv_timeout(WATCHDOG).unwrap(), text(4_000, round));
        // SAFETY: a child of ours that has not been waited for. It is somewhere in its second send, or behind.
        unsafe { libc::kill(child, libc::SIGKILL) };
        reap(child);
        let second = queue.try_recv();
        assert!(second.is_err() || second == Ok(text(9_900, round)));
        queue.send_timeout(text(9_990, 1), WATCHDOG).unwrap();
        assert!([Ok(text(9_990, 1)), Ok(text(9_900, round))].contains(&queue.recv_timeout(WATCHDOG)));
        while queue.try_recv().is_ok() {}
    }
}

#[test]
fn endpoints_notice_that_the_others_have_left() {
    let (tx, rx) = message_queue::<String>(2).unwrap();
    tx.send("last words".to_owned()).unwrap();
    drop(tx);
    assert_eq!(rx.recv().unwrap(), "last words");
    assert_eq!(rx.recv(), Err(RecvMessageError::Queue(RecvError::Closed)));
    assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvMessageError::Queue(RecvTimeoutError::Closed)));
    let (tx, rx) = message_queue::<String>(2).unwrap();
    drop(rx);
    assert_eq!(
        tx.send("to nobody".to_owned()),
        Err(SendMessageError::Queue(SendError::Closed("to nobody".to_owned())))
    );
}

#[test]
fn handles_that_travel() {
    let queue = MessageQueue::<String>::new(4).unwrap();
    let (tx, rx) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let (text, luggage) = transport::send(|| serde_json::to_string(&(&queue, &tx, &rx)).unwrap());
    let twin = transport::receive(luggage.into_fds().unwrap(), || {
        serde_json::from_str::<(MessageQueue<String>, MessageSender<String>, MessageReceiver<String>)>(&text)
    });
    let (twin, there, back) = twin.unwrap();
    there.send("a".repeat(3000)).unwrap();
    assert_eq!(back.recv().unwrap().len(), 3000);
    twin.send("b".to_owned()).unwrap();
    assert_eq!(queue.recv().unwrap(), "b");
    assert!(tx.send("moved".to_owned()).is_err());
    let attached = MessageQueue::<String>::attach(&queue.ticket()).unwrap();
    attached.send("c".to_owned()).unwrap();
    assert_eq!(queue.recv().unwrap(), "c");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever was sent and received before: drained, a queue takes the longest message, and as much as its budget says.
    #[test]
    fn a_drained_queue_takes_the_longest_message(lengths in prop::collection::vec((0usize..6_000, any::<bool>()), 0..40)) {
        let queue = MessageQueue::options().max_message(6_010).budget(12_000).new(6).unwrap();
        let mut model = std::collections::VecDeque::new();
        for (n, (len, receive)) in lengths.into_iter().enumerate() {
            if queue.try_send(text(len, n as u64)).is_ok() {
                model.push_back(text(len, n as u64));
            }
            if receive {
                prop_assert_eq!(queue.try_recv().ok(), model.pop_front());
            }
        }
        while let Some(expected) = model.pop_front() {
            prop_assert_eq!(queue.try_recv(), Ok(expected));
        }
        for _ in 0..2 {
            prop_assert!(queue.try_send(text(5_990, 3)).is_ok());
        }
        prop_assert!(queue.try_send(text(5_990, 3)).is_err());
    }
}
