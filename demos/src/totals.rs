//! All words of a run, with those too long for a table.

use std::collections::HashMap;

use crate::counts::{Counts, Text, by_rank};
use crate::long::TEXT_MAX;
use crate::words::Word;

/// The sum of everything that was published.
#[derive(Default)]
pub struct Totals {
    counts: Counts,
    /// Words whose final form has more than `TEXT_MAX` bytes. What a file holds as a long word may have a shorter one, and
    /// is in the table then: each word is in one place only.
    long: HashMap<String, u64>,
}

impl Totals {
    /// Counts a word of at most [`TEXT_MAX`] bytes.
    #[inline]
    pub fn add(&mut self, word: &[u8], by: u64) {
        self.counts.add(Word::new(word), by);
    }

    /// Counts a word of any length once.
    pub fn add_long(&mut self, word: String) {
        if word.len() <= TEXT_MAX {
            self.add(word.as_bytes(), 1);
        } else {
            *self.long.entry(word).or_default() += 1;
        }
    }

    /// Distinct words.
    #[must_use]
    pub fn distinct(&mut self) -> u64 {
        (self.counts.distinct() + self.long.len()) as u64
    }

    /// All words, added up from the counts of each.
    #[must_use]
    pub fn sum(&mut self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum::<u64>() + self.long.values().sum::<u64>()
    }

    /// The first `k` words: by count, the highest first, then by their bytes.
    #[must_use]
    pub fn top(&mut self, k: usize) -> Vec<(String, u64)> {
        let text = |text: Text<'_>| String::from_utf8_lossy(text.bytes()).into_owned();
        let mut top: Vec<_> = self.counts.top(k).into_iter().map(|(word, count)| (text(word), count)).collect();
        top.extend(self.long.iter().map(|(word, count)| (word.clone(), *count)));
        top.sort_unstable_by(|(a, m), (b, n)| by_rank(a.as_bytes(), *m, b.as_bytes(), *n));
        top.truncate(k);
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_have_their_place_in_the_order() {
        let long = "x".repeat(TEXT_MAX + 1);
        let mut totals = Totals::default();
        totals.add(b"often", 3);
        totals.add(b"y", 2);
        totals.add_long(long.clone());
        totals.add_long(long.clone());
        let expected = [("often".to_string(), 3), (long, 2), ("y".to_string(), 2)];
        for k in 0..=4 {
            assert_eq!(totals.top(k), expected[..k.min(3)]);
        }
        assert_eq!((totals.distinct(), totals.sum()), (3, 7));
    }

    #[test]
    fn a_word_is_in_one_place_however_it_came() {
        let mut totals = Totals::default();
        totals.add(b"word", 1);
        totals.add_long("word".to_string());
        assert_eq!((totals.distinct(), totals.top(1)), (1, vec![("word".to_string(), 2)]));
    }
}
