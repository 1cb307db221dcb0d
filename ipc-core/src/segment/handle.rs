//! `Segment`: the process-local handle of a mapping.

use super::directory::Directory;
use super::options::SegmentOptions;
use super::publish::{self, Capacity};
use super::registry::{self, Key};
use super::walk::Walk;
use super::{collect, open};
use crate::Deadline;
use crate::error::{Error, ErrorKind, MemberError};
use crate::layout::header::{COLLECTED, DIRECTORY_AT, Geometry, HeaderState, ROWS_AT};
use crate::member::fork::{self, Hold};
use crate::member::table::{self, MemberRow, Membership};
use crate::member::{Orphan, is_in_order};
use crate::raw::Owner;
use crate::sys::fds;
use crate::sys::mapping::{KeeperPage, Mapping};
use crate::sys::membarrier;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A mapped region that processes share, with room for many objects.
///
/// Most programs never name a segment: `Value::new(..)` makes one of just the right size. Use one of your own to keep many
/// objects behind one descriptor and one mapping. A process maps a segment once, however many handles it has; the objects in
/// it live as long as the segment does.
///
/// An anonymous segment lives until the last process that has it is gone. A named one is a file of this user under
/// `/dev/shm` and lives until [`Segment::unlink`], or, if it was made with
/// [`unlink_with_last_member`](SegmentOptions::unlink_with_last_member), until its last member leaves or dies; attaching to one
/// made without never brings a duty to delete it. One in a file at a path of yours ([`Segment::create_file`]) survives a reboot.
///
/// # Process death
/// A creator that is killed leaves nothing, or a complete segment. Members that are killed leave a row, which the next
/// member takes.
///
/// # Examples
/// ```
/// use ipc_core::{Segment, Value};
/// let segment = Segment::new(64 << 10)?;
/// let a = Value::create_in(&segment, "a", 1u64)?;
/// let b = Value::<u64>::open_in(&segment, "a")?;
/// a.set(5)?;
/// assert_eq!(b.get()?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Segment {
    inner: Arc<Inner>,
}

/// What the handles of one mapping share.
pub(crate) struct Inner {
    geometry: Geometry,
    mapping: Mapping,
    fd: OwnedFd,
    key: Key,
    name: Option<String>,
    /// Owner word of this process without a thread; 0 while it has no row.
    me: AtomicU64,
    /// What keeps the row lock; locked under the fork gate only.
    keeper: Mutex<Option<KeeperPage>>,
    /// One thread of this process at a time competes for the directory's lock; locked under the fork gate only.
    creating: Mutex<()>,
    /// Which directory entries this process has walked over; locked under the fork gate only.
    walk: Mutex<Walk>,
    /// How long creating waits for another process, in nanoseconds.
    patience_ns: AtomicU64,
    /// Where the object of another library that it was made from has its name; locked under the fork gate only.
    #[cfg(feature = "shared_memory")]
    pub(super) link: Mutex<Option<super::shmem::Link>>,
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Segment {
    /// An anonymous segment with room for `bytes` of objects, their directory entries (64 bytes and the names) included.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] if the bytes cannot be reserved now: there is no SIGBUS later.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        Self::options().anonymous(bytes)
    }

    /// A segment with a name, which must be free.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::InvalidName`], [`ErrorKind::OutOfMemory`].
    pub fn create(name: &str, bytes: u64) -> Result<Self, Error> {
        Self::options().create(name, bytes)
    }

    /// Attaches to the segment of this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::UnsafeFile`] and [`ErrorKind::Header`] for what is not a segment of this user.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::options().open(name)
    }

    /// Attaches to the segment of this name, or creates it; of several who try at once, one creates.
    pub fn open_or_create(name: &str, bytes: u64) -> Result<Self, Error> {
        Self::options().open_or_create(name, bytes)
    }

    /// Removes the name. Processes that have the segment open keep it; the memory goes with the last of them.
    ///
    /// # Blocking
    /// Up to two seconds, for a process that is stopped while it removes a name; then [`ErrorKind::Busy`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if nothing has this name, also the second time.
    pub fn unlink(name: &str) -> Result<(), Error> {
        publish::unlink(name)
    }

    /// Attaches through a descriptor of a segment's file, inherited or received.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        open::by_descriptor(fd, None)
    }

    /// Choices for a new segment.
    pub fn options() -> SegmentOptions {
        SegmentOptions::default()
    }

    /// A random number that no other segment has.
    pub fn id(&self) -> u128 {
        self.inner.geometry.id
    }

    /// Its name, if it was created or opened by one.
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// Bytes mapped, header and rows included.
    pub fn len_bytes(&self) -> u64 {
        self.inner.geometry.total
    }

    /// Bytes that objects can still take.
    pub fn free_bytes(&self) -> u64 {
        self.inner.directory().free()
    }

    /// How many processes can be attached at once.
    pub fn members(&self) -> u32 {
        self.inner.geometry.rows
    }

    /// The descriptor of the segment's file, for passing it to another process, which uses [`Segment::from_fd`].
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.fd()
    }

    /// A number for something in this segment, the same in all processes, never 0: the segment's random id and the offset.
    pub(crate) fn tell_apart<T>(&self, it: &T) -> u64 {
        let offset = std::ptr::from_ref(it).addr().wrapping_sub(self.inner.at(0).addr().get()) as u64;
        let id = (self.id() as u64) ^ (self.id() >> 64) as u64;
        // An odd factor: two offsets never agree.
        id.wrapping_add(offset.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1)
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl SegmentOptions {
    /// An anonymous segment, see [`Segment::new`].
    pub fn anonymous(&self, bytes: u64) -> Result<Segment, Error> {
        publish::anonymous(Capacity::for_many(bytes), self, |segment| Ok(segment.clone()))
    }

    /// A named segment, see [`Segment::create`].
    pub fn create(&self, name: &str, bytes: u64) -> Result<Segment, Error> {
        publish::named(name, Capacity::for_many(bytes), self, |segment| Ok(segment.clone()))
    }

    /// See [`Segment::open_or_create`].
    pub fn open_or_create(&self, name: &str, bytes: u64) -> Result<Segment, Error> {
        publish::open_or_create(name, || self.open(name), || self.create(name, bytes))
    }
}

impl Capacity {
    /// Room for objects of unknown number: a bucket per KiB.
    pub(crate) fn for_many(space: u64) -> Self {
        Self { space, buckets: u32::try_from(space / 1024).unwrap_or(u32::MAX).clamp(16, 1 << 16) }
    }

    /// Room for exactly one object.
    pub(crate) fn for_one(space: u64) -> Self {
        Self { space, buckets: 1 }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("id", &format_args!("{:032x}", self.id()))
            .field("name", &self.name())
            .field("len_bytes", &self.len_bytes())
            .finish()
    }
}

impl Inner {
    /// Wraps a checked mapping.
    pub(crate) fn new(geometry: Geometry, mapping: Mapping, fd: OwnedFd, name: Option<&str>) -> Result<Self, Error> {
        let st = fds::stat(fd.as_fd()).map_err(|e| Error::system("looking at a segment's file", e))?;
        debug_assert_eq!(mapping.len() as u64, geometry.total);
        Ok(Self {
            key: Key { dev: st.dev, ino: st.ino, id: geometry.id },
            geometry,
            mapping,
            fd,
            name: name.map(str::to_owned),
            me: AtomicU64::new(0),
            keeper: Mutex::new(None),
            creating: Mutex::new(()),
            walk: Mutex::new(Walk::from(geometry.space_at)),
            patience_ns: AtomicU64::new(PATIENCE.as_nanos() as u64),
            #[cfg(feature = "shared_memory")]
            link: Mutex::new(None),
        })
    }

    /// Makes the choices that concern this process's mapping.
    pub(crate) fn choose(&self, options: &SegmentOptions) -> Result<(), Error> {
        if let Some(patience) = options.patience {
            self.patience_ns.store(u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        self.mapping.arrange(options.manner).map_err(|e| Error::system("arranging the mapping of a segment", e))
    }

    /// Works with the entries that were walked over.
    pub(crate) fn walk<R>(&self, work: impl FnOnce(&mut Walk) -> R) -> Result<R, Orphan> {
        let no_fork = fork::hold()?;
        Ok(work(&mut fork::lock(&self.walk, &no_fork)))
    }

    /// Until when creating may wait that begins now.
    pub(crate) fn patience(&self) -> Deadline {
        Deadline::after(Duration::from_nanos(self.patience_ns.load(Ordering::Relaxed)))
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.mapping.sync()
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// What a thread of this process takes before it competes for the directory's lock.
    pub(crate) fn creating(&self) -> &Mutex<()> {
        &self.creating
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The same, if the number still is the segment's: who closes descriptors he does not know may have given it to another
    /// file, whose locks say nothing about ours.
    pub(crate) fn own_fd(&self) -> io::Result<BorrowedFd<'_>> {
        let st = fds::stat(self.fd())?;
        let same = (st.dev, st.ino) == (self.key.dev, self.key.ino);
        if same { Ok(self.fd()) } else { Err(io::Error::from_raw_os_error(libc::EBADF)) }
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The address of `offset`, which the caller has checked against the geometry.
    pub(crate) fn at(&self, offset: u64) -> NonNull<u8> {
        debug_assert!(offset <= self.geometry.total);
        // SAFETY: the offset is at most the length of the mapping.
        unsafe { self.mapping.start().add(offset as usize) }
    }

    pub(super) fn header(&self) -> &HeaderState {
        // SAFETY: a mapping has at least one page, aligned to a page, and a HeaderState is atomics only: any bytes are valid.
        unsafe { self.mapping.start().cast::<HeaderState>().as_ref() }
    }

    /// The directory.
    pub(crate) fn directory(&self) -> Directory<'_> {
        Directory::new(self, self.at(DIRECTORY_AT))
    }

    /// The member table.
    pub(crate) fn rows(&self) -> &[MemberRow] {
        let start = self.at(ROWS_AT).cast::<MemberRow>();
        // SAFETY: the geometry places `rows` rows here, inside the mapping and aligned; rows are atomics only.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.geometry.rows as usize) }
    }

    /// The calling thread as an owner.
    #[inline]
    pub(crate) fn me(&self) -> Result<Owner, MemberError> {
        let me = match self.me.load(Ordering::Relaxed) {
            member if member != 0 && is_in_order() => Owner::from_word(member),
            _ => self.register()?,
        };
        Ok(Owner::new(me.generation(), me.row(), fork::thread_token()))
    }

    /// Whether `who` is this process.
    pub(crate) fn is_me(&self, who: Owner) -> bool {
        who.member().word() == self.me.load(Ordering::Relaxed)
    }

    /// Takes a row: when attaching, and in a forked child at first use.
    #[cold]
    fn register(&self) -> Result<Owner, MemberError> {
        // Before the first lock, and outside the gate: in a process of many threads it may take milliseconds, once.
        membarrier::register();
        let no_fork = fork::hold()?;
        let mut keeper = fork::lock(&self.keeper, &no_fork);
        if keeper.is_some() {
            return Ok(Owner::from_word(self.me.load(Ordering::Relaxed)));
        }
        let Membership { me, keeper: page } = {
            let segment =
                self.own_fd().map_err(|e| MemberError::System { errno: e.raw_os_error().unwrap_or(libc::EIO) })?;
            table::join(self.rows(), segment, self.directory().next_row(), self.header().boot(), &no_fork)?
        };
        *keeper = Some(page);
        self.me.store(me.word(), Ordering::Relaxed);
        Ok(me)
    }

    /// In a forked child: the row and the keeper page are the parent's.
    pub(crate) fn forget_membership(&self, no_fork: &Hold) {
        self.me.store(0, Ordering::Relaxed);
        if let Some(page) = fork::lock(&self.keeper, no_fork).take() {
            page.not_inherited();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // An orphan has neither the row nor the page, and the table of segments may be locked for ever.
        let Ok(no_fork) = fork::hold() else {
            let page = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            return page.into_iter().for_each(KeeperPage::not_inherited);
        };
        registry::remove(self.key, &no_fork);
        let left = self.leave(&no_fork);
        drop(no_fork);
        #[cfg(feature = "shared_memory")]
        if let Some(link) = self.link.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            return link.leave(self.own_fd(), self.key, left);
        }
        // Step 7 of `collect`, and then, without keeping others from forking, 8 and 9.
        if left && self.geometry.flags & COLLECTED != 0 {
            collect::after_leaving(self.own_fd(), self.name.as_deref(), self.key);
        }
    }
}

impl Inner {
    /// Gives the row back; false if this process had none.
    fn leave(&mut self, _no_fork: &Hold) -> bool {
        let page = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if page.is_some() {
            let row = Owner::from_word(*self.me.get_mut()).row();
            self.rows()[usize::from(row)].leave();
        }
        page.is_some()
    }
}

impl From<MemberError> for Error {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NoRow { rows } => ErrorKind::NoMemberRow { rows }.into(),
            MemberError::Forked => ErrorKind::Forked.into(),
            MemberError::System { errno } => {
                Error::system("taking a member row", std::io::Error::from_raw_os_error(errno))
            }
        }
    }
}

impl From<Orphan> for MemberError {
    fn from(_: Orphan) -> Self {
        Self::Forked
    }
}

/// For what only tells of the system's refusals.
impl From<Orphan> for io::Error {
    fn from(_: Orphan) -> Self {
        Self::from_raw_os_error(libc::EPERM)
    }
}

impl From<Orphan> for Error {
    fn from(_: Orphan) -> Self {
        ErrorKind::Forked.into()
    }
}
