//! A user of ipc-queue alone.

use ipc_queue::{bounded, plain};
use std::error::Error;
use std::thread;

#[plain]
#[derive(Debug, PartialEq)]
struct Job {
    id: u64,
    tries: u8,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (tx, rx) = bounded::<Job>(4)?;
    let worker = thread::spawn(move || rx.iter().map(|job| job.id).sum::<u64>());
    for id in 1..=100 {
        tx.send(Job { id, tries: 0 })?;
    }
    drop(tx);
    assert_eq!(worker.join().expect("the worker"), 5050);
    println!("ipc-queue alone: ok");
    Ok(())
}
