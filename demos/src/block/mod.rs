//! A table as bytes: what a worker writes into its shared block, and the parent reads from there.
//!
//! A block says which parts of which ranges it covers and what was found there, so that one message publishes both: the
//! words and the fact that they are counted.
//!
//! # Layout (little endian, packed)
//!
//! | part | type | content |
//! |---|---|---|
//! | header | u64 | magic |
//! | | u64 | sum of all counts of the entries |
//! | | 5 × u32 | number of covers, of lossy files, of failures, of long words, of entries |
//! | covers | u32, u64, u64 | range, first byte, one past the last, ascending by range |
//! | lossy files | u32 | number of a file in which a word was not valid UTF-8 |
//! | failures | u32, i32 | number of a file that could not be read, and why: see [`Reason`] |
//! | long words | u32, u64, u64 | number of a file, offset and length in bytes |
//! | entries | varint, bytes, varint | length of a word, the word, its count |
//!
//! A varint is seven bits a byte, the lowest first; the highest bit of a byte says that more follow.
//!
//! The reader trusts none of it: whatever is not exactly so is a [`BlockError`].

mod draft;
mod read;

pub use draft::{Draft, NoRoom};
pub use read::{Block, BlockError, Entries};

use std::io;

const MAGIC: u64 = u64::from_le_bytes(*b"mrblock1");
const HEADER: usize = 36;
const COVER: usize = 20;
const LOSSY: usize = 4;
const FAILURE: usize = 8;
const LONG: usize = 20;

/// Where a long word lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongWord {
    /// The number of its file.
    pub file: u32,
    /// Its first byte there.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
}

/// A file that could not be read, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the file.
    pub file: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The operating system gave this error number, which is above 0.
    Os(i32),
    /// It is not, or no longer, a regular file; stored as 0.
    NotRegular,
    /// It has become shorter than it was when it was found; stored as −1.
    Shorter,
}

impl Reason {
    /// What became of an error of opening or reading.
    #[must_use]
    pub fn of(error: &io::Error) -> Reason {
        match (error.raw_os_error(), error.kind()) {
            (Some(number @ 1..), _) => Reason::Os(number),
            (_, io::ErrorKind::UnexpectedEof) => Reason::Shorter,
            _ => Reason::NotRegular,
        }
    }

    fn to_code(self) -> i32 {
        match self {
            Reason::Os(number) => number,
            Reason::NotRegular => 0,
            Reason::Shorter => -1,
        }
    }

    fn from_code(code: i32) -> Option<Reason> {
        match code {
            1.. => Some(Reason::Os(code)),
            0 => Some(Reason::NotRegular),
            -1 => Some(Reason::Shorter),
            _ => None,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Reason::Os(number) => io::Error::from_raw_os_error(number).fmt(f),
            Reason::NotRegular => f.write_str("it is no regular file any more"),
            Reason::Shorter => f.write_str("it became shorter while it was read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Cover;
    use crate::words::Word;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn draft() -> Draft {
        let mut draft = Draft::default();
        for (word, count) in [("a", 1), ("über", 300), ("a word of more than fifteen bytes", 1 << 40)] {
            draft.counts.add(Word::new(word.as_bytes()), count);
        }
        draft.covers = vec![Cover { range: 7, from: 70, upto: 80 }, Cover { range: 3, from: 30, upto: 35 }];
        draft.lossy = vec![4, 1];
        draft.failed = vec![
            Failure { file: 9, reason: Reason::Os(13) },
            Failure { file: 8, reason: Reason::NotRegular },
            Failure { file: 8, reason: Reason::Shorter },
        ];
        draft.longs = vec![LongWord { file: 2, offset: 1 << 40, len: 100 << 20 }];
        draft
    }

    fn bytes_of(draft: &mut Draft) -> Vec<u8> {
        let mut block = vec![0xaa; draft.bound()];
        let len = draft.write(&mut block).unwrap();
        block.truncate(len);
        block
    }

    fn words(block: Block<'_>) -> Result<BTreeMap<Vec<u8>, u64>, BlockError> {
        block.entries.map(|entry| entry.map(|(word, count)| (word.to_vec(), count))).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut draft = draft();
        let bytes = bytes_of(&mut draft);
        let block = Block::read(&bytes).unwrap();
        assert_eq!(block.covers.iter().map(|cover| cover.range).collect::<Vec<_>>(), [3, 7]);
        assert_eq!((&block.covers, &block.lossy), (&draft.covers, &draft.lossy));
        assert_eq!((&block.failed, &block.longs), (&draft.failed, &draft.longs));
        let words = words(block).unwrap();
        assert_eq!(words.len(), 3);
        assert_eq!(words["über".as_bytes()], 300);
    }

    #[test]
    fn nothing_is_a_block_too() {
        let mut draft = draft();
        draft.clear();
        let bytes = bytes_of(&mut draft);
        assert_eq!(bytes.len(), HEADER);
        assert!(words(Block::read(&bytes).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_block_that_is_too_small_is_an_error() {
        let mut draft = draft();
        let len = bytes_of(&mut draft).len();
        for len in 0..len {
            assert_eq!(draft.write(&mut vec![0; len]), Err(NoRoom { len }));
        }
        assert_eq!(draft.write(&mut vec![0; len]), Ok(len));
    }

    #[test]
    fn cut_short_or_with_more_behind_it_is_an_error() {
        let mut bytes = bytes_of(&mut draft());
        for len in 0..bytes.len() {
            assert!(Block::read(&bytes[..len]).and_then(words).is_err(), "{len}");
        }
        bytes.push(0);
        assert_eq!(Block::read(&bytes).and_then(words), Err(BlockError::Impossible));
    }

    #[test]
    fn each_violated_condition_has_its_error() {
        let entry = |text: &[u8], sum: u64| {
            let mut bytes = [&MAGIC.to_le_bytes()[..], &sum.to_le_bytes(), &[0; 16], &1u32.to_le_bytes()].concat();
            bytes.extend(text);
            Block::read(&bytes).and_then(words).unwrap_err()
        };
        assert_eq!(entry(b"\x01a\x02", 3), BlockError::Sum { expected: 3, found: 2 });
        assert_eq!(entry(b"\x01\xff\x01", 1), BlockError::NotUtf8);
        assert_eq!(entry(b"\x00\x01", 1), BlockError::Impossible);
        assert_eq!(entry(b"\x01a\x00", 0), BlockError::Impossible);
        assert_eq!(entry(b"\xff\xff\xff\x01a\x01", 1), BlockError::Impossible);
        assert_eq!(entry(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1), BlockError::Impossible);
        assert_eq!(entry(b"\x7fa", 1), BlockError::CutShort);
        assert!(matches!(Block::read(b"notablock"), Err(BlockError::NoBlock)));
    }

    proptest! {
        #[test]
        fn any_damage_is_an_error_or_another_block(at: prop::sample::Index, value: u8) {
            let mut bytes = bytes_of(&mut draft());
            let at = at.index(bytes.len());
            bytes[at] = value;
            let _ = Block::read(&bytes).and_then(words);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let bytes = [&MAGIC.to_le_bytes()[..], &bytes].concat();
            let _ = Block::read(&bytes).and_then(words);
        }

        #[test]
        fn the_bound_holds(texts in prop::collection::vec(("[a-z]{1,20}", 1u64..1 << 40), 0..100)) {
            let mut draft = Draft::default();
            for (text, count) in &texts {
                draft.counts.add(Word::new(text.as_bytes()), *count);
            }
            let bound = draft.bound();
            prop_assert!(bytes_of(&mut draft).len() <= bound);
        }
    }
}
