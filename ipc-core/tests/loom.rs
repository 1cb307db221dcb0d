//! Models of the wait word and the lock line, one small model per ordering label or race.
//!
//! `RUSTFLAGS="--cfg ipc_loom" cargo test --release -p ipc-core --test loom`
#![cfg(ipc_loom)]

use ipc_core::raw::lock_line::Entry;
use ipc_core::raw::{Census, LockLine, Owner, Pause, Slept, Verdict, WaitWord};
use ipc_core::shim::{self, AtomicU32, Ordering, UnsafeCell};
use ipc_core::{Deadline, LockError, MemberError};
use loom::sync::Arc;
use loom::thread;
use std::borrow::Cow;

/// Explores `model` completely, up to a bound on preemptions where the space would be too large.
fn explore(preemptions: usize, rechecks: bool, model: impl Fn() + Sync + Send + 'static) {
    explore_where(true, preemptions, rechecks, model);
}

/// The same on a system that can interrupt all threads, or cannot.
fn explore_where(interrupts: bool, preemptions: usize, rechecks: bool, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        shim::set_rechecks(rechecks);
        shim::set_interrupts(interrupts);
        model();
    });
}

/// One member per thread; the dead are those whose bit is set.
struct Town {
    me: Owner,
    dead: Arc<AtomicU32>,
}

fn member(number: u16) -> Owner {
    Owner::new(1, number, 1)
}

impl Town {
    fn new(number: u16, dead: &Arc<AtomicU32>) -> Self {
        Self { me: member(number), dead: dead.clone() }
    }

    fn none_dead(number: u16) -> Self {
        Self::new(number, &Arc::new(AtomicU32::new(0)))
    }
}

impl Census for Town {
    type Repair = ();

    fn me(&self) -> Result<Owner, MemberError> {
        Ok(self.me)
    }

    fn verdict(&self, who: Owner) -> Verdict {
        // Acquire: the kernel reports a death only after the last store of the dead.
        let dead = self.dead.load(Ordering::Acquire) & 1 << who.row() != 0;
        if dead { Verdict::Dead } else { Verdict::Alive }
    }

    fn begin_repair(&self, _: Owner) -> Option<()> {
        Some(())
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        (who.row().into(), "member".into())
    }
}

/// A lock and data that nobody else orders: loom reports any access that the lock did not.
struct Cell {
    line: LockLine,
    data: UnsafeCell<u32>,
}

impl Cell {
    fn new() -> Arc<Self> {
        Arc::new(Self { line: LockLine::new(), data: UnsafeCell::new(0) })
    }

    fn add(&self, town: &Town, entry: Entry) -> Result<bool, LockError> {
        let acquired = self.line.acquire(town, entry, Deadline::NEVER)?;
        // SAFETY: we hold the lock.
        unsafe { self.line.touch(acquired.me) };
        // SAFETY: we hold the lock.
        self.data.with_mut(|data| unsafe { *data += 1 });
        if acquired.inconsistent {
            // SAFETY: we hold the lock.
            unsafe { self.line.mark_consistent(acquired.me) };
        }
        // SAFETY: we hold the lock.
        unsafe { self.line.release() };
        Ok(acquired.inconsistent)
    }

    fn read(&self, town: &Town) -> u32 {
        self.line.acquire(town, Entry::Recover, Deadline::NEVER).unwrap();
        // SAFETY: we hold the lock.
        let value = self.data.with(|data| unsafe { *data });
        // SAFETY: we hold the lock.
        unsafe { self.line.release() };
        value
    }
}

/// [wait/W1], [wait/W2]: with the re-check off, a lost wake is a deadlock.
#[test]
fn a_notified_sleeper_wakes_and_sees_the_condition() {
    explore(3, false, || {
        let shared = Arc::new((WaitWord::new(), AtomicU32::new(0)));
        let waker = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.1.swap(1, Ordering::SeqCst);
                shared.0.notify(1);
            })
        };
        let mut pause = Pause::new();
        while shared.1.load(Ordering::SeqCst) == 0 {
            assert_eq!(
                shared.0.sleep(&mut pause, Deadline::NEVER, || shared.1.load(Ordering::SeqCst) != 0),
                Slept::Woken
            );
        }
        waker.join().unwrap();
        assert!(!shared.0.waiters().is_anybody());
    });
}

/// The same for a condition made true by a plain store.
#[test]
fn a_fenced_notification_needs_no_read_modify_write() {
    explore(3, false, || {
        let shared = Arc::new((WaitWord::new(), AtomicU32::new(0)));
        let waker = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.1.store(1, Ordering::Release);
                shared.0.notify_fenced(1);
            })
        };
        let mut pause = Pause::new();
        while shared.1.load(Ordering::Acquire) == 0 {
            shared.0.sleep(&mut pause, Deadline::NEVER, || shared.1.load(Ordering::SeqCst) != 0);
        }
        waker.join().unwrap();
    });
}

/// A purge by a repairer loses no living sleeper.
#[test]
fn a_purge_wakes_whom_it_forgets() {
    explore(3, false, || {
        let shared = Arc::new((WaitWord::new(), AtomicU32::new(0)));
        shared.0.waiters().register();
        let repairer = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.0.purge();
                shared.1.swap(1, Ordering::SeqCst);
                shared.0.notify(1);
            })
        };
        let mut pause = Pause::new();
        while shared.1.load(Ordering::SeqCst) == 0 {
            shared.0.sleep(&mut pause, Deadline::NEVER, || shared.1.load(Ordering::SeqCst) != 0);
        }
        repairer.join().unwrap();
    });
}

/// [lock/L1], [lock/L2], [lock/L6]: mutual exclusion, the data follows the lock, and no sleeper is left behind, whether it
/// meets an unlock by a store or by an exchange.
#[test]
fn two_lockers_exclude_each_other_and_both_get_it() {
    explore(3, false, || {
        let cell = Cell::new();
        let other = {
            let cell = cell.clone();
            thread::spawn(move || cell.add(&Town::none_dead(1), Entry::Lock).unwrap())
        };
        cell.add(&Town::none_dead(2), Entry::Lock).unwrap();
        other.join().unwrap();
        assert_eq!(cell.read(&Town::none_dead(2)), 2);
    });
}

#[test]
fn three_lockers_and_no_lost_wake() {
    explore(2, false, || {
        let cell = Cell::new();
        let others: Vec<_> = (1..3)
            .map(|number| {
                let cell = cell.clone();
                thread::spawn(move || cell.add(&Town::none_dead(number), Entry::Lock).unwrap())
            })
            .collect();
        cell.add(&Town::none_dead(3), Entry::Lock).unwrap();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(cell.read(&Town::none_dead(3)), 3);
    });
}

/// [lock/L5], [lock/L6]: crowded, quiet, and crowded again; a quiet unlock that is on its way meets a crowd of its own.
#[test]
fn a_lock_that_calms_down_loses_no_wake() {
    explore(2, false, || {
        let cell = Cell::new();
        let other = {
            let cell = cell.clone();
            thread::spawn(move || (0..2).for_each(|_| assert!(!cell.add(&Town::none_dead(1), Entry::Lock).unwrap())))
        };
        (0..2).for_each(|_| assert!(!cell.add(&Town::none_dead(2), Entry::Lock).unwrap()));
        other.join().unwrap();
        assert_eq!(cell.read(&Town::none_dead(2)), 4);
    });
}

/// [lock/L2] alone.
#[test]
fn where_nobody_can_be_interrupted_everybody_exchanges() {
    explore_where(false, 3, false, || {
        let cell = Cell::new();
        let other = {
            let cell = cell.clone();
            thread::spawn(move || cell.add(&Town::none_dead(1), Entry::Lock).unwrap())
        };
        cell.add(&Town::none_dead(2), Entry::Lock).unwrap();
        other.join().unwrap();
        assert_eq!(cell.read(&Town::none_dead(2)), 2);
    });
}

/// How far a holder gets before it stops for ever.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stop {
    Locked,
    Touched,
    Wrote,
    Cleared,
}

fn stop_at(cell: &Cell, town: &Town, stop: Stop) {
    let acquired = cell.line.acquire(town, Entry::Lock, Deadline::NEVER).unwrap();
    if stop >= Stop::Touched {
        // SAFETY: we hold the lock.
        unsafe { cell.line.touch(acquired.me) };
    }
    if stop >= Stop::Wrote {
        // SAFETY: we hold the lock.
        cell.data.with_mut(|data| unsafe { *data += 1 });
    }
    if stop >= Stop::Cleared {
        // SAFETY: we hold the lock.
        unsafe { cell.line.mark_consistent(acquired.me) };
    }
    town.dead.fetch_or(1 << town.me.row(), Ordering::AcqRel);
}

/// Steps 1 to 4: two survivors, of whom each either goes on or is told; afterwards the lock works.
fn a_holder_dies(stop: Stop, told: bool) {
    explore(2, true, move || {
        let cell = Cell::new();
        let dead = Arc::new(AtomicU32::new(0));
        let (victim, survivor) = (Town::new(1, &dead), Town::new(2, &dead));
        let dying = {
            let cell = cell.clone();
            thread::spawn(move || stop_at(&cell, &victim, stop))
        };
        let outcome = cell.add(&survivor, Entry::Lock);
        dying.join().unwrap();
        // The survivor may have been first; whoever comes after the death gets the verdict.
        let second = cell.add(&survivor, Entry::Lock);
        let is_told = |outcome: &Result<bool, LockError>| matches!(outcome, Err(LockError::Inconsistent { .. }));
        assert!(outcome.is_ok() || is_told(&outcome));
        assert_eq!(is_told(&second), told);
        if told {
            assert!(cell.add(&survivor, Entry::Recover).unwrap(), "the recoverer finds the mark");
        }
        assert!(!cell.add(&survivor, Entry::Lock).unwrap());
    });
}

#[test]
fn killed_before_touching_poisons_nobody() {
    a_holder_dies(Stop::Locked, false);
}

#[test]
fn killed_while_writing_is_told() {
    a_holder_dies(Stop::Touched, true);
    a_holder_dies(Stop::Wrote, true);
}

#[test]
fn killed_after_writing_is_nobodys_business() {
    a_holder_dies(Stop::Cleared, false);
}

/// Two who find the same dead holder at once: one takes over, both are told, the mark stays until recovered.
#[test]
fn two_takers_of_one_dead_holder() {
    explore(2, true, || {
        let cell = Cell::new();
        let dead = Arc::new(AtomicU32::new(0));
        stop_at(&cell, &Town::new(1, &dead), Stop::Wrote);
        let other = {
            let (cell, town) = (cell.clone(), Town::new(2, &dead));
            thread::spawn(move || cell.add(&town, Entry::Lock))
        };
        let town = Town::new(3, &dead);
        assert!(matches!(cell.add(&town, Entry::Lock), Err(LockError::Inconsistent { .. })));
        assert!(matches!(other.join().unwrap(), Err(LockError::Inconsistent { .. })));
        assert!(cell.line.is_inconsistent());
    });
}

/// Step 17: a recoverer that dies leaves the mark; two recoverers exclude each other.
#[test]
fn killed_while_recovering_leaves_the_mark() {
    explore(2, true, || {
        let cell = Cell::new();
        let dead = Arc::new(AtomicU32::new(0));
        stop_at(&cell, &Town::new(1, &dead), Stop::Wrote);
        let dying = {
            let (cell, town) = (cell.clone(), Town::new(2, &dead));
            thread::spawn(move || {
                let acquired = cell.line.acquire(&town, Entry::Recover, Deadline::NEVER).unwrap();
                town.dead.fetch_or(1 << town.me.row(), Ordering::AcqRel);
                acquired.inconsistent
            })
        };
        let town = Town::new(3, &dead);
        let mine = cell.line.acquire(&town, Entry::Recover, Deadline::NEVER).unwrap();
        let found = mine.inconsistent;
        // SAFETY: we hold the lock.
        unsafe { cell.line.mark_consistent(mine.me) };
        // SAFETY: we hold the lock.
        unsafe { cell.line.release() };
        let other_found = dying.join().unwrap();
        // Somebody was first and found it. If that was us, the data was good when the other one died without touching it.
        let mark_left = cell.line.acquire(&town, Entry::Recover, Deadline::NEVER).unwrap().inconsistent;
        assert!(found || other_found);
        assert!(!mark_left || !found, "a repaired lock is marked again");
        // SAFETY: we hold the lock.
        unsafe { cell.line.release() };
    });
}
