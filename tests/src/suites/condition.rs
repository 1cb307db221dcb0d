//! The suite of `Condition`: who is woken, and the death of waiters and of the lock's holder.

use crate::placement::{Line, Peer, Placed, Placement, Stage};
use ipc_core::{LockError, Segment};
use ipc_sync::{Condition, ConditionError, Guard, Lock, Wake};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A condition, and the lock over a number that it is about.
#[derive(Clone, Serialize, Deserialize)]
pub struct Desk {
    lock: Lock<u64>,
    condition: Condition,
}

impl Desk {
    fn lock(&self) -> Guard<'_, u64> {
        self.lock.lock().expect("whole data")
    }

    /// Until so many wait and are not notified.
    fn until_waiting(&self, waiters: usize) {
        while self.condition.waiters() != waiters {
            std::thread::yield_now();
        }
    }
}

impl Placed for Desk {
    const ROLE: &'static str = "Condition";

    fn anonymous() -> Self {
        Self { lock: Lock::new(0).expect("a lock"), condition: Condition::new().expect("a condition") }
    }

    fn named(name: &str) -> Self {
        let segment = Segment::create(name, 16 << 10).expect("a segment");
        let lock = Lock::create_in(&segment, "lock", 0).expect("a lock");
        Self { lock, condition: Condition::create_in(&segment, "condition").expect("a condition") }
    }

    fn open(name: &str) -> Self {
        let segment = Segment::open(name).expect("the segment of this name");
        let lock = Lock::open_in(&segment, "lock").expect("the lock in it");
        Self { lock, condition: Condition::open_in(&segment, "condition").expect("the condition in it") }
    }

    /// Commands: `wait`, `wait_ms N`, `until N` (the number is at least N); `notify N`, `add N` (and notify all); `lock`, `begin`
    /// (writes), `unlock`.
    fn serve(self, line: &mut Line) {
        let mut held = None;
        while let Some(command) = line.hear() {
            let (verb, number) = command.split_once(' ').unwrap_or((&command, "0"));
            let number: u64 = number.parse().expect("a number");
            let answer = match verb {
                "wait" => ended(self.condition.wait_timeout(self.lock(), Duration::MAX)),
                "wait_ms" => ended(self.condition.wait_timeout(self.lock(), Duration::from_millis(number))),
                "until" => match self.condition.wait_for(self.lock(), |now| *now >= number) {
                    Ok(now) => now.to_string(),
                    Err(error) => format!("{error:?}"),
                },
                "notify" => self.condition.notify(number as usize).to_string(),
                "add" => {
                    *self.lock() += number;
                    self.condition.notify_all().to_string()
                }
                "lock" => {
                    held = Some(self.lock());
                    "done".to_owned()
                }
                "begin" => {
                    if let Some(held) = &mut held {
                        **held += 1;
                    }
                    "done".to_owned()
                }
                "unlock" => {
                    held = None;
                    "done".to_owned()
                }
                other => panic!("no such command: {other}"),
            };
            line.say(&answer);
        }
    }
}

fn ended(result: Result<(Guard<'_, u64>, Wake), ConditionError>) -> String {
    match result {
        Ok((_, wake)) => format!("{wake:?}"),
        Err(ConditionError::Lock(LockError::Inconsistent { .. })) => "Inconsistent".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// So many parties that wait, in the order in which they began to.
fn waiting(stage: &Stage<Desk>, n: usize) -> Vec<Peer> {
    (1..=n)
        .map(|waiters| {
            let mut peer = stage.peer();
            peer.tell("wait");
            stage.handle.until_waiting(waiters);
            peer
        })
        .collect()
}

fn all_hear_of_it(peers: &mut [Peer]) {
    for peer in peers {
        assert_eq!(peer.hear(), "Notified");
    }
}

/// CV01: one notification wakes one, the one that has waited longest; the next one the other.
pub fn smoke(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 2);
    for (n, peer) in peers.iter_mut().enumerate() {
        assert!(stage.handle.condition.notify_one());
        assert_eq!((peer.hear().as_str(), stage.handle.condition.waiters()), ("Notified", 1 - n));
    }
    assert!(!stage.handle.condition.notify_one());
}

/// CV02: all six that wait.
pub fn notify_all_wakes_all(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 6);
    assert_eq!(stage.handle.condition.notify_all(), 6);
    all_hear_of_it(&mut peers);
}

/// CV03: six timed waiters all time out, nothing is left of them, and the condition still works.
pub fn timed_waiters_leave_nothing(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers: Vec<_> = (0..6).map(|_| stage.peer()).collect();
    peers.iter_mut().for_each(|peer| peer.tell("wait_ms 20"));
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear(), "TimedOut"));
    assert_eq!(stage.handle.condition.waiters(), 0);
    peers[0].tell("wait");
    stage.handle.until_waiting(1);
    assert_eq!(stage.handle.condition.notify_all(), 1);
    assert_eq!(peers[0].hear(), "Notified");
}

/// CV04: exactly n, then the rest; with nobody waiting nothing, and nothing is remembered.
pub fn notify_n_wakes_n(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 6);
    let condition = &stage.handle.condition;
    assert_eq!(condition.notify(2), 2);
    all_hear_of_it(&mut peers[..2]);
    assert_eq!(condition.waiters(), 4);
    assert_eq!(condition.notify(4), 4);
    all_hear_of_it(&mut peers[2..]);
    assert_eq!(condition.notify(3), 0);
    assert_eq!(peers[0].ask("wait_ms 5"), "TimedOut");
}

/// CV05: a time-out is one; a notification of another party is none.
pub fn a_timed_wait_says_why_it_ended(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let (desk, mut peer) = (&stage.handle, stage.peer());
    for timeout in [Duration::ZERO, Duration::from_millis(20)] {
        let began = Instant::now();
        assert_eq!(desk.condition.wait_timeout(desk.lock(), timeout).unwrap().1, Wake::TimedOut);
        assert!(began.elapsed() >= timeout);
    }
    peer.tell("wait_ms 60000");
    desk.until_waiting(1);
    assert!(desk.condition.notify_one());
    assert_eq!(peer.hear(), "Notified");
}

/// CV07: a predicate holds only after the fourth of four increments by another party.
pub fn a_predicate_is_waited_for(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let (mut waiter, mut adder) = (stage.peer(), stage.peer());
    waiter.tell("until 4");
    for _ in 0..4 {
        stage.handle.until_waiting(1);
        assert_eq!(adder.ask("add 1"), "1");
    }
    assert_eq!(waiter.hear(), "4");
}

/// XS06, CV14: a waiter that was killed asleep holds nobody up, and takes no notification along.
pub fn a_dead_waiter_holds_nobody_up(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 4);
    let mut others = peers.split_off(2);
    peers.into_iter().for_each(Peer::kill);
    for _ in 0..2 {
        // Those in front are dead: theirs are passed on, unless somebody's re-check has found them out before.
        assert!(stage.handle.condition.notify_one());
    }
    all_hear_of_it(&mut others);
    assert_eq!(stage.handle.condition.notify_all(), 0);
}

/// XS06: one that is killed with its notification leaves it to another.
pub fn a_notification_of_the_dead_goes_to_another(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 2);
    let mut other = peers.remove(1);
    let victim = peers.remove(0);
    victim.signal(Signal::SIGSTOP);
    assert_eq!(stage.handle.condition.notify(1), 1);
    assert_eq!(stage.handle.condition.waiters(), 1, "the other one waits on");
    victim.kill();
    assert_eq!(other.hear(), "Notified");
    assert_eq!(other.ask("wait_ms 120"), "TimedOut", "once");
}

/// One that is stopped keeps its notification, however long.
pub fn a_stopped_waiter_is_not_dead(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 2);
    let (desk, mut other) = (&stage.handle, peers.remove(1));
    let mut stopped = peers.remove(0);
    stopped.signal(Signal::SIGSTOP);
    assert_eq!(desk.condition.notify(1), 1);
    let time = Duration::from_millis(150);
    assert_eq!(desk.condition.wait_timeout(desk.lock(), time).unwrap().1, Wake::TimedOut);
    assert_eq!(desk.condition.waiters(), 1, "the other one waits on");
    assert!(desk.condition.notify_one());
    assert_eq!(other.hear(), "Notified");
    stopped.signal(Signal::SIGCONT);
    assert_eq!(stopped.hear(), "Notified");
}

/// The lock's holder is killed while writing: all who wait are told.
pub fn waiters_are_told_of_a_dead_writer(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 3);
    let mut victim = stage.peer();
    assert_eq!(victim.ask("lock"), "done");
    assert_eq!(victim.ask("begin"), "done");
    victim.kill();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear(), "Inconsistent"));
    drop(stage.handle.lock.recover(|_| ()).unwrap());
    peers[0].tell("wait");
    stage.handle.until_waiting(1);
    assert!(stage.handle.condition.notify_one());
    assert_eq!(peers[0].hear(), "Notified");
}

/// The lock's holder is killed before it wrote: one who waits finds out, and looks; the others can be notified.
pub fn a_dead_readers_wait_ends(placement: Placement) {
    let stage = Stage::<Desk>::new(placement);
    let mut peers = waiting(&stage, 1);
    let mut victim = stage.peer();
    assert_eq!(victim.ask("lock"), "done");
    victim.kill();
    assert_eq!(peers[0].hear(), "HolderDied");
    assert_eq!((*stage.handle.lock(), stage.handle.condition.waiters()), (0, 0));
}
