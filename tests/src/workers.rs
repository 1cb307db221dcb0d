//! Work on all processors: forked workers, each on a processor of its own, take the next piece until none is left.
//!
//! Processes and not threads, since a sweep forks, which is sound only in a process of one thread.

use crate::child::{die_with_parent, exit};
use crate::page::Page;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Does the pieces 0 to `pieces`, and hands each result on as soon as all before it are there.
///
/// # Errors
/// If the system refuses a fork or a pipe, or a worker ends before its work is done.
pub fn on_all_processors<R: Serialize + DeserializeOwned>(
    pieces: usize,
    work: impl Fn(usize) -> R,
    mut done: impl FnMut(usize, R),
) -> io::Result<()> {
    let next = Page::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for processor in processors() {
        workers.push(Worker::start(processor, &next, pieces, &work)?);
    }
    let mut results: Vec<Option<R>> = std::iter::repeat_with(|| None).take(pieces).collect();
    let mut handed_on = 0;
    while workers.iter().any(|worker| worker.talks) {
        wait_for_any(&workers)?;
        for worker in workers.iter_mut().filter(|worker| worker.talks) {
            for (piece, result) in worker.hear()? {
                results[piece] = Some(result);
            }
        }
        while let Some(result) = results.get_mut(handed_on).and_then(Option::take) {
            done(handed_on, result);
            handed_on += 1;
        }
    }
    if handed_on == pieces { Ok(()) } else { Err(io::Error::other("a worker ended before its work was done")) }
}

/// The processors that this process may use.
fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    let all: Vec<_> = (0..CpuSet::count()).filter(|&n| allowed.is_set(n).unwrap_or(false)).collect();
    if all.is_empty() { vec![0] } else { all }
}

/// A forked child and what it has said so far; killed and reaped when dropped.
struct Worker {
    pid: Pid,
    reading: PipeReader,
    said: Vec<u8>,
    talks: bool,
}

impl Worker {
    fn start<R: Serialize>(
        processor: usize,
        next: &Page<AtomicUsize>,
        pieces: usize,
        work: &impl Fn(usize) -> R,
    ) -> io::Result<Self> {
        let (reading, writing) = io::pipe()?;
        // SAFETY: the callers have one thread, since their work forks, too; so no other one can hold a lock in the child.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self { pid: child, reading, said: Vec::new(), talks: true }),
            ForkResult::Child => {
                die_with_parent();
                drop(reading);
                stay_on(processor);
                exit(i32::from(toil(writing, next, pieces, work).is_err()))
            }
        }
    }

    /// What it says now: whole lines, each a piece and its result.
    fn hear<R: DeserializeOwned>(&mut self) -> io::Result<Vec<(usize, R)>> {
        if !readable(&self.reading)? {
            return Ok(Vec::new());
        }
        let mut buffer = [0; 1 << 16];
        let n = self.reading.read(&mut buffer)?;
        self.talks = n > 0;
        self.said.extend_from_slice(&buffer[..n]);
        let mut results = Vec::new();
        while let Some(end) = self.said.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.said.drain(..=end).collect();
            results.push(serde_json::from_slice(&line)?);
        }
        Ok(results)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A child of ours that is not reaped yet can be signalled and reaped.
        let _ = nix::sys::signal::kill(self.pid, nix::sys::signal::Signal::SIGKILL);
        while waitpid(self.pid, None) == Err(nix::Error::EINTR) {}
    }
}

/// The life of a worker.
fn toil<R: Serialize>(
    mut writing: PipeWriter,
    next: &Page<AtomicUsize>,
    pieces: usize,
    work: &impl Fn(usize) -> R,
) -> io::Result<()> {
    loop {
        let piece = next.fetch_add(1, SeqCst);
        if piece >= pieces {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&(piece, work(piece)))?;
        line.push(b'\n');
        writing.write_all(&line)?;
    }
}

fn stay_on(processor: usize) {
    let mut one = CpuSet::new();
    // Where that is refused, the work is slower and as good.
    let _ = one.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &one));
}

fn wait_for_any(workers: &[Worker]) -> io::Result<()> {
    let mut talking: Vec<_> = workers
        .iter()
        .filter(|worker| worker.talks)
        .map(|worker| PollFd::new(worker.reading.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut talking, PollTimeout::NONE) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn readable(reading: &PipeReader) -> io::Result<bool> {
    let mut one = [PollFd::new(reading.as_fd(), PollFlags::POLLIN)];
    match poll(&mut one, PollTimeout::ZERO) {
        Ok(n) => Ok(n > 0),
        Err(nix::Error::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
