//! The suite of what `RLock` adds to a lock: depth and ownership. The rest is in [`locked`](super::locked).

use crate::placement::{Line, Placed, Placement, Stage};
use ipc_core::LockError;
use ipc_sync::{RLock, RLockGuard};

type Subject = RLock<u64>;

impl Placed for Subject {
    const ROLE: &'static str = "RLock-of-depths";

    fn anonymous() -> Self {
        Self::new(0).expect("an anonymous object")
    }

    fn named(name: &str) -> Self {
        Self::create(name, 0).expect("a named object")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the object of this name")
    }

    /// Commands: `lock` and `try` add a guard, `unlock` takes one away; `depth`, `owned`; `add`.
    fn serve(self, line: &mut Line) {
        let mut held = Vec::new();
        while let Some(command) = line.hear() {
            let answer = match command.as_str() {
                "lock" => take(self.lock(), &mut held),
                "try" => take(self.try_lock(), &mut held),
                "unlock" => format!("{} left", held.pop().map_or(usize::MAX, |_| held.len())),
                "depth" => self.depth().to_string(),
                "owned" => self.is_owned().to_string(),
                "add" => match held.last() {
                    Some(guard) => {
                        guard.update(|n| *n += 1);
                        "done".to_owned()
                    }
                    None => "not held".to_owned(),
                },
                other => panic!("no such command: {other}"),
            };
            line.say(&answer);
        }
    }
}

fn take<'a>(taken: Result<RLockGuard<'a, u64>, LockError>, held: &mut Vec<RLockGuard<'a, u64>>) -> String {
    match taken {
        Ok(guard) => {
            held.push(guard);
            "held".to_owned()
        }
        Err(error) => format!("{error:?}"),
    }
}

/// RL01, RL05: as many locks as unlocks; the owner sees the depth, others see 0. RL02 and RL04 (differ): there is no unlock
/// without a guard, and no guard in another thread.
pub fn smoke(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("depth"), "0");
    for depth in ["1", "2", "3"] {
        assert_eq!(peer.ask("lock"), "held");
        assert_eq!(peer.ask("depth"), depth);
        assert_eq!(stage.handle.depth(), 0);
    }
    assert_eq!(peer.ask("unlock"), "2 left");
    assert_eq!(peer.ask("depth"), "2");
    assert_eq!(peer.ask("unlock"), "1 left");
    assert_eq!(stage.handle.try_lock().err(), Some(LockError::WouldBlock), "still held");
    assert_eq!(peer.ask("unlock"), "0 left");
    assert_eq!(peer.ask("depth"), "0");
    drop(stage.handle.try_lock().expect("free"));
}

/// RL03: lock, lock, unlock, lock, unlock, unlock ends free.
pub fn mixed_nesting_ends_free(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut peer = stage.peer();
    for (verb, answer) in
        [("lock", "held"), ("lock", "held"), ("unlock", "1 left"), ("lock", "held"), ("unlock", "1 left")]
    {
        assert_eq!(peer.ask(verb), answer);
        assert_eq!(stage.handle.try_lock().err(), Some(LockError::WouldBlock));
    }
    assert_eq!(peer.ask("unlock"), "0 left");
    assert!(stage.handle.try_lock().is_ok());
}

/// RL06, RL10: owned by one thread of one process, and by no other of either.
pub fn only_the_owner_owns(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut peer = stage.peer();
    assert_eq!((peer.ask("owned").as_str(), stage.handle.is_owned()), ("false", false));
    let held = stage.handle.lock().unwrap();
    assert_eq!((peer.ask("owned").as_str(), stage.handle.is_owned()), ("false", true));
    let of_this_process = std::thread::scope(|s| s.spawn(|| stage.handle.is_owned()).join().unwrap());
    assert!(!of_this_process);
    drop(held);
    assert_eq!(peer.ask("lock"), "held");
    assert_eq!((peer.ask("owned").as_str(), stage.handle.is_owned()), ("true", false));
}

/// RL07: another party is refused while it is held, and proceeds after the last unlock.
pub fn others_proceed_after_the_last_unlock(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut peer = stage.peer();
    let outer = stage.handle.lock().unwrap();
    let inner = stage.handle.lock().unwrap();
    assert_eq!(peer.ask("try"), "WouldBlock");
    peer.tell("lock");
    drop(outer);
    inner.update(|n| *n += 1);
    assert_eq!(inner.get(), 1, "guards may go in any order");
    drop(inner);
    assert_eq!(peer.hear(), "held");
    assert_eq!(peer.ask("add"), "done");
    assert_eq!(peer.ask("unlock"), "0 left");
    assert_eq!(stage.handle.lock().unwrap().get(), 2);
}

/// XS04: a holder that is killed at depth 3 leaves a lock that starts at depth 0.
pub fn killed_at_depth_3_is_recovered_at_depth_0(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut victim = stage.peer();
    for _ in 0..3 {
        assert_eq!(victim.ask("lock"), "held");
    }
    victim.kill();
    assert_eq!(stage.handle.depth(), 0);
    let held = stage.handle.lock().unwrap();
    assert_eq!(stage.handle.depth(), 1);
    drop(held);
    assert_eq!((stage.handle.depth(), stage.handle.is_owned()), (0, false));
    let mut next = stage.peer();
    assert_eq!(next.ask("try"), "held", "one unlock was enough");
}
