//! The suite of `Barrier`: lockstep, breaking and resetting, and the death of parties.

use crate::placement::{Line, Peer, Placed, Placement, Stage};
use ipc_sync::{Barrier, BarrierError, Breach};
use nix::sys::signal::Signal;
use std::time::Duration;

/// Parties of every barrier of the suite: two others and the test itself.
const PARTIES: usize = 3;

impl Placed for Barrier {
    const ROLE: &'static str = "Barrier";

    fn anonymous() -> Self {
        Self::new(PARTIES).expect("an anonymous barrier")
    }

    fn named(name: &str) -> Self {
        Self::create(name, PARTIES).expect("a named barrier")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the barrier of this name")
    }

    /// Commands: `wait`, `wait_ms N`, `passes N` (waits N times), `act` (waits, and never comes back from the action).
    fn serve(self, line: &mut Line) {
        while let Some(command) = line.hear() {
            let (verb, number) = command.split_once(' ').unwrap_or((&command, "0"));
            let number: u64 = number.parse().expect("a number");
            let arrival = match verb {
                "wait" => self.wait(),
                "wait_ms" => self.wait_timeout(Duration::from_millis(number)),
                "passes" => (1..number).try_for_each(|_| self.wait().map(drop)).and_then(|()| self.wait()),
                "act" => self.wait_with(|| {
                    line.say("acting");
                    loop {
                        std::thread::park();
                    }
                }),
                other => panic!("no such command: {other}"),
            };
            line.say(&match arrival {
                Ok(arrival) => format!("{} {}", arrival.index(), u8::from(arrival.is_leader())),
                Err(BarrierError::Broken(Breach::PartyDied { pid, .. })) => format!("PartyDied {pid}"),
                Err(BarrierError::Broken(breach)) => format!("{breach:?}"),
                Err(error) => format!("{error:?}"),
            });
        }
    }
}

fn until_waiting(barrier: &Barrier, parties: usize) {
    while barrier.n_waiting() != parties {
        std::thread::yield_now();
    }
}

/// Tells two others the same; both wait when this returns.
fn two_waiting(stage: &Stage<Barrier>, command: &str) -> [Peer; 2] {
    [1, 2].map(|waiting| {
        let mut peer = stage.peer();
        peer.tell(command);
        until_waiting(&stage.handle, waiting);
        peer
    })
}

fn breach(result: Result<ipc_sync::Arrival, BarrierError>) -> Breach {
    match result {
        Err(BarrierError::Broken(breach)) => breach,
        other => panic!("{other:?}"),
    }
}

/// BA01, BA02: none passes before all have come; the indexes are 0, 1 and 2, and one leads.
pub fn smoke(placement: Placement) {
    let stage = Stage::<Barrier>::new(placement);
    let peers = two_waiting(&stage, "wait");
    let mine = stage.handle.wait().unwrap();
    let (mut indexes, mut leaders) = (vec![mine.index()], u32::from(mine.is_leader()));
    for mut peer in peers {
        let answer = peer.hear();
        indexes.push(answer[..1].parse().unwrap());
        leaders += answer[2..].parse::<u32>().unwrap();
    }
    indexes.sort_unstable();
    assert_eq!((indexes, leaders), (vec![0, 1, 2], 1));
    assert_eq!((stage.handle.n_waiting(), stage.handle.is_broken()), (0, false));
}

/// BA10: many passes; who has passed 200 times has met the others 200 times.
pub fn many_passes(placement: Placement) {
    let stage = Stage::<Barrier>::new(placement);
    let mut peers = [stage.peer(), stage.peer()];
    peers.iter_mut().for_each(|peer| peer.tell("passes 200"));
    for _ in 0..200 {
        stage.handle.wait().unwrap();
    }
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear().len(), 3));
    assert_eq!((stage.handle.n_waiting(), stage.handle.is_broken()), (0, false));
}

/// BA07: one party's time passes: all get Broken, the late one too.
pub fn a_timeout_breaks_it_for_all(placement: Placement) {
    let stage = Stage::<Barrier>::new(placement);
    let mut patient = stage.peer();
    patient.tell("wait");
    until_waiting(&stage.handle, 1);
    let mut impatient = stage.peer();
    assert_eq!(impatient.ask("wait_ms 10"), "TimedOut");
    assert_eq!(patient.hear(), "TimedOut");
    assert_eq!(breach(stage.handle.wait()), Breach::TimedOut);
}

/// BA04, BA05, BA06: abort tells all until reset; reset tells those who wait; then all pass.
pub fn abort_and_reset(placement: Placement) {
    let stage = Stage::<Barrier>::new(placement);
    let mut peers = two_waiting(&stage, "wait");
    stage.handle.abort().unwrap();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear(), "Aborted"));
    assert_eq!(peers[0].ask("wait"), "Aborted");
    stage.handle.reset().unwrap();
    peers.iter_mut().for_each(|peer| peer.tell("wait"));
    until_waiting(&stage.handle, 2);
    stage.handle.reset().unwrap();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear(), "Reset"));
    peers.iter_mut().for_each(|peer| peer.tell("wait"));
    stage.handle.wait().unwrap();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear().len(), 3));
}

/// XS07: a party is killed while it waits: the others are told who, and those who come; after a reset all is well.
pub fn killed_while_waiting_is_broken(placement: Placement) {
    let stage = Stage::<Barrier>::new(placement);
    let [victim, mut other] = two_waiting(&stage, "wait");
    let pid = victim.pid().as_raw() as u32;
    victim.kill();
    assert_eq!(other.hear(), format!("PartyDied {pid}"));
    assert!(matches!(breach(stage.handle.wait()), Breach::PartyDied { pid: told, .. } if told == pid));
    works_after_a_reset(&stage, other);
}

/// XS07: a party is killed between two passes: the next to wait are told.
pub fn killed_between_passes_is_broken(placement: Placement) {
    let stage = Stage::<Barrier>::new(placement);
    let [mut victim, mut other] = two_waiting(&stage, "wait");
    stage.handle.wait().unwrap();
    assert_eq!((victim.hear().len(), other.hear().len()), (3, 3));
    victim.kill();
    other.tell("wait");
    assert!(matches!(breach(stage.handle.wait()), Breach::PartyDied { .. }));
    assert!(other.hear().starts_with("PartyDied"));
    works_after_a_reset(&stage, other);
}

/// XS07: the one who runs the action is killed.
pub fn killed_acting_is_broken(placement: Placement) {
    let (_stage, mut waiting, leader) = loop {
        let stage = Stage::<Barrier>::new(placement);
        let waiting = two_waiting(&stage, "wait");
        // Asleep they have looked whether all have come, and will not lead, unless it is time to look again.
        waiting.iter().for_each(until_asleep);
        let mut leader = stage.peer();
        if leader.ask("act") == "acting" {
            break (stage, waiting, leader);
        }
    };
    leader.kill();
    waiting.iter_mut().for_each(|peer| assert!(peer.hear().starts_with("PartyDied")));
}

/// Until each of its threads sleeps.
fn until_asleep(peer: &Peer) {
    let asleep = || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", peer.pid()))?;
        let stats = threads.map(|thread| std::fs::read_to_string(thread?.path().join("stat")));
        Ok::<_, std::io::Error>(stats.into_iter().all(|stat| stat.is_ok_and(|stat| stat.contains(") S "))))
    };
    while !asleep().unwrap_or(false) {
        std::thread::yield_now();
    }
}

fn works_after_a_reset(stage: &Stage<Barrier>, mut other: Peer) {
    stage.handle.reset().unwrap();
    let mut another = stage.peer();
    other.tell("wait");
    another.tell("wait");
    stage.handle.wait().unwrap();
    assert_eq!((other.hear().len(), another.hear().len()), (3, 3));
}

/// A party that is stopped is not dead: the others wait, or their own time passes.
pub fn a_stopped_process_is_not_dead(placement: Placement) {
    let stage = Stage::<Barrier>::new(placement);
    let mut peers = two_waiting(&stage, "wait");
    stage.handle.wait().unwrap();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear().len(), 3));
    peers[0].signal(Signal::SIGSTOP);
    assert_eq!(breach(stage.handle.wait_timeout(Duration::from_millis(150))), Breach::TimedOut);
    peers[0].signal(Signal::SIGCONT);
    stage.handle.reset().unwrap();
    peers.iter_mut().for_each(|peer| peer.tell("wait"));
    stage.handle.wait().unwrap();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.hear().len(), 3));
}
