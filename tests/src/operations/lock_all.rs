//! `ipc_sync::lock_all`: two locks of one segment, of which each operation adds one to both.
//!
//! What a check demands: each lock is given within the bound, or marked by one who wrote in place; where neither is, both
//! numbers are the same, and the books allow them.

use super::ledger::{Books, Ledger};
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::raw::{Census, Guard};
use ipc_core::{Cause, LockError, Segment};
use ipc_sync::{Lock, LockAllError, lock_all, lock_all_timeout, try_lock_all};
use std::time::Duration;

struct Scene {
    one: Lock<u64>,
    other: Lock<u64>,
    books: Ledger,
    segment: Segment,
    view: View,
}

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("lock_all", Scene::new, Scene::check)
            .arrive(|scene| _ = scene.segment.me().expect("a row is free"))
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("lock_all", |scene| scene.add(lock_all((&scene.one, &scene.other))))
            .operation("lock_all, the other way round", |scene| {
                scene.add(lock_all((&scene.other, &scene.one)));
            })
            .operation("try_lock_all", |scene| scene.add(try_lock_all((&scene.one, &scene.other))))
            .operation("lock_all_timeout", |scene| {
                scene.add(lock_all_timeout((&scene.one, &scene.other), Duration::from_millis(1)));
            }),
    );
}

type Both<'a> = (Guard<'a, u64>, Guard<'a, u64>);

impl Scene {
    fn new() -> Self {
        let segment = Segment::options().members(8).anonymous(4096).expect("a small segment");
        Self {
            one: Lock::new_in(&segment, 0).expect("a lock fits"),
            other: Lock::new_in(&segment, 0).expect("a lock fits"),
            books: Books::open(),
            view: View::of(&segment),
            segment,
        }
    }

    fn add(&self, locked: Result<Both<'_>, LockAllError>) {
        if let Ok((mut one, mut other)) = locked {
            self.books.begin();
            self.books.note_writer();
            *one += 1;
            *other += 1;
            drop((one, other));
            self.books.end();
        }
    }

    fn check_meanwhile(scene: &mut Self) -> Finding {
        match lock_all_timeout((&scene.other, &scene.one), Duration::from_millis(1)) {
            Ok((other, one)) if *other == *one => Ok("free".into()),
            Ok(_) => Err(Violation::unsignalled("two numbers, and nobody was told")),
            Err(LockAllError::Lock { error: LockError::Timeout, .. }) => Ok("held".into()),
            Err(LockAllError::Lock { error: LockError::Inconsistent { cause }, .. }) => {
                scene.knows(&cause).map(|()| "told".into())
            }
            Err(error) => Err(Violation::broken(error.to_string())),
        }
    }

    fn check(scene: &mut Self) -> Finding {
        let (one, told_one) = scene.settled(&scene.one)?;
        let (other, told_other) = scene.settled(&scene.other)?;
        let told = told_one || told_other;
        if one != other && !told {
            return Err(Violation::unsignalled(format!("{one} and {other}, and nobody was told")));
        }
        if !scene.books.allows(one.max(other)) {
            return Err(Violation::lost(format!("{one}, {other}, and the books say {:?}", *scene.books)));
        }
        match lock_all(&[&scene.other, &scene.one]) {
            Ok(mut guards) => guards.iter_mut().for_each(|guard| **guard = one.max(other)),
            Err(error) => return Err(Violation::broken(error.to_string())),
        }
        Ok(if told { "told" } else { "as if nothing had been" }.into())
    }

    /// What a lock holds, and whether it was marked.
    fn settled(&self, lock: &Lock<u64>) -> Result<(u64, bool), Violation> {
        match lock.lock() {
            Ok(held) => return Ok((*held, false)),
            Err(LockError::Inconsistent { cause }) => self.knows(&cause)?,
            Err(error) => return Err(Violation::broken(error.to_string())),
        }
        lock.recover(|_| ()).map(|held| (*held, true)).map_err(|error| Violation::broken(error.to_string()))
    }

    fn knows(&self, cause: &Cause) -> Result<(), Violation> {
        match cause {
            Cause::OwnerDied { pid, .. } if self.books.wrote(*pid) => Ok(()),
            other => Err(Violation::broken(format!("blamed without reason: {other}"))),
        }
    }
}
