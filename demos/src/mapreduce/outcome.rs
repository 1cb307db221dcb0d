//! What comes of a run: its outcome, what is told meanwhile, and why there may be none.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::block::{BlockError, Reason};
use crate::catalogue::CatalogueError;
use crate::ledger::Refused;
use crate::totals::Totals;

/// What was counted.
#[derive(Default)]
pub struct Outcome {
    /// The words.
    pub totals: Totals,
    /// How many words there are, repetitions counted.
    pub words: u64,
    /// Bytes that were to be read.
    pub bytes: u64,
    /// The files that held invalid UTF-8, by their numbers in the catalogue.
    pub lossy: BTreeSet<u32>,
    /// The files that could not be read, or not to their end; the rest of them is counted.
    pub unreadable: Vec<(PathBuf, Reason)>,
    /// Workers that were reaped with signal 9.
    pub killed: u32,
}

/// What happens meanwhile.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// So many bytes are counted; fewer than before if their worker died.
    Counted(u64),
    /// A worker died before its work was done, and another takes its place.
    Died {
        /// Its name.
        name: String,
        /// Its pid.
        pid: u32,
        /// How it ended.
        how: String,
        /// How many ranges it held, which are given out again.
        ranges: usize,
    },
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// Shared memory could not be set up.
    #[error("setting up shared memory: {0}")]
    Core(#[from] ipc_core::Error),
    /// The ledger could not be written.
    #[error("the ledger: {0}")]
    Ledger(#[from] ipc_core::ArrayError),
    /// A block or the catalogue could not be locked.
    #[error("a shared array: {0}")]
    Lock(#[from] ipc_core::LockError),
    /// No endpoint of the queue of reports for another worker.
    #[error("the queue of reports: {0}")]
    Endpoint(#[from] ipc_queue::EndpointError),
    /// No report could be received.
    #[error("receiving a report: {0}")]
    Report(ipc_queue::RecvTimeoutError),
    /// An order could not be sent.
    #[error("sending an order: {0}")]
    Order(Box<dyn std::error::Error + Send + Sync>),
    /// A worker could not be started.
    #[error("starting a worker: {0}")]
    Spawn(#[from] ipc_process::SpawnError),
    /// A worker could not be killed.
    #[error("killing a worker: {0}")]
    Kill(#[from] ipc_process::SignalError),
    /// A worker could not be waited for.
    #[error("waiting for a worker: {0}")]
    Wait(#[from] ipc_process::WaitError),
    /// There is too much input, or the catalogue was damaged.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// What a worker published is no block.
    #[error("what worker {worker} published: {source}")]
    Block {
        /// The number of the worker.
        worker: u32,
        /// What is wrong.
        source: BlockError,
    },
    /// A worker published what it does not hold.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many workers died in a row; trying on would not end.
    #[error("{deaths} workers died one after the other, and none published anything; the last one {last}")]
    TooManyDeaths {
        /// How many.
        deaths: u32,
        /// How the last one ended.
        last: String,
    },
    /// The program's check of its own result: the final table does not hold what was published.
    #[error("the counts of all words add up to {sum}, but {words} words were published")]
    WrongSum {
        /// What was published.
        words: u64,
        /// What the table holds.
        sum: u64,
    },
}
