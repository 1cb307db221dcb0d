//! Spinning before sleeping: short, and not at all on one processor.

use crate::shim;

/// Bounds the spinning of one wait: about 2–3 µs of pauses, then a few yields, then never again.
///
/// On a machine with one processor it does not spin at all: whoever is waited for cannot run meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    rounds: u32,
}

const PAUSES: u32 = 40;
const YIELDS: u32 = 8;

impl Backoff {
    /// A fresh allowance.
    pub fn new() -> Self {
        Self { rounds: if one_processor() { PAUSES + YIELDS } else { 0 } }
    }

    /// Spends one round; false once the allowance is used up and the caller should sleep.
    pub fn spin(&mut self) -> bool {
        if self.rounds >= PAUSES + YIELDS {
            return false;
        }
        if self.rounds < PAUSES {
            shim::spin_hint()
        } else {
            shim::yield_now()
        }
        self.rounds += 1;
        true
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

/// Asked once per process: affinity rarely changes, and a wrong guess costs only speed.
///
/// No `OnceLock`: a child forked while another thread was inside would wait for it for ever. Two threads that ask at once
/// store the same answer.
#[cfg(not(ipc_loom))]
fn one_processor() -> bool {
    use std::sync::atomic::{AtomicU8, Ordering};
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 2;
    match ANSWER.load(Ordering::Relaxed) {
        UNKNOWN => {
            let one = std::thread::available_parallelism().is_ok_and(|n| n.get() == 1);
            ANSWER.store(one.into(), Ordering::Relaxed);
            one
        }
        answer => answer == 1,
    }
}

/// The model checker explores every schedule anyway.
#[cfg(ipc_loom)]
fn one_processor() -> bool {
    true
}
