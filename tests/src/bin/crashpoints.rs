//! Kills every registered operation after every instruction and prints what survivors found.
//!
//! ```text
//! cargo run --release -p ipc-tests --bin crashpoints -- [--op PATTERN] [--alone] [--after] [--peer] [--controls] [--quick] [--json]
//! ```
//!
//! Exit status: 0 all is well; 1 a promise was broken, or a negative control was not found; 2 usage; 3 it could not be tried
//! (ptrace refused): never a silent skip.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use ipc_tests::operations;
use ipc_tests::registry::{Effort, Entry, Mode, Registry, Subject};
use ipc_tests::step::{Fault, Report};
use ipc_tests::workers::on_all_processors;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

/// Kill every operation after every instruction; a survivor judges what is left.
#[derive(Parser)]
struct Arguments {
    /// Only operations whose object, function or case contains this.
    #[arg(long, value_name = "PATTERN", default_value = "")]
    op: String,
    /// Each operation by itself. Without any of these four: all of them.
    #[arg(long)]
    alone: bool,
    /// Each after every operation on the same handle.
    #[arg(long)]
    after: bool,
    /// Each while a live peer is paused at each step of its own operation.
    #[arg(long)]
    peer: bool,
    /// Objects that are broken on purpose, in which the fault must be found.
    #[arg(long)]
    controls: bool,
    /// Kill long operations at every change that survivors can see, not at every instruction.
    #[arg(long)]
    quick: bool,
    /// Print rows as JSON objects; the last line is the summary.
    #[arg(long)]
    json: bool,
    /// Print what happened at which instructions.
    #[arg(long, short)]
    verbose: bool,
    /// Only list the operations.
    #[arg(long)]
    list: bool,
    /// How long a survivor may take before it is late, in milliseconds; a late one hangs after 20 s more.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    bound: u64,
}

/// What is asked of one operation: a row of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Alone,
    After,
    Peer,
    Control,
}

impl Part {
    const ALL: [Self; 4] = [Self::Alone, Self::After, Self::Peer, Self::Control];

    fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::After => "after",
            Self::Peer => "peer",
            Self::Control => "control",
        }
    }
}

impl Arguments {
    fn effort(&self) -> Effort {
        Effort { bound: Duration::from_millis(self.bound), quick: self.quick }
    }

    fn wants(&self, part: Part) -> bool {
        let any = self.alone || self.after || self.peer || self.controls;
        !any || match part {
            Part::Alone => self.alone,
            Part::After => self.after,
            Part::Peer => self.peer,
            Part::Control => self.controls,
        }
    }
}

/// One row to be made.
struct Row<'a> {
    subject: &'a dyn Subject,
    operation: usize,
    entry: Entry,
    part: Part,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let registry = operations::all();
    let rows = rows(&registry, &arguments);
    if rows.is_empty() {
        eprintln!("no operation matches `{}`; try --list", arguments.op);
        return ExitCode::from(2);
    }
    if arguments.list {
        rows.iter()
            .for_each(|row| println!("{:<18} {:<40} {}", row.subject.name(), title(&row.entry), row.part.name()));
        return ExitCode::SUCCESS;
    }
    match run(&rows, &arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("crashpoints: {error}");
            ExitCode::from(3)
        }
    }
}

fn rows<'a>(registry: &'a Registry, arguments: &Arguments) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for subject in registry.subjects() {
        for (operation, entry) in subject.entries().into_iter().enumerate() {
            let text = format!("{} {}", subject.name(), title(&entry));
            for part in Part::ALL {
                let fits = match part {
                    Part::Alone => entry.control.is_none(),
                    Part::After => entry.is_combined(),
                    Part::Peer => entry.is_combined() && subject.has_memory(),
                    Part::Control => entry.control.is_some(),
                };
                if fits && arguments.wants(part) && text.contains(&arguments.op) {
                    rows.push(Row { subject, operation, entry: entry.clone(), part });
                }
            }
        }
    }
    rows
}

fn title(entry: &Entry) -> String {
    match entry.case {
        "" => entry.function.to_string(),
        case => format!("{} ({case})", entry.function),
    }
}

/// Makes and prints all rows; how many points, or controls, were bad.
fn run(rows: &[Row<'_>], arguments: &Arguments) -> Result<usize, String> {
    let progress = progress(rows.len() as u64);
    let (mut points, mut bad) = (0, 0);
    let mut functions = BTreeSet::new();
    if !arguments.json {
        println!(
            "{:<18} {:<40} {:<8} {:>6} {:>8} {:>5} {:>5} {:>5} {:>5} {:>8}",
            "object", "operation", "mode", "instr.", "points", "hangs", "torn", "bad", "late", "seconds"
        );
    }
    let mut refused = None;
    let work = |n: usize| sweep(&rows[n], arguments.effort());
    let worked = on_all_processors(rows.len(), work, |n, result: Result<Report, String>| {
        let row = &rows[n];
        progress.set_message(format!("{} {}", title(&row.entry), row.part.name()));
        progress.inc(1);
        let report = match result {
            Ok(report) => report,
            Err(error) => {
                refused.get_or_insert(format!(
                    "{} {} {}: {error}",
                    row.subject.name(),
                    title(&row.entry),
                    row.part.name()
                ));
                return;
            }
        };
        let found = row.entry.control.is_some_and(|fault| report.count(fault) > 0);
        let row_bad = if row.part == Part::Control { usize::from(!found) } else { report.bad() };
        progress.suspend(|| print_row(row, &report, row_bad, arguments));
        if row.part != Part::Control {
            functions.insert(row.entry.function.clone());
            points += report.points;
        }
        bad += row_bad;
    });
    progress.finish_and_clear();
    println!("{}", serde_json::json!({"operations": functions.len(), "points": points, "bad": bad}));
    worked.map_err(|error| error.to_string())?;
    refused.map_or(Ok(bad), Err)
}

/// Hidden unless standard error is a terminal.
fn progress(rows: u64) -> ProgressBar {
    let bar = ProgressBar::new(rows);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Runs one row: one sweep, or one for each partner.
fn sweep(row: &Row<'_>, effort: Effort) -> Result<Report, String> {
    let entries = row.subject.entries();
    let partners = (0..entries.len()).filter(|&other| entries[other].is_combined());
    let modes: Vec<Mode> = match row.part {
        Part::Alone | Part::Control => vec![Mode::Alone],
        Part::After => partners.map(Mode::After).collect(),
        Part::Peer => partners.map(Mode::Beside).collect(),
    };
    let mut total = Report::default();
    for mode in modes {
        let bound = if row.part == Part::Control { Duration::from_millis(200) } else { effort.bound };
        let partner = match mode {
            Mode::Alone => String::new(),
            Mode::After(other) => format!(" (after {})", entries[other].function),
            Mode::Beside(other) => format!(" (beside {})", entries[other].function),
        };
        let report = row.subject.sweep(row.operation, mode, Effort { bound, ..effort });
        let mut report = report.map_err(|error| format!("{error}{partner}"))?;
        for (_, violation) in &mut report.violations {
            violation.detail.push_str(&partner);
        }
        total.merge(report);
    }
    Ok(total)
}

fn print_row(row: &Row<'_>, report: &Report, bad: usize, arguments: &Arguments) {
    if arguments.json {
        println!("{}", json(row, report, bad));
        return;
    }
    let seconds = report.elapsed.as_secs_f64();
    println!(
        "{:<18} {:<40} {:<8} {:>6} {:>8} {:>5} {:>5} {:>5} {:>5} {:>8.2}",
        row.subject.name(),
        title(&row.entry),
        row.part.name(),
        report.instructions,
        report.points,
        report.hangs(),
        report.torn(),
        bad,
        report.late,
        seconds
    );
    if let Some(fault) = row.entry.control {
        let verb = if bad == 0 { "found" } else { "NOT FOUND" };
        println!("    {fault}: {verb}");
    }
    if arguments.verbose {
        for (outcome, tally) in &report.outcomes {
            println!("    {outcome}: {} points, instructions {} to {}", tally.count, tally.first, tally.last);
        }
        if report.diverged > 0 {
            println!("    {} points reached by single steps, off the recorded path", report.diverged);
        }
    }
    let shown = if arguments.verbose { usize::MAX } else { 5 };
    for (step, violation) in report.violations.iter().filter(|_| row.part != Part::Control).take(shown) {
        println!("    after instruction {step}: {violation}");
    }
}

fn json(row: &Row<'_>, report: &Report, bad: usize) -> serde_json::Value {
    let faults: serde_json::Map<_, _> =
        Fault::ALL.into_iter().map(|fault| (fault.to_string(), report.count(fault).into())).collect();
    let outcomes: Vec<_> = report
        .outcomes
        .iter()
        .map(|(outcome, t)| serde_json::json!({"outcome": outcome.to_string(), "points": t.count, "first": t.first, "last": t.last}))
        .collect();
    serde_json::json!({
        "object": row.subject.name(), "operation": row.entry.function, "case": row.entry.case, "mode": row.part.name(),
        "instructions": report.instructions, "points": report.points, "bad": bad, "faults": faults,
        "diverged": report.diverged, "late": report.late, "seconds": report.elapsed.as_secs_f64(), "outcomes": outcomes,
        "violations": report.violations.iter().map(|(step, v)| format!("{step}: {v}")).collect::<Vec<_>>(),
    })
}
