//! All files laid end to end on one line of bytes, so that a range of the whole input is two numbers.
//!
//! The parent builds it as bytes and puts them into shared memory once; every worker looks up there which file an offset
//! lies in. What it reads is checked like any other input: a damaged catalogue is a typed error.
//!
//! # Layout (little endian, packed)
//!
//! | offset | type | name |
//! |---|---|---|
//! | 0 | u64 | magic |
//! | 8 | u64 | pieces |
//! | 16 + 28 i | u64 | start of piece i on the line; the first starts at 0 |
//! | 24 + 28 i | u64 | its length, at least 1 |
//! | 32 + 28 i | u64 | where its name is, from the start of the bytes |
//! | 40 + 28 i | u32 | length of the name; for a text, `TEXT` is set and the name is the text itself |
//!
//! Empty files are left out: there is nothing to read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAGIC: u64 = u64::from_le_bytes(*b"catalog1");
const HEADER: usize = 16;
const ENTRY: usize = 28;
/// The piece is a text, not a file.
const TEXT: u32 = 1 << 31;

/// Where the bytes of a piece come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A file.
    File(&'a Path),
    /// These bytes.
    Text(&'a [u8]),
}

/// A file or a text, and its place on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Its number.
    pub index: u32,
    /// Where its first byte lies on the line.
    pub start: u64,
    /// How many bytes of the line it covers.
    pub len: u64,
    /// Where they come from.
    pub content: Content<'a>,
}

/// Why a catalogue cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// The bytes do not start like a catalogue.
    #[error("these bytes are no catalogue")]
    NoCatalogue,
    /// An entry points out of the bytes, or does not continue the line.
    #[error("entry {index} of the catalogue is damaged")]
    Damaged {
        /// Which one.
        index: u32,
    },
    /// No piece covers this byte of the line.
    #[error("byte {offset} is not in the catalogue")]
    Beyond {
        /// The byte.
        offset: u64,
    },
    /// More than 2^31 pieces, or a name of 2^31 bytes.
    #[error("too much for one catalogue")]
    TooLarge,
}

/// Lays pieces of these lengths end to end; empty ones are left out.
///
/// # Errors
///
/// `TooLarge`.
pub fn build<'a>(pieces: impl Iterator<Item = (Content<'a>, u64)> + Clone) -> Result<Vec<u8>, CatalogueError> {
    let pieces = pieces.filter(|&(_, len)| len > 0);
    let count = pieces.clone().count();
    u32::try_from(count).ok().filter(|&count| count < TEXT).ok_or(CatalogueError::TooLarge)?;
    let mut bytes = [MAGIC, count as u64].map(u64::to_le_bytes).concat();
    let (mut start, mut names_at) = (0u64, HEADER + ENTRY * count);
    for (content, len) in pieces.clone() {
        let (name, kind) = name_of(content);
        let name_len = u32::try_from(name.len()).ok().filter(|&len| len < TEXT).ok_or(CatalogueError::TooLarge)?;
        bytes.extend([start, len, names_at as u64].map(u64::to_le_bytes).concat());
        bytes.extend((name_len | kind).to_le_bytes());
        start = start.checked_add(len).ok_or(CatalogueError::TooLarge)?;
        names_at += name.len();
    }
    for (content, _) in pieces {
        bytes.extend(name_of(content).0);
    }
    Ok(bytes)
}

fn name_of(content: Content<'_>) -> (&[u8], u32) {
    match content {
        Content::File(path) => (path.as_os_str().as_bytes(), 0),
        Content::Text(text) => (text, TEXT),
    }
}

/// A catalogue as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> Catalogue<'a> {
    /// Checks the start of the bytes; entries are checked as they are used.
    ///
    /// # Errors
    ///
    /// `NoCatalogue`.
    pub fn open(bytes: &'a [u8]) -> Result<Catalogue<'a>, CatalogueError> {
        let count = u64_at(bytes, 8).and_then(|count| u32::try_from(count).ok());
        match (u64_at(bytes, 0), count) {
            (Some(MAGIC), Some(count)) if (bytes.len() - HEADER) / ENTRY >= count as usize => {
                Ok(Catalogue { bytes, count })
            }
            _ => Err(CatalogueError::NoCatalogue),
        }
    }

    /// How many pieces there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The length of the line.
    ///
    /// # Errors
    ///
    /// `Damaged`.
    pub fn line_len(&self) -> Result<u64, CatalogueError> {
        let Some(last) = self.count.checked_sub(1) else { return Ok(0) };
        self.get(last).map(|piece| piece.start + piece.len)
    }

    /// The piece that covers this byte of the line.
    ///
    /// # Errors
    ///
    /// `Beyond` if none does; `Damaged`.
    pub fn at(&self, offset: u64) -> Result<Piece<'a>, CatalogueError> {
        // The last entry that starts at or before the offset lies between `low` and `high`.
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle)?.start <= offset { low = middle + 1 } else { high = middle }
        }
        let index = low.checked_sub(1).ok_or(CatalogueError::Beyond { offset })?;
        let piece = self.get(index)?;
        if offset < piece.start {
            return Err(CatalogueError::Damaged { index });
        }
        if offset - piece.start < piece.len { Ok(piece) } else { Err(CatalogueError::Beyond { offset }) }
    }

    /// The piece of this number.
    ///
    /// # Errors
    ///
    /// `Damaged`, also if there is none.
    pub fn get(&self, index: u32) -> Result<Piece<'a>, CatalogueError> {
        self.entry(index).ok_or(CatalogueError::Damaged { index })
    }

    fn entry(&self, index: u32) -> Option<Piece<'a>> {
        let at = HEADER + ENTRY * index as usize;
        let (start, len) = (u64_at(self.bytes, at)?, u64_at(self.bytes, at + 8)?);
        let name_at = usize::try_from(u64_at(self.bytes, at + 16)?).ok()?;
        let kind_and_len = u32::from_le_bytes(*self.bytes.get(at + 24..)?.first_chunk()?);
        let name = self.bytes.get(name_at..)?.get(..(kind_and_len & !TEXT) as usize)?;
        let content = if kind_and_len & TEXT != 0 {
            Content::Text(name)
        } else {
            Content::File(Path::new(OsStr::from_bytes(name)))
        };
        start.checked_add(len)?;
        (index < self.count && len > 0).then_some(Piece { index, start, len, content })
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let file = |name| Content::File(Path::new(name));
        build([(file("a"), 3), (file("empty"), 0), (Content::Text(b"four"), 4), (file("c/d"), 1)].into_iter()).unwrap()
    }

    #[test]
    fn every_byte_of_the_line_has_its_piece() {
        let bytes = sample();
        let catalogue = Catalogue::open(&bytes).unwrap();
        let indices: Vec<_> = (0..8).map(|offset| catalogue.at(offset).unwrap().index).collect();
        assert_eq!(indices, [0, 0, 0, 1, 1, 1, 1, 2]);
        assert_eq!(catalogue.at(5).unwrap(), Piece { index: 1, start: 3, len: 4, content: Content::Text(b"four") });
        assert_eq!(catalogue.at(7).unwrap().content, Content::File(Path::new("c/d")));
        assert_eq!((catalogue.line_len(), catalogue.count()), (Ok(8), 3));
        assert_eq!(catalogue.at(8), Err(CatalogueError::Beyond { offset: 8 }));
    }

    #[test]
    fn an_empty_line() {
        let bytes = build([].into_iter()).unwrap();
        let catalogue = Catalogue::open(&bytes).unwrap();
        assert_eq!((catalogue.line_len(), catalogue.at(0)), (Ok(0), Err(CatalogueError::Beyond { offset: 0 })));
    }

    #[test]
    fn cut_short_anywhere_it_is_an_error() {
        let bytes = sample();
        for len in 0..bytes.len() {
            let result = Catalogue::open(&bytes[..len]).and_then(|catalogue| catalogue.get(2));
            assert!(result.is_err(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            count in 0u64..8,
            offset: u64,
        ) {
            if bytes.len() >= HEADER {
                bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
                bytes[8..16].copy_from_slice(&count.to_le_bytes());
            }
            if let Ok(catalogue) = Catalogue::open(&bytes) {
                let _ = (catalogue.at(offset), catalogue.line_len());
            }
        }
    }
}
