//! `Condition`: two live processes sleep on it, in the order of their numbers, and end when they are notified.
//!
//! What a check demands, whoever died where:
//!
//! - as many of the sleepers have ended, or do, as the victim's completed notifications were for, and no more than it began;
//! - from then on each notification ends one more, also when a dead waiter stands in front: none is lost, none counts twice;
//! - the lock is given, and two new sleepers behind whatever the dead left are woken one by one.

use crate::child::Child;
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::raw::Census;
use ipc_core::{LockError, Segment};
use ipc_sync::{Condition, ConditionError, Guard, Lock, Wake};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Time-out of timed verbs: short, for it passes where a verb waits in vain.
const BRIEF: Duration = Duration::from_micros(100);

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("Condition", Scene::new, Scene::check)
            .arrive(Scene::register)
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("Condition::notify_one", |scene| scene.notify(1, |condition| condition.notify_one().into()))
            .operation("Condition::notify", |scene| scene.notify(2, |condition| condition.notify(2)))
            .operation("Condition::notify_all", |scene| scene.notify(2, Condition::notify_all))
            .operation("Condition::wait_timeout", |scene| scene.with_lock(|c, g| drop(c.wait_timeout(g, BRIEF))))
            .operation("Condition::wait_deadline", |scene| {
                scene.with_lock(|c, g| drop(c.wait_deadline(g, Instant::now() + BRIEF)));
            })
            .operation("Condition::wait_while", |scene| scene.with_lock(|c, g| drop(c.wait_while(g, |_| false))))
            .operation("Condition::wait_while_timeout", |scene| {
                scene.with_lock(|c, g| drop(c.wait_while_timeout(g, |_| true, BRIEF)));
            })
            .operation("Condition::wait_while_deadline", |scene| {
                scene.with_lock(|c, g| drop(c.wait_while_deadline(g, |_| true, Instant::now() + BRIEF)));
            })
            .operation("Condition::wait_for", |scene| scene.with_lock(|c, g| drop(c.wait_for(g, |_| true))))
            .operation("Condition::wait_for_timeout", |scene| {
                scene.with_lock(|c, g| drop(c.wait_for_timeout(g, |_| false, BRIEF)));
            })
            .operation("Condition::wait_for_deadline", |scene| {
                scene.with_lock(|c, g| drop(c.wait_for_deadline(g, |_| false, Instant::now() + BRIEF)));
            })
            .operation("Condition::waiters", |scene| _ = scene.condition.waiters())
            .case("Condition::wait", "notified by another", Scene::with_a_notifier, |scene| {
                scene.with_lock(|c, g| drop(c.wait(g)));
            })
            .case("Condition::wait_timeout", "behind the dead", Scene::behind_the_dead, |scene| {
                scene.with_lock(|c, g| drop(c.wait_timeout(g, Duration::from_millis(3))));
            })
            .case("Condition::wait_timeout", "heir of the dead", Scene::heir_of_the_dead, |scene| {
                scene.with_lock(|c, g| drop(c.wait_timeout(g, Duration::from_millis(3))));
            })
            .case("Condition::wait_timeout", "all cells are the dead's", Scene::full_of_the_dead, |scene| {
                scene.with_lock(|c, g| drop(c.wait_timeout(g, BRIEF)));
            })
            .case("Condition::notify_one", "in front of the dead", Scene::behind_the_dead, |scene| {
                scene.notify(1, |condition| condition.notify_one().into());
            }),
    );
}

/// What everybody writes down.
#[derive(Default)]
struct Books {
    /// Who is between the moments, both under the lock, when it is about to wait and when it has.
    waiting: [AtomicU32; 4],
    /// Who has been notified.
    ended: [AtomicU32; 4],
    /// For how many notifications were begun, and made.
    begun: AtomicU32,
    made: AtomicU32,
    /// Tells the notifier to stop.
    stop: AtomicU32,
}

struct Scene {
    lock: Lock<u64>,
    condition: Condition,
    books: Page<Books>,
    children: Vec<Child>,
    /// Whether notifications can be counted.
    exact: bool,
    segment: Segment,
    view: View,
}

/// Sleepers of the beginning, and those of the check.
const FIRST: Range<usize> = 0..2;
const LATER: Range<usize> = 2..4;

impl Scene {
    fn new() -> Self {
        Self::empty(6).sleeping(FIRST)
    }

    fn empty(cells: usize) -> Self {
        let segment = Segment::options().members(16).anonymous(8192).expect("a small segment");
        Self {
            lock: Lock::new_in(&segment, 0).expect("a lock fits"),
            condition: Condition::options().cells(cells).new_in(&segment).expect("a condition fits"),
            books: Page::books(Books::default()),
            children: Vec::new(),
            exact: true,
            view: View::of(&segment),
            segment,
        }
    }

    /// Starts these sleepers, each after the one before waits.
    fn sleeping(mut self, numbers: Range<usize>) -> Self {
        numbers.for_each(|number| self.start(number));
        self
    }

    fn start(&mut self, number: usize) {
        let child = Child::fork(|| self.sleep(number));
        self.children.push(child);
        self.until(|scene| scene.books.waiting[number].load(SeqCst) == 1);
        // Under the lock it is told from one that is about to wait.
        drop(self.locked());
    }

    /// The life of a sleeper.
    fn sleep(&self, number: usize) {
        let Books { waiting, ended, .. } = &*self.books;
        let mut guard = self.locked();
        loop {
            waiting[number].store(1, SeqCst);
            match self.condition.wait_timeout(guard, Duration::MAX) {
                Ok((_held, Wake::Notified)) => {
                    ended[number].store(1, SeqCst);
                    return;
                }
                Ok((again, _)) => guard = again,
                Err(error) => panic!("a sleeper: {error}"),
            }
        }
    }

    /// One waits in front who is dead.
    fn behind_the_dead() -> Self {
        let mut scene = Self::empty(6);
        scene.leave_a_dead_waiter();
        scene.sleeping(FIRST)
    }

    /// The first to wait has died with a notification, which the victim, the only other one, is to inherit.
    fn heir_of_the_dead() -> Self {
        let mut scene = Self::empty(6);
        scene.exact = false;
        scene.leave_a_dead_waiter();
        scene.condition.notify_one();
        scene
    }

    fn full_of_the_dead() -> Self {
        let mut scene = Self::empty(4);
        (0..4).for_each(|_| scene.leave_a_dead_waiter());
        scene
    }

    /// Somebody notifies whoever waits, as long as it is not stopped.
    fn with_a_notifier() -> Self {
        let mut scene = Self::empty(6);
        scene.exact = false;
        let notifier = Child::fork(|| {
            while scene.books.stop.load(SeqCst) == 0 {
                scene.condition.notify_all();
                std::thread::yield_now();
            }
            scene.books.stop.store(2, SeqCst);
        });
        scene.children.push(notifier);
        scene
    }

    fn leave_a_dead_waiter(&mut self) {
        let before = self.condition.waiters();
        let mut child = Child::fork(|| drop(self.condition.wait(self.locked())));
        self.until(|scene| scene.condition.waiters() > before);
        // Asleep, or at least not holding the lock.
        drop(self.locked());
        child.kill();
    }

    fn register(&mut self) {
        self.segment.me().expect("a row is free");
    }

    fn notify(&self, most: u32, notify: impl FnOnce(&Condition) -> usize) {
        self.books.begun.fetch_add(most, SeqCst);
        let made = notify(&self.condition);
        self.books.made.fetch_add(made as u32, SeqCst);
    }

    fn with_lock<'a>(&'a self, wait: impl FnOnce(&'a Condition, Guard<'a, u64>)) {
        wait(&self.condition, self.locked());
    }

    /// The lock; nobody writes under it, so nothing is ever marked.
    fn locked(&self) -> Guard<'_, u64> {
        match self.lock.lock() {
            Ok(guard) => guard,
            Err(error @ LockError::Inconsistent { .. }) => panic!("nobody has written: {error}"),
            Err(error) => panic!("the lock: {error}"),
        }
    }

    fn until(&self, mut done: impl FnMut(&Self) -> bool) {
        while !done(self) {
            std::thread::yield_now();
        }
    }

    fn ended(&self, numbers: &Range<usize>) -> u32 {
        numbers.clone().map(|number| self.books.ended[number].load(SeqCst)).sum()
    }

    /// Notifies one at a time until all of these have ended; how many that took.
    fn wake_one_by_one(&self, numbers: &Range<usize>) -> u32 {
        let (all, mut notified) = (numbers.len() as u32, 0);
        while self.ended(numbers) < all {
            let guard = self.locked();
            let ended = self.ended(numbers);
            let all_wait = numbers.clone().all(|n| self.books.waiting[n].load(SeqCst) == 1);
            let found = all_wait && ended < all && self.condition.notify_one();
            drop(guard);
            notified += u32::from(found);
            // Not found: somebody has been notified and has not ended yet.
            self.until(|scene| scene.ended(numbers) > ended || ended == all || !all_wait);
        }
        notified
    }

    fn check_meanwhile(scene: &mut Self) -> Finding {
        scene.notify(1, |condition| condition.notify_one().into());
        match scene.lock.lock_timeout(Duration::from_millis(1)) {
            Ok(guard) => match scene.condition.wait_timeout(guard, BRIEF) {
                Ok(_) => Ok("free".into()),
                Err(ConditionError::Lock(LockError::Timeout)) => Ok("held".into()),
                Err(error) => Err(Violation::broken(error.to_string())),
            },
            Err(LockError::Timeout) => Ok("held".into()),
            Err(error) => Err(Violation::broken(error.to_string())),
        }
    }

    fn check(scene: &mut Self) -> Finding {
        let books = &scene.books;
        if scene.children.len() == 1 {
            // The notifier, whose last notification is over before anything is counted.
            books.stop.store(1, SeqCst);
            scene.until(|scene| scene.books.stop.load(SeqCst) == 2);
        }
        let sleepers = if books.waiting[0].load(SeqCst) == 1 { FIRST } else { 0..0 };
        let all = sleepers.len() as u32;
        let (made, begun) = (books.made.load(SeqCst), books.begun.load(SeqCst));
        scene.until(|scene| !scene.exact || scene.ended(&sleepers) >= made.min(all));
        let more = scene.wake_one_by_one(&sleepers);
        if scene.exact && more + begun < all {
            return Err(Violation::duplicated(format!("{more} and at most {begun} notifications ended {all}")));
        }
        if scene.exact && more > all.saturating_sub(made) && !scene.waited_meanwhile() {
            return Err(Violation::lost(format!("{more} more than {made} notifications to end {all}")));
        }
        LATER.for_each(|number| scene.start(number));
        match scene.wake_one_by_one(&LATER) {
            2 => Ok(if begun > 0 { "notified" } else { "woken one by one" }.into()),
            1 => Err(Violation::duplicated("one notification ended two")),
            n => Err(Violation::lost(format!("{n} notifications to end two"))),
        }
    }

    /// Whether one who waits besides the sleepers may have been the one that was notified: then it took more.
    fn waited_meanwhile(&self) -> bool {
        self.books.made.load(SeqCst) > 0
    }
}
