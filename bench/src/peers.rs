//! Workers of a run: forked processes, or threads for rivals that live in one process; each on a CPU of its own, in turn.

use crate::shared::Shared;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the workers of one race watch.
pub struct Race {
    ready: AtomicUsize,
    go: AtomicBool,
    stop: AtomicBool,
}

impl Race {
    /// Whether the race is still on.
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn arrive(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
        while !self.go.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    }
}

/// Lets `n` workers run side by side for `length`, and gives what each of them reports, with how long it was in truth.
pub fn race(
    processes: bool,
    n: usize,
    length: Duration,
    work: impl Fn(usize, &Race) -> Vec<u64> + Sync,
) -> io::Result<(Duration, Vec<Vec<u64>>)> {
    let race =
        Shared::new(Race { ready: AtomicUsize::new(0), go: AtomicBool::new(false), stop: AtomicBool::new(false) })?;
    let run = |nth: usize| {
        stay_on(nth);
        race.arrive();
        work(nth, &race)
    };
    if processes {
        let mut peers = Vec::new();
        for nth in 0..n {
            peers.push(Peer::fork(|| run(nth))?);
        }
        let took = conduct(&race, n, length)?;
        let reports = peers.into_iter().map(Peer::report).collect::<io::Result<_>>()?;
        return Ok((took, reports));
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..n).map(|nth| scope.spawn(move || run(nth))).collect();
        let took = conduct(&race, n, length)?;
        let reports =
            workers.into_iter().map(|worker| worker.join().map_err(|_| io::Error::other("a worker panicked")));
        Ok((took, reports.collect::<io::Result<_>>()?))
    })
}

fn conduct(race: &Race, n: usize, length: Duration) -> io::Result<Duration> {
    wait_for("the workers to start", || race.ready.load(Ordering::Acquire) == n)?;
    let started = Instant::now();
    race.go.store(true, Ordering::Release);
    std::thread::sleep(length);
    race.stop.store(true, Ordering::Relaxed);
    Ok(started.elapsed())
}

/// Waits for something that another process does soon, or never.
pub fn wait_for(what: &str, mut happened: impl FnMut() -> bool) -> io::Result<()> {
    let started = Instant::now();
    while !happened() {
        if started.elapsed() > Duration::from_secs(60) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited a minute for {what}")));
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// A forked process that reports words through a pipe; killed and reaped at the latest when dropped.
pub struct Peer {
    pid: Pid,
    reaped: bool,
    pipe: io::PipeReader,
}

impl Peer {
    /// Forks one that runs `body`, reports what it returns, and ends.
    pub fn fork(body: impl FnOnce() -> Vec<u64>) -> io::Result<Self> {
        let (reading, mut writing) = io::pipe()?;
        // SAFETY: the parent has one thread, or waits for its others; the child uses the allocator and the libraries under
        // measurement, which are good after fork.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self { pid: child, reaped: false, pipe: reading }),
            ForkResult::Child => {
                // SAFETY: takes a signal number, touches no memory.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let done = catch_unwind(AssertUnwindSafe(body)).ok().and_then(|report| {
                    let bytes: Vec<u8> = report.iter().flat_map(|word| word.to_ne_bytes()).collect();
                    writing.write_all(&bytes).ok()
                });
                // SAFETY: returns to nobody.
                unsafe { libc::_exit(i32::from(done.is_none())) }
            }
        }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it has ended by itself, and gives what it reported.
    pub fn report(mut self) -> io::Result<Vec<u64>> {
        let mut bytes = Vec::new();
        self.pipe.read_to_end(&mut bytes)?;
        let ended = waitpid(self.pid, None)?;
        self.reaped = true;
        if !matches!(ended, WaitStatus::Exited(_, 0)) {
            return Err(io::Error::other(format!("a worker ended with {ended:?}")));
        }
        Ok(bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default())).collect())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.reaped {
            // A failure means that it is gone.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

/// Keeps the calling thread on the `nth` of the CPUs it may run on, counted round. Where that is refused, it is only noise.
pub fn stay_on(nth: usize) {
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else { return };
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
    let mut one = CpuSet::new();
    if let Some(&cpu) = cpus.get(nth % cpus.len().max(1))
        && one.set(cpu).is_ok()
    {
        let _ = sched_setaffinity(Pid::from_raw(0), &one);
    }
}

/// Runs `body` with the calling thread on one CPU, and lets it go again.
pub fn on_one_cpu<R>(body: impl FnOnce() -> R) -> R {
    let before = sched_getaffinity(Pid::from_raw(0));
    stay_on(0);
    let done = body();
    if let Ok(before) = before {
        let _ = sched_setaffinity(Pid::from_raw(0), &before);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_and_threads_race_and_report() {
        for processes in [true, false] {
            let (took, reports) = race(processes, 3, Duration::from_millis(2), |nth, race| {
                while race.is_on() {
                    std::thread::yield_now();
                }
                vec![nth as u64, 7]
            })
            .unwrap();
            assert!(took >= Duration::from_millis(2));
            assert_eq!(reports, [[0, 7], [1, 7], [2, 7]]);
        }
    }

    #[test]
    fn a_worker_that_fails_is_told() {
        let peer = Peer::fork(|| {
            std::panic::set_hook(Box::new(|_| {}));
            panic!("on purpose")
        });
        assert!(peer.unwrap().report().is_err());
    }
}
