//! Observers: what they see, and that they can do nothing else.

use ipc_core::{Array, AtomicArray, AtomicValue, ErrorKind, LockError, Observer, Segment, Value};
use ipc_queue::Queue;
use ipc_sync::Lock;
use ipc_tests::child::{Child, Step, die};
use ipc_tests::passing;
use ipc_tests::unique::{UniqueDirectory, UniqueName};
use ipc_tests::watchdog::Watchdog;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;

fn kind(error: &ipc_core::Error) -> &ErrorKind {
    error.kind()
}

#[test]
fn an_observer_sees_words_whole() {
    let _watchdog = Watchdog::start("an_observer_sees_words_whole");
    let segment = Segment::options().observable().anonymous(16 << 10).unwrap();
    assert!(segment.is_observable() && segment.members() == 1);
    let number = AtomicValue::create_in(&segment, "number", 1u32).unwrap();
    let numbers = AtomicArray::<u64>::create_in(&segment, "numbers", 4).unwrap();
    let word = Value::create_in(&segment, "word", 10u64).unwrap();
    Value::create_in(&segment, "large", [1u64; 2]).unwrap();
    Value::create_in(&segment, "bytes", [1u8; 8]).unwrap();
    Array::<u64>::create_in(&segment, "array", 2).unwrap();
    Lock::create_in(&segment, "lock", 1u64).unwrap();
    Queue::<u64>::create_in(&segment, "queue", 2).unwrap();
    numbers[2].store(22, Relaxed);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (looked, changed) = (Step::new(), Step::new());
    let child = Child::fork(|| {
        let (_, mut fds) = passing::receive(&theirs).unwrap();
        let observer = Observer::from_fd(fds.remove(0)).unwrap();
        let (number, word) = (observer.value::<u32>("number").unwrap(), observer.value::<u64>("word").unwrap());
        let numbers = observer.array::<u64>("numbers").unwrap();
        assert_eq!((number.get(), word.get(), numbers.len()), (1, 10, 4));
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [0, 0, 22, 0]);
        looked.reach();
        changed.wait();
        assert_eq!((number.get(), word.get(), numbers.get(3), numbers.get(4)), (2, 11, Some(33), None));
        for refused in ["large", "lock", "queue"] {
            let error =
                observer.value::<[u64; 2]>(refused).map(drop).or_else(|_| observer.value::<u64>(refused).map(drop));
            let error = error.unwrap_err();
            assert!(matches!(kind(&error), ErrorKind::NotObservable { .. } | ErrorKind::WrongType { .. }), "{error}");
        }
        let refused =
            |error: ipc_core::Error| assert!(matches!(kind(&error), ErrorKind::NotObservable { .. }), "{error}");
        refused(observer.value::<[u64; 2]>("large").unwrap_err());
        refused(observer.value::<[u8; 8]>("bytes").unwrap_err());
        refused(observer.value::<u64>("array").unwrap_err());
        refused(observer.array::<u64>("word").unwrap_err());
        refused(observer.value::<u64>("lock").unwrap_err());
        assert!(matches!(kind(&observer.value::<i64>("word").unwrap_err()), ErrorKind::WrongType { .. }));
        assert!(matches!(kind(&observer.value::<u64>("nothing").unwrap_err()), ErrorKind::NotFound { .. }));
    });
    passing::send(&ours, b"here", &[segment.as_fd()]).unwrap();
    looked.wait();
    number.store(2, Relaxed);
    numbers[3].store(33, Relaxed);
    word.update(|n| *n += 1).unwrap();
    changed.reach();
    child.join();
}

/// The seal binds everybody, not only this library.
#[test]
fn nobody_else_can_write_to_a_sealed_segment() {
    let _watchdog = Watchdog::start("nobody_else_can_write_to_a_sealed_segment");
    let value = AtomicValue::place(ipc_core::raw::Place::New, 5u64, &Segment::options().observable()).unwrap();
    let segment = value.segment();
    let twin = Segment::from_fd(segment.as_fd().try_clone_to_owned().unwrap()).expect("the writer itself");
    assert_eq!(twin.id(), segment.id());
    let page = std::num::NonZeroUsize::new(4096).unwrap();
    let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
    let mapped = unsafe { mmap(None, page, writable, MapFlags::MAP_SHARED, segment.as_fd(), 0) };
    assert_eq!(mapped.unwrap_err(), nix::errno::Errno::EPERM);
    let file = std::fs::File::from(segment.as_fd().try_clone_to_owned().unwrap());
    assert!(std::os::unix::fs::FileExt::write_all_at(&file, b"x", 0).is_err());
    let (ticket, (ours, theirs)) = (value.ticket(), UnixStream::pair().unwrap());
    let child = Child::fork(|| {
        let (_, mut fds) = passing::receive(&theirs).unwrap();
        let fd = fds.remove(0);
        // A process that has inherited nothing: the parent's mapping of the segment is not its own.
        let observer = Observer::from_fd(fd.try_clone().unwrap()).unwrap();
        assert_eq!(observer.value::<u64>(None).unwrap().get(), 5);
        assert_eq!(Observer::attach(&ticket).unwrap().value::<u64>(None).unwrap().get(), 5);
    });
    passing::send(&ours, b"here", &[segment.as_fd()]).unwrap();
    child.join();
}

/// Files cannot be sealed: there the one row decides, and when the writer has died another may take over.
#[test]
fn of_a_named_segment_one_process_is_the_writer() {
    let _watchdog = Watchdog::start("of_a_named_segment_one_process_is_the_writer");
    let (name, directory) = (UniqueName::new("observable"), UniqueDirectory::new());
    let path = directory.join("observable");
    let (there, die_now) = (Step::new(), Step::new());
    let writer = Child::fork(|| {
        let options = Segment::options().observable();
        let (named, filed) = (options.create(&name, 4096).unwrap(), options.create_file(&path, 4096).unwrap());
        for segment in [&named, &filed] {
            AtomicValue::create_in(segment, "n", 7u64).unwrap();
        }
        there.reach();
        die_now.wait();
        die();
    });
    there.wait();
    for error in [Segment::open(&name).unwrap_err(), Segment::open_file(&path).unwrap_err()] {
        assert!(matches!(kind(&error), ErrorKind::OneWriter), "{error}");
    }
    let observers: Vec<_> = (0..100)
        .map(|n| if n % 2 == 0 { Observer::open(&name) } else { Observer::open_file(&path) }.unwrap())
        .collect();
    assert!(observers.iter().all(|observer| observer.value::<u64>("n").unwrap().get() == 7));
    die_now.reach();
    _ = writer.wait_to_end();
    for segment in [Segment::open(&name).unwrap(), Segment::open_file(&path).unwrap()] {
        AtomicValue::<u64>::open_in(&segment, "n").unwrap().store(8, Relaxed);
    }
    assert!(observers.iter().all(|observer| observer.value::<u64>("n").unwrap().get() == 8));
}

#[test]
fn only_what_was_made_for_it_is_observed() {
    let _watchdog = Watchdog::start("only_what_was_made_for_it_is_observed");
    let value = AtomicValue::new(1u64).unwrap();
    let error = Observer::attach(&value.ticket()).unwrap_err();
    assert!(matches!(kind(&error), ErrorKind::NotObservable { .. }), "{error}");
    let ticket = { Value::new(1u64).unwrap().ticket() };
    assert!(matches!(kind(&Observer::attach(&ticket).unwrap_err()), ErrorKind::Gone { .. }));
}

/// It owns nothing, and its death concerns nobody.
#[test]
fn an_observer_keeps_no_name_and_holds_up_nobody() {
    let _watchdog = Watchdog::start("an_observer_keeps_no_name_and_holds_up_nobody");
    let name = UniqueName::new("observed");
    let segment = Segment::options().observable().unlink_with_last_member().create(&name, 4096).unwrap();
    let value = Value::create_in(&segment, "n", 1u64).unwrap();
    let looked = Step::new();
    let mut observing = Child::fork(|| {
        let observer = Observer::open(&name).unwrap();
        let seen = observer.value::<u64>("n").unwrap();
        looked.reach();
        while seen.get() < u64::MAX {}
    });
    looked.wait();
    let guard: Result<_, LockError> = value.lock();
    drop(guard.expect("an observer holds nothing"));
    observing.kill();
    value.set(2).unwrap();
    drop((value, segment));
    assert!(!name.path().exists());
}
