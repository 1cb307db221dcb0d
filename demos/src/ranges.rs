//! The words of a byte range of a file.
//!
//! **A word belongs to the range in which its first byte lies.** So ranges that touch give every word to exactly one of
//! them, wherever they are cut: inside a word, a UTF-8 sequence or a white-space character. Two things follow:
//!
//! - A reader must know whether a word *starts* at its first byte. White space is at most three bytes long, so three bytes
//!   of context decide that: reading starts there, and words that start before the range are skipped. (The first of these
//!   three may be the rest of a character; what is made of it starts before the range too.)
//! - A reader goes on beyond its end until its last word is complete, and a reader whose whole range lies inside one word
//!   stops at its end.
//!
//! # Memory
//!
//! One buffer, whatever the file holds. A word that reaches the end of the buffer is moved to its front and continued;
//! once it is longer than [`Limits::long`] its bytes are dropped and only its length is followed, see [`crate::long`].
//! White space is never kept.
//!
//! # Files that change
//!
//! A range is read with positioned reads, never through a mapping, which a shrinking file would turn into a SIGBUS. A file
//! that ends before its range does is [`RangeError::Shorter`]; the words up to there have been handed out. What was
//! appended after the range was made is read only to complete its last word.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::long::LONG;
use crate::words::{self, PADDING, Word};

/// Bytes at known places: a file, or a slice.
pub trait Source {
    /// Reads some bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    ///
    /// What the operating system returns.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Source for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Source for &[u8] {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// Sizes of the buffer and of what fits into it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the buffer; more than `long` by at least 3.
    pub buffer: usize,
    /// Words of more bytes than this are followed, not kept (and a few of just this length, where the end of the buffer
    /// cuts the white space behind them). At least 2: so much of a white-space character may look like a word.
    pub long: usize,
}

impl Limits {
    /// What the programs use.
    pub const STANDARD: Limits = Limits { buffer: 4 * LONG, long: LONG };
}

/// What a range holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A word in its final form.
    Word(Word<'a>),
    /// The same, of a word that held invalid UTF-8.
    Replaced(Word<'a>),
    /// A word of this many bytes: too many for the buffer, see [`Limits::long`].
    Long(u64),
}

/// Why a range could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum RangeError<E> {
    /// Reading failed.
    #[error("{0}")]
    Read(io::Error),
    /// The file ends before the range does.
    #[error("the file has become shorter: it ends at byte {end}")]
    Shorter {
        /// Where it ends.
        end: u64,
    },
    /// Whoever was given the words refused one.
    #[error("{0}")]
    Refused(E),
}

/// Reads ranges, one after another, through one buffer.
pub struct Reader {
    buffer: Box<[u8]>,
    text: String,
    limits: Limits,
    /// Offset in the file of `buffer[0]`.
    base: u64,
    /// Bytes of the buffer that come from the file; a space and padding follow them.
    filled: usize,
    /// Whether the file ends after `filled`.
    at_end: bool,
}

impl Reader {
    /// A reader with a buffer of `limits.buffer` bytes.
    ///
    /// # Panics
    ///
    /// If the limits are not as their fields say.
    #[must_use]
    pub fn new(limits: Limits) -> Reader {
        assert!(limits.long >= 2 && limits.buffer >= limits.long.saturating_add(3), "these limits leave no room");
        let buffer = vec![0; limits.buffer + 1 + PADDING].into_boxed_slice();
        Reader { buffer, text: String::new(), limits, base: 0, filled: 0, at_end: false }
    }

    /// Hands every word that starts in `range` to `each`, with the offset of its first byte, in order.
    ///
    /// # Errors
    ///
    /// Reading failed, the file has become shorter, or `each` returned an error.
    pub fn read<E>(
        &mut self,
        source: &impl Source,
        range: Range<u64>,
        mut each: impl FnMut(u64, Found<'_>) -> Result<(), E>,
    ) -> Result<(), RangeError<E>> {
        self.base = range.start.saturating_sub(3);
        (self.filled, self.at_end) = (0, false);
        let mut at = 0;
        if range.is_empty() {
            return Ok(());
        }
        loop {
            self.fill(source, &range).map_err(RangeError::Read)?;
            at = self.scan(at, &range, &mut each).map_err(RangeError::Refused)?;
            if self.at_end || self.base + at as u64 >= range.end {
                break;
            }
            if self.filled - at > self.limits.long {
                let start = self.base + at as u64;
                at = self.follow(source, start, &range).map_err(RangeError::Read)?;
                if start >= range.start {
                    let len = self.base + at as u64 - start;
                    each(start, Found::Long(len)).map_err(RangeError::Refused)?;
                }
            }
            self.drop_front(at);
            at = 0;
        }
        let end = self.base + self.filled as u64;
        if end < range.end { Err(RangeError::Shorter { end }) } else { Ok(()) }
    }

    /// Hands out the words from `buffer[at]` on. Returns where the first word starts that is incomplete or beyond the
    /// range, or the end of the buffer.
    fn scan<E>(
        &mut self,
        mut at: usize,
        range: &Range<u64>,
        each: &mut impl FnMut(u64, Found<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        // A word that touches the end of the buffer is complete only at the end of the file.
        let complete = if self.at_end { self.filled + 1 } else { self.filled };
        let stop = range.end.saturating_sub(self.base).min(self.filled as u64) as usize;
        loop {
            at = words::skip_space(&self.buffer[..self.filled], at);
            if at >= stop {
                return Ok(at);
            }
            let offset = self.base + at as u64;
            let end = match words::short_at(&self.buffer, at) {
                Some((end, _)) if end >= complete => return Ok(at),
                Some((end, short)) => {
                    if offset >= range.start {
                        each(offset, Found::Word(Word::Short(short)))?;
                    }
                    end
                }
                None => {
                    let end = words::find_space(&self.buffer[..=self.filled], at);
                    if end >= complete {
                        return Ok(at);
                    }
                    if offset >= range.start {
                        self.other_word(at..end, each)?;
                    }
                    end
                }
            };
            at = end;
        }
    }

    /// Hands out a word that is not short, or not ASCII.
    fn other_word<E>(
        &mut self,
        at: Range<usize>,
        each: &mut impl FnMut(u64, Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let offset = self.base + at.start as u64;
        if at.len() > self.limits.long {
            return each(offset, Found::Long(at.len() as u64));
        }
        let replaced = words::lower(&self.buffer[at], &mut self.text);
        let word = Word::new(self.text.as_bytes());
        each(offset, if replaced { Found::Replaced(word) } else { Found::Word(word) })
    }

    /// Follows the word that began at `start` and fills the buffer. Returns the place of its end in the buffer, or, for
    /// the word of an earlier range, any place at the end of `range` or later.
    fn follow(&mut self, source: &impl Source, start: u64, range: &Range<u64>) -> io::Result<usize> {
        loop {
            // White space may be cut by the end of the buffer: its first two bytes stay.
            self.drop_front(self.filled.saturating_sub(2));
            self.fill(source, range)?;
            let end = words::find_space(&self.buffer[..self.filled], 0);
            let other_range = start < range.start && self.base + end as u64 >= range.end;
            if end < self.filled || self.at_end || other_range {
                return Ok(end);
            }
        }
    }

    /// Forgets the bytes before `at`.
    fn drop_front(&mut self, at: usize) {
        self.buffer.copy_within(at..self.filled, 0);
        self.base += at as u64;
        self.filled -= at;
    }

    /// Reads once, but not much beyond the end of the range; then closes the buffer with a space.
    fn fill(&mut self, source: &impl Source, range: &Range<u64>) -> io::Result<()> {
        const BEYOND: u64 = 4096;
        let place = self.base + self.filled as u64;
        let wanted = (range.end.saturating_sub(place) + BEYOND).min((self.limits.buffer - self.filled) as u64) as usize;
        if wanted == 0 {
            return Ok(()); // a full buffer says nothing about the file
        }
        let n = source.read_at(&mut self.buffer[self.filled..self.filled + wanted], place)?;
        self.at_end = n == 0;
        self.filled += n;
        self.buffer[self.filled] = b' ';
        Ok(())
    }
}
