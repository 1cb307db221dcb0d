//! The suite of shared structs: what one party writes into a field, the other reads; a death concerns the field alone.

use crate::pair::Vault;
use crate::placement::{Line, Placed, Placement, Stage};
use ipc_core::{LockError, Shared, Text};
use std::sync::atomic::Ordering::SeqCst;

impl Placed for Shared<Vault> {
    const ROLE: &'static str = "Vault";

    fn anonymous() -> Self {
        Self::new().expect("an anonymous struct")
    }

    fn named(name: &str) -> Self {
        Self::create(name).expect("a named struct")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the struct of this name")
    }

    /// Commands: `limit N`, `owner TEXT` and `visit` write, `read` tells all; `lock N` takes a lock and begins to write.
    fn serve(self, line: &mut Line) {
        let mut locks = Vec::new();
        while let Some(command) = line.hear() {
            let (verb, argument) = command.split_once(' ').unwrap_or((&command, ""));
            match verb {
                "limit" => self.at(|v| &v.limit).set(argument.parse().expect("a number")),
                "owner" => self.at(|v| &v.owner).set(Text::new(argument).expect("a short text")),
                "visit" => _ = self.at(|v| &v.visits).fetch_add(1, SeqCst),
                "value" => self.at(|v| &v.value).set([argument.parse().expect("a number"); 2]).expect("a free lock"),
                "lock" => locks.push(argument.parse::<usize>().expect("a number")),
                "read" => {}
                other => panic!("no such command: {other}"),
            }
            if verb == "lock" {
                let lock = self.at(|v| &v.locks[locks[locks.len() - 1]]);
                let mut held = lock.lock().expect("a free lock");
                held[0] += 1;
                // Held until this party is killed, or told to end.
                line.say("held");
                let _ = line.hear();
                held[1] += 1;
                continue;
            }
            line.say(&read(&self));
        }
    }
}

fn read(vault: &Shared<Vault>) -> String {
    let (limit, owner) = (vault.at(|v| &v.limit).get(), vault.at(|v| &v.owner).get());
    let value = vault.at(|v| &v.value).get().expect("a free lock");
    format!("{limit} {owner} {} {value:?}", vault.at(|v| &v.visits).load(SeqCst))
}

/// VA06: what one party writes into fields of every kind, the other reads.
pub fn every_field_is_shared(placement: Placement) {
    let stage = Stage::<Shared<Vault>>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!(one.ask("read"), "0  0 [0, 0]");
    assert_eq!(one.ask("limit -7"), "-7  0 [0, 0]");
    assert_eq!(other.ask("owner Ada"), "-7 Ada 0 [0, 0]");
    assert_eq!(one.ask("visit"), "-7 Ada 1 [0, 0]");
    assert_eq!(other.ask("value 4"), "-7 Ada 1 [4, 4]");
    assert_eq!(read(&stage.handle), "-7 Ada 1 [4, 4]");
}

/// LK07: a lock of an array is that one alone.
pub fn neighbours_are_free(placement: Placement) {
    let stage = Stage::<Shared<Vault>>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("lock 1"), "held");
    let lock = |n: usize| stage.handle.at(|v| &v.locks[n]);
    assert_eq!(lock(1).try_lock().err(), Some(LockError::WouldBlock));
    drop((lock(0).try_lock().unwrap(), lock(2).try_lock().unwrap()));
    peer.tell("go on");
    assert_eq!(peer.ask("read"), "0  0 [0, 0]");
    assert_eq!(*lock(1).lock().unwrap(), [1, 1]);
}

/// XS02: a writer's death is told of its field, and of no other.
pub fn a_death_concerns_its_field(placement: Placement) {
    let stage = Stage::<Shared<Vault>>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("lock 1"), "held");
    peer.kill();
    let lock = |n: usize| stage.handle.at(|v| &v.locks[n]);
    assert!(matches!(lock(1).lock().err(), Some(LockError::Inconsistent { .. })));
    drop((lock(0).lock().unwrap(), lock(2).lock().unwrap()));
    drop(lock(1).recover(crate::pair::mend).unwrap());
    assert_eq!(*lock(1).lock().unwrap(), [1, 1]);
    assert_eq!(read(&stage.handle), "0  0 [0, 0]");
}
