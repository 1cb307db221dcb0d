//! The stepping library finds what is broken, passes what is right, and says so when it cannot work.
//!
//! Victims are forked from the tracing program, which must have one thread: so this suite has a `main` of its own.

#![allow(clippy::print_stdout)]

use ipc_tests::page::Page;
use ipc_tests::refuse::refuse;
use ipc_tests::step::{At, Fate, Fault, Limits, Peer, StepError, Sweep, Victim, Violation, judge, kill_everywhere};
use ipc_tests::workers::on_all_processors;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

fn main() {
    let tests: &[(&str, fn())] = &[
        ("smoke", smoke),
        ("an_undo_log_survives_every_kill", an_undo_log_survives_every_kill),
        ("a_torn_update_is_found", a_torn_update_is_found),
        ("a_plain_lock_is_found_to_hang", a_plain_lock_is_found_to_hang),
        ("a_lost_update_is_found_beside_a_paused_peer", a_lost_update_is_found_beside_a_paused_peer),
        ("kills_between_changes_leave_nothing_new", kills_between_changes_leave_nothing_new),
        ("a_long_operation_can_be_killed_at_changes_only", a_long_operation_can_be_killed_at_changes_only),
        ("a_late_survivor_is_counted_and_not_bad", a_late_survivor_is_counted_and_not_bad),
        ("a_frozen_holder_blocks_as_long_as_it_holds", a_frozen_holder_blocks_as_long_as_it_holds),
        ("far_places_are_reached_in_order", far_places_are_reached_in_order),
        ("far_places_are_reached_by_planted_traps", far_places_are_reached_by_planted_traps),
        ("system_calls_are_stepped_over", system_calls_are_stepped_over),
        ("an_operation_that_panics_crashes_or_sleeps_is_bad", an_operation_that_panics_crashes_or_sleeps_is_bad),
        ("a_check_that_panics_crashes_or_exits_is_bad", a_check_that_panics_crashes_or_exits_is_bad),
        ("an_endless_operation_is_an_error", an_endless_operation_is_an_error),
        ("a_frozen_victim_goes_on_when_told", a_frozen_victim_goes_on_when_told),
        ("a_refused_trace_is_an_error", a_refused_trace_is_an_error),
        ("a_second_thread_is_an_error", a_second_thread_is_an_error),
        ("a_dead_tracer_leaves_no_victim", a_dead_tracer_leaves_no_victim),
        ("all_processors_share_the_work", all_processors_share_the_work),
        ("a_worker_that_dies_is_an_error", a_worker_that_dies_is_an_error),
        ("nothing_is_left_behind", nothing_is_left_behind),
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

type Words<const N: usize> = Page<[AtomicU64; N]>;

fn words<const N: usize>() -> Words<N> {
    Page::new(std::array::from_fn(|_| AtomicU64::new(0)))
}

/// `kill_everywhere` with bounds that let broken operations fail fast.
fn sweep<'a, C>(
    setup: &'a dyn Fn() -> C,
    operation: &'a dyn Fn(&mut C),
    check: &'a dyn Fn(&mut C) -> ipc_tests::step::Finding,
) -> Sweep<'a, C> {
    let limits = Limits {
        bound: Duration::from_millis(300),
        patience: Duration::from_millis(50),
        violations: 3,
        ..Limits::default()
    };
    Sweep { setup, arrive: &|_| (), operation, check, memory: None, peer: None, fate: Fate::Killed, limits }
}

fn smoke() {
    let report = kill_everywhere(
        words::<1>,
        |words| words[0].store(7, SeqCst),
        |words| match words[0].load(SeqCst) {
            0 => Ok("before".into()),
            7 => Ok("after".into()),
            other => Err(Violation::torn(format!("{other}"))),
        },
    )
    .unwrap();
    assert_eq!(report.bad(), 0);
    assert_eq!(report.points, report.instructions + 1, "one kill per instruction, and one in front of the first");
    let (before, after) = (report.outcomes[&"before".into()], report.outcomes[&"after".into()]);
    assert_eq!((before.first, before.last + 1, after.last), (0, after.first, report.instructions));
}

/// Words: a, b, undo a, undo valid. The invariant is a == b.
fn an_undo_log_survives_every_kill() {
    let report = kill_everywhere(
        words::<4>,
        |words| {
            words[2].store(words[0].load(SeqCst), SeqCst);
            words[3].store(1, SeqCst);
            words[0].fetch_add(1, SeqCst);
            words[1].fetch_add(1, SeqCst);
            words[3].store(0, SeqCst);
        },
        |words| {
            let rolled_back = words[3].load(SeqCst) == 1;
            if rolled_back {
                let old = words[2].load(SeqCst);
                words[0].store(old, SeqCst);
                words[1].store(old, SeqCst);
            }
            match (words[0].load(SeqCst), words[1].load(SeqCst)) {
                (a, b) if a != b => Err(Violation::torn(format!("{a} and {b}"))),
                _ if rolled_back => Ok("rolled back".into()),
                (0, _) => Ok("not yet".into()),
                _ => Ok("done".into()),
            }
        },
    )
    .unwrap();
    assert_eq!(report.bad(), 0, "{:?}", report.violations);
    assert_eq!(report.outcomes.len(), 3, "{:?}", report.outcomes);
}

fn a_torn_update_is_found() {
    let report = kill_everywhere(
        words::<2>,
        |words| {
            words[0].fetch_add(1, SeqCst);
            words[1].fetch_add(1, SeqCst);
        },
        |words| match (words[0].load(SeqCst), words[1].load(SeqCst)) {
            (a, b) if a == b => Ok("whole".into()),
            (a, b) => Err(Violation::torn(format!("{a} and {b}"))),
        },
    )
    .unwrap();
    assert!(report.torn() > 0);
    assert_eq!(report.bad(), report.torn());
    assert!(report.violations.iter().all(|&(step, _)| 0 < step && step < report.instructions));
}

fn a_plain_lock_is_found_to_hang() {
    let lock = |words: &mut Words<1>| while words[0].compare_exchange(0, 1, SeqCst, SeqCst).is_err() {};
    let report = sweep(
        &words::<1>,
        &|words| {
            lock(words);
            words[0].store(0, SeqCst);
        },
        &|words| {
            lock(words);
            Ok("locked".into())
        },
    )
    .run()
    .unwrap();
    assert_eq!(report.hangs(), 3, "it stops at the third: {report:?}");
    assert_eq!(report.bad(), 3);
}

/// Words: a counter, completed additions. A read and a write make no addition: whoever pauses between loses the other's.
fn a_lost_update_is_found_beside_a_paused_peer() {
    let careless = |words: &mut Words<2>| {
        let seen = words[0].load(SeqCst);
        words[0].store(seen + 1, SeqCst);
        words[1].fetch_add(1, SeqCst);
    };
    let careful = |words: &mut Words<2>| {
        words[0].fetch_add(1, SeqCst);
        words[1].fetch_add(1, SeqCst);
    };
    let check = |words: &mut Words<2>| match (words[0].load(SeqCst), words[1].load(SeqCst)) {
        (sum, done) if sum < done => Err(Violation::lost(format!("{sum} of {done} additions"))),
        _ => Ok("all there".into()),
    };
    let run = |operation: &dyn Fn(&mut Words<2>), beside: bool| {
        let mut sweep = sweep(&words::<2>, operation, &check);
        sweep.peer = beside.then_some(Peer { operation, meanwhile: Some(&check) });
        sweep.run().unwrap()
    };
    assert_eq!(run(&careless, false).bad(), 0, "alone nothing is wrong with it");
    assert!(run(&careless, true).count(Fault::Lost) > 0);
    assert_eq!(run(&careful, true).bad(), 0);
}

fn kills_between_changes_leave_nothing_new() {
    let operation = |words: &mut Words<2>| {
        words[0].store(1, SeqCst);
        words[1].store(2, SeqCst);
    };
    let check = |words: &mut Words<2>| Ok(format!("{:?}", [words[0].load(SeqCst), words[1].load(SeqCst)]).into());
    let memory = |words: &Words<2>| words[0].load(SeqCst) << 8 | words[1].load(SeqCst);
    let mut with_digest = sweep(&words::<2>, &operation, &check);
    with_digest.memory = Some(&memory);
    with_digest.peer = Some(Peer { operation: &|_| (), meanwhile: None });
    let report = with_digest.run().unwrap();
    let states: Vec<_> = report.outcomes.keys().map(ToString::to_string).collect();
    assert_eq!(states, ["[0, 0]", "[1, 0]", "[1, 2]"]);
    let pauses = report.outcomes.values().map(|tally| tally.count).collect::<Vec<_>>();
    assert!(pauses.iter().all(|&count| count == pauses[0]), "one kill per state and pause: {pauses:?}");
}

fn a_long_operation_can_be_killed_at_changes_only() {
    let operation = |words: &mut Words<2>| {
        words[0].store(1, SeqCst);
        nix::unistd::getpid();
        words[1].store(2, SeqCst);
    };
    let check = |words: &mut Words<2>| Ok(format!("{:?}", [words[0].load(SeqCst), words[1].load(SeqCst)]).into());
    let memory = |words: &Words<2>| words[0].load(SeqCst) << 8 | words[1].load(SeqCst);
    let mut thin = sweep(&words::<2>, &operation, &check);
    thin.memory = Some(&memory);
    let every = thin.run().unwrap();
    thin.limits.dense = 0;
    let changes = thin.run().unwrap();
    assert_eq!(changes.points, 4, "in front, two stores and a system call");
    assert!(every.outcomes.keys().eq(changes.outcomes.keys()), "nothing is missed");
}

fn a_late_survivor_is_counted_and_not_bad() {
    let check = |_: &mut Words<1>| {
        std::thread::sleep(Duration::from_millis(20));
        Ok("late".into())
    };
    let mut late = sweep(&words::<1>, &|words| words[0].store(1, SeqCst), &check);
    (late.limits.bound, late.limits.grace) = (Duration::from_millis(1), Duration::from_secs(20));
    let report = late.run().unwrap();
    assert_eq!((report.late, report.bad()), (report.points, 0));
    late.limits.grace = Duration::from_millis(1);
    assert!(late.run().unwrap().hangs() > 0);
}

fn a_frozen_holder_blocks_as_long_as_it_holds() {
    let mut frozen = sweep(
        &words::<1>,
        &|words: &mut Words<1>| {
            words[0].swap(1, SeqCst);
            words[0].store(0, SeqCst);
        },
        &|words| Ok(if words[0].load(SeqCst) == 0 { "free" } else { "held" }.into()),
    );
    frozen.fate = Fate::Frozen;
    let report = frozen.run().unwrap();
    assert_eq!(report.bad(), 0);
    assert!(report.outcomes[&"held".into()].count < report.outcomes[&"free".into()].count);
}

fn far_places_are_reached_in_order() {
    far_places(true);
}

fn far_places_are_reached_by_planted_traps() {
    far_places(false);
}

/// Enough instructions that most are reached by breakpoints, in a loop, so that places repeat.
fn far_places(hardware: bool) {
    let mut far = sweep(
        &words::<2>,
        &|words: &mut Words<2>| {
            for n in 0..30 {
                words[0].store(n + 1, SeqCst);
                std::hint::black_box(n);
            }
            words[1].store(1, SeqCst);
        },
        &|words| Ok(format!("{:03}", words[0].load(SeqCst)).into()),
    );
    far.limits.hardware = hardware;
    let report = far.run().unwrap();
    assert_eq!((report.bad(), report.diverged), (0, 0));
    assert_eq!(report.outcomes.len(), 31);
    let tallies: Vec<_> = report.outcomes.values().collect();
    for pair in tallies.windows(2) {
        assert_eq!(pair[0].last + 1, pair[1].first, "each count is seen in one stretch, in order");
        assert_eq!(pair[0].count, pair[0].last - pair[0].first + 1);
    }
}

fn system_calls_are_stepped_over() {
    let report = kill_everywhere(
        words::<1>,
        |words| {
            std::thread::sleep(Duration::from_micros(10));
            words[0].store(u64::from(nix::unistd::getpid().as_raw() > 0), SeqCst);
        },
        |words| Ok(format!("{}", words[0].load(SeqCst)).into()),
    )
    .unwrap();
    assert_eq!((report.bad(), report.outcomes.len()), (0, 2));
}

fn an_operation_that_panics_crashes_or_sleeps_is_bad() {
    let fine = |_: &mut Words<1>| Ok("fine".into());
    let asleep = sweep(&words::<1>, &|_| std::thread::sleep(Duration::from_secs(3600)), &fine).run().unwrap();
    assert_eq!((asleep.hangs(), asleep.bad()), (1, 1));
    let exits = sweep(&words::<1>, &|_| exit(3), &fine).run().unwrap();
    assert_eq!((exits.count(Fault::Broken), exits.bad()), (1, 1));
    let crashes = sweep(&words::<1>, &|_| std::process::abort(), &fine).run().unwrap();
    assert_eq!((crashes.count(Fault::Broken), crashes.bad()), (1, 1));
}

fn a_check_that_panics_crashes_or_exits_is_bad() {
    let nothing = |_: &mut Words<1>| ();
    let texts = |check: &dyn Fn(&mut Words<1>) -> ipc_tests::step::Finding| {
        let report = sweep(&words::<1>, &nothing, check).run().unwrap();
        assert_eq!(report.count(Fault::Broken), 3);
        report.violations[0].1.detail.clone()
    };
    assert!(texts(&|_| panic!("told you so")).contains("told you so"));
    assert!(texts(&|_| exit(3)).contains("status 3"));
    assert!(texts(&|_| std::process::abort()).contains("SIGABRT"));
}

fn an_endless_operation_is_an_error() {
    let endless = |words: &mut Words<1>| while words[0].load(SeqCst) == 0 {};
    let mut endless = sweep(&words::<1>, &endless, &|_| Ok("".into()));
    endless.limits.instructions = 1000;
    assert!(matches!(endless.run(), Err(StepError::TooLong { most: 1000 })));
}

fn a_frozen_victim_goes_on_when_told() {
    let mut words = words::<1>();
    let add = |words: &mut Words<1>| {
        for _ in 0..10 {
            words[0].fetch_add(1, SeqCst);
        }
    };
    let patience = Duration::from_secs(5);
    let mut one = Victim::start(&mut words, |_| (), add, patience).unwrap();
    let mut other = Victim::start(&mut words, |_| (), add, patience).unwrap();
    while words[0].load(SeqCst) < 3 {
        assert_eq!(one.step().unwrap(), At::Inside);
    }
    assert_eq!(other.finish(patience).unwrap(), At::Returned);
    assert_eq!(words[0].load(SeqCst), 13);
    assert_eq!(one.finish(patience).unwrap(), At::Returned);
    assert_eq!(one.step().unwrap(), At::Returned);
    one.kill();
    let finding = judge(&mut words, |words| Ok(words[0].load(SeqCst).to_string().into()), patience).unwrap();
    assert_eq!(finding, Ok("20".into()));
}

fn a_refused_trace_is_an_error() {
    let status = in_a_child(|| {
        refuse(libc::SYS_ptrace, Errno::EPERM);
        let result = kill_everywhere(words::<1>, |_| (), |_| Ok("".into()));
        matches!(result, Err(StepError::Refused))
    });
    assert_eq!(status, 0);
}

fn a_second_thread_is_an_error() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || wait.recv().ok());
    let result = kill_everywhere(words::<1>, |_| (), |_| Ok("".into()));
    assert!(matches!(result, Err(StepError::Threaded { threads: 2 })));
    drop(go);
    other.join().unwrap();
}

/// The tracer is killed while its victim is stopped; we inherit the orphan and see that the kernel killed it, too.
fn a_dead_tracer_leaves_no_victim() {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a flag and touches no memory of ours.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }, 0);
    let pid = words::<1>();
    // SAFETY: this program has one thread.
    let ForkResult::Parent { child: tracer } = unsafe { fork() }.unwrap() else {
        let victim = Victim::start(&mut (), |_| (), |_| (), Duration::from_secs(5)).unwrap();
        pid[0].store(u64::from(victim.pid()), SeqCst);
        loop {
            nix::unistd::pause();
        }
    };
    while pid[0].load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    kill(tracer, Signal::SIGKILL).unwrap();
    assert!(matches!(waitpid(tracer, None), Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _))));
    let victim = Pid::from_raw(pid[0].load(SeqCst) as i32);
    assert!(matches!(waitpid(victim, None), Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _))));
}

fn all_processors_share_the_work() {
    let mut results = Vec::new();
    on_all_processors(100, |n| (n, vec![7; n]), |n, result| results.push((n, result))).unwrap();
    assert_eq!(results, (0..100).map(|n| (n, (n, vec![7; n]))).collect::<Vec<_>>(), "in order, each once");
    on_all_processors(0, |_| (), |_, ()| unreachable!("there was nothing to do")).unwrap();
}

fn a_worker_that_dies_is_an_error() {
    let mut done = Vec::new();
    let work = |n| {
        if n == 5 {
            kill(Pid::this(), Signal::SIGKILL).unwrap()
        }
    };
    let worked = on_all_processors(50, work, |n, ()| done.push(n));
    assert!(worked.is_err());
    assert_eq!(done, [0, 1, 2, 3, 4], "what was done before it");
}

fn nothing_is_left_behind() {
    let count = |what: &str| std::fs::read_dir(what).unwrap().count();
    let before = count("/proc/self/fd");
    smoke();
    a_plain_lock_is_found_to_hang();
    assert_eq!(count("/proc/self/fd"), before);
    assert!(waitpid(None, Some(WaitPidFlag::WNOHANG)).is_err(), "no child is left, dead or alive");
}

/// Status of a forked child that says whether `body` held.
fn in_a_child(body: impl FnOnce() -> bool) -> i32 {
    // SAFETY: this program has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => exit(i32::from(!body())),
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, status) => status,
            other => panic!("{other:?}"),
        },
    }
}

fn exit(status: i32) -> ! {
    // SAFETY: `_exit` returns to nobody and runs no handler.
    unsafe { libc::_exit(status) }
}
