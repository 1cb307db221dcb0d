//! Segments with names, and what is refused.

use ipc_core::{Array, ErrorKind, Plain, Segment, Value, plain};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

/// A name of this process and test, removed whatever happens.
struct Named(String);

impl Named {
    fn new(test: &str) -> Self {
        Self(format!("core-{test}-{}", std::process::id()))
    }

    fn path(&self) -> PathBuf {
        // SAFETY: geteuid has no preconditions.
        let uid = unsafe { libc::geteuid() };
        PathBuf::from(format!("/dev/shm/ipc-{uid}")).join(&self.0)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.0);
    }
}

/// SH01, SH02.
#[test]
fn smoke() {
    let name = Named::new("smoke");
    let value = Value::create(&name.0, 3u16).unwrap();
    let again = Value::<u16>::open(&name.0).unwrap();
    again.set(4).unwrap();
    assert_eq!(value.get().unwrap(), 4);
}

/// LK20, SH05, SH06, SH07, SH15.
#[test]
fn names_are_exclusive_and_unlinked_once() {
    let name = Named::new("exclusive");
    let first = Segment::create(&name.0, 4096).unwrap();
    assert_eq!(std::fs::metadata(name.path()).unwrap().mode() & 0o777, 0o600);
    assert!(matches!(Segment::create(&name.0, 4096).unwrap_err().kind(), ErrorKind::AlreadyExists { .. }));
    assert_eq!(Segment::open_or_create(&name.0, 1 << 20).unwrap().id(), first.id());
    Segment::unlink(&name.0).unwrap();
    assert!(matches!(Segment::unlink(&name.0).unwrap_err().kind(), ErrorKind::NotFound { .. }));
    assert!(matches!(Segment::open(&name.0).unwrap_err().kind(), ErrorKind::NotFound { .. }));
    Value::new_in(&first, 1u8).expect("those who have it open keep it");
}

/// XS19.
#[test]
fn of_many_who_open_or_create_one_creates() {
    let name = Named::new("race");
    let ids: Vec<_> = std::thread::scope(|s| {
        let open = || Segment::open_or_create(&name.0, 8192).unwrap();
        let threads: Vec<_> = (0..8).map(|_| s.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|segment| segment.id() == ids[0].id()));
}

/// SH10.
#[test]
fn bad_names_are_refused_everywhere() {
    for bad in ["", "a/b", "../x", ".", "..", "nul\0", "\u{e9}", &"x".repeat(201)] {
        for error in [Segment::create(bad, 1), Segment::open(bad)].map(Result::unwrap_err) {
            assert!(matches!(error.kind(), ErrorKind::InvalidName { .. }), "{bad:?}: {error}");
        }
        assert!(matches!(Segment::unlink(bad).unwrap_err().kind(), ErrorKind::InvalidName { .. }));
        let segment = Segment::new(4096).unwrap();
        assert!(matches!(Value::create_in(&segment, bad, 0u8).unwrap_err().kind(), ErrorKind::InvalidName { .. }));
    }
}

/// XS20.
#[test]
fn more_than_the_machine_has_is_an_error_now() {
    for bytes in [1 << 45, u64::MAX] {
        assert!(matches!(Segment::new(bytes).unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
    }
    assert!(matches!(Array::<u64>::new(usize::MAX).unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
}

/// XS24.
#[test]
fn what_is_not_a_segment_is_refused() {
    let name = Named::new("refused");
    let other = Named::new("refused-other");
    let _keep = Segment::create(&other.0, 1).unwrap();
    let refused = |expected: &str| {
        let error = Segment::open(&name.0).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        std::fs::remove_file(name.path()).unwrap();
    };
    std::fs::write(name.path(), b"short").unwrap();
    refused("file size");
    std::fs::write(name.path(), vec![0u8; 8192]).unwrap();
    refused("magic");
    std::fs::File::create(name.path()).unwrap().set_len(1 << 40).unwrap();
    refused("reserved size");
    std::os::unix::fs::symlink("/etc/passwd", name.path()).unwrap();
    refused("symlink");
    let fifo = std::ffi::CString::new(name.path().to_str().unwrap()).unwrap();
    // SAFETY: a valid C string.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    refused("fifo");
    std::fs::hard_link(other.path(), name.path()).unwrap();
    refused("linked 2 times");
    std::fs::write(name.path(), vec![0u8; 8192]).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    std::fs::set_permissions(name.path(), open).unwrap();
    refused("mode 0660");
}

#[test]
fn an_anonymous_segment_cannot_be_cut_short() {
    let segment = Segment::new(4096).unwrap();
    let file = std::fs::File::from(segment.as_fd().try_clone_to_owned().unwrap());
    assert!(file.set_len(0).is_err() && file.set_len(1 << 30).is_err());
}

#[test]
fn unsealed_memory_is_refused() {
    let segment = Segment::new(4096).unwrap();
    let bytes = segment.len_bytes();
    // SAFETY: a valid name; no other preconditions.
    let copy = unsafe { libc::memfd_create(c"copy".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    // SAFETY: a descriptor that was just made and belongs to nobody else.
    let copy = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(copy) };
    let mut image = vec![0u8; bytes as usize];
    let source = std::fs::File::from(segment.as_fd().try_clone_to_owned().unwrap());
    std::os::unix::fs::FileExt::read_exact_at(&source, &mut image, 0).unwrap();
    let target = std::fs::File::from(copy);
    std::os::unix::fs::FileExt::write_all_at(&target, &image, 0).unwrap();
    target.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let error = Segment::from_fd(target.into()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnsafeFile { .. }), "{error}");
}

#[test]
fn a_segment_for_many_is_not_opened_as_one() {
    let name = Named::new("many");
    let segment = Segment::create(&name.0, 4096).unwrap();
    Value::create_in(&segment, "a", 1u64).unwrap();
    assert!(matches!(Value::<u64>::open(&name.0).unwrap_err().kind(), ErrorKind::WrongKind { .. }));
}

/// XS19.
#[test]
fn opening_against_unlinking_never_finds_half_a_name() {
    let name = Named::new("churn");
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| (0..200).for_each(|_| drop(Segment::open_or_create(&name.0, 1).unwrap())));
            s.spawn(|| {
                for _ in 0..200 {
                    match Segment::unlink(&name.0) {
                        Ok(()) => {}
                        Err(error) => assert!(matches!(error.kind(), ErrorKind::NotFound { .. }), "{error}"),
                    }
                }
            });
        }
    });
}

#[test]
fn a_process_maps_a_segment_once() {
    let segment = Segment::new(4096).unwrap();
    let twin = Segment::from_fd(segment.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let value = Value::create_in(&segment, "v", 1u8).unwrap();
    drop(segment);
    assert_eq!(Value::<u8>::open_in(&twin, "v").unwrap().get().unwrap(), 1);
    drop(value);
}

/// The file of a segment, for writing to it as a stranger would.
fn file_of(segment: &Segment) -> std::fs::File {
    segment.as_fd().try_clone_to_owned().unwrap().into()
}

fn store(segment: &Segment, at: u64, word: u64) {
    file_of(segment).write_all_at(&word.to_le_bytes(), at).unwrap();
}

fn load(segment: &Segment, at: u64) -> u64 {
    let mut word = [0; 8];
    file_of(segment).read_exact_at(&mut word, at).unwrap();
    u64::from_le_bytes(word)
}

const DIRECTORY_LOCK: u64 = 256;
/// The flags of a lock word that somebody holds.
const HELD: u64 = 0b101;

/// Where the entry of an object lies.
fn entry_of<T: Plain>(value: &Value<T>) -> u64 {
    let ticket = value.ticket().to_string();
    u64::from_str_radix(ticket.rsplit(':').next().unwrap(), 16).unwrap()
}

/// The owner word with which this thread locks.
struct Lock {
    member: u64,
    thread: u64,
}

impl Lock {
    fn mine(segment: &Segment) -> Self {
        let value = Value::new_in(segment, 0u64).unwrap();
        let guard = value.lock().unwrap();
        let body = entry_of(&value) + 64 + 64;
        let word = load(segment, body);
        drop(guard);
        assert_eq!(load(segment, body), 1, "the body begins with the lock word");
        Self { member: word & !0xffff, thread: word >> 3 & 0x1fff }
    }
}

#[test]
fn a_directory_lock_that_claims_to_be_mine_made_creating_wait_for_ever() {
    let segment = Segment::new(4096).unwrap();
    let lock = Lock::mine(&segment);
    for thread in [0, 1, lock.thread, 8191] {
        store(&segment, DIRECTORY_LOCK, lock.member | thread << 3 | HELD);
        Value::new_in(&segment, 1u8).unwrap();
    }
}

#[test]
fn a_body_at_an_odd_place_was_believed() {
    let segment = Segment::new(4096).unwrap();
    let value = Value::create_in(&segment, "v", 1u64).unwrap();
    let body_at = entry_of(&value) + 56;
    let lens = load(&segment, body_at) & !0xffff_ffff;
    for odd in [127, 129, 132, 120] {
        store(&segment, body_at, lens | odd);
        let error = Value::<u64>::open_in(&segment, "v").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{odd}: {error}");
    }
}

#[test]
fn a_body_of_a_page_is_not_believed_at_a_line() {
    #[plain]
    #[repr(align(4096))]
    struct Page([u64; 512]);
    let segment = Segment::new(64 << 10).unwrap();
    let value = Value::create_in(&segment, "v", Page([0; 512])).unwrap();
    let body_at = entry_of(&value) + 56;
    store(&segment, body_at, load(&segment, body_at) - 64);
    let error = Value::<Page>::open_in(&segment, "v").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(c) if c.what == "size of an object"), "{error}");
}

#[test]
fn a_chain_that_leads_back_is_refused_at_once() {
    let segment = Segment::new(1 << 20).unwrap();
    let names: Vec<_> = (0..3000).map(|i| format!("n{i}")).collect();
    let entries: Vec<_> = names.iter().map(|n| entry_of(&Value::create_in(&segment, n, 1u8).unwrap())).collect();
    let last = *entries.last().unwrap();
    for &entry in &entries {
        store(&segment, entry + 24, last);
    }
    let error = names.iter().find_map(|n| Value::<u8>::open_in(&segment, n).err()).unwrap();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(c) if c.what == "chain of directory entries"), "{error}");
}

#[test]
fn rows_run_out_with_an_error_and_come_back() {
    let first = Segment::options().members(1).anonymous(4096).unwrap();
    assert_eq!(first.members(), 1);
    let fd = first.as_fd().try_clone_to_owned().unwrap();
    drop(first);
    let again = Segment::from_fd(fd).unwrap();
    Value::new_in(&again, 1u8).unwrap();
    assert!(Segment::options().members(0).anonymous(1).is_err());
}
