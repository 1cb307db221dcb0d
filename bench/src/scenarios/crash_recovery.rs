//! `crash-recovery`: the holder of a lock is killed with SIGKILL; how long until the next one, who sleeps on it, has it?

use crate::peers::{Peer, wait_for};
use crate::plan::Plan;
use crate::report::{Case, Role, Row, Target, Unit};
use crate::rivals::Mutual;
use crate::rivals::pthread::{Given, PthreadMutex};
use crate::rounds::{Contender, Turn, compare};
use crate::shared::Shared;
use ipc_core::LockError;
use ipc_sync::Lock;
use nix::sys::signal::{Signal, kill};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

const SCENARIO: &str = "crash-recovery";
const CASES: [Case; 3] = [
    Case::quantile("kill of the holder → the next one has it, p50", Unit::Microseconds, 0.5, None),
    Case::quantile("kill of the holder → the next one has it, p99", Unit::Microseconds, 0.99, BOUND),
    Case::quantile("kill of the holder → the next one has it, greatest", Unit::Microseconds, 1.0, None),
];
const BOUND: Option<Target> = Some(Target::own(100_000.0));
const WRITING: [Case; 2] = [
    Case::quantile("kill of a writer → told and recovered, p50", Unit::Microseconds, 0.5, None),
    Case::quantile("kill of a writer → told and recovered, p99", Unit::Microseconds, 0.99, BOUND),
];

/// All rows.
pub fn run(plan: &Plan) -> io::Result<Vec<Row>> {
    let mut reading =
        [contender::<Lock<()>>(Role::Ours, CASES.len()), contender::<PthreadMutex<true>>(Role::Rival, CASES.len())];
    let mut rows = compare(SCENARIO, &CASES, plan.deaths, &mut reading);
    let mut writing = [
        contender::<Lock<u64>>(Role::Ours, WRITING.len()),
        contender::<PthreadMutex<true>>(Role::Rival, WRITING.len()),
    ];
    rows.extend(compare(SCENARIO, &WRITING, plan.deaths, &mut writing));
    Ok(rows)
}

/// A lock that survives its holder.
trait Survives: Sync + Sized {
    const NAME: &'static str;

    fn create() -> io::Result<Self>;

    /// Locks, and never unlocks.
    fn hold(&self) -> bool;

    /// Locks after the death of the holder; whether it was told what there was to tell.
    fn next(&self) -> bool;
}

impl Survives for Lock<()> {
    const NAME: &'static str = "ipc_sync::Lock";

    fn create() -> io::Result<Self> {
        Self::new(()).map_err(io::Error::other)
    }

    fn hold(&self) -> bool {
        self.lock().map(std::mem::forget).is_ok()
    }

    fn next(&self) -> bool {
        self.lock().is_ok()
    }
}

/// The holder has written.
impl Survives for Lock<u64> {
    const NAME: &'static str = "ipc_sync::Lock";

    fn create() -> io::Result<Self> {
        Self::new(1).map_err(io::Error::other)
    }

    fn hold(&self) -> bool {
        self.lock()
            .map(|mut word| {
                *word = 2;
                std::mem::forget(word);
            })
            .is_ok()
    }

    fn next(&self) -> bool {
        matches!(self.lock(), Err(LockError::Inconsistent { .. }))
            && self.recover(|word| *word = 1).is_ok_and(|word| *word == 1)
    }
}

impl Survives for PthreadMutex<true> {
    const NAME: &'static str = <Self as Mutual>::NAME;

    fn create() -> io::Result<Self> {
        Mutual::create()
    }

    fn hold(&self) -> bool {
        self.lock().is_ok()
    }

    fn next(&self) -> bool {
        self.lock().is_ok_and(|given| given == Given::OwnerDied)
    }
}

fn contender<S: Survives>(role: Role, figures: usize) -> Contender<'static> {
    let mut deaths = 0;
    Contender::new(role, S::NAME, move || {
        deaths += 1;
        match death::<S>(deaths) {
            Ok(Some(us)) => Turn::Figures(vec![us; figures]),
            Ok(None) => Turn::Wrong("the next one was not told, or not given the lock".to_owned()),
            Err(error) => Turn::Wrong(error.to_string()),
        }
    })
}

/// One death: microseconds from the kill to the lock.
fn death<S: Survives>(nth: u64) -> io::Result<Option<f64>> {
    let lock = S::create()?;
    let steps = Shared::new(AtomicU32::new(0))?;
    let reach = |step| {
        steps.store(step, SeqCst);
    };
    let holder = Peer::fork(|| {
        if lock.hold() {
            reach(1);
        }
        loop {
            nix::unistd::pause();
        }
    })?;
    wait_for("the holder", || steps.load(SeqCst) == 1)?;
    let next = Peer::fork(|| {
        reach(2);
        let given = lock.next();
        vec![now(), u64::from(given)]
    })?;
    wait_for("the next one", || steps.load(SeqCst) == 2)?;
    // It has slept for a while, no matter how long: 5 to 125 ms, spread evenly by the golden ratio.
    std::thread::sleep(Duration::from_millis(5) + Duration::from_micros(nth * 74_164 % 120_000));
    let killed = now();
    kill(holder.pid(), Signal::SIGKILL)?;
    let report = next.report()?;
    Ok(match report[..] {
        [given, 1] => Some(given.saturating_sub(killed) as f64 / 1e3),
        _ => None,
    })
}

/// Nanoseconds of the monotonic clock, the same in all processes.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
