//! The suite of `Event`: everybody who waits gets through, whoever else was killed.

use crate::placement::{Line, Peer, Placed, Placement, Stage};
use ipc_core::raw::Waitable;
use ipc_sync::{Event, EventError, Reset};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

impl Placed for Event {
    const ROLE: &'static str = "Event";

    fn anonymous() -> Self {
        Self::new(Reset::Manual).expect("an anonymous event")
    }

    fn named(name: &str) -> Self {
        Self::create(name, Reset::Manual).expect("a named event")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the event of this name")
    }

    /// Commands: `wait`, `set`, `clear`, `is_set`.
    fn serve(self, line: &mut Line) {
        while let Some(command) = line.hear() {
            let answer = match command.as_str() {
                "wait" => self.wait().map_or_else(|error| format!("{error:?}"), |()| "done".to_owned()),
                "set" => {
                    self.set();
                    "done".to_owned()
                }
                "clear" => {
                    self.clear();
                    "done".to_owned()
                }
                "is_set" => self.is_set().to_string(),
                other => panic!("no such command: {other}"),
            };
            line.say(&answer);
        }
    }
}

/// Waits until so many sleep on the event.
fn until_asleep(event: &Event, sleepers: u32) {
    while event.wait_word().waiters().count() < sleepers {
        std::thread::yield_now();
    }
}

fn waiting(stage: &Stage<Event>, n: u32) -> Vec<Peer> {
    let before = stage.handle.wait_word().waiters().count();
    let mut peers: Vec<_> = (0..n).map(|_| stage.peer()).collect();
    peers.iter_mut().for_each(|peer| peer.tell("wait"));
    until_asleep(&stage.handle, before + n);
    peers
}

/// EV01, EV02, EV03, EV08: what one party sets, clears and waits for is one thing for all.
pub fn smoke(placement: Placement) {
    let stage = Stage::<Event>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("is_set"), "false");
    stage.handle.set();
    assert_eq!(peer.ask("wait"), "done");
    assert_eq!(peer.ask("clear"), "done");
    assert!(!stage.handle.is_set());
    peer.tell("set");
    stage.handle.wait().unwrap();
    assert_eq!(peer.hear(), "done");
    stage.handle.wait_timeout(Duration::ZERO).unwrap();
}

/// EV01: no earlier than it should.
pub fn a_timed_wait_gives_up_in_time(placement: Placement) {
    let stage = Stage::<Event>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("clear"), "done");
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(30)] {
        let began = Instant::now();
        assert_eq!(stage.handle.wait_timeout(timeout), Err(EventError::Timeout));
        assert!(began.elapsed() >= timeout);
    }
    assert_eq!(peer.ask("set"), "done");
    stage.handle.wait_deadline(Instant::now()).unwrap();
}

/// EV05: one set wakes all five; later waits return at once; it works again after a clear.
pub fn one_set_wakes_all(placement: Placement) {
    let stage = Stage::<Event>::new(placement);
    let mut peers = waiting(&stage, 5);
    for _ in 0..3 {
        stage.handle.set();
        assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
        assert_eq!(peers[0].ask("wait"), "done");
        stage.handle.clear();
        peers.iter_mut().for_each(|peer| peer.tell("wait"));
        until_asleep(&stage.handle, 5);
    }
    stage.handle.set();
    assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
}

/// EV06: `set(); clear()` back to back lets everybody through who was already waiting, and nobody else.
pub fn set_and_clear_back_to_back_leaves_nobody_behind(placement: Placement) {
    let stage = Stage::<Event>::new(placement);
    let mut peers = waiting(&stage, 5);
    for _ in 0..20 {
        stage.handle.set();
        stage.handle.clear();
        assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
        assert_eq!(stage.handle.wait_timeout(Duration::ZERO), Err(EventError::Timeout));
        peers.iter_mut().for_each(|peer| peer.tell("wait"));
        until_asleep(&stage.handle, 5);
    }
    stage.handle.set();
    assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
}

/// XS06: waiters that are killed or stopped are not waited for, and the others wake.
pub fn a_killed_waiter_is_waited_for_by_nobody(placement: Placement) {
    let stage = Stage::<Event>::new(placement);
    let (mut victims, mut others) = (waiting(&stage, 3), waiting(&stage, 2));
    let stopped = victims.pop().unwrap();
    stopped.signal(Signal::SIGSTOP);
    victims.into_iter().for_each(Peer::kill);
    stage.handle.set();
    assert!(others.iter_mut().all(|peer| peer.hear() == "done"));
    stage.handle.clear();
    others.iter_mut().for_each(|peer| peer.tell("wait"));
    stage.handle.set();
    assert!(others.iter_mut().all(|peer| peer.hear() == "done"));
}

/// EV06, XS06: one that was stopped while it waited gets through when it goes on, however much happened meanwhile.
pub fn a_stopped_waiter_gets_through_later(placement: Placement) {
    let stage = Stage::<Event>::new(placement);
    let mut peers = waiting(&stage, 1);
    peers[0].signal(Signal::SIGSTOP);
    for _ in 0..3 {
        stage.handle.set();
        stage.handle.clear();
    }
    peers[0].signal(Signal::SIGCONT);
    assert_eq!(peers[0].hear(), "done");
}

/// A setter that is killed has set it, and what it set stays.
pub fn what_the_dead_set_stays_set(placement: Placement) {
    let stage = Stage::<Event>::new(placement);
    let mut others = waiting(&stage, 2);
    let mut victim = stage.peer();
    victim.tell("set");
    assert_eq!(victim.hear(), "done");
    victim.kill();
    assert!(others.iter_mut().all(|peer| peer.hear() == "done"));
    assert!(stage.handle.is_set());
}
