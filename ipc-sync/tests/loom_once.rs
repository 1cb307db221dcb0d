//! Models of the once word, one small model per ordering label or race.
//!
//! `RUSTFLAGS="--cfg ipc_loom" cargo test --release -p ipc-sync --test loom_once`
#![cfg(ipc_loom)]

use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::{self, AtomicU32, Ordering, UnsafeCell};
use ipc_core::{Deadline, MemberError};
use ipc_sync::once::{OnceError, OnceLine};
use loom::sync::Arc;
use loom::thread;
use std::borrow::Cow;

fn explore(preemptions: usize, rechecks: bool, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        shim::set_rechecks(rechecks);
        model();
    });
}

/// The word, and what is initialised, which nobody else orders.
struct Shared {
    line: OnceLine,
    value: UnsafeCell<u32>,
    completed: AtomicU32,
    dead: AtomicU32,
}

struct Town {
    me: Owner,
    shared: Arc<Shared>,
}

impl Census for Town {
    type Repair = ();

    fn me(&self) -> Result<Owner, MemberError> {
        Ok(self.me)
    }

    fn verdict(&self, who: Owner) -> Verdict {
        let dead = self.shared.dead.load(Ordering::Acquire) & 1 << who.row() != 0;
        if dead { Verdict::Dead } else { Verdict::Alive }
    }

    fn begin_repair(&self, _: Owner) -> Option<()> {
        Some(())
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        (who.row().into(), "member".into())
    }
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        line: OnceLine::new(),
        value: UnsafeCell::new(0),
        completed: AtomicU32::new(0),
        dead: AtomicU32::new(0),
    })
}

impl Town {
    fn new(number: u16, shared: &Arc<Shared>) -> Self {
        Self { me: Owner::new(1, number, 1), shared: shared.clone() }
    }

    /// Initialises, or waits; then reads.
    fn get(&self) -> u32 {
        let init = |_tried| {
            // SAFETY: one initialises at a time.
            self.shared.value.with_mut(|value| unsafe { *value += 1 });
            self.shared.completed.fetch_add(1, Ordering::Relaxed);
        };
        self.shared.line.call(self, init, |()| (), Deadline::NEVER).unwrap();
        // SAFETY: done: nobody writes any more.
        self.shared.value.with(|value| unsafe { *value })
    }

    fn die_initialising(&self) -> Result<(), OnceError> {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.shared.line.call(self, |_| std::panic::resume_unwind(Box::new(())), |()| (), Deadline::NEVER)
        }));
        result.unwrap_or(Ok(()))
    }
}

/// [once/O1]: of two, one initialises, and both see it; no sleeper is left behind.
#[test]
fn one_initialises_and_both_see_it() {
    explore(3, false, || {
        let shared = shared();
        let other = {
            let town = Town::new(1, &shared);
            thread::spawn(move || assert_eq!(town.get(), 1))
        };
        assert_eq!(Town::new(2, &shared).get(), 1);
        other.join().unwrap();
        assert_eq!(shared.completed.load(Ordering::Relaxed), 1);
    });
}

/// Step 6: a panic lets the next one try, and wakes whoever sleeps.
#[test]
fn a_panic_lets_the_next_one_try() {
    explore(3, false, || {
        let shared = shared();
        let other = {
            let town = Town::new(1, &shared);
            thread::spawn(move || town.die_initialising().unwrap())
        };
        assert_eq!(Town::new(2, &shared).get(), 1);
        other.join().unwrap();
        assert_eq!(shared.completed.load(Ordering::Relaxed), 1);
    });
}

/// [once/O2], step 8: of two who find the same dead initialiser, one takes over.
#[test]
fn the_next_one_initialises_for_the_dead() {
    explore(2, true, || {
        let shared = Arc::new(Shared {
            line: OnceLine::left_running(Owner::new(1, 0, 1)),
            value: UnsafeCell::new(0),
            completed: AtomicU32::new(0),
            dead: AtomicU32::new(1),
        });
        let other = {
            let town = Town::new(1, &shared);
            thread::spawn(move || assert_eq!(town.get(), 1))
        };
        assert_eq!(Town::new(2, &shared).get(), 1);
        other.join().unwrap();
        assert_eq!(shared.completed.load(Ordering::Relaxed), 1);
    });
}
