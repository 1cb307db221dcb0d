//! Models of the `RwLock`, one small model per ordering label or race.
//!
//! `RUSTFLAGS="--cfg ipc_loom" cargo test --release -p ipc-sync --test loom_rwlock`
#![cfg(ipc_loom)]

use ipc_core::raw::lock_line::Entry;
use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::{self, AtomicU32, Ordering, UnsafeCell};
use ipc_core::{Deadline, LockError, MemberError};
use ipc_sync::rwlock::raw::{ReadHold, RwLine};
use loom::sync::Arc;
use loom::thread;
use std::borrow::Cow;

/// Explores `model` completely, up to a bound on preemptions. Without re-checks a lost wake is a deadlock.
fn explore(preemptions: usize, rechecks: bool, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        shim::set_rechecks(rechecks);
        model();
    });
}

/// One member per thread; the dead are those whose bit is set.
#[derive(Clone)]
struct Town {
    me: Owner,
    dead: Arc<AtomicU32>,
}

impl Town {
    fn of<const N: usize>() -> [Self; N] {
        let dead = Arc::new(AtomicU32::new(0));
        std::array::from_fn(|n| Self { me: Owner::new(1, n as u16, 1), dead: dead.clone() })
    }

    fn die(&self) {
        self.dead.fetch_or(1 << self.me.row(), Ordering::AcqRel);
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

/// A lock with two entries, and two words that nobody else orders: loom reports any access that the lock did not.
struct Cell {
    lock: RwLine<2>,
    data: UnsafeCell<u32>,
}

impl Cell {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: RwLine::new(), data: UnsafeCell::new(0) })
    }

    fn look(&self) -> u32 {
        // SAFETY: the callers hold the lock at least shared.
        self.data.with(|data| unsafe { *data })
    }

    /// The caller holds the lock exclusively.
    fn add(&self, me: Owner) {
        // SAFETY: the caller's duty.
        unsafe { self.lock.touch(me) };
        // SAFETY: as above.
        self.data.with_mut(|data| unsafe { *data += 1 });
    }

    fn leave(&self, hold: ReadHold) {
        // SAFETY: the callers took it.
        unsafe { self.lock.release_read(hold) };
    }

    fn read(&self, town: &Town) -> Result<u32, LockError> {
        let hold = self.lock.read(town, Deadline::NEVER)?;
        let seen = self.look();
        self.leave(hold);
        Ok(seen)
    }

    fn write(&self, town: &Town) -> Result<(), LockError> {
        let acquired = self.lock.write(town, Entry::Lock, Deadline::NEVER)?;
        self.add(acquired.me);
        // SAFETY: held exclusively.
        unsafe { self.lock.release_write(acquired.me) };
        Ok(())
    }

    fn recover(&self, town: &Town) -> bool {
        let acquired = self.lock.write(town, Entry::Recover, Deadline::NEVER).unwrap();
        self.add(acquired.me);
        // SAFETY: held exclusively.
        unsafe { self.lock.release_write(acquired.me) };
        acquired.inconsistent
    }
}

fn is_told<T>(outcome: &Result<T, LockError>) -> bool {
    matches!(outcome, Err(LockError::Inconsistent { .. }))
}

/// [rw/R1], [rw/R2], [rw/R3], [rw/R4], [rw/W5]: they exclude each other, the data follows the lock, nobody sleeps for ever.
#[test]
fn a_reader_and_a_writer_exclude_each_other() {
    explore(3, false, || {
        let (cell, [a, b]) = (Cell::new(), Town::of());
        let reader = {
            let cell = cell.clone();
            thread::spawn(move || cell.read(&a).unwrap())
        };
        cell.write(&b).unwrap();
        assert!(reader.join().unwrap() <= 1);
        assert_eq!(cell.read(&b), Ok(1));
    });
}

#[test]
fn two_readers_and_a_writer_and_no_lost_wake() {
    explore(2, false, || {
        let (cell, [a, b, c]) = (Cell::new(), Town::of());
        let readers = [a, b].map(|town| {
            let cell = cell.clone();
            thread::spawn(move || cell.read(&town).unwrap())
        });
        cell.write(&c).unwrap();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() <= 1));
    });
}

#[test]
fn a_reader_and_two_writers() {
    explore(2, false, || {
        let (cell, [a, b, c]) = (Cell::new(), Town::of());
        let writers = [a, b].map(|town| {
            let cell = cell.clone();
            thread::spawn(move || cell.write(&town).unwrap())
        });
        assert!(cell.read(&c).unwrap() <= 2);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(cell.read(&c), Ok(2));
    });
}

/// Three threads of one member and two entries: holds are counted in an entry, up and down.
#[test]
fn threads_of_one_member_share_an_entry() {
    explore(2, false, || {
        let (cell, [mut a]) = (Cell::new(), Town::of());
        let mut b = a.clone();
        b.me = Owner::new(1, 0, 2);
        let held = [cell.lock.read(&a, Deadline::NEVER).unwrap(), cell.lock.read(&b, Deadline::NEVER).unwrap()];
        let others = [3, 4].map(|token| {
            let (cell, mut town) = (cell.clone(), a.clone());
            town.me = Owner::new(1, 0, token);
            thread::spawn(move || cell.read(&town).unwrap())
        });
        held.into_iter().for_each(|hold| cell.leave(hold));
        others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), 0));
        assert_eq!(cell.lock.readers().count(), 0);
        a.me = Owner::new(1, 0, 9);
        cell.write(&a).unwrap();
    });
}

/// Step 1: killed while it reads, at the very moment when a writer comes.
#[test]
fn a_dead_reader_blocks_no_writer() {
    explore(2, true, || {
        let (cell, [a, b]) = (Cell::new(), Town::of());
        let dying = {
            let cell = cell.clone();
            thread::spawn(move || {
                let _held = cell.lock.read(&a, Deadline::NEVER).unwrap();
                a.die();
            })
        };
        cell.write(&b).unwrap();
        dying.join().unwrap();
        cell.write(&b).unwrap();
        assert_eq!(cell.lock.readers().count(), 0);
    });
}

/// How far a writer gets before it stops for ever.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stop {
    Locked,
    Wrote,
    Cleared,
}

/// Steps 8 to 12: a reader is told, or goes on, and the lock works again.
fn a_writer_dies(stop: Stop, told: bool) {
    explore(2, true, move || {
        let (cell, [a, b]) = (Cell::new(), Town::of());
        let dying = {
            let cell = cell.clone();
            thread::spawn(move || {
                let acquired = cell.lock.write(&a, Entry::Lock, Deadline::NEVER).unwrap();
                if stop >= Stop::Wrote {
                    cell.add(acquired.me);
                }
                if stop >= Stop::Cleared {
                    // SAFETY: held exclusively.
                    unsafe { cell.lock.mark_consistent(acquired.me) };
                }
                a.die();
            })
        };
        let first = cell.read(&b);
        dying.join().unwrap();
        assert!(first.is_ok() || is_told(&first));
        assert_eq!(is_told(&cell.read(&b)), told);
        assert_eq!(is_told(&cell.write(&b)), told);
        assert_eq!(cell.recover(&b), told);
        cell.read(&b).unwrap();
        cell.write(&b).unwrap();
    });
}

#[test]
fn a_dead_writer_is_told_if_it_had_touched() {
    a_writer_dies(Stop::Wrote, true);
}

#[test]
fn a_dead_writer_that_had_not_touched_was_never_there() {
    a_writer_dies(Stop::Locked, false);
    a_writer_dies(Stop::Cleared, false);
}

/// A reader and a writer meet what the same dead writer left.
#[test]
fn a_dead_writer_is_taken_over_once() {
    explore(2, true, || {
        let (cell, [a, b, c]) = (Cell::new(), Town::of());
        cell.lock.write(&a, Entry::Lock, Deadline::NEVER).unwrap();
        a.die();
        let writer = {
            let cell = cell.clone();
            thread::spawn(move || cell.write(&b).unwrap())
        };
        assert!(cell.read(&c).unwrap() <= 1);
        writer.join().unwrap();
        assert_eq!(cell.read(&c), Ok(1));
    });
}

/// Nobody writes between a writer's last store and its own look as a reader.
#[test]
fn no_writer_comes_in_while_one_comes_down() {
    explore(2, false, || {
        let (cell, [a, b]) = (Cell::new(), Town::of());
        let other = {
            let cell = cell.clone();
            thread::spawn(move || cell.write(&a).unwrap())
        };
        let acquired = cell.lock.write(&b, Entry::Lock, Deadline::NEVER).unwrap();
        cell.add(acquired.me);
        let before = cell.look();
        // SAFETY: held exclusively, over good data.
        let hold = unsafe { cell.lock.downgrade(acquired.me) };
        assert_eq!(cell.look(), before);
        cell.leave(hold);
        other.join().unwrap();
        assert_eq!(cell.read(&b), Ok(2));
    });
}

/// An upgradable holder shares with a reader, and alone goes on to write.
#[test]
fn an_upgrade_waits_for_readers_only() {
    explore(2, false, || {
        let (cell, [a, b, c]) = (Cell::new(), Town::of());
        let reader = {
            let cell = cell.clone();
            thread::spawn(move || cell.read(&a).unwrap())
        };
        let writer = {
            let cell = cell.clone();
            thread::spawn(move || cell.write(&b).unwrap())
        };
        let me = cell.lock.upgradable(&c, Deadline::NEVER).unwrap();
        let before = cell.look();
        // SAFETY: the hold is ours.
        unsafe { cell.lock.upgrade(&c, me, Deadline::NEVER) }.unwrap();
        assert_eq!(cell.look(), before, "no writer came in between");
        cell.add(me);
        // SAFETY: held exclusively.
        unsafe { cell.lock.release_write(me) };
        assert!(reader.join().unwrap() <= 2);
        writer.join().unwrap();
        assert_eq!(cell.read(&c), Ok(2));
    });
}

/// Of two readers that both want to write without letting go, at most one does, and nobody waits for the other.
#[test]
fn two_readers_cannot_both_become_the_writer() {
    explore(3, false, || {
        let (cell, [a, b]) = (Cell::new(), Town::of());
        let attempt = |cell: &Cell, town: &Town| {
            let hold = cell.lock.read(town, Deadline::NEVER).unwrap();
            let before = cell.look();
            // SAFETY: the hold is ours.
            let up = unsafe { cell.lock.try_read_to_write(town, hold) };
            if up {
                assert_eq!(cell.look(), before);
                cell.add(hold.me);
                // SAFETY: held exclusively.
                unsafe { cell.lock.release_write(hold.me) };
            } else {
                assert_eq!(cell.look(), before);
                cell.leave(hold);
            }
            u32::from(up)
        };
        let other = {
            let cell = cell.clone();
            thread::spawn(move || attempt(&cell, &a))
        };
        let ups = attempt(&cell, &b) + other.join().unwrap();
        assert_eq!(cell.read(&b), Ok(ups));
    });
}
