//! Models of the barrier, one small model per ordering label or race.
//!
//! `RUSTFLAGS="--cfg ipc_loom" cargo test --release -p ipc-sync --test loom_barrier`
#![cfg(ipc_loom)]

use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::{self, AtomicU32, AtomicU64, Ordering, UnsafeCell};
use ipc_core::{Deadline, MemberError};
use ipc_sync::barrier::{Arrival, BarrierError, BarrierHead, Breach, Meeting, new_place};
use loom::sync::Arc;
use loom::thread;
use std::borrow::Cow;

fn explore(preemptions: usize, rechecks: bool, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        shim::set_rechecks(rechecks);
        model();
    });
}

/// A barrier, and a cell per party that nobody else orders.
struct Room {
    head: BarrierHead,
    places: Vec<AtomicU64>,
    written: Vec<UnsafeCell<u32>>,
    acted: UnsafeCell<u32>,
    dead: AtomicU32,
}

struct Town {
    me: Owner,
    room: Arc<Room>,
}

impl Census for Town {
    type Repair = ();

    fn me(&self) -> Result<Owner, MemberError> {
        Ok(self.me)
    }

    fn verdict(&self, who: Owner) -> Verdict {
        let dead = self.room.dead.load(Ordering::Acquire) & 1 << who.row() != 0;
        if dead { Verdict::Dead } else { Verdict::Alive }
    }

    fn begin_repair(&self, _: Owner) -> Option<()> {
        Some(())
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        (who.row().into(), "member".into())
    }
}

fn room(parties: usize) -> Arc<Room> {
    Arc::new(Room {
        head: BarrierHead::new(None),
        places: (0..parties).map(|_| new_place()).collect(),
        written: (0..parties).map(|_| UnsafeCell::new(0)).collect(),
        acted: UnsafeCell::new(0),
        dead: AtomicU32::new(0),
    })
}

impl Town {
    fn new(number: u16, room: &Arc<Room>) -> Self {
        Self { me: Owner::new(1, number, 1), room: room.clone() }
    }

    fn meeting(&self) -> Meeting<'_, Self> {
        Meeting { head: &self.room.head, places: &self.room.places, census: self }
    }

    fn wait(&self, deadline: Deadline) -> Result<Arrival, BarrierError> {
        self.meeting().wait(|| (), deadline)
    }

    /// Writes its own cell, waits, reads everybody's: each has written as often as this party, or once more.
    fn pass(&self, round: u32) -> bool {
        let mine = usize::from(self.me.row());
        // SAFETY: a party's own cell; others read it between the passes only.
        self.room.written[mine].with_mut(|written| unsafe { *written = round });
        let action = || {
            for written in &self.room.written {
                // SAFETY: all have come, nobody is released.
                assert_eq!(written.with(|written| unsafe { *written }), round);
            }
            // SAFETY: one acts, and the others wait.
            self.room.acted.with_mut(|acted| unsafe { *acted += 1 });
        };
        let leads = self.meeting().wait(action, Deadline::NEVER).unwrap().is_leader();
        // SAFETY: released by the one who acted.
        assert_eq!(self.room.acted.with(|acted| unsafe { *acted }), round);
        leads
    }

    fn die(&self) {
        self.room.dead.fetch_or(1 << self.me.row(), Ordering::AcqRel);
    }
}

fn breach<T: std::fmt::Debug>(result: Result<T, BarrierError>) -> Breach {
    match result {
        Err(BarrierError::Broken(breach)) => breach,
        other => panic!("{other:?}"),
    }
}

/// BA01, BA03, [barrier/B1], [barrier/B2], [barrier/B3]: the action sees all come, and is seen by all; no sleeper is left.
#[test]
fn two_pass_and_one_acts() {
    explore(3, false, || {
        let room = room(2);
        let other = {
            let town = Town::new(1, &room);
            thread::spawn(move || town.pass(1))
        };
        let leads = Town::new(0, &room).pass(1);
        assert!(leads != other.join().unwrap());
    });
}

/// BA01: two passes in lockstep, places used again at once.
#[test]
fn two_passes_in_lockstep() {
    explore(2, false, || {
        let room = room(2);
        let run = |town: Town| (town.wait(Deadline::NEVER).unwrap(), town.wait(Deadline::NEVER).unwrap());
        let town = Town::new(1, &room);
        let other = thread::spawn(move || run(town));
        let mine = run(Town::new(0, &room));
        let hers = other.join().unwrap();
        assert!(mine.0.index() != hers.0.index() && mine.1.index() != hers.1.index());
        assert!(mine.0.is_leader() != hers.0.is_leader() && mine.1.is_leader() != hers.1.is_leader());
    });
}

#[test]
fn three_pass() {
    explore(2, false, || {
        let room = room(3);
        let others: Vec<_> = [1, 2]
            .map(|number| {
                let town = Town::new(number, &room);
                thread::spawn(move || town.pass(1))
            })
            .into();
        let mut leaders = usize::from(Town::new(0, &room).pass(1));
        leaders += others.into_iter().map(|other| usize::from(other.join().unwrap())).sum::<usize>();
        assert_eq!(leaders, 1);
    });
}

/// BA07: a time-out and the last arrival at the same moment: all pass, or all are told.
#[test]
fn all_pass_or_all_are_told() {
    explore(3, false, || {
        let room = room(2);
        let other = {
            let town = Town::new(1, &room);
            thread::spawn(move || town.wait(Deadline::PASSED))
        };
        let mine = Town::new(0, &room).wait(Deadline::NEVER);
        let hers = other.join().unwrap();
        assert_eq!(mine.is_ok(), hers.is_ok());
        if let Err(error) = mine {
            assert_eq!(error, BarrierError::Broken(Breach::TimedOut));
        }
    });
}

/// BA04: `abort` and an arrival: who waits is told, who comes is told.
#[test]
fn abort_tells_who_waits() {
    explore(3, false, || {
        let room = room(2);
        let other = {
            let town = Town::new(1, &room);
            thread::spawn(move || breach(town.wait(Deadline::NEVER)))
        };
        let town = Town::new(0, &room);
        town.meeting().abort().unwrap();
        assert_eq!(other.join().unwrap(), Breach::Aborted);
        assert_eq!(town.meeting().breach(), Some(Breach::Aborted));
        assert_eq!(town.meeting().waiting(), 0);
    });
}

/// BA05, [barrier/B4]: who waited when it was reset is told, or had not come yet and passes afterwards.
#[test]
fn a_reset_tells_who_waits_and_leaves_a_barrier() {
    explore(2, false, || {
        let room = room(2);
        let other = {
            let town = Town::new(1, &room);
            thread::spawn(move || match town.wait(Deadline::NEVER) {
                Ok(_) => (),
                told => {
                    assert_eq!(breach(told), Breach::Reset);
                    town.wait(Deadline::NEVER).unwrap();
                }
            })
        };
        let town = Town::new(0, &room);
        town.meeting().reset().unwrap();
        town.wait(Deadline::NEVER).unwrap();
        other.join().unwrap();
        assert_eq!(town.meeting().breach(), None);
    });
}

/// XS07, steps 3 and 10: a party that dies waiting breaks the barrier for the one who waits.
#[test]
fn a_party_that_dies_breaks_the_barrier() {
    explore(2, true, || {
        let room = room(3);
        let dead = Town::new(1, &room);
        // It waits, and its process dies: as if its time had not passed, which is what breaks it here.
        let dying = thread::spawn(move || {
            dead.die();
            dead.wait(Deadline::NEVER)
        });
        // Who has died cannot be told once its place is given back, which only a model's dead do.
        assert!(matches!(breach(Town::new(0, &room).wait(Deadline::NEVER)), Breach::PartyDied { .. }));
        assert!(matches!(breach(dying.join().unwrap()), Breach::PartyDied { .. }));
    });
}

/// Steps 6 and 7: the one who acts dies.
#[test]
fn a_leader_that_dies_breaks_the_barrier() {
    explore(2, true, || {
        let room = room(2);
        let other = {
            let town = Town::new(1, &room);
            // Acting, it is dead to the others: what it does afterwards comes too late, or they had passed.
            thread::spawn(move || town.meeting().wait(|| town.die(), Deadline::NEVER))
        };
        let mine = Town::new(0, &room).wait(Deadline::NEVER);
        let hers = other.join().unwrap();
        assert_eq!(mine.is_ok(), hers.is_ok());
        if let Err(error) = mine {
            assert!(matches!(error, BarrierError::Broken(Breach::PartyDied { .. })));
        }
    });
}

/// BA12: more parties than places take turns.
#[test]
fn who_finds_no_place_waits_for_one() {
    explore(2, false, || {
        let room = room(1);
        let others: Vec<_> = [1, 2]
            .map(|number| {
                let town = Town::new(number, &room);
                thread::spawn(move || town.wait(Deadline::NEVER).unwrap())
            })
            .into();
        others.into_iter().for_each(|other| assert!(other.join().unwrap().is_leader()));
    });
}
