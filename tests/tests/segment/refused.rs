//! What is refused, by name and by path, each with an error of its own.

use ipc_core::{Error, ErrorKind, FileProblem, Observer, Segment};
use ipc_tests::unique::{UniqueDirectory, UniqueName};
use ipc_tests::watchdog::Watchdog;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Something that is opened, and where it is.
struct Target<'a> {
    path: &'a Path,
    open: &'a dyn Fn() -> Error,
}

impl Target<'_> {
    fn refused(&self) -> ErrorKind {
        let error = (self.open)();
        std::fs::remove_dir(self.path).or_else(|_| std::fs::remove_file(self.path)).unwrap();
        error.kind().clone()
    }

    fn problem(&self) -> FileProblem {
        match self.refused() {
            ErrorKind::UnsafeFile { problem } => problem,
            other => panic!("{other:?}"),
        }
    }

    fn field(&self) -> &'static str {
        match self.refused() {
            ErrorKind::Header { field, .. } => field,
            other => panic!("{other:?}"),
        }
    }
}

/// Runs it for a name, for a path, and for observers of both.
fn for_all(test: impl Fn(&Target<'_>)) {
    let _watchdog = Watchdog::start("refused");
    let (name, directory) = (UniqueName::new("refused"), UniqueDirectory::new());
    let keep = UniqueName::new("refused-keep");
    // The directory of names stays there meanwhile.
    let _keep = Segment::create(&keep, 1).unwrap();
    let path = directory.join("refused");
    test(&Target { path: &name.path(), open: &|| Segment::open(&name).unwrap_err() });
    test(&Target { path: &path, open: &|| Segment::open_file(&path).unwrap_err() });
    test(&Target { path: &name.path(), open: &|| Observer::open(&name).unwrap_err() });
    test(&Target { path: &path, open: &|| Observer::open_file(&path).unwrap_err() });
}

#[test]
fn what_is_not_a_file() {
    for_all(|target| {
        symlink("/etc/passwd", target.path).unwrap();
        assert_eq!(target.problem(), FileProblem::Kind { found: "symlink" });
        symlink("/dev/shm/no-such-thing", target.path).unwrap();
        assert_eq!(target.problem(), FileProblem::Kind { found: "symlink" });
        mkfifo(target.path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert_eq!(target.problem(), FileProblem::Kind { found: "fifo" });
        std::fs::create_dir(target.path).unwrap();
        assert_eq!(target.problem(), FileProblem::Kind { found: "directory" });
        let socket = std::os::unix::net::UnixListener::bind(target.path).unwrap();
        assert_eq!(target.problem(), FileProblem::Kind { found: "socket" });
        drop(socket);
    });
}

#[test]
fn a_file_with_two_names() {
    for_all(|target| {
        let other = target.path.with_extension("other");
        let segment = Segment::create_file(&other, 4096).unwrap();
        std::fs::hard_link(&other, target.path).unwrap();
        assert_eq!(target.problem(), FileProblem::Linked { times: 2 });
        drop(segment);
        std::fs::remove_file(other).unwrap();
    });
}

#[test]
fn a_file_that_others_may_write() {
    for_all(|target| {
        for mode in [0o660, 0o606, 0o620] {
            std::fs::write(target.path, vec![0; 8192]).unwrap();
            std::fs::set_permissions(target.path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(target.problem(), FileProblem::Mode { mode });
        }
    });
}

fn closed(path: &Path, content: &[u8]) -> std::fs::File {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::File::options().write(true).open(path).unwrap()
}

#[test]
fn a_file_of_a_wrong_size() {
    for_all(|target| {
        closed(target.path, b"");
        assert_eq!(target.field(), "file size");
        closed(target.path, b"short");
        assert_eq!(target.field(), "file size");
        closed(target.path, b"").set_len(1 << 40).unwrap();
        assert_eq!(target.field(), "reserved size");
        closed(target.path, b"").set_len(4096).unwrap();
        assert_eq!(target.field(), "reserved size");
        closed(target.path, &[0xff; 8192]);
        assert_eq!(target.field(), "magic");
        // A good one that was cut, and one that grew.
        for change in [-4096i64, 4096] {
            drop(Segment::create_file(target.path, 64 << 10).unwrap());
            let file = std::fs::File::options().write(true).open(target.path).unwrap();
            let len = file.metadata().unwrap().len();
            file.set_len(len.saturating_add_signed(change)).unwrap();
            if change > 0 {
                file.write_all_at(&[0; 4096], len).unwrap();
            }
            assert_eq!(target.field(), "total size");
        }
    });
}

/// The name is exchanged for another segment all the time: whoever opens gets one of the two, whole.
#[test]
fn a_swapped_inode_is_one_or_the_other() {
    let _watchdog = Watchdog::start("a_swapped_inode_is_one_or_the_other");
    let (name, other) = (UniqueName::new("swapped"), UniqueName::new("swapped-other"));
    let ids = [Segment::create(&name, 4096).unwrap().id(), Segment::create(&other, 4096).unwrap().id()];
    let over = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !over.load(Relaxed) {
                let (one, two) = (name.path(), other.path());
                renameat2(AT_FDCWD, &one, AT_FDCWD, &two, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        for _ in 0..300 {
            let opened = Segment::open(&name).map(|segment| segment.id());
            assert!(opened.as_ref().is_ok_and(|id| ids.contains(id)), "{opened:?}");
        }
        over.store(true, Relaxed);
    });
}
