//! Several processes count up one number in shared memory: none of their steps is lost.
//!
//! ```text
//! cargo run --release -p demos --bin counter -- --processes 5 --increments 10000
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ipc_core::{Segment, Value};
use ipc_process::Process;
use serde_json::json;

/// Several processes count up one number in shared memory.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many processes count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    processes: u32,
    /// How many times each adds one.
    #[arg(long, default_value_t = 10_000)]
    increments: u32,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What each process does. One that is killed here does not stop the others.
fn count(counter: Value<u64>, increments: u32) {
    for _ in 0..increments {
        counter.update(|n| *n += 1).expect("counter");
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Arguments { processes, increments, json } = Arguments::parse();
    let started = Instant::now();

    // `Value::new(0)` has room for 64 processes; this has it for all.
    let segment = Segment::options().members(processes + 1).anonymous(4096)?;
    let counter = Value::new_in(&segment, 0)?;
    let spawn = |_| Process::options().daemon(true).spawn(count, (counter.clone(), increments));
    let children = (0..processes).map(spawn).collect::<Result<Vec<_>, _>>()?;
    for child in children {
        child.join()?;
    }

    let value = counter.get()?;
    let seconds = started.elapsed().as_secs_f64();
    if json {
        println!("{}", json!({"processes": processes, "increments": increments, "value": value, "seconds": seconds}));
    } else {
        println!("{processes} processes added one {increments} times each, in {seconds:.3} s");
        println!("Final counter value: {value}");
    }
    let expected = u64::from(processes) * u64::from(increments);
    if value != expected {
        eprintln!("counter: the value should be {expected}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
