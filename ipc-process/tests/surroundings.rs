//! What a child gets from its parent and what it does not: descriptors, streams, environment; forks; limits.

mod common;

use common::{alone, close_the_rest, descriptors, hear, heard, say, say_and_stay, stay, watchdog};
use ipc_process::{Process, ProcessError, SpawnError, WaitError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// PR16: a child has its streams and its control socket, however many siblings there are and whatever its parent has open.
#[test]
fn children_inherit_no_descriptors() {
    let _watch = watchdog();
    fn parent() -> Vec<Vec<(i32, String)>> {
        close_the_rest();
        let _open = [std::fs::File::open("/proc/self/maps"), std::fs::File::open("/dev/null")];
        let siblings: Vec<_> =
            (0..5).map(|_| Process::options().daemon(true).spawn(stay, ()).expect("spawn")).collect();
        let found = (0..3).map(|_| alone(descriptors)).collect();
        for sibling in siblings {
            sibling.kill().expect("kill");
            sibling.wait().expect("wait");
        }
        found
    }
    for found in alone(parent) {
        let numbers: Vec<i32> = found.iter().map(|(n, _)| *n).filter(|&n| n > 2).collect();
        let [(_, target)] = &found[found.len() - 1..] else { panic!("nothing open") };
        assert!(numbers.len() == 1 && target.starts_with("socket:"), "{found:?}");
    }
}

/// PR16: the parent's own do not grow.
#[test]
fn descriptors_do_not_accumulate() {
    let _watch = watchdog();
    fn parent() -> [Vec<(i32, String)>; 2] {
        Process::spawn(|| (), ()).expect("spawn").join().expect("join");
        let before = descriptors();
        for n in 0..30 {
            let child =
                Process::options().daemon(true).spawn(|text: String| text, ("x".repeat(40_000),)).expect("spawn");
            match n % 3 {
                0 => assert_eq!(child.join().expect("join").len(), 40_000),
                1 => assert!(child.wait().expect("wait").success()),
                _ => {
                    child.kill().expect("kill");
                    child.wait().expect("wait");
                }
            }
        }
        [before, descriptors()]
    }
    let [before, after] = alone(parent);
    assert_eq!(before, after);
}

/// PR16: a handle that is kept holds no descriptor once its process has ended.
#[test]
fn kept_handles_hold_no_descriptors() {
    let _watch = watchdog();
    fn parent() -> (usize, usize) {
        Process::spawn(|| (), ()).expect("spawn").join().expect("join");
        let before = descriptors().len();
        let children: Vec<_> = (0..20u32).map(|n| Process::spawn(|n: u32| n, (n,)).expect("spawn")).collect();
        for child in &children {
            child.wait().expect("wait");
        }
        let after = descriptors().len();
        let sum: u32 = children.into_iter().map(|child| child.join().expect("join")).sum();
        assert_eq!(sum, (0..20).sum());
        (before, after)
    }
    let (before, after) = alone(parent);
    assert_eq!(before, after);
}

/// Too few descriptors: a typed error at whatever step they run out, nothing left, and it works again afterwards.
#[test]
fn descriptors_run_out_at_every_step() {
    let _watch = watchdog();
    fn parent() -> (Vec<bool>, bool) {
        close_the_rest();
        // Once with the supervisor already there and once without.
        let mut outcomes = Vec::new();
        for warm in [false, true] {
            if warm {
                Process::spawn(|| (), ()).expect("spawn").join().expect("join");
            }
            // The supervisor and what it sleeps on stay, once made.
            let but_the_supervisors = || {
                let all = descriptors().into_iter();
                all.filter(|(_, target)| !target.starts_with("anon_inode:[event")).collect::<Vec<_>>()
            };
            let (before, first_free) = (but_the_supervisors(), descriptors().len() as u64);
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
            for free in 0..10 {
                setrlimit(Resource::RLIMIT_NOFILE, first_free + free, hard).expect("limit");
                let spawned = Process::spawn(|| 42, ());
                let works = match spawned {
                    Ok(child) => matches!(child.join(), Ok(42) | Err(ProcessError::Refused(_))),
                    Err(SpawnError::NoDescriptors { .. }) => false,
                    Err(other) => panic!("{other:?}"),
                };
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("limit");
                outcomes.push(works);
                if !works {
                    assert_eq!(but_the_supervisors(), before, "nothing is left of a spawn that failed");
                } else {
                    break;
                }
            }
            assert_eq!(nix::sys::wait::waitpid(None, None), Err(nix::Error::ECHILD), "no child is left");
        }
        (outcomes, Process::spawn(|| 42, ()).is_ok_and(|child| matches!(child.join(), Ok(42))))
    }
    let (outcomes, works_again) = alone(parent);
    assert!(works_again);
    assert!(!outcomes[0] && outcomes.iter().filter(|&&works| works).count() == 2, "{outcomes:?}");
}

/// The marker of children is gone from their environment; the rest is their parent's.
#[test]
fn the_environment_is_the_parents() {
    let _watch = watchdog();
    let environment = || std::env::vars_os().map(|(n, v)| (n.into_encoded_bytes(), v.into_encoded_bytes())).collect();
    let theirs: Vec<(Vec<u8>, Vec<u8>)> = alone(environment);
    assert_eq!(theirs, environment());
    assert!(theirs.iter().all(|(name, _)| name != b"IPC_PROCESS_CHILD"));
}

/// A stray marker does nothing, with whatever on standard input (PR22: and starts no children of its own).
#[test]
fn a_stray_marker_does_nothing() {
    let _watch = watchdog();
    let (packets, other) = {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).expect("socketpair")
    };
    nix::unistd::write(&other, b"ipc-prc1 but no launch").expect("write");
    let (pipe, _writer) = std::io::pipe().expect("pipe");
    let list_with = |pid: u32, stdin: Stdio| {
        let marker = format!("before-main {} {pid}", env!("CARGO_PKG_VERSION"));
        let mut run = Command::new(std::env::current_exe().expect("exe"));
        let output = run.arg("--list").env("IPC_PROCESS_CHILD", marker).stdin(stdin).output().expect("run");
        let text = String::from_utf8_lossy(&output.stdout).contains("a_stray_marker_does_nothing: test");
        assert_eq!(text, output.status.success());
        text
    };
    for stdin in [Stdio::null(), Stdio::from(packets), Stdio::from(pipe)] {
        assert!(list_with(1, stdin), "runs as if it were not there");
    }
    assert!(!list_with(std::process::id(), Stdio::null()), "a child without a launch never runs main");
}

/// Standard input is the parent's, given or inherited; without one it is at its end.
#[test]
fn standard_input_is_restored() {
    let _watch = watchdog();
    fn read_all() -> String {
        std::io::read_to_string(std::io::stdin()).expect("read")
    }
    fn by_a_child() -> String {
        alone(read_all)
    }
    for through_a_child in [false, true] {
        let (stdin, mut writer) = std::io::pipe().expect("pipe");
        let options = Process::options().stdin(stdin);
        let child = if through_a_child { options.spawn(by_a_child, ()) } else { options.spawn(read_all, ()) };
        writer.write_all(b"some text").expect("write");
        drop(writer);
        assert_eq!(child.expect("spawn").join().expect("join"), "some text");
    }
    fn without() -> (String, bool) {
        // SAFETY: nothing in this process uses its standard input.
        assert_eq!(unsafe { libc::close(0) }, 0);
        let text = alone(read_all);
        (text, nix::fcntl::fcntl(std::io::stdin().as_fd(), nix::fcntl::FcntlArg::F_GETFD).is_err())
    }
    assert_eq!(alone(without), (String::new(), true));
}

/// PR14: closed or missing streams in parent or child break nothing.
#[test]
fn closed_streams_break_nothing() {
    let _watch = watchdog();
    fn close_streams() -> u32 {
        close_the_rest();
        for number in 0..3 {
            // SAFETY: nothing in this process uses its standard streams.
            assert_eq!(unsafe { libc::close(number) }, 0);
        }
        alone(|| descriptors().len() as u32)
    }
    assert_eq!(alone(close_streams), 4, "three streams and the control socket");
}

#[test]
fn streams_can_be_given() {
    let _watch = watchdog();
    let (mut out_reader, out) = std::io::pipe().expect("pipe");
    let (mut err_reader, err) = std::io::pipe().expect("pipe");
    fn write() {
        std::io::stdout().write_all(b"out").expect("write");
        std::io::stderr().write_all(b"err").expect("write");
    }
    Process::options().stdout(out).stderr(err).spawn(write, ()).expect("spawn").join().expect("join");
    let (mut out, mut err) = (String::new(), String::new());
    out_reader.read_to_string(&mut out).expect("read");
    err_reader.read_to_string(&mut err).expect("read");
    assert_eq!((out.as_str(), err.as_str()), ("out", "err"));
}

/// A child ignores SIGPIPE as every Rust program does, blocks no signal, and knows of its own children's deaths.
#[test]
fn signals_are_as_in_any_program() {
    let _watch = watchdog();
    fn blocked_and_pipe() -> (bool, bool) {
        let (reader, mut writer) = std::io::pipe().expect("pipe");
        drop(reader);
        let mask = nix::sys::signal::SigSet::thread_get_mask().expect("mask");
        (mask.iter().next().is_none(), writer.write_all(b"x").is_err())
    }
    fn with_signals_ignored() -> (bool, bool) {
        use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
        SigSet::all().thread_block().expect("block");
        // SAFETY: no handler is installed.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.expect("signal");
        alone(|| {
            let status = Process::spawn(|| (), ()).expect("spawn").wait().expect("wait");
            (status.success(), blocked_and_pipe() == (true, true))
        })
    }
    assert_eq!(alone(with_signals_ignored), (true, true));
}

/// `ps` shows the name, cut to what the kernel keeps.
#[test]
fn the_name_is_shown() {
    let _watch = watchdog();
    let comm = || std::fs::read_to_string("/proc/self/comm").expect("proc");
    let child = Process::options().name("a-name-of-ünusual-length").spawn(comm, ()).expect("spawn");
    assert_eq!(child.join().expect("join"), "a-name-of-ünus\n");
    let child = Process::options().name("nul\0l").spawn(comm, ()).expect("spawn");
    assert_eq!(child.join().expect("join"), "nul\n");
    let child = Process::options().name("").spawn(|| (), ()).expect("spawn");
    child.join().expect("join");
}

/// XS23, PR19: a fork of a process with children, a supervisor and busy threads starts children of its own.
#[test]
fn fork_then_spawn() {
    let _watch = watchdog();
    fn parent() -> u32 {
        let busy: Vec<_> = (0..3)
            .map(|_| {
                std::thread::spawn(|| {
                    (0..20).for_each(|_| Process::spawn(|| (), ()).expect("spawn").join().expect("join"))
                })
            })
            .collect();
        let mut good = 0;
        for _ in 0..20 {
            let kept = Process::options().daemon(true).spawn(stay, ()).expect("spawn");
            // SAFETY: the forked process uses only what is made for it, and ends by _exit.
            match unsafe { nix::unistd::fork() }.expect("fork") {
                nix::unistd::ForkResult::Child => {
                    let refused = kept.wait() == Err(WaitError::Forked);
                    let alive = kept.is_alive() && kept.exit_status().is_none();
                    let spawned = Process::spawn(|| 42, ()).is_ok_and(|child| matches!(child.join(), Ok(42)));
                    kept.kill().expect("kill");
                    drop(kept);
                    // SAFETY: ends the forked process without running what belongs to its parent.
                    unsafe { libc::_exit((refused && alive && spawned) as i32) };
                }
                nix::unistd::ForkResult::Parent { child } => {
                    let status = nix::sys::wait::waitpid(child, None).expect("wait");
                    good += (status == nix::sys::wait::WaitStatus::Exited(child, 1)) as u32;
                    assert_eq!(
                        kept.wait().expect("wait").signal(),
                        Some(libc::SIGKILL),
                        "killed by the forked process"
                    );
                }
            }
        }
        busy.into_iter().for_each(|thread| thread.join().expect("thread"));
        good
    }
    assert_eq!(alone(parent), 20);
}

/// XS23: what a forked process inherited of the supervisor's descriptors is closed.
#[test]
fn a_fork_keeps_no_sockets() {
    let _watch = watchdog();
    fn parent() -> i32 {
        let before = descriptors().len();
        let kept: Vec<_> = (0..3).map(|_| Process::options().daemon(true).spawn(stay, ()).expect("spawn")).collect();
        // SAFETY: the forked process only counts, and ends by _exit.
        let status = match unsafe { nix::unistd::fork() }.expect("fork") {
            nix::unistd::ForkResult::Child => {
                drop(kept);
                let more = descriptors().len() - before;
                // SAFETY: ends the forked process without running what belongs to its parent.
                unsafe { libc::_exit(more as i32) };
            }
            nix::unistd::ForkResult::Parent { child } => nix::sys::wait::waitpid(child, None).expect("wait"),
        };
        for child in kept {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
        match status {
            nix::sys::wait::WaitStatus::Exited(_, more) => more,
            _ => -1,
        }
    }
    assert_eq!(alone(parent), 0);
}

/// A running program whose file is replaced starts children of itself, not of the other.
#[test]
fn a_replaced_program_file_does_not_matter() {
    let _watch = watchdog();
    let copy = std::env::temp_dir().join(format!("ipc-process-{}", std::process::id()));
    let exe = std::env::current_exe().expect("exe");
    // By a process of its own: a sibling test that forks would keep the copy open for writing, and so from running.
    let make = |exe: PathBuf, copy: PathBuf| std::fs::copy(exe, copy).expect("copy");
    Process::spawn(make, (exe, copy.clone())).expect("spawn").join().expect("join");
    let mut run = Command::new(&copy);
    run.args(["--exact", "replaces_itself_when_told", "--nocapture"]).env("REPLACE", &copy);
    let status = run.stdout(Stdio::null()).status().expect("run");
    let _ = std::fs::remove_file(&copy);
    assert!(status.success());
}

/// Run by the test above, in a copy of this program.
#[test]
fn replaces_itself_when_told() {
    let Some(path) = std::env::var_os("REPLACE") else { return };
    let other = format!("{}.other", path.to_string_lossy());
    std::fs::copy("/bin/false", &other).expect("copy");
    std::fs::rename(&other, &path).expect("rename");
    assert_eq!(Process::spawn(|| 42, ()).expect("spawn").join().expect("join"), 42);
    std::fs::remove_file(&path).expect("remove");
    assert_eq!(Process::spawn(|| 43, ()).expect("spawn").join().expect("join"), 43);
}

/// A stopped or slow child does not hold its siblings' output, and a daemon's streams end with it.
#[test]
fn the_end_of_a_stream_is_the_end_of_the_child() {
    let _watch = watchdog();
    let (options, mut reader) = heard();
    let child = options.spawn(say_and_stay, ()).expect("spawn");
    assert_eq!(hear(&mut reader), Some(b'!'));
    assert!(reader.as_raw_fd() > 2);
    child.terminate().expect("terminate");
    assert_eq!(hear(&mut reader), None);
    let (options, mut reader) = heard();
    options.spawn(|| say(b'1'), ()).expect("spawn").join().expect("join");
    assert_eq!((hear(&mut reader), hear(&mut reader)), (Some(b'1'), None));
}

/// A process whose real and effective ids differ could not enter a child: it is told so.
#[test]
fn mixed_ids_are_refused() {
    let _watch = watchdog();
    fn parent() -> bool {
        if nix::unistd::setegid(nix::unistd::Gid::from_raw(65_534)).is_err() {
            // Only root may take another id; then nobody else can get here either.
            return !nix::unistd::geteuid().is_root();
        }
        matches!(Process::spawn(|| (), ()), Err(SpawnError::Privileged))
    }
    assert!(alone(parent));
}

/// A child that may open fewer descriptors than its arguments have says so.
#[test]
fn too_few_descriptors_in_the_child() {
    let _watch = watchdog();
    fn parent() -> bool {
        let open_null = || std::fs::File::open("/dev/null").expect("open");
        close_the_rest();
        let low: Vec<_> = (0..12).map(|_| open_null()).collect();
        let values: Vec<_> = (0..40u64).map(|n| ipc_core::Value::new(n).expect("new")).collect();
        drop(low);
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
        setrlimit(Resource::RLIMIT_NOFILE, 16, hard).expect("limit");
        let child = Process::spawn(|_: Vec<ipc_core::Value<u64>>| (), (values,)).expect("spawn");
        matches!(child.join(), Err(ProcessError::Refused(ipc_process::Refusal::NoDescriptors)))
    }
    assert!(alone(parent));
}

/// A program that an explicit loader was started with cannot be started again by its descriptor: an error, no avalanche.
#[test]
fn an_explicit_loader_is_told() {
    let _watch = watchdog();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("proc");
    let loader = maps.split_whitespace().find(|word| word.starts_with('/') && word.contains("/ld-"));
    // A static program has no loader.
    let Some(loader) = loader else { return };
    let mut run = Command::new(loader);
    run.arg(std::env::current_exe().expect("exe")).args(["--exact", "is_refused_under_a_loader"]);
    assert!(run.env("UNDER_A_LOADER", "1").stdout(Stdio::null()).status().expect("run").success());
}

/// Run by the test above, by the loader.
#[test]
fn is_refused_under_a_loader() {
    if std::env::var_os("UNDER_A_LOADER").is_some() {
        let refused = Process::spawn(|| (), ());
        assert!(matches!(refused, Err(SpawnError::NotAProgram { .. })), "{refused:?}");
    }
}
