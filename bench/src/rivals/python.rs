//! CPython's `multiprocessing`, where there is a `python3`: a script of its own that prints one figure.

use std::process::{Command, Stdio};

const SCRIPT: &str = include_str!("multiprocessing.py");

/// Runs one measurement of the script, such as `lock`, with its argument; the figure, or why there is none.
pub fn measure(what: &str, argument: u64) -> Result<f64, String> {
    let output = Command::new("python3")
        .args(["-I", "-c", SCRIPT, what, &argument.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("python3 does not start: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("python3: {}", complaint.lines().last().unwrap_or("failed in silence")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("python3 printed {text:?} instead of a figure"))
}
