//! What can be chosen when a segment is made.

use super::{Segment, open};
use crate::error::Error;
use crate::layout::header::{COLLECTED, OBSERVABLE};
use crate::sys::mapping::Manner;
use std::time::Duration;

/// Choices for a new segment; the defaults fit most.
///
/// Some concern the segment and are made by its creator: [`members`](Self::members),
/// [`unlink_with_last_member`](Self::unlink_with_last_member), [`observable`](Self::observable), [`mode`](Self::mode). The others
/// concern this process's mapping, and may be made by those who open it too.
///
/// ```
/// use ipc_core::Segment;
/// let segment = Segment::options().members(200).dump(false).anonymous(1 << 20)?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    pub(crate) members: u32,
    pub(crate) label: Option<String>,
    pub(crate) collected: bool,
    pub(crate) observable: bool,
    pub(crate) mode: Option<u32>,
    pub(crate) manner: Manner,
    pub(crate) patience: Option<Duration>,
}

impl SegmentOptions {
    /// How many processes can be attached at once: 64 unless set, at most 65 535. Each row costs 128 bytes.
    pub fn members(mut self, rows: u32) -> Self {
        self.members = rows;
        self
    }

    /// The name goes with the last member: when it leaves, or, if it dies, when the next one opens or creates the name or calls
    /// [`gc`](crate::gc). Without this a name lives until [`Segment::unlink`]. Anonymous segments always go with the last.
    ///
    /// A member is a process that has a handle. A forked child becomes one at its first use of the inherited handle; a ticket, a
    /// descriptor on its way and an observer are none: keep a handle until the other side has attached.
    ///
    /// # Process death
    /// Whoever is killed at whatever step, the name belongs to a segment with living members, or is free for the next creator.
    ///
    /// # Examples
    /// ```
    /// use ipc_core::{ErrorKind, Segment};
    /// # let name = format!("doc-last-{}", std::process::id());
    /// let segment = Segment::options().unlink_with_last_member().create(&name, 4096)?;
    /// drop(segment);
    /// assert!(matches!(Segment::open(&name).unwrap_err().kind(), ErrorKind::NotFound { .. }));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn unlink_with_last_member(mut self) -> Self {
        self.collected = true;
        self
    }

    /// One process writes, the creator; any number of [`Observer`](crate::Observer)s read. Such a segment has one member row,
    /// whatever [`members`](Self::members) says.
    ///
    /// An anonymous segment is sealed (`F_SEAL_FUTURE_WRITE`): no other process can map it for writing, by whatever means, now or
    /// later. Files cannot be sealed: of a named segment, or one in a file, another process of this user may become the writer
    /// once the first has gone.
    pub fn observable(mut self) -> Self {
        self.observable = true;
        self
    }

    /// Touches every page when mapping, so that no page fault comes later.
    pub fn populate(mut self, yes: bool) -> Self {
        self.manner.populate = yes;
        self
    }

    /// Asks the kernel for large pages: fewer misses of the address cache in segments of many megabytes. A request: where there are
    /// none for this kind of file, or none left, small pages do the same more slowly, and nobody is told.
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.manner.huge_pages = yes;
        self
    }

    /// Keeps the segment in memory, `mlock(2)`: it is never paged out. An error if `RLIMIT_MEMLOCK` does not permit it.
    pub fn lock_in_memory(mut self, yes: bool) -> Self {
        self.manner.locked = yes;
        self
    }

    /// Whether core dumps of this process contain the segment; they do unless told not to. Large segments make dumps large, and
    /// a dump delays the moment at which others learn of the death.
    pub fn dump(mut self, yes: bool) -> Self {
        self.manner.not_dumped = !yes;
        self
    }

    /// How long creating an object in the segment waits for another process that is in the middle of the same and lives: ten
    /// seconds unless set. After that it is [`ErrorKind::Busy`](crate::ErrorKind::Busy), which names that process: it is
    /// stopped, as a rule. Creating takes microseconds, and the dead are replaced at once.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The name that an anonymous segment shows in `/proc/PID/maps`; for people only.
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// See [`Segment::open`]; the choices that concern this process's mapping are made.
    pub fn open(&self, name: &str) -> Result<Segment, Error> {
        open::by_name(name, self)
    }

    /// What the header says of them.
    pub(crate) fn flags(&self) -> u32 {
        (if self.collected { COLLECTED } else { 0 }) | (if self.observable { OBSERVABLE } else { 0 })
    }

    /// Rows of the member table.
    pub(crate) fn rows(&self) -> u32 {
        if self.observable { 1 } else { self.members }
    }
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            members: 64,
            label: None,
            collected: false,
            observable: false,
            mode: None,
            manner: Manner::default(),
            patience: None,
        }
    }
}
