//! Starting, joining, results, arguments, names.

mod common;

use common::{alone, hear, heard, say_and_stay, stay, watchdog};
use ipc_process::{AttachError, ExitStatus, Process, ProcessError, ResultError, SpawnError, WaitError, current_name};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// PR03, PR04
#[test]
fn smoke() {
    let _watch = watchdog();
    let child = Process::spawn(add, (40, 2)).expect("spawn");
    assert_ne!(child.pid(), std::process::id());
    assert_eq!(child.join().expect("join"), 42);
}

/// PR03: the child sees its arguments, its name and its pid.
#[test]
fn a_child_sees_what_it_was_given() {
    let _watch = watchdog();
    fn look(text: String, numbers: Vec<i64>) -> (String, i64, u32, Option<String>, u32) {
        let name = current_name().map(str::to_owned);
        (text, numbers.iter().sum(), std::process::id(), name, std::os::unix::process::parent_id())
    }
    let child =
        Process::options().name("a name of its own").spawn(look, ("text".into(), vec![1, 2, 3])).expect("spawn");
    let (pid, name) = (child.pid(), child.name().to_owned());
    let expected = ("text".to_owned(), 6, pid, Some(name.clone()), std::process::id());
    assert_eq!(name, "a name of its own");
    assert_eq!(child.join().expect("join"), expected);
    assert_eq!(current_name(), None);
}

/// PR05 ≠: arguments are a tuple, of none up to eight.
#[test]
fn tuples_are_spread() {
    let _watch = watchdog();
    assert_eq!(Process::spawn(|| 7, ()).expect("spawn").join().expect("join"), 7);
    assert_eq!(Process::spawn(|a: String| a.len(), ("four".to_owned(),)).expect("spawn").join().expect("join"), 4);
    let all = |a: u8, b: u16, c: u32, d: u64, e: i8, f: char, g: String, h: Option<bool>| (h, g, f, e, d, c, b, a);
    let child = Process::spawn(all, (1, 2, 3, 4, -5, '6', "seven".to_owned(), Some(true))).expect("spawn");
    assert_eq!(child.join().expect("join"), (Some(true), "seven".to_owned(), '6', -5, 4, 3, 2, 1));
}

#[test]
fn every_closure_is_its_own_task() {
    let _watch = watchdog();
    let (one, two) = (|x: u64| x + 1, |x: u64| x + 2);
    assert_eq!(Process::spawn(one, (1,)).expect("spawn").join().expect("join"), 2);
    assert_eq!(Process::spawn(two, (1,)).expect("spawn").join().expect("join"), 3);
    fn generic<T: Default + std::fmt::Debug>() -> String {
        format!("{:?}", T::default())
    }
    assert_eq!(alone(generic::<u8>), "0");
    assert_eq!(alone(generic::<String>), "\"\"");
}

/// PR01, PR04, PR08, PR21: `join` consumes, all else repeats.
#[test]
fn waiting_repeats() {
    let _watch = watchdog();
    let (options, mut reader) = heard();
    let child = options.spawn(say_and_stay, ()).expect("spawn");
    assert_eq!(hear(&mut reader), Some(b'!'));
    assert_eq!((child.is_alive(), child.exit_status()), (true, None));
    assert_eq!(child.wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
    assert_eq!(child.wait_timeout(Duration::from_millis(1)), Err(WaitError::Timeout));
    assert_eq!(child.wait_deadline(Instant::now()), Err(WaitError::Timeout));
    child.kill().expect("kill");
    let status = ExitStatus::Signalled { signal: libc::SIGKILL, core_dumped: false };
    for _ in 0..2 {
        assert_eq!(child.wait(), Ok(status));
        assert_eq!(child.wait_timeout(Duration::ZERO), Ok(status));
        assert_eq!(child.wait_timeout(Duration::MAX), Ok(status));
        assert_eq!((child.is_alive(), child.exit_status()), (false, Some(status)));
        child.kill().expect("an ended process needs no signal");
        child.terminate().expect("an ended process needs no signal");
    }
    assert!(format!("{child:?}").contains(&child.pid().to_string()));
    assert!(matches!(child.join(), Err(ProcessError::Signalled { signal: libc::SIGKILL, core_dumped: false })));
}

#[test]
fn many_threads_wait_for_one_child() {
    let _watch = watchdog();
    let (options, mut reader) = heard();
    let child = options.spawn(say_and_stay, ()).expect("spawn");
    assert_eq!(hear(&mut reader), Some(b'!'));
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| child.wait())).collect();
        child.terminate().expect("terminate");
        for waiter in waiters {
            assert_eq!(waiter.join().expect("thread").expect("wait").signal(), Some(libc::SIGTERM));
        }
    });
}

/// PR12
#[test]
fn a_hundred_short_processes() {
    let _watch = watchdog();
    let children: Vec<_> = (0..100u32).map(|n| Process::spawn(|n: u32| n * n, (n,)).expect("spawn")).collect();
    for (n, child) in (0..).zip(children) {
        assert_eq!(child.wait().expect("wait"), ExitStatus::Exited { code: 0 });
        assert_eq!(child.join().expect("join"), n * n);
    }
}

/// PR12
#[test]
fn a_hundred_are_terminated_at_once() {
    let _watch = watchdog();
    let children: Vec<_> = (0..100).map(|_| Process::options().daemon(true).spawn(stay, ()).expect("spawn")).collect();
    for child in &children {
        child.terminate().expect("terminate");
    }
    for child in children {
        assert_eq!(child.wait().expect("wait").signal(), Some(libc::SIGTERM));
    }
}

#[test]
fn many_threads_spawn() {
    let _watch = watchdog();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            scope.spawn(move || {
                for n in 0..5u64 {
                    let child = Process::spawn(add, (thread, n)).expect("spawn");
                    assert_eq!(child.join().expect("join"), thread + n);
                }
            });
        }
    });
}

/// PR24: counted per process, with the numbers of the ancestors in front.
#[test]
fn default_names() {
    let _watch = watchdog();
    fn names() -> Vec<String> {
        let child = || {
            let inner = Process::spawn(|| current_name().map(str::to_owned), ()).expect("spawn");
            let name = inner.name().to_owned();
            assert_eq!(inner.join().expect("join").as_deref(), Some(name.as_str()));
            name
        };
        vec![current_name().expect("a child").to_owned(), child(), child()]
    }
    let child = Process::spawn(names, ()).expect("spawn");
    let name = child.name().to_owned();
    let number = name.strip_prefix("Process-").expect("prefix");
    assert!(number.parse::<u32>().is_ok(), "{name}");
    assert_eq!(child.join().expect("join"), [name.clone(), format!("{name}:1"), format!("{name}:2")]);
}

/// PR07: a child has children; they see their own parent.
#[test]
fn nested() {
    let _watch = watchdog();
    fn depth(left: u32) -> Vec<u32> {
        let mut pids = vec![std::process::id()];
        if left > 0 {
            let child = Process::spawn(depth, (left - 1,)).expect("spawn");
            let pid = child.pid();
            let below = child.join().expect("join");
            assert_eq!(below[0], pid);
            pids.extend(below);
        }
        pids
    }
    let pids = Process::spawn(depth, (4,)).expect("spawn").join().expect("join");
    assert_eq!(pids.len(), 5);
}

#[test]
fn megabytes_go_both_ways() {
    let _watch = watchdog();
    fn flip(text: String) -> String {
        text.chars().map(|c| if c == 'a' { 'b' } else { 'a' }).collect()
    }
    for len in [32 * 1024, 8 * 1024 * 1024] {
        let text: String = "ab".repeat(len / 2);
        let flipped = Process::spawn(flip, (text,)).expect("spawn").join().expect("join");
        assert!(flipped.len() == len && flipped.starts_with("baba") && flipped.ends_with("baba"));
    }
}

/// A value whose two sides can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brittle {
    Fine,
    FailsToLeave,
    FailsToArrive,
    AbortsArriving,
    PanicsArriving,
}

impl Serialize for Brittle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::FailsToLeave => Err(serde::ser::Error::custom("stays here")),
            _ => serializer.serialize_u8(*self as u8),
        }
    }
}

impl<'de> Deserialize<'de> for Brittle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Fine),
            n if n == Self::FailsToArrive as u8 => Err(serde::de::Error::custom("does not arrive")),
            n if n == Self::AbortsArriving as u8 => std::process::abort(),
            _ => panic!("cannot arrive"),
        }
    }
}

fn take_third(_: u8, _: u8, third: Brittle) -> Brittle {
    third
}

/// PR20, and nothing of a spawn that failed is left.
#[test]
fn an_argument_that_cannot_leave() {
    let _watch = watchdog();
    let failed = Process::spawn(take_third, (1, 2, Brittle::FailsToLeave));
    assert!(matches!(failed, Err(SpawnError::Encode { argument: 2, .. })), "{failed:?}");
}

#[test]
fn an_argument_that_cannot_arrive() {
    let _watch = watchdog();
    let child = Process::spawn(take_third, (1, 2, Brittle::FailsToArrive)).expect("spawn");
    assert_eq!(child.wait().expect("wait"), ExitStatus::Exited { code: 1 });
    let failed = child.join();
    assert!(
        matches!(failed, Err(ProcessError::Attach { argument: 2, source: AttachError::Decode { .. } })),
        "{failed:?}"
    );

    let child = Process::options().stderr(null()).spawn(take_third, (1, 2, Brittle::PanicsArriving)).expect("spawn");
    assert!(matches!(child.join(), Err(ProcessError::Panicked { message, .. }) if message == "cannot arrive"));
    let child = Process::spawn(take_third, (1, 2, Brittle::AbortsArriving)).expect("spawn");
    assert!(matches!(child.join(), Err(ProcessError::Signalled { signal: libc::SIGABRT, .. })));
}

fn null() -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open("/dev/null").expect("open")
}

#[test]
fn a_result_that_cannot_leave_or_arrive() {
    let _watch = watchdog();
    let failed = Process::spawn(|| Brittle::FailsToLeave, ()).expect("spawn").join();
    assert!(matches!(failed, Err(ProcessError::Result(ResultError::Encode { .. }))), "{failed:?}");
    let failed = Process::spawn(|| Brittle::FailsToArrive, ()).expect("spawn").join();
    assert!(matches!(failed, Err(ProcessError::Result(ResultError::Decode(_)))), "{failed:?}");
    assert_eq!(Process::spawn(|| Brittle::Fine, ()).expect("spawn").join().expect("join"), Brittle::Fine);
}

/// An argument that tells when it is dropped. The child's copy has nothing to tell.
#[derive(Serialize, Deserialize)]
struct Traced {
    inner: Brittle,
    #[serde(skip)]
    on_drop: Option<Box<dyn FnOnce() + Send>>,
}

impl Traced {
    fn new(inner: Brittle, on_drop: impl FnOnce() + Send + 'static) -> Self {
        Self { inner, on_drop: Some(Box::new(on_drop)) }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(on_drop) = self.on_drop.take() {
            on_drop();
        }
    }
}

/// PR20: kept until the child has them, not longer.
#[test]
fn arguments_are_dropped_when_a_child_has_them() {
    let _watch = watchdog();
    let (dropped, told) = std::sync::mpsc::channel();
    let argument = Traced::new(Brittle::Fine, move || dropped.send(()).expect("send"));
    let stay = |_argument: Traced| stay();
    let child = Process::options().daemon(true).spawn(stay, (argument,)).expect("spawn");
    told.recv().expect("dropped while the child lives");
    assert!(child.is_alive());
    child.kill().expect("kill");
    child.wait().expect("wait");
}

/// PR20: a child that dies on the way releases them too.
#[test]
fn arguments_are_dropped_when_a_child_dies() {
    let _watch = watchdog();
    let (dropped, told) = std::sync::mpsc::channel();
    let argument = Traced::new(Brittle::AbortsArriving, move || dropped.send(()).expect("send"));
    let child = Process::spawn(|_argument: Traced| (), (argument,)).expect("spawn");
    told.recv().expect("dropped");
    assert!(matches!(child.join(), Err(ProcessError::Signalled { signal: libc::SIGABRT, .. })));
}

/// Destructors of arguments run on the supervisor's thread: whatever they do, it goes on.
#[test]
fn destructors_cannot_stop_the_supervisor() {
    let _watch = watchdog();
    let (told_from, told) = std::sync::mpsc::channel();
    let argument = Traced::new(Brittle::Fine, move || {
        let refused = matches!(Process::spawn(|| (), ()), Err(SpawnError::WouldDeadlock));
        told_from.send(refused).expect("send");
        std::panic::resume_unwind(Box::new("a destructor panics"));
    });
    let child = Process::spawn(|_argument: Traced| (), (argument,)).expect("spawn");
    assert!(told.recv().expect("dropped"));
    child.join().expect("join");
    assert_eq!(Process::spawn(add, (1, 1)).expect("spawn").join().expect("join"), 2);
}

/// PR02 ≠: a process exists from `spawn` on. Globals are those of a new program.
#[test]
fn globals_are_new() {
    let _watch = watchdog();
    static CHANGED: AtomicU32 = AtomicU32::new(1);
    CHANGED.store(2, Ordering::Relaxed);
    assert_eq!(alone(|| CHANGED.load(Ordering::Relaxed)), 1);
}

/// The child's `std::env::args` are the parent's.
#[test]
fn arguments_of_the_program_are_the_parents() {
    let _watch = watchdog();
    assert_eq!(alone(|| std::env::args().collect::<Vec<_>>()), std::env::args().collect::<Vec<_>>());
}

/// A result that is there before the process dies in its exit handlers is a result.
#[test]
fn a_result_outlives_its_process() {
    let _watch = watchdog();
    extern "C" fn die() {
        std::process::abort();
    }
    fn work() -> u32 {
        // SAFETY: the handler is a function of the program.
        assert_eq!(unsafe { libc::atexit(die) }, 0);
        42
    }
    let child = Process::spawn(work, ()).expect("spawn");
    assert_eq!(child.wait().expect("wait").signal(), Some(libc::SIGABRT));
    assert_eq!(child.join().expect("join"), 42);
}

/// PR13 ≠: threads of a child end with its function; PR13: its exit handlers run.
#[test]
fn exit_handlers_run_and_threads_do_not_hold() {
    let _watch = watchdog();
    static AT_EXIT: AtomicBool = AtomicBool::new(false);
    extern "C" fn handler() {
        assert!(AT_EXIT.load(Ordering::Relaxed));
        common::say(b'x');
    }
    fn work() {
        std::thread::spawn(stay);
        AT_EXIT.store(true, Ordering::Relaxed);
        // SAFETY: the handler is a function of the program.
        assert_eq!(unsafe { libc::atexit(handler) }, 0);
        print_without_flush();
    }
    let (options, mut reader) = heard();
    options.spawn(work, ()).expect("spawn").join().expect("join");
    let said = [hear(&mut reader), hear(&mut reader), hear(&mut reader)];
    assert_eq!(said, [Some(b'p'), Some(b'x'), None], "standard output is flushed before or in the handlers");
}

#[allow(clippy::print_stdout)]
fn print_without_flush() {
    print!("p");
}
