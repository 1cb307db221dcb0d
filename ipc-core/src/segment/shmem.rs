//! Moving over from the crate `shared_memory`: what its `Shmem` maps becomes a segment, under the same os id.
//!
//! An owner's object that is all zero is made a segment; what is one already is attached to; everything else is refused and not
//! touched. Its pages are reserved on the way, which `shared_memory` does not do: there is no SIGBUS later.
//!
//! # Steps
//!
//! **1** the os id is opened (`/dev/shm/NAME`, no link followed) and checked: a regular file of this user that nobody else may
//! write and that has one name · **2** it is the file that the `Shmem` has mapped, not a later one of that name · **3** it has
//! the magic number: go to 8 · **4** this is the owner; the gate ([`layout/header`](crate::layout::header)), alone, and no magic
//! number yet: of several owners one goes on · **5** it is large enough, and every byte is zero · **6** reserved, written, this
//! process a member · **7** the magic number: it is a segment; the gate is given back · **8** attached as any segment, by its
//! path; it still is the file of 2 · **9** the duty to delete goes from the `Shmem` to the segment's handles · **10** the
//! `Shmem` is dropped, and its mapping with it.
//!
//! # Who deletes
//!
//! The duty lies in what all handles of a process share, so it is done when the last of them is dropped, and once; others who
//! are attached keep the segment. A forked child has no duty: it remembers its parent's fork epoch. The segment is of those whose
//! name goes with the last member ([`collect`](super::collect)): if the owner is killed, the last of those who converted and
//! leaves deletes the name. Both take it away under the unlink byte and only while it means their file, so neither takes away an
//! object that somebody made under this os id later. `shared_memory` itself takes no such care: an owner of its kind that
//! unlinks at the same moment unlinks whatever has the name.
//!
//! # Death at step n
//!
//! | dies after | what is left                                                                                            |
//! |------------|---------------------------------------------------------------------------------------------------------|
//! | 1 to 5     | the object as it was; an owner of `shared_memory` that is killed leaves it for ever                     |
//! | 6          | an object that is neither blank nor a segment: refused by all, to be removed by hand                    |
//! | 7 to 10    | a segment with a dead member; it goes with the last of the others, or with the next who converts it     |
//!
//! Tests: `tests/shared_memory.rs`.

use super::collect::Gate;
use super::home::{self, PATIENCE};
use super::open::{self, bad_size};
use super::publish::{self, Capacity};
use super::registry::Key;
use super::retry::Retry;
use super::{Segment, file};
use crate::error::{Error, ErrorKind};
use crate::layout::header::{MAGIC, PAGE, UNLINK_AT, places};
use crate::member::{fork, fork_epoch, row_lock};
use crate::sys::folder::{Folder, Links};
use crate::sys::{fds, shm};
use shared_memory::Shmem;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where `shm_open(3)` keeps its names.
const PLACE: &str = "/dev/shm";
/// As for every destructor that takes a name away.
const PATIENCE_OF_LEAVERS: Duration = Duration::from_secs(1);

/// Moves from the crate `shared_memory` to this one, keeping the os id: every process opens the object as before, and converts.
///
/// The owner converts first, while every byte is zero, and gets an empty segment over the whole object, rounded up to whole
/// pages, with the usual 64 member rows, for which it needs at least 12 KiB. The others attach. Pointers into the `Shmem`
/// are dangling afterwards.
///
/// The owner's duty to delete the object, and the link file if there is one, goes over to the segment: they are deleted when
/// the last handle of this process is dropped. A forked child has no such duty.
///
/// # Errors
/// `Header` with the field `magic` for what is neither a segment nor this handle's to make one: its owner has to convert first.
/// `Header` with the field `file size` for less than 12 KiB, `InvalidArgument` for an owner's object that is not all zero,
/// `OutOfMemory` if its pages cannot be reserved, `UnsafeFile` for what others may write, `NotFound` if the os id means
/// another object by now, or none. The `Shmem` is dropped then, which, of an owner, deletes the object.
///
/// # Blocking
/// Up to two seconds, for a process that is stopped in the middle of converting the same object; then `Busy`.
///
/// # Process death
/// If the owner is killed afterwards, the last of the others to leave deletes the object; if there are none, it stays, and goes
/// with the next one who converts and leaves. Killed in the middle of converting, which takes microseconds, the owner may leave
/// an object that is refused.
///
/// # Examples
/// ```
/// use ipc_core::{Segment, Value};
/// use shared_memory::ShmemConf;
///
/// let created = ShmemConf::new().size(64 << 10).create()?;
/// let os_id = created.get_os_id().to_owned();
/// let segment = Segment::try_from(created)?;
/// let hits = Value::create_in(&segment, "hits", 0u64)?;
///
/// // … in another process:
/// let there = Segment::try_from(ShmemConf::new().os_id(&os_id).open()?)?;
/// Value::<u64>::open_in(&there, "hits")?.update(|n| *n += 1)?;
///
/// assert_eq!(hits.get()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<Shmem> for Segment {
    type Error = Error;

    fn try_from(mut shmem: Shmem) -> Result<Self, Error> {
        let os_id = shmem.get_os_id();
        let link = Link {
            path: Path::new(PLACE).join(os_id.trim_start_matches('/')),
            os_id: os_id.to_owned(),
            flink: shmem.get_flink_path().and_then(|path| std::path::absolute(path).ok()),
            owner: shmem.is_owner().then(fork_epoch),
        };
        let segment = convert(&shmem, &link)?;
        // 9.
        link.keep_in(&segment)?;
        shmem.set_owner(false);
        Ok(segment)
    }
}

/// Steps 1 to 8.
fn convert(shmem: &Shmem, link: &Link) -> Result<Segment, Error> {
    let gone = || Error::new(ErrorKind::NotFound { name: link.os_id.clone() });
    // 1.
    let (folder, name) = file::split(&link.path)?;
    let file = home::open_checked(&folder, name)?.ok_or_else(gone)?;
    // 2.
    let st = fds::stat(file.as_fd()).map_err(|e| Error::system("looking at shared memory", e))?;
    let mapped = shm::mapped_at(shmem.as_ptr().addr())
        .map_err(|e| Error::system("asking what is mapped from shared memory", e))?;
    if mapped != Some((st.dev, st.ino)) {
        return Err(gone());
    }
    if let Some(segment) = make(file, link.owner.is_some())? {
        return Ok(segment);
    }
    // 8.
    let segment = open::by_path(&link.path, &Segment::options())?;
    let key = segment.inner().key();
    if (key.dev, key.ino) == (st.dev, st.ino) { Ok(segment) } else { Err(gone()) }
}

/// Steps 3 to 7; `None` for what is a segment already.
fn make(file: OwnedFd, owner: bool) -> Result<Option<Segment>, Error> {
    let mut retry = Retry::within(PATIENCE);
    loop {
        // 3.
        let magic = magic_of(file.as_fd())?;
        if magic == MAGIC {
            return Ok(None);
        }
        // 4.
        if !owner {
            let expected = format!("{MAGIC:#x}, which its owner writes by converting it first");
            return Err(ErrorKind::Header { field: "magic", found: format!("{magic:#x}"), expected }.into());
        }
        let refused = |e| Error::system("taking the gate of shared memory", e);
        let gate = Gate::of(file.as_fd()).map_err(refused)?;
        if gate.close().map_err(refused)? {
            return if magic_of(file.as_fd())? == MAGIC { Ok(None) } else { make_alone(file, &gate).map(Some) };
        }
        drop(gate);
        if !retry.pause() {
            let doing = "making shared memory a segment";
            return Err(ErrorKind::Busy { doing, pid: 0, name: String::new() }.into());
        }
    }
}

/// Steps 5 to 7.
fn make_alone(file: OwnedFd, _gate: &Gate) -> Result<Segment, Error> {
    let options = Segment::options().unlink_with_last_member();
    let looking = |e| Error::system("looking at shared memory", e);
    let size = fds::stat(file.as_fd()).map_err(looking)?.size;
    let total = size.checked_next_multiple_of(PAGE).ok_or(ErrorKind::OutOfMemory { bytes: size })?;
    let buckets = Capacity::for_many(total).buckets.next_power_of_two();
    let (_, space_at) = places(options.rows(), buckets);
    let Some(space) = total.checked_sub(space_at).filter(|&space| space > 0) else {
        return Err(bad_size("file size", size, format!("at least {} bytes", space_at.next_multiple_of(PAGE))));
    };
    if let Some((at, byte)) = shm::first_not_zero(file.as_fd()).map_err(looking)? {
        return Err(ErrorKind::InvalidArgument {
            what: "the content of the shared memory",
            found: format!("{byte:#04x} at offset {at}"),
            expected: "zero throughout, or a segment",
        }
        .into());
    }
    publish::build(file, None, Capacity { space, buckets }, &options)
}

/// The first word, if there are so many bytes.
fn magic_of(file: BorrowedFd<'_>) -> Result<u64, Error> {
    match fds::first_bytes::<8>(file) {
        Ok(bytes) => Ok(u64::from_le_bytes(bytes)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        Err(e) => Err(Error::system("reading shared memory", e)),
    }
}

/// Where the object has its name, and whose it is to take it away.
pub(crate) struct Link {
    path: PathBuf,
    os_id: String,
    /// The file that holds the os id, if it was opened or created by one.
    flink: Option<PathBuf>,
    /// The fork epoch of the process that took over the duty; `None` of those who only attached.
    owner: Option<u32>,
}

/// When a name is taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    NobodyIsLeft,
}

impl Link {
    /// Step 9. A process may convert several `Shmem`s of one object: it has the duty if one of them had.
    fn keep_in(mut self, segment: &Segment) -> Result<(), Error> {
        let no_fork = fork::hold()?;
        let mut kept = fork::lock(&segment.inner().link, &no_fork);
        if let Some(earlier) = kept.take() {
            self.owner = self.owner.or(earlier.owner);
            self.flink = self.flink.or(earlier.flink);
        }
        *kept = Some(self);
        Ok(())
    }

    /// The last handle of the process is gone; `left`: it was a member. Nobody can be told of an error: what is left is as the
    /// dead leave it.
    pub(crate) fn leave(self, file: io::Result<BorrowedFd<'_>>, key: Key, left: bool) {
        let Ok(file) = file else { return };
        let when = if self.owner == Some(fork_epoch()) { When::Now } else { When::NobodyIsLeft };
        // Most who leave are not the last, which is found out without any lock.
        if when == When::NobodyIsLeft && (!left || row_lock::is_any_held(file).unwrap_or(true)) {
            return;
        }
        let mut retry = Retry::within(PATIENCE_OF_LEAVERS);
        while let Ok(false) = self.try_remove(file, key, when) {
            if !retry.pause() {
                return;
            }
        }
    }

    /// False if somebody else has the right to take the name away.
    fn try_remove(&self, file: BorrowedFd<'_>, key: Key, when: When) -> io::Result<bool> {
        // Only while it has something, as in `home`.
        let _no_fork = fork::hold()?;
        let right = fds::reopen(file)?;
        if !fds::try_lock_byte(right.as_fd(), UNLINK_AT)? {
            return Ok(false);
        }
        let removed = self.remove(file, key, when);
        // Not only by closing: a child that is just being spawned may have the description, too.
        fds::unlock_byte(right.as_fd(), UNLINK_AT);
        removed.map(|()| true)
    }

    fn remove(&self, file: BorrowedFd<'_>, key: Key, when: When) -> io::Result<()> {
        let gate = Gate::of(file)?;
        // Who attaches at this moment will be a member, and sees to it.
        if when == When::NobodyIsLeft && (!gate.close()? || gate.has_members()?) {
            return Ok(());
        }
        let (Some(name), folder) = (self.path.file_name(), Folder::open(Path::new(PLACE), Links::Followed)?) else {
            return Ok(());
        };
        if home::means(&folder, name, key)? {
            folder.remove(name)?;
            self.remove_flink();
        }
        Ok(())
    }

    /// The link file, if it still leads here.
    fn remove_flink(&self) {
        let Some(path) = &self.flink else { return };
        // Reading anything else, a FIFO for one, could take for ever.
        let plausible = |st: std::fs::Metadata| st.is_file() && st.len() == self.os_id.len() as u64;
        if std::fs::symlink_metadata(path).is_ok_and(plausible)
            && std::fs::read(path).is_ok_and(|id| id == self.os_id.as_bytes())
        {
            let _ = std::fs::remove_file(path);
        }
    }
}
