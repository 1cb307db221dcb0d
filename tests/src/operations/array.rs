//! `Array`: the verbs of the lock, and those that copy elements in and out.
//!
//! Elements are words, so one is replaced whole or not at all; several are told when half are.

use super::locked::{self, REPLACED, Scene};
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use ipc_core::raw::Census;
use ipc_core::{Array, AtomicArray};
use std::sync::atomic::Ordering::SeqCst;

type Words = Scene<Array<u64>>;

/// Adds `Array` and `AtomicArray`.
pub fn register(registry: &mut Registry) {
    registry.add(
        locked::object::<Array<u64>>()
            .operation("Array::get", |scene| drop(scene.pair.get(1)))
            .operation("Array::read", |scene| drop(scene.pair.read(0..2)))
            .operation("Array::to_vec", |scene| drop(scene.pair.to_vec()))
            .operation("Array::write", |scene: &mut Words| {
                scene.books.note_writer();
                if scene.pair.write(0, &[REPLACED; 2]).is_ok() {
                    scene.books.replaced.store(1, SeqCst);
                }
            }),
    );
    registry.add(
        Object::new("Array of one", Single::new, Single::check)
            .arrive(|single| _ = single.0.segment().me().expect("a row is free"))
            .operation("Array::set", |single| drop(single.0.set(0, 1)))
            .operation("Array::update", |single| drop(single.0.update(0, |word| *word += 1))),
    );
    registry.add(
        Object::new("AtomicArray", || AtomicArray::<u32>::new(2).expect("an array"), check_atomic)
            .operation("AtomicArray::deref", |array| _ = array[1].fetch_add(1, SeqCst)),
    );
}

/// An element of one word never leaves a mark.
struct Single(Array<u64>);

impl Single {
    fn new() -> Self {
        Self(Array::new(1).expect("an array"))
    }

    fn check(single: &mut Self) -> Finding {
        match single.0.get(0) {
            Ok(0) => Ok("old".into()),
            Ok(1 | 2) => Ok("new".into()),
            Ok(other) => Err(Violation::torn(format!("{other}"))),
            Err(error) => Err(Violation::broken(error.to_string())),
        }
    }
}

fn check_atomic(array: &mut AtomicArray<u32>) -> Finding {
    match (array[0].load(SeqCst), array[1].load(SeqCst)) {
        (0, 0) => Ok("not yet".into()),
        (0, 1 | 2) => Ok("added".into()),
        other => Err(Violation::torn(format!("{other:?}"))),
    }
}
