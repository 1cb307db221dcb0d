//! `wake`: two processes that sleep in turn; one round trip is two wakes. Only ours that are whole types spin before they sleep,
//! as they do in use.

use crate::peers::{Peer, stay_on};
use crate::plan::Plan;
use crate::report::{Case, Role, Row, Target, Unit};
use crate::rivals::Mutual;
use crate::rivals::posix_sem::PosixSem;
use crate::rounds::{Contender, Turn, compare};
use crate::shared::Shared;
use ipc_core::Deadline;
use ipc_core::raw::{Pause, WaitWord};
use ipc_sync::{Event, Reset};
use std::io;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Instant;

const SCENARIO: &str = "wake";
const FUTEX: &str = "raw futex";
const TARGET: Option<Target> = Some(Target::against(&[(FUTEX, 1.15)]));

/// All rows.
pub fn run(plan: &Plan) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (cpus, word, event, condition) in [
        (1, "WaitWord: round trip, one CPU", "Event: round trip, one CPU", "Condition: round trip, one CPU"),
        (2, "WaitWord: round trip, two CPUs", "Event: round trip, two CPUs", "Condition: round trip, two CPUs"),
    ] {
        let rivals = || [trip::<RawFutex>(Role::Rival, plan, cpus), trip::<TwoSems>(Role::Rival, plan, cpus)];
        let absent = |name| Contender::absent(Role::Ours, name, "not in ipc-sync yet");
        for (name, ours) in [
            (word, trip::<Words>(Role::Ours, plan, cpus)),
            (event, trip::<TwoEvents>(Role::Ours, plan, cpus)),
            // Its place is kept: implement `Turns` for it.
            (condition, absent("ipc_sync::Condition")),
        ] {
            let mut contenders = Vec::from([ours]);
            contenders.extend(rivals());
            let case = Case::median(name, Unit::Nanoseconds, TARGET);
            rows.extend(compare(SCENARIO, &[case], plan.races, &mut contenders));
        }
    }
    Ok(rows)
}

/// A number that two take turns to move on.
trait Turns: Sync + Sized {
    const NAME: &'static str;

    fn create() -> io::Result<Self>;

    /// Moves on to `turn`, and wakes who sleeps.
    fn pass(&self, turn: u32);

    /// Sleeps until it is `turn`.
    fn wait(&self, turn: u32);
}

/// `futex(2)` and nothing else: wake after each store, wait while the number is another.
struct RawFutex(Shared<AtomicU32>);

impl Turns for RawFutex {
    const NAME: &'static str = FUTEX;

    fn create() -> io::Result<Self> {
        Ok(Self(Shared::new(AtomicU32::new(0))?))
    }

    fn pass(&self, turn: u32) {
        self.0.store(turn, Release);
        // SAFETY: FUTEX_WAKE reads no memory; the word is mapped.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, 1) };
    }

    fn wait(&self, turn: u32) {
        loop {
            let now = self.0.load(Acquire);
            if now == turn {
                return;
            }
            let forever = ptr::null::<libc::timespec>();
            // SAFETY: the word is mapped and aligned; no time-out.
            unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAIT, now, forever) };
        }
    }
}

/// Our event count beside the number.
struct Words(Shared<(WaitWord, AtomicU32)>);

impl Turns for Words {
    const NAME: &'static str = "ipc_core::raw::WaitWord";

    fn create() -> io::Result<Self> {
        Ok(Self(Shared::new((WaitWord::new(), AtomicU32::new(0)))?))
    }

    fn pass(&self, turn: u32) {
        self.0.1.swap(turn, SeqCst);
        self.0.0.notify(1);
    }

    fn wait(&self, turn: u32) {
        let is_mine = || self.0.1.load(SeqCst) == turn;
        let mut pause = Pause::new();
        while !is_mine() {
            self.0.0.sleep(&mut pause, Deadline::NEVER, is_mine);
        }
    }
}

/// One semaphore for each of the two.
struct TwoSems([PosixSem; 2]);

impl Turns for TwoSems {
    const NAME: &'static str = "POSIX sem";

    fn create() -> io::Result<Self> {
        let sems = [PosixSem::create()?, PosixSem::create()?];
        sems.iter().for_each(|sem| _ = sem.wait());
        Ok(Self(sems))
    }

    fn pass(&self, turn: u32) {
        self.0[turn as usize % 2].post();
    }

    fn wait(&self, turn: u32) {
        self.0[turn as usize % 2].wait();
    }
}

/// One automatic event for each of the two.
struct TwoEvents([Event; 2]);

impl Turns for TwoEvents {
    const NAME: &'static str = "ipc_sync::Event";

    fn create() -> io::Result<Self> {
        let event = || Event::new(Reset::Auto).map_err(io::Error::other);
        Ok(Self([event()?, event()?]))
    }

    fn pass(&self, turn: u32) {
        self.0[turn as usize % 2].set();
    }

    fn wait(&self, turn: u32) {
        // A damaged event shows as a wrong result.
        let _ = self.0[turn as usize % 2].wait();
    }
}

fn trip<'a, T: Turns + 'a>(role: Role, plan: &'a Plan, cpus: usize) -> Contender<'a> {
    let trips = plan.trips as u32;
    let turn = move || -> io::Result<Turn> {
        let turns = T::create()?;
        let answered = Shared::new(AtomicU32::new(0))?;
        let answerer = Peer::fork(|| {
            stay_on(1 % cpus);
            for trip in 0..trips {
                turns.wait(2 * trip + 1);
                answered.store(trip + 1, Relaxed);
                turns.pass(2 * trip + 2);
            }
            vec![]
        })?;
        let asker = Peer::fork(|| {
            stay_on(0);
            let started = Instant::now();
            let right = (0..trips).filter(|trip| {
                turns.pass(2 * trip + 1);
                turns.wait(2 * trip + 2);
                answered.load(Relaxed) == trip + 1
            });
            let right = right.count() as u64;
            vec![started.elapsed().as_nanos() as u64, right]
        })?;
        let report = asker.report()?;
        answerer.report()?;
        Ok(match report[..] {
            [took, right] if right == u64::from(trips) => Turn::Figures(vec![took as f64 / f64::from(trips)]),
            _ => Turn::Wrong(format!("{report:?} for {trips} trips")),
        })
    };
    Contender::new(role, T::NAME, move || turn().unwrap_or_else(|error| Turn::Wrong(error.to_string())))
}
