//! Where a thread can be stopped for ever, in models and tests. Nothing at all in a real build.
//!
//! Each call of [`step`] is a place between two accesses to shared memory. A test names the n-th that a thread comes by:
//! there the thread unwinds, as if killed, and leaves the ring as it is.

/// A place where a test may let its thread die.
#[cfg(not(any(test, ipc_loom)))]
#[inline(always)]
pub(super) fn step() {}

#[cfg(any(test, ipc_loom))]
pub use on::dying_at;
#[cfg(any(test, ipc_loom))]
pub(super) use on::step;

#[cfg(any(test, ipc_loom))]
mod on {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    #[cfg(ipc_loom)]
    loom::thread_local! {
        static LEFT: Cell<u32> = Cell::new(0);
    }
    #[cfg(not(ipc_loom))]
    std::thread_local! {
        static LEFT: Cell<u32> = const { Cell::new(0) };
    }

    /// What unwinds a thread that died on purpose.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Died;

    /// Runs `f`, letting it die at the `n`-th step it comes by, from 1; 0 lets it live.
    pub fn dying_at<R>(n: u32, f: impl FnOnce() -> R) -> Result<R, Died> {
        LEFT.with(|left| left.set(n));
        let result = catch_unwind(AssertUnwindSafe(f));
        LEFT.with(|left| left.set(0));
        match result {
            Ok(result) => Ok(result),
            Err(payload) if payload.is::<Died>() => Err(Died),
            Err(payload) => resume_unwind(payload),
        }
    }

    pub(crate) fn step() {
        let dies = LEFT.with(|left| {
            let now = left.get();
            left.set(now.saturating_sub(1));
            now == 1
        });
        if dies {
            // Not `panic!`: no hook, no message.
            resume_unwind(Box::new(Died));
        }
    }
}
