//! Small systems: a full file system, few descriptors, little address space, short files. An error or success, and no SIGBUS.
//!
//! Limits are set in forked children of a program of one thread.

#![allow(clippy::print_stdout)]

use ipc_core::{Array, Error, ErrorKind, Segment, Value};
use ipc_queue::Queue;
use ipc_tests::child::Child;
use ipc_tests::unique::UniqueName;
use ipc_tests::watchdog::Watchdog;
use ipc_tests::{alone, private};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;

fn main() {
    alone::run(ipc_tests::tests![
        a_full_file_system_is_an_error_now_and_no_sigbus_later,
        what_just_fits_can_be_written_to_its_last_byte,
        without_descriptors_there_are_errors,
        without_address_space_there_are_errors,
        a_file_that_may_not_be_so_long_is_an_error_and_no_sigxfsz,
    ]);
}

const MIB: u64 = 1 << 20;

/// Runs `body` where /dev/shm has this size and nothing in it; says so where that cannot be had.
fn with_shared_memory(bytes: u64, body: impl FnOnce()) {
    Child::fork(|| match private::shared_memory(bytes) {
        Ok(()) => body(),
        Err(errno) => println!("skipped: this user may not mount a file system ({errno})"),
    })
    .join();
}

fn is_out_of_memory<T>(result: Result<T, Error>) -> bool {
    let error = result.err();
    error.is_some_and(|error| matches!(error.kind(), ErrorKind::OutOfMemory { .. }))
}

/// Writes every byte that objects can have.
fn fill(segment: &Segment) {
    // The entry of the array itself takes some.
    let len = segment.free_bytes() - 512;
    let array = Array::<u8>::new_in(segment, len as usize).expect("there is room");
    array.lock().expect("a free lock").fill(0xa5);
}

fn shared_memory_is_empty() -> bool {
    fs::read_dir("/dev/shm").is_ok_and(|mut entries| entries.next().is_none())
}

fn a_full_file_system_is_an_error_now_and_no_sigbus_later() {
    let _watchdog = Watchdog::start("a_full_file_system_is_an_error_now_and_no_sigbus_later");
    with_shared_memory(4 * MIB, || {
        let names: Vec<_> = (0..8).map(|_| UniqueName::new("full")).collect();
        let mut made = Vec::new();
        for name in &names {
            match Segment::create(name, MIB) {
                Ok(segment) => made.push(segment),
                Err(error) => assert!(matches!(error.kind(), ErrorKind::OutOfMemory { .. }), "{error}"),
            }
        }
        assert_eq!(made.len(), 3, "and their headers");
        made.iter().for_each(fill);
        assert!(is_out_of_memory(Queue::<[u8; 4096]>::create(&names[7], 400)));
        assert!(is_out_of_memory(Segment::open_or_create(&names[7], 2 * MIB)));
        drop(made);
        names.iter().take(3).for_each(|name| Segment::unlink(name).expect("it was made"));
        assert!(shared_memory_is_empty());
        Segment::create(&names[0], 3 * MIB).map(|segment| fill(&segment)).expect("there is room again");
    });
}

fn what_just_fits_can_be_written_to_its_last_byte() {
    let _watchdog = Watchdog::start("what_just_fits_can_be_written_to_its_last_byte");
    with_shared_memory(MIB, || {
        let name = UniqueName::new("fits");
        let mut fitted = [0, 0];
        for pages in 230..=260 {
            match Segment::create(&name, pages * 4096) {
                Ok(segment) => {
                    fill(&segment);
                    Segment::unlink(&name).expect("it was made");
                    fitted[0] += 1;
                }
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::OutOfMemory { .. }), "{error}");
                    fitted[1] += 1;
                }
            }
            assert!(shared_memory_is_empty());
        }
        assert!(fitted[0] > 0 && fitted[1] > 0, "{fitted:?}");
    });
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("a descriptor to spare").count()
}

fn without_descriptors_there_are_errors() {
    let _watchdog = Watchdog::start("without_descriptors_there_are_errors");
    let name = UniqueName::new("nofile");
    let elsewhere = UniqueName::new("there");
    Child::fork(|| drop(Value::create(&elsewhere, 7u64).expect("a value"))).join();
    Child::fork(|| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        let before = descriptors();
        let mut succeeded = [false; 4];
        for spare in 0..12 {
            let highest = fs::read_dir("/proc/self/fd").expect("a list").flatten();
            let highest = highest.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max();
            // The list itself was the highest, or filled a gap; either way what follows is at most what is spare.
            setrlimit(Resource::RLIMIT_NOFILE, highest.expect("some are open") + spare, hard).expect("less is allowed");
            let results = [
                Value::new(1u64).map(drop),
                Value::create(&name, 1u64).map(drop),
                Value::<u64>::open(&elsewhere).map(drop),
                Queue::<u64>::new(4).map(drop),
            ];
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("as before");
            for (result, succeeded) in results.iter().zip(&mut succeeded) {
                *succeeded = result.is_ok();
                if let Err(error) = result {
                    assert!(matches!(error.kind(), ErrorKind::System { .. }), "{error}");
                }
            }
            assert_eq!(Segment::unlink(&name).is_ok(), results[1].is_ok());
            assert_eq!(descriptors(), before);
        }
        assert_eq!(succeeded, [true; 4]);
    })
    .join();
}

/// Of this process, in bytes.
fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/statm").expect("a process has a size");
    status.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()).expect("a number of pages") * 4096
}

fn without_address_space_there_are_errors() {
    let _watchdog = Watchdog::start("without_address_space_there_are_errors");
    let name = UniqueName::new("as");
    Child::fork(|| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_AS).expect("a limit");
        let (before, mut succeeded) = (descriptors(), false);
        for spare in [MIB, 8 * MIB, 15 * MIB, 24 * MIB] {
            setrlimit(Resource::RLIMIT_AS, address_space() + spare, hard).expect("less is allowed");
            let results = [Segment::new(16 * MIB), Segment::create(&name, 16 * MIB)];
            setrlimit(Resource::RLIMIT_AS, soft, hard).expect("as before");
            succeeded = results[0].is_ok();
            assert_eq!(Segment::unlink(&name).is_ok(), results[1].is_ok());
            for result in results {
                match result {
                    Ok(segment) => fill(&segment),
                    Err(error) => assert!(matches!(error.kind(), ErrorKind::OutOfMemory { .. }), "{error}"),
                }
            }
            assert_eq!(descriptors(), before);
        }
        assert!(succeeded);
    })
    .join();
}

fn a_file_that_may_not_be_so_long_is_an_error_and_no_sigxfsz() {
    let _watchdog = Watchdog::start("a_file_that_may_not_be_so_long_is_an_error_and_no_sigxfsz");
    let name = UniqueName::new("fsize");
    Child::fork(|| {
        setrlimit(Resource::RLIMIT_FSIZE, MIB, MIB).expect("less is allowed");
        assert!(is_out_of_memory(Segment::new(2 * MIB)));
        assert!(is_out_of_memory(Segment::create(&name, MIB)), "with its header it is longer");
        assert!(is_out_of_memory(Array::<u64>::new(1 << 20)));
        fill(&Segment::new(MIB / 2).expect("short enough"));
    })
    .join();
    assert!(!name.path().exists());
}
