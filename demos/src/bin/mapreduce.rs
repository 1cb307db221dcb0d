//! Counts words with several processes, any of which may be killed at any time.
//!
//! ```text
//! cargo run --release -p demos --bin mapreduce -- .
//! cargo run --release -p demos --bin mapreduce -- . --kill-worker     # the same counts
//! ```
//!
//! How it works is told in `demos/src/mapreduce/mod.rs`.

use std::error::Error;
use std::fmt::{Display, Formatter};
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Instant;

use clap::Parser;
use demos::mapreduce::{Event, Input, Options, count};
use demos::walk::{Walk, walk};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Counts words with several processes.
///
/// A word is what white space separates, in lower case. Files that are not UTF-8 are read all the same.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Files, and folders with all that is below them, except hidden entries, caches and links. Without any: four sentences.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How many processes count; as many as there are processors, at most 16, unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=128))]
    workers: Option<u32>,
    /// How many words to show.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
    /// Kill a process (SIGKILL) that has taken a part of the text and not yet published its counts. The result is the same.
    #[arg(long)]
    kill_worker: bool,
}

const SENTENCES: &[&str] = &[
    "Python is an interpreted high-level programming language",
    "Python is created by Guido van Rossum",
    "Python is widely used in data science",
    "Python supports multiple programming paradigms",
];

/// The result; with `--json`, as it is.
#[derive(Serialize)]
struct Summary {
    words: u64,
    distinct: u64,
    files: usize,
    bytes: u64,
    workers: u32,
    killed: u32,
    lossy_files: usize,
    unreadable: usize,
    seconds: f64,
    top: Vec<(String, u64)>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mapreduce: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let started = Instant::now();
    let processors = available_parallelism().map_or(1, |n| n.get().min(16) as u32);
    let options = Options { workers: arguments.workers.unwrap_or(processors), kill_worker: arguments.kill_worker };

    let Walk { files, unreadable } = walk(&arguments.paths);
    let input = if arguments.paths.is_empty() { Input::Texts(SENTENCES) } else { Input::Files(&files) };
    let bar = progress_bar(files.iter().map(|file| file.len).sum());
    let mut outcome = count(input, options, |event| match event {
        Event::Counted(bytes) => bar.set_position(bytes),
        Event::Died { name, pid, how, ranges } => bar.suspend(|| {
            eprintln!("mapreduce: {name} (pid {pid}): {how}; ranges given out again: {ranges}");
        }),
        _ => {}
    })?;
    bar.finish_and_clear();

    for error in &unreadable {
        eprintln!("mapreduce: {error}");
    }
    for (path, reason) in &outcome.unreadable {
        eprintln!("mapreduce: {}: {reason}", path.display());
    }
    let summary = Summary {
        words: outcome.words,
        distinct: outcome.totals.distinct(),
        files: files.len() - outcome.unreadable.len(),
        bytes: outcome.bytes,
        workers: options.workers,
        killed: outcome.killed,
        lossy_files: outcome.lossy.len(),
        unreadable: unreadable.len() + outcome.unreadable.len(),
        seconds: started.elapsed().as_secs_f64(),
        top: outcome.totals.top(arguments.top),
    };
    let text = if arguments.json { serde_json::to_string(&summary)? + "\n" } else { summary.to_string() };
    match stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {} // a reader such as `head` may have seen enough
    }
    Ok(if summary.unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(bytes: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for (word, count) in &self.top {
            // A word may hold anything but white space: nothing in it shall command the terminal.
            let word: String = word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            writeln!(f, "{count:>12}  {word}")?;
        }
        let Summary { words, distinct, files, bytes, workers, killed, lossy_files, seconds, .. } = self;
        write!(f, "{words} words, {distinct} distinct, in {files} files of {bytes} bytes")?;
        if *lossy_files > 0 {
            write!(f, " ({lossy_files} of them not UTF-8)")?;
        }
        writeln!(f, ", counted by {workers} processes ({killed} killed) in {seconds:.3} s")
    }
}
