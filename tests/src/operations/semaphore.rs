//! `Semaphore` and `BoundedSemaphore`: whoever dies, there are exactly as many permits as there should be, all of them can be
//! had, and sleepers get on.
//!
//! What a check demands, once nobody but the survivor lives: it gets at least as many permits as there were, less those whose
//! forgetting had begun, plus those whose addition had come back; at most the other way round; then there is room for exactly
//! the rest of the maximum.

use crate::child::{Child, Step, die};
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::suites::semaphore::{PERMITS, Semaphores};
use crate::view::View;
use ipc_core::Segment;
use ipc_core::raw::Census;
use ipc_sync::{AcquireError, AddError, BoundedSemaphore, Permit, Semaphore};
use nix::sys::signal::Signal;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long a survivor waits at most for a permit; it does come within 100 ms.
const SOON: Duration = Duration::from_secs(15);
/// Time-out of timed verbs: short, for it passes where a verb waits in vain.
const BRIEF: Duration = Duration::from_micros(100);

/// Adds both.
pub fn register(registry: &mut Registry) {
    registry.add(object::<Semaphore>());
    registry.add(object::<BoundedSemaphore>());
    registry.add(
        Object::new("Semaphore of many", Scene::of_many, Scene::check)
            .arrive(Scene::register)
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("Semaphore::acquire", |scene| drop(scene.one().map(|_| scene.semaphore.acquire())))
            .operation("Semaphore::try_acquire_many", |scene| drop(scene.semaphore.try_acquire_many(PERMITS)))
            .operation("Permit::forget", Scene::forget)
            .operation("Semaphore::add_permits", Scene::add)
            .case("Semaphore::acquire", "of the dead", Scene::of_many_after_a_dead_holder, |scene| {
                drop(scene.semaphore.acquire());
            }),
    );
    registry.add(
        Object::new("Semaphore, sleeper", Sleeping::new, Sleeping::check)
            .arrive(Sleeping::arrive)
            .case("Permit::drop", "to a sleeper", Sleeping::new, |scene| scene.held = None)
            .case("Semaphore::add_permits", "to a sleeper", Sleeping::new, |scene| {
                drop(scene.semaphore.add_permits(1))
            }),
    );
}

fn object<S: Semaphores>() -> Object<Scene<S>> {
    let name = |verb: &str| format!("{}::{verb}", S::NAME);
    Object::new(S::NAME, Scene::<S>::new, Scene::check)
        .arrive(Scene::register)
        .memory(|scene| scene.view.digest())
        .meanwhile(Scene::check_meanwhile)
        .operation(name("acquire"), |scene| drop(scene.one().map(|_| scene.semaphore.acquire())))
        .operation(name("try_acquire"), |scene| drop(scene.semaphore.try_acquire()))
        .operation(name("acquire_timeout"), |scene| drop(scene.semaphore.acquire_timeout(BRIEF)))
        .operation(name("acquire_deadline"), |scene| drop(scene.semaphore.acquire_deadline(Instant::now() + BRIEF)))
        // Others may have forgotten all but one: more would wait for ever.
        .operation(name("acquire_many"), |scene| drop(scene.one().map(|_| scene.semaphore.acquire_many(1))))
        .operation(name("try_acquire_many"), |scene| drop(scene.semaphore.try_acquire_many(PERMITS)))
        .operation(name("acquire_many_timeout"), |scene| drop(scene.semaphore.acquire_many_timeout(PERMITS, BRIEF)))
        .operation("Permit::forget", Scene::forget)
        .operation(name("add_permits"), Scene::add)
        .operation(name("available"), |scene| _ = scene.semaphore.available())
        .case(name("acquire"), "of the dead", Scene::after_a_dead_holder, |scene| drop(scene.semaphore.acquire()))
        .case(name("acquire_many"), "of the dead", Scene::after_a_dead_holder, |scene| {
            drop(scene.semaphore.acquire_many(PERMITS));
        })
        .case(name("acquire_timeout"), "while all are held", Scene::held, |scene| {
            drop(scene.semaphore.acquire_timeout(Duration::from_micros(1)));
        })
        .case(name("acquire_many_timeout"), "while one is held", Scene::one_held, |scene| {
            drop(scene.semaphore.acquire_many_timeout(PERMITS, Duration::from_micros(1)));
        })
        .case(name("add_permits"), "with room", Scene::with_room, Scene::add)
}

/// What was begun and what came back.
#[derive(Debug, Default)]
struct Books {
    added: [AtomicU32; 2],
    forgotten: [AtomicU32; 2],
}

struct Scene<S> {
    semaphore: S,
    segment: Segment,
    view: View,
    books: Page<Books>,
    /// Somebody alive who holds permits until it is killed.
    holder: Option<Child>,
}

impl<S: Semaphores> Scene<S> {
    /// All permits are free.
    fn new() -> Self {
        Self::with(S::make_in)
    }

    fn with(make: impl FnOnce(&Segment) -> S) -> Self {
        let segment = Segment::options().members(8).anonymous(4096).expect("a small segment");
        let semaphore = make(&segment);
        Self { semaphore, view: View::of(&segment), segment, books: Page::new(Books::default()), holder: None }
    }

    fn register(&mut self) {
        self.segment.me().expect("a row is free");
    }

    fn after_a_dead_holder() -> Self {
        Self::new().once_a_holder_died()
    }

    fn once_a_holder_died(self) -> Self {
        let scene = self;
        let deed = || {
            let _held = scene.semaphore.acquire_many(PERMITS);
            die()
        };
        Child::fork(deed).wait();
        scene
    }

    fn held() -> Self {
        Self::held_by_a_child(PERMITS)
    }

    fn one_held() -> Self {
        Self::held_by_a_child(1)
    }

    fn held_by_a_child(n: u32) -> Self {
        let scene = Self::new();
        let holds = Step::new();
        let holder = Child::fork(|| {
            let _held = scene.semaphore.acquire_many(n);
            holds.reach();
            loop {
                nix::unistd::pause();
            }
        });
        holds.wait();
        Self { holder: Some(holder), ..scene }
    }

    fn with_room() -> Self {
        let mut scene = Self::new();
        scene.forget();
        scene.forget();
        scene
    }

    /// Something, if a permit is free: else a plain `acquire` might wait for ever.
    fn one(&self) -> Option<()> {
        (self.semaphore.available() > 0).then_some(())
    }

    fn forget(&mut self) {
        if let Ok(permit) = self.semaphore.try_acquire() {
            self.books.forgotten[0].fetch_add(1, SeqCst);
            Permit::forget(permit);
            self.books.forgotten[1].fetch_add(1, SeqCst);
        }
    }

    fn add(&mut self) {
        self.books.added[0].fetch_add(2, SeqCst);
        match self.semaphore.add_permits(2) {
            Ok(()) => _ = self.books.added[1].fetch_add(2, SeqCst),
            Err(_) => _ = self.books.added[0].fetch_sub(2, SeqCst),
        }
    }

    /// While a peer is paused: nothing that does not wait, or not for ever, hangs or fails.
    fn check_meanwhile(&mut self) -> Finding {
        drop(self.semaphore.try_acquire());
        match self.semaphore.acquire_timeout(Duration::from_millis(1)) {
            Ok(_) if self.semaphore.available() >= self.semaphore.maximum() => Err(Violation::broken("taken and free")),
            Ok(_) => Ok("free".into()),
            Err(AcquireError::Timeout) => Ok("held".into()),
            Err(error) => Err(Violation::broken(error.to_string())),
        }
    }

    fn check(&mut self) -> Finding {
        if let Some(holder) = &self.holder {
            holder.signal(Signal::SIGKILL);
        }
        let [begun, done] = [0, 1].map(|n| (self.books.added[n].load(SeqCst), self.books.forgotten[n].load(SeqCst)));
        let (least, most) = ((PERMITS + done.0).saturating_sub(begun.1), PERMITS + begun.0 - done.1);
        let mut held = Vec::new();
        while held.len() < least as usize {
            let permit = self.semaphore.acquire_timeout(SOON).map_err(|error| {
                Violation::leaked(format!("{error}: {} of {least} permits, {:?}", held.len(), self.semaphore))
            })?;
            held.push(permit);
        }
        // In vain, it asks about every holder.
        held.extend(std::iter::from_fn(|| self.semaphore.acquire_timeout(Duration::ZERO).ok()).take(16));
        if held.len() > most as usize {
            return Err(Violation::duplicated(format!("{} permits, at most {most} are right", held.len())));
        }
        let room = self.semaphore.maximum() - held.len() as u32;
        let full = self.semaphore.add_permits(room + 1);
        if full != Err(AddError::Full { asked: room + 1, room }) {
            return Err(Violation::broken(format!("{full:?}, and there is room for {room}")));
        }
        self.semaphore.add_permits(room).map_err(|error| Violation::leaked(error.to_string()))?;
        let outcome = format!("{} permits", held.len());
        drop(held);
        match self.semaphore.acquire_many_timeout(self.semaphore.maximum(), SOON) {
            Ok(all) if all.len() as u32 == self.semaphore.maximum() && self.semaphore.available() == 0 => {
                Ok(outcome.into())
            }
            Ok(_) => Err(Violation::duplicated("more than the maximum")),
            Err(error) => Err(Violation::leaked(error.to_string())),
        }
    }
}

impl Scene<Semaphore> {
    /// As few permits in a table so large that it has signs.
    fn of_many() -> Self {
        Self::with(|segment| Semaphore::new_in(segment, PERMITS, 70).expect("room for a semaphore"))
    }

    fn of_many_after_a_dead_holder() -> Self {
        Self::of_many().once_a_holder_died()
    }
}

/// One permit, held by the victim, and a live process that sleeps until it gets one.
///
/// 1. `semaphore` is what `boxed` points to, and only `held` borrows it for longer than a call.
struct Sleeping {
    semaphore: &'static Semaphore,
    boxed: NonNull<Semaphore>,
    held: Option<Permit<'static>>,
    sleeper: Child,
}

impl Sleeping {
    fn new() -> Self {
        let boxed = NonNull::from(Box::leak(Box::new(Semaphore::new(1, 2).expect("a semaphore"))));
        // SAFETY: leaked just now, and freed by `drop` alone.
        let semaphore: &'static Semaphore = unsafe { boxed.as_ref() };
        let sleeper = Child::fork(|| {
            while semaphore.available() > 0 {
                std::thread::yield_now();
            }
            drop(semaphore.acquire());
        });
        Self { semaphore, boxed, held: None, sleeper }
    }

    fn arrive(&mut self) {
        self.held = Some(self.semaphore.acquire().expect("the permit"));
        while !format!("{:?}", self.semaphore).contains("waiters: 1") {
            std::thread::yield_now();
        }
    }

    /// The permit comes, by the victim or by its death.
    fn check(&mut self) -> Finding {
        crate::operations::wait_until_gone(&self.sleeper);
        match self.semaphore.acquire_timeout(SOON) {
            Ok(_) => Ok("the sleeper got on".into()),
            Err(error) => Err(Violation::leaked(error.to_string())),
        }
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.held = None;
        // SAFETY: invariant 1, and `held` has just ended.
        drop(unsafe { Box::from_raw(self.boxed.as_ptr()) });
    }
}
