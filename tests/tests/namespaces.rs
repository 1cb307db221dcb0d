//! Processes of several namespaces share one segment: equal pids, moved clocks, other users' numbers.
//!
//! What a system does not permit is skipped with a line that says so. A suite with a `main` of its own: a process of one
//! thread is needed to enter a user namespace.

#![allow(clippy::print_stdout)]

use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::{Cause, ErrorKind, LockError, Segment, Ticket, Value};
use ipc_queue::Queue;
use ipc_tests::alone;
use ipc_tests::child::{Child, Step, exit};
use ipc_tests::page::Page;
use ipc_tests::private::map_ids;
use ipc_tests::refuse::refuse_flagged;
use ipc_tests::watchdog::Watchdog;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid, pause};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

fn main() {
    alone::run(ipc_tests::tests![
        equal_pids_of_two_namespaces_are_two_members,
        a_holder_killed_in_another_namespace_is_found,
        a_ticket_from_another_namespace_is_refused_or_right,
        another_time_namespace_changes_no_verdict_and_no_wait,
        xs21_no_wait_looks_at_the_wall_clock,
    ]);
}

/// Enters a namespace for its children, as this user or as the root of a user namespace; false where that is refused.
fn entered(namespace: CloneFlags) -> bool {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(namespace).is_ok() || unshare(namespace | CloneFlags::CLONE_NEWUSER).is_ok() && map_ids(uid, gid).is_ok()
}

/// A process that is the first of a PID namespace of its own, and ends with this value.
struct Inside {
    _gate: Child,
}

impl Inside {
    /// `None`, and a line that says so, where the system refuses.
    fn run(body: impl FnOnce()) -> Option<Self> {
        let (refused, there) = (Page::new(AtomicU64::new(0)), Step::new());
        let gate = Child::fork(|| {
            if !entered(CloneFlags::CLONE_NEWPID) {
                refused.store(1, SeqCst);
                there.reach();
                return;
            }
            let mut inside = Child::fork(|| {
                assert_eq!(std::process::id(), 1, "the first of its namespace");
                there.reach();
                body();
            });
            let ended = inside.wait();
            exit(i32::from(!matches!(ended, nix::sys::wait::WaitStatus::Exited(_, 0))));
        });
        there.wait();
        if refused.load(SeqCst) == 1 {
            println!("skipped: this user may not make PID namespaces");
            return None;
        }
        Some(Self { _gate: gate })
    }

    /// Waits until it has ended, and insists that all went well.
    fn join(self) {
        self._gate.join();
    }
}

fn wait_for_ever() -> ! {
    loop {
        pause();
    }
}

/// Both have the pid 1. Each is judged by its row lock, also when the other one has gone.
fn equal_pids_of_two_namespaces_are_two_members() {
    let _watchdog = Watchdog::start("equal_pids_of_two_namespaces_are_two_members");
    let segment = Segment::options().members(8).anonymous(4096).expect("a segment");
    let words = [Page::new(AtomicU64::new(0)), Page::new(AtomicU64::new(0))];
    let (registered, looked) = (Step::new(), Step::new());
    let member = |nth: usize| {
        let (segment, words, registered) = (&segment, &words, &registered);
        move || {
            words[nth].store(segment.me().expect("a row").word(), SeqCst);
            registered.reach();
            wait_for_ever()
        }
    };
    let Some(first) = Inside::run(member(0)) else { return };
    registered.wait();
    let Some(_second) = Inside::run(member(1)) else { return };
    registered.wait();
    let [a, b] = [0, 1].map(|nth: usize| Owner::from_word(words[nth].load(SeqCst)));
    assert_ne!(a.member(), b.member());
    assert_eq!([segment.describe(a).0, segment.describe(b).0], [1, 1]);
    assert_eq!([segment.verdict(a), segment.verdict(b)], [Verdict::Alive; 2]);
    drop(first);
    // It dies with the one that made its namespace.
    while segment.verdict(a) == Verdict::Alive {
        std::thread::yield_now();
    }
    let judge = Inside::run(|| {
        assert_eq!([segment.verdict(a), segment.verdict(b)], [Verdict::Dead, Verdict::Alive]);
        looked.reach();
    });
    looked.wait();
    judge.expect("as before").join();
}

fn a_holder_killed_in_another_namespace_is_found() {
    let _watchdog = Watchdog::start("a_holder_killed_in_another_namespace_is_found");
    for touched in [false, true] {
        let value = Value::new([0u64; 2]).expect("a value");
        let held = Step::new();
        let holder = Inside::run(|| {
            let mut guard = value.lock().expect("a free lock");
            if touched {
                guard[0] = 1;
            }
            held.reach();
            wait_for_ever()
        });
        let Some(holder) = holder else { return };
        held.wait();
        let (timed_out, killed) = (Step::new(), Step::new());
        let waiter = Inside::run(|| {
            let patience = Duration::from_millis(200);
            assert_eq!(value.lock_timeout(patience).map(drop), Err(LockError::Timeout), "it lives, and has my pid");
            timed_out.reach();
            killed.wait();
            match value.lock() {
                Ok(_) => assert!(!touched),
                Err(LockError::Inconsistent { cause: Cause::OwnerDied { pid: 1, .. } }) => assert!(touched),
                Err(other) => panic!("{other}"),
            }
        });
        timed_out.wait();
        drop(holder);
        killed.reach();
        waiter.expect("as before").join();
    }
}

/// Its pid means somebody else here, or nobody.
fn a_ticket_from_another_namespace_is_refused_or_right() {
    let _watchdog = Watchdog::start("a_ticket_from_another_namespace_is_refused_or_right");
    let value = Value::new(7u64).expect("a value");
    let ticket = value.ticket();
    let inside = Inside::run(|| {
        // From outside: /proc shows the pids that the ticket means, or is another one's.
        match Value::<u64>::attach(&ticket) {
            Ok(attached) => assert_eq!(attached.get(), Ok(7)),
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Gone { .. } | ErrorKind::NotPermitted { .. } | ErrorKind::System { .. }
                ),
                "{error}"
            ),
        }
        // From inside: this process is 1, which the /proc of the outside takes for another.
        let own = Value::new(8u64).expect("a value");
        let text = own.ticket().to_string();
        assert!(text.starts_with("ipc:fd:1."), "{text}");
        match Value::<u64>::attach(&text.parse::<Ticket>().expect("a ticket")) {
            Ok(attached) => assert_eq!(attached.get(), Ok(8)),
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Gone { .. } | ErrorKind::NotPermitted { .. } | ErrorKind::System { .. }
                ),
                "{error}"
            ),
        }
    });
    if let Some(inside) = inside {
        inside.join();
    }
}

/// Start times and `CLOCK_MONOTONIC` differ by days there.
fn another_time_namespace_changes_no_verdict_and_no_wait() {
    let _watchdog = Watchdog::start("another_time_namespace_changes_no_verdict_and_no_wait");
    let value = Value::new([0u64; 2]).expect("a value");
    let segment = value.segment();
    let (word, held, then) = (Page::new(AtomicU64::new(0)), Step::new(), Step::new());
    let mut living = Child::fork(|| {
        let _guard = value.lock().expect("a free lock");
        word.store(segment.me().expect("a row").word(), SeqCst);
        held.reach();
        wait_for_ever()
    });
    held.wait();
    let living_owner = Owner::from_word(word.load(SeqCst));
    let judge = Child::fork(|| {
        let namespace = CloneFlags::from_bits_retain(libc::CLONE_NEWTIME);
        let moved = entered(namespace) && {
            // Several days, both clocks.
            std::fs::write("/proc/self/timens_offsets", "monotonic 500000 0\nboottime 500000 0").is_ok()
        };
        if !moved {
            println!("skipped: this user may not make time namespaces");
            then.reach();
            return;
        }
        Child::fork(|| {
            assert_eq!(segment.verdict(living_owner), Verdict::Alive);
            let (began, patience) = (Instant::now(), Duration::from_millis(120));
            assert_eq!(value.lock_timeout(patience).map(drop), Err(LockError::Timeout));
            assert!(began.elapsed() >= patience);
            then.reach();
            value.lock().map(drop).expect("its holder had written nothing");
            assert_eq!(segment.verdict(living_owner), Verdict::Dead);
        })
        .join();
    });
    then.wait();
    living.kill();
    judge.join();
}

/// Nobody may move `CLOCK_REALTIME` for a test. But whoever waits by it must tell the system so, and is refused here.
fn xs21_no_wait_looks_at_the_wall_clock() {
    let _watchdog = Watchdog::start("xs21_no_wait_looks_at_the_wall_clock");
    let value = Value::new(0u64).expect("a value");
    let queue = Queue::<u64>::new(1).expect("a queue");
    let guard = value.lock().expect("a free lock");
    Child::fork(|| {
        refuse_flagged(libc::SYS_futex, 1, libc::FUTEX_CLOCK_REALTIME as u32, Errno::EPERM);
        let patience = Duration::from_millis(30);
        for _ in 0..3 {
            let began = Instant::now();
            assert_eq!(value.lock_timeout(patience).map(drop), Err(LockError::Timeout));
            assert!(queue.recv_timeout(patience).is_err());
            assert!(began.elapsed() >= 2 * patience);
        }
        queue.send(1).expect("room");
        assert!(queue.send_timeout(2, patience).is_err());
        // Were one of these calls refused, the waits above would have spun, and had no sleep to be counted.
        let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
        let slept = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        assert!(slept.is_some_and(|count| count.trim().parse::<u64>().is_ok_and(|count| count >= 7)), "{slept:?}");
    })
    .join();
    drop(guard);
}
