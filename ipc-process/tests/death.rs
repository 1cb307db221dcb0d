//! How children end: panics, exits, signals; and what nobody may wait for.

mod common;

use common::{hear, heard, say, say_and_stay, stay, watchdog};
use ipc_process::{ExitStatus, Garbled, Process, ProcessError, WaitError};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::io::{IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

fn pid_of<R>(process: &Process<R>) -> Pid {
    Pid::from_raw(process.pid() as i32)
}

/// PR17: exit code 1, the usual message on standard error, and here with message, file and line.
#[test]
fn a_panic_comes_back_with_its_place() {
    let _watch = watchdog();
    fn fail(n: u32) {
        panic!("number {n}");
    }
    let line = line!() - 2;
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    let child = Process::options().stderr(writer).spawn(fail, (7,)).expect("spawn");
    assert_eq!(child.wait().expect("wait"), ExitStatus::Exited { code: 1 });
    let Err(ProcessError::Panicked { message, file, line: found }) = child.join() else { panic!("no panic") };
    assert_eq!((message.as_str(), found), ("number 7", line));
    assert!(file.ends_with("tests/death.rs"), "{file}");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("read");
    assert!(text.contains("number 7") && text.contains(&format!("death.rs:{line}")), "{text}");
}

/// PR17: payloads that are no text, panics that were caught before, hooks of the function's own.
#[test]
fn unusual_panics() {
    let _watch = watchdog();
    let quiet = || {
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null").expect("open");
        Process::options().stderr(null)
    };
    let child = quiet().spawn(|| -> () { std::panic::panic_any(5u8) }, ()).expect("spawn").join();
    assert!(matches!(child, Err(ProcessError::Panicked { message, line: 1.., .. }) if message == "Box<dyn Any>"));

    fn caught_first() {
        assert!(std::panic::catch_unwind(|| panic!("first")).is_err());
        std::panic::resume_unwind(Box::new("second"));
    }
    let child = quiet().spawn(caught_first, ()).expect("spawn");
    let Err(ProcessError::Panicked { message, file, line }) = child.join() else { panic!("no panic") };
    assert_eq!((message.as_str(), file.as_str(), line), ("second", "", 0), "the place of another panic is not told");

    fn own_hook() {
        std::panic::set_hook(Box::new(|_| {}));
        panic!("unseen");
    }
    let child = Process::spawn(own_hook, ()).expect("spawn");
    assert!(matches!(child.join(), Err(ProcessError::Panicked { message, line: 0, .. }) if message == "unseen"));
}

/// PR17
#[test]
fn an_exit_is_told_by_its_code() {
    let _watch = watchdog();
    for code in [0, 1, 8, 255] {
        let child = Process::spawn(|code: i32| -> u32 { std::process::exit(code) }, (code,)).expect("spawn");
        assert_eq!(child.wait().expect("wait"), ExitStatus::Exited { code });
        assert_eq!(child.wait().expect("wait").success(), code == 0);
        assert!(matches!(child.join(), Err(ProcessError::Exited { code: found }) if found == code));
    }
}

/// PR09
#[test]
fn killed_is_signalled() {
    let _watch = watchdog();
    for how in [Process::kill, Process::terminate] {
        let (options, mut reader) = heard();
        let child = options.spawn(say_and_stay, ()).expect("spawn");
        assert_eq!(hear(&mut reader), Some(b'!'));
        how(&child).expect("signal");
        assert_eq!(hear(&mut reader), None);
        let signal = child.wait().expect("wait").signal().expect("a signal");
        assert!(matches!(child.join(), Err(ProcessError::Signalled { signal: s, core_dumped: false }) if s == signal));
    }
}

/// PR09: also a signal that has no name.
#[test]
fn any_signal_is_told() {
    let _watch = watchdog();
    fn raise(signal: i32) {
        // SAFETY: the process raises a signal in itself.
        unsafe { libc::raise(signal) };
    }
    for signal in [libc::SIGABRT, libc::SIGSEGV, libc::SIGHUP, libc::SIGRTMIN() + 3] {
        let child = Process::spawn(raise, (signal,)).expect("spawn");
        assert_eq!(child.wait().expect("wait").signal(), Some(signal));
    }
}

/// Killed at any moment of its way in: always a signal or a result, never a hang.
#[test]
fn killed_on_the_way_in() {
    let _watch = watchdog();
    for pause in 0..60u32 {
        let child = Process::spawn(|| 42, ()).expect("spawn");
        for _ in 0..pause * 200 {
            std::hint::spin_loop();
        }
        child.kill().expect("kill");
        match child.join() {
            Ok(42) | Err(ProcessError::Signalled { signal: libc::SIGKILL, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A stopped process is alive, however long; timed waits return.
#[test]
fn stopped_is_alive() {
    let _watch = watchdog();
    let child = Process::spawn(
        || {
            nix::sys::signal::raise(Signal::SIGSTOP).expect("raise");
            42
        },
        (),
    )
    .expect("spawn");
    waitid(Id::Pid(pid_of(&child)), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT).expect("it stops");
    assert_eq!(child.wait_timeout(Duration::from_millis(20)), Err(WaitError::Timeout));
    assert!(child.is_alive());
    kill(pid_of(&child), Signal::SIGCONT).expect("continue");
    assert_eq!(child.join().expect("join"), 42);
}

#[test]
fn a_stopped_child_can_be_killed() {
    let _watch = watchdog();
    let child = Process::spawn(|| nix::sys::signal::raise(Signal::SIGSTOP).expect("raise"), ()).expect("spawn");
    waitid(Id::Pid(pid_of(&child)), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT).expect("it stops");
    child.kill().expect("kill");
    assert_eq!(child.wait().expect("wait").signal(), Some(libc::SIGKILL));
}

/// A dropped handle neither kills nor waits, and leaves no zombie.
#[test]
fn dropped_handles_leave_no_zombie() {
    let _watch = watchdog();
    let (stdin, hold) = std::io::pipe().expect("pipe");
    let (options, mut reader) = heard();
    fn until_eof() {
        say(b'!');
        std::io::stdin().read_to_end(&mut Vec::new()).expect("read");
        say(b'?');
    }
    let child = options.stdin(stdin).spawn(until_eof, ()).expect("spawn");
    let pid = pid_of(&child);
    drop(child);
    assert_eq!(hear(&mut reader), Some(b'!'), "it was not killed");
    drop(hold);
    assert_eq!((hear(&mut reader), hear(&mut reader)), (Some(b'?'), None));
    // Until it has ended; then a whole life of another child, which the supervisor sees later.
    let ended = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    assert!(ended.is_ok() || ended == Err(nix::Error::ECHILD), "{ended:?}");
    Process::spawn(|| (), ()).expect("spawn").join().expect("join");
    assert_eq!(waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT), Err(nix::Error::ECHILD));
}

/// A grandchild that holds the control socket open does not hold up anybody.
#[test]
fn a_grandchild_with_the_socket_does_not_count() {
    let _watch = watchdog();
    let (stdin, hold) = std::io::pipe().expect("pipe");
    let (options, mut reader) = heard();
    fn fork_and_return() -> u32 {
        // SAFETY: the process has one thread.
        if unsafe { nix::unistd::fork() }.expect("fork").is_child() {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            // SAFETY: ends this process without running what belongs to the other.
            unsafe { libc::_exit(0) };
        }
        42
    }
    let child = options.stdin(stdin).spawn(fork_and_return, ()).expect("spawn");
    assert_eq!(child.join().expect("join"), 42);
    drop(hold);
    assert_eq!(hear(&mut reader), None, "the grandchild is gone");
}

/// A forked copy of the function returns as well: it has no say.
#[test]
fn only_the_child_itself_reports() {
    let _watch = watchdog();
    fn fork_and_return_twice() -> u32 {
        // SAFETY: the process has one thread.
        let fork = unsafe { nix::unistd::fork() }.expect("fork");
        match fork {
            nix::unistd::ForkResult::Child => 1,
            nix::unistd::ForkResult::Parent { child } => {
                nix::sys::wait::waitpid(child, None).expect("wait");
                2
            }
        }
    }
    assert_eq!(Process::spawn(fork_and_return_twice, ()).expect("spawn").join().expect("join"), 2);
}

/// A child that closes everything it has: its result has no way out, and nobody else's file gets it.
#[test]
fn a_child_without_descriptors() {
    let _watch = watchdog();
    fn close_all() -> u32 {
        // SAFETY: nothing in this process uses its descriptors any more.
        assert_eq!(unsafe { libc::close_range(0, u32::MAX, 0) }, 0);
        42
    }
    let child = Process::spawn(close_all, ()).expect("spawn");
    assert!(matches!(child.join(), Err(ProcessError::Exited { code: 1 })));

    fn close_all_and_reuse() -> u32 {
        // SAFETY: nothing in this process uses its descriptors any more.
        assert_eq!(unsafe { libc::close_range(3, u32::MAX, 0) }, 0);
        for _ in 0..8 {
            std::mem::forget(std::os::unix::net::UnixDatagram::pair().expect("pair"));
        }
        42
    }
    let child = Process::spawn(close_all_and_reuse, ()).expect("spawn");
    assert!(matches!(child.join(), Err(ProcessError::Exited { code: 1 })));
}

/// In a child: its control socket.
fn control_socket() -> BorrowedFd<'static> {
    let sockets = common::descriptors().into_iter().filter(|(n, target)| *n > 2 && target.starts_with("socket:"));
    let [(number, _)] = sockets.collect::<Vec<_>>()[..] else { panic!("one socket") };
    // SAFETY: it stays open until the process ends.
    unsafe { BorrowedFd::borrow_raw(number) }
}

fn send_raw(bytes: &[u8], descriptors: &[i32]) {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let rights = [ControlMessage::ScmRights(descriptors)];
    let rights = if descriptors.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL;
    // Refused for an overlong packet: then nothing was sent.
    let _ = sendmsg::<()>(control_socket().as_raw_fd(), &[IoSlice::new(bytes)], rights, flags, None);
}

/// Bytes that this library never sends: a typed error, no hang, and others are served all the while.
#[test]
fn hostile_bytes_are_garbled() {
    let _watch = watchdog();
    fn hostile(bytes: Vec<u8>, times: u32, descriptors: u32) -> u32 {
        for _ in 0..times {
            send_raw(&bytes, &vec![0; descriptors as usize]);
        }
        7
    }
    let head = |kind: u32, descriptors: u32, len: u64, place: u64| {
        let mut bytes = b"ipc-prc1".to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(descriptors.to_ne_bytes());
        bytes.extend(len.to_ne_bytes());
        bytes.extend(place.to_ne_bytes());
        bytes
    };
    let cases: [(Vec<u8>, u32, u32, Garbled); 9] = [
        (b"x".to_vec(), 1, 0, Garbled::Form),
        (vec![0xff; 100_000], 1, 0, Garbled::Lengths),
        (head(3, 0, 0, 0), 1, 0, Garbled::OutOfTurn),
        (head(1, 0, 0, 0), 1, 0, Garbled::OutOfTurn),
        (head(6, 0, 0, 0), 1, 0, Garbled::Content),
        (head(4, 0, u64::MAX, 0), 1, 0, Garbled::Lengths),
        (head(4, 0, u64::MAX, 1), 1, 1, Garbled::NotSealed),
        (head(4, 5, 0, 0), 2, 1, Garbled::Form),
        (head(4, 1, 0, 0), 1, 9, Garbled::Lengths),
    ];
    for (bytes, times, descriptors, expected) in cases {
        let child = Process::spawn(hostile, (bytes, times, descriptors)).expect("spawn");
        let failed = child.join();
        let as_expected = matches!(failed, Err(ProcessError::Garbled { what, .. }) if what == expected);
        assert!(as_expected, "expected {expected:?}, found {failed:?}");
    }
}

/// A child that floods its socket occupies nobody but itself.
#[test]
fn a_flood_stops_nobody() {
    let _watch = watchdog();
    fn flood() {
        say(b'!');
        loop {
            send_raw(b"flood", &[]);
            send_raw(b"", &[]);
        }
    }
    let (options, mut reader) = heard();
    let child = options.daemon(true).spawn(flood, ()).expect("spawn");
    assert_eq!(hear(&mut reader), Some(b'!'));
    for _ in 0..5 {
        Process::spawn(|| (), ()).expect("spawn").join().expect("join");
    }
    child.kill().expect("kill");
    assert!(
        matches!(child.join(), Err(ProcessError::Garbled { status, .. }) if status.signal() == Some(libc::SIGKILL))
    );
}

/// A status that somebody else takes is unknown; a result is one all the same.
#[test]
fn a_status_taken_by_others_is_unknown() {
    let _watch = watchdog();
    fn ignore_children() -> (ExitCode, bool, bool) {
        // SAFETY: no handler is installed.
        unsafe { nix::sys::signal::signal(Signal::SIGCHLD, nix::sys::signal::SigHandler::SigIgn) }.expect("signal");
        let child = Process::spawn(|| 42u32, ()).expect("spawn");
        let status = match child.wait().expect("wait") {
            ExitStatus::Unknown => ExitCode::Unknown,
            _ => ExitCode::Known,
        };
        let result = child.join().is_ok_and(|n| n == 42);
        let lost = Process::spawn(|| -> u32 { std::process::exit(0) }, ()).expect("spawn").join();
        (status, result, matches!(lost, Err(ProcessError::Lost)))
    }
    assert_eq!(common::alone(ignore_children), (ExitCode::Unknown, true, true));
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum ExitCode {
    Known,
    Unknown,
}

/// XS16: whatever the moment at which its parent is killed.
#[test]
fn a_daemon_dies_with_its_killed_parent() {
    let _watch = watchdog();
    fn parent(linger: bool) {
        let daemon = Process::options().daemon(true).spawn(say_and_stay, ()).expect("spawn");
        if linger {
            daemon.wait().expect("wait");
        }
        kill(Pid::this(), Signal::SIGKILL).expect("kill");
    }
    for _ in 0..5 {
        let (options, mut reader) = heard();
        let child = options.spawn(parent, (true,)).expect("spawn");
        assert_eq!(hear(&mut reader), Some(b'!'));
        child.kill().expect("kill");
        assert_eq!(hear(&mut reader), None, "both are gone");
    }
    for _ in 0..20 {
        let (options, mut reader) = heard();
        let child = options.spawn(parent, (false,)).expect("spawn");
        while hear(&mut reader).is_some() {}
        assert_eq!(child.wait().expect("wait").signal(), Some(libc::SIGKILL));
    }
}

/// XS16: a tree of daemons, by the flag they take over from their parent (PR06).
#[test]
fn a_tree_of_daemons_dies_with_its_root() {
    let _watch = watchdog();
    fn tree(depth: u32) {
        if depth > 0 {
            let children = [(); 2].map(|()| Process::spawn(tree, (depth - 1,)).expect("spawn"));
            say(b'!');
            let _ = children.map(|child| child.wait());
        } else {
            say_and_stay();
        }
    }
    let (options, mut reader) = heard();
    let child = options.daemon(true).spawn(tree, (3,)).expect("spawn");
    for _ in 0..15 {
        assert_eq!(hear(&mut reader), Some(b'!'));
    }
    child.kill().expect("kill");
    assert_eq!(hear(&mut reader), None, "all fifteen are gone");
}

/// XS16: also a parent that simply returns, or becomes another program.
#[test]
fn a_daemon_dies_with_its_ended_parent() {
    let _watch = watchdog();
    fn returns() {
        std::mem::forget(Process::options().daemon(true).spawn(stay, ()).expect("spawn"));
    }
    let (options, mut reader) = heard();
    options.spawn(returns, ()).expect("spawn").join().expect("join");
    assert_eq!(hear(&mut reader), None);

    fn becomes_another() {
        let (options, mut inner) = heard();
        let _daemon = options.daemon(true).spawn(say_and_stay, ()).expect("spawn");
        assert_eq!(hear(&mut inner), Some(b'!'));
        let (stdin, stdout) = (inner.as_fd(), std::io::stdout());
        nix::unistd::dup2_stdin(stdin).expect("dup2");
        // Reads its standard input, the daemon's output, to the end, which comes with the daemon's.
        let error = std::os::unix::process::CommandExt::exec(&mut std::process::Command::new("/bin/cat"));
        drop((error, stdout));
    }
    fn becomes_another_at_once() {
        std::mem::forget(Process::options().daemon(true).spawn(stay, ()).expect("spawn"));
        drop(std::os::unix::process::CommandExt::exec(&mut std::process::Command::new("/bin/true")));
    }
    for _ in 0..10 {
        let (options, mut reader) = heard();
        let child = options.spawn(becomes_another_at_once, ()).expect("spawn");
        assert_eq!(hear(&mut reader), None);
        assert!(child.wait().expect("wait").success());
    }
    let (options, mut reader) = heard();
    let child = options.spawn(becomes_another, ()).expect("spawn");
    assert!(matches!(child.join(), Err(ProcessError::Exited { code: 0 })));
    assert_eq!(hear(&mut reader), None);
}

/// A child that is no daemon goes on, and finds nobody to report to.
#[test]
fn a_child_outlives_its_parent() {
    let _watch = watchdog();
    fn echo() -> u32 {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("read");
        assert_eq!(line, "go\n");
        say(b'!');
        42
    }
    fn parent(killed: bool) {
        std::mem::forget(Process::options().daemon(false).spawn(echo, ()).expect("spawn"));
        if killed {
            kill(Pid::this(), Signal::SIGKILL).expect("kill");
        }
    }
    for killed in [false, true] {
        for _ in 0..5 {
            let (stdin, mut hold) = std::io::pipe().expect("pipe");
            let (options, mut reader) = heard();
            let child = options.stdin(stdin).spawn(parent, (killed,)).expect("spawn");
            assert_eq!(child.wait().expect("wait").success(), !killed);
            std::io::Write::write_all(&mut hold, b"go\n").expect("write");
            assert_eq!((hear(&mut reader), hear(&mut reader)), (Some(b'!'), None));
        }
    }
}

/// A parent that is killed while it starts children, at any moment: no child is left.
#[test]
fn killed_while_spawning() {
    let _watch = watchdog();
    fn parent() {
        for _ in 0..1000 {
            say(b'.');
            std::mem::forget(Process::options().daemon(true).spawn(stay, ()).expect("spawn"));
        }
    }
    for count in 1..12 {
        let (options, mut reader) = heard();
        let child = options.spawn(parent, ()).expect("spawn");
        for _ in 0..count {
            assert_eq!(hear(&mut reader), Some(b'.'));
        }
        child.kill().expect("kill");
        while hear(&mut reader).is_some() {}
    }
}
