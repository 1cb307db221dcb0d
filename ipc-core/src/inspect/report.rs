//! The whole description of a segment, and how it is printed.

use super::directory::ObjectReport;
use super::members::{Member, Presence};
use super::sheet::{Fact, Sheet, Standing};
use std::fmt;

/// What was found in a segment, or in bytes that somebody took for one.
///
/// Printed, it is a page for people: sections, a line per fact, `!` in front of what is worth a look and `x` in front of what no
/// member writes. Everything in it can be reached by programs, too.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was looked at: a name, a path, a descriptor, bytes.
    pub what: String,
    /// The file: size, mode, links. Empty for bytes.
    pub file: Sheet,
    /// Every field of the header.
    pub header: Sheet,
    /// Member rows there are, if the header can be believed that far.
    pub rows: Option<u32>,
    /// Rows that somebody has taken at some time, by their number.
    pub members: Vec<Member>,
    /// The directory: who creates, how much is used, which buckets are damaged.
    pub directory: Sheet,
    /// Objects in the order in which they lie, which is that of their creation.
    pub objects: Vec<ObjectReport>,
}

impl Report {
    /// The object of this name.
    pub fn object(&self, name: &str) -> Option<&ObjectReport> {
        self.objects.iter().find(|object| object.name == name)
    }

    /// Everything that no member writes: where it is, and what.
    pub fn damages(&self) -> impl Iterator<Item = (String, &Fact)> {
        self.facts().filter(|(_, fact)| fact.standing == Standing::Damage)
    }

    /// Whether nothing is damaged. Dead owners, marks and waits are no damage: they are what this library repairs.
    pub fn is_sound(&self) -> bool {
        self.damages().next().is_none()
    }

    fn facts(&self) -> impl Iterator<Item = (String, &Fact)> {
        let fixed = [("file", &self.file), ("header", &self.header), ("directory", &self.directory)];
        let fixed =
            fixed.into_iter().flat_map(|(name, sheet)| sheet.facts().iter().map(move |fact| (name.to_owned(), fact)));
        let members = self.members.iter().flat_map(|member| {
            member.sheet.facts().iter().map(move |fact| (format!("member row {}", member.row), fact))
        });
        let objects = self.objects.iter().flat_map(|object| {
            object.sheet.facts().iter().map(move |fact| (format!("object at {:#x}", object.offset), fact))
        });
        fixed.chain(members).chain(objects)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (title, sheet) in [("file", &self.file), ("header", &self.header)] {
            section(f, title, sheet)?;
        }
        self.write_members(f)?;
        section(f, "directory", &self.directory)?;
        self.write_objects(f)?;
        let damages = self.damages().count();
        match damages {
            0 => writeln!(f, "\nnothing is damaged"),
            _ => {
                writeln!(f, "\ndamaged, {damages} in all:")?;
                self.damages()
                    .take(MOST_TOLD)
                    .try_for_each(|(place, Fact { label, text, .. })| writeln!(f, "x {place}: {label}: {text}"))
            }
        }
    }
}

/// Damages that are listed once more at the end.
const MOST_TOLD: usize = 20;

fn section(f: &mut fmt::Formatter<'_>, title: &str, sheet: &Sheet) -> fmt::Result {
    if sheet.facts().is_empty() { Ok(()) } else { write!(f, "\n{title}\n{}", Indented(sheet)) }
}

impl Report {
    fn write_members(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rows) = self.rows else { return Ok(()) };
        let present = self.members.iter().filter(|member| member.presence.may_act()).count();
        writeln!(f, "\nmembers: {present} of {rows} rows")?;
        let process = |member: &Member| format!("{} ({})", member.pid, member.name);
        let width = self.members.iter().map(|member| process(member).chars().count()).max().unwrap_or(0);
        let digits = self.members.iter().map(|member| member.row.to_string().len()).max().unwrap_or(0);
        for member in &self.members {
            let standing = match member.presence {
                Presence::Dead | Presence::Stopped => Standing::Notice,
                _ => Standing::Plain,
            };
            let Member { row, generation, presence, .. } = member;
            let process = process(member);
            writeln!(
                f,
                "  {}row {row:digits$}  generation {generation:<5}  {process:width$}  {presence}",
                standing.mark()
            )?;
            write!(f, "{}", Indented(&member.sheet))?;
        }
        Ok(())
    }

    fn write_objects(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.objects.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nobjects: {}", self.objects.len())?;
        for object in &self.objects {
            let ObjectReport { offset, name, kind, schema, count, stage, body_at, body_bytes, .. } = object;
            let name = if name.is_empty() { "unnamed".to_owned() } else { format!("`{name}`") };
            let schema = if schema.is_empty() { String::new() } else { format!(" of {}", shortened(schema)) };
            writeln!(f, "  {offset:#08x}  {name}: {kind}{schema}, {stage}")?;
            writeln!(f, "            count {count}, body of {body_bytes} bytes at {body_at:#x}")?;
            for line in object.sheet.to_string().lines() {
                writeln!(f, "          {line}")?;
            }
        }
        Ok(())
    }
}

/// A schema can have thousands of bytes; programs get all of them.
fn shortened(schema: &str) -> String {
    const MOST: usize = 60;
    if schema.chars().count() <= MOST {
        return schema.to_owned();
    }
    schema.chars().take(MOST).chain(['…']).collect()
}

struct Indented<'a>(&'a Sheet);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string().lines().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
