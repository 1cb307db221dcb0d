//! `Value`: the verbs of the lock, and those that read and replace the value as a whole.

use super::locked::{self, REPLACED, Scene};
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use ipc_core::{AtomicValue, Deadline, Value};
use std::sync::atomic::Ordering::SeqCst;

type Words = Scene<Value<[u64; 2]>>;

/// Adds `Value` and `AtomicValue`.
pub fn register(registry: &mut Registry) {
    registry.add(
        locked::object::<Value<[u64; 2]>>()
            .operation("Value::get", |scene| drop(scene.pair.get()))
            .operation("Value::get_by", |scene| drop(scene.pair.get_by(Deadline::PASSED)))
            .operation("Value::set", |scene: &mut Words| {
                if scene.pair.set([REPLACED; 2]).is_ok() {
                    scene.books.replaced.store(1, SeqCst);
                }
            })
            .operation("Value::update", |scene| {
                scene.books.begin();
                if scene.pair.update(|words| words.iter_mut().for_each(|word| *word += 1)).is_ok() {
                    scene.books.end();
                }
            }),
    );
    registry.add(
        Object::new("AtomicValue", || AtomicValue::new(0u64).expect("a value"), check_atomic)
            .memory(|value| value.load(SeqCst))
            .operation("AtomicValue::deref", |value| _ = value.fetch_add(1, SeqCst)),
    );
}

fn check_atomic(value: &mut AtomicValue<u64>) -> Finding {
    match value.load(SeqCst) {
        0 => Ok("not yet".into()),
        1 | 2 => Ok("added".into()),
        other => Err(Violation::torn(format!("{other}"))),
    }
}
