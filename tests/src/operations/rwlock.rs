//! `ipc_sync::RwLock`: its writers have the verbs of a lock; here are readers, upgradable holders and transitions.

use super::locked::{self, Scene};
use crate::registry::{Object, Registry};
use ipc_sync::{ReadGuard, RwLock, UpgradableGuard, WriteGuard};
use std::time::Duration;

type Subject = Scene<RwLock<[u64; 2]>>;

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(transitions(readers(locked::object())));
}

fn readers(object: Object<Subject>) -> Object<Subject> {
    object
        .operation("RwLock::read", |scene| drop(scene.pair.read()))
        .operation("RwLock::try_read", |scene| drop(scene.pair.try_read()))
        .operation("RwLock::read_timeout", |scene| drop(scene.pair.read_timeout(Duration::from_millis(1))))
        .operation("RwLock::upgradable", |scene| drop(scene.pair.upgradable()))
        .operation("RwLock::try_upgradable", |scene| drop(scene.pair.try_upgradable()))
        .operation("RwLock::readers", |scene| _ = scene.pair.readers())
        .operation("RwLock::holder", |scene| _ = scene.pair.holder())
        .case("RwLock::write", "of a dead sharer", after_a_dead_sharer, |scene| scene.add(RwLock::write))
        .case("RwLock::try_write", "of a dead sharer", after_a_dead_sharer, |scene| scene.add(RwLock::try_write))
        .case("RwLock::read", "of a dead reader", Scene::after_a_dead_reader, |scene| drop(scene.pair.read()))
        .case("RwLock::read", "of a dead writer", Scene::after_a_dead_writer, |scene| drop(scene.pair.read()))
        .case("RwLock::upgradable", "of a dead writer", Scene::after_a_dead_writer, |scene| {
            drop(scene.pair.upgradable())
        })
        .case("RwLock::read_timeout", "while held", Scene::held, |scene| {
            drop(scene.pair.read_timeout(Duration::from_micros(1)));
        })
}

fn transitions(object: Object<Subject>) -> Object<Subject> {
    object
        .operation("WriteGuard::downgrade", |scene| {
            written(scene, |guard| drop(WriteGuard::downgrade(guard)));
        })
        .operation("WriteGuard::downgrade_to_upgradable", |scene| {
            written(scene, |guard| drop(WriteGuard::downgrade_to_upgradable(guard)));
        })
        .operation("UpgradableGuard::upgrade", |scene| {
            scene.add(|lock| UpgradableGuard::upgrade(lock.upgradable()?));
        })
        .operation("UpgradableGuard::try_upgrade", |scene| {
            if let Ok(guard) = scene.pair.upgradable() {
                scene.add(|_| UpgradableGuard::try_upgrade(guard).map_err(|_| ipc_core::LockError::WouldBlock));
            }
        })
        .operation("UpgradableGuard::downgrade", |scene| {
            if let Ok(guard) = scene.pair.upgradable() {
                drop(UpgradableGuard::downgrade(guard));
            }
        })
        .operation("ReadGuard::try_upgradable", |scene| {
            if let Ok(guard) = scene.pair.read() {
                drop(ReadGuard::try_upgradable(guard));
            }
        })
        .operation("ReadGuard::try_upgrade", |scene| {
            if let Ok(guard) = scene.pair.read() {
                scene.add(|_| ReadGuard::try_upgrade(guard).map_err(|_| ipc_core::LockError::WouldBlock));
            }
        })
}

/// Adds, and then lets go as `leave` does.
fn written<'a>(scene: &'a Subject, leave: impl FnOnce(WriteGuard<'a, [u64; 2]>)) {
    scene.books.begin();
    if let Ok(mut guard) = scene.pair.write() {
        scene.books.note_writer();
        guard.iter_mut().for_each(|word| *word += 1);
        leave(guard);
        scene.books.end();
    }
}

/// Somebody read, somebody was upgradable, and both were killed.
fn after_a_dead_sharer() -> Subject {
    let scene = Scene::new();
    let read = |scene: &Subject| {
        let _held = scene.pair.read();
        crate::child::die()
    };
    let share = |scene: &Subject| {
        let _held = scene.pair.upgradable();
        let _also = scene.pair.read();
        crate::child::die()
    };
    scene.after(read).after(share)
}
