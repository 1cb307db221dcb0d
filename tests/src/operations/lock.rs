//! `ipc_sync::Lock`: the verbs of the lock.

use super::locked::{self, pair};
use crate::registry::Registry;
use ipc_core::LockError;
use ipc_core::raw::Guard;
use ipc_sync::Lock;
use std::time::{Duration, Instant};

pair!(Lock<[u64; 2]>, [u64; 2], "Lock", |segment| Lock::new_in(segment, [0; 2]));

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(locked::object::<Lock<[u64; 2]>>());
}
