//! What was found out about one thing: labelled texts, each plain, worth a look, or damaged.

use std::fmt::{self, Display};

/// What to think of a [`Fact`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As it should be.
    Plain,
    /// Something that a member may leave behind: a dead owner, an inconsistent mark, a long wait.
    Notice,
    /// What no member writes.
    Damage,
}

/// One thing that was found out.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about, in a word or two.
    pub label: &'static str,
    /// What was found.
    pub text: String,
    /// What to think of it.
    pub standing: Standing,
}

/// Facts, in the order in which they are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    facts: Vec<Fact>,
}

impl Sheet {
    /// As it should be.
    pub fn fact(&mut self, label: &'static str, text: impl Display) {
        self.push(label, text, Standing::Plain);
    }

    /// Worth a look.
    pub fn notice(&mut self, label: &'static str, text: impl Display) {
        self.push(label, text, Standing::Notice);
    }

    /// What no member writes.
    pub fn damage(&mut self, label: &'static str, text: impl Display) {
        self.push(label, text, Standing::Damage);
    }

    /// With a standing found out elsewhere.
    pub fn push(&mut self, label: &'static str, text: impl Display, standing: Standing) {
        self.facts.push(Fact { label, text: text.to_string(), standing });
    }

    /// All of them.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The text of the first fact with this label.
    pub fn get(&self, label: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.label == label).map(|fact| fact.text.as_str())
    }

    /// What is damaged.
    pub fn damages(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(|fact| fact.standing == Standing::Damage)
    }

    /// Whatever was found in bytes that changed while they were read may be two halves of different moments.
    pub(super) fn doubt(&mut self) {
        for fact in &mut self.facts {
            fact.standing = fact.standing.min(Standing::Notice);
        }
    }
}

impl Standing {
    /// Two characters in front of a line.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Plain => "  ",
            Self::Notice => "! ",
            Self::Damage => "x ",
        }
    }
}

/// A line each, labels padded.
impl Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.facts.iter().map(|fact| fact.label.len()).max().unwrap_or(0);
        for Fact { label, text, standing } in &self.facts {
            writeln!(f, "{}{label:width$}  {text}", standing.mark())?;
        }
        Ok(())
    }
}
