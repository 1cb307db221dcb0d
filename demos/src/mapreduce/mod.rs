//! The two sides of the word count, and what they say to each other.
//!
//! # What is shared
//!
//! | object | type | who writes | what for |
//! |---|---|---|---|
//! | catalogue | `Array<u8>` | the parent, once | which files lie where on the line of bytes |
//! | ledger | `Array<Record>` | the parent | which range is what bytes, and who holds it |
//! | orders | a queue for each worker | the parent | take this range; your block is free again |
//! | block | `Array<u8>` for each worker | its worker | the counts that are published next |
//! | reports | one queue | all workers | a range is counted; my block is published |
//!
//! # A worker's life
//!
//! 1. It receives an order with a range, which the ledger already says is its own.
//! 2. It reads the range and counts its words in a table of its own.
//! 3. When the table is full, when it has read enough, or when no order waits, it locks its block, writes the table and
//!    what it covers into it, and unlocks it.
//! 4. It publishes the block by one send: the report. Now the words are counted, and the ranges done.
//! 5. It does not touch the block again until the parent has said that it is merged.
//!
//! # Death at step n
//!
//! | killed at | what is left | what the parent does |
//! |---|---|---|
//! | 1, 2 | ranges held by a dead worker | takes them back and gives them out again |
//! | 3 | the same, and a block with its lock held and half its bytes: `Inconsistent` | the same; `recover` discards the block |
//! | 4, before the send | the same, and a whole block that nobody was told about | the same; the next worker overwrites it |
//! | 4, after the send | a report in the queue | finds it before it takes back what the worker still holds. Should it come later, it is refused, since the ledger no longer names that worker |
//! | 5 | as at 1 and 2 | as at 1 and 2 |
//!
//! A worker that sees its queue of orders closed has nothing more to do; so it also ends when the parent has died.

mod input;
mod outcome;
mod parent;
mod worker;

pub use input::Input;
pub use outcome::{Event, Failed, Outcome};
pub use parent::{Options, count};

use ipc_core::plain;
use serde::{Deserialize, Serialize};

/// The parent to one worker.
#[plain(name = "mapreduce/order/1")]
#[derive(Debug)]
struct Order {
    /// `RANGE` or `MERGED`.
    kind: u32,
    /// The number of the range.
    range: u32,
    /// `SOON`, `STAND_STILL` or both.
    flags: u32,
}

impl Order {
    /// Count this range.
    const RANGE: u32 = 1;
    /// What was published is merged: the block is yours again.
    const MERGED: u32 = 2;

    /// Publish as soon as this range is counted: its last holder died, do not let it be lost again with others.
    const SOON: u32 = 1;
    /// Instead of publishing it, report `STANDING` and wait to be killed.
    const STAND_STILL: u32 = 2;
}

/// A worker to the parent.
#[plain(name = "mapreduce/report/1")]
#[derive(Debug)]
struct Report {
    /// Bytes of the block, for `PUBLISHED`.
    len: u64,
    /// The number of the worker.
    worker: u32,
    /// `COUNTED`, `PUBLISHED` or `STANDING`.
    kind: u32,
    /// The number of the range, for `COUNTED`.
    range: u32,
    padding: u32,
}

impl Report {
    /// A range is counted, but not published.
    const COUNTED: u32 = 1;
    /// The block is published: what it covers is done.
    const PUBLISHED: u32 = 2;
    /// The block is written and locked, and nothing more will happen.
    const STANDING: u32 = 3;
}

/// How much a worker may keep before it publishes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Share {
    /// Bytes of its block.
    block: usize,
    /// Bytes of its table.
    table: usize,
    /// Bytes of text, which are read again if it dies.
    text: u64,
}

impl Share {
    /// One of `workers` equal parts of 64 MiB for tables and 32 MiB for blocks. A block has room for what its table holds,
    /// unless its words are long.
    fn of(workers: u32) -> Share {
        let part = |mib: usize| (mib << 20) / workers as usize;
        Share { block: part(32).clamp(512 << 10, 16 << 20), table: part(64).clamp(1 << 20, 32 << 20), text: 256 << 20 }
    }
}
