//! The suite of `AnonymousSemaphore`: a count that anybody takes from and adds to, and what it does not promise.

use crate::placement::{Line, Placed, Placement, Stage};
use ipc_sync::{AnonymousSemaphore, BinarySemaphore, CountError};
use std::fmt::Debug;
use std::time::{Duration, Instant};

impl Placed for AnonymousSemaphore {
    const ROLE: &'static str = "AnonymousSemaphore";

    fn anonymous() -> Self {
        Self::new(0).expect("an anonymous semaphore")
    }

    fn named(name: &str) -> Self {
        Self::create(name, 0).expect("a named semaphore")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the semaphore of this name")
    }

    /// Commands: `acquire N`, `try`, `release N`.
    fn serve(self, line: &mut Line) {
        while let Some(command) = line.hear() {
            let (verb, number) = command.split_once(' ').unwrap_or((&command, "1"));
            let number: u32 = number.parse().expect("a number");
            let answer = match verb {
                "acquire" => told((0..number).try_for_each(|_| self.acquire())),
                "try" => told(self.try_acquire()),
                "release" => told(self.release_many(number)),
                other => panic!("no such command: {other}"),
            };
            line.say(&answer);
        }
    }
}

impl Placed for BinarySemaphore {
    const ROLE: &'static str = "BinarySemaphore";

    fn anonymous() -> Self {
        Self::new(false).expect("an anonymous semaphore")
    }

    fn named(name: &str) -> Self {
        Self::create(name, false).expect("a named semaphore")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the semaphore of this name")
    }

    /// Commands: `acquire`, `release`.
    fn serve(self, line: &mut Line) {
        while let Some(command) = line.hear() {
            let answer = match command.as_str() {
                "acquire" => told(self.acquire()),
                "release" => told(self.release()),
                other => panic!("no such command: {other}"),
            };
            line.say(&answer);
        }
    }
}

fn told<E: Debug>(result: Result<(), E>) -> String {
    result.map_or_else(|error| format!("{error:?}"), |()| "done".to_owned())
}

/// SM02, SM09, SM11: what one party releases, another acquires, above any start value.
pub fn smoke(placement: Placement) {
    let stage = Stage::<AnonymousSemaphore>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("try"), "WouldBlock");
    stage.handle.release_many(3).unwrap();
    assert_eq!(peer.ask("acquire 3"), "done");
    assert_eq!(peer.ask("release 4"), "done");
    assert_eq!(stage.handle.available(), 4);
    stage.handle.acquire().unwrap();
}

/// SM03: no earlier than it should.
pub fn timed_verbs_give_up_in_time(placement: Placement) {
    let stage = Stage::<AnonymousSemaphore>::new(placement);
    let mut peer = stage.peer();
    for timeout in [Duration::ZERO, Duration::from_millis(30)] {
        let began = Instant::now();
        assert_eq!(stage.handle.acquire_timeout(timeout), Err(CountError::Timeout));
        assert!(began.elapsed() >= timeout);
    }
    assert_eq!(peer.ask("release"), "done");
    stage.handle.acquire_timeout(Duration::ZERO).unwrap();
}

/// SM05: as many get through as are released.
pub fn as_many_get_through_as_are_released(placement: Placement) {
    let stage = Stage::<AnonymousSemaphore>::new(placement);
    let mut peers: Vec<_> = (0..4).map(|_| stage.peer()).collect();
    peers.iter_mut().for_each(|peer| peer.tell("acquire 250"));
    (0..500).for_each(|_| stage.handle.release_many(2).unwrap());
    assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
    assert_eq!(stage.handle.try_acquire(), Err(CountError::WouldBlock));
}

/// LK10: the turn goes to and fro between parties.
pub fn a_turn_is_handed_over(placement: Placement) {
    let stage = Stage::<BinarySemaphore>::new(placement);
    let mut peer = stage.peer();
    for _ in 0..20 {
        peer.tell("acquire");
        stage.handle.release().unwrap();
        assert_eq!(peer.hear(), "done");
        assert_eq!(stage.handle.try_acquire(), Err(CountError::WouldBlock));
        assert_eq!(peer.ask("release"), "done");
        stage.handle.acquire().unwrap();
    }
    stage.handle.release().unwrap();
    assert_eq!(peer.ask("release"), "Overflow { asked: 1, found: 1, maximum: 1 }");
}

/// XS06: a waiter that is killed takes nothing, and releasing does not wait for it.
pub fn a_killed_waiter_takes_nothing(placement: Placement) {
    let stage = Stage::<AnonymousSemaphore>::new(placement);
    let (mut victim, mut other) = (stage.peer(), stage.peer());
    victim.tell("acquire");
    other.tell("acquire");
    victim.kill();
    stage.handle.release().unwrap();
    assert_eq!(other.hear(), "done");
    assert_eq!(stage.handle.available(), 0);
}

/// XS05 (differs): what a killed process had acquired stays acquired, until somebody adds it.
pub fn a_permit_dies_with_its_holder(placement: Placement) {
    let stage = Stage::<AnonymousSemaphore>::new(placement);
    let mut victim = stage.peer();
    stage.handle.release().unwrap();
    assert_eq!(victim.ask("acquire"), "done");
    victim.kill();
    assert_eq!(stage.handle.acquire_timeout(Duration::from_millis(120)), Err(CountError::Timeout));
    stage.handle.release().unwrap();
    stage.handle.acquire().unwrap();
}
