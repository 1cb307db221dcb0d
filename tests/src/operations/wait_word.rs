//! `raw::WaitWord`: whoever dies, a sleeper gets on, and the count of sleepers comes back to zero after a purge.

use super::wait_until_gone;
use crate::child::Child;
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use ipc_core::Deadline;
use ipc_core::raw::{Pause, WaitWord};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("WaitWord", Scene::new, Scene::check)
            .memory(|scene| {
                u64::from(scene.shared.word.waiters().count()) << 32 | u64::from(scene.shared.word.event().load(SeqCst))
            })
            .operation("WaitWord::notify", |scene| {
                scene.shared.ready.swap(1, SeqCst);
                scene.shared.word.notify(1);
            })
            .operation("WaitWord::notify_fenced", |scene| {
                scene.shared.ready.store(1, SeqCst);
                scene.shared.word.notify_fenced(1);
            })
            .operation("WaitWord::wake", |scene| {
                scene.shared.ready.store(1, SeqCst);
                scene.shared.word.wake(1);
            })
            .operation("Waiters::register", |scene| _ = scene.shared.word.waiters().register())
            .operation("Waiters::leave", |scene| {
                let registration = scene.shared.word.waiters().register();
                scene.shared.word.waiters().leave(registration);
            })
            .operation("WaitWord::purge", |scene| scene.shared.word.purge())
            .operation("WaitWord::sleep", |scene| {
                scene.shared.word.sleep(&mut Pause::new(), Deadline::PASSED, || false);
            }),
    );
}

struct Shared {
    word: WaitWord,
    ready: AtomicU32,
}

/// A word, and a live process that sleeps on it until the condition holds.
struct Scene {
    shared: Page<Shared>,
    sleeper: Child,
}

/// More than any scene registers, less than what an underflow leaves.
const FEW: u32 = 8;

impl Scene {
    fn new() -> Self {
        let shared = Page::new(Shared { word: WaitWord::new(), ready: AtomicU32::new(0) });
        let sleeper = Child::fork(|| {
            let mut pause = Pause::new();
            while shared.ready.load(SeqCst) == 0 {
                shared.word.sleep(&mut pause, Deadline::NEVER, || shared.ready.load(SeqCst) != 0);
            }
        });
        while shared.word.waiters().count() == 0 {
            std::thread::yield_now();
        }
        Self { shared, sleeper }
    }

    fn check(scene: &mut Self) -> Finding {
        let Shared { word, ready } = &*scene.shared;
        let sleepers = word.waiters().count();
        if sleepers > FEW {
            return Err(Violation::broken(format!("{sleepers} sleepers are counted")));
        }
        let outcome = if ready.swap(1, SeqCst) == 1 { "its condition had come" } else { "its condition came later" };
        word.notify(1);
        wait_until_gone(&scene.sleeper);
        word.purge();
        match word.waiters().count() {
            0 => Ok(outcome.into()),
            n => Err(Violation::leaked(format!("{n} sleepers are counted after a purge"))),
        }
    }
}
