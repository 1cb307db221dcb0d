//! `RwLock` and `RLock` beyond what two parties show: more readers than entries, and guards that were inherited by `fork`.

use ipc_core::{LockError, Segment};
use ipc_sync::{RLock, RwLock};
use ipc_tests::child::{Child, Step};
use ipc_tests::watchdog::Watchdog;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::time::Duration;

/// Entries of a RwLock.
const ENTRIES: usize = 64;

/// A hundred and fifty threads of one process read at the same moment: they share entries, and all count.
#[test]
fn threads_share_entries_when_there_are_too_few() {
    const READERS: usize = 150;
    let _watchdog = Watchdog::start("threads_share_entries_when_there_are_too_few");
    let lock = RwLock::new(7u64).unwrap();
    let (inside, counted) = (Barrier::new(READERS + 1), Barrier::new(READERS + 1));
    std::thread::scope(|s| {
        for _ in 0..READERS {
            s.spawn(|| {
                let held = lock.read().unwrap();
                inside.wait();
                counted.wait();
                assert_eq!(*held, 7);
            });
        }
        inside.wait();
        assert_eq!(lock.readers(), READERS as u32);
        assert_eq!(lock.try_write().err(), Some(LockError::WouldBlock));
        counted.wait();
    });
    assert_eq!(lock.readers(), 0);
    assert!(lock.try_write().is_ok());
}

/// Readers of 64 processes leave no entry for one of a 65th: it waits, and goes on when one of them leaves or is killed.
#[test]
fn a_65th_process_waits_for_an_entry() {
    let _watchdog = Watchdog::start("a_65th_process_waits_for_an_entry");
    let segment = Segment::options().members(ENTRIES as u32 + 2).anonymous(8192).unwrap();
    let lock = RwLock::new_in(&segment, 7u64).unwrap();
    let (inside, leave, gone) = (Step::new(), Step::new(), Step::new());
    let mut children: Vec<_> = (0..ENTRIES)
        .map(|_| {
            Child::fork(|| {
                let held = lock.read().expect("an entry is free");
                inside.reach();
                leave.wait();
                drop(held);
                gone.reach();
                loop {
                    nix::unistd::pause();
                }
            })
        })
        .collect();
    (0..ENTRIES).for_each(|_| inside.wait());
    assert_eq!(lock.readers(), ENTRIES as u32);
    assert_eq!(lock.try_read().err(), Some(LockError::WouldBlock));
    assert_eq!(lock.read_timeout(Duration::from_millis(5)).err(), Some(LockError::Timeout));
    leave.reach();
    gone.wait();
    drop(lock.read().expect("one has left"));
    let upgradable = lock.upgradable().expect("the line is free");
    drop(upgradable);
    children.iter_mut().for_each(Child::kill);
    assert_eq!(*lock.write().unwrap(), 7, "the dead hold nothing");
    assert_eq!(lock.readers(), 0);
}

/// The same, when they are all killed and no writer comes to clear up after them.
#[test]
fn entries_of_the_dead_are_taken_by_readers() {
    let _watchdog = Watchdog::start("entries_of_the_dead_are_taken_by_readers");
    let segment = Segment::options().members(8).anonymous(8192).unwrap();
    let lock = RwLock::new_in(&segment, 7u64).unwrap();
    let inside = Step::new();
    let mut dying = Child::fork(|| {
        // Each guard of one thread has an entry of its own, as long as there are any.
        let _held: Vec<_> = (0..ENTRIES).map(|_| lock.read().expect("an entry is free")).collect();
        inside.reach();
        loop {
            nix::unistd::pause();
        }
    });
    inside.wait();
    assert_eq!(lock.try_read().err(), Some(LockError::WouldBlock));
    dying.kill();
    assert_eq!(*lock.read().expect("the dead hold nothing"), 7);
}

/// Guards of all kinds, inherited: they release nothing, and access panics.
#[test]
fn inherited_guards_release_nothing_and_panic_on_access() {
    let _watchdog = Watchdog::start("inherited_guards_release_nothing_and_panic_on_access");
    let (read, write, up) = (RwLock::new(1u64).unwrap(), RwLock::new(2u64).unwrap(), RwLock::new(3u64).unwrap());
    let again = RLock::new(4u64).unwrap();
    let mut guards =
        Some((read.read().unwrap(), write.write().unwrap(), up.upgradable().unwrap(), again.lock().unwrap()));
    Child::fork(|| {
        let (reading, writing, upgradable, locked) = guards.take().expect("inherited");
        std::panic::set_hook(Box::new(|_| ()));
        let panics = |access: &dyn Fn() -> u64| catch_unwind(AssertUnwindSafe(access)).is_err();
        assert!(panics(&|| *reading) && panics(&|| *writing) && panics(&|| *upgradable) && panics(&|| locked.get()));
        drop((reading, writing, upgradable, locked));
        assert_eq!(again.depth(), 0);
        assert_eq!(read.try_write().err(), Some(LockError::WouldBlock));
        assert_eq!(write.try_read().err(), Some(LockError::WouldBlock));
        assert_eq!(up.try_upgradable().err(), Some(LockError::WouldBlock));
        assert_eq!(again.try_lock().err(), Some(LockError::WouldBlock));
    })
    .join();
    let (reading, writing, upgradable, locked) = guards.expect("still the parent's");
    assert_eq!((*reading, *writing, *upgradable, locked.get()), (1, 2, 3, 4));
}

/// Writers, readers and upgradable holders in one process, many times: nothing is torn, and no addition is lost.
#[test]
fn many_threads_of_all_kinds() {
    const EACH: u64 = 2_000;
    let _watchdog = Watchdog::start("many_threads_of_all_kinds");
    let lock = RwLock::new([0u64; 2]).unwrap();
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| (0..EACH).for_each(|_| lock.write().unwrap().iter_mut().for_each(|word| *word += 1)));
            s.spawn(|| {
                for _ in 0..EACH {
                    let seen = *lock.read().unwrap();
                    assert_eq!(seen[0], seen[1]);
                }
            });
            s.spawn(|| {
                for _ in 0..EACH {
                    let seen = lock.upgradable().unwrap();
                    let before = seen[0];
                    let mut mine = ipc_sync::UpgradableGuard::upgrade(seen).unwrap();
                    assert_eq!(mine[0], before, "nobody wrote in between");
                    mine.iter_mut().for_each(|word| *word += 1);
                    let shared = ipc_sync::WriteGuard::downgrade(mine);
                    assert_eq!(*shared, [before + 1; 2]);
                }
            });
        }
    });
    assert_eq!(*lock.read().unwrap(), [4 * EACH; 2]);
}
