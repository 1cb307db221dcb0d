//! The directory of a segment: which objects lie where, under which names.
//!
//! # Memory
//!
//! | offset | type     | name       | meaning                                                        |
//! |--------|----------|------------|----------------------------------------------------------------|
//! | 0      | LockLine | lock       | one creator at a time; its death is never told to users        |
//! | 64     | u64      | next_space | where the next entry begins                                    |
//! | 72     | u64      | touched    | up to where bytes may not be zero any more                     |
//! | 80     | u64      | pending    | offset of the entry under construction; 0: none                |
//! | 88     | u32      | next_row   | where the next member looks for a row first                    |
//!
//! Elsewhere: one u64 per bucket, the offset of the first entry whose name hashes there.
//!
//! # Creating: steps, under the lock
//!
//! **1** `touched = max(touched, end)`, what was touched before is zeroed · **2** `pending = offset` · **3** the entry, BUILDING ·
//! **4** its body · **5** READY · **6** linked into its bucket · **7** `next_space = end` · **8** `pending = 0`.
//!
//! Looking up takes no lock: a bucket leads only to entries that are READY. Each entry lies behind all that were there before
//! it, so a chain leads towards the front; one that does not is damaged.
//!
//! The lock is held by one process, and inside it by one thread, which holds a lock of the process too. So a lock word that
//! names the process of somebody who has the latter was written by no holder, and is taken over like a dead one's: opening
//! and using a file of arbitrary bytes never waits for oneself.
//!
//! A holder that is stopped, and so alive, is waited for as long as the segment's
//! [`patience`](crate::SegmentOptions::patience) says, ten seconds; then creating is `Busy` and names it. Looking up, and using
//! what exists, never waits for a creator.
//!
//! # Death at step n
//!
//! | dies after | the next creator finds           | and does                                     |
//! |------------|----------------------------------|----------------------------------------------|
//! | 1          | zeroed bytes that are nobody's   | nothing                                      |
//! | 2 to 4     | a pending entry that is not READY: it was zeroed first | rolls back: forgets it  |
//! | 5, 6       | a pending entry that is READY, at `next_space` | rolls forward: 6, 7, 8          |
//! | 7          | a pending entry before `next_space` | 8                                         |
//!
//! Test: `crashpoints` segment.create_in, after every instruction, with the survivor creating and opening.
//!
//! # Happens before
//!
//! | label     | release                | acquire                                    |
//! |-----------|------------------------|--------------------------------------------|
//! | [dir/D1]  | step 5, READY          | whoever reads the state before the entry   |
//! | [dir/D2]  | step 6, bucket         | whoever follows the bucket                 |

use super::Inner;
use crate::Segment;
use crate::error::{Corrupt, Error, ErrorKind, MemberError};
use crate::layout::entry::{BUILDING, ENTRY_BYTES, EntryState, Kind, Parts, READY, fnv1a};
use crate::layout::header::GRAIN;
use crate::member::fork::{self, Hold};
use crate::raw::lock_line::Entry;
use crate::raw::{Census, LockError, LockLine, Owner, Pad, Verdict, fork_epoch};
use crate::shim;
use std::alloc::Layout;
use std::borrow::Cow;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The directory's own state.
#[repr(C)]
pub(crate) struct DirectoryState {
    lock: LockLine,
    pub next_space: AtomicU64,
    touched: AtomicU64,
    pub pending: AtomicU64,
    next_row: AtomicU32,
    rest: Pad<36>,
}

const _: () =
    assert!(size_of::<DirectoryState>() as u64 + crate::layout::header::DIRECTORY_AT <= crate::layout::header::ROWS_AT);

crate::record! { "directory", DirectoryState {
    lock: LockLine,
    next_space: u64,
    touched: u64,
    pending: u64,
    next_row: u32,
    rest: [u8; 36],
} }

/// What a new entry is to be.
pub(crate) struct Plan<'a> {
    pub name: &'a str,
    pub kind: Kind,
    pub schema: &'a str,
    pub count: u64,
    pub layout: Layout,
    /// Gets the zeroed body.
    pub init: &'a dyn Fn(NonNull<u8>) -> Result<(), Error>,
}

/// An entry that was found and checked: all of it lies in the mapping.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub offset: u64,
    pub kind: Kind,
    pub schema: String,
    pub count: u64,
    pub parts: Parts,
}

/// A view of the directory of one mapping.
pub(crate) struct Directory<'a> {
    inner: &'a Inner,
    state: NonNull<DirectoryState>,
}

impl<'a> Directory<'a> {
    pub(crate) fn new(inner: &'a Inner, at: NonNull<u8>) -> Self {
        Self { inner, state: at.cast() }
    }

    fn state(&self) -> &'a DirectoryState {
        // SAFETY: the place lies in the header page of the mapping, aligned to 64; the state is atomics only, so that any
        // bytes are valid.
        unsafe { self.state.as_ref() }
    }

    /// Writes an empty directory into a new segment.
    pub(crate) fn init(&self) {
        let (state, space_at) = (self.state(), self.inner.geometry().space_at);
        state.lock.init();
        // ORDERING: Relaxed: the segment has no other user yet, and `pending` and `next_row` are zero already.
        state.next_space.store(space_at, Ordering::Relaxed);
        state.touched.store(space_at, Ordering::Relaxed);
    }

    /// Where the next member looks for a row first.
    pub(crate) fn next_row(&self) -> &'a AtomicU32 {
        &self.state().next_row
    }

    /// Bytes that are not given out.
    pub(crate) fn free(&self) -> u64 {
        self.inner.geometry().total.saturating_sub(self.state().next_space.load(Ordering::Relaxed))
    }

    /// Places a new object; its offset. An empty name makes it unnamed.
    pub(crate) fn create(&self, segment: &Segment, plan: &Plan<'_>) -> Result<u64, Error> {
        let _held = self.lock(segment)?;
        self.settle()?;
        if !plan.name.is_empty() && self.find(plan.name)?.is_some() {
            return Err(ErrorKind::AlreadyExists { name: plan.name.to_owned() }.into());
        }
        let offset = self.next_space()?;
        let parts = Parts::place(offset, plan.name, plan.schema, plan.layout)?;
        let end = self.reserve(offset, parts.len)?;
        self.build(offset, &parts, plan).inspect_err(|_| self.forget())?;
        self.publish(offset, end, plan.name);
        Ok(offset)
    }

    /// The READY entry with this name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        // ORDERING: Acquire [dir/D2].
        let mut offset = self.bucket(name).load(Ordering::Acquire);
        while offset != 0 {
            let (entry, parts) = self.ready(offset)?;
            if self.name_of(offset, &parts) == name.as_bytes() {
                return self.read(offset).map(Some);
            }
            // ORDERING: Acquire [dir/D2]: the chain behind this entry was linked before it was.
            let next = entry.next.load(Ordering::Acquire);
            // New entries are linked in front, and space is given out upwards: a chain only leads down, and so ends.
            if next >= offset {
                return Err(Corrupt { what: "chain of directory entries", found: next }.into());
            }
            offset = next;
        }
        Ok(None)
    }

    /// The READY entry at this offset, which may come from anywhere.
    pub(crate) fn read(&self, offset: u64) -> Result<Found, Error> {
        let (entry, parts) = self.ready(offset)?;
        let schema = self.bytes(offset + ENTRY_BYTES + u64::from(parts.name_len), parts.schema_len.into());
        if fnv1a(&schema) != entry.fingerprint.load(Ordering::Relaxed) {
            return Err(Corrupt { what: "fingerprint of a directory entry", found: fnv1a(&schema) }.into());
        }
        Ok(Found {
            offset,
            kind: Kind(entry.kind.load(Ordering::Relaxed)),
            schema: String::from_utf8_lossy(&schema).into_owned(),
            count: entry.count.load(Ordering::Relaxed),
            parts,
        })
    }

    /// The READY entry at this offset, if it is one of those that follow each other from the front of the space: not bytes in the
    /// middle of somebody's data that look like an entry.
    pub(crate) fn read_walked(&self, offset: u64) -> Result<Found, Error> {
        let found = self.read(offset)?;
        let walked = self.inner.walk(|walk| walk.reach(offset, |at| self.ready(at).map(|(_, parts)| parts.len)))??;
        if walked { Ok(found) } else { Err(Corrupt { what: "offset of a directory entry", found: offset }.into()) }
    }

    /// The entry that lies first in the space: the object a segment was made for.
    pub(crate) fn first(&self) -> Result<Option<Found>, Error> {
        let at = self.inner.geometry().space_at;
        if self.state().next_space.load(Ordering::Acquire) == at { Ok(None) } else { self.read(at).map(Some) }
    }

    /// Takes the directory's lock, from a dead holder too: `settle` repairs what that one left.
    fn lock(&self, segment: &Segment) -> Result<Held<'a>, Error> {
        if CREATING.get() {
            return Err(Error::system("creating an object from within the creation of another", nix::Error::EDEADLK));
        }
        // The threads of this process wait one after another, but all at the same time.
        let until = self.inner.patience();
        // A forked child must find the process's lock free.
        let no_fork = fork::hold()?;
        let alone = fork::lock(self.inner.creating(), &no_fork);
        let line = &self.state().lock;
        match line.acquire(&Others(segment), Entry::Recover, until) {
            Ok(_) => {
                CREATING.set(true);
                Ok(Held { line, epoch: fork_epoch(), _alone: alone, _no_fork: no_fork })
            }
            Err(LockError::Corrupt(corrupt)) => Err(corrupt.into()),
            Err(LockError::Member(error)) => Err(error.into()),
            Err(LockError::Timeout) => {
                let (pid, name) = line.holder().map_or((0, "".into()), |holder| segment.describe(holder));
                Err(ErrorKind::Busy { doing: "creating an object in the segment", pid, name: name.into_owned() }.into())
            }
            // Recover ignores marks, and who names no thread cannot meet itself.
            Err(_) => Err(Error::system("locking the directory", nix::Error::EAGAIN)),
        }
    }

    /// Rolls forward or back what a dead creator left.
    fn settle(&self) -> Result<(), Error> {
        let pending = self.state().pending.load(Ordering::Relaxed);
        if pending == 0 {
            return Ok(());
        }
        if pending == self.next_space()?
            && let Ok(found) = self.read(pending)
        {
            let name = String::from_utf8_lossy(&self.name_of(pending, &found.parts)).into_owned();
            self.publish(pending, pending + found.parts.len, &name);
        }
        // 8.
        self.state().pending.store(0, Ordering::Release);
        Ok(())
    }

    fn next_space(&self) -> Result<u64, Corrupt> {
        let next = self.state().next_space.load(Ordering::Relaxed);
        let geometry = self.inner.geometry();
        if (geometry.space_at..=geometry.total).contains(&next) && next.is_multiple_of(GRAIN) {
            Ok(next)
        } else {
            Err(Corrupt { what: "end of the used space", found: next })
        }
    }

    /// Steps 1 and 2; the end of the reserved bytes.
    fn reserve(&self, offset: u64, len: u64) -> Result<u64, Error> {
        let free = self.inner.geometry().total - offset;
        if len > free {
            return Err(ErrorKind::NoSpace { needed: len, free }.into());
        }
        let (state, end) = (self.state(), offset + len);
        // 1. Only the next holder of the lock reads these words, so that program order is enough.
        let touched = state.touched.load(Ordering::Relaxed);
        state.touched.store(touched.max(end), Ordering::Relaxed);
        shim::program_order();
        let dirty = touched.min(end).saturating_sub(offset);
        // SAFETY: offset + dirty is at most end, which lies in the mapping; the bytes belong to no object.
        unsafe { self.inner.at(offset).write_bytes(0, dirty as usize) };
        shim::program_order();
        // 2.
        state.pending.store(offset, Ordering::Relaxed);
        shim::program_order();
        Ok(end)
    }

    /// Step 8 instead of the rest: what was begun is nobody's again.
    fn forget(&self) {
        self.state().pending.store(0, Ordering::Relaxed);
    }

    /// Steps 3 to 5.
    fn build(&self, offset: u64, parts: &Parts, plan: &Plan<'_>) -> Result<(), Error> {
        // SAFETY: `reserve` has checked that the whole entry lies in the mapping; it is aligned to 64 and atomics only.
        let entry = unsafe { self.inner.at(offset).cast::<EntryState>().as_ref() };
        // 3.
        entry.state.store(BUILDING, Ordering::Relaxed);
        entry.kind.store(plan.kind.0, Ordering::Relaxed);
        entry.len.store(parts.len, Ordering::Relaxed);
        entry.fingerprint.store(fnv1a(plan.schema.as_bytes()), Ordering::Relaxed);
        entry.count.store(plan.count, Ordering::Relaxed);
        entry.body_len.store(parts.body_len, Ordering::Relaxed);
        entry.body_at.store(parts.body_at, Ordering::Relaxed);
        entry.name_len.store(parts.name_len, Ordering::Relaxed);
        entry.schema_len.store(parts.schema_len, Ordering::Relaxed);
        self.write(offset + ENTRY_BYTES, plan.name.as_bytes());
        self.write(offset + ENTRY_BYTES + u64::from(parts.name_len), plan.schema.as_bytes());
        // 4.
        (plan.init)(self.inner.at(offset + u64::from(parts.body_at)))?;
        // 5. ORDERING: Release [dir/D1].
        entry.state.store(READY, Ordering::Release);
        Ok(())
    }

    /// Steps 6 to 8; each may be done again.
    fn publish(&self, offset: u64, end: u64, name: &str) {
        if !name.is_empty() {
            let bucket = self.bucket(name);
            let head = bucket.load(Ordering::Relaxed);
            if head != offset
                && let Ok(entry) = self.entry(offset)
            {
                entry.next.store(head, Ordering::Release);
                // 6. ORDERING: Release [dir/D2].
                bucket.store(offset, Ordering::Release);
            }
        }
        // 7. ORDERING: Release [dir/D2], for `first`.
        self.state().next_space.store(end, Ordering::Release);
        shim::program_order();
        // 8.
        self.state().pending.store(0, Ordering::Relaxed);
    }

    fn bucket(&self, name: &str) -> &'a AtomicU64 {
        let geometry = self.inner.geometry();
        let index = fnv1a(name.as_bytes()) & u64::from(geometry.buckets - 1);
        let at = self.inner.at(geometry.buckets_at + index * 8).cast::<AtomicU64>();
        // SAFETY: the geometry places all buckets in the mapping, aligned to 8.
        unsafe { at.as_ref() }
    }

    /// The fixed part at an offset that may come from anywhere.
    fn entry(&self, offset: u64) -> Result<&'a EntryState, Corrupt> {
        let geometry = self.inner.geometry();
        let room = geometry.total.checked_sub(offset).is_some_and(|left| left >= ENTRY_BYTES);
        if offset < geometry.space_at || !offset.is_multiple_of(GRAIN) || !room {
            return Err(Corrupt { what: "offset of a directory entry", found: offset });
        }
        // SAFETY: checked above: inside the mapping and aligned to 64; atomics only.
        Ok(unsafe { self.inner.at(offset).cast::<EntryState>().as_ref() })
    }

    /// The fixed part of a READY entry, and its parts, which lie in the mapping.
    fn ready(&self, offset: u64) -> Result<(&'a EntryState, Parts), Corrupt> {
        let entry = self.entry(offset)?;
        // ORDERING: Acquire [dir/D1].
        let state = entry.state.load(Ordering::Acquire);
        if state != READY {
            return Err(Corrupt { what: "state of a directory entry", found: state.into() });
        }
        let parts = Parts {
            name_len: entry.name_len.load(Ordering::Relaxed),
            schema_len: entry.schema_len.load(Ordering::Relaxed),
            body_at: entry.body_at.load(Ordering::Relaxed),
            body_len: entry.body_len.load(Ordering::Relaxed),
            len: entry.len.load(Ordering::Relaxed),
        };
        Ok((entry, parts.check(offset, self.inner.geometry().total)?))
    }

    fn name_of(&self, offset: u64, parts: &Parts) -> Vec<u8> {
        self.bytes(offset + ENTRY_BYTES, parts.name_len.into())
    }

    /// A copy of bytes whose place has been checked.
    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let start = self.inner.at(at).as_ptr();
        (0..len)
            .map(|i| {
                // SAFETY: the caller has checked that `len` bytes at `at` lie in the mapping.
                let byte = unsafe { start.add(i) };
                // SAFETY: as above; volatile, because another process may write meanwhile.
                unsafe { byte.read_volatile() }
            })
            .collect()
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        // SAFETY: `reserve` has checked that the entry, of which this is a part, lies in the mapping.
        unsafe { self.inner.at(at).as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

thread_local! {
    /// Whether this thread is in the middle of creating an object.
    static CREATING: Cell<bool> = const { Cell::new(false) };
}

/// The directory's lock; released by any exit, a panic of `init` included.
struct Held<'a> {
    line: &'a LockLine,
    epoch: u32,
    _alone: MutexGuard<'a, ()>,
    _no_fork: Hold,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        CREATING.set(false);
        // A child forked by `init` has neither lock.
        if self.epoch == fork_epoch() {
            // SAFETY: taken in `lock`; the directory is words only, nobody has references to data.
            unsafe { self.line.release() };
        }
    }
}

/// The census of somebody who knows that no thread of this process holds the word.
struct Others<'a>(&'a Segment);

impl Census for Others<'_> {
    type Repair = <Segment as Census>::Repair;

    fn me(&self) -> Result<Owner, MemberError> {
        self.0.me().map(Owner::member)
    }

    fn verdict(&self, who: Owner) -> Verdict {
        if self.0.inner().is_me(who) { Verdict::Dead } else { self.0.verdict(who) }
    }

    fn begin_repair(&self, who: Owner) -> Option<Self::Repair> {
        self.0.begin_repair(who)
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        self.0.describe(who)
    }
}
