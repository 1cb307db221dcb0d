//! What the locks have in common: two words behind a lock, and the verbs of the lock.
//!
//! The two words are equal whenever nobody is at work. An operation that adds, adds one to both. What a check demands:
//!
//! - the lock is given within the bound, or the mark is told with a cause that names one who wrote in place;
//! - without the mark the words are equal, and their sum lies between the additions that came back and those begun;
//! - after `recover` everything works again.

use super::ledger::{Books, Ledger};
use crate::child::{Child, Step, die};
use crate::pair::{Pair, Words};
use crate::registry::Object;
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::raw::Census;
use ipc_core::{Cause, LockError, Segment};
use nix::sys::signal::Signal;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// A pair in a segment with few rows, the books, and a view of the segment's bytes.
pub struct Scene<P> {
    pub pair: P,
    pub books: Ledger,
    segment: Segment,
    view: View,
    /// Somebody alive who holds the lock until it is killed.
    holder: Option<Child>,
}

/// What a replacement adds, so that it is told from additions.
pub const REPLACED: u64 = 1 << 32;

/// The verbs that all three have.
pub fn object<P: Pair>() -> Object<Scene<P>> {
    let name = |verb: &str| format!("{}::{}", P::NAME, verb.replace("lock", P::VERB));
    Object::new(P::NAME, Scene::<P>::new, Scene::check)
        .arrive(Scene::register)
        .memory(|scene| scene.view.digest())
        .meanwhile(Scene::check_meanwhile)
        .operation(name("lock"), |scene| scene.add(Pair::lock))
        .operation(name("try_lock"), |scene| scene.add(Pair::try_lock))
        .operation(name("lock_timeout"), |scene| scene.add(|pair| pair.lock_timeout(Duration::from_millis(1))))
        .operation(name("lock_deadline"), |scene| {
            let deadline = Instant::now() + Duration::from_millis(1);
            scene.add(|pair| pair.lock_deadline(deadline));
        })
        .case(name("lock"), "to read", Scene::new, |scene| drop(scene.pair.lock()))
        .case(name("lock"), "of a dead reader", Scene::after_a_dead_reader, |scene| scene.add(Pair::lock))
        .case(name("lock"), "of a dead writer", Scene::after_a_dead_writer, |scene| scene.add(Pair::lock))
        .case(name("lock_timeout"), "while held", Scene::held, |scene| {
            drop(scene.pair.lock_timeout(Duration::from_micros(1)));
        })
        .operation(name("recover"), Scene::recover)
        .case(name("recover"), "after a dead writer", Scene::after_a_dead_writer, Scene::recover)
        .operation(name("is_inconsistent"), |scene| _ = scene.pair.is_inconsistent())
}

impl<P: Pair> Scene<P> {
    /// Free, and both words zero.
    pub fn new() -> Self {
        let segment = Segment::options().members(8).anonymous(4096).expect("a small segment");
        Self {
            pair: P::new_in(&segment).expect("two words fit"),
            books: Books::open(),
            view: View::of(&segment),
            segment,
            holder: None,
        }
    }

    /// Becomes a member, so that an operation does not begin with that.
    pub fn register(scene: &mut Self) {
        scene.segment.me().expect("a row is free");
    }

    /// Somebody locked, did not write, and was killed.
    pub fn after_a_dead_reader() -> Self {
        let scene = Self::new();
        scene.after(|scene| {
            let _held = scene.pair.lock();
            die()
        })
    }

    /// Somebody was killed while writing.
    pub fn after_a_dead_writer() -> Self {
        let scene = Self::new();
        scene.after(|scene| {
            let Ok(mut held) = scene.pair.lock() else { return };
            scene.books.note_writer();
            scene.books.begin();
            held.add_to(0);
            die()
        })
    }

    /// Somebody alive holds it.
    pub fn held() -> Self {
        let scene = Self::new();
        let holds = Step::new();
        let holder = Child::fork(|| {
            let _held = scene.pair.lock();
            holds.reach();
            loop {
                nix::unistd::pause();
            }
        });
        holds.wait();
        Self { holder: Some(holder), ..scene }
    }

    /// Somebody did this, and is gone.
    pub fn after(self, deed: impl FnOnce(&Self)) -> Self {
        Child::fork(|| deed(&self)).wait();
        self
    }

    /// One addition in place, if the lock is given.
    pub fn add<'a, W: Words>(&'a self, lock: impl FnOnce(&'a P) -> Result<W, LockError>) {
        self.books.begin();
        if let Ok(mut held) = lock(&self.pair) {
            self.books.note_writer();
            held.add();
            drop(held);
            self.books.end();
        }
    }

    /// Repairing is writing in place.
    fn recover(scene: &mut Self) {
        scene.books.note_writer();
        drop(scene.pair.recover());
    }

    /// While a peer is paused: nothing that does not wait, or not for ever, hangs, and nobody alive is taken for dead.
    fn check_meanwhile(scene: &mut Self) -> Finding {
        drop(scene.pair.try_lock());
        match scene.pair.lock_timeout(Duration::from_millis(1)) {
            Ok(held) => whole(held.words()).map(|_| "free".into()),
            Err(LockError::Inconsistent { cause }) => scene.knows(&cause).map(|()| "told".into()),
            Err(LockError::Timeout) => Ok("held".into()),
            Err(error) => Err(Violation::broken(error.to_string())),
        }
    }

    fn check(scene: &mut Self) -> Finding {
        if let Some(holder) = &scene.holder {
            holder.signal(Signal::SIGKILL);
        }
        let told = match scene.pair.lock() {
            Ok(held) => {
                scene.sum(held.words())?;
                "as if nothing had been"
            }
            Err(LockError::Inconsistent { cause }) => {
                scene.knows(&cause)?;
                "told"
            }
            Err(error) => return Err(Violation::broken(error.to_string())),
        };
        let recovered = scene.pair.recover().map_err(|error| Violation::broken(error.to_string()))?;
        let before = scene.sum(recovered.words())?;
        drop(recovered);
        scene.add(Pair::lock);
        if scene.pair.is_inconsistent() {
            return Err(Violation::broken("inconsistent after recover"));
        }
        match scene.pair.try_lock() {
            Ok(held) if scene.sum(held.words())? == before + 1 => Ok(told.into()),
            Ok(_) => Err(Violation::lost("an addition after the death")),
            Err(error) => Err(Violation::broken(error.to_string())),
        }
    }

    /// The words are whole, and what must be in them is.
    pub fn sum(&self, words: [u64; 2]) -> Result<u64, Violation> {
        let sum = whole(words)?;
        if self.books.replaced.load(SeqCst) > 0 && sum < REPLACED {
            return Err(Violation::lost("a replacement that had come back"));
        }
        if sum < REPLACED && !self.books.allows(sum) {
            return Err(Violation::lost(format!("{sum} additions, and the books say {:?}", *self.books)));
        }
        Ok(sum)
    }

    /// The one who is blamed has written in place.
    fn knows(&self, cause: &Cause) -> Result<(), Violation> {
        match cause {
            Cause::OwnerDied { pid, .. } if self.books.wrote(*pid) => Ok(()),
            other => Err(Violation::broken(format!("blamed without reason: {other}"))),
        }
    }
}

fn whole(words: [u64; 2]) -> Result<u64, Violation> {
    match words {
        [a, b] if a == b => Ok(a),
        words => Err(Violation::unsignalled(format!("{words:?}, and nobody was told"))),
    }
}
