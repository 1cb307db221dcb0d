//! Moving over from the crates `shared_memory` and `raw_sync`: one counter under one mutex, which several processes add to,
//! first on those two, then on this library.
//!
//! ```text
//! cargo run -p ipc-sync --example migrate
//! ```
//!
//! | there | here |
//! |---|---|
//! | `ShmemConf::create`, then `Mutex::new` at an address, then a pointer behind it | [`Lock::new`] |
//! | the os id, in a link file or an argument | the ticket, in an argument |
//! | `ShmemConf::open`, then `Mutex::from_existing` at the same address, unchecked | [`Lock::attach`], checked |
//! | `**guard` through a cast pointer, `unsafe` | `*guard` |
//! | a holder that is killed holds for ever | the next one takes over, and is told |
//! | a creator that is killed leaves the object for ever | nothing has a name, nothing is left |
//!
//! A program that cannot change all of its processes at once keeps its os ids: see the feature `shared_memory` of `ipc-core`.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::{Child, Command};

const WORKERS: usize = 4;
const ROUNDS: u64 = 1000;
/// What both halves must come to.
pub const TOTAL: u64 = WORKERS as u64 * ROUNDS;

fn main() -> Result<(), Box<dyn Error>> {
    if work()? {
        return Ok(());
    }
    println!("shared_memory and raw_sync: {} of {TOTAL}", before::count()?);
    println!("ipc_sync::Lock:             {} of {TOTAL}", after::count()?);
    Ok(())
}

/// The whole program of a worker; false if this process is none.
pub fn work() -> Result<bool, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [half, os_id] if half == "work-before" => before::add(os_id)?,
        [half, ticket] if half == "work-after" => after::add(ticket)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Workers are this program again.
fn run_workers(half: &str, way: &str) -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let start = |_| Command::new(&program).args([half, way]).spawn();
    // All are waited for, whatever becomes of one.
    let workers: Vec<_> = (0..WORKERS).map(start).collect();
    let ended: Vec<_> = workers.into_iter().map(|worker| worker.and_then(|mut child: Child| child.wait())).collect();
    for status in ended {
        let status = status?;
        if !status.success() {
            return Err(format!("a worker ended with {status}").into());
        }
    }
    Ok(())
}

/// On `shared_memory` and `raw_sync`.
pub mod before {
    use super::{Error, ROUNDS, run_workers};
    use raw_sync::locks::{LockInit, Mutex};
    use shared_memory::{Shmem, ShmemConf};

    /// Where the counter lies: right behind the mutex. All must agree, and nobody checks.
    fn place(shmem: &Shmem) -> (*mut u8, *mut u8) {
        let mutex = shmem.as_ptr();
        (mutex, mutex.wrapping_add(Mutex::size_of(Some(mutex))))
    }

    /// Makes the counter, has it counted, and reads it.
    pub fn count() -> Result<u64, Box<dyn Error>> {
        let shmem = ShmemConf::new().size(4096).create()?;
        let (mutex, counter) = place(&shmem);
        // SAFETY: both lie in the mapping, which outlives the lock, and nobody else has it yet.
        let (lock, _) = unsafe { Mutex::new(mutex, counter) }?;
        run_workers("work-before", shmem.get_os_id())?;
        let guard = lock.lock()?;
        // SAFETY: a u64 in the mapping, aligned; whoever writes it holds the mutex.
        Ok(unsafe { guard.cast::<u64>().read() })
    }

    /// What each worker does.
    pub fn add(os_id: &str) -> Result<(), Box<dyn Error>> {
        let shmem = ShmemConf::new().os_id(os_id).open()?;
        let (mutex, counter) = place(&shmem);
        // SAFETY: both lie in the mapping, and the creator has made a mutex there, one hopes.
        let (lock, _) = unsafe { Mutex::from_existing(mutex, counter) }?;
        for _ in 0..ROUNDS {
            let guard = lock.lock()?;
            // SAFETY: a u64 in the mapping, aligned; the mutex is held.
            let counter = unsafe { &mut *guard.cast::<u64>() };
            *counter += 1;
        }
        Ok(())
    }
}

/// On this library.
pub mod after {
    use super::{Error, ROUNDS, run_workers};
    use ipc_core::Ticket;
    use ipc_sync::Lock;

    /// Makes the counter, has it counted, and reads it.
    pub fn count() -> Result<u64, Box<dyn Error>> {
        let counter = Lock::new(0u64)?;
        run_workers("work-after", &counter.ticket().to_string())?;
        Ok(*counter.lock()?)
    }

    /// What each worker does.
    pub fn add(ticket: &str) -> Result<(), Box<dyn Error>> {
        let counter = Lock::<u64>::attach(&ticket.parse::<Ticket>()?)?;
        for _ in 0..ROUNDS {
            *counter.lock()? += 1;
        }
        Ok(())
    }
}
