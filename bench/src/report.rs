//! What a comparison found: a table for people, one JSON object per line for programs.

use crate::rounds::Turn;
use serde_json::{Map, Value, json};

/// What a figure means, and whether less of it is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Nanoseconds,
    Microseconds,
    /// More is better.
    PerSecond,
    /// Of what the median worker got; more is better.
    Share,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::PerSecond => "1/s",
            Self::Share => "share",
        }
    }

    fn more_is_better(self) -> bool {
        matches!(self, Self::PerSecond | Self::Share)
    }

    fn holds(self, found: f64, bound: f64) -> bool {
        if self.more_is_better() { found >= bound } else { found <= bound }
    }
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The type under measurement; one in each comparison.
    Ours,
    /// What it is compared with.
    Rival,
    /// What cannot be beaten: the bare instructions.
    Floor,
}

/// What is to be reached: ours over theirs, at most if less is better, else at least.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    ratios: &'static [(&'static str, f64)],
    best: Option<f64>,
    own: Option<f64>,
}

impl Target {
    const NONE: Self = Self { ratios: &[], best: None, own: None };

    /// A ratio to each of some rivals or the floor, by their names.
    pub const fn against(ratios: &'static [(&'static str, f64)]) -> Self {
        Self { ratios, ..Self::NONE }
    }

    /// A ratio to the best of all rivals that took part.
    pub const fn best(ratio: f64) -> Self {
        Self { best: Some(ratio), ..Self::NONE }
    }

    /// A figure of ours by itself.
    pub const fn own(figure: f64) -> Self {
        Self { own: Some(figure), ..Self::NONE }
    }

    fn text(&self, unit: Unit) -> String {
        let sign = if unit.more_is_better() { "≥" } else { "≤" };
        let ratios = self.ratios.iter().map(|(rival, ratio)| format!("{sign} {ratio}× {rival}"));
        let best = self.best.iter().map(|ratio| format!("{sign} {ratio}× the best rival"));
        let own = self.own.iter().map(|figure| format!("{sign} {figure} {}", unit.name()));
        ratios.chain(best).chain(own).collect::<Vec<_>>().join(", ")
    }
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub unit: Unit,
    /// Which of the rounds speaks for all: the middle one, unless it is the rare bad one that matters.
    pub quantile: f64,
    pub target: Option<Target>,
}

impl Case {
    /// The median of all rounds.
    pub const fn median(name: &'static str, unit: Unit, target: Option<Target>) -> Self {
        Self { name, unit, quantile: 0.5, target }
    }

    /// Another quantile of all rounds; 1 is the greatest.
    pub const fn quantile(name: &'static str, unit: Unit, quantile: f64, target: Option<Target>) -> Self {
        Self { name, unit, quantile, target }
    }
}

/// What one contender got, over all rounds.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    low: f64,
    /// The quantile of the case.
    value: f64,
    high: f64,
    /// Ours over this one's: of medians, the median of the ratios of all rounds that both took part in.
    ratio: Option<f64>,
}

impl Figure {
    /// From the turns of one contender and of ours; `None` if it had none.
    pub fn of(case: &Case, turns: &[Option<f64>], ours: Option<&[Option<f64>]>) -> Option<Self> {
        let at = |values: Vec<f64>, quantile| self::at(values, quantile);
        let all: Vec<f64> = turns.iter().flatten().copied().collect();
        let value = at(all.clone(), case.quantile)?;
        let ratio = ours.and_then(|ours| {
            if case.quantile == 0.5 {
                let both = ours.iter().zip(turns).filter_map(|(ours, this)| Some(ours.as_ref()? / this.as_ref()?));
                at(both.filter(|ratio| ratio.is_finite()).collect(), 0.5)
            } else {
                Some(at(ours.iter().flatten().copied().collect(), case.quantile)? / value)
            }
        });
        Some(Self { low: at(all.clone(), 0.25)?, value, high: at(all, 0.75)?, ratio })
    }
}

/// The smallest value that is not below `quantile` of them.
fn at(mut values: Vec<f64>, quantile: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    values.get((last as f64 * quantile).ceil() as usize).copied()
}

/// One contender in a row: its figure, or why there is none.
type Entry = (Role, &'static str, Result<Figure, Turn>);

/// One case, measured.
pub struct Row {
    scenario: &'static str,
    case: Case,
    entries: Vec<Entry>,
}

impl Row {
    /// Puts it together.
    pub fn new(scenario: &'static str, case: &Case, entries: impl Iterator<Item = Entry>) -> Self {
        Self { scenario, case: *case, entries: entries.collect() }
    }

    /// Whether no contender had a wrong result.
    pub fn is_right(&self) -> bool {
        !self.entries.iter().any(|(_, _, figure)| matches!(figure, Err(Turn::Wrong(_))))
    }

    /// Whether the target is met; `None` without one, or without those it speaks of.
    pub fn met(&self) -> Option<bool> {
        let target = self.case.target?;
        if !self.is_right() {
            return None;
        }
        let holds = |found, bound| self.case.unit.holds(found, bound);
        let mut met = true;
        for (name, bound) in target.ratios {
            met &= holds(self.ratio_to(|_, other| other == *name)?, *bound);
        }
        if let Some(bound) = target.best {
            met &= holds(self.ratio_to(|role, _| role == Role::Rival)?, bound);
        }
        if let Some(bound) = target.own {
            met &= holds(self.ours()?.value, bound);
        }
        Some(met)
    }

    fn ours(&self) -> Option<&Figure> {
        self.entries.iter().find(|entry| entry.0 == Role::Ours)?.2.as_ref().ok()
    }

    /// Ours over the best of those chosen.
    fn ratio_to(&self, chosen: impl Fn(Role, &str) -> bool) -> Option<f64> {
        let ratios =
            self.entries.iter().filter(|entry| chosen(entry.0, entry.1)).filter_map(|e| e.2.as_ref().ok()?.ratio);
        let better = |a: f64, b: f64| if self.case.unit.more_is_better() { a.min(b) } else { a.max(b) };
        ratios.reduce(better)
    }

    /// The row for programs.
    pub fn json(&self) -> Value {
        let figure = |figure: Option<&Figure>| figure.map_or(Value::Null, |figure| rounded(figure.value));
        let (mut rivals, mut ratios, mut reasons) = (Map::new(), Map::new(), Map::new());
        for (role, name, result) in &self.entries {
            let found = result.as_ref().ok();
            match role {
                Role::Ours => {}
                Role::Rival | Role::Floor => {
                    if *role == Role::Rival {
                        rivals.insert((*name).to_owned(), figure(found));
                    }
                    let ratio = found.and_then(|figure| figure.ratio);
                    ratios.insert((*name).to_owned(), ratio.map_or(Value::Null, rounded));
                }
            }
            if let Err(Turn::Absent(why) | Turn::Wrong(why)) = result {
                reasons.insert((*name).to_owned(), why.clone().into());
            }
        }
        let floor = self.entries.iter().find(|entry| entry.0 == Role::Floor).and_then(|entry| entry.2.as_ref().ok());
        let ours = self.ours();
        json!({
            "scenario": self.scenario, "case": self.case.name, "unit": self.case.unit.name(),
            "ours": figure(ours), "spread": ours.map(|f| [rounded(f.low), rounded(f.high)]), "floor": figure(floor),
            "rivals": rivals, "ratios": ratios, "target": self.case.target.map(|target| target.text(self.case.unit)),
            "met": self.met(), "right": self.is_right(), "reasons": reasons,
        })
    }

    /// The row for people.
    #[expect(clippy::print_stdout, reason = "the output of a program")]
    pub fn print(&self) {
        let unit = self.case.unit.name();
        let title = format!("{}: {}", self.scenario, self.case.name);
        println!("{title:<44} {:>14} {:>25} {:>12}", unit, "middle half", "ours / this");
        for (role, name, result) in &self.entries {
            let name = if *role == Role::Floor { format!("floor: {name}") } else { (*name).to_owned() };
            match result {
                Ok(figure) => println!(
                    "  {name:<42} {:>14} {:>25} {:>12}",
                    short(figure.value),
                    format!("{}–{}", short(figure.low), short(figure.high)),
                    figure.ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"))
                ),
                Err(Turn::Wrong(how)) => println!("  {name:<42} WRONG: {how}"),
                Err(Turn::Absent(why)) => println!("  {name:<42} – ({why})"),
                Err(Turn::Figures(_)) => {}
            }
        }
        if let Some(target) = self.case.target {
            let met = self.met().map_or("cannot be said", |met| if met { "met" } else { "NOT MET" });
            println!("  target {}: {met}", target.text(self.case.unit));
        }
        println!();
    }
}

/// Four digits are more than the machine can tell apart.
fn rounded(figure: f64) -> Value {
    let digits = 4 - 1 - figure.abs().max(1e-300).log10().floor() as i32;
    let scale = 10f64.powi(digits.clamp(-12, 12));
    ((figure * scale).round() / scale).into()
}

fn short(figure: f64) -> String {
    match figure.abs() {
        x if x >= 1000.0 => format!("{figure:.0}"),
        x if x >= 100.0 => format!("{figure:.1}"),
        x if x >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few() {
        let values = vec![5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 0.99, 1.0].map(|q| at(values.clone(), q).unwrap()),
            [1.0, 2.0, 3.0, 4.0, 5.0, 5.0]
        );
        assert_eq!(at(vec![7.0], 0.99), Some(7.0));
        assert_eq!(at(vec![], 0.5), None);
    }

    #[test]
    fn ratios_are_those_of_rounds_that_both_took_part_in() {
        let ours = [Some(1.0), Some(100.0), Some(3.0)];
        let case = Case::median("c", Unit::Nanoseconds, None);
        let figure = Figure::of(&case, &[Some(2.0), None, Some(2.0)], Some(&ours)).unwrap();
        assert_eq!(figure.ratio, Some(1.5));
        assert_eq!(figure.value, 2.0);
    }

    #[test]
    fn the_best_rival_is_the_one_hardest_to_reach() {
        let case = Case::median("c", Unit::PerSecond, Some(Target::best(0.9)));
        let figure = |value: f64| Ok(Figure { low: value, value, high: value, ratio: Some(8.0 / value) });
        let entries =
            [(Role::Ours, "o", figure(8.0)), (Role::Rival, "a", figure(4.0)), (Role::Rival, "b", figure(10.0))];
        let row = Row::new("s", &case, entries.into_iter());
        assert_eq!(row.met(), Some(false));
    }

    #[test]
    fn figures_are_rounded_to_what_they_are_worth() {
        assert_eq!(rounded(1234.5678), json!(1235.0));
        assert_eq!(rounded(0.123456), json!(0.1235));
    }
}
