//! Collecting: the name of a segment that goes with its last member.
//!
//! A segment made with [`unlink_with_last_member`](SegmentOptions::unlink_with_last_member) says so in its header. Its name
//! goes when its last member leaves; what the dead left goes with the next one who opens or creates the name, or with [`gc`].
//! A segment without the option is never collected, whoever attaches, leaves or looks.
//!
//! # What must not happen
//!
//! *A split name*: A is a member of the segment of this name, the name goes all the same, B creates another one, and A and B
//! believe that they share. So attaching and collecting exclude each other by the gate, one lock byte of the segment's file
//! (`layout/header`): attachers hold it shared while they are not members yet, a collector holds it alone while it looks for
//! members and takes the name away. All locks are tried, never waited for in the kernel, and asked for again for at most
//! [`PATIENCE`]: a process that is stopped in the middle holds up others of the same name only, and those get
//! [`ErrorKind::Busy`].
//!
//! # Attaching by name: steps
//!
//! **1** the name's file is opened, checked and mapped · **2** the gate is taken shared; a collector has it: again from 1 ·
//! **3** nobody is a member: the dead left it; the gate is given back, the name collected, again from 1 · **4** this process
//! takes a row · **5** the name still means this file, or the row is given back and again from 1 · **6** the gate is given back.
//!
//! From 3 on there is a member at every moment (the one that was seen cannot take the name away, the gate is held; then
//! oneself), so that from 6 on the name belongs to a segment with a member. Step 5 finds what was unlinked, or collected,
//! between 1 and 2. Segments without the option skip 2, 3 and 6.
//!
//! # Leaving: steps
//!
//! **7** the row is given back · **8** somebody else is a member: he will see to it · **9** as a collector. Of two who leave at
//! once the later one sees nobody in 8. One who fails to attach after 2 has perhaps kept the last member from collecting, and
//! does 8 and 9, too.
//!
//! # Collecting: steps
//!
//! **10** the name means a file whose header has the flag, and no row lock is held: nobody is a member · **11** the right to take
//! the name away ([`home`](super::home)); the name still means this file, and will until 13 · **12** the gate, alone; an attacher
//! has it: the segment is kept, for he will be a member · again, nobody is a member · **13** unlink · **14** the directory, if
//! that was its last name.
//!
//! # Death at step n
//!
//! | dies after | what is left                                     | who repairs it                     | test                           |
//! |------------|--------------------------------------------------|------------------------------------|--------------------------------|
//! | 1          | nothing                                          | –                                  | `crashpoints` Segment::open    |
//! | 2, 3       | nothing: the kernel gives the gate back          | –                                  | as above                       |
//! | 4, 5, 6    | a dead member, perhaps the last                  | the next opener, creator or `gc`   | as above                       |
//! | 7, 8       | a name without members                           | the next opener, creator or `gc`   | `crashpoints` Segment::drop    |
//! | 10 to 12   | the same: the kernel gives the locks back        | as above                           | `crashpoints` gc               |
//! | 13         | perhaps an empty directory                       | the next `unlink` or `gc`          | as above                       |
//!
//! # Not promised
//!
//! A forked child is a member from its first use on, not from the fork. An observer is no member, nor is a descriptor or a
//! ticket on its way: whoever wants the name to live keeps a handle until the other has attached. A process that ends without
//! dropping its handles (by `exit`) has died, as far as the name is concerned: the next opener or [`gc`] collects it.
//! [`Segment::unlink`](crate::Segment::unlink) takes any name away at once, members or not, as `shm_unlink` does.

use super::home::{Home, PATIENCE};
use super::registry::Key;
use crate::error::{Error, ErrorKind};
use crate::layout::header::{COLLECTED, GATE_AT, Geometry, HEADER_BYTES, HeaderState};
use crate::member::fork::{self, Hold};
use crate::member::row_lock;
use crate::sys::fds;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A destructor waits no longer for others who take names away; what it then leaves is left as by the dead. Only one that is
/// stopped, or a system that is overloaded, makes it wait so long: they take microseconds each.
const PATIENCE_OF_LEAVERS: Duration = Duration::from_secs(1);

/// What [`gc`] found.
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct GcReport {
    /// Names that were taken away: their segments had the option, and no living member.
    pub collected: Vec<String>,
    /// Names that stay, and why.
    pub kept: Vec<(String, Kept)>,
    /// Names that were not touched because what they mean is not a segment of this user, or the system refused.
    pub refused: Vec<(String, Error)>,
}

/// Why a name stays.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its segment was made without `.unlink_with_last_member()`: it lives until somebody unlinks it.
    UntilUnlinked,
    /// Its segment has a living member.
    HasMembers,
    /// Somebody is attaching to it at this moment.
    BeingAttached,
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Collected,
    Kept(Kept),
    /// Nothing has the name, or it means another file.
    Gone,
}

/// Takes away the names that the dead left: of segments made with
/// [`unlink_with_last_member`](crate::SegmentOptions::unlink_with_last_member) that have no living member. Nothing else is
/// touched; an empty directory goes, too.
///
/// Opening and creating do the same for the one name they are asked for. A process that serves many may call this at its start.
///
/// # Blocking
/// A few system calls per name; up to two seconds if a process was stopped while it removed a name.
///
/// # Errors
/// If the directory cannot be looked at; what concerns one name is in the report.
///
/// # Examples
/// ```
/// let report = ipc_core::gc()?;
/// for (name, error) in &report.refused {
///     eprintln!("{name}: {error}");
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub fn gc() -> Result<GcReport, Error> {
    let mut report = GcReport::default();
    for home in Home::existing()? {
        let names = home.names().map_err(|e| Error::system("listing the directory of named segments", e))?;
        for name in names {
            match collect(&home, &name, None, PATIENCE) {
                Ok(Fate::Collected) => report.collected.push(name),
                Ok(Fate::Kept(why)) => report.kept.push((name, why)),
                Ok(Fate::Gone) => {}
                Err(error) => report.refused.push((name, error)),
            }
        }
        home.tidy();
    }
    Ok(report)
}

/// Steps 10 to 14. `key`: the file that the name must mean.
pub(crate) fn collect(home: &Home, name: &str, key: Option<Key>, patience: Duration) -> Result<Fate, Error> {
    let asking = |e| Error::system("asking for the members of a segment", e);
    // 10. Most names have members, which is found out without any lock.
    let file = match look(home, name, key)? {
        Look::Candidate(file) => file,
        Look::Other(fate) => return Ok(fate),
    };
    let gate = Gate::of(file.as_fd()).map_err(asking)?;
    if gate.has_members().map_err(asking)? {
        return Ok(Fate::Kept(Kept::HasMembers));
    }
    drop(gate);
    // 11.
    let right = home.lock(Some(file.as_fd()), patience)?;
    let st = fds::stat(file.as_fd()).map_err(|e| Error::system("looking at a segment's file", e))?;
    if !home.means(name, Key { dev: st.dev, ino: st.ino, id: 0 }).map_err(asking)? {
        return Ok(Fate::Gone);
    }
    // 12.
    let gate = Gate::of(file.as_fd()).map_err(asking)?;
    if !gate.close().map_err(asking)? {
        return Ok(Fate::Kept(Kept::BeingAttached));
    }
    if gate.has_members().map_err(asking)? {
        return Ok(Fate::Kept(Kept::HasMembers));
    }
    // 13.
    let removed = right.remove(name)?;
    drop(gate);
    drop(right);
    // 14.
    home.tidy();
    Ok(if removed { Fate::Collected } else { Fate::Gone })
}

enum Look {
    /// A segment with the flag, whose members nobody has asked for yet.
    Candidate(OwnedFd),
    Other(Fate),
}

fn look(home: &Home, name: &str, key: Option<Key>) -> Result<Look, Error> {
    let Some(file) = home.file(name)? else { return Ok(Look::Other(Fate::Gone)) };
    let st = fds::stat(file.as_fd()).map_err(|e| Error::system("looking at a segment's file", e))?;
    if key.is_some_and(|key| (key.dev, key.ino) != (st.dev, st.ino)) {
        return Ok(Look::Other(Fate::Gone));
    }
    let bytes = fds::first_bytes::<HEADER_BYTES>(file.as_fd()).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => ErrorKind::Header {
            field: "file size",
            found: format!("{} bytes", st.size),
            expected: "at least one page".to_owned(),
        }
        .into(),
        _ => Error::system("reading the header of a segment", e),
    })?;
    let geometry = Geometry::read(&HeaderState::from_bytes(bytes), st.size)?;
    let collected = geometry.flags & COLLECTED != 0;
    Ok(if collected { Look::Candidate(file) } else { Look::Other(Fate::Kept(Kept::UntilUnlinked)) })
}

/// Steps 8 and 9, after a member has left or could not become one. Nobody can be told of an error, and nothing is lost: what
/// is left is as the dead leave it.
pub(crate) fn after_leaving(file: io::Result<BorrowedFd<'_>>, name: Option<&str>, key: Key) {
    if let Ok((0, _) | (_, true)) = file.and_then(|fd| Ok((fds::stat(fd)?.links, row_lock::is_any_held(fd)?))) {
        return;
    }
    for home in Home::existing().unwrap_or_default() {
        // Who attached by descriptor does not know the name.
        let name = name.map(str::to_owned).or_else(|| name_of(&home, key));
        if let Some(name) = name {
            let _ = collect(&home, &name, Some(key), PATIENCE_OF_LEAVERS);
        }
    }
}

fn name_of(home: &Home, key: Key) -> Option<String> {
    home.names().ok()?.into_iter().find(|name| home.means(name, key).unwrap_or(false))
}

/// The gate of one segment, through a description of its own: a lock belongs to a description, and any other may be shared
/// with other processes. The process does not fork while it has one.
pub(crate) struct Gate {
    file: OwnedFd,
    _no_fork: Hold,
}

impl Gate {
    /// Not taken yet.
    pub(crate) fn of(segment: BorrowedFd<'_>) -> io::Result<Self> {
        let no_fork = fork::hold();
        Ok(Self { file: fds::reopen(segment)?, _no_fork: no_fork })
    }

    /// Takes it shared, unless a collector has it.
    pub(crate) fn share(&self) -> io::Result<bool> {
        fds::try_share_byte(self.file.as_fd(), GATE_AT)
    }

    /// Gives it back.
    pub(crate) fn open(&self) {
        // Not only by closing: a child that is just being spawned may have the description, too.
        fds::unlock_byte(self.file.as_fd(), GATE_AT);
    }

    /// A descriptor of the segment.
    pub(crate) fn segment(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Takes it alone, unless anybody has it.
    pub(crate) fn close(&self) -> io::Result<bool> {
        fds::try_lock_byte(self.file.as_fd(), GATE_AT)
    }

    /// Whether the segment has a living member, in this process or another.
    pub(crate) fn has_members(&self) -> io::Result<bool> {
        row_lock::is_any_held(self.file.as_fd())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
