//! A generous limit for one input: whoever exceeds it hangs, and no hang is waited for.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Far beyond what the slowest input takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Ends the process when the input under way takes longer than [`LIMIT`].
#[derive(Debug)]
pub struct Watchdog {
    inputs: Option<Sender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts watching.
    pub fn start() -> Self {
        let (inputs, seen) = mpsc::channel::<String>();
        let watch = move || {
            let mut input = "start".to_owned();
            loop {
                match seen.recv_timeout(LIMIT) {
                    Ok(next) => input = next,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => hangs(&input),
                }
            }
        };
        Self { inputs: Some(inputs), thread: Some(thread::spawn(watch)) }
    }

    /// The clock starts anew for this input.
    pub fn input(&self, name: impl Into<String>) {
        if let Some(inputs) = &self.inputs {
            // The receiver ends only when this sender does, or with the process.
            let _ = inputs.send(name.into());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.inputs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a program, not of a library")]
fn hangs(input: &str) -> ! {
    eprintln!("{input}: hangs, no end after {} s", LIMIT.as_secs());
    std::process::abort()
}
