//! Verdicts: who is alive and who is dead, one test per trap that has fooled somebody.
//!
//! The parent asks about children that registered in a segment and then did something odd. All of it is told apart by the row
//! lock, which lives exactly as long as an address space, with the pidfd as an accelerator.

use ipc_core::Segment;
use ipc_core::raw::{Census, Owner, Verdict};
use ipc_tests::child::{Child, Step, exit};
use ipc_tests::page::Page;
use ipc_tests::passing;
use ipc_tests::refuse::refuse;
use ipc_tests::watchdog::Watchdog;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::pause;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A child that has registered, and its owner word.
struct Member {
    child: Child,
    owner: Owner,
}

/// Forks a child that registers, does `then`, says so, and waits for ever.
fn member(segment: &Segment, then: impl FnOnce()) -> Member {
    let (word, registered, done) = (Page::new(AtomicU64::new(0)), Step::new(), Step::new());
    let child = Child::fork(|| {
        word.store(segment.me().expect("a row is free").word(), SeqCst);
        registered.reach();
        then();
        done.reach();
        wait_for_ever();
    });
    registered.wait();
    done.wait();
    Member { child, owner: Owner::from_word(word.load(SeqCst)) }
}

fn wait_for_ever() -> ! {
    loop {
        pause();
    }
}

fn segment() -> Segment {
    Segment::options().members(8).anonymous(4096).unwrap()
}

#[test]
fn smoke() {
    let _watchdog = Watchdog::start("smoke");
    let segment = segment();
    let me = segment.me().unwrap();
    assert_eq!(segment.verdict(me), Verdict::Alive);
    let mut member = member(&segment, || ());
    assert_ne!(member.owner.member(), me.member());
    assert_eq!(segment.verdict(member.owner), Verdict::Alive);
    assert_eq!(segment.describe(member.owner).0, member.child.pid().as_raw() as u32);
    member.child.kill();
    assert_eq!(segment.verdict(member.owner), Verdict::Dead);
}

#[test]
fn a_zombie_is_dead() {
    let _watchdog = Watchdog::start("a_zombie_is_dead");
    let segment = segment();
    let member = member(&segment, || ());
    member.child.signal(Signal::SIGKILL);
    // Ended, and not reaped.
    waitid(Id::Pid(member.child.pid()), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    assert_eq!(segment.verdict(member.owner), Verdict::Dead);
}

#[test]
fn a_stopped_process_is_alive() {
    let _watchdog = Watchdog::start("a_stopped_process_is_alive");
    let segment = segment();
    let member = member(&segment, || ());
    member.child.signal(Signal::SIGSTOP);
    waitid(Id::Pid(member.child.pid()), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT).unwrap();
    assert_eq!(segment.verdict(member.owner), Verdict::Alive);
    assert!(segment.begin_repair(member.owner).is_none());
}

/// /proc shows state Z for it, and it runs.
#[test]
fn a_process_whose_first_thread_has_exited_is_alive() {
    let _watchdog = Watchdog::start("a_process_whose_first_thread_has_exited_is_alive");
    let segment = segment();
    let (word, alive) = (Page::new(AtomicU64::new(0)), Step::new());
    let mut child = Child::fork(|| {
        word.store(segment.me().expect("a row is free").word(), SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let first = format!("/proc/self/task/{}/stat", std::process::id());
                while !std::fs::read_to_string(&first).is_ok_and(|stat| stat.contains(") Z")) {
                    std::thread::yield_now();
                }
                alive.reach();
                wait_for_ever()
            });
            // SAFETY: the system call ends this thread alone, and what it borrows lives as long as the process.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        });
    });
    alive.wait();
    let owner = Owner::from_word(word.load(SeqCst));
    assert_eq!(segment.verdict(owner), Verdict::Alive);
    child.kill();
    assert_eq!(segment.verdict(owner), Verdict::Dead);
}

#[test]
fn a_thread_that_ends_is_no_death() {
    let _watchdog = Watchdog::start("a_thread_that_ends_is_no_death");
    let segment = segment();
    let owner = std::thread::scope(|scope| scope.spawn(|| segment.me().unwrap()).join().unwrap());
    assert_ne!(owner.thread(), segment.me().unwrap().thread());
    assert_eq!(segment.verdict(owner), Verdict::Alive);
}

/// The grandchild has inherited every descriptor and outlives the member.
#[test]
fn a_forked_child_does_not_keep_its_parent_alive() {
    let _watchdog = Watchdog::start("a_forked_child_does_not_keep_its_parent_alive");
    let segment = segment();
    let (word, grandchild_pid, there) = (Page::new(AtomicU64::new(0)), Page::new(AtomicU64::new(0)), Step::new());
    let mut member = member(&segment, || {
        let grandchild = Child::fork(|| {
            // SAFETY: PR_SET_PDEATHSIG takes a signal number: this child is to outlive its parent.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
            word.store(segment.me().expect("a row is free").word(), SeqCst);
            grandchild_pid.store(u64::from(std::process::id()), SeqCst);
            there.reach();
            wait_for_ever()
        });
        std::mem::forget(grandchild);
    });
    there.wait();
    let grandchild = Owner::from_word(word.load(SeqCst));
    assert_ne!(grandchild.member(), member.owner.member());
    member.child.kill();
    assert_eq!(segment.verdict(member.owner), Verdict::Dead);
    assert_eq!(segment.verdict(grandchild), Verdict::Alive);
    let orphan = nix::unistd::Pid::from_raw(grandchild_pid.load(SeqCst) as i32);
    nix::sys::signal::kill(orphan, Signal::SIGKILL).unwrap();
}

/// The pid lives on, and is somebody else.
#[test]
fn exec_ends_a_membership() {
    let _watchdog = Watchdog::start("exec_ends_a_membership");
    let segment = segment();
    let word = Page::new(AtomicU64::new(0));
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let child = Child::fork(|| {
        word.store(segment.me().expect("a row is free").word(), SeqCst);
        let [input, output] = [&theirs; 2].map(|end| std::os::fd::OwnedFd::from(end.try_clone().unwrap()));
        let error = Command::new("sh").args(["-c", "echo there; read line"]).stdin(input).stdout(output).exec();
        panic!("{error}");
    });
    let mut there = [0; 6];
    std::io::Read::read_exact(&mut ours, &mut there).unwrap();
    assert_eq!(segment.verdict(Owner::from_word(word.load(SeqCst))), Verdict::Dead);
    assert!(std::path::Path::new(&format!("/proc/{}", child.pid())).exists());
}

/// The next process of the same pid is not the member. Needs the permission to choose pids.
#[test]
#[allow(clippy::print_stderr)]
fn a_reused_pid_is_not_the_member() {
    let _watchdog = Watchdog::start("a_reused_pid_is_not_the_member");
    let segment = segment();
    for _ in 0..100 {
        let mut member = member(&segment, || ());
        let pid = member.child.pid();
        member.child.kill();
        if std::fs::write("/proc/sys/kernel/ns_last_pid", (pid.as_raw() - 1).to_string()).is_err() {
            eprintln!("skipped: this user may not choose pids");
            return;
        }
        let successor = Child::fork(|| wait_for_ever());
        // Another process may have taken the number in between.
        if successor.pid() == pid {
            assert_eq!(segment.verdict(member.owner), Verdict::Dead);
            return;
        }
    }
    eprintln!("skipped: others take every pid first");
}

#[test]
fn closing_all_descriptors_is_no_death() {
    let _watchdog = Watchdog::start("closing_all_descriptors_is_no_death");
    let segment = segment();
    let reached = Page::new(AtomicU64::new(0));
    let word = Page::new(AtomicU64::new(0));
    let mut child = Child::fork(|| {
        word.store(segment.me().expect("a row is free").word(), SeqCst);
        // SAFETY: the process uses no descriptor from here on.
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
        reached.store(1, SeqCst);
        wait_for_ever()
    });
    while reached.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let owner = Owner::from_word(word.load(SeqCst));
    assert_eq!(segment.verdict(owner), Verdict::Alive);
    child.kill();
    assert_eq!(segment.verdict(owner), Verdict::Dead);
}

/// Whoever received the member's descriptor shares its description, and not its life.
#[test]
fn a_passed_descriptor_does_not_keep_its_sender_alive() {
    let _watchdog = Watchdog::start("a_passed_descriptor_does_not_keep_its_sender_alive");
    let segment = segment();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut member = member(&segment, || {
        passing::send(&theirs, b"here", &[segment.as_fd()]).unwrap();
    });
    let (text, received) = passing::receive(&ours).unwrap();
    assert_eq!((text.as_slice(), received.len()), (b"here".as_slice(), 1));
    assert_eq!(segment.verdict(member.owner), Verdict::Alive);
    member.child.kill();
    assert_eq!(segment.verdict(member.owner), Verdict::Dead);
    drop(received);
}

/// Asks about one who lives and one who does not, in a child to which something was done first.
fn verdicts_in_a_child_that(is_crippled: impl FnOnce()) {
    let segment = segment();
    let living = member(&segment, || ());
    let mut dead = member(&segment, || ());
    dead.child.kill();
    Child::fork(|| {
        is_crippled();
        let verdicts = [segment.verdict(living.owner), segment.verdict(dead.owner)];
        exit(i32::from(verdicts != [Verdict::Alive, Verdict::Dead]));
    })
    .join();
}

#[test]
fn without_pidfds_the_row_lock_decides() {
    let _watchdog = Watchdog::start("without_pidfds_the_row_lock_decides");
    for errno in [Errno::EPERM, Errno::ENOSYS, Errno::EMFILE] {
        verdicts_in_a_child_that(|| refuse(libc::SYS_pidfd_open, errno));
    }
}

#[test]
fn without_descriptors_the_row_lock_decides() {
    let _watchdog = Watchdog::start("without_descriptors_the_row_lock_decides");
    verdicts_in_a_child_that(|| {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 0, most).unwrap();
        assert!(std::fs::File::open("/dev/null").is_err());
    });
}

/// Pids of one namespace mean nothing in another.
#[test]
#[allow(clippy::print_stderr)]
fn another_pid_namespace_is_no_obstacle() {
    let _watchdog = Watchdog::start("another_pid_namespace_is_no_obstacle");
    let segment = segment();
    let outside = member(&segment, || ());
    let mut outside_dead = member(&segment, || ());
    outside_dead.child.kill();
    let (word, there, refused) = (Page::new(AtomicU64::new(0)), Step::new(), Page::new(AtomicU64::new(0)));
    let mut gate = Child::fork(|| {
        if unshare(CloneFlags::CLONE_NEWPID).is_err() {
            refused.store(1, SeqCst);
            there.reach();
            return;
        }
        let inside = Child::fork(|| {
            assert_eq!(std::process::id(), 1, "the first of its namespace");
            word.store(segment.me().expect("a row is free").word(), SeqCst);
            assert_eq!(segment.verdict(outside.owner), Verdict::Alive);
            assert_eq!(segment.verdict(outside_dead.owner), Verdict::Dead);
            there.reach();
            wait_for_ever()
        });
        std::mem::forget(inside);
        wait_for_ever()
    });
    there.wait();
    if refused.load(SeqCst) == 1 {
        eprintln!("skipped: this user may not make PID namespaces");
        return;
    }
    let inside = Owner::from_word(word.load(SeqCst));
    assert_eq!(segment.verdict(inside), Verdict::Alive);
    // The one inside dies with its parent.
    gate.kill();
    while segment.verdict(inside) == Verdict::Alive {
        std::thread::yield_now();
    }
    assert_eq!(segment.verdict(inside), Verdict::Dead);
}

#[test]
fn a_row_given_on_is_not_its_former_owner() {
    let _watchdog = Watchdog::start("a_row_given_on_is_not_its_former_owner");
    let segment = Segment::options().members(2).anonymous(4096).unwrap();
    let mut former = member(&segment, || ());
    former.child.kill();
    let latter = member(&segment, || ());
    assert_eq!(former.owner.row(), latter.owner.row());
    assert_eq!(segment.verdict(former.owner), Verdict::Dead);
    assert_eq!(segment.verdict(latter.owner), Verdict::Alive);
    assert_eq!(segment.describe(former.owner).0, 0, "the row no longer says who that was");
}

#[test]
fn the_right_to_repair_is_given_once() {
    let _watchdog = Watchdog::start("the_right_to_repair_is_given_once");
    let segment = segment();
    let mut member = member(&segment, || ());
    assert!(segment.begin_repair(member.owner).is_none(), "the living are not repaired");
    member.child.kill();
    let right = segment.begin_repair(member.owner).expect("the dead are");
    assert!(segment.begin_repair(member.owner).is_none(), "by one at a time");
    drop(right);
    let (taken, then) = (Step::new(), Step::new());
    let repairer = Child::fork(|| {
        let right = segment.begin_repair(member.owner);
        exit_unless(right.is_some());
        taken.reach();
        then.wait();
    });
    taken.wait();
    assert!(segment.begin_repair(member.owner).is_none(), "in any process");
    then.reach();
    repairer.join();
    assert!(segment.begin_repair(member.owner).is_some(), "a repairer that has gone gave it back");
}

fn exit_unless(good: bool) {
    if !good {
        exit(1)
    }
}
