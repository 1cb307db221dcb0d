//! `readers-writers`: seven readers and one writer.

use crate::peers::race;
use crate::plan::Plan;
use crate::report::{Case, Role, Row, Target, Unit};
use crate::rivals::ReadersWriter;
use crate::rivals::pthread::PthreadRwLock;
use crate::rounds::{Contender, Turn, compare};
use crate::shared::Shared;
use std::cell::UnsafeCell;
use std::io;

const SCENARIO: &str = "readers-writers";
const WORKERS: usize = 8;
const CASES: [Case; 2] = [
    Case::median("7 readers, 1 writer: reads", Unit::PerSecond, Some(Target::best(0.9))),
    Case::median("7 readers, 1 writer: writes", Unit::PerSecond, None),
];

/// All rows.
pub fn run(plan: &Plan) -> io::Result<Vec<Row>> {
    let mut contenders = [
        speed::<ipc_sync::RwLock<()>>(Role::Ours, plan),
        speed::<std::sync::RwLock<()>>(Role::Rival, plan),
        speed::<parking_lot::RwLock<()>>(Role::Rival, plan),
        speed::<PthreadRwLock>(Role::Rival, plan),
    ];
    Ok(compare(SCENARIO, &CASES, plan.races, &mut contenders))
}

/// Two plain words that a reader must find equal.
#[derive(Default)]
struct Words(UnsafeCell<[u64; 2]>);

// SAFETY: the words are reached under the lock that is measured; if that fails, so do the checks.
unsafe impl Sync for Words {}

/// What one worker did: reads, writes, reads of unequal words.
fn work<L: ReadersWriter>(lock: &L, words: &Words, writes: bool, is_on: impl Fn() -> bool) -> Vec<u64> {
    let mut report = vec![0; 3];
    while is_on() {
        if writes {
            // SAFETY: inside `write` nobody else is in.
            let done = lock.write(|| unsafe { (*words.0.get()).iter_mut().for_each(|word| *word += 1) });
            report[1] += u64::from(done.is_some());
        } else {
            // SAFETY: inside `read` nobody writes.
            let [a, b] = lock.read(|| unsafe { *words.0.get() }).unwrap_or([0, 1]);
            report[0] += 1;
            report[2] += u64::from(a != b);
        }
    }
    report
}

fn speed<'a, L: ReadersWriter + 'a>(role: Role, plan: &'a Plan) -> Contender<'a> {
    let turn = || -> io::Result<Turn> {
        let (lock, words) = (L::create()?, Shared::new(Words::default())?);
        // The writer goes first and shares its CPU with three readers.
        let (took, reports) =
            race(L::CROSSES_PROCESSES, WORKERS, plan.race, |nth, race| work(&lock, &words, nth == 0, || race.is_on()))?;
        let sum = |nth: usize| reports.iter().map(|report| report[nth]).sum::<u64>();
        // SAFETY: the workers have ended.
        let last = unsafe { *words.0.get() };
        if sum(2) != 0 || last != [sum(1); 2] {
            return Ok(Turn::Wrong(format!("{} unequal reads; {} writes left {last:?}", sum(2), sum(1))));
        }
        Ok(Turn::Figures([0, 1].map(|nth| sum(nth) as f64 / took.as_secs_f64()).to_vec()))
    };
    Contender::new(role, L::NAME, move || turn().unwrap_or_else(|error| Turn::Wrong(error.to_string())))
}
