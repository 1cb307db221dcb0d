//! Running a body over files and folders, on stable Rust, with nothing but Rust.

use crate::Body;
use crate::watchdog::Watchdog;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the committed inputs of a target lie.
pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// What came of a replay.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Inputs that ran.
    pub inputs: usize,
    /// Those on which the body panicked.
    pub failed: Vec<PathBuf>,
}

/// Runs `body` over every file in `paths`, folders with all that is below them, in the order of their names.
pub fn run(body: Body, paths: &[PathBuf]) -> io::Result<Outcome> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let watchdog = Watchdog::start();
    let mut outcome = Outcome::default();
    for file in files {
        let bytes = fs::read(&file)?;
        watchdog.input(file.display().to_string());
        outcome.inputs += 1;
        if catch_unwind(AssertUnwindSafe(|| body(&bytes))).is_err() {
            outcome.failed.push(file);
        }
    }
    Ok(outcome)
}

/// The replayer: `TARGET [PATH…]`, the committed corpus without a path. Status 1 if an input failed, 2 if none was found.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a program")]
pub fn main(target: &str, body: Body) -> ExitCode {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.push(corpus(target));
    }
    match run(body, &paths) {
        Ok(outcome) if outcome.inputs == 0 => {
            eprintln!("{target}: no inputs in {paths:?}");
            ExitCode::from(2)
        }
        Ok(outcome) => {
            for file in &outcome.failed {
                eprintln!("{target}: {} failed", file.display());
            }
            println!("{target}: {} inputs, {} failed", outcome.inputs, outcome.failed.len());
            ExitCode::from(u8::from(!outcome.failed.is_empty()))
        }
        Err(error) => {
            eprintln!("{target}: {error}; expected files and folders of inputs");
            ExitCode::from(2)
        }
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut below = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    below.sort();
    below.iter().try_for_each(|path| collect(path, files))
}
