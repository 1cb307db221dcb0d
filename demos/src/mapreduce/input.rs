//! What is to be counted, and how it is cut into ranges.

use std::ops::Range;

use crate::catalogue::{self, Catalogue, CatalogueError, Content};
use crate::ledger;
use crate::walk::Found;

/// Ranges for each worker, so that no one has much left when the others are done.
const RANGES_EACH: u64 = 16;
/// A range is worth its orders and reports.
const RANGE_MIN: u64 = 64 << 10;
/// A range is not much work to lose.
const RANGE_MAX: u64 = 4 << 20;

/// What to count.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// These files.
    Files(&'a [Found]),
    /// These texts, each a range of its own.
    Texts(&'a [&'a str]),
}

impl Input<'_> {
    /// The bytes of its catalogue.
    pub(super) fn catalogue(&self) -> Result<Vec<u8>, CatalogueError> {
        match self {
            Input::Files(files) => catalogue::build(files.iter().map(|file| (Content::File(&file.path), file.len))),
            Input::Texts(texts) => {
                catalogue::build(texts.iter().map(|text| (Content::Text(text.as_bytes()), text.len() as u64)))
            }
        }
    }

    /// The ranges of its line.
    pub(super) fn ranges(&self, catalogue: &Catalogue<'_>, workers: u32) -> Result<Vec<Range<u64>>, CatalogueError> {
        match self {
            Input::Files(_) => {
                let line = 0..catalogue.line_len()?;
                let size = (line.end / (RANGES_EACH * u64::from(workers))).clamp(RANGE_MIN, RANGE_MAX);
                Ok(ledger::cut(line, size).collect())
            }
            Input::Texts(_) => {
                let piece = |index| catalogue.get(index).map(|piece| piece.start..piece.start + piece.len);
                (0..catalogue.count()).map(piece).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(input: Input<'_>, workers: u32) -> Vec<Range<u64>> {
        let bytes = input.catalogue().unwrap();
        input.ranges(&Catalogue::open(&bytes).unwrap(), workers).unwrap()
    }

    #[test]
    fn texts_are_ranges() {
        assert_eq!(ranges(Input::Texts(&["one", "", "three"]), 9), [0..3, 3..8]);
        assert_eq!(ranges(Input::Texts(&[]), 1), []);
    }

    #[test]
    fn files_are_cut_and_joined() {
        let file = |len| Found { path: "x".into(), len };
        assert_eq!(ranges(Input::Files(&[file(1 << 16), file(0), file(1000)]), 2), [0..1 << 16, 1 << 16..66_536]);
        assert_eq!(ranges(Input::Files(&[file(1 << 30)]), 2).len(), 256);
        assert_eq!(ranges(Input::Files(&[file(10 << 20)]), 4).len(), 64);
        assert_eq!(ranges(Input::Files(&[file(0)]), 4), []);
    }
}
