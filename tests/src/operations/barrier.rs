//! `Barrier` for three: two live processes wait at it, again and again; the victim is the third.
//!
//! What a check demands: the two pass equally often, but for a turn that the survivor took, or both are told; a third that comes now passes with them, or is told
//! within the bound; after a reset all pass.

use crate::child::Child;
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::Segment;
use ipc_core::raw::Census;
use ipc_sync::{Barrier, BarrierError, Breach};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long a survivor waits at most for the others. They do come, or it is told, within 100 ms; on a busy machine, later.
const SOON: Duration = Duration::from_secs(2);
const BRIEF: Duration = Duration::from_micros(100);

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("Barrier", Scene::new, Scene::check)
            .arrive(Scene::register)
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("Barrier::wait", |scene| _ = scene.barrier.wait())
            .operation("Barrier::wait_timeout", |scene| _ = scene.barrier.wait_timeout(SOON))
            .operation("Barrier::wait_deadline", |scene| _ = scene.barrier.wait_deadline(Instant::now() + SOON))
            .operation("Barrier::wait_with", |scene| _ = scene.barrier.wait_with(|| ()))
            .operation("Barrier::wait_with_timeout", |scene| _ = scene.barrier.wait_with_timeout(|| (), SOON))
            .operation("Barrier::wait_with_deadline", |scene| {
                _ = scene.barrier.wait_with_deadline(|| (), Instant::now() + SOON);
            })
            .operation("Barrier::reset", |scene| _ = scene.barrier.reset())
            .operation("Barrier::parties", |scene| _ = scene.barrier.parties())
            .operation("Barrier::n_waiting", |scene| _ = scene.barrier.n_waiting())
            .operation("Barrier::is_broken", |scene| _ = scene.barrier.is_broken())
            .operation("Barrier::breach", |scene| _ = scene.barrier.breach())
            .operation("Barrier::abort", |scene| _ = scene.barrier.abort())
            .case("Barrier::wait_timeout", "in vain", Scene::alone, |scene| _ = scene.barrier.wait_timeout(BRIEF))
            .case("Barrier::wait_timeout", "for a dead party", Scene::beside_the_dead, |scene| {
                _ = scene.barrier.wait_timeout(SOON);
            })
            .case("Barrier::reset", "of a broken one", Scene::broken, |scene| _ = scene.barrier.reset()),
    );
}

/// What the two write down.
#[derive(Default)]
struct Books {
    passes: [AtomicU32; 2],
    told: [AtomicU32; 2],
}

struct Scene {
    barrier: Barrier,
    books: Page<Books>,
    /// Processes stay parties as long as they live.
    others: Vec<Child>,
    segment: Segment,
    view: View,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self::alone();
        scene.start_both();
        scene.until(|scene| scene.barrier.n_waiting() == 2);
        scene
    }

    fn alone() -> Self {
        let segment = Segment::options().members(16).anonymous(8192).expect("a small segment");
        Self {
            barrier: Barrier::new_in(&segment, 3).expect("a barrier fits"),
            books: Page::books(Books::default()),
            others: Vec::new(),
            view: View::of(&segment),
            segment,
        }
    }

    /// A party has died waiting.
    fn beside_the_dead() -> Self {
        let scene = Self::alone();
        let mut dead = Child::fork(|| _ = scene.barrier.wait());
        scene.until(|scene| scene.barrier.n_waiting() == 1);
        dead.kill();
        scene
    }

    /// Two wait, and one of them is told before the other.
    fn broken() -> Self {
        let scene = Self::beside_the_dead();
        scene.barrier.abort().expect("a barrier in order");
        scene
    }

    fn register(&mut self) {
        self.segment.me().expect("a row is free");
    }

    fn start_both(&mut self) {
        for number in 0..2 {
            self.books.told[number].store(0, SeqCst);
            let child = Child::fork(|| self.pass_until_told(number));
            self.others.push(child);
        }
    }

    /// The life of one of the two.
    fn pass_until_told(&self, number: usize) {
        loop {
            match self.barrier.wait() {
                Ok(_) => _ = self.books.passes[number].fetch_add(1, SeqCst),
                Err(BarrierError::Broken(Breach::Reset)) => {}
                Err(BarrierError::Broken(_)) => break,
                Err(error) => panic!("one of the two: {error}"),
            }
        }
        self.books.told[number].store(1, SeqCst);
        loop {
            nix::unistd::pause();
        }
    }

    fn until(&self, mut done: impl FnMut(&Self) -> bool) {
        while !done(self) {
            std::thread::yield_now();
        }
    }

    fn told(&self) -> u32 {
        self.books.told.iter().map(|told| told.load(SeqCst)).sum()
    }

    /// Both passed as often, or one of them once more: where the other is slow to come back, the survivor, a fourth party for
    /// three places, has taken its turn, and the arrival of the dead one counted before its death was noticed.
    fn passed_alike(&self) -> bool {
        self.books.passes[0].load(SeqCst).abs_diff(self.books.passes[1].load(SeqCst)) <= 1
    }

    fn check_meanwhile(scene: &mut Self) -> Finding {
        let _snapshots = (scene.barrier.n_waiting(), scene.barrier.breach());
        Ok("snapshots".into())
    }

    fn check(scene: &mut Self) -> Finding {
        let both = !scene.others.is_empty();
        let arrival = scene.barrier.wait_timeout(if both { SOON } else { BRIEF });
        let outcome = match arrival {
            Ok(_) => "all passed",
            // After a reset nobody comes of those who were told before it: they have gone.
            Err(BarrierError::Broken(Breach::TimedOut)) if both && scene.told() < 2 => {
                return Err(Violation::hang("the others did not come, and nobody was told"));
            }
            Err(BarrierError::Broken(_)) => "all were told",
            Err(error) => return Err(Violation::broken(error.to_string())),
        };
        if both {
            // At rest: both wait again, or both were told.
            let expected = if arrival.is_ok() { 0 } else { 2 };
            scene.until(|scene| scene.told() == expected && (expected == 2 || scene.barrier.n_waiting() == 2));
            if !scene.passed_alike() {
                return Err(Violation::torn(format!("one of the two passed more often: {:?}", scene.books.passes)));
            }
        }
        scene.works_after_a_reset()?;
        Ok(outcome.into())
    }

    fn works_after_a_reset(&mut self) -> Result<(), Violation> {
        self.barrier.reset().map_err(|error| Violation::broken(error.to_string()))?;
        if self.told() == 2 || self.others.is_empty() {
            self.start_both();
        }
        for _ in 0..2 {
            match self.barrier.wait_timeout(SOON) {
                Ok(_) => {}
                Err(error) => return Err(Violation::broken(format!("after a reset: {error}"))),
            }
        }
        Ok(())
    }
}
