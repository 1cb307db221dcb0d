//! The loops over points: a victim alone, and a victim beside a live peer that is paused at each of its own steps.

use super::clock::Pinned;
use super::report::{Finding, Report, Violation};
use super::route::{Route, Trace};
use super::survivor::judge_timed;
use super::{At, StepError, Victim};
use std::time::{Duration, Instant};

/// What happens to the victim at its point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// SIGKILL, before the check.
    #[default]
    Killed,
    /// Stays stopped while the check runs: alive, and not getting on.
    Frozen,
}

/// Bounds of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a check may take.
    pub bound: Duration,
    /// How much longer it is waited for. A check that returns in this time is counted as late; after it, it hangs. A promise
    /// that only somebody else's work on the same machine can break is not broken.
    pub grace: Duration,
    /// How long one instruction of the victim may take before it counts as asleep.
    pub patience: Duration,
    /// How many instructions an operation may have.
    pub instructions: usize,
    /// An operation of more than these is killed once per change, not once per instruction. Survivors cannot tell the
    /// difference, since the dead have no private memory; beside a peer, which is paused at each of its accesses to shared
    /// memory, it is always so.
    pub dense: usize,
    /// After how many violations the sweep stops: a broken operation would hang at every second point.
    pub violations: usize,
    /// Whether to use the processor's breakpoints; otherwise, and where there are none, traps are planted in the code.
    pub hardware: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bound: Duration::from_secs(2),
            grace: Duration::ZERO,
            patience: Duration::from_secs(2),
            instructions: 200_000,
            dense: usize::MAX,
            violations: 20,
            hardware: true,
        }
    }
}

/// A live peer in the middle of an operation of its own, while the victim runs and dies.
pub struct Peer<'a, C> {
    /// What the peer does.
    pub operation: &'a dyn Fn(&mut C),
    /// What a survivor checks after the victim's death while the peer is paused: calls that do not wait, or not for ever.
    pub meanwhile: Option<&'a dyn Fn(&mut C) -> Finding>,
}

/// One operation to be killed everywhere.
pub struct Sweep<'a, C> {
    /// Makes a fresh context for each point, in the tracing process.
    pub setup: &'a dyn Fn() -> C,
    /// What the victim does first, untouched: attaching, registering, another operation before the one under test.
    pub arrive: &'a dyn Fn(&mut C),
    /// The operation under test.
    pub operation: &'a dyn Fn(&mut C),
    /// Judges, in a survivor, what the victim left.
    pub check: &'a dyn Fn(&mut C) -> Finding,
    /// Digest of all memory that survivors can see, read from the tracing process; tells what is a *change*: a store there, or a
    /// system call. Without a digest every instruction is one.
    pub memory: Option<&'a dyn Fn(&C) -> u64>,
    /// The peer, if there is one.
    pub peer: Option<Peer<'a, C>>,
    /// Killed or frozen.
    pub fate: Fate,
    /// Bounds.
    pub limits: Limits,
}

/// Kills `operation` after each of its instructions and lets a survivor `check` what is left; see the [module](super).
///
/// # Errors
/// [`StepError`], never a silent skip, if the system does not let children be traced.
pub fn kill_everywhere<C>(
    setup: impl Fn() -> C,
    operation: impl Fn(&mut C),
    check: impl Fn(&mut C) -> Finding,
) -> Result<Report, StepError> {
    Sweep {
        setup: &setup,
        arrive: &|_| (),
        operation: &operation,
        check: &check,
        memory: None,
        peer: None,
        fate: Fate::Killed,
        limits: Limits::default(),
    }
    .run()
}

impl<C> Sweep<'_, C> {
    /// Runs it.
    pub fn run(&self) -> Result<Report, StepError> {
        refuse_threads()?;
        let _one_processor = Pinned::here()?;
        let began = Instant::now();
        let mut report = match &self.peer {
            None => self.alone()?,
            Some(peer) => self.beside(peer)?,
        };
        report.elapsed = began.elapsed();
        Ok(report)
    }

    fn alone(&self) -> Result<Report, StepError> {
        let (trace, ended) = self.record()?;
        let mut report = Report { instructions: trace.instructions(), ..Report::default() };
        let routes = trace.routes();
        let points =
            if trace.instructions() > self.limits.dense { trace.changes() } else { (0..routes.len()).collect() };
        for k in points {
            self.point(&mut report, k, routes[k])?;
            if report.bad() >= self.limits.violations {
                break;
            }
        }
        match ended {
            At::Asleep => {
                report.add(trace.instructions(), Err(Violation::hang("the operation itself does not return")))
            }
            At::Signalled(_) | At::Exited(_) => {
                report.add(trace.instructions(), Err(Violation::broken(format!("the operation itself: {ended}"))));
            }
            At::Inside | At::Returned => {}
        }
        Ok(report)
    }

    /// The first run, which nobody interrupts.
    fn record(&self) -> Result<(Trace, At), StepError> {
        let mut context = (self.setup)();
        let mut victim = self.victim(&mut context)?;
        let digest = self.memory.map(|memory| || memory(&context));
        let trace = victim.record(self.limits.instructions, digest.as_ref().map(|digest| digest as _))?;
        Ok((trace, victim.at()))
    }

    /// One death, and what a survivor finds.
    fn point(&self, report: &mut Report, k: usize, route: Route) -> Result<(), StepError> {
        let mut context = (self.setup)();
        let mut victim = self.victim(&mut context)?;
        if !victim.follow(route)? {
            report.diverged += 1;
            victim.kill();
            context = (self.setup)();
            victim = self.victim(&mut context)?;
            victim.step_by(k)?;
        }
        let frozen = match self.fate {
            Fate::Killed => {
                victim.kill();
                None
            }
            Fate::Frozen => Some(victim),
        };
        let finding = self.judge(report, &mut context, self.check)?;
        report.add(k, finding);
        drop(frozen);
        Ok(())
    }

    /// What a survivor finds; notes if it takes longer than it should.
    fn judge(
        &self,
        report: &mut Report,
        context: &mut C,
        check: impl FnOnce(&mut C) -> Finding,
    ) -> Result<Finding, StepError> {
        let (finding, took) = judge_timed(context, check, self.limits.bound + self.limits.grace)?;
        report.late += usize::from(finding.is_ok() && took > self.limits.bound);
        Ok(finding)
    }

    fn beside(&self, peer: &Peer<'_, C>) -> Result<Report, StepError> {
        let steps = {
            let mut context = (self.setup)();
            let mut paused = self.start(&mut context, peer.operation)?;
            paused.record(self.limits.instructions, None)?
        };
        let mut report = Report::default();
        let pauses = steps.routes();
        for route in steps.accesses().into_iter().map(|k| pauses[k]) {
            let (trace, ended) = self.record_beside(peer, route)?;
            report.instructions = report.instructions.max(trace.instructions());
            let routes = trace.routes();
            for k in trace.changes() {
                self.point_beside(&mut report, peer, (route, k, routes[k]))?;
                if report.bad() >= self.limits.violations {
                    return Ok(report);
                }
            }
            if let At::Signalled(_) | At::Exited(_) = ended {
                report.add(trace.instructions(), Err(Violation::broken(format!("the operation itself: {ended}"))));
            }
        }
        Ok(report)
    }

    /// What the victim does while the peer is paused there; ends where it waits for the peer.
    fn record_beside(&self, peer: &Peer<'_, C>, pause: Route) -> Result<(Trace, At), StepError> {
        let mut context = (self.setup)();
        let _paused = self.paused(&mut context, peer, pause)?;
        let mut victim = self.victim(&mut context)?;
        let digest = self.memory.map(|memory| || memory(&context));
        let trace = victim.record(self.limits.instructions, digest.as_ref().map(|digest| digest as _))?;
        Ok((trace, victim.at()))
    }

    /// The peer is paused, the victim dies, the peer goes on and must get to its end.
    fn point_beside(
        &self,
        report: &mut Report,
        peer: &Peer<'_, C>,
        (pause, k, route): (Route, usize, Route),
    ) -> Result<(), StepError> {
        let mut context = (self.setup)();
        let mut paused = self.paused(&mut context, peer, pause)?;
        let mut victim = self.victim(&mut context)?;
        if !victim.follow(route)? {
            report.diverged += 1;
        }
        victim.kill();
        if let Some(meanwhile) = peer.meanwhile
            && let Err(violation) = self.judge(report, &mut context, meanwhile)?
        {
            report.add(k, Err(violation));
            return Ok(());
        }
        let finding = match paused.finish(self.limits.bound + self.limits.grace)? {
            At::Returned => self.judge(report, &mut context, self.check)?,
            At::Inside | At::Asleep => Err(Violation::hang("the live peer did not get on after the victim's death")),
            at => Err(Violation::broken(format!("the live peer after the victim's death: {at}"))),
        };
        report.add(k, finding);
        Ok(())
    }

    fn paused(&self, context: &mut C, peer: &Peer<'_, C>, pause: Route) -> Result<Victim, StepError> {
        let mut paused = self.start(context, peer.operation)?;
        paused.follow(pause)?;
        Ok(paused)
    }

    fn victim(&self, context: &mut C) -> Result<Victim, StepError> {
        self.start(context, self.operation)
    }

    fn start(&self, context: &mut C, operation: &dyn Fn(&mut C)) -> Result<Victim, StepError> {
        let victim = Victim::start(context, self.arrive, operation, self.limits.patience)?;
        Ok(if self.limits.hardware { victim } else { victim.without_hardware() })
    }
}

/// Forking is sound only where no other thread can hold a lock.
fn refuse_threads() -> Result<(), StepError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads == 1 { Ok(()) } else { Err(StepError::Threaded { threads }) }
}
