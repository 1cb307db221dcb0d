//! Interleaved rounds: contenders take turns, so that whatever disturbs the machine disturbs them alike.

use indicatif::ProgressBar;
use std::time::Instant;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    rounds: usize,
    operations: u64,
}

impl Plan {
    /// The number of the last operation of a run, from 1.
    pub fn last(&self) -> u64 {
        self.operations
    }
}

/// For figures. A run is shorter than a time slice, so that on a busy machine most rounds are still undisturbed.
pub const FULL: Plan = Plan { rounds: 1001, operations: 10_000 };
/// For a look whether everything works.
pub const QUICK: Plan = Plan { rounds: 5, operations: 2_000 };

/// One of those compared: does `n` operations and says how many had the right result.
pub struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) -> u64 + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender by its name.
    pub fn new(name: &'static str, run: impl FnMut(u64) -> u64 + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Measures the contenders, prints a table, and says whether every result was right. The first one is ours.
#[expect(clippy::print_stdout, reason = "the output of a program")]
pub fn compare(title: &str, plan: &Plan, contenders: &mut [Contender<'_>]) -> bool {
    let bar = ProgressBar::new(plan.rounds as u64).with_message(title.to_owned());
    let mut times = vec![Vec::with_capacity(plan.rounds); contenders.len()];
    let mut wrong = vec![0; contenders.len()];
    for contender in contenders.iter_mut() {
        // Caches and branch predictors see everybody once before it counts.
        (contender.run)(plan.operations);
    }
    for round in 0..plan.rounds {
        for turn in 0..contenders.len() {
            let who = (round + turn) % contenders.len();
            let started = Instant::now();
            let right = (contenders[who].run)(plan.operations);
            times[who].push(started.elapsed().as_nanos() as f64 / plan.operations as f64);
            wrong[who] += plan.operations - right.min(plan.operations);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("{title:<34} {:>9} {:>17} {:>12}", "median ns", "middle half", "ours / this");
    for (who, contender) in contenders.iter().enumerate() {
        let ratios = times[0].iter().zip(&times[who]).map(|(ours, this)| ours / this).collect();
        let [low, median, high] = quartiles(times[who].clone());
        let [_, ratio, _] = quartiles(ratios);
        println!("  {:<32} {median:>9.2} {:>17} {ratio:>12.2}", contender.name, format!("{low:.2}–{high:.2}"));
        if wrong[who] > 0 {
            println!("  {:<32} {} WRONG RESULTS", contender.name, wrong[who]);
        }
    }
    println!();
    wrong.iter().all(|&n| n == 0)
}

/// The quartiles: a quarter, a half and three quarters of the values are not above them.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_few() {
        assert_eq!(quartiles(vec![5.0, 1.0, 3.0, 2.0, 4.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(vec![7.0]), [7.0; 3]);
    }

    #[test]
    fn a_wrong_answer_is_not_a_fast_one() {
        let mut contenders = [Contender::new("right", |n| n), Contender::new("wrong", |n| n - 1)];
        assert!(!compare("test", &QUICK, &mut contenders));
        assert!(compare("test", &QUICK, &mut contenders[..1]));
    }
}
