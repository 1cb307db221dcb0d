//! `AnonymousSemaphore` and `BinarySemaphore`: whoever dies, the count is that of some calls that came back and some that had
//! begun, and works.

use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::Segment;
use ipc_sync::{AnonymousSemaphore, BinarySemaphore, CountError};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

const BRIEF: Duration = Duration::from_micros(100);
const START: u32 = 2;

/// Adds both.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("AnonymousSemaphore", Scene::new, Scene::check)
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("AnonymousSemaphore::acquire", |scene| {
                scene.take(|count| if count.available() > 0 { count.acquire() } else { Err(CountError::WouldBlock) });
            })
            .operation("AnonymousSemaphore::try_acquire", |scene| scene.take(AnonymousSemaphore::try_acquire))
            .operation("AnonymousSemaphore::acquire_timeout", |scene| scene.take(|count| count.acquire_timeout(BRIEF)))
            .operation("AnonymousSemaphore::acquire_deadline", |scene| {
                scene.take(|count| count.acquire_deadline(Instant::now() + BRIEF));
            })
            .operation("AnonymousSemaphore::release", |scene| scene.give(1))
            .operation("AnonymousSemaphore::release_many", |scene| scene.give(3))
            .operation("AnonymousSemaphore::available", |scene| _ = scene.count.available())
            .case("AnonymousSemaphore::acquire_timeout", "of nothing", Scene::empty, |scene| {
                scene.take(|count| count.acquire_timeout(BRIEF));
            }),
    );
    registry.add(
        Object::new("BinarySemaphore", Turn::new, Turn::check)
            .memory(|turn| turn.view.digest())
            .case("BinarySemaphore::acquire", "of a turn that is there", Turn::new, |scene| _ = scene.turn.acquire())
            .operation("BinarySemaphore::try_acquire", |scene| _ = scene.turn.try_acquire())
            .operation("BinarySemaphore::acquire_timeout", |scene| _ = scene.turn.acquire_timeout(BRIEF))
            .operation("BinarySemaphore::acquire_deadline", |scene| {
                _ = scene.turn.acquire_deadline(Instant::now() + BRIEF)
            })
            .operation("BinarySemaphore::release", |scene| _ = scene.turn.release())
            .operation("BinarySemaphore::is_available", |scene| _ = scene.turn.is_available()),
    );
}

/// What was begun, and what came back.
#[derive(Debug, Default)]
struct Books {
    taken: [AtomicU32; 2],
    given: [AtomicU32; 2],
}

struct Scene {
    count: AnonymousSemaphore,
    view: View,
    books: Page<Books>,
}

impl Scene {
    fn new() -> Self {
        let segment = Segment::options().members(8).anonymous(4096).expect("a small segment");
        let count = AnonymousSemaphore::new_in(&segment, START).expect("room for a count");
        Self { count, view: View::of(&segment), books: Page::new(Books::default()) }
    }

    fn empty() -> Self {
        let scene = Self::new();
        (0..START).for_each(|_| scene.take(AnonymousSemaphore::try_acquire));
        scene
    }

    fn take(&self, take: impl FnOnce(&AnonymousSemaphore) -> Result<(), CountError>) {
        self.books.taken[0].fetch_add(1, SeqCst);
        match take(&self.count) {
            Ok(()) => _ = self.books.taken[1].fetch_add(1, SeqCst),
            Err(_) => _ = self.books.taken[0].fetch_sub(1, SeqCst),
        }
    }

    fn give(&self, n: u32) {
        self.books.given[0].fetch_add(n, SeqCst);
        if self.count.release_many(n).is_ok() {
            self.books.given[1].fetch_add(n, SeqCst);
        }
    }

    fn check_meanwhile(&mut self) -> Finding {
        // What it takes it gives back: the paused peer may be about to wait for it.
        let taken = [self.count.try_acquire(), self.count.acquire_timeout(BRIEF)];
        self.count.release_many(taken.iter().flatten().count() as u32).map_err(|e| Violation::broken(e.to_string()))?;
        Ok("came back".into())
    }

    fn check(&mut self) -> Finding {
        let [begun, done] = [0, 1].map(|n| (self.books.given[n].load(SeqCst), self.books.taken[n].load(SeqCst)));
        let (least, most) = ((START + done.0).saturating_sub(begun.1), START + begun.0 - done.1);
        let found = self.count.available();
        if !(least..=most).contains(&found) {
            return Err(Violation::lost(format!("the count is {found}, and {least} to {most} are right")));
        }
        self.count.release().map_err(|error| Violation::broken(error.to_string()))?;
        for _ in 0..=found {
            self.count.acquire().map_err(|error| Violation::broken(error.to_string()))?;
        }
        match self.count.acquire_timeout(BRIEF) {
            Err(CountError::Timeout) => Ok(format!("{found}").into()),
            other => Err(Violation::duplicated(format!("one more: {other:?}"))),
        }
    }
}

/// A turn that is available.
struct Turn {
    turn: BinarySemaphore,
    view: View,
}

impl Turn {
    fn new() -> Self {
        let turn = BinarySemaphore::new(true).expect("a turn");
        Self { view: View::of(turn.segment()), turn }
    }

    fn check(&mut self) -> Finding {
        let turn = &self.turn;
        let outcome = if turn.is_available() { "available" } else { "taken" };
        // Whether it was taken or not: now it is there.
        let _ = turn.release();
        turn.acquire().map_err(|error| Violation::broken(error.to_string()))?;
        match turn.try_acquire() {
            Err(CountError::WouldBlock) => Ok(outcome.into()),
            other => Err(Violation::duplicated(format!("a second turn: {other:?}"))),
        }
    }
}
