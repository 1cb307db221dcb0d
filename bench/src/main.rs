//! Our types beside their rivals and their floors, in one run.
//!
//! ```text
//! cargo run --release -p bench -- run [SCENARIO…] [--quick]
//! ```
//!
//! Absolute times say little on a shared machine; ratios to what ran in the same round say more. Contenders take turns, round
//! by round; every run checks its own result.

mod pthread;
mod rounds;
mod uncontended;

use clap::{Parser, Subcommand, ValueEnum};
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
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// One thread, nobody else: what an operation costs by itself.
    Uncontended,
}

fn main() -> ExitCode {
    let Command::Run { scenarios, quick } = Arguments::parse().command;
    let plan = if quick { rounds::QUICK } else { rounds::FULL };
    let chosen = |scenario| scenarios.is_empty() || scenarios.contains(&scenario);
    let mut right = true;
    if chosen(Scenario::Uncontended) {
        right &= uncontended::run(&plan);
    }
    ExitCode::from(u8::from(!right))
}
