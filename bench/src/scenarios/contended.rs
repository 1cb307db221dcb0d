//! `contended`: more workers than the lock has room for.
//!
//! Two loads: *tight* workers want the lock again at once; *spaced* ones compute about as long outside as a hand-over takes.
//! Throughput and the shares of the workers come from one run, the waiting of each acquisition, which needs two looks at the
//! clock, from another. The guarded words are plain memory: what two workers do at once, is lost.

use crate::peers::race;
use crate::plan::Plan;
use crate::report::{Case, Role, Row, Target, Unit};
use crate::rivals::posix_sem::PosixSem;
use crate::rivals::pthread::PthreadMutex;
use crate::rivals::raw_sync::RawSync;
use crate::rivals::{Mutual, python};
use crate::rounds::{Contender, Turn, compare};
use crate::shared::Shared;
use hdrhistogram::Histogram;
use ipc_sync::Lock;
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::io;
use std::sync::Mutex;
use std::time::Instant;

const SCENARIO: &str = "contended";
const BEST: Option<Target> = Some(Target::best(0.9));
/// Nobody gets less than a hundredth of what the median worker gets.
const FAIR: Option<Target> = Some(Target::own(0.01));
/// Multiplications between two turns of a spaced worker: some 100 ns.
const SPACE: u64 = 128;

/// What the workers of one comparison do.
#[derive(Clone, Copy)]
struct Load {
    workers: usize,
    space: u64,
    throughput: [Case; 2],
    waiting: [Case; 3],
}

macro_rules! load {
    ($workers:literal, $space:expr, $name:literal) => {
        Load {
            workers: $workers,
            space: $space,
            throughput: [
                Case::median(concat!($name, ": acquisitions"), Unit::PerSecond, BEST),
                Case::median(concat!($name, ": least share"), Unit::Share, FAIR),
            ],
            waiting: [
                Case::median(concat!($name, ": waiting, p50"), Unit::Nanoseconds, None),
                Case::median(concat!($name, ": waiting, p99"), Unit::Nanoseconds, None),
                Case::median(concat!($name, ": waiting, greatest"), Unit::Nanoseconds, None),
            ],
        }
    };
}

const LOADS: [Load; 4] = [
    load!(2, 0, "2 processes"),
    load!(2, SPACE, "2 processes, spaced"),
    load!(8, 0, "8 processes"),
    load!(8, SPACE, "8 processes, spaced"),
];

/// All rows.
pub fn run(plan: &Plan) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for load in LOADS {
        rows.extend(throughput(plan, load));
        rows.extend(waiting(plan, load));
    }
    Ok(rows)
}

/// Two plain words that are equal whenever nobody is at work.
#[derive(Default)]
struct Books(UnsafeCell<[u64; 2]>);

// SAFETY: the words are reached under the lock that is measured; if that fails, so does the check of the sum.
unsafe impl Sync for Books {}

impl Books {
    #[inline]
    fn add(&self) {
        // SAFETY: the caller holds the lock.
        let words = unsafe { &mut *self.0.get() };
        words[0] += 1;
        words[1] += 1;
    }

    fn read(&self) -> [u64; 2] {
        // SAFETY: the workers have ended.
        unsafe { *self.0.get() }
    }
}

fn compute(space: u64) {
    let mut x = 1u64;
    for i in 0..space {
        x = black_box(x.wrapping_mul(i | 1));
    }
}

/// One race; what each worker reports, its number of turns first.
fn turns<M: Mutual>(
    plan: &Plan,
    load: Load,
    turn: impl Fn(&M, &Books, &mut Vec<u64>) -> bool + Sync,
) -> Result<(f64, Vec<Vec<u64>>), String> {
    let lock = M::create().map_err(|error| error.to_string())?;
    let books = Shared::new(Books::default()).map_err(|error| error.to_string())?;
    let (took, reports) = race(M::CROSSES_PROCESSES, load.workers, plan.race, |_, race| {
        let mut report = vec![0];
        while race.is_on() && turn(&lock, &books, &mut report) {
            report[0] += 1;
            compute(load.space);
        }
        report
    })
    .map_err(|error| error.to_string())?;
    let total: u64 = reports.iter().map(|report| report[0]).sum();
    if books.read() != [total; 2] {
        return Err(format!("{total} turns, and the guarded words are {:?}", books.read()));
    }
    Ok((took.as_secs_f64(), reports))
}

fn speed<'a, M: Mutual + 'a>(role: Role, plan: &'a Plan, load: Load) -> Contender<'a> {
    Contender::new(role, M::NAME, move || {
        match turns::<M>(plan, load, |lock, books, _| lock.exclusively(|| books.add()).is_some()) {
            Err(how) => Turn::Wrong(how),
            Ok((seconds, reports)) => {
                let mut each: Vec<u64> = reports.iter().map(|report| report[0]).collect();
                each.sort_unstable();
                let share = each[0] as f64 / (each[each.len() / 2] as f64).max(1.0);
                Turn::Figures(vec![each.iter().sum::<u64>() as f64 / seconds, share])
            }
        }
    })
}

fn throughput(plan: &Plan, load: Load) -> Vec<Row> {
    let contenders = [
        speed::<Lock<()>>(Role::Ours, plan, load),
        speed::<Mutex<()>>(Role::Rival, plan, load),
        speed::<parking_lot::Mutex<()>>(Role::Rival, plan, load),
        speed::<PthreadMutex<false>>(Role::Rival, plan, load),
        speed::<PthreadMutex<true>>(Role::Rival, plan, load),
        speed::<RawSync>(Role::Rival, plan, load),
        speed::<PosixSem>(Role::Rival, plan, load),
    ];
    let mut rows = compare(SCENARIO, &load.throughput, plan.races, &mut { contenders });
    if load.space == 0 {
        // A row of its own: the script cannot tell shares, and is orders of magnitude away.
        let case = Case::median(
            if load.workers == 2 { "2 processes: beside CPython" } else { "8 processes: beside CPython" },
            Unit::PerSecond,
            None,
        );
        let workers = load.workers as u64;
        let script = Contender::script("CPython Lock", plan.scripts, move || python::measure("contended", workers));
        rows.extend(compare(SCENARIO, &[case], plan.scripts, &mut [speed::<Lock<()>>(Role::Ours, plan, load), script]));
    }
    rows
}

/// Up to a minute, in nanoseconds, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

fn wait<'a, M: Mutual + 'a>(role: Role, plan: &'a Plan, load: Load) -> Contender<'a> {
    Contender::new(role, M::NAME, move || {
        // Reports are the waits themselves: a histogram in each worker would be a cache's worth of counters.
        let turn = |lock: &M, books: &Books, report: &mut Vec<u64>| {
            let asked = Instant::now();
            let given = lock.exclusively(|| {
                books.add();
                asked.elapsed().as_nanos() as u64
            });
            given.map(|wait| report.push(wait)).is_some()
        };
        match turns::<M>(plan, load, turn) {
            Err(how) => Turn::Wrong(how),
            Ok((_, reports)) => {
                let mut all = histogram();
                for wait in reports.iter().flat_map(|report| &report[1..]) {
                    all.saturating_record(*wait);
                }
                let at = |quantile| all.value_at_quantile(quantile) as f64;
                Turn::Figures(vec![at(0.5), at(0.99), all.max() as f64])
            }
        }
    })
}

fn waiting(plan: &Plan, load: Load) -> Vec<Row> {
    let contenders = [
        wait::<Lock<()>>(Role::Ours, plan, load),
        wait::<Mutex<()>>(Role::Rival, plan, load),
        wait::<parking_lot::Mutex<()>>(Role::Rival, plan, load),
        wait::<PthreadMutex<false>>(Role::Rival, plan, load),
        wait::<PthreadMutex<true>>(Role::Rival, plan, load),
    ];
    compare(SCENARIO, &load.waiting, plan.races, &mut { contenders })
}
