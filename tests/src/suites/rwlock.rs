//! The suite of `RwLock`: who shares with whom, who comes first, the transitions, and the death of readers. What writers do
//! among themselves is in [`locked`](super::locked).

use crate::placement::{Line, Placed, Placement, Stage};
use ipc_core::{Cause, LockError};
use ipc_sync::{ReadGuard, RwLock, UpgradableGuard, WriteGuard};
use nix::sys::signal::Signal;
use std::time::Duration;

type Subject = RwLock<u64>;

/// What a party holds.
enum Held<'a> {
    Nothing,
    Read(ReadGuard<'a, u64>),
    Upgradable(UpgradableGuard<'a, u64>),
    Write(WriteGuard<'a, u64>),
}

impl Placed for Subject {
    const ROLE: &'static str = "RwLock-of-readers";

    fn anonymous() -> Self {
        Self::new(0).expect("an anonymous object")
    }

    fn named(name: &str) -> Self {
        Self::create(name, 0).expect("a named object")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the object of this name")
    }

    /// Commands: `read`, `upgradable`, `write` and the same with `try_` take the lock; `up`, `try_up`, `down` and `down_to_upgradable`
    /// change the hold; `unlock` gives it back; `get` and `add` look and write.
    fn serve(self, line: &mut Line) {
        let mut held = Held::Nothing;
        while let Some(command) = line.hear() {
            let answer = match command.as_str() {
                "unlock" => {
                    held = Held::Nothing;
                    "done".to_owned()
                }
                "get" => look(&held),
                "add" => add(&mut held),
                "up" | "try_up" | "down" | "down_to_upgradable" => {
                    let (changed, answer) = change(held, &command);
                    held = changed;
                    answer
                }
                verb => match take(&self, verb) {
                    Ok(taken) => {
                        held = taken;
                        "held".to_owned()
                    }
                    Err(LockError::Inconsistent { .. }) => "Inconsistent".to_owned(),
                    Err(error) => format!("{error:?}"),
                },
            };
            line.say(&answer);
        }
    }
}

fn take<'a>(lock: &'a Subject, verb: &str) -> Result<Held<'a>, LockError> {
    match verb {
        "read" => lock.read().map(Held::Read),
        "try_read" => lock.try_read().map(Held::Read),
        "upgradable" => lock.upgradable().map(Held::Upgradable),
        "try_upgradable" => lock.try_upgradable().map(Held::Upgradable),
        "write" => lock.write().map(Held::Write),
        "try_write" => lock.try_write().map(Held::Write),
        other => panic!("no such command: {other}"),
    }
}

fn change<'a>(held: Held<'a>, verb: &str) -> (Held<'a>, String) {
    let done = |held| (held, "held".to_owned());
    let refused = |held| (held, "refused".to_owned());
    match (held, verb) {
        (Held::Read(guard), "try_up") => match ReadGuard::try_upgrade(guard) {
            Ok(guard) => done(Held::Write(guard)),
            Err(guard) => refused(Held::Read(guard)),
        },
        (Held::Read(guard), "up") => match ReadGuard::try_upgradable(guard) {
            Ok(guard) => done(Held::Upgradable(guard)),
            Err(guard) => refused(Held::Read(guard)),
        },
        (Held::Upgradable(guard), "try_up") => match UpgradableGuard::try_upgrade(guard) {
            Ok(guard) => done(Held::Write(guard)),
            Err(guard) => refused(Held::Upgradable(guard)),
        },
        (Held::Upgradable(guard), "up") => match UpgradableGuard::upgrade(guard) {
            Ok(guard) => done(Held::Write(guard)),
            Err(error) => (Held::Nothing, format!("{error:?}")),
        },
        (Held::Upgradable(guard), "down") => done(Held::Read(UpgradableGuard::downgrade(guard))),
        (Held::Write(guard), "down") => done(Held::Read(WriteGuard::downgrade(guard))),
        (Held::Write(guard), "down_to_upgradable") => {
            done(Held::Upgradable(WriteGuard::downgrade_to_upgradable(guard)))
        }
        (held, _) => (held, "not possible".to_owned()),
    }
}

fn look(held: &Held<'_>) -> String {
    match held {
        Held::Nothing => "nothing held".to_owned(),
        Held::Read(guard) => guard.to_string(),
        Held::Upgradable(guard) => guard.to_string(),
        Held::Write(guard) => guard.to_string(),
    }
}

fn add(held: &mut Held<'_>) -> String {
    match held {
        Held::Write(guard) => {
            **guard += 1;
            "done".to_owned()
        }
        _ => "not possible".to_owned(),
    }
}

/// Waits until somebody who wants to write keeps new readers out.
fn until_a_writer_is_next(lock: &Subject) {
    while lock.try_read().is_ok() {
        std::thread::yield_now();
    }
}

/// Any number read at once; nobody writes meanwhile.
pub fn smoke(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!((one.ask("read").as_str(), other.ask("read").as_str()), ("held", "held"));
    let mine = stage.handle.read().unwrap();
    assert_eq!((*mine, stage.handle.readers()), (0, 3));
    assert_eq!(stage.handle.try_write().err(), Some(LockError::WouldBlock));
    drop(mine);
    let timeout = Duration::from_millis(5);
    assert_eq!(stage.handle.write_timeout(timeout).err(), Some(LockError::Timeout));
    drop(stage.handle.try_read().expect("a writer that gave up lets readers in"));
    assert_eq!((one.ask("unlock").as_str(), other.ask("unlock").as_str()), ("done", "done"));
    *stage.handle.try_write().unwrap() = 7;
    assert_eq!(one.ask("read"), "held");
    assert_eq!(one.ask("get"), "7");
}

/// Beside a writer there is nobody; timed forms give up, the state is right afterwards.
pub fn a_writer_excludes_everybody(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut peer = stage.peer();
    assert_eq!((peer.ask("write").as_str(), peer.ask("add").as_str()), ("held", "done"));
    let (lock, timeout) = (&stage.handle, Duration::from_millis(5));
    assert_eq!(lock.try_read().err(), Some(LockError::WouldBlock));
    assert_eq!(lock.try_upgradable().err(), Some(LockError::WouldBlock));
    assert_eq!(lock.try_write().err(), Some(LockError::WouldBlock));
    assert_eq!(lock.read_timeout(timeout).err(), Some(LockError::Timeout));
    assert_eq!(lock.upgradable_timeout(timeout).err(), Some(LockError::Timeout));
    assert_eq!(lock.write_timeout(timeout).err(), Some(LockError::Timeout));
    assert_eq!(lock.read_timeout(Duration::ZERO).err(), Some(LockError::Timeout));
    assert_eq!(peer.ask("unlock"), "done");
    assert_eq!(*lock.read_timeout(Duration::ZERO).unwrap(), 1);
    drop(lock.upgradable_timeout(Duration::ZERO).unwrap());
    drop(lock.write_timeout(Duration::MAX).unwrap());
}

/// A writer that waits comes before readers that come after it, and those before it finish.
pub fn a_waiting_writer_comes_before_later_readers(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut reader, mut writer, mut late) = (stage.peer(), stage.peer(), stage.peer());
    assert_eq!(reader.ask("read"), "held");
    writer.tell("write");
    until_a_writer_is_next(&stage.handle);
    late.tell("read");
    assert_eq!(stage.handle.read_timeout(Duration::from_millis(5)).err(), Some(LockError::Timeout));
    assert_eq!(reader.ask("get"), "0");
    assert_eq!(reader.ask("unlock"), "done");
    assert_eq!(writer.hear(), "held");
    assert_eq!((writer.ask("add").as_str(), writer.ask("unlock").as_str()), ("done", "done"));
    assert_eq!(late.hear(), "held");
    assert_eq!(late.ask("get"), "1", "the late reader came after the writer");
}

/// One upgradable holder, beside readers, and neither beside a writer.
pub fn an_upgradable_holder_shares_with_readers_only(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!(one.ask("upgradable"), "held");
    assert_eq!(other.ask("try_read"), "held");
    assert_eq!(stage.handle.try_upgradable().err(), Some(LockError::WouldBlock));
    assert_eq!(stage.handle.try_write().err(), Some(LockError::WouldBlock));
    drop(stage.handle.try_read().expect("others still read"));
    assert_eq!(one.ask("try_up"), "refused", "somebody reads");
    drop(stage.handle.try_read().expect("a refused upgrade leaves the gate open"));
    one.tell("up");
    until_a_writer_is_next(&stage.handle);
    assert_eq!(other.ask("unlock"), "done");
    assert_eq!(one.hear(), "held");
    assert_eq!(one.ask("add"), "done");
    assert_eq!(other.ask("try_read"), "WouldBlock");
    assert_eq!(one.ask("down_to_upgradable"), "held");
    assert_eq!((other.ask("try_read").as_str(), other.ask("get").as_str()), ("held", "1"));
    assert_eq!(other.ask("unlock"), "done");
    assert_eq!(one.ask("try_up"), "held", "nobody reads");
}

/// Boost's table: down from exclusive and from upgradable without waiting; up from shared only where nobody can be in the way.
pub fn holds_change_without_letting_go(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!((one.ask("write").as_str(), one.ask("add").as_str()), ("held", "done"));
    other.tell("write");
    assert_eq!(one.ask("down"), "held");
    assert_eq!(one.ask("get"), "1", "the waiting writer did not come in between");
    assert_eq!(one.ask("unlock"), "done");
    assert_eq!(other.hear(), "held");
    assert_eq!(other.ask("unlock"), "done");

    assert_eq!((one.ask("read").as_str(), other.ask("read").as_str()), ("held", "held"));
    assert_eq!(one.ask("try_up"), "refused", "beside a reader");
    assert_eq!(one.ask("up"), "held", "shared → upgradable");
    assert_eq!(other.ask("up"), "refused", "beside an upgradable holder");
    assert_eq!(one.ask("down"), "held", "upgradable → shared");
    assert_eq!(other.ask("unlock"), "done");
    assert_eq!(one.ask("try_up"), "held", "alone");
    assert_eq!((one.ask("add").as_str(), one.ask("get").as_str()), ("done", "2"));
    assert_eq!(one.ask("unlock"), "done");
    assert_eq!(*stage.handle.try_write().unwrap(), 2);
}

/// What this thread holds excludes what it asks for: told, not hung.
pub fn waiting_for_oneself_is_told(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut peer, mut writer) = (stage.peer(), stage.peer());
    assert_eq!(peer.ask("read"), "held");
    assert_eq!(peer.ask("write"), "WouldDeadlock");
    assert_eq!(peer.ask("try_write"), "WouldBlock");
    writer.tell("write");
    until_a_writer_is_next(&stage.handle);
    assert_eq!(peer.ask("read"), "WouldDeadlock", "behind a writer that waits for this very thread");
    assert_eq!(peer.ask("unlock"), "done");
    assert_eq!(writer.hear(), "held");
    assert_eq!((writer.ask("read").as_str(), writer.ask("upgradable").as_str()), ("WouldDeadlock", "WouldDeadlock"));
    assert_eq!(writer.ask("unlock"), "done");
    assert_eq!(peer.ask("upgradable"), "held");
    assert_eq!((peer.ask("write").as_str(), peer.ask("upgradable").as_str()), ("WouldDeadlock", "WouldDeadlock"));
}

/// A reader that is killed is as if it had never been; so is an upgradable holder.
pub fn a_killed_reader_blocks_no_writer(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    for verb in ["read", "upgradable"] {
        let mut victims = [stage.peer(), stage.peer()];
        let [first, second] = &mut victims;
        assert_eq!((first.ask(verb).as_str(), second.ask("read").as_str()), ("held", "held"));
        victims.into_iter().for_each(crate::placement::Peer::kill);
        *stage.handle.write().unwrap() += 1;
    }
    assert_eq!((*stage.handle.read().unwrap(), stage.handle.is_inconsistent()), (2, false));
    assert_eq!(stage.handle.readers(), 0);
}

/// Those who sleep when readers die go on.
pub fn a_writer_goes_on_when_readers_die(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut reader, mut writer) = (stage.peer(), stage.peer());
    assert_eq!(reader.ask("read"), "held");
    writer.tell("write");
    until_a_writer_is_next(&stage.handle);
    reader.kill();
    assert_eq!(writer.hear(), "held");
}

/// A writer that is killed while it waits for readers keeps nobody out.
pub fn a_killed_waiting_writer_keeps_nobody_out(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut reader, mut writer, mut late) = (stage.peer(), stage.peer(), stage.peer());
    assert_eq!(reader.ask("read"), "held");
    writer.tell("write");
    until_a_writer_is_next(&stage.handle);
    late.tell("read");
    writer.kill();
    assert_eq!(late.hear(), "held");
    drop(stage.handle.read().unwrap());
    assert_eq!((reader.ask("unlock").as_str(), late.ask("unlock").as_str()), ("done", "done"));
    assert!(stage.handle.write().is_ok());
}

/// XS01, XS02: readers, too, are told of a dead writer, also those that sleep, until somebody has recovered.
pub fn readers_are_told_of_a_dead_writer(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut victim, mut sleeper, mut other) = (stage.peer(), stage.peer(), stage.peer());
    let victim_pid = victim.pid().as_raw() as u32;
    assert_eq!((victim.ask("write").as_str(), victim.ask("add").as_str()), ("held", "done"));
    sleeper.tell("read");
    victim.kill();
    assert_eq!(sleeper.hear(), "Inconsistent");
    let told = stage.handle.read().err();
    let Some(LockError::Inconsistent { cause: Cause::OwnerDied { pid, .. } }) = told else { panic!("{told:?}") };
    assert_eq!(pid, victim_pid);
    for verb in ["try_read", "read", "try_upgradable", "upgradable"] {
        assert_eq!(other.ask(verb), "Inconsistent");
    }
    drop(stage.handle.recover(|data| *data = 5).unwrap());
    assert_eq!((other.ask("read").as_str(), other.ask("get").as_str()), ("held", "5"));
}

/// A stopped reader is not dead, however long.
pub fn a_stopped_reader_is_not_dead(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut reader = stage.peer();
    assert_eq!(reader.ask("read"), "held");
    reader.signal(Signal::SIGSTOP);
    assert_eq!(stage.handle.write_timeout(Duration::from_millis(200)).err(), Some(LockError::Timeout));
    reader.signal(Signal::SIGCONT);
    assert_eq!((reader.ask("get").as_str(), reader.ask("unlock").as_str()), ("0", "done"));
    assert!(stage.handle.write().is_ok());
}
