//! How the primitives of this crate are written, and how they are described.

use crate::{LockState, RLockState};
use ipc_core::inspect::{Body, Describer, Record, Recorded, Sheet, lock_line};
use ipc_core::raw::Kind;

/// Structures of this crate as they lie in shared memory.
pub const FORMAT: &[Record] = &[<LockState<u64> as Recorded>::RECORD, <RLockState<u64> as Recorded>::RECORD];

/// What [`Inspector::with`](ipc_core::inspect::Inspector::with) needs to describe the kinds of this crate; `Lock` it knows already.
pub const DESCRIBERS: &[Describer] = &[Describer { kind: Kind::RLOCK, describe: rlock }];

fn rlock(body: &Body<'_>, sheet: &mut Sheet) {
    lock_line(body, 0, sheet);
    let depth = RLockState::<u64>::RECORD.fields.iter().find(|field| field.name == "depth");
    // Its holder writes it: without one it means nothing.
    if let Some(depth) = depth
        && sheet.get("lock").is_some_and(|lock| lock.starts_with("held"))
    {
        sheet.fact("depth", body.u32(depth.offset as u64));
    }
}
