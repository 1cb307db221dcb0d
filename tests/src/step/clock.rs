//! The alarm that ends a wait, and the one processor that tracer, victims and survivors share.

use super::StepError;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;
use std::cell::Cell;
use std::time::Duration;

/// While one lives, SIGALRM interrupts system calls that wait, again and again.
///
/// `waitpid(2)` has no deadline of its own, and a child that sleeps in a system call never stops. A repeated signal leaves no
/// gap between looking at the clock and waiting. Forked children inherit no timer.
#[derive(Debug)]
pub(super) struct Ticks(());

const EVERY: Duration = Duration::from_millis(2);

thread_local! {
    /// How many `Ticks` live: only the first starts the timer, only the last stops it.
    static LIVE: Cell<u32> = const { Cell::new(0) };
}

impl Ticks {
    pub(super) fn start() -> Result<Self, StepError> {
        if LIVE.get() == 0 {
            interrupt_on(Signal::SIGALRM)?;
            set_timer(EVERY)?;
        }
        LIVE.set(LIVE.get() + 1);
        Ok(Self(()))
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
        if LIVE.get() == 0 {
            // Stopping a timer that was set cannot fail; a tick too many would only interrupt a wait.
            let _ = set_timer(Duration::ZERO);
        }
    }
}

/// A handler that does nothing, without SA_RESTART: its only effect is EINTR.
fn interrupt_on(signal: Signal) -> Result<(), StepError> {
    extern "C" fn nothing(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler touches nothing, so it is sound at any point of any code.
    unsafe { sigaction(signal, &action) }.map_err(StepError::system("a handler for SIGALRM"))?;
    Ok(())
}

fn set_timer(every: Duration) -> Result<(), StepError> {
    let time = libc::timeval { tv_sec: every.as_secs() as _, tv_usec: every.subsec_micros() as _ };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: `timer` is a valid itimerval for the whole call, and a null pointer for the old value is allowed.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    nix::errno::Errno::result(result).map(drop).map_err(StepError::system("a timer"))
}

/// While one lives, this thread and every child forked from it run on one processor.
#[derive(Debug)]
pub(super) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Pins to the first processor this thread may use.
    pub(super) fn here() -> Result<Self, StepError> {
        let refused = "the processor affinity";
        let before = sched_getaffinity(Pid::from_raw(0)).map_err(StepError::system(refused))?;
        let first = (0..CpuSet::count()).find(|&n| before.is_set(n).unwrap_or(false)).unwrap_or(0);
        let mut one = CpuSet::new();
        one.set(first).map_err(StepError::system(refused))?;
        sched_setaffinity(Pid::from_raw(0), &one).map_err(StepError::system(refused))?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It was our affinity a moment ago; should the machine have lost those processors since, one is enough.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}
