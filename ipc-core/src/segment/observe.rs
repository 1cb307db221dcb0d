//! Observers: processes that read a segment and can do nothing else.
//!
//! An observer maps the segment read-only, through a descriptor that cannot write, and has no member row: it owns nothing, so its
//! death concerns nobody, and any number of them costs the writer nothing. What would store is not refused at run time: it is
//! not there. An [`Observer`] gives out no handle that could lock, wait or change, only looks at single words, which are whole
//! at every moment. To write needs a [`Segment`], and attaching for writing to an observable segment is
//! [`ErrorKind::OneWriter`].
//!
//! | object                               | an observer sees                                                            |
//! |--------------------------------------|------------------------------------------------------------------------------|
//! | `AtomicValue`, `AtomicArray`         | each number, whole                                                           |
//! | `Value` of one machine word          | the value, whole: `set` and `update` replace it by one store                 |
//! | any other `Value`, `Array`, `Lock`   | [`ErrorKind::NotObservable`]: whole only under the lock, which needs a store |
//! | queues and everything that waits     | [`ErrorKind::NotObservable`]                                                 |
//!
//! Why larger values are refused: `docs/decisions/0018-observers-see-words.md`.

use super::home::{self, Home};
use super::{Inner, Ticket, file, name, open};
use crate::cell::{AtomicPlain, Value};
use crate::error::{Corrupt, Error, ErrorKind};
use crate::layout::entry::Kind;
use crate::layout::header::OBSERVABLE;
use crate::sys::mapping::Mapping;
use crate::{Plain, Segment};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// Reads a segment that was made [`observable`](crate::SegmentOptions::observable), and can do nothing else.
///
/// # Process death
/// An observer's death concerns nobody. The writer's death is not told: the values stay as they were.
///
/// # Examples
/// ```
/// use ipc_core::{AtomicValue, ErrorKind, Observer, Segment};
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let segment = Segment::options().observable().anonymous(4096)?;
/// let hits = AtomicValue::create_in(&segment, "hits", 0u64)?;
/// // In any other process, with a descriptor or a ticket:
/// let observer = Observer::attach(&hits.ticket())?;
/// let seen = observer.value::<u64>("hits")?;
/// hits.fetch_add(3, Relaxed);
/// assert_eq!(seen.get(), 3);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// There is no way to write:
/// ```compile_fail
/// # use ipc_core::{Observer, Value};
/// # fn f(observer: &Observer) {
/// let value = Value::<u64>::open_in(observer, "hits");
/// # }
/// ```
#[derive(Clone)]
pub struct Observer {
    inner: Arc<Inner>,
}

/// One number, or one value of a machine word, as an [`Observer`] sees it.
#[derive(Clone)]
pub struct Watched<T> {
    words: Words<T>,
}

/// The numbers of an `AtomicArray`, as an [`Observer`] sees them.
#[derive(Clone)]
pub struct WatchedArray<T> {
    words: Words<T>,
}

impl Observer {
    /// Looks at the segment of this name.
    ///
    /// # Errors
    /// As [`Segment::open`]; [`ErrorKind::NotObservable`] if it was made without the option.
    pub fn open(name: &str) -> Result<Self, Error> {
        name::check(name)?;
        Self::of(Home::find(name)?.1)
    }

    /// Looks at the segment in the file at this path.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let (folder, name) = file::split(path)?;
        Self::of(home::open_checked(&folder, name)?.ok_or_else(|| file::not_found(path))?)
    }

    /// Looks at the segment behind a descriptor, inherited or received.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        Self::of(fd)
    }

    /// Looks at the segment of the object that a ticket names.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`ErrorKind::Gone`].
    pub fn attach(ticket: &Ticket) -> Result<Self, Error> {
        let observer = Self::of(ticket.descriptor()?)?;
        ticket.expect(observer.id())?;
        Ok(observer)
    }

    /// The `AtomicValue`, or the `Value` of one machine word, with this name; `None`: the object that the segment was made for.
    ///
    /// # Errors
    /// `NotFound`, `WrongKind`, `WrongType`; [`ErrorKind::NotObservable`] for a larger `Value`, see [`Observer`].
    pub fn value<'n, T: Plain>(&self, name: impl Into<Option<&'n str>>) -> Result<Watched<T>, Error> {
        let (kind, words) = self.words(name.into())?;
        let skipped = match kind {
            Kind::ATOMIC_VALUE => 0,
            Kind::VALUE if Value::<T>::ONE_WORD && size_of::<T>() > 0 => Value::<T>::FIRST_AT,
            Kind::VALUE => {
                let found = format!("Value of {} bytes", size_of::<T>());
                return Err(ErrorKind::NotObservable { found }.into());
            }
            other => return Err(refuse(other)),
        };
        Ok(Watched { words: words.narrow(skipped, 1)? })
    }

    /// The `AtomicArray` with this name; `None`: the object that the segment was made for.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn array<'n, T: AtomicPlain>(&self, name: impl Into<Option<&'n str>>) -> Result<WatchedArray<T>, Error> {
        match self.words(name.into())? {
            (Kind::ATOMIC_ARRAY, words) => {
                let count = words.count;
                Ok(WatchedArray { words: words.narrow(0, count)? })
            }
            (other, _) => Err(refuse(other)),
        }
    }

    /// The segment's random number.
    pub fn id(&self) -> u128 {
        self.inner.geometry().id
    }

    /// Bytes mapped.
    pub fn len_bytes(&self) -> u64 {
        self.inner.geometry().total
    }

    fn of(fd: OwnedFd) -> Result<Self, Error> {
        let file = open::check(open::read_only(fd.as_fd())?)?;
        if file.geometry.flags & OBSERVABLE == 0 {
            return Err(ErrorKind::NotObservable { found: "segment made without `.observable()`".to_owned() }.into());
        }
        let mapping = Mapping::read_only(file.fd.as_fd(), file.geometry.total as usize)
            .map_err(|e| Error::system("mapping a segment for reading", e))?;
        // Never registered as a member, and not in the table of mappings, from which members are made.
        Ok(Self { inner: Arc::new(Inner::new(file.geometry, mapping, file.fd, None)?) })
    }

    /// The body of an object of elements `T`, not yet known to be of any kind.
    fn words<T: Plain>(&self, name: Option<&str>) -> Result<(Kind, Words<T>), Error> {
        let directory = self.inner.directory();
        let found = match name {
            Some(name) => {
                name::check(name)?;
                directory.find(name)?
            }
            None => directory.first()?.filter(|found| found.parts.name_len == 0),
        };
        let found = found.ok_or_else(|| ErrorKind::NotFound { name: name.unwrap_or_default().to_owned() })?;
        let expected = T::SCHEMA.text();
        if found.schema != expected {
            return Err(ErrorKind::WrongType { found: found.schema, expected: expected.into_owned() }.into());
        }
        let start = self.inner.at(found.offset + u64::from(found.parts.body_at));
        let bytes = found.parts.body_len as usize;
        let count = usize::try_from(found.count).unwrap_or(usize::MAX);
        Ok((found.kind, Words { _mapped: self.inner.clone(), start, bytes, count, marker: PhantomData }))
    }
}

fn refuse(kind: Kind) -> Error {
    ErrorKind::NotObservable { found: kind.to_string() }.into()
}

impl<T: Plain> Watched<T> {
    /// The value now, whole. Never waits.
    ///
    /// After it has come back, the value may have changed; what the writer stored before it stored this value is seen by looks
    /// that follow.
    #[inline]
    pub fn get(&self) -> T {
        self.words.load(0)
    }
}

impl<T: AtomicPlain> WatchedArray<T> {
    /// One of the numbers now; `None` if there is none at this index. Never waits. Numbers are whole each by itself: two looks
    /// may see two different moments.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        (index < self.words.count).then(|| self.words.load(index))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.words.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.count == 0
    }

    /// All of them, one look after another.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        (0..self.words.count).map(|index| self.words.load(index))
    }
}

/// Elements of one machine word each.
#[derive(Clone)]
struct Words<T> {
    _mapped: Arc<Inner>,
    start: NonNull<u8>,
    bytes: usize,
    count: usize,
    marker: PhantomData<T>,
}

// SAFETY: the pointer leads into the mapping that `_mapped` keeps; nobody gets more than copies of words.
unsafe impl<T: Plain> Send for Words<T> {}
// SAFETY: as for `Send`: looking is all that there is.
unsafe impl<T: Plain> Sync for Words<T> {}

impl<T: Plain> Words<T> {
    /// `count` elements behind the first bytes, if the body holds them: `load` relies on it.
    fn narrow(self, skipped: usize, count: usize) -> Result<Self, Error> {
        let one_word = matches!(size_of::<T>(), 1 | 2 | 4 | 8) && align_of::<T>() == size_of::<T>();
        let needed = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(skipped));
        if !one_word || needed.is_none_or(|needed| needed > self.bytes) {
            return Err(Corrupt { what: "size of an observed object", found: self.bytes as u64 }.into());
        }
        // SAFETY: at most the length of the body, which lies in the mapping.
        let start = unsafe { self.start.add(skipped) };
        Ok(Self { start, bytes: self.bytes - skipped, count, ..self })
    }

    #[inline]
    fn load(&self, index: usize) -> T {
        debug_assert!(index < self.count);
        // SAFETY: inside the body, as `narrow` has checked; bodies begin at multiples of 64, and what is skipped is a multiple of 8.
        let at = unsafe { self.start.cast::<T>().add(index) };
        // SAFETY: a mapped, aligned word; `T` is Plain, for which any bytes are valid.
        let value = unsafe { load_word(at) };
        // ORDERING: Acquire: what was stored before this word is seen by later looks. A fence, because only relaxed loads are
        // promised not to write to memory that is mapped read-only.
        fence(Ordering::Acquire);
        value
    }
}

/// One load.
///
/// # Safety
/// `at` is mapped, aligned, and a Plain of 1, 2, 4 or 8 bytes that others change by single stores only.
#[inline]
unsafe fn load_word<T: Plain>(at: NonNull<T>) -> T {
    macro_rules! load {
        ($atomic:ty) => {{
            // SAFETY: the caller's; an atomic of the size of T may alias what others store to.
            let word = unsafe { at.cast::<$atomic>().as_ref() }.load(Ordering::Relaxed);
            // SAFETY: the same size, and any bytes are a T.
            unsafe { std::mem::transmute_copy(&word) }
        }};
    }
    match size_of::<T>() {
        1 => load!(AtomicU8),
        2 => load!(AtomicU16),
        4 => load!(AtomicU32),
        _ => load!(AtomicU64),
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("id", &format_args!("{:032x}", self.id())).finish_non_exhaustive()
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.get()).finish()
    }
}

impl<T: AtomicPlain> fmt::Debug for WatchedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedArray").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Segment {
    /// Whether others may only observe it.
    pub fn is_observable(&self) -> bool {
        self.inner().geometry().flags & OBSERVABLE != 0
    }
}
