//! Text for tests and measurements: as many distinct words as wanted, in the proportions of natural language.
//!
//! The word of rank *r* comes about 1/*r* as often as the first (Zipf's law). The same seed gives the same text on every
//! machine.

use std::io::{self, Write};

/// Writes about `bytes` bytes of text in which each of `distinct` words occurs at least once.
///
/// # Errors
///
/// What writing returns.
pub fn write(out: &mut impl Write, bytes: u64, distinct: u32, seed: u64) -> io::Result<()> {
    let mut random = Random(seed);
    let (mut line, mut written, mut next_new) = (Vec::new(), 0, 0);
    while written < bytes || next_new < distinct {
        line.clear();
        while line.len() < 72 {
            // Every seventh word is one that has not come yet.
            let rank = if next_new < distinct && random.next().is_multiple_of(7) {
                next_new += 1;
                next_new - 1
            } else {
                random.rank(distinct)
            };
            push_word(&mut line, rank, &mut random);
        }
        *line.last_mut().expect("a line has words") = b'\n';
        out.write_all(&line)?;
        written += line.len() as u64;
    }
    Ok(())
}

/// Appends the word of this rank and a blank: frequent words are short; one in eight is capitalised.
fn push_word(line: &mut Vec<u8>, rank: u32, random: &mut Random) {
    const LETTERS: &[u8; 20] = b"etaoinsrhldcumfpgwyb";
    let start = line.len();
    let mut rest = u64::from(rank) + 1;
    while rest > 0 {
        rest -= 1;
        line.push(LETTERS[(rest % 20) as usize]);
        rest /= 20;
    }
    if random.next().is_multiple_of(8) {
        line[start].make_ascii_uppercase();
    }
    line.push(b' ');
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A rank below `ranks` with a probability near 1/rank: a uniform number as an exponent.
    fn rank(&mut self, ranks: u32) -> u32 {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (f64::from(ranks).powf(uniform) as u32).clamp(1, ranks) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn all_words_and_the_right_length() {
        let mut text = Vec::new();
        write(&mut text, 200_000, 5_000, 1).unwrap();
        assert!((200_000..210_000).contains(&text.len()), "{}", text.len());
        let text = String::from_utf8(text).unwrap().to_lowercase();
        let mut counts = HashMap::new();
        text.split_whitespace().for_each(|word| *counts.entry(word).or_insert(0) += 1);
        assert_eq!(counts.len(), 5_000);
        assert!(counts["e"] > 10 * counts["ee"]);
    }

    #[test]
    fn the_seed_decides() {
        let text = |seed| {
            let mut text = Vec::new();
            write(&mut text, 1000, 10, seed).unwrap();
            text
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
