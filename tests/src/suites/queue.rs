//! The suite of `Queue`: order, bounds, closing, and the death of senders and receivers.

use crate::placement::{Line, Placed, Placement, Stage};
use ipc_queue::{Queue, Receiver, Sender};
use nix::sys::signal::Signal;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Capacity of every queue of the suite.
const CAPACITY: usize = 6;

/// What another party holds: the handle, or one endpoint and nothing else.
enum Hold {
    Handle(Queue<u64>),
    Sender(Sender<u64>),
    Receiver(Receiver<u64>),
}

impl Placed for Queue<u64> {
    const ROLE: &'static str = "Queue";

    fn anonymous() -> Self {
        Self::new(CAPACITY).expect("an anonymous queue")
    }

    fn named(name: &str) -> Self {
        Self::create(name, CAPACITY).expect("a named queue")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the queue of this name")
    }

    /// Commands: `sender` and `receiver` change the handle for an endpoint; `send N`, `send_all N` (0 to N - 1), `recv`, `drain`
    /// (until closed; how many, and their sum), `len`, `close`.
    fn serve(self, line: &mut Line) {
        let mut hold = Hold::Handle(self);
        while let Some(command) = line.hear() {
            let (verb, number) = command.split_once(' ').unwrap_or((&command, "0"));
            let number: u64 = number.parse().expect("a number");
            let answer = match (verb, &hold) {
                ("send", _) => told(hold.send(number)),
                ("send_all", _) => told((0..number).try_for_each(|n| hold.send(n))),
                ("recv", _) => hold.recv().map_or_else(|error| error, |n| n.to_string()),
                ("drain", _) => {
                    let all: Vec<u64> = std::iter::from_fn(|| hold.recv().ok()).collect();
                    format!("{} {}", all.len(), all.iter().sum::<u64>())
                }
                ("len", Hold::Handle(queue)) => queue.len().to_string(),
                ("close", Hold::Handle(queue)) => {
                    queue.close();
                    "done".to_owned()
                }
                ("sender", Hold::Handle(queue)) => {
                    hold = Hold::Sender(queue.sender().expect("a row is free"));
                    "done".to_owned()
                }
                ("receiver", Hold::Handle(queue)) => {
                    hold = Hold::Receiver(queue.receiver().expect("a row is free"));
                    "done".to_owned()
                }
                _ => panic!("no such command here: {command}"),
            };
            line.say(&answer);
        }
    }
}

impl Hold {
    fn send(&self, message: u64) -> Result<(), String> {
        match self {
            Self::Handle(queue) => queue.send(message).map_err(name),
            Self::Sender(sender) => sender.send(message).map_err(name),
            Self::Receiver(_) => panic!("a receiver does not send"),
        }
    }

    fn recv(&self) -> Result<u64, String> {
        match self {
            Self::Handle(queue) => queue.recv().map_err(name),
            Self::Receiver(receiver) => receiver.recv().map_err(name),
            Self::Sender(_) => panic!("a sender does not receive"),
        }
    }
}

fn told(result: Result<(), String>) -> String {
    result.map_or_else(|error| error, |()| "done".to_owned())
}

/// The variant, without what it carries.
fn name(error: impl Debug) -> String {
    let text = format!("{error:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// QU16, QU08, QU15: what one party sends, the other receives, both ways.
pub fn smoke(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("send 7"), "done");
    assert_eq!(stage.handle.recv(), Ok(7));
    stage.handle.send(8).unwrap();
    assert_eq!(peer.ask("recv"), "8");
}

/// QU01, QU02, QU03, QU04, QU05, QU06: six fit, in order, and the seventh does not.
pub fn fills_and_empties_in_order(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut peer = stage.peer();
    let queue = &stage.handle;
    assert!(queue.is_empty() && !queue.is_full());
    assert_eq!(peer.ask("send_all 6"), "done");
    assert!(!queue.is_empty() && queue.is_full());
    let full = queue.try_send(7).unwrap_err();
    assert!(full.would_block() && full.into_inner() == 7);
    let received: Vec<_> = (0..CAPACITY).map(|_| queue.try_recv().unwrap()).collect();
    assert_eq!(received, [0, 1, 2, 3, 4, 5]);
    assert!(queue.try_recv().unwrap_err().would_block() && queue.is_empty());
}

/// QU04, QU07: timed verbs give up no earlier than they should.
pub fn timed_verbs_give_up_in_time(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut peer = stage.peer();
    let at_least = |bound: Duration, attempt: &dyn Fn(Duration) -> bool| {
        let began = Instant::now();
        assert!(attempt(bound), "it gave up for another reason, or did not");
        assert!(began.elapsed() >= bound);
    };
    for bound in [Duration::ZERO, Duration::from_millis(30)] {
        at_least(bound, &|bound| stage.handle.recv_timeout(bound).is_err_and(|error| error.would_block()));
    }
    assert_eq!(peer.ask("send_all 6"), "done");
    for bound in [Duration::ZERO, Duration::from_millis(30)] {
        at_least(bound, &|bound| stage.handle.send_timeout(6, bound).is_err_and(|error| error.would_block()));
    }
    assert_eq!(peer.ask("recv"), "0");
    stage.handle.send_timeout(6, Duration::ZERO).expect("there is room");
}

/// QU09, QU19: a completed send is seen by every later look, wherever.
pub fn a_completed_send_is_seen_at_once(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut peer = stage.peer();
    for n in 1..=3 {
        stage.handle.send(n).unwrap();
        assert_eq!(peer.ask("len"), n.to_string());
    }
    assert_eq!(peer.ask("send 4"), "done");
    assert_eq!(stage.handle.len(), 4);
    assert_eq!(peer.ask("recv"), "1");
    assert_eq!(stage.handle.len(), 3);
}

/// QU12, QU13: after `close` nothing is accepted, what is inside comes, then everybody is told, sleepers too.
pub fn a_closed_queue_drains_and_tells(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let (mut peer, mut sleeper) = (stage.peer(), stage.peer());
    sleeper.tell("drain");
    peer.tell("send_all 3");
    assert_eq!(peer.hear(), "done");
    assert_eq!(peer.ask("close"), "done");
    assert_eq!(sleeper.hear(), "3 3");
    assert_eq!(peer.ask("send 9"), "Closed");
    assert!(stage.handle.send(9).unwrap_err().is_closed());
    assert!(stage.handle.recv().unwrap_err().is_closed() && stage.handle.is_closed());
}

/// QU17, XS26: of many messages of many senders, each comes once.
pub fn each_message_comes_once(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut senders: Vec<_> = (0..3).map(|_| stage.peer()).collect();
    let mut receivers: Vec<_> = (0..2).map(|_| stage.peer()).collect();
    receivers.iter_mut().for_each(|peer| peer.tell("drain"));
    senders.iter_mut().for_each(|peer| peer.tell("send_all 300"));
    assert!(senders.iter_mut().all(|peer| peer.hear() == "done"));
    stage.handle.close();
    let (mut count, mut sum) = (0, 0);
    for answer in receivers.iter_mut().map(|peer| peer.hear()) {
        let (n, s) = answer.split_once(' ').unwrap();
        (count, sum) = (count + n.parse::<u64>().unwrap(), sum + s.parse::<u64>().unwrap());
    }
    assert_eq!((count, sum), (900, 3 * (0..300).sum::<u64>()));
}

/// The last sender leaves: what it sent comes, then `Closed`.
pub fn the_last_sender_leaves(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("sender"), "done");
    assert_eq!(peer.ask("send_all 3"), "done");
    let receiver = stage.handle.receiver().unwrap();
    drop(stage);
    peer.leave();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert!(receiver.recv().unwrap_err().is_closed());
}

/// XS11, QU20, QU21: what `send` returned from is delivered, whoever dies.
pub fn messages_of_the_dead_are_delivered(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    for round in 0..3 {
        let mut victim = stage.peer();
        assert_eq!(victim.ask("send_all 6"), "done");
        victim.kill();
        let received: Vec<_> = (0..CAPACITY).map(|_| stage.handle.recv().unwrap()).collect();
        assert_eq!(received, [0, 1, 2, 3, 4, 5], "round {round}");
    }
}

/// XS08: a receiver that is killed while it waits takes nothing along, and nobody waits for it.
pub fn a_killed_sleeper_harms_nobody(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let (mut victim, mut other) = (stage.peer(), stage.peer());
    victim.tell("recv");
    other.tell("recv");
    // Whether it sleeps by now or not: there is nothing that it could receive.
    victim.kill();
    assert_eq!(stage.peer().ask("send 5"), "done");
    assert_eq!(other.hear(), "5");
    let mut sleeping_sender = stage.peer();
    assert_eq!(sleeping_sender.ask("send_all 6"), "done");
    sleeping_sender.tell("send 6");
    sleeping_sender.kill();
    for n in 0..6 {
        assert_eq!(other.ask("recv"), n.to_string());
    }
    stage.handle.send(7).unwrap();
    assert_eq!(other.ask("recv"), "7");
}

/// XS12: the last sender dies: what it sent comes, then `Closed`.
pub fn the_last_sender_dies(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut victim = stage.peer();
    assert_eq!(victim.ask("sender"), "done");
    assert_eq!(victim.ask("send_all 3"), "done");
    let receiver = stage.handle.receiver().unwrap();
    drop(stage);
    victim.kill();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert!(receiver.recv().unwrap_err().is_closed());
}

/// The last receiver dies: a sender that waits for room is told, and gets its message back.
pub fn the_last_receiver_dies(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut victim = stage.peer();
    assert_eq!(victim.ask("receiver"), "done");
    let sender = stage.handle.sender().unwrap();
    drop(stage);
    sender.send(0).unwrap();
    assert_eq!(victim.ask("recv"), "0");
    victim.kill();
    let refused = (1..).find_map(|n| sender.send(n).err()).expect("at the latest when it is full");
    assert!(refused.is_closed() && refused.into_inner() <= 1 + CAPACITY as u64);
}

/// A receiver that is stopped is not dead: the queue stays open for it.
pub fn a_stopped_process_is_not_dead(placement: Placement) {
    let stage = Stage::<Queue<u64>>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("receiver"), "done");
    let sender = stage.handle.sender().unwrap();
    drop(stage);
    peer.signal(Signal::SIGSTOP);
    (0..CAPACITY as u64).for_each(|n| sender.send(n).unwrap());
    for _ in 0..3 {
        assert!(sender.send_timeout(9, Duration::from_millis(60)).unwrap_err().would_block());
    }
    peer.signal(Signal::SIGCONT);
    peer.tell("drain");
    sender.send(6).unwrap();
    drop(sender);
    assert_eq!(peer.hear(), "7 21");
}
