//! Names that go with their last member, and names that do not.

use ipc_core::raw::{Blueprint, Kind, Object, Place};
use ipc_core::{Array, Error, ErrorKind, Kept, Segment, Ticket, Value, gc};
use ipc_tests::child::{Child, Step, Stranger, die};
use ipc_tests::passing;
use ipc_tests::unique::UniqueName;
use ipc_tests::watchdog::Watchdog;
use nix::fcntl::{FcntlArg, fcntl};
use std::alloc::Layout;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Where `layout/header.rs` puts the gate.
const GATE_AT: i64 = (1 << 62) + (2 << 20);

fn create(name: &str) -> Result<Segment, Error> {
    Segment::options().unlink_with_last_member().create(name, 4096)
}

fn is_there(name: &UniqueName) -> bool {
    name.path().exists()
}

fn not_found(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound { .. })
}

/// A child that attaches and leaves when told. To be made before this process has the segment: a child that inherits a handle
/// has one for ever, whatever it drops.
struct Guest {
    child: Child,
    attach: Step,
    there: Step,
    leave: Step,
}

impl Guest {
    fn of(name: &UniqueName) -> Self {
        let (attach, there, leave) = (Step::new(), Step::new(), Step::new());
        let child = Child::fork(|| {
            attach.wait();
            let segment = Segment::open(name).expect("it is there");
            there.reach();
            leave.wait();
            drop(segment);
        });
        Self { child, attach, there, leave }
    }

    fn attach(&self) {
        self.attach.reach();
        self.there.wait();
    }

    fn leave(self) {
        self.leave.reach();
        self.child.join();
    }
}

#[test]
fn a_name_goes_with_the_last_member() {
    let _watchdog = Watchdog::start("a_name_goes_with_the_last_member");
    let name = UniqueName::new("last");
    let guest = Guest::of(&name);
    let segment = create(&name).unwrap();
    guest.attach();
    let twin = segment.clone();
    drop(segment);
    assert!(is_there(&name), "a handle is left");
    drop(twin);
    assert!(is_there(&name), "another member is left");
    assert_eq!(Segment::open(&name).unwrap().name(), Some(&*name));
    assert!(is_there(&name), "who came and went was not the last");
    guest.leave();
    assert!(!is_there(&name));
    assert!(not_found(&Segment::open(&name).unwrap_err()));
}

/// Whoever dies is the last in time, the next opener, creator or `gc` collects.
#[test]
fn what_the_dead_left_goes_with_the_next_who_asks() {
    let _watchdog = Watchdog::start("what_the_dead_left_goes_with_the_next_who_asks");
    let name = UniqueName::new("dead");
    let leave_behind = || {
        _ = Child::fork(|| {
            let _segment = create(&name).unwrap();
            die();
        })
        .wait_to_end();
    };
    leave_behind();
    assert!(not_found(&Segment::open(&name).unwrap_err()));
    assert!(!is_there(&name));
    leave_behind();
    drop(create(&name).expect("the name is free"));
    leave_behind();
    drop(Segment::create(&name, 4096).expect("for any other segment, too"));
    Segment::unlink(&name).unwrap();
    leave_behind();
    drop(Segment::open_or_create(&name, 4096).unwrap());
    Segment::unlink(&name).unwrap();
    leave_behind();
    gc().unwrap();
    assert!(!is_there(&name));
}

#[test]
fn a_living_member_keeps_the_name_whoever_else_dies() {
    let _watchdog = Watchdog::start("a_living_member_keeps_the_name_whoever_else_dies");
    let name = UniqueName::new("alive");
    let mut guest = Guest::of(&name);
    let segment = create(&name).unwrap();
    guest.attach();
    guest.child.kill();
    gc().unwrap();
    assert_eq!(Segment::open(&name).unwrap().id(), segment.id());
    drop(segment);
    assert!(!is_there(&name));
}

/// Without the option nobody ever has a duty to delete.
#[test]
fn a_segment_without_the_option_is_never_collected() {
    let _watchdog = Watchdog::start("a_segment_without_the_option_is_never_collected");
    let name = UniqueName::new("lasting");
    drop(Segment::create(&name, 4096).unwrap());
    let opened = Segment::options().unlink_with_last_member().open_or_create(&name, 4096).unwrap();
    drop(opened);
    _ = Child::fork(|| {
        let _segment = Segment::open(&name).unwrap();
        die();
    })
    .wait_to_end();
    let report = gc().unwrap();
    assert!(report.kept.contains(&(name.to_string(), Kept::UntilUnlinked)));
    assert!(is_there(&name));
}

/// Who came by descriptor does not know the name, and finds it.
#[test]
fn a_member_by_descriptor_may_be_the_last() {
    let _watchdog = Watchdog::start("a_member_by_descriptor_may_be_the_last");
    let name = UniqueName::new("descriptor");
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (there, leave) = (Step::new(), Step::new());
    let child = Child::fork(|| {
        let (_, mut fds) = passing::receive(&theirs).unwrap();
        let segment = Segment::from_fd(fds.remove(0)).unwrap();
        there.reach();
        leave.wait();
        drop(segment);
    });
    let segment = create(&name).unwrap();
    passing::send(&ours, b"here", &[segment.as_fd()]).unwrap();
    there.wait();
    drop(segment);
    assert!(is_there(&name), "the other one is a member");
    leave.reach();
    child.join();
    assert!(!is_there(&name));
}

#[test]
fn a_forked_child_is_a_member_from_its_first_use_on() {
    let _watchdog = Watchdog::start("a_forked_child_is_a_member_from_its_first_use_on");
    let name = UniqueName::new("forked");
    let segment = create(&name).unwrap();
    let value = Value::create_in(&segment, "v", 1u64).unwrap();
    let (used, leave) = (Step::new(), Step::new());
    let child = Child::fork(|| {
        value.set(2).unwrap();
        used.reach();
        leave.wait();
        drop((value.clone(), segment.clone()));
    });
    used.wait();
    drop(value);
    drop(segment);
    assert!(is_there(&name));
    leave.reach();
    child.join();
    // It ended without dropping what it inherited: as if it had died.
    assert!(not_found(&Segment::open(&name).unwrap_err()));
    assert!(!is_there(&name));
}

/// Of names of its own, since others collect at the same time.
#[test]
fn gc_says_what_it_did_and_why_not() {
    let _watchdog = Watchdog::start("gc_says_what_it_did_and_why_not");
    let check = || {
        let [dead, lasting, alive, garbage] = ["gc-dead", "gc-lasting", "gc-alive", "gc-garbage"].map(UniqueName::new);
        let _alive = create(&alive).unwrap();
        drop(Segment::create(&lasting, 4096).unwrap());
        std::fs::write(garbage.path(), b"not a segment").unwrap();
        _ = Child::fork(|| {
            let _segment = create(&dead).unwrap();
            die();
        })
        .wait_to_end();
        let report = gc().unwrap();
        assert!(report.collected.contains(&dead.to_string()) || !is_there(&dead));
        assert!(report.kept.contains(&(lasting.to_string(), Kept::UntilUnlinked)));
        assert!(report.kept.contains(&(alive.to_string(), Kept::HasMembers)));
        let (_, why) = report.refused.iter().find(|(name, _)| *name == *garbage).expect("it is not a segment");
        assert!(matches!(why.kind(), ErrorKind::Header { .. } | ErrorKind::UnsafeFile { .. }), "{why}");
        assert!(is_there(&garbage) && is_there(&lasting) && is_there(&alive));
        report
    };
    match Stranger::new() {
        None => _ = check(),
        // A directory of its own: nobody else collects there, and it goes with its last name.
        Some(stranger) => {
            stranger.fork(|| assert_eq!(check().collected.len(), 1)).join();
            assert!(!stranger.home().exists());
        }
    }
}

fn lock_gate(file: &std::fs::File, kind: libc::c_int) {
    let lock = libc::flock { l_type: kind as i16, l_whence: 0, l_start: GATE_AT, l_len: 1, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
}

/// As if a collector had been stopped in the middle: those of the same name give up, with an error that says so.
#[test]
fn a_stopped_collector_holds_up_its_name_for_a_bounded_time() {
    let _watchdog = Watchdog::start("a_stopped_collector_holds_up_its_name_for_a_bounded_time");
    let (name, other) = (UniqueName::new("stopped"), UniqueName::new("stopped-not"));
    let segment = create(&name).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(name.path()).unwrap();
    lock_gate(&file, libc::F_WRLCK);
    let error = Segment::open(&name).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Busy { .. }), "{error}");
    drop(create(&other).expect("other names are not concerned"));
    // Not by closing: a child of a test beside this one has the description, too.
    lock_gate(&file, libc::F_UNLCK);
    assert_eq!(Segment::open(&name).unwrap().id(), segment.id());
}

/// As if somebody had been stopped while attaching: the name is kept for him, and goes later.
#[test]
fn somebody_who_attaches_keeps_the_name() {
    let _watchdog = Watchdog::start("somebody_who_attaches_keeps_the_name");
    let name = UniqueName::new("attaching");
    let segment = create(&name).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(name.path()).unwrap();
    lock_gate(&file, libc::F_RDLCK);
    drop(segment);
    assert!(is_there(&name));
    assert!(gc().unwrap().kept.contains(&(name.to_string(), Kept::BeingAttached)));
    lock_gate(&file, libc::F_UNLCK);
    gc().unwrap();
    assert!(!is_there(&name));
}

/// As if somebody had been stopped while removing a name. In a directory of its own, or all tests beside it would wait.
#[test]
fn a_stopped_unlinker_is_waited_for_a_bounded_time() {
    let _watchdog = Watchdog::start("a_stopped_unlinker_is_waited_for_a_bounded_time");
    let Some(stranger) = Stranger::new() else { return };
    let body = || {
        let name = UniqueName::new("unlinker");
        let segment = create(&name).unwrap();
        let directory = std::fs::File::open(ipc_tests::unique::home()).unwrap();
        directory.lock().unwrap();
        let error = Segment::unlink(&name).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Busy { .. }), "{error}");
        drop(Segment::open(&name).expect("attaching takes no such lock"));
        drop(Segment::create("unlinker-not", 1).expect("nor does creating"));
        drop(segment);
        assert!(is_there(&name), "a destructor gives up sooner, and leaves it as the dead do");
        drop(directory);
        Segment::unlink("unlinker-not").unwrap();
        assert_eq!(gc().unwrap().collected, [name.to_string()]);
    };
    stranger.fork(body).join();
    assert!(!stranger.home().exists());
}

/// A process that was stopped inside `create_in` blocks the others for as long as they like.
#[test]
fn a_stopped_creator_is_waited_for_a_bounded_time() {
    let _watchdog = Watchdog::start("a_stopped_creator_is_waited_for_a_bounded_time");
    let segment = Segment::options().patience(Duration::from_millis(50)).anonymous(4096).unwrap();
    let existing = Value::create_in(&segment, "existing", 1u64).unwrap();
    let inside = Step::new();
    let mut creator = Child::fork(|| {
        let init = |_| {
            inside.reach();
            Step::new().wait();
            Ok(())
        };
        let layout = Layout::new::<[u64; 8]>();
        let plan = Blueprint { kind: Kind(70_000), schema: "".into(), count: 1, layout, init: &init };
        let _ = Object::place(Place::CreateIn(&segment, "slow"), &plan, &Segment::options());
    });
    inside.wait();
    let error = Value::create_in(&segment, "quick", 1u64).unwrap_err();
    match error.kind() {
        ErrorKind::Busy { pid, .. } => assert_eq!(*pid, creator.pid().as_raw() as u32, "{error}"),
        _ => panic!("{error}"),
    }
    existing.set(2).expect("what is there does not wait for creators");
    assert_eq!(Value::<u64>::open_in(&segment, "existing").unwrap().get().unwrap(), 2);
    creator.kill();
    Value::create_in(&segment, "quick", 1u64).expect("the dead are replaced");
}

/// An offset that leads into the middle of somebody's data, where bytes lie that look like an entry.
#[test]
fn a_ticket_into_the_middle_of_an_array_was_believed() {
    let _watchdog = Watchdog::start("a_ticket_into_the_middle_of_an_array_was_believed");
    let segment = Segment::new(16 << 10).unwrap();
    let value = Value::new_in(&segment, 5u64).unwrap();
    let array = Array::<u64>::new_in(&segment, 512).unwrap();
    let after = Value::new_in(&segment, 6u64).unwrap();
    let offset = |ticket: &Ticket| u64::from_str_radix(ticket.to_string().rsplit(':').next().unwrap(), 16).unwrap();
    let (real, inside) = (offset(&value.ticket()), offset(&array.ticket()) + 1024);
    let file = std::fs::File::from(segment.as_fd().try_clone_to_owned().unwrap());
    let mut entry = vec![0; (offset(&array.ticket()) - real) as usize];
    file.read_exact_at(&mut entry, real).unwrap();
    file.write_all_at(&entry, inside).unwrap();
    let text = value.ticket().to_string();
    let forged = format!("{}:{inside:x}", text.rsplit_once(':').unwrap().0);
    let error = Value::<u64>::attach(&forged.parse().unwrap()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(c) if c.found == inside), "{error}");
    assert_eq!(Value::<u64>::attach(&value.ticket()).unwrap().get().unwrap(), 5);
    assert_eq!(Value::<u64>::attach(&after.ticket()).unwrap().get().unwrap(), 6);
    let _ = file.as_fd();
}
