//! The locks of ipc-sync as fields of one shared struct: the fourth way to place them, and all at once.

use ipc_sync::{LockState, RLockState, RwLockState, Segment, Shared, lock_all, shared};
use ipc_tests::child::{Child, Step};
use ipc_tests::unique::UniqueName;
use ipc_tests::watchdog::Watchdog;

#[shared]
struct Desk {
    turn: LockState,
    total: LockState<u64>,
    nested: RLockState<u64>,
    board: RwLockState<[u64; 2]>,
    shelves: [RwLockState<u64>; 4],
}

/// Free at first, over zeroes; each field is its own lock, for whoever attaches.
#[test]
fn smoke() {
    let desk = Shared::<Desk>::new().unwrap();
    let twin = Shared::<Desk>::attach(&desk.ticket()).unwrap();
    let turn = desk.at(|d| &d.turn);
    let _mine = turn.lock().unwrap();
    desk.at(|d| &d.nested).lock().unwrap().set(5);
    *desk.at(|d| &d.board).write().unwrap() = [1, 2];
    *desk.at(|d| &d.shelves[3]).write().unwrap() = 7;
    assert!(twin.at(|d| &d.turn).try_lock().is_err());
    assert_eq!(twin.at(|d| &d.nested).lock().unwrap().get(), 5);
    assert_eq!(*twin.at(|d| &d.board).read().unwrap(), [1, 2]);
    let seen: Vec<_> = (0..4).map(|n| *twin.at(|d| &d.shelves[n]).read().unwrap()).collect();
    assert_eq!(seen, [0, 0, 0, 7]);
}

/// Locks of one struct are told apart by their place in it, also when one of them is asked for twice.
#[test]
fn lock_all_of_one_struct() {
    let desk = Shared::<Desk>::new().unwrap();
    let (turn, total, nested) = (desk.at(|d| &d.turn), desk.at(|d| &d.total), desk.at(|d| &d.nested));
    {
        let (_turn, mut sum, more) = lock_all((&turn, &total, &nested)).unwrap();
        *sum += 1;
        more.set(2);
    }
    let again = desk.at(|d| &d.total);
    assert!(lock_all((&total, &again)).is_err());
    assert_eq!((*total.lock().unwrap(), nested.lock().unwrap().get()), (1, 2));
}

/// By name, with a holder of everything that is killed: each field is told, or not, by itself.
#[test]
fn a_death_concerns_what_was_held() {
    let _watchdog = Watchdog::start("a_death_concerns_what_was_held");
    let name = UniqueName::new("desk");
    let desk = Shared::<Desk>::create(&name).unwrap();
    let holds = Step::new();
    let mut child = Child::fork(|| {
        let desk = Shared::<Desk>::open(&name).expect("the name exists");
        let (total, nested, board, shelf) =
            (desk.at(|d| &d.total), desk.at(|d| &d.nested), desk.at(|d| &d.board), desk.at(|d| &d.shelves[0]));
        let (mut sum, _read_only) = (total.lock().expect("free"), nested.lock().expect("free"));
        let (mut written, _read) = (board.write().expect("free"), shelf.read().expect("free"));
        (*sum, written[0]) = (1, 1);
        holds.reach();
        loop {
            nix::unistd::pause();
        }
    });
    holds.wait();
    child.kill();
    assert!(desk.at(|d| &d.total).lock().is_err());
    assert!(desk.at(|d| &d.nested).lock().is_ok(), "not written");
    assert!(desk.at(|d| &d.board).read().is_err());
    assert!(desk.at(|d| &d.shelves[0]).write().is_ok(), "only read");
    assert!(desk.at(|d| &d.shelves[1]).write().is_ok(), "another one");
    drop(desk.at(|d| &d.board).recover(|words| *words = [0; 2]).unwrap());
    assert_eq!(*desk.at(|d| &d.board).read().unwrap(), [0; 2]);
}

/// Many of each in one segment, in all ways at once.
#[test]
fn many_in_one_segment() {
    let segment = Segment::new(1 << 20).unwrap();
    let unnamed: Vec<_> = (0..200u64).map(|n| ipc_sync::RwLock::new_in(&segment, n).unwrap()).collect();
    let named = ipc_sync::RLock::create_in(&segment, "nested", 5u64).unwrap();
    assert!(unnamed.iter().zip(0..).all(|(lock, n)| *lock.read().unwrap() == n));
    let again = ipc_sync::RLock::<u64>::open_in(&segment, "nested").unwrap();
    let held = named.lock().unwrap();
    assert_eq!((again.depth(), again.lock().unwrap().get()), (1, 5));
    drop(held);
    assert!(ipc_sync::RwLock::<u64>::open_in(&segment, "nested").is_err(), "another kind");
    assert!(ipc_sync::RLock::<u32>::open_in(&segment, "nested").is_err(), "another type");
}
