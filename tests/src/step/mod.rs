//! Kill a process after every single instruction of an operation, and let a survivor judge what is left.
//!
//! A crash-safe operation must be safe to die in *anywhere*. That is a finite claim: an operation of a few hundred instructions
//! has a few hundred places to die, so all of them can be tried. [`kill_everywhere`] does that with real processes, real
//! shared memory and a real SIGKILL:
//!
//! ```standalone_crate
//! use ipc_tests::page::Page;
//! use ipc_tests::step::{Violation, kill_everywhere};
//! use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
//!
//! // Money moves between two accounts. Whoever dies between the two stores makes some of it vanish.
//! let report = kill_everywhere(
//!     || Page::new([AtomicU64::new(10), AtomicU64::new(0)]),
//!     |accounts| {
//!         accounts[0].fetch_sub(3, SeqCst);
//!         accounts[1].fetch_add(3, SeqCst);
//!     },
//!     |accounts| match accounts[0].load(SeqCst) + accounts[1].load(SeqCst) {
//!         10 => Ok("whole".into()),
//!         sum => Err(Violation::torn(format!("the accounts hold {sum}"))),
//!     },
//! )?;
//! assert!(report.torn() > 0);
//! # Ok::<(), ipc_tests::step::StepError>(())
//! ```
//!
//! # How a point is made
//!
//! For k = 0, 1, 2, … to the end of the operation:
//!
//! 1. `setup` makes a fresh context, which holds the shared memory.
//! 2. The *victim* is forked. It asks to be traced, runs up to the mark in front of the operation, and stops.
//! 3. The tracer takes it k instructions further: by single steps, or quicker by a breakpoint at a place that the trace of a
//!    first run knows.
//! 4. SIGKILL, and the victim is reaped. It ran no destructor, no handler, no unlock.
//! 5. A *survivor* is forked, which runs `check` with a time bound: what the check finds, that it panics, crashes or does not
//!    return, is the outcome of the point.
//!
//! Everything happens on one processor, so that handing over between tracer and child is a context switch and no more.
//!
//! | file     | what                                                                    |
//! |----------|-------------------------------------------------------------------------|
//! | sweep    | the loops over points; a live peer paused at each of its own steps      |
//! | victim   | a traced child: step it, freeze it, let it go on, kill it               |
//! | survivor | a child that judges with a time bound                                   |
//! | route    | the recorded trace, and the cheapest way to its k-th place (pure)       |
//! | shared   | whether the next instruction touches what other processes see           |
//! | report   | outcomes, violations and their counts                                   |
//! | arch     | what differs between x86_64 and aarch64                                 |
//! | clock    | the alarm that ends a wait, and the processor everything runs on        |
//!
//! # What is asked of the caller
//!
//! - One thread only: the victims are forked, and a lock held by another thread would stay held in them.
//! - The operation takes the same path each time it starts from the same context. Where it does not (a clock, a random
//!   number), the point is reached by single steps instead, and [`Report::diverged`] counts it.
//! - Everything that the survivors shall see is in shared memory or in the kernel.
//!
//! # What it does not do
//!
//! A death between two instructions is what a kill can do; reordering that only another processor could observe is a memory
//! model's business (loom). On aarch64 without the large-system atomics a step inside a load-exclusive loop loses the
//! reservation, so the trace does not end: that is [`StepError::TooLong`], not a hang.
//!
//! Sources: `ptrace(2)`, `PTRACE_SINGLESTEP`; crash-point enumeration as in ALICE (Pillai et al., 2014), applied to
//! instructions instead of system calls.

mod arch;
mod clock;
mod error;
mod report;
mod route;
mod shared;
mod survivor;
mod sweep;
mod victim;

pub use error::StepError;
pub use report::{Fault, Finding, Outcome, Report, Tally, Violation};
pub use survivor::judge;
pub use sweep::{Fate, Limits, Peer, Sweep, kill_everywhere};
pub use victim::{At, Victim};
