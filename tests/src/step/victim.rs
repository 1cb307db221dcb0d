//! A traced child that runs one operation: step it, freeze it, let it go on, kill it.
//!
//! | state    | the child …                               | leaves it by                      |
//! |----------|-------------------------------------------|-----------------------------------|
//! | Inside   | is stopped in the operation               | `step`, `run_to`, `finish`        |
//! | Returned | is stopped at the mark behind             | nothing                           |
//! | Asleep   | runs, but waits in a system call          | `step` and `finish` wait once more |
//! | Died     | is gone and reaped                        | nothing                           |
//!
//! Whatever the state, dropping the handle kills and reaps the child. If the tracer dies, the kernel kills it.

use super::StepError;
use super::arch::{self, Registers, breakpoint};
use super::clock::Ticks;
use super::route::{ASLEEP, Route, Trace};
use super::shared::Shared;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Where a victim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// In the operation, stopped between two instructions.
    Inside,
    /// Behind the operation, stopped.
    Returned,
    /// In a system call that has not returned within the patience.
    Asleep,
    /// Ended by this signal.
    Signalled(Signal),
    /// Ended by itself with this status; a panic in the operation is status 101.
    Exited(i32),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside => f.write_str("inside the operation"),
            Self::Returned => f.write_str("behind the operation"),
            Self::Asleep => f.write_str("asleep in a system call"),
            Self::Signalled(signal) => write!(f, "ended by {signal}"),
            Self::Exited(status) => write!(f, "ended with status {status}"),
        }
    }
}

/// A traced child, stopped in front of an operation, or somewhere in it.
#[derive(Debug)]
pub struct Victim {
    pid: Pid,
    at: At,
    /// A signal that arrived and is delivered when the child goes on.
    pending: Option<Signal>,
    patience: Duration,
    hardware: bool,
    _ticks: Ticks,
}

/// How long a child may sleep between two places of a recorded run.
const ON_THE_WAY: Duration = Duration::from_secs(10);

/// Exit status of a child that may not be traced, and of one whose closure panicked.
const REFUSED: i32 = 77;
const PANICKED: i32 = 101;

impl Victim {
    /// Forks a child that calls `arrive`, then `operation`, and stops it between the two.
    ///
    /// `patience` is how long one instruction may take: a system call that takes longer counts as asleep.
    ///
    /// # Errors
    /// [`StepError::Refused`] where the system permits no tracing; [`StepError::Lost`] if `arrive` did not return.
    pub fn start<C>(
        context: &mut C,
        arrive: impl FnOnce(&mut C),
        operation: impl FnOnce(&mut C),
        patience: Duration,
    ) -> Result<Self, StepError> {
        let ticks = Ticks::start()?;
        // SAFETY: the child has the one thread of this program (a sweep checks that there is no other), so no lock can have
        // been left held by a thread that it does not have.
        let forked = unsafe { fork() }.map_err(StepError::system("a fork"))?;
        let ForkResult::Parent { child } = forked else { live(context, arrive, operation) };
        let mut victim = Self { pid: child, at: At::Inside, pending: None, patience, hardware: true, _ticks: ticks };
        victim.arrive()?;
        Ok(victim)
    }

    /// Uses no debug registers, but traps planted in the child's code.
    pub(super) fn without_hardware(mut self) -> Self {
        self.hardware = false;
        self
    }

    /// Where it is.
    pub fn at(&self) -> At {
        self.at
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Executes one instruction.
    pub fn step(&mut self) -> Result<At, StepError> {
        self.step_blindly()?;
        if self.at == At::Inside && self.pending.is_none() {
            self.at = self.trapped()?;
        }
        Ok(self.at)
    }

    /// Executes one instruction without a look at where it leads, which is half the price.
    fn step_blindly(&mut self) -> Result<At, StepError> {
        match self.at {
            At::Inside => {
                ptrace::step(self.pid, self.pending.take()).map_err(StepError::system("a single step"))?;
                self.wait()
            }
            At::Asleep => self.wait(),
            _ => Ok(self.at),
        }
    }

    /// Executes up to `n` instructions.
    pub fn step_by(&mut self, n: usize) -> Result<At, StepError> {
        for _ in 0..n {
            if self.step()? != At::Inside {
                break;
            }
        }
        Ok(self.at)
    }

    /// Lets it go on to the mark behind the operation; `Asleep` if it does not get there within `bound`.
    pub fn finish(&mut self, bound: Duration) -> Result<At, StepError> {
        let began = Instant::now();
        while self.at == At::Asleep && began.elapsed() < bound {
            self.wait_for_mark()?;
        }
        let patience = std::mem::replace(&mut self.patience, bound);
        while self.at == At::Inside {
            self.go_on()?;
            self.wait_for_mark()?;
        }
        self.patience = patience;
        Ok(self.at)
    }

    /// SIGKILL where it is, and reap it.
    pub fn kill(self) {}

    /// Address of the next instruction.
    pub(super) fn place(&self) -> Result<u64, StepError> {
        Ok(arch::pc(&self.registers()?))
    }

    /// Runs the operation to its end in single steps and notes every place; `memory` digests what survivors can see.
    ///
    /// Ends early where the child falls asleep or dies; [`at`](Self::at) tells.
    pub(super) fn record(&mut self, most: usize, memory: Option<&dyn Fn() -> u64>) -> Result<Trace, StepError> {
        let digest = || memory.map_or(0, |digest| digest());
        let (mut trace, mut seen, mut shared) = (Trace::default(), digest(), Shared::of(self.pid));
        let mut system_call = self.at_system_call()?;
        trace.push(self.place()?, true, system_call || shared.touched_next(self)?);
        while self.at == At::Inside {
            if trace.instructions() == most {
                return Err(StepError::TooLong { most });
            }
            match self.step()? {
                At::Inside | At::Returned => {
                    let now = digest();
                    let changed = memory.is_none() || system_call || now != seen;
                    if system_call {
                        // It may have mapped more.
                        shared.look_again();
                    }
                    (system_call, seen) = (self.at_system_call()?, now);
                    trace.push(self.place()?, changed, system_call || shared.touched_next(self)?);
                }
                At::Asleep => trace.push(ASLEEP, true, true),
                At::Signalled(_) | At::Exited(_) => {}
            }
        }
        Ok(trace)
    }

    /// Whether the next instruction is a system call.
    fn at_system_call(&self) -> Result<bool, StepError> {
        Ok(arch::is_system_call(self.read(self.place()?)?))
    }

    /// Goes where a recorded run was. False if this run took another path; it is somewhere inside, or behind, then.
    pub(super) fn follow(&mut self, route: Route) -> Result<bool, StepError> {
        if let Some((place, times)) = route.anchor
            && !self.run_to(place, times)?
        {
            return Ok(false);
        }
        for _ in 0..route.steps {
            self.step_blindly()?;
        }
        match self.at {
            At::Inside | At::Returned => {
                self.at = self.trapped()?;
                Ok(self.place()? == route.place)
            }
            At::Asleep => Ok(route.place == ASLEEP),
            At::Signalled(_) | At::Exited(_) => Ok(false),
        }
    }

    /// Goes on until it has come to `place` for the given time, the start included; false if it never does.
    fn run_to(&mut self, place: u64, times: usize) -> Result<bool, StepError> {
        let mut seen = usize::from(self.place()? == place);
        if seen < times && !self.leave(place)? {
            return Ok(false);
        }
        if seen < times && self.hardware && breakpoint::set(self.pid, Some(place)) {
            while seen < times && self.run_until(place)? {
                seen += 1;
            }
            if self.at == At::Inside {
                breakpoint::set(self.pid, None);
            }
            return Ok(seen == times);
        }
        while seen < times && self.leave(place)? && self.run_until_trap(place)? {
            seen += 1;
        }
        Ok(seen == times)
    }

    /// Goes on to the next stop; true if that is at `place`. It may sleep on the way longer than in a single step: on a busy
    /// machine a short sleep takes long, and the recorded run did get there.
    fn run_until(&mut self, place: u64) -> Result<bool, StepError> {
        let patience = std::mem::replace(&mut self.patience, ON_THE_WAY);
        self.go_on()?;
        while self.wait_for_mark()? == At::Inside && self.pending.is_some() {
            self.go_on()?;
        }
        self.patience = patience;
        match self.at {
            At::Inside | At::Returned => Ok(self.place()? == place),
            // It runs, so a breakpoint cannot be lifted: this child is of no more use.
            At::Asleep => Err(StepError::Lost { at: self.at }),
            At::Signalled(_) | At::Exited(_) => Ok(false),
        }
    }

    /// Steps off this place, should it be there, so that a trap planted there is met on coming back only.
    fn leave(&mut self, place: u64) -> Result<bool, StepError> {
        while self.at == At::Inside && self.place()? == place {
            self.step()?;
        }
        Ok(self.at == At::Inside)
    }

    /// Where there is no hardware for it: plants a trap in the child's code, goes on, lifts it. True if it stopped there.
    fn run_until_trap(&mut self, place: u64) -> Result<bool, StepError> {
        let code = self.read(place)?;
        self.write(place, arch::with_trap(code))?;
        let stopped = self.run_until(place.wrapping_add(arch::TRAP_ADVANCES))?;
        if !matches!(self.at, At::Inside | At::Returned) {
            return Ok(false);
        }
        self.write(place, code)?;
        if stopped && self.at == At::Inside {
            let mut registers = self.registers()?;
            arch::set_pc(&mut registers, place);
            self.set_registers(registers)?;
        }
        Ok(self.place()? == place)
    }

    /// Waits for the child's first stop at the mark.
    fn arrive(&mut self) -> Result<(), StepError> {
        loop {
            match self.wait_for_mark()? {
                // The first stop of all: options hold from here on, and the mark is where a stop without a signal is.
                At::Returned => break,
                At::Inside => self.go_on()?,
                At::Exited(REFUSED) => return Err(StepError::Refused),
                at => return Err(StepError::Lost { at }),
            }
        }
        let options = ptrace::Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(self.pid, options).map_err(StepError::system("a trace option"))?;
        let mut registers = self.registers()?;
        arch::set_pc(&mut registers, arch::mark_address() + arch::BEHIND_MARK);
        self.set_registers(registers)?;
        self.at = At::Inside;
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), StepError> {
        ptrace::cont(self.pid, self.pending.take()).map_err(StepError::system("a continue"))
    }

    /// Waits for the next stop, or until the child has slept through the patience. `Inside` is any stop.
    fn wait(&mut self) -> Result<At, StepError> {
        let mut first_tick = None;
        let status = loop {
            match waitpid(self.pid, None) {
                Ok(status) => break status,
                Err(Errno::EINTR) => {
                    let waited = first_tick.get_or_insert_with(Instant::now).elapsed();
                    if waited >= self.patience && self.sleeps() {
                        self.at = At::Asleep;
                        return Ok(self.at);
                    }
                }
                Err(errno) => return Err(StepError::system("a wait for the child")(errno)),
            }
        };
        self.at = match status {
            WaitStatus::Exited(_, status) => At::Exited(status),
            WaitStatus::Signaled(_, signal, _) => At::Signalled(signal),
            WaitStatus::Stopped(_, Signal::SIGTRAP) => At::Inside,
            WaitStatus::Stopped(_, signal) => {
                self.pending = Some(signal);
                At::Inside
            }
            _ => At::Inside,
        };
        Ok(self.at)
    }

    /// Waits for a stop of a child that ran freely, which may be the mark.
    fn wait_for_mark(&mut self) -> Result<At, StepError> {
        if self.wait()? == At::Inside && self.pending.is_none() {
            self.at = self.trapped()?;
        }
        Ok(self.at)
    }

    /// Tells the mark from any other place; brings the program counter back to the mark if its trap was executed.
    fn trapped(&self) -> Result<At, StepError> {
        let mut registers = self.registers()?;
        let mark = arch::mark_address();
        let here = arch::pc(&registers);
        if here != mark && here != mark + arch::TRAP_ADVANCES {
            return Ok(At::Inside);
        }
        arch::set_pc(&mut registers, mark);
        self.set_registers(registers)?;
        Ok(At::Returned)
    }

    /// Whether it waits for something, and not merely for its turn on a busy processor.
    fn sleeps(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    }

    pub(super) fn registers(&self) -> Result<Registers, StepError> {
        ptrace::getregs(self.pid).map_err(StepError::system("the child's registers"))
    }

    fn set_registers(&self, registers: Registers) -> Result<(), StepError> {
        ptrace::setregs(self.pid, registers).map_err(StepError::system("the child's registers"))
    }

    pub(super) fn read(&self, place: u64) -> Result<u64, StepError> {
        let word = ptrace::read(self.pid, place as ptrace::AddressType);
        word.map(|word| word as u64).map_err(StepError::system("the child's code"))
    }

    fn write(&self, place: u64, code: u64) -> Result<(), StepError> {
        let written = ptrace::write(self.pid, place as ptrace::AddressType, code as libc::c_long);
        written.map_err(StepError::system("a breakpoint"))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if matches!(self.at, At::Signalled(_) | At::Exited(_)) {
            return;
        }
        // Neither can fail for a child of ours that is not reaped yet.
        let _ = kill(self.pid, Signal::SIGKILL);
        while !matches!(
            waitpid(self.pid, None),
            Ok(WaitStatus::Signaled(..) | WaitStatus::Exited(..)) | Err(Errno::ECHILD)
        ) {}
    }
}

/// The whole life of the child.
fn live<C>(context: &mut C, arrive: impl FnOnce(&mut C), operation: impl FnOnce(&mut C)) -> ! {
    die_with_parent();
    if ptrace::traceme().is_err() {
        exit(REFUSED);
    }
    let ran = catch_unwind(AssertUnwindSafe(|| {
        arrive(context);
        arch::mark();
        operation(context);
        arch::mark();
    }));
    exit(if ran.is_ok() { 0 } else { PANICKED })
}

/// For a forked child: SIGKILL when the process that forked it ends.
pub(super) fn die_with_parent() {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// For a forked child: ends it without running what the parent registered for its own end.
pub(super) fn exit(status: i32) -> ! {
    // SAFETY: `_exit` returns to nobody and runs no handler.
    unsafe { libc::_exit(status) }
}
