//! A child that judges what is left, with a time bound: a check that hangs is an outcome, not the end of the sweep.

use super::report::{Fault, Finding, Violation};
use super::victim::{die_with_parent, exit};
use super::{At, StepError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::time::{Duration, Instant};

/// First byte of a report that all is well; a violation has its fault's number.
const WELL: u8 = u8::MAX;

/// Forks a survivor that runs `check`; what it finds, or that it does not return within `bound`, panics or crashes.
pub fn judge<C>(context: &mut C, check: impl FnOnce(&mut C) -> Finding, bound: Duration) -> Result<Finding, StepError> {
    judge_timed(context, check, bound).map(|(finding, _)| finding)
}

/// The same, and how long it took.
pub(super) fn judge_timed<C>(
    context: &mut C,
    check: impl FnOnce(&mut C) -> Finding,
    bound: Duration,
) -> Result<(Finding, Duration), StepError> {
    let began = Instant::now();
    let (reading, writing) = pipe().map_err(StepError::system("a pipe"))?;
    // SAFETY: as for a victim: this program has one thread, so the child inherits no lock that another one holds.
    let forked = unsafe { fork() }.map_err(StepError::system("a fork"))?;
    let ForkResult::Parent { child } = forked else {
        drop(reading);
        survive(context, check, writing)
    };
    drop(writing);
    let returned = wait_readable(&reading, bound)?;
    if !returned {
        // A child of ours that is not reaped yet can be signalled.
        let _ = kill(child, Signal::SIGKILL);
    }
    let mut said = Vec::new();
    if returned {
        // An end without a word is a crash: the status tells.
        let _ = File::from(reading).read_to_end(&mut said);
    }
    let ended = reap(child)?;
    let finding = match decode(&said) {
        _ if !returned => Err(Violation::hang(format!("the survivor did not return within {bound:?}"))),
        Some(finding) => finding,
        None => Err(Violation::broken(format!("the survivor {ended}"))),
    };
    Ok((finding, began.elapsed()))
}

/// The whole life of the child.
fn survive<C>(context: &mut C, check: impl FnOnce(&mut C) -> Finding, writing: OwnedFd) -> ! {
    die_with_parent();
    let Ok(hook_end) = writing.try_clone() else { exit(1) };
    panic::set_hook(Box::new(move |info| {
        say(&hook_end, &Err(Violation::broken(info.to_string().replace('\n', " "))));
        exit(1)
    }));
    say(&writing, &check(context));
    exit(0)
}

/// Writes a finding in one call; a pipe takes that much at once.
fn say(writing: &OwnedFd, finding: &Finding) {
    let (first, text) = match finding {
        Ok(outcome) => (WELL, outcome.to_string()),
        Err(violation) => (violation.fault.index(), violation.detail.clone()),
    };
    let message = [&[first], text.as_bytes()].concat();
    if let Ok(copy) = writing.try_clone() {
        // Should it fail, the parent sees an end without a word.
        let _ = File::from(copy).write_all(&message);
    }
}

fn decode(said: &[u8]) -> Option<Finding> {
    let (&first, text) = said.split_first()?;
    let text = String::from_utf8_lossy(text).into_owned();
    if first == WELL {
        return Some(Ok(text.into()));
    }
    let fault = *Fault::ALL.get(usize::from(first))?;
    Some(Err(Violation { fault, detail: text }))
}

/// Whether there is something to read, or an end, before `bound` is over.
fn wait_readable(reading: &OwnedFd, bound: Duration) -> Result<bool, StepError> {
    let began = Instant::now();
    loop {
        let left = bound.saturating_sub(began.elapsed());
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(reading.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if began.elapsed() >= bound => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(StepError::system("a poll")(errno)),
        }
    }
}

/// Waits for a child that has ended or is about to.
fn reap(child: Pid) -> Result<At, StepError> {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(At::Exited(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(At::Signalled(signal)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(StepError::system("a wait for the survivor")(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_unknown_bytes_are_no_finding() {
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[200, b'x']), None);
        assert_eq!(decode(&[WELL, b'o', b'k']), Some(Ok("ok".into())));
        assert_eq!(decode(&[Fault::Torn.index()]), Some(Err(Violation::torn(""))));
    }
}
