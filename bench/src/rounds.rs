//! Interleaved rounds: contenders take turns, so that whatever disturbs the machine disturbs them alike.

use crate::report::{Case, Figure, Role, Row};
use indicatif::ProgressBar;
use std::time::Instant;

/// What one turn of a contender brought: a figure for each case, or that its result was wrong, or why it cannot run.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    Figures(Vec<f64>),
    Wrong(String),
    Absent(String),
}

/// One of those compared.
pub struct Contender<'a> {
    name: &'static str,
    role: Role,
    /// In how many of the rounds it takes part; all, unless it is dear.
    turns: usize,
    run: Box<dyn FnMut() -> Turn + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender that finds its figures itself.
    pub fn new(role: Role, name: &'static str, run: impl FnMut() -> Turn + 'a) -> Self {
        Self { name, role, turns: usize::MAX, run: Box::new(run) }
    }

    /// One that does `n` operations and says how many had the right result; its figure is nanoseconds per operation.
    pub fn timed(role: Role, name: &'static str, n: u64, mut run: impl FnMut(u64) -> u64 + 'a) -> Self {
        Self::new(role, name, move || {
            let started = Instant::now();
            let right = run(n);
            let each = started.elapsed().as_nanos() as f64 / n as f64;
            if right == n {
                Turn::Figures(vec![each])
            } else {
                Turn::Wrong(format!("{right} of {n} results were right"))
            }
        })
    }

    /// A script that prints one figure, run in `turns` of the rounds.
    pub fn script(name: &'static str, turns: usize, mut run: impl FnMut() -> Result<f64, String> + 'a) -> Self {
        let mut contender =
            Self::new(Role::Rival, name, move || run().map_or_else(Turn::Absent, |figure| Turn::Figures(vec![figure])));
        contender.turns = turns;
        contender
    }

    /// A place kept for somebody who is not there.
    pub fn absent(role: Role, name: &'static str, why: &'static str) -> Self {
        Self::new(role, name, move || Turn::Absent(why.to_owned()))
    }

    fn takes_part(&self, round: usize, rounds: usize) -> bool {
        self.turns >= rounds || round.is_multiple_of(rounds.div_ceil(self.turns))
    }
}

/// Measures the contenders; a row for each case, in the order of the figures that every turn brings.
pub fn compare(scenario: &'static str, cases: &[Case], rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<Row> {
    let bar = ProgressBar::new(rounds as u64).with_message(scenario);
    let mut turns: Vec<Vec<Option<Vec<f64>>>> = vec![Vec::with_capacity(rounds); contenders.len()];
    let mut faults: Vec<Option<Turn>> = vec![None; contenders.len()];
    // Caches and branch predictors see everybody once before it counts.
    for (who, contender) in contenders.iter_mut().enumerate() {
        note((contender.run)(), &mut faults[who]);
    }
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let who = (round + turn) % contenders.len();
            let runs = faults[who].is_none() && contenders[who].takes_part(round, rounds);
            let figures = if runs { note((contenders[who].run)(), &mut faults[who]) } else { None };
            turns[who].push(figures);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let ours = contenders.iter().position(|contender| contender.role == Role::Ours);
    let column = |who: usize, case: usize| -> Vec<Option<f64>> {
        turns[who].iter().map(|turn| turn.as_ref().map(|figures| figures[case])).collect()
    };
    let rows = cases.iter().enumerate().map(|(nth, case)| {
        let figures = contenders.iter().enumerate().map(|(who, contender)| {
            let figure = match &faults[who] {
                None => {
                    let ours = ours.filter(|&ours| faults[ours].is_none()).map(|ours| column(ours, nth));
                    Figure::of(case, &column(who, nth), ours.as_deref())
                        .ok_or_else(|| Turn::Absent("no round was measured".to_owned()))
                }
                Some(fault) => Err(fault.clone()),
            };
            (contender.role, contender.name, figure)
        });
        Row::new(scenario, case, figures)
    });
    rows.collect()
}

fn note(turn: Turn, fault: &mut Option<Turn>) -> Option<Vec<f64>> {
    match turn {
        Turn::Figures(figures) => Some(figures),
        // A fault stays: a wrong answer in one round is not made good by right ones in others.
        other => {
            fault.get_or_insert(other);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Target, Unit};

    const CASE: Case = Case::median("case", Unit::Nanoseconds, Some(Target::against(&[("rival", 0.5)])));

    fn constant(role: Role, name: &'static str, figure: f64) -> Contender<'static> {
        Contender::new(role, name, move || Turn::Figures(vec![figure]))
    }

    #[test]
    fn a_wrong_answer_is_not_a_fast_one() {
        let mut contenders =
            [Contender::timed(Role::Ours, "ours", 10, |n| n), Contender::timed(Role::Rival, "rival", 10, |n| n - 1)];
        let rows = compare("test", &[CASE], 3, &mut contenders);
        assert!(!rows[0].is_right() && rows[0].met().is_none());
    }

    #[test]
    fn a_target_is_met_or_not() {
        for (ours, met) in [(1.0, true), (1.9, true), (2.1, false)] {
            let mut contenders = [constant(Role::Ours, "ours", ours), constant(Role::Rival, "rival", 4.0)];
            let rows = compare("test", &[CASE], 3, &mut contenders);
            assert!(rows[0].is_right());
            assert_eq!(rows[0].met(), Some(met), "{ours} against 4");
        }
    }

    #[test]
    fn without_the_rival_nothing_is_met_and_nothing_wrong() {
        let mut contenders =
            [constant(Role::Ours, "ours", 1.0), Contender::absent(Role::Rival, "rival", "it is not installed")];
        let rows = compare("test", &[CASE], 3, &mut contenders);
        assert!(rows[0].is_right() && rows[0].met().is_none());
        let json = rows[0].json();
        assert_eq!(json["met"], serde_json::Value::Null);
        assert_eq!(json["rivals"]["rival"], serde_json::Value::Null);
        assert_eq!(json["reasons"]["rival"], "it is not installed");
    }

    #[test]
    fn dear_contenders_take_part_in_some_rounds() {
        let turns = std::cell::Cell::new(0);
        let script = Contender::script("script", 3, || {
            turns.set(turns.get() + 1);
            Ok(1.0)
        });
        compare("test", &[CASE], 11, &mut [script]);
        assert_eq!(turns.get(), 1 + 3, "one for the caches, three that count");
    }
}
