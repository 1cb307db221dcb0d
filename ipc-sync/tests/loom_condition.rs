//! Models of the condition, one small model per ordering label or race.
//!
//! `RUSTFLAGS="--cfg ipc_loom" cargo test --release -p ipc-sync --test loom_condition`
#![cfg(ipc_loom)]

use ipc_core::raw::lock_line::Entry;
use ipc_core::raw::{Census, LockLine, Owner, Verdict};
use ipc_core::shim::{self, AtomicU32, Ordering, UnsafeCell};
use ipc_core::{Deadline, MemberError};
use ipc_sync::condition::{Cell, ConditionError, ConditionHead, Ended, Wait, Waiting};
use loom::sync::Arc;
use loom::thread;
use std::borrow::Cow;

/// Explores `model`, up to a bound on preemptions. Without re-checks a lost wake is a deadlock, which loom reports.
fn explore(preemptions: usize, rechecks: bool, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        shim::set_rechecks(rechecks);
        model();
    });
}

/// One member per number; the dead are those whose bit is set.
struct Town {
    me: Owner,
    room: Arc<Room>,
}

/// A lock, a condition, and data that nobody else orders.
struct Room {
    lock: LockLine,
    head: ConditionHead,
    cells: Vec<Cell>,
    ready: UnsafeCell<bool>,
    dead: AtomicU32,
}

const LOCK: u64 = 1;

impl Room {
    fn new(cells: usize) -> Arc<Self> {
        Arc::new(Self {
            lock: LockLine::new(),
            head: ConditionHead::new(),
            cells: (0..cells).map(|_| Cell::new()).collect(),
            ready: UnsafeCell::new(false),
            dead: AtomicU32::new(0),
        })
    }
}

impl Census for Town {
    type Repair = ();

    fn me(&self) -> Result<Owner, MemberError> {
        Ok(self.me)
    }

    fn verdict(&self, who: Owner) -> Verdict {
        // Acquire: the kernel reports a death only after the last store of the dead.
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

impl Town {
    fn new(number: u16, room: &Arc<Room>) -> Self {
        Self { me: Owner::new(1, number, 1), room: room.clone() }
    }

    fn condition(&self) -> Waiting<'_, Self> {
        Waiting { head: &self.room.head, cells: &self.room.cells, census: self }
    }

    fn lock(&self) {
        self.room.lock.acquire(self, Entry::Lock, Deadline::NEVER).unwrap();
    }

    fn unlock(&self) {
        // SAFETY: locked by the caller.
        unsafe { self.room.lock.release() };
    }

    fn enter(&self) -> Wait {
        self.lock();
        let wait = self.condition().enter(LOCK).unwrap();
        self.unlock();
        wait
    }

    /// Sleeps and leaves under the lock; whether notified.
    fn sleep(&self, mut wait: Wait, deadline: Deadline) -> (Ended, bool) {
        let ended = self.condition().sleep(&mut wait, deadline, || self.lock_is_lost()).unwrap();
        self.lock();
        let notified = self.condition().leave(wait).unwrap();
        self.unlock();
        (ended, notified)
    }

    fn lock_is_lost(&self) -> bool {
        self.room.lock.holder().is_some_and(|holder| self.verdict(holder) == Verdict::Dead)
    }

    fn die(&self) {
        self.room.dead.fetch_or(1 << self.me.row(), Ordering::AcqRel);
    }

    fn wait_until_ready(&self) {
        self.lock();
        // SAFETY: we hold the lock.
        while !self.room.ready.with(|ready| unsafe { *ready }) {
            let mut wait = self.condition().enter(LOCK).unwrap();
            self.unlock();
            self.condition().sleep(&mut wait, Deadline::NEVER, || false).unwrap();
            self.lock();
            assert!(self.condition().leave(wait).unwrap());
        }
        self.unlock();
    }

    fn make_ready(&self) {
        self.lock();
        // SAFETY: we hold the lock.
        self.room.ready.with_mut(|ready| unsafe { *ready = true });
    }
}

/// [cond/C3]: unlocking and falling asleep lose no notification made with the lock, and the data follows the lock.
#[test]
fn a_notification_under_the_lock_is_not_lost() {
    explore(3, false, || {
        let room = Room::new(2);
        let notifier = {
            let town = Town::new(1, &room);
            thread::spawn(move || {
                town.make_ready();
                town.condition().notify(1);
                town.unlock();
            })
        };
        Town::new(2, &room).wait_until_ready();
        notifier.join().unwrap();
    });
}

/// [cond/C3]: nor one made after unlocking.
#[test]
fn a_notification_after_the_lock_is_not_lost() {
    explore(3, false, || {
        let room = Room::new(2);
        let notifier = {
            let town = Town::new(1, &room);
            thread::spawn(move || {
                town.make_ready();
                town.unlock();
                town.condition().notify(1);
            })
        };
        Town::new(2, &room).wait_until_ready();
        notifier.join().unwrap();
    });
}

/// [cond/C1]: two who notify one each reach two, and both wake.
#[test]
fn two_notifications_reach_two() {
    explore(2, false, || {
        let room = Room::new(2);
        let sleepers: Vec<_> = [1, 2]
            .map(|number| {
                let town = Town::new(number, &room);
                let wait = town.enter();
                thread::spawn(move || assert!(town.sleep(wait, Deadline::NEVER).1))
            })
            .into();
        let other = {
            let town = Town::new(3, &room);
            thread::spawn(move || assert_eq!(town.condition().notify(1), 1))
        };
        assert_eq!(Town::new(4, &room).condition().notify(1), 1);
        other.join().unwrap();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(Town::new(4, &room).condition().notify(2), 0);
    });
}

/// CV13: a waiter whose time passes at that very moment has the notification or it has not; nobody disagrees.
#[test]
fn a_timeout_and_a_notification_agree() {
    explore(3, false, || {
        let room = Room::new(1);
        let town = Town::new(1, &room);
        let wait = town.enter();
        let sleeper = thread::spawn(move || town.sleep(wait, Deadline::PASSED).1);
        let marked = Town::new(2, &room).condition().notify(1);
        assert_eq!(marked, usize::from(sleeper.join().unwrap()));
    });
}

/// The order is that of waiting.
#[test]
fn the_longest_waiting_is_notified_first() {
    explore(2, false, || {
        let room = Room::new(2);
        let (first, second) = (Town::new(1, &room), Town::new(2, &room));
        let (early, late) = (first.enter(), second.enter());
        let notifier = {
            let town = Town::new(3, &room);
            thread::spawn(move || assert_eq!(town.condition().notify(1), 1))
        };
        assert!(first.sleep(early, Deadline::NEVER).1);
        notifier.join().unwrap();
        assert!(!second.sleep(late, Deadline::PASSED).1);
    });
}

/// XS06, [cond/C2]: a dead waiter's notification goes to one who waited already, and to one only.
#[test]
fn a_dead_waiters_notification_goes_to_another() {
    explore(2, true, || {
        let room = Room::new(2);
        let (dead, town) = (Town::new(1, &room), Town::new(2, &room));
        let (_swallowed, wait) = (dead.enter(), town.enter());
        let dying = thread::spawn(move || dead.die());
        // Marks the dead one, unless the other one's re-check has freed its cell already.
        assert_eq!(Town::new(3, &room).condition().notify(1), 1);
        assert!(town.sleep(wait, Deadline::NEVER).1);
        dying.join().unwrap();
        assert_eq!(Town::new(3, &room).condition().notify(1), 0);
    });
}

/// It is not for those who came later: a notification is not remembered (CV04).
#[test]
fn a_later_waiter_inherits_nothing() {
    explore(2, true, || {
        let room = Room::new(2);
        let dead = Town::new(1, &room);
        dead.enter();
        assert_eq!(dead.condition().notify(1), 1);
        dead.die();
        let late = Town::new(2, &room);
        let wait = late.enter();
        assert_eq!(late.sleep(wait, Deadline::PASSED), (Ended::Deadline, false));
    });
}

/// Steps 7 to 9: a dead one's notification and one of its own at the same moment: two sleepers, two wakes.
#[test]
fn one_too_many_is_given_back() {
    explore(2, true, || {
        let room = Room::new(3);
        let dead = Town::new(1, &room);
        dead.enter();
        let sleepers: Vec<_> = [2, 3].map(|number| (Town::new(number, &room), Town::new(number, &room).enter())).into();
        assert_eq!(dead.condition().notify(1), 1);
        dead.die();
        let sleepers: Vec<_> = sleepers
            .into_iter()
            .map(|(town, wait)| thread::spawn(move || assert!(town.sleep(wait, Deadline::NEVER).1)))
            .collect();
        assert_eq!(Town::new(4, &room).condition().notify(1), 1);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(Town::new(4, &room).condition().notify(1), 0);
    });
}

/// Step 8: an heir that dies with what it inherited is inherited from.
#[test]
fn an_heir_that_dies_is_inherited_from() {
    explore(2, true, || {
        let room = Room::new(3);
        let (dead, heir, last) = (Town::new(1, &room), Town::new(2, &room), Town::new(3, &room));
        let (_gone, mut hers, wait) = (dead.enter(), heir.enter(), last.enter());
        assert_eq!(last.condition().notify(1), 1);
        dead.die();
        let dying = thread::spawn(move || {
            let ended = heir.condition().sleep(&mut hers, Deadline::PASSED, || false).unwrap();
            heir.die();
            ended
        });
        assert!(last.sleep(wait, Deadline::NEVER).1);
        dying.join().unwrap();
    });
}

/// The holder of the lock dies: who waits finds out and gets the lock.
#[test]
fn the_death_of_the_locks_holder_ends_the_wait() {
    explore(2, true, || {
        let room = Room::new(1);
        let town = Town::new(1, &room);
        let wait = town.enter();
        let holder = Town::new(2, &room);
        let dying = thread::spawn(move || {
            holder.lock();
            holder.die();
        });
        assert_eq!(town.sleep(wait, Deadline::NEVER), (Ended::LockLost, false));
        dying.join().unwrap();
    });
}

/// A cell that a dead waiter had is free for the next one, and a full condition says so.
#[test]
fn a_full_condition_asks_who_lives() {
    explore(2, true, || {
        let room = Room::new(1);
        let (dead, town) = (Town::new(1, &room), Town::new(2, &room));
        dead.enter();
        town.lock();
        assert!(matches!(town.condition().enter(LOCK), Err(ConditionError::NoCell { cells: 1 })));
        dead.die();
        town.condition().enter(LOCK).unwrap();
        assert!(matches!(town.condition().enter(LOCK + 1), Err(ConditionError::WrongLock)));
        town.unlock();
    });
}
