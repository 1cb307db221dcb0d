//! Segments in files.

use ipc_core::{Array, ErrorKind, LockError, Segment, Value};
use ipc_queue::Queue;
use ipc_sync::Lock;
use ipc_tests::child::{Child, Step};
use ipc_tests::unique::UniqueDirectory;
use ipc_tests::watchdog::Watchdog;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Where `layout/header.rs` and `member/table.rs` put the boot ids, and the rows.
const BOOT_AT: u64 = 88;
const ROWS_AT: u64 = 512;
const ROW_BYTES: u64 = 128;
const ROW_BOOT_AT: u64 = 40;

/// What a reboot does to a file: nothing, except that the boot is another one by then, and nobody has it mapped.
fn reboot(path: &Path, rows: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let earlier = 0x0123_4567_89ab_cdef_u128.to_le_bytes();
    file.write_all_at(&earlier, BOOT_AT).unwrap();
    (0..rows).for_each(|row| file.write_all_at(&earlier, ROWS_AT + row * ROW_BYTES + ROW_BOOT_AT).unwrap());
}

#[test]
fn smoke() {
    let _watchdog = Watchdog::start("smoke");
    let directory = UniqueDirectory::new();
    let path = directory.join("state");
    let segment = Segment::create_file(&path, 4096).unwrap();
    Value::create_in(&segment, "v", 1u64).unwrap();
    Child::fork(|| {
        let segment = Segment::open_file(&path).unwrap();
        Value::<u64>::open_in(&segment, "v").unwrap().set(2).unwrap();
    })
    .join();
    assert_eq!(Value::<u64>::open_in(&segment, "v").unwrap().get().unwrap(), 2);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    segment.sync().unwrap();
}

/// Everything in it, held by processes that were killed or still ran when the machine went down.
#[test]
fn a_file_survives_a_reboot() {
    let _watchdog = Watchdog::start("a_file_survives_a_reboot");
    let directory = UniqueDirectory::new();
    let path = directory.join("state");
    // All members of the earlier boot are children: this process has nothing mapped when the next one begins.
    let ready = Step::new();
    let mut killed = Child::fork(|| {
        let segment = Segment::options().members(4).create_file(&path, 64 << 10).unwrap();
        let value = Value::create_in(&segment, "value", [1u64, 2]).unwrap();
        let array = Array::<u32>::create_in(&segment, "array", 8).unwrap();
        let lock = Lock::create_in(&segment, "lock", 7u64).unwrap();
        let idle = Lock::create_in(&segment, "idle", 8u64).unwrap();
        let queue = Queue::<u64>::create_in(&segment, "queue", 8).unwrap();
        array.lock().unwrap()[3] = 33;
        value.set([3, 4]).unwrap();
        (1..=3).for_each(|n| queue.send(n).unwrap());
        // One lock is held in the middle of a change, one is only held.
        let mut changing = lock.lock().unwrap();
        *changing = 70;
        let _holding = idle.lock().unwrap();
        ready.reach();
        Step::new().wait();
    });
    ready.wait();
    killed.kill();
    reboot(&path, 4);
    // More members than there are rows, one after another: none is taken by the dead.
    for _ in 0..6 {
        Child::fork(|| drop(Segment::open_file(&path).unwrap())).join();
    }
    let segment = Segment::open_file(&path).unwrap();
    assert_eq!(Value::<[u64; 2]>::open_in(&segment, "value").unwrap().get().unwrap(), [3, 4]);
    assert_eq!(Array::<u32>::open_in(&segment, "array").unwrap().lock().unwrap()[3], 33);
    let lock = Lock::<u64>::open_in(&segment, "lock").unwrap();
    assert!(matches!(lock.lock().unwrap_err(), LockError::Inconsistent { .. }), "it died in the middle of a change");
    assert_eq!(*lock.recover(|data| *data = 7).unwrap(), 7);
    assert_eq!(*Lock::<u64>::open_in(&segment, "idle").unwrap().lock().unwrap(), 8);
    let queue = Queue::<u64>::open_in(&segment, "queue").unwrap();
    assert_eq!((0..3).map(|_| queue.recv().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    queue.send(4).unwrap();
    assert_eq!(queue.recv(), Ok(4));
    Value::create_in(&segment, "new", 1u8).unwrap();
}

/// An owner word that reached the disk before its row did must not be somebody of the next boot.
#[test]
fn generations_lost_in_a_power_failure_do_not_come_again() {
    let _watchdog = Watchdog::start("generations_lost_in_a_power_failure_do_not_come_again");
    let directory = UniqueDirectory::new();
    let path = directory.join("state");
    let ready = Step::new();
    let mut killed = Child::fork(|| {
        let segment = Segment::options().members(1).create_file(&path, 4096).unwrap();
        let lock = Lock::create_in(&segment, "lock", 0u64).unwrap();
        let _held = lock.lock().unwrap();
        ready.reach();
        Step::new().wait();
    });
    ready.wait();
    killed.kill();
    // The lock word names generation 1 of row 0, which the file has never heard of.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0; ROW_BYTES as usize], ROWS_AT).unwrap();
    file.write_all_at(&7u128.to_le_bytes(), BOOT_AT).unwrap();
    let segment = Segment::open_file(&path).unwrap();
    let lock = Lock::<u64>::open_in(&segment, "lock").unwrap();
    drop(lock.lock().expect("its holder is dead, and not this process"));
}

#[test]
fn paths_are_exclusive() {
    let _watchdog = Watchdog::start("paths_are_exclusive");
    let directory = UniqueDirectory::new();
    let path = directory.join("state");
    let kind = |error: ipc_core::Error| error.kind().clone();
    assert!(matches!(kind(Segment::open_file(&path).unwrap_err()), ErrorKind::NotFound { .. }));
    let first = Segment::options().open_or_create_file(&path, 4096).unwrap();
    assert!(matches!(kind(Segment::create_file(&path, 4096).unwrap_err()), ErrorKind::AlreadyExists { .. }));
    assert_eq!(Segment::options().open_or_create_file(&path, 1 << 20).unwrap().id(), first.id());
    let nowhere = directory.join("no/such/directory");
    assert!(matches!(kind(Segment::create_file(&nowhere, 1).unwrap_err()), ErrorKind::NotFound { .. }));
    for not_a_file in ["/", "..", "/dev/shm/"] {
        let error = kind(Segment::create_file(not_a_file, 1).unwrap_err());
        assert!(matches!(error, ErrorKind::InvalidArgument { what: "path", .. }), "{not_a_file}: {error:?}");
    }
    let error = kind(Segment::options().unlink_with_last_member().create_file(directory.join("x"), 1).unwrap_err());
    assert!(matches!(error, ErrorKind::InvalidArgument { what: "unlink_with_last_member", .. }), "{error:?}");
    drop(first);
    assert!(path.exists(), "a file stays when its last member leaves");
}

/// A file system without files that have no name: procfs, where only root gets so far as to be told.
#[test]
fn without_unnamed_files_it_is_a_typed_refusal() {
    let error = Segment::create_file("/proc/self/task/segment", 4096).unwrap_err();
    match error.kind() {
        ErrorKind::Unsupported { what } => assert!(what.contains("O_TMPFILE")),
        ErrorKind::System { .. } => assert!(!nix::unistd::geteuid().is_root(), "{error}"),
        _ => panic!("{error}"),
    }
}

#[test]
fn of_many_who_open_or_create_a_file_one_creates() {
    let _watchdog = Watchdog::start("of_many_who_open_or_create_a_file_one_creates");
    let directory = UniqueDirectory::new();
    let path = directory.join("state");
    let ids: Vec<_> = std::thread::scope(|s| {
        let open = || Segment::options().open_or_create_file(&path, 8192).unwrap();
        let threads: Vec<_> = (0..4).map(|_| s.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|segment| segment.id() == ids[0].id()));
    assert_eq!(std::fs::read_dir(&*directory).unwrap().count(), 1);
}
