//! A generous hang watchdog: the only upper bound on time that a test may have.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Aborts the process if it is not dropped in time.
#[derive(Debug)]
#[must_use = "it watches until it is dropped"]
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// A minute, which is a hundred times what any single test takes.
    pub fn start(test: &'static str) -> Self {
        Self::with_bound(test, Duration::from_secs(60))
    }

    /// With another bound.
    pub fn with_bound(test: &'static str, bound: Duration) -> Self {
        let (alive, ended) = channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(bound) == Err(RecvTimeoutError::Timeout) {
                bark(test, bound);
            }
        });
        Self { _alive: alive }
    }
}

/// A hung thread cannot be unwound: the process ends, and the last line says which test it was.
#[allow(clippy::print_stderr)]
fn bark(test: &str, bound: Duration) -> ! {
    eprintln!("{test} hangs: it did not end within {bound:?}");
    std::process::abort()
}
