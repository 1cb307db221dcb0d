//! The loop over the calls of one operation and the errors that fit each.

use super::call;
use super::footprint::Footprint;
use super::interpose::{self, Plan, between};
use crate::child::{die_with_parent, exit};
use crate::leaks;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{PipeWriter, Read, Write, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something that is made under a failing system, with the scene it is made in.
pub struct Operation {
    /// The type, and its function.
    pub name: &'static str,
    /// Makes the scene, and from it the body of a child.
    stage: Box<dyn Fn() -> Body>,
    /// Whether the scene's handles register in the child, which leaves the pages that keep its rows.
    registers: bool,
}

/// What a child does; what it has to say goes into the pipe.
type Body = Box<dyn Fn(&PipeWriter, Option<Plan>, bool)>;

/// What came of all runs of one operation.
#[derive(Debug, Default)]
pub struct Report {
    /// System calls of an undisturbed run.
    pub calls: usize,
    /// Children in which one failed.
    pub runs: usize,
    /// How often the operation ended how.
    pub outcomes: BTreeMap<String, usize>,
    /// What must not be, with the call and the error.
    pub bad: Vec<String>,
}

/// What the child says on a line each: how the operation ended, and the numbers of its calls.
const OUTCOME: &str = "outcome ";
const CALLS: &str = "calls ";

/// A child that takes longer, in seconds, hangs.
const PATIENCE_S: u32 = 30;

impl Operation {
    /// In `scene`, which all children share and must leave as it was: `attempt` is what is traced, on what `prepare` made;
    /// `settle` uses and undoes what came of both, and returns what was wrong with it.
    pub fn new<S: 'static, P, T, E: Display>(
        name: &'static str,
        scene: impl Fn() -> S + 'static,
        prepare: impl Fn(&S) -> P + Clone + 'static,
        attempt: impl Fn(&S, &mut P) -> Result<T, E> + Clone + 'static,
        settle: impl Fn(&S, P, Option<T>) -> Result<(), String> + Clone + 'static,
    ) -> Self {
        let stage = move || {
            let (scene, prepare, attempt, settle) = (scene(), prepare.clone(), attempt.clone(), settle.clone());
            let body = move |report: &PipeWriter, plan: Option<Plan>, registers: bool| {
                grow_heap();
                let before = Footprint::take(registers);
                let mut prepared = prepare(&scene);
                let result = between(plan, || attempt(&scene, &mut prepared));
                let outcome = result.as_ref().map_or_else(E::to_string, |_| "done".to_owned());
                say(report, &format!("{OUTCOME}{outcome}"));
                let calls: Vec<_> = interpose::calls().iter().map(u64::to_string).collect();
                say(report, &format!("{CALLS}{}", calls.join(" ")));
                complain(report, "then", settle(&scene, prepared, result.ok()));
                before.changes().iter().for_each(|change| say(report, change));
                // The failure was the system's, and is over.
                let mut prepared = prepare(&scene);
                match attempt(&scene, &mut prepared) {
                    Ok(made) => complain(report, "once more", settle(&scene, prepared, Some(made))),
                    Err(error) => say(report, &format!("once more: {error}")),
                }
                before.changes().iter().for_each(|change| say(report, &format!("once more: {change}")));
            };
            Box::new(body) as Body
        };
        Self { name, stage: Box::new(stage), registers: false }
    }

    /// The scene has handles with which the child becomes a member.
    pub(super) fn registering(mut self) -> Self {
        self.registers = true;
        self
    }
}

fn complain(report: &PipeWriter, when: &str, result: Result<(), String>) {
    if let Err(problem) = result {
        say(report, &format!("{when}: {problem}"));
    }
}

fn say(mut report: &PipeWriter, line: &str) {
    writeln!(report, "{}", line.replace('\n', " ")).expect("a pipe with room");
}

/// Makes the allocator get what it will need from the system now, and keep it.
fn grow_heap() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(libc::M_TRIM_THRESHOLD, i32::MAX), (libc::M_MMAP_THRESHOLD, 32 << 20)] {
        // SAFETY: options of the allocator, which may be set at any time.
        unsafe { libc::mallopt(option, value) };
    }
    let chunks: Vec<Vec<u8>> = (0..16).map(|_| vec![1; 32 << 10]).collect();
    drop(std::hint::black_box(chunks));
}

/// Fails each call of the operation with each error that fits.
///
/// # Errors
/// What the system refused the tracer.
pub fn sweep(operation: &Operation) -> nix::Result<Report> {
    let stage = (operation.stage)();
    let body = |report: &PipeWriter, plan| stage(report, plan, operation.registers);
    let names_before = leaks::everything_named();
    let mut report = Report::default();
    let undisturbed = run(&body, None)?;
    report.calls = undisturbed.calls.len();
    report.judge("undisturbed", &undisturbed, &names_before);
    if undisturbed.outcome.as_deref() != Some("done") {
        report.bad.push(format!("undisturbed: {:?}", undisturbed.outcome));
    }
    for (index, &call) in undisturbed.calls.iter().enumerate() {
        for &error in call::errors(call) {
            let ran = run(&body, Some(Plan { nth: index + 1, error }))?;
            report.runs += 1;
            report.judge(&format!("call {}, {}, {error:?}", index + 1, call::name(call)), &ran, &names_before);
            let outcome = ran.outcome.unwrap_or_else(|| "nothing".to_owned());
            // Without the reason that the system gave, which is the error just put there.
            let outcome = outcome.split(": ").next().unwrap_or_default().to_owned();
            *report.outcomes.entry(outcome).or_default() += 1;
        }
    }
    Ok(report)
}

impl Report {
    fn judge(&mut self, what: &str, ran: &Ran, names_before: &[String]) {
        let mut bad: Vec<_> = ran.complaints.clone();
        bad.extend(ran.bad_end());
        let names = leaks::everything_named();
        bad.extend(names.iter().filter(|name| !names_before.contains(name)).map(|name| format!("{name} is left")));
        bad.extend(names_before.iter().filter(|name| !names.contains(name)).map(|name| format!("{name} is gone")));
        self.bad.extend(bad.into_iter().map(|bad| format!("{what}: {bad}")));
    }
}

/// One child.
struct Ran {
    calls: Vec<u64>,
    outcome: Option<String>,
    complaints: Vec<String>,
    ended: WaitStatus,
}

impl Ran {
    /// How it ended, unless by itself and well.
    fn bad_end(&self) -> Option<String> {
        Some(match self.ended {
            WaitStatus::Exited(_, 0) => return None,
            WaitStatus::Exited(_, 101) => "it panicked".to_owned(),
            WaitStatus::Exited(_, status) => format!("it ended with status {status}"),
            WaitStatus::Signaled(_, Signal::SIGALRM, _) => "it hung".to_owned(),
            WaitStatus::Signaled(_, signal, _) => format!("{signal} killed it"),
            other => format!("{other:?}"),
        })
    }
}

fn run(body: &dyn Fn(&PipeWriter, Option<Plan>), plan: Option<Plan>) -> nix::Result<Ran> {
    let (mut reading, writing) = pipe().map_err(|_| Errno::EMFILE)?;
    // SAFETY: the suites that come here have one thread, so the child makes what such a process may make.
    let child = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            die_with_parent();
            // SAFETY: a number of seconds; the default action of the signal is what is wanted.
            unsafe { libc::alarm(PATIENCE_S) };
            std::panic::set_hook(Box::new(|_| ()));
            let ran = catch_unwind(AssertUnwindSafe(|| body(&writing, plan)));
            if let Err(panic) = &ran {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                say(&writing, text.or(panic.downcast_ref().copied()).unwrap_or("a panic"));
            }
            exit(if ran.is_ok() { 0 } else { 101 })
        }
    };
    drop(writing);
    let mut text = String::new();
    let heard = reading.read_to_string(&mut text);
    let ended = waitpid(child, None)?;
    heard.map_err(|_| Errno::EIO)?;
    let mut ran = Ran { calls: Vec::new(), outcome: None, complaints: Vec::new(), ended };
    for line in text.lines() {
        match (line.strip_prefix(OUTCOME), line.strip_prefix(CALLS)) {
            (Some(outcome), _) => ran.outcome = Some(outcome.to_owned()),
            (_, Some(calls)) => ran.calls = calls.split_whitespace().filter_map(|call| call.parse().ok()).collect(),
            _ => ran.complaints.push(line.to_owned()),
        }
    }
    Ok(ran)
}
