//! `Event`: whoever dies, sleepers get through as soon as it was set, and an automatic one is taken once or not at all.

use super::wait_until_gone;
use crate::child::Child;
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::Segment;
use ipc_core::raw::Waitable;
use ipc_sync::{Event, EventError, Reset};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

const BRIEF: Duration = Duration::from_micros(100);
const SOON: Duration = Duration::from_secs(15);

/// Adds the event of either kind.
pub fn register(registry: &mut Registry) {
    let manual = || Scene::new(Reset::Manual);
    registry.add(
        verbs(Object::new("Event", manual, Scene::check))
            .operation("Event::reset", |scene| _ = scene.event.reset())
            .case("Event::wait", "while it is set", manual, |scene| {
                scene.event.set();
                _ = scene.event.wait();
            }),
    );
    registry.add(verbs(Object::new("Event, automatic", || Scene::new(Reset::Auto), Scene::check)));
    registry.add(
        Object::new("Event, one to take", Single::new, Single::check)
            .memory(|single| single.view.digest())
            .case("Event::wait", "while it is set", Single::new, |single| single.take(Event::wait))
            .operation("Event::wait_timeout", |single| single.take(|event| event.wait_timeout(BRIEF)))
            .operation("Event::clear", |single| single.event.clear()),
    );
}

fn verbs(object: Object<Scene>) -> Object<Scene> {
    object
        .memory(|scene| scene.view.digest())
        .meanwhile(|scene| {
            let set = scene.event.is_set();
            _ = scene.event.wait_timeout(BRIEF);
            Ok(if set { "set" } else { "not set" }.into())
        })
        .operation("Event::set", |scene| {
            scene.event.set();
            scene.set.store(1, SeqCst);
        })
        .operation("Event::clear", |scene| scene.event.clear())
        .operation("Event::wait_timeout", |scene| _ = scene.event.wait_timeout(BRIEF))
        .operation("Event::wait_deadline", |scene| _ = scene.event.wait_deadline(Instant::now() + BRIEF))
        .operation("Event::is_set", |scene| _ = scene.event.is_set())
}

/// An event that is not set, and a live process that sleeps until it is.
struct Scene {
    event: Event,
    view: View,
    sleeper: Child,
    /// Somebody's `set` has come back.
    set: Page<AtomicU32>,
}

impl Scene {
    fn new(reset: Reset) -> Self {
        let segment = Segment::options().members(8).anonymous(4096).expect("a small segment");
        let event = Event::new_in(&segment, reset).expect("room for an event");
        let sleeper = Child::fork(|| _ = event.wait());
        while event.wait_word().waiters().count() == 0 {
            std::thread::yield_now();
        }
        Self { event, view: View::of(&segment), sleeper, set: Page::new(AtomicU32::new(0)) }
    }

    fn check(&mut self) -> Finding {
        let event = &self.event;
        // A manual one lets every sleeper through, once set, whatever came after; of an automatic one somebody else may
        // have taken what was set.
        let told = self.set.load(SeqCst) == 1 && event.reset() == Reset::Manual;
        if !told {
            event.set();
        }
        wait_until_gone(&self.sleeper);
        event.clear();
        if event.is_set() || event.wait_timeout(Duration::ZERO) != Err(EventError::Timeout) {
            return Err(Violation::broken("set after a clear"));
        }
        event.set();
        event.wait_timeout(SOON).map_err(|error| Violation::lost(error.to_string()))?;
        match (event.reset(), event.is_set()) {
            (Reset::Manual, true) | (Reset::Auto, false) => Ok(if told { "told" } else { "not yet set" }.into()),
            (reset, set) => Err(Violation::broken(format!("{reset:?}, and after a wait it is set: {set}"))),
        }
    }
}

/// An automatic event that is set, for one to take.
struct Single {
    event: Event,
    view: View,
    taken: Page<AtomicU32>,
}

impl Single {
    fn new() -> Self {
        let event = Event::new(Reset::Auto).expect("an event");
        event.set();
        Self { view: View::of(event.segment()), event, taken: Page::new(AtomicU32::new(0)) }
    }

    fn take(&self, take: impl FnOnce(&Event) -> Result<(), EventError>) {
        if take(&self.event).is_ok() {
            self.taken.fetch_add(1, SeqCst);
        }
    }

    fn check(&mut self) -> Finding {
        let taken = self.taken.load(SeqCst);
        let mine = self.event.wait_timeout(Duration::ZERO).is_ok();
        if self.event.wait_timeout(Duration::ZERO).is_ok() {
            return Err(Violation::duplicated("taken twice by the survivor"));
        }
        match (taken, mine) {
            (0, true) => Ok("still there".into()),
            (0, false) => Ok("taken by the dead, or cleared".into()),
            (1, false) => Ok("taken".into()),
            (taken, mine) => Err(Violation::duplicated(format!("taken {taken} times, and by the survivor: {mine}"))),
        }
    }
}
