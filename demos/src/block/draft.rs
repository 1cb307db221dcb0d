//! Writing a block.

use super::{COVER, FAILURE, Failure, HEADER, LONG, LOSSY, LongWord, MAGIC};
use crate::counts::Counts;
use crate::ledger::Cover;
use crate::long::TEXT_MAX;

/// The most bytes of an entry beside its word: a length below 2^21 and a count below 2^49.
const ENTRY_EXTRA: usize = 3 + 7;

/// What a worker has found and not yet published.
#[derive(Default)]
pub struct Draft {
    /// The words.
    pub counts: Counts,
    /// Where they come from.
    pub covers: Vec<Cover>,
    /// Files with words that are not valid UTF-8; repetitions do no harm.
    pub lossy: Vec<u32>,
    /// Files that could not be read; repetitions do no harm.
    pub failed: Vec<Failure>,
    /// Words too long for a table.
    pub longs: Vec<LongWord>,
}

/// The block is too small for what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block of {len} bytes is too small")]
pub struct NoRoom {
    /// The bytes of the block.
    pub len: usize,
}

impl Draft {
    /// An empty draft with this table.
    #[must_use]
    pub fn with(counts: Counts) -> Draft {
        Draft { counts, ..Draft::default() }
    }

    /// The most bytes that [`write`](Self::write) can need now and after one more of everything.
    #[must_use]
    pub fn bound(&self) -> usize {
        let words = self.counts.settled() + Counts::BATCH + 1;
        HEADER
            + COVER * (self.covers.len() + 1)
            + LOSSY * (self.lossy.len() + 1)
            + FAILURE * (self.failed.len() + 1)
            + LONG * (self.longs.len() + 1)
            + ENTRY_EXTRA * words
            + (self.counts.settled_bytes() + Counts::BATCH_BYTES + TEXT_MAX)
    }

    /// Writes everything to the start of `block` and returns its length.
    ///
    /// # Errors
    ///
    /// If it does not fit. Nothing is lost, but `block` holds a part of it then.
    pub fn write(&mut self, block: &mut [u8]) -> Result<usize, NoRoom> {
        self.covers.sort_unstable_by_key(|cover| cover.range);
        let mut out = Writer { len: block.len(), rest: block };
        out.put(&MAGIC.to_le_bytes())?;
        out.put(&self.counts.total().to_le_bytes())?;
        let numbers =
            [self.covers.len(), self.lossy.len(), self.failed.len(), self.longs.len(), self.counts.distinct()];
        for number in numbers {
            out.put(&u32::try_from(number).map_err(|_| NoRoom { len: out.len })?.to_le_bytes())?;
        }
        for cover in &self.covers {
            out.put_place(cover.range, cover.from, cover.upto)?;
        }
        for file in &self.lossy {
            out.put(&file.to_le_bytes())?;
        }
        for failure in &self.failed {
            out.put(&failure.file.to_le_bytes())?;
            out.put(&failure.reason.to_code().to_le_bytes())?;
        }
        for long in &self.longs {
            out.put_place(long.file, long.offset, long.len)?;
        }
        for (text, count) in self.counts.iter() {
            out.put_varint(text.bytes().len() as u64)?;
            out.put(text.bytes())?;
            out.put_varint(count)?;
        }
        Ok(out.len - out.rest.len())
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.covers.clear();
        self.lossy.clear();
        self.failed.clear();
        self.longs.clear();
    }
}

struct Writer<'a> {
    rest: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        let rest = std::mem::take(&mut self.rest);
        let (now, later) = rest.split_at_mut_checked(bytes.len()).ok_or(NoRoom { len: self.len })?;
        now.copy_from_slice(bytes);
        self.rest = later;
        Ok(())
    }

    fn put_place(&mut self, number: u32, first: u64, second: u64) -> Result<(), NoRoom> {
        self.put(&number.to_le_bytes())?;
        self.put(&first.to_le_bytes())?;
        self.put(&second.to_le_bytes())
    }

    #[inline]
    fn put_varint(&mut self, mut value: u64) -> Result<(), NoRoom> {
        while value > 0x7f {
            self.put(&[value as u8 | 0x80])?;
            value >>= 7;
        }
        self.put(&[value as u8])
    }
}
