//! Moving over from the crate `shared_memory`. The other processes are this program again, in the role of [`Peer`].

use ipc_core::{ErrorKind, FileProblem, Segment, Value};
use shared_memory::{Shmem, ShmemConf};
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const BYTES: usize = 64 << 10;
const ROLE: &str = "IPC_CORE_TEST_ROLE";
const ID: &str = "IPC_CORE_TEST_ID";

/// An os id of this process and test, removed whatever happens.
struct Id(String);

impl Id {
    fn new(test: &str) -> Self {
        Self(format!("/core-shm-{test}-{}", std::process::id()))
    }

    fn conf(&self) -> ShmemConf {
        ShmemConf::new().os_id(&self.0).size(BYTES)
    }

    fn create(&self) -> Shmem {
        self.conf().create().unwrap()
    }

    fn open(&self) -> Shmem {
        self.conf().open().unwrap()
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm{}", self.0))
    }

    fn is_there(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

fn refusal(shmem: Shmem) -> (ErrorKind, String) {
    let error = Segment::try_from(shmem).unwrap_err();
    (error.kind().clone(), error.to_string())
}

/// Another process: killed and waited for, whatever happens.
struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Open to the end: the harness writes after the test.
    out: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts one, and waits until it has done what its role is.
    fn start(role: &str, id: &Id) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "peer", "--nocapture"])
            .env(ROLE, role)
            .env(ID, &id.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, out) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { child, stdin, out };
        // The harness prints lines of its own.
        assert!(peer.out.by_ref().lines().any(|line| line.unwrap().ends_with("done")), "{role} failed");
        peer
    }

    /// Lets it drop its handles, and end.
    fn end(mut self) {
        self.stdin = None;
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a [`Peer`]; as a test of its own, nothing.
#[test]
fn peer() {
    let (Ok(role), Ok(id)) = (env::var(ROLE), env::var(ID)) else { return };
    let conf = ShmemConf::new().os_id(&id).size(BYTES);
    let _segment = match role.as_str() {
        "owner" => {
            let segment = Segment::try_from(conf.create().unwrap()).unwrap();
            drop(Value::create_in(&segment, "count", 7u64).unwrap());
            segment
        }
        "adder" => {
            let segment = Segment::try_from(conf.open().unwrap()).unwrap();
            Value::<u64>::open_in(&segment, "count").unwrap().update(|n| *n += 5).unwrap();
            segment
        }
        "writer" => {
            let segment = Segment::try_from(conf.open().unwrap()).unwrap();
            let count = Value::<u64>::open_in(&segment, "count").unwrap();
            let mut held = count.lock().unwrap();
            *held = 0xbad;
            std::mem::forget(held);
            segment
        }
        other => panic!("{other}"),
    };
    let mut out = std::io::stdout();
    out.write_all(b"\ndone\n").unwrap();
    out.flush().unwrap();
    // Until the other end is dropped.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// SH09: an owner converts, another process opens the same os id, converts, and both see one value.
#[test]
fn two_processes_convert_one_object() {
    let id = Id::new("two");
    let segment = Segment::try_from(id.create()).unwrap();
    let count = Value::create_in(&segment, "count", 1u64).unwrap();
    let peer = Peer::start("adder", &id);
    assert_eq!(count.get().unwrap(), 6);
    peer.end();
    assert!(id.is_there(), "who attached does not delete");
    drop(count);
    assert!(id.is_there(), "a handle is left");
    drop(segment);
    assert!(!id.is_there());
}

/// The owner ends first: those who have it open keep it, as `shm_unlink` has it.
#[test]
fn the_owner_deletes_and_the_others_keep_it() {
    let id = Id::new("keep");
    let owner = Peer::start("owner", &id);
    let segment = Segment::try_from(id.open()).unwrap();
    let count = Value::<u64>::open_in(&segment, "count").unwrap();
    owner.end();
    assert!(!id.is_there());
    count.update(|n| *n += 1).unwrap();
    assert_eq!(count.get().unwrap(), 8);
    // The os id is free, and what gets it is not deleted by the old one.
    let next = Segment::try_from(id.create()).unwrap();
    assert_ne!(next.id(), segment.id());
    drop((count, segment));
    assert!(id.is_there());
    drop(next);
    assert!(!id.is_there());
}

/// SH11: the owner is killed; the last of the others deletes.
#[test]
fn a_killed_owner_leaves_nothing_behind_the_last_member() {
    let id = Id::new("killed-owner");
    let owner = Peer::start("owner", &id);
    let segment = Segment::try_from(id.open()).unwrap();
    owner.kill();
    let adder = Peer::start("adder", &id);
    assert_eq!(Value::<u64>::open_in(&segment, "count").unwrap().get().unwrap(), 12);
    drop(segment);
    assert!(id.is_there(), "a member is left");
    adder.end();
    assert!(!id.is_there());
}

/// The owner is killed when nobody else is there: the next one finds the values, and deletes.
#[test]
fn what_a_lonely_owner_left_goes_with_the_next_one() {
    let id = Id::new("lonely");
    Peer::start("owner", &id).kill();
    let segment = Segment::try_from(id.open()).unwrap();
    assert_eq!(Value::<u64>::open_in(&segment, "count").unwrap().get().unwrap(), 7);
    drop(segment);
    assert!(!id.is_there());
}

/// LK03: one who attached is killed holding a lock; the owner is told, goes on and deletes.
#[test]
fn a_killed_peer_is_noticed_and_leaves_nothing() {
    let id = Id::new("killed-peer");
    let segment = Segment::try_from(id.create()).unwrap();
    let count = Value::create_in(&segment, "count", 1u64).unwrap();
    Peer::start("writer", &id).kill();
    assert!(matches!(count.get().unwrap_err(), ipc_core::LockError::Inconsistent { .. }));
    drop(count.recover(|n| *n = 2).unwrap());
    assert_eq!(count.get().unwrap(), 2);
    drop((count, segment));
    assert!(!id.is_there());
}

/// XS20: every page is set aside, and an odd size is rounded up.
#[test]
fn the_pages_are_reserved() {
    let id = Id::new("reserved");
    let shmem = id.conf().size(1_000_001).create().unwrap();
    assert!(id.path().metadata().unwrap().blocks() * 512 < 1_000_001, "otherwise this shows nothing");
    let segment = Segment::try_from(shmem).unwrap();
    let st = id.path().metadata().unwrap();
    assert_eq!((segment.len_bytes(), st.len()), (1_003_520, 1_003_520));
    assert!(st.blocks() * 512 >= st.len());
}

/// XS20: `shared_memory` makes objects that the machine has no memory for; here it is an error, and found out at once.
#[test]
fn more_than_the_machine_has_is_an_error() {
    let id = Id::new("large");
    let (kind, _) = refusal(id.conf().size(1 << 45).create().unwrap());
    assert_eq!(kind, ErrorKind::OutOfMemory { bytes: 1 << 45 });
    assert!(!id.is_there());
}

#[test]
fn a_forked_child_does_not_delete() {
    let id = Id::new("fork");
    let segment = Segment::try_from(id.create()).unwrap();
    // SAFETY: the child uses this library and the allocator, both of which are good after fork, and never returns.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(segment);
        // SAFETY: no preconditions.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: a child of ours; the status is a local.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert!(id.is_there());
    drop(segment);
    assert!(!id.is_there());
}

/// Two handles of one process are one mapping, and the duty is done once, when both are gone.
#[test]
fn one_process_converts_twice() {
    let id = Id::new("twice");
    let created = id.create();
    let opened = id.open();
    let first = Segment::try_from(created).unwrap();
    let second = Segment::try_from(opened).unwrap();
    assert_eq!(first.id(), second.id());
    drop(first);
    assert!(id.is_there());
    drop(second);
    assert!(!id.is_there());
}

/// XS19: of many owners who convert at once, one makes the segment.
#[test]
fn of_many_owners_one_makes_the_segment() {
    let id = Id::new("owners");
    let _creator = id.create();
    let convert = || {
        let mut shmem = id.open();
        shmem.set_owner(true);
        Segment::try_from(shmem).unwrap()
    };
    let segments: Vec<_> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..8).map(|_| s.spawn(convert)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(segments.iter().all(|segment| segment.id() == segments[0].id()));
    drop(segments);
    assert!(!id.is_there());
}

#[test]
fn link_files_go_with_the_object() {
    let id = Id::new("flink");
    let path = env::temp_dir().join(format!("core-shm-flink-{}", std::process::id()));
    let segment = Segment::try_from(id.conf().flink(&path).create().unwrap()).unwrap();
    let there = Segment::try_from(ShmemConf::new().flink(&path).open().unwrap()).unwrap();
    assert_eq!(there.id(), segment.id());
    drop((segment, there));
    assert!(!path.exists() && !id.is_there());
}

/// XS24.
#[test]
fn what_cannot_become_a_segment_is_refused_and_not_touched() {
    let id = Id::new("refused");
    // Only its owner makes it one.
    let owner = id.create();
    let (kind, text) = refusal(id.open());
    assert!(matches!(kind, ErrorKind::Header { field: "magic", .. }), "{text}");
    assert!(text.contains("0x0") && text.contains("owner"), "{text}");
    assert_eq!(id.path().metadata().unwrap().blocks(), 0, "not touched");

    // Not blank.
    // SAFETY: inside the mapping.
    unsafe { owner.as_ptr().wrapping_add(BYTES - 1).write(0x2a) };
    let (kind, text) = refusal(owner);
    assert!(matches!(kind, ErrorKind::InvalidArgument { .. }), "{text}");
    assert!(text.contains("0x2a at offset 65535"), "{text}");
    assert!(!id.is_there(), "the owner's Shmem is dropped");

    // Too small.
    let (kind, text) = refusal(id.conf().size(8192).create().unwrap());
    assert!(matches!(kind, ErrorKind::Header { field: "file size", .. }), "{text}");
    assert!(text.contains("8192 bytes") && text.contains("12288 bytes"), "{text}");
    drop(Segment::try_from(id.conf().size(12288).create().unwrap()).unwrap());

    // Others may write.
    let owner = id.create();
    std::fs::set_permissions(id.path(), PermissionsExt::from_mode(0o622)).unwrap();
    let (kind, _) = refusal(owner);
    assert_eq!(kind, ErrorKind::UnsafeFile { problem: FileProblem::Mode { mode: 0o622 } });
}

/// The os id means something else by now: it is neither made a segment nor taken away.
#[test]
fn what_took_the_name_meanwhile_is_not_mistaken_for_it() {
    let id = Id::new("renamed");
    let mut first = id.create();
    first.set_owner(false);
    std::fs::remove_file(id.path()).unwrap();
    let next = id.create();
    first.set_owner(true);
    let segment = Segment::try_from(next).unwrap();
    let (mine, theirs) = (id.path().metadata().unwrap().ino(), segment.id());
    let opened = Segment::try_from(id.open()).unwrap();
    assert_eq!(opened.id(), theirs);
    first.set_owner(false);
    let (kind, _) = refusal(first);
    assert!(matches!(kind, ErrorKind::NotFound { .. }));
    assert_eq!(id.path().metadata().unwrap().ino(), mine);
    drop((segment, opened));

    let owner = id.create();
    std::fs::remove_file(id.path()).unwrap();
    let target = Id::new("renamed-target");
    let _keep = target.create();
    symlink(target.path(), id.path()).unwrap();
    let (kind, _) = refusal(owner);
    assert_eq!(kind, ErrorKind::UnsafeFile { problem: FileProblem::Kind { found: "symlink" } });
}
