//! Other users: what they put in the way, and what they do not get. These tests need root, to be somebody else.

use ipc_core::{Error, ErrorKind, FileProblem, Observer, Segment, Ticket, Value, gc};
use ipc_tests::child::Stranger;
use ipc_tests::unique::{UniqueDirectory, UniqueName};
use ipc_tests::watchdog::Watchdog;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

fn problem(error: &Error) -> FileProblem {
    match error.kind() {
        ErrorKind::UnsafeDirectory { problem, .. } | ErrorKind::UnsafeFile { problem } => *problem,
        _ => panic!("{error}"),
    }
}

fn directory(path: &Path, owner: u32, mode: u32) {
    std::fs::create_dir(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
}

fn without_runtime_directory() {
    // SAFETY: a forked child has one thread.
    unsafe { std::env::remove_var("XDG_RUNTIME_DIR") };
}

/// SH: somebody else made the directory of names first.
#[test]
fn a_squatted_directory_is_refused() {
    let _watchdog = Watchdog::start("a_squatted_directory_is_refused");
    let Some(stranger) = Stranger::new() else { return };
    let uid = stranger.uid;
    let elsewhere = UniqueDirectory::new_in(Path::new("/dev/shm"));
    directory(&elsewhere.join("theirs"), uid, 0o700);
    let refused = |expected: FileProblem| {
        let check = || {
            without_runtime_directory();
            let errors = [
                Segment::create("x", 1).unwrap_err(),
                Segment::open("x").unwrap_err(),
                Segment::open_or_create("x", 1).unwrap_err(),
                Segment::unlink("x").unwrap_err(),
                Observer::open("x").unwrap_err(),
                gc().unwrap_err(),
            ];
            for error in errors {
                assert_eq!(problem(&error), expected, "{error}");
                assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "it says what to do: {error}");
            }
        };
        stranger.fork(check).join();
        let home = stranger.home();
        std::fs::remove_dir(&home).or_else(|_| std::fs::remove_file(&home)).unwrap();
    };
    directory(&stranger.home(), 0, 0o700);
    refused(FileProblem::Owner { uid: 0 });
    directory(&stranger.home(), 0, 0o777);
    refused(FileProblem::Owner { uid: 0 });
    directory(&stranger.home(), uid, 0o755);
    refused(FileProblem::Mode { mode: 0o755 });
    directory(&stranger.home(), uid, 0o770);
    refused(FileProblem::Mode { mode: 0o770 });
    symlink(elsewhere.join("theirs"), stranger.home()).unwrap();
    refused(FileProblem::NotADirectory);
    std::fs::write(stranger.home(), b"").unwrap();
    refused(FileProblem::NotADirectory);
}

#[test]
fn a_squatted_directory_falls_back_to_the_runtime_directory() {
    let _watchdog = Watchdog::start("a_squatted_directory_falls_back_to_the_runtime_directory");
    let Some(stranger) = Stranger::new() else { return };
    let runtime = UniqueDirectory::new_in(Path::new("/dev/shm"));
    chown(&*runtime, Some(stranger.uid), None).unwrap();
    directory(&stranger.home(), 0, 0o700);
    let with_runtime_directory = || {
        // SAFETY: a forked child has one thread.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", &*runtime) };
    };
    let segment_of = || {
        with_runtime_directory();
        let value = Value::create("fallback", 7u64).unwrap();
        assert_eq!(std::fs::metadata(runtime.join("ipc")).unwrap().mode() & 0o7777, 0o700);
        assert!(runtime.join("ipc/fallback").exists());
        value.set(8).unwrap();
        let last = Segment::options().unlink_with_last_member().create("last", 1).unwrap();
        drop(last);
        assert!(!runtime.join("ipc/last").exists());
    };
    stranger.fork(segment_of).join();
    // The squatter goes: what was named meanwhile is still found, and its name still taken.
    std::fs::remove_dir(stranger.home()).unwrap();
    let later = || {
        with_runtime_directory();
        assert_eq!(Value::<u64>::open("fallback").unwrap().get().unwrap(), 8);
        assert!(matches!(Segment::create("fallback", 1).unwrap_err().kind(), ErrorKind::AlreadyExists { .. }));
        let new = UniqueName::new("new");
        Segment::create(&new, 1).unwrap();
        assert!(stranger.home().join(&*new).exists());
        Segment::unlink("fallback").unwrap();
        assert!(!runtime.join("ipc").exists(), "the directory goes with its last name");
    };
    stranger.fork(later).join();
    // The fallback is believed under the same conditions.
    directory(&stranger.home(), 0, 0o700);
    directory(&runtime.join("ipc"), stranger.uid, 0o755);
    let both = || {
        with_runtime_directory();
        for error in [Segment::create("x", 1).unwrap_err(), Segment::open("x").unwrap_err()] {
            assert_eq!(problem(&error), FileProblem::Owner { uid: 0 }, "the first of the two is told: {error}");
        }
    };
    stranger.fork(both).join();
}

#[test]
fn a_file_of_another_user_is_refused() {
    let _watchdog = Watchdog::start("a_file_of_another_user_is_refused");
    let Some(stranger) = Stranger::new() else { return };
    let shared = UniqueDirectory::new_in(Path::new("/dev/shm"));
    std::fs::set_permissions(&*shared, PermissionsExt::from_mode(0o755)).unwrap();
    let path = shared.join("root");
    let _segment = Segment::options().mode(0o644).observable().create_file(&path, 4096).unwrap();
    directory(&stranger.home(), stranger.uid, 0o700);
    std::fs::copy(&path, stranger.home().join("planted")).unwrap();
    let check = || {
        without_runtime_directory();
        for error in [
            Segment::open_file(&path).unwrap_err(),
            Observer::open_file(&path).unwrap_err(),
            Segment::open("planted").unwrap_err(),
            Observer::open("planted").unwrap_err(),
        ] {
            assert_eq!(problem(&error), FileProblem::Owner { uid: 0 }, "{error}");
        }
        let report = gc().unwrap();
        assert_eq!(report.refused.len(), 1);
        assert!(matches!(Segment::create("planted", 1).unwrap_err().kind(), ErrorKind::AlreadyExists { .. }));
    };
    stranger.fork(check).join();
    assert!(stranger.home().join("planted").exists(), "and is left where it is");
}

/// /proc/PID/fd, and the directory of names.
#[test]
fn tickets_of_another_user_lead_nowhere() {
    let _watchdog = Watchdog::start("tickets_of_another_user_lead_nowhere");
    let Some(stranger) = Stranger::new() else { return };
    let name = UniqueName::new("ticket");
    let (anonymous, named) = (Value::new(1u64).unwrap(), Value::create(&name, 1u64).unwrap());
    let tickets: [Ticket; 2] = [anonymous.ticket(), named.ticket()];
    let root = std::process::id();
    let home = ipc_tests::unique::home();
    let check = || {
        without_runtime_directory();
        let errors = tickets.each_ref().map(|ticket| Value::<u64>::attach(ticket).unwrap_err());
        assert_eq!(*errors[0].kind(), ErrorKind::NotPermitted { pid: root }, "{}", errors[0]);
        assert_eq!(*errors[1].kind(), ErrorKind::Gone { pid: 0 }, "{}", errors[1]);
        assert!(std::fs::read_dir(&home).is_err(), "closed to others");
    };
    stranger.fork(check).join();
}
