//! `init`: children that enter in `main`. A program of its own, without the test harness.
//!
//! PR22: what `main` does before `init` runs in every child, and starting children there is an error, not an avalanche.

use ipc_process::{ExitStatus, Process, ProcessError, SpawnError};
use std::sync::atomic::{AtomicU32, Ordering};

/// How far this process's `main` has come.
static PROGRESS: AtomicU32 = AtomicU32::new(0);
/// What an attempt to spawn before `init` gave.
static EARLY: AtomicU32 = AtomicU32::new(0);

const REFUSED: u32 = 1;
const STARTED: u32 = 2;

fn main() {
    PROGRESS.store(1, Ordering::Relaxed);
    let early = match Process::spawn(|| PROGRESS.load(Ordering::Relaxed), ()) {
        Err(SpawnError::BeforeInit) => REFUSED,
        Ok(child) => {
            assert_eq!(child.join().expect("join"), 0, "entered before main");
            STARTED
        }
        Err(other) => panic!("{other}"),
    };
    EARLY.store(early, Ordering::Relaxed);
    ipc_process::init();
    assert_eq!(early, STARTED, "a child never gets past init");

    a_child_enters_in_main();
    its_children_do_too();
    panics_and_exits_are_told();
    what_is_set_up_before_main_is_there();
    ipc_process::init();
}

fn a_child_enters_in_main() {
    let look = || (PROGRESS.load(Ordering::Relaxed), EARLY.load(Ordering::Relaxed));
    assert_eq!(Process::spawn(look, ()).expect("spawn").join().expect("join"), (1, REFUSED));
}

fn its_children_do_too() {
    let nested = || Process::spawn(|| PROGRESS.load(Ordering::Relaxed), ()).expect("spawn").join().expect("join");
    assert_eq!(Process::spawn(nested, ()).expect("spawn").join().expect("join"), 1);
}

fn panics_and_exits_are_told() {
    let (reader, stderr) = std::io::pipe().expect("pipe");
    let child = Process::options().stderr(stderr).spawn(|| -> u32 { panic!("in a child") }, ()).expect("spawn");
    assert_eq!(child.wait().expect("wait"), ExitStatus::Exited { code: 1 });
    assert!(matches!(child.join(), Err(ProcessError::Panicked { message, .. }) if message == "in a child"));
    let text = std::io::read_to_string(reader).expect("read");
    assert!(text.contains("'main'") && text.contains("in a child"), "{text}");
}

fn what_is_set_up_before_main_is_there() {
    let name = || std::thread::current().name().map(str::to_owned);
    assert_eq!(Process::spawn(name, ()).expect("spawn").join().expect("join").as_deref(), Some("main"));
    let stdin = || std::io::read_to_string(std::io::stdin()).expect("read");
    let null = std::fs::File::open("/dev/null").expect("open");
    assert_eq!(Process::options().stdin(null).spawn(stdin, ()).expect("spawn").join().expect("join"), "");
}
