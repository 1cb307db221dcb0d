//! `Once` and `OnceValue`: whoever dies inside, the next one gets it done, and what is done is whole and stays.

use crate::child::{Child, die};
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::Segment;
use ipc_core::raw::Census;
use ipc_sync::{Once, OnceValue};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

const BRIEF: Duration = Duration::from_micros(100);

/// Adds both.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("Once", Scene::new, Scene::check)
            .arrive(Scene::register)
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("Once::call_once", |scene| scene.call(|once, init| once.call_once(init).is_ok()))
            .operation("Once::call_once_timeout", |scene| {
                scene.call(|once, init| once.call_once_timeout(init, BRIEF).is_ok());
            })
            .operation("Once::call_once_deadline", |scene| {
                scene.call(|once, init| once.call_once_deadline(init, Instant::now() + BRIEF).is_ok());
            })
            .operation("Once::call_once_with", |scene| {
                scene.call(|once, init| once.call_once_with(|_again| init()).is_ok());
            })
            .operation("Once::is_completed", |scene| _ = scene.once.is_completed())
            .operation("OnceValue::get", |scene| _ = scene.value.get())
            .operation("OnceValue::get_or_init", |scene| scene.make(|value, init| value.get_or_init(init).is_ok()))
            .operation("OnceValue::get_or_init_timeout", |scene| {
                scene.make(|value, init| value.get_or_init_timeout(init, BRIEF).is_ok());
            })
            .operation("OnceValue::get_or_init_deadline", |scene| {
                scene.make(|value, init| value.get_or_init_deadline(init, Instant::now() + BRIEF).is_ok());
            })
            .case("Once::call_once", "after a dead initialiser", Scene::after_a_death, |scene| {
                scene.call(|once, init| once.call_once(init).is_ok());
            })
            .case("OnceValue::get_or_init", "after a dead initialiser", Scene::after_a_death, |scene| {
                scene.make(|value, init| value.get_or_init(init).is_ok());
            }),
    );
}

/// What initialisers write down.
#[derive(Default)]
struct Books {
    /// Calls that came back: from then on nobody initialises.
    once_done: AtomicU32,
    value_done: AtomicU32,
}

struct Scene {
    once: Once,
    value: OnceValue<[u64; 3]>,
    books: Page<Books>,
    segment: Segment,
    view: View,
}

/// What the victim makes, and what a survivor does.
const VICTIMS: [u64; 3] = [5; 3];
const SURVIVORS: [u64; 3] = [7; 3];

impl Scene {
    fn new() -> Self {
        let segment = Segment::options().members(8).anonymous(8192).expect("a small segment");
        Self {
            once: Once::new_in(&segment).expect("a once fits"),
            value: OnceValue::new_in(&segment).expect("a value fits"),
            books: Page::books(Books::default()),
            view: View::of(&segment),
            segment,
        }
    }

    /// One has died in each initialiser.
    fn after_a_death() -> Self {
        let scene = Self::new();
        Child::fork(|| _ = scene.once.call_once(|| die())).wait();
        Child::fork(|| _ = scene.value.get_or_init(|| die())).wait();
        scene
    }

    fn register(&mut self) {
        self.segment.me().expect("a row is free");
    }

    fn call(&self, call: impl FnOnce(&Once, fn()) -> bool) {
        if call(&self.once, || ()) {
            self.books.once_done.store(1, SeqCst);
        }
    }

    fn make(&self, make: impl FnOnce(&OnceValue<[u64; 3]>, fn() -> [u64; 3]) -> bool) {
        if make(&self.value, || VICTIMS) {
            self.books.value_done.store(1, SeqCst);
        }
    }

    fn check_meanwhile(scene: &mut Self) -> Finding {
        let _snapshot = (scene.once.is_completed(), scene.value.get());
        let called = scene.once.call_once_timeout(|| (), Duration::from_millis(1)).is_ok();
        let value = scene.value.get_or_init_timeout(|| SURVIVORS, Duration::from_millis(1));
        match value {
            Ok(value) if ![VICTIMS, SURVIVORS].contains(&value) => Err(Violation::torn(format!("{value:?}"))),
            _ => Ok(if called { "done" } else { "being done" }.into()),
        }
    }

    fn check(scene: &mut Self) -> Finding {
        let (mut ran, mut made) = (false, false);
        let called = scene.once.call_once(|| ran = true);
        let value = scene.value.get_or_init(|| {
            made = true;
            SURVIVORS
        });
        let value = match (called, value) {
            (Ok(()), Ok(value)) => value,
            other => return Err(Violation::broken(format!("{other:?}"))),
        };
        let Books { once_done, value_done } = &*scene.books;
        if ran && once_done.load(SeqCst) == 1 || made && value_done.load(SeqCst) == 1 {
            return Err(Violation::duplicated("initialised again, and a call had come back"));
        }
        if ![VICTIMS, SURVIVORS].contains(&value) || made && value != SURVIVORS {
            return Err(Violation::torn(format!("{value:?}")));
        }
        let settled = (scene.once.is_completed(), scene.value.get(), scene.value.get_or_init(|| [9; 3]));
        if settled != (true, Some(value), Ok(value)) {
            return Err(Violation::broken(format!("{settled:?} after it was done")));
        }
        Ok(match (ran, made) {
            (false, false) => "both were done",
            (true, true) => "neither was done",
            _ => "one was done",
        }
        .into())
    }
}
