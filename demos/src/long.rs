//! Words that are too long for a table.
//!
//! A worker that meets a word of more than [`LONG`] bytes does not keep it: it publishes where the word lies, and the
//! parent reads it again from there, in pieces. So no buffer, table or block grows with the longest word of a text; only
//! the one final copy does.
//!
//! Lowering in pieces needs cuts that change nothing. A cut is safe where a lossy decoder starts a new character, and
//! where neither neighbour is a sigma (whose lower case depends on what surrounds it) nor a character that the final-sigma
//! rule looks through (case-ignorable: apostrophes, combining marks).

use std::io;

use crate::ranges::Source;
use crate::words;

/// Words of more bytes than this, as they stand in the file, are long.
pub const LONG: usize = 64 * 1024;

/// The most bytes that the final form of a word can have that is not long: each invalid byte becomes three, and no lower
/// case grows by more than half.
pub const TEXT_MAX: usize = 3 * LONG;

/// Reads the word of `len` bytes at `offset`; its final form, and whether it held invalid UTF-8.
///
/// # Errors
///
/// What reading returns; `UnexpectedEof` if the file has become shorter.
pub fn read_long(source: &impl Source, offset: u64, len: u64) -> io::Result<(String, bool)> {
    read_in_pieces(source, offset, len, LONG)
}

fn read_in_pieces(source: &impl Source, offset: u64, len: u64, piece: usize) -> io::Result<(String, bool)> {
    let (mut whole, mut lossy) = (String::new(), false);
    let (mut raw, mut part) = (Vec::new(), String::new());
    let mut done = 0;
    while done < len {
        let start = raw.len();
        raw.resize(start + piece.min((len - done) as usize), 0);
        let n = source.read_at(&mut raw[start..], offset + done)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        raw.truncate(start + n);
        done += n as u64;
        let cut = if done == len { raw.len() } else { last_safe_cut(&raw) };
        lossy |= words::lower(&raw[..cut], &mut part);
        whole.push_str(&part);
        raw.drain(..cut);
    }
    Ok((whole, lossy))
}

/// The last place where `raw` may be cut; 0 if there is none.
fn last_safe_cut(raw: &[u8]) -> usize {
    // The character after the cut must be seen whole: four bytes.
    (1..raw.len().saturating_sub(3)).rev().find(|&at| starts_character(raw, at) && is_safe(raw, at)).unwrap_or(0)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Whether a lossy decoder starts anew at `at`: at no continuation byte, or at one that no lead byte can claim.
fn starts_character(raw: &[u8], at: usize) -> bool {
    !is_continuation(raw[at]) || (at >= 4 && raw[at - 4..at].iter().all(|&byte| is_continuation(byte)))
}

fn is_safe(raw: &[u8], at: usize) -> bool {
    let before = String::from_utf8_lossy(&raw[at.saturating_sub(4)..at]);
    let after = String::from_utf8_lossy(&raw[at..at + 4]);
    before.chars().next_back().is_some_and(is_solid) && after.chars().next().is_some_and(is_solid)
}

/// Whether the final-sigma rule stops at this character, and it is no sigma itself.
fn is_solid(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    // A sigma asks the next character that it does not look through whether it is a letter with case. So `c` is looked
    // through exactly if what follows it decides.
    let is_final = |text: String| text.to_lowercase().contains('ς');
    c != 'Σ' && is_final(format!("AΣ{c}")) == is_final(format!("AΣ{c}A"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_one(raw: &[u8]) -> (String, bool) {
        let mut out = String::new();
        let lossy = words::lower(raw, &mut out);
        (out, lossy)
    }

    #[test]
    fn solid_characters() {
        for c in "aZ0éж漢σς\u{fffd}".chars() {
            assert!(is_solid(c), "{c:?}");
        }
        for c in "Σ'.:^`\u{301}\u{ad}\u{2019}\u{345}".chars() {
            assert!(!is_solid(c), "{c:?}");
        }
    }

    #[test]
    fn a_run_without_a_safe_cut_is_kept_together() {
        let word = format!("A{}Σ{}A", "'".repeat(100), "\u{301}".repeat(100));
        assert_eq!(read_in_pieces(&word.as_bytes(), 0, word.len() as u64, 8).unwrap(), in_one(word.as_bytes()));
    }

    #[test]
    fn stray_continuation_bytes_do_not_pile_up() {
        let raw = [0x80; 64];
        assert!(last_safe_cut(&raw) > 50);
        assert_eq!(read_in_pieces(&&raw[..], 0, 64, 8).unwrap(), in_one(&raw));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let error = read_long(&&b"abc"[..], 0, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    fn raw_word() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => "[a-zA-Z0-9'.]{1,4}".prop_map(String::into_bytes),
            3 => prop::sample::select(vec!["Σ", "σ", "'", "\u{301}", "Ж", "漢", "😀", "İ", "\u{fffd}"])
                .prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(prop_oneof![Just(0x80), Just(0xe2), Just(0xf0), 0x80..=0xffu8], 1..6),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_word(raw in raw_word(), piece in 1usize..20) {
            prop_assert_eq!(read_in_pieces(&&raw[..], 0, raw.len() as u64, piece).unwrap(), in_one(&raw));
        }
    }
}
