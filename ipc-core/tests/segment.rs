//! Segments with names, and what is refused.

use ipc_core::{Array, ErrorKind, Segment, Value};
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

#[test]
fn smoke() {
    let name = Named::new("smoke");
    let value = Value::create(&name.0, 3u16).unwrap();
    let again = Value::<u16>::open(&name.0).unwrap();
    again.set(4).unwrap();
    assert_eq!(value.get().unwrap(), 4);
}

#[test]
fn names_are_exclusive_and_unlinked_once() {
    let name = Named::new("exclusive");
    let first = Segment::create(&name.0, 4096).unwrap();
    assert!(matches!(Segment::create(&name.0, 4096).unwrap_err().kind(), ErrorKind::AlreadyExists { .. }));
    assert_eq!(Segment::open_or_create(&name.0, 1 << 20).unwrap().id(), first.id());
    Segment::unlink(&name.0).unwrap();
    assert!(matches!(Segment::unlink(&name.0).unwrap_err().kind(), ErrorKind::NotFound { .. }));
    assert!(matches!(Segment::open(&name.0).unwrap_err().kind(), ErrorKind::NotFound { .. }));
    Value::new_in(&first, 1u8).expect("those who have it open keep it");
}

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

#[test]
fn more_than_the_machine_has_is_an_error_now() {
    for bytes in [1 << 45, u64::MAX] {
        assert!(matches!(Segment::new(bytes).unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
    }
    assert!(matches!(Array::<u64>::new(usize::MAX).unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
}

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
fn a_process_maps_a_segment_once() {
    let segment = Segment::new(4096).unwrap();
    let twin = Segment::from_fd(segment.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let value = Value::create_in(&segment, "v", 1u8).unwrap();
    drop(segment);
    assert_eq!(Value::<u8>::open_in(&twin, "v").unwrap().get().unwrap(), 1);
    drop(value);
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
