//! `ipc_sync::RLock`: the verbs of a lock, and locking again.

use super::locked::{self, Scene};
use crate::registry::Registry;
use ipc_sync::RLock;

type Subject = Scene<RLock<[u64; 2]>>;

/// Adds it.
pub fn register(registry: &mut Registry) {
    let object = locked::object::<RLock<[u64; 2]>>()
        .operation("RLock::lock again", again)
        .operation("RLock::depth", |scene| _ = scene.pair.depth())
        .operation("RLock::is_owned", |scene| _ = scene.pair.is_owned())
        .operation("RLock::holder", |scene| _ = scene.pair.holder());
    registry.add(object);
}

/// XS04: three levels, of which the innermost writes.
fn again(scene: &mut Subject) {
    let (Ok(_outer), Ok(_middle)) = (scene.pair.lock(), scene.pair.lock()) else { return };
    scene.add(RLock::lock);
}
