//! What a sweep found: outcomes of points, violations, counts.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a check found where all was well: a short text that says which way it was well ("not yet", "delivered", …).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Outcome(Cow<'static, str>);

impl<T: Into<Cow<'static, str>>> From<T> for Outcome {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds of broken promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// Somebody did not return within the bound.
    Hang,
    /// Data is neither the old nor the new, or an invariant between words does not hold.
    Torn,
    /// Something promised is not there.
    Lost,
    /// Something is there twice.
    Duplicated,
    /// Something that the dead held did not come back.
    Leaked,
    /// Data may be half-changed, and nobody was told.
    Unsignalled,
    /// The process crashed, panicked or was refused what it must get.
    Broken,
}

impl Fault {
    /// All of them, in the order of the report.
    pub const ALL: [Fault; 7] =
        [Self::Hang, Self::Torn, Self::Lost, Self::Duplicated, Self::Leaked, Self::Unsignalled, Self::Broken];

    /// Its place in [`ALL`](Self::ALL).
    pub(super) fn index(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hang => "hang",
            Self::Torn => "torn",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Leaked => "leaked",
            Self::Unsignalled => "unsignalled",
            Self::Broken => "broken",
        })
    }
}

/// A promise that did not hold at one point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which kind of promise.
    pub fault: Fault,
    /// What was seen, for people.
    pub detail: String,
}

/// What a check says about one point.
pub type Finding = Result<Outcome, Violation>;

macro_rules! shorthands {
    ($($name:ident: $fault:ident),*) => {$(
        #[doc = concat!("A [`Fault::", stringify!($fault), "`].")]
        pub fn $name(detail: impl Into<String>) -> Self {
            Self { fault: Fault::$fault, detail: detail.into() }
        }
    )*};
}

impl Violation {
    shorthands!(hang: Hang, torn: Torn, lost: Lost, duplicated: Duplicated, leaked: Leaked, unsignalled: Unsignalled, broken: Broken);
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.detail)
    }
}

/// The points that had one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: usize,
    /// The first of them: instructions that the victim had executed.
    pub first: usize,
    /// The last of them.
    pub last: usize,
}

/// The result of a sweep.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Instructions of the operation, from the mark in front of it to the mark behind; of a merged report, the most.
    pub instructions: usize,
    /// Kills tried and judged.
    pub points: usize,
    /// Points with each outcome that is well.
    pub outcomes: BTreeMap<Outcome, Tally>,
    /// Every violation, with the instructions that the victim had executed.
    pub violations: Vec<(usize, Violation)>,
    /// Points at which the operation took another path than in the recorded run; they were reached by single steps.
    pub diverged: usize,
    /// Points whose survivor came back, but not within the bound: the machine was busy, or something is slow.
    pub late: usize,
    /// How long the sweep took.
    pub elapsed: Duration,
}

impl Report {
    /// Enters one point.
    pub(super) fn add(&mut self, step: usize, finding: Finding) {
        self.points += 1;
        match finding {
            Ok(outcome) => self.tally(outcome, Tally { count: 1, first: step, last: step }),
            Err(violation) => self.violations.push((step, violation)),
        }
    }

    fn tally(&mut self, outcome: Outcome, more: Tally) {
        let entry = self.outcomes.entry(outcome).or_insert(Tally { count: 0, ..more });
        entry.count += more.count;
        entry.first = entry.first.min(more.first);
        entry.last = entry.last.max(more.last);
    }

    /// Adds another sweep of the same operation.
    pub fn merge(&mut self, other: Report) {
        self.instructions = self.instructions.max(other.instructions);
        self.points += other.points;
        for (outcome, tally) in other.outcomes {
            self.tally(outcome, tally);
        }
        self.violations.extend(other.violations);
        self.diverged += other.diverged;
        self.late += other.late;
        self.elapsed += other.elapsed;
    }

    /// How many points broke a promise.
    pub fn bad(&self) -> usize {
        self.violations.len()
    }

    /// How many broke this one.
    pub fn count(&self, fault: Fault) -> usize {
        self.violations.iter().filter(|(_, violation)| violation.fault == fault).count()
    }

    /// Points after which somebody did not return.
    pub fn hangs(&self) -> usize {
        self.count(Fault::Hang)
    }

    /// Points that left torn data.
    pub fn torn(&self) -> usize {
        self.count(Fault::Torn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_numbered_as_listed() {
        for (n, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(fault.index()), n);
        }
    }

    #[test]
    fn merging_adds_counts_and_widens_ranges() {
        let mut one = Report { instructions: 5, ..Report::default() };
        one.add(3, Ok("old".into()));
        one.add(4, Err(Violation::torn("half")));
        let mut other = Report { instructions: 9, ..Report::default() };
        other.add(1, Ok("old".into()));
        other.add(7, Ok("new".into()));
        one.merge(other);
        assert_eq!((one.instructions, one.points, one.bad(), one.torn(), one.hangs()), (9, 4, 1, 1, 0));
        assert_eq!(one.outcomes[&"old".into()], Tally { count: 2, first: 1, last: 3 });
        assert_eq!(one.outcomes[&"new".into()], Tally { count: 1, first: 7, last: 7 });
    }
}
