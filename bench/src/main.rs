//! Our types beside their rivals and their floors, in one run.
//!
//! ```text
//! cargo run --release -p bench -- run [SCENARIO…] [--quick] [--json FILE]
//! ```
//!
//! Absolute times say little on a shared machine; ratios to what ran in the same round say more. Contenders take turns, round
//! by round; every run checks its own result, and a wrong one ends with status 1. Targets are printed, met or not: a missed
//! one is no failure of the run.
//!
//! | module | what |
//! |---|---|
//! | `scenarios` | one file for each name of the table of scenarios; how to add a row |
//! | `rivals`, `ours` | who is compared, behind the same verbs |
//! | `rounds` | contenders take turns |
//! | `peers`, `shared` | real processes and the memory they share |
//! | `report` | figures, ratios, targets; the table and the JSON lines |
//!
//! What was tried and dropped is in `NOTES.md`.

mod ours;
mod peers;
mod plan;
mod report;
mod rivals;
mod rounds;
mod scenarios;
mod shared;

use clap::{Parser, Subcommand, ValueEnum};
use report::Row;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Our types, their rivals and the floors, side by side")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures scenarios; all of them without a name.
    Run {
        /// What to measure.
        scenarios: Vec<Scenario>,
        /// A few short rounds: shows that everything runs and is right, not how fast it is.
        #[arg(long)]
        quick: bool,
        /// Also writes the rows to this file, one JSON object per line.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// One thread, nobody else: what an operation costs by itself.
    Uncontended,
    /// Two and eight processes that want one lock.
    Contended,
    /// Seven readers and one writer.
    ReadersWriters,
    /// Two processes that wake each other.
    Wake,
    /// A holder is killed; the next one goes on.
    CrashRecovery,
}

impl Scenario {
    fn run(self, plan: &plan::Plan) -> io::Result<Vec<Row>> {
        match self {
            Self::Uncontended => scenarios::uncontended::run(plan),
            Self::Contended => scenarios::contended::run(plan),
            Self::ReadersWriters => scenarios::readers_writers::run(plan),
            Self::Wake => scenarios::wake::run(plan),
            Self::CrashRecovery => scenarios::crash_recovery::run(plan),
        }
    }
}

fn main() -> ExitCode {
    let Command::Run { scenarios, quick, json } = Arguments::parse().command;
    let plan = if quick { plan::QUICK } else { plan::FULL };
    match run(&scenarios, &plan, json) {
        Ok(right) => ExitCode::from(u8::from(!right)),
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures and prints; whether every result was right.
fn run(chosen: &[Scenario], plan: &plan::Plan, json: Option<PathBuf>) -> io::Result<bool> {
    let mut file = json.map(File::create).transpose()?;
    let mut right = true;
    for scenario in Scenario::value_variants() {
        if !chosen.is_empty() && !chosen.contains(scenario) {
            continue;
        }
        for row in scenario.run(plan)? {
            row.print();
            right &= row.is_right();
            if let Some(file) = &mut file {
                writeln!(file, "{}", row.json())?;
            }
        }
    }
    Ok(right)
}
