//! `ipc_sync::Lock`: the verbs of the lock.

use super::locked;
use crate::registry::Registry;
use ipc_sync::Lock;

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(locked::object::<Lock<[u64; 2]>>());
}
