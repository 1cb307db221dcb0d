//! Inspection tells every situation a segment can be in, of segments in use and of bytes that are none.
//!
//! The half-built object comes from a creator that is stepped into the middle and killed there, which needs a program of one
//! thread: so this suite has a `main` of its own.

#![allow(clippy::print_stdout)]

use ipc_core::inspect::{Inspector, ObjectReport, Presence, Report, Stage};
use ipc_core::raw::Census;
use ipc_core::{Array, AtomicValue, ErrorKind, LockError, Segment, Value, set_member_name};
use ipc_queue::Queue;
use ipc_sync::{Lock, RLock};
use ipc_tests::child::{Child, Step};
use ipc_tests::golden::golden;
use ipc_tests::step::{At, Victim};
use ipc_tests::unique::UniqueName;
use ipc_tests::watchdog::Watchdog;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{mkfifo, pause};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

fn main() {
    let tests: &[(&str, fn())] = &[
        // The first one forks a traced child: no thread may have been started before.
        ("every_situation_has_its_words", every_situation_has_its_words),
        ("smoke", smoke),
        ("it_takes_no_row_and_writes_nothing", it_takes_no_row_and_writes_nothing),
        ("names_and_paths", names_and_paths),
        ("what_does_not_attach_is_described", what_does_not_attach_is_described),
        ("one_damaged_entry_hides_no_other", one_damaged_entry_hides_no_other),
        ("a_segment_in_use_is_never_called_damaged", a_segment_in_use_is_never_called_damaged),
    ];
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let chosen: Vec<_> = tests.iter().filter(|(name, _)| name.contains(&wanted)).collect();
    if std::env::args().any(|argument| argument == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    for (name, test) in &chosen {
        test();
        println!("test {name} ... ok");
    }
    println!("test result: ok. {} passed", chosen.len());
}

fn inspect(segment: &Segment) -> Report {
    let inspector = Inspector::new().with(ipc_sync::inspect::DESCRIBERS).with(ipc_queue::inspect::DESCRIBERS);
    inspector.fd(segment.as_fd()).expect("a segment is a regular file")
}

fn smoke() {
    let segment = Segment::new(4096).unwrap();
    Value::create_in(&segment, "hits", 7_u64).unwrap();
    let report = inspect(&segment);
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.rows, Some(64));
    assert_eq!((report.members[0].pid, report.members[0].presence), (std::process::id(), Presence::Alive));
    let hits = report.object("hits").unwrap();
    assert_eq!((hits.stage, hits.schema.as_str(), hits.count), (Stage::Ready, "u64", 1));
    assert_eq!((hits.sheet.get("lock"), hits.sheet.get("value")), (Some("free"), Some("7")));
}

/// A child that does something in the segment, and then waits to be killed.
fn member(name: &str, act: impl FnOnce(&dyn Fn())) -> Child {
    let there = Step::new();
    let child = Child::fork(|| {
        set_member_name(name);
        act(&|| there.reach());
        loop {
            pause();
        }
    });
    there.wait();
    child
}

/// XS01 and XS03, as a bystander sees them: who lives, who died holding what, who waits, what is half-built.
fn every_situation_has_its_words() {
    set_member_name("parent");
    let segment = Segment::options().members(8).anonymous(10_000).unwrap();
    let torn = Value::create_in(&segment, "torn", [1_u64, 2]).unwrap();
    let marked = Value::create_in(&segment, "marked", [3_u64, 4]).unwrap();
    let wanted = Lock::create_in(&segment, "wanted", 5_u64).unwrap();
    let left = Array::<u16>::create_in(&segment, "left", 3).unwrap();
    let _hits = AtomicValue::create_in(&segment, "hits", -6_i64).unwrap();
    let full = Queue::<u32>::options().endpoints(4).place(ipc_core::raw::Place::CreateIn(&segment, "full"), 2).unwrap();
    full.send(1).unwrap();
    full.send(2).unwrap();

    let again = RLock::create_in(&segment, "again", 0_u8).unwrap();
    let _deep = (again.lock().unwrap(), again.lock().unwrap());

    let alive = member("alive", |there| {
        segment.me().unwrap();
        there();
    });
    let touches = |value: &Value<[u64; 2]>, there: &dyn Fn()| {
        let mut guard = value.lock().unwrap();
        guard[0] += 1;
        there();
        loop {
            pause();
        }
    };
    let mut marker = member("marker", |there| touches(&marked, there));
    marker.kill();
    assert!(matches!(marked.lock(), Err(LockError::Inconsistent { .. })));
    let mut writer = member("writer", |there| touches(&torn, there));
    writer.kill();
    let mut reader = member("reader", |there| {
        std::mem::forget(left.lock().unwrap());
        there();
    });
    reader.kill();
    let stopped = member("stopped", |there| {
        std::mem::forget(wanted.lock().unwrap());
        there();
    });
    stopped.signal(Signal::SIGSTOP);
    waitid(Id::Pid(stopped.pid()), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT).unwrap();
    let waiter = member("waiter", |there| {
        segment.me().unwrap();
        there();
        drop(wanted.lock());
    });
    until(&segment, |report| report.object("wanted").is_some_and(|wanted| wanted.sheet.get("waiting").is_some()));

    // A creator is killed in the middle.
    let mut victim = Victim::start(
        &mut (),
        |()| {
            set_member_name("creator");
            segment.me().unwrap();
        },
        |()| drop(Value::create_in(&segment, "half", 8_u64)),
        Duration::from_secs(5),
    )
    .unwrap();
    let creator = victim.pid();
    let half =
        |object: &ObjectReport| object.stage == Stage::Building && object.name == "half" && object.schema == "u64";
    let building = |report: &Report| report.objects.iter().any(half);
    while !building(&inspect(&segment)) {
        assert_eq!(victim.step_by(10).unwrap(), At::Inside, "the creator was never seen building");
    }
    victim.kill();

    let report = inspect(&segment);
    assert!(report.is_sound(), "{report}");
    let pids = [
        (std::process::id(), "<parent>"),
        (alive.pid().as_raw() as u32, "<alive>"),
        (marker.pid().as_raw() as u32, "<marker>"),
        (writer.pid().as_raw() as u32, "<writer>"),
        (reader.pid().as_raw() as u32, "<reader>"),
        (stopped.pid().as_raw() as u32, "<stopped>"),
        (waiter.pid().as_raw() as u32, "<waiter>"),
        (creator, "<creator>"),
    ];
    golden("report.txt", &masked(&report.to_string(), &pids));
    stopped.signal(Signal::SIGCONT);
}

/// Looks until it is so.
fn until(segment: &Segment, so: impl Fn(&Report) -> bool) {
    while !so(&inspect(segment)) {
        std::thread::yield_now();
    }
}

/// The report without what differs from run to run.
fn masked(text: &str, pids: &[(u32, &str)]) -> String {
    let lines = text.lines().map(|line| {
        let mut line = line.to_owned();
        for (pid, name) in pids {
            line = line.replace(&format!("process {pid} "), &format!("process {name} "));
            line = line.replace(&format!(" {pid} ("), &format!(" {name} ("));
        }
        for varies in ["segment id", "creator", "PID namespace", "boot id", "mode"] {
            if let Some(at) = line.find(varies).filter(|at| line[..*at].trim().is_empty()) {
                let value = line[at + varies.len()..].trim_start().len();
                line.truncate(line.len() - value);
                line += "...";
            }
        }
        if let Some(at) = line.find("the first for ") {
            line.truncate(at);
            line += "the first for ...";
        }
        // A column as wide as the longest pid.
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        if rest.trim_start_matches("! ").starts_with("row ") {
            line = format!("{indent}{}", rest.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        // Threads are numbered as they come.
        if let Some((before, after)) = line.split_once(", thread ") {
            line = format!("{before}, thread N{}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        line + "\n"
    });
    lines.collect()
}

fn it_takes_no_row_and_writes_nothing() {
    let segment = Segment::options().members(1).anonymous(4096).unwrap();
    let value = Value::create_in(&segment, "held", [1_u64; 3]).unwrap();
    let guard = value.lock().unwrap();
    let before = bytes_of(&segment);
    // In another process, which could not attach: there is no row for it.
    Child::fork(|| {
        let report = inspect(&segment);
        assert!(report.is_sound(), "{report}");
        let held = report.object("held").unwrap().sheet.get("lock").unwrap();
        assert!(held.starts_with(&format!("held by process {} ", nix::unistd::getppid())), "{held}");
    })
    .join();
    assert!(bytes_of(&segment) == before);
    drop(guard);
}

fn names_and_paths() {
    let name = UniqueName::new("inspected");
    let _value = Value::create(&name, 3_u16).unwrap();
    let inspector = Inspector::new();
    for report in [inspector.name(&name).unwrap(), inspector.path(&name.path()).unwrap()] {
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.objects[0].sheet.get("value"), Some("3"));
        assert_eq!(report.file.get("links"), Some("1"));
    }
    let refused = |result: Result<Report, ipc_core::Error>| result.unwrap_err().kind().clone();
    assert!(matches!(refused(inspector.name("never-created")), ErrorKind::NotFound { .. }));
    assert!(matches!(refused(inspector.name("no/name")), ErrorKind::InvalidName { .. }));
    assert!(matches!(refused(inspector.path("/dev/shm".as_ref())), ErrorKind::UnsafeFile { .. }));
    assert!(matches!(refused(inspector.path("/dev/null".as_ref())), ErrorKind::UnsafeFile { .. }));
    // Opening it would wait for a writer.
    let fifo = UniqueName::new("fifo");
    mkfifo(&fifo.path(), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let _watchdog = Watchdog::start("names_and_paths");
    assert!(matches!(refused(inspector.name(&fifo)), ErrorKind::UnsafeFile { .. }));
    std::fs::remove_file(fifo.path()).unwrap();
}

/// XS24, for eyes: every file that attaching refuses is described, and what is not damaged is shown.
fn what_does_not_attach_is_described() {
    let name = UniqueName::new("damaged");
    let segment = Segment::create(&name, 4096).unwrap();
    Value::create_in(&segment, "hits", 7_u64).unwrap();
    drop(segment);
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    file.write_all_at(b"scribble", 0).unwrap();
    assert!(Segment::open(&name).is_err());
    let report = Inspector::new().name(&name).unwrap();
    let damages: Vec<_> = report.damages().map(|(place, fact)| (place, fact.label)).collect();
    assert_eq!(damages, [("header".to_owned(), "magic")], "{report}");
    assert_eq!(report.object("hits").unwrap().sheet.get("value"), Some("7"));
    for cut in [5000, 600, 100, 0] {
        file.set_len(cut).unwrap();
        let report = Inspector::new().name(&name).unwrap();
        assert!(!report.is_sound(), "{report}");
    }
    // A hole: bytes that are not reserved, for which a mapping would take memory, or fault.
    file.set_len(1 << 40).unwrap();
    let report = Inspector::new().name(&name).unwrap();
    assert!(report.file.damages().any(|fact| fact.label == "reserved"), "{report}");
    assert!(file.metadata().unwrap().len() == 1 << 40);
}

fn one_damaged_entry_hides_no_other() {
    let segment = Segment::new(8192).unwrap();
    for name in ["a", "b", "c"] {
        Value::create_in(&segment, name, 1_u64).unwrap();
    }
    let mut bytes = bytes_of(&segment);
    let hit = inspect(&segment).object("b").unwrap().offset as usize;
    bytes[hit + 16] ^= 0xff;
    let report = Inspector::new().bytes(&bytes);
    assert!(report.object("a").is_some() && report.object("b").is_none() && report.object("c").is_some(), "{report}");
    assert!(report.directory.damages().any(|fact| fact.label == "entry"), "{report}");
    assert!(report.members.iter().all(|member| member.presence == Presence::Unknown));
}

/// Others send, receive, lock and create meanwhile: what is caught in the middle is not called damaged.
fn a_segment_in_use_is_never_called_damaged() {
    let _watchdog = Watchdog::with_bound("a_segment_in_use_is_never_called_damaged", Duration::from_secs(300));
    let segment = Segment::new(1 << 20).unwrap();
    let queue = Queue::<u64>::create_in(&segment, "queue", 5).unwrap();
    let wide = Value::create_in(&segment, "wide", [0_u64; 8]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..).take_while(|_| !done.load(Relaxed)).for_each(|n| queue.send(n).unwrap()));
        scope.spawn(|| {
            while !done.load(Relaxed) || !queue.is_empty() {
                let _ = queue.try_recv();
            }
        });
        scope.spawn(|| {
            while !done.load(Relaxed) {
                wide.update(|words| words[3] += 1).unwrap()
            }
        });
        scope.spawn(|| (0..200).take_while(|_| !done.load(Relaxed)).for_each(|_| drop(Value::new_in(&segment, 1_u8))));
        for _ in 0..20 {
            let report = inspect(&segment);
            if !report.is_sound() {
                done.store(true, Relaxed);
                panic!("{report}");
            }
        }
        done.store(true, Relaxed);
    });
}

fn bytes_of(segment: &Segment) -> Vec<u8> {
    let file = File::from(segment.as_fd().try_clone_to_owned().unwrap());
    let mut bytes = vec![0; segment.len_bytes() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
