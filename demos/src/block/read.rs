//! Reading a block: input from a stranger.

use super::{COVER, FAILURE, Failure, LONG, LOSSY, LongWord, MAGIC, Reason};
use crate::ledger::Cover;
use crate::long::TEXT_MAX;

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// They do not start like one.
    #[error("these bytes are no block")]
    NoBlock,
    /// They end too early.
    #[error("the block ends in the middle of its content")]
    CutShort,
    /// A number, length or count is not possible.
    #[error("the block holds an impossible value")]
    Impossible,
    /// A word is not valid UTF-8.
    #[error("the block holds a word that is not UTF-8")]
    NotUtf8,
    /// The counts do not add up to what the header says.
    #[error("the counts of the block add up to {found}, not to {expected}")]
    Sum {
        /// What the header says.
        expected: u64,
        /// What they add up to.
        found: u64,
    },
}

/// A block that was read, except for its entries.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// What it covers.
    pub covers: Vec<Cover>,
    /// Files with words that are not valid UTF-8.
    pub lossy: Vec<u32>,
    /// Files that could not be read.
    pub failed: Vec<Failure>,
    /// Words too long for a table.
    pub longs: Vec<LongWord>,
    /// The words with their counts, one by one.
    pub entries: Entries<'a>,
}

impl<'a> Block<'a> {
    /// Reads a block from all of `bytes`.
    ///
    /// # Errors
    ///
    /// See [`BlockError`].
    pub fn read(bytes: &'a [u8]) -> Result<Block<'a>, BlockError> {
        let mut rest = bytes;
        if take_u64(&mut rest) != Ok(MAGIC) {
            return Err(BlockError::NoBlock);
        }
        let expected = take_u64(&mut rest)?;
        let mut numbers = [0; 5];
        for number in &mut numbers {
            *number = take_u32(&mut rest)? as usize;
        }
        let [covers, lossy, failed, longs, entries] = numbers;
        let cover =
            |rest: &mut &[u8]| Ok(Cover { range: take_u32(rest)?, from: take_u64(rest)?, upto: take_u64(rest)? });
        let failure = |rest: &mut &[u8]| {
            let (file, code) = (take_u32(rest)?, take_u32(rest)?.cast_signed());
            Ok(Failure { file, reason: Reason::from_code(code).ok_or(BlockError::Impossible)? })
        };
        let long =
            |rest: &mut &[u8]| Ok(LongWord { file: take_u32(rest)?, offset: take_u64(rest)?, len: take_u64(rest)? });
        Ok(Block {
            covers: take_all(&mut rest, covers, COVER, cover)?,
            lossy: take_all(&mut rest, lossy, LOSSY, take_u32)?,
            failed: take_all(&mut rest, failed, FAILURE, failure)?,
            longs: take_all(&mut rest, longs, LONG, long)?,
            entries: Entries { rest, left: entries, found: 0, expected },
        })
    }
}

/// The words of a block. Behind the last one it checks that the counts add up and that nothing follows; after an error it
/// ends.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    left: usize,
    found: u64,
    expected: u64,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a [u8], u64), BlockError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = if self.left > 0 {
            self.left -= 1;
            self.entry()
        } else {
            let (found, expected) = (self.found, std::mem::take(&mut self.expected));
            self.found = 0;
            if found != expected {
                Err(BlockError::Sum { expected, found })
            } else if std::mem::take(&mut self.rest).is_empty() {
                return None;
            } else {
                Err(BlockError::Impossible)
            }
        };
        if entry.is_err() {
            *self = Entries { rest: &[], left: 0, found: 0, expected: 0 };
        }
        Some(entry)
    }
}

impl<'a> Entries<'a> {
    #[inline]
    fn entry(&mut self) -> Result<(&'a [u8], u64), BlockError> {
        let len = take_varint(&mut self.rest)?;
        if len == 0 || len > TEXT_MAX as u64 {
            return Err(BlockError::Impossible);
        }
        let (word, rest) = self.rest.split_at_checked(len as usize).ok_or(BlockError::CutShort)?;
        self.rest = rest;
        if !word.is_ascii() && std::str::from_utf8(word).is_err() {
            return Err(BlockError::NotUtf8);
        }
        let count = take_varint(&mut self.rest)?;
        self.found = self.found.checked_add(count).filter(|_| count > 0).ok_or(BlockError::Impossible)?;
        Ok((word, count))
    }
}

/// Takes `count` items of `size` bytes each; a count that the bytes cannot hold reserves no memory.
fn take_all<'a, T>(
    rest: &mut &'a [u8],
    count: usize,
    size: usize,
    mut take: impl FnMut(&mut &'a [u8]) -> Result<T, BlockError>,
) -> Result<Vec<T>, BlockError> {
    if count > rest.len() / size {
        return Err(BlockError::CutShort);
    }
    (0..count).map(|_| take(rest)).collect()
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, BlockError> {
    let (first, after) = rest.split_first_chunk().ok_or(BlockError::CutShort)?;
    *rest = after;
    Ok(u32::from_le_bytes(*first))
}

fn take_u64(rest: &mut &[u8]) -> Result<u64, BlockError> {
    let (first, after) = rest.split_first_chunk().ok_or(BlockError::CutShort)?;
    *rest = after;
    Ok(u64::from_le_bytes(*first))
}

#[inline]
fn take_varint(rest: &mut &[u8]) -> Result<u64, BlockError> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(BlockError::CutShort)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(BlockError::Impossible)
}
