//! The written format: every structure of this crate, and the numbers that mean something.

use super::{Record, Recorded};
use crate::cell::ValueState;
use crate::layout::entry::{self, EntryState};
use crate::layout::header::{self, HeaderState};
use crate::member::table::{self, MemberRow};
use crate::raw::{LockLine, WaitWord};
use crate::segment::DirectoryState;

/// The structures of this crate as they lie in shared memory, in the order of `docs/layout.md`.
pub const FORMAT: &[Record] = &[
    HeaderState::RECORD,
    DirectoryState::RECORD,
    MemberRow::RECORD,
    EntryState::RECORD,
    LockLine::RECORD,
    WaitWord::RECORD,
    ValueState::<u64>::RECORD,
];

/// The numbers of `docs/layout.md`: where the parts of a segment begin, and what is stored to say what something is.
pub const NUMBERS: &[(&str, u64)] = &[
    ("magic", header::MAGIC),
    ("version", header::VERSION as u64),
    ("endian", header::ENDIAN as u64),
    ("offset of the directory", header::DIRECTORY_AT),
    ("offset of the member rows", header::ROWS_AT),
    ("bytes of a member row", header::ROW_BYTES),
    ("most member rows", header::MAX_ROWS as u64),
    ("most buckets", header::MAX_BUCKETS as u64),
    ("unit of objects", header::GRAIN),
    ("unit of segments", header::PAGE),
    ("row FREE", table::FREE as u64),
    ("row TAKEN", table::TAKEN as u64),
    ("entry BUILDING", entry::BUILDING as u64),
    ("entry READY", entry::READY as u64),
    ("entry DESTROYED", entry::DESTROYED as u64),
    ("first row lock", header::ROW_LOCKS_AT),
    ("first repair lock", header::REPAIR_LOCKS_AT),
    ("gate lock", header::GATE_AT),
    ("unlink lock", header::UNLINK_AT),
    ("flag COLLECTED", header::COLLECTED as u64),
    ("flag OBSERVABLE", header::OBSERVABLE as u64),
];
