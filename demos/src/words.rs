//! Words, straight from bytes: what separates them, their lower case, and what becomes of invalid UTF-8.
//!
//! A word is a longest run without Unicode white space (`char::is_whitespace`), read lossily and in lower case. Python's
//! `str.split()` also splits at U+001C to U+001F, which Unicode does not call white space; neither do we.
//!
//! # Why bytes are enough
//!
//! Every white-space character is ASCII or starts with a UTF-8 lead byte (C2, E1, E2, E3). A lossy decoder starts a new
//! character at every lead byte, whatever came before, so one of the byte patterns in [`space_at`] *is* that character
//! wherever it stands, in valid and in invalid text. Splitting first and decoding each word afterwards is therefore the
//! same as decoding everything and splitting then, and a split needs no more than three bytes of context.
//!
//! # The fast path
//!
//! Most words are ASCII and shorter than 16 bytes. [`short_at`] finds the end of such a word, lowers it and packs it into
//! two registers, eight bytes at a time. What it declines goes through [`find_space`] and [`lower`].
//!
//! Both want a buffer that ends in a space followed by [`PADDING`] readable bytes: then no loop asks for the end.

use std::borrow::Cow;

/// Bytes that must be readable after the closing space of a buffer.
pub const PADDING: usize = 16;

/// The longest word that is packed into two registers.
pub const SHORT_MAX: usize = 15;

/// A word of at most [`SHORT_MAX`] bytes: the text padded with zeros, and its length in the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Bytes 0 to 7, the first in the lowest bits.
    pub lo: u64,
    /// Bytes 8 to 14; the length in the highest byte.
    pub hi: u64,
}

impl Short {
    /// Packs `text`; `None` if it is longer than [`SHORT_MAX`].
    #[must_use]
    pub fn pack(text: &[u8]) -> Option<Short> {
        if text.len() > SHORT_MAX {
            return None;
        }
        let mut bytes = [0; 16];
        bytes[..text.len()].copy_from_slice(text);
        bytes[15] = text.len() as u8;
        Some(Short::from_bytes(bytes))
    }

    fn from_bytes(bytes: [u8; 16]) -> Short {
        let both = u128::from_le_bytes(bytes);
        Short { lo: both as u64, hi: (both >> 64) as u64 }
    }

    /// The packed form: the text, zeros, and the length as the last byte.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.lo) | u128::from(self.hi) << 64).to_le_bytes()
    }
}

/// A word in its final form: valid UTF-8, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// At most [`SHORT_MAX`] bytes.
    Short(Short),
    /// More than that.
    Text(&'a [u8]),
}

impl<'a> Word<'a> {
    /// The word whose final form is `text`.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Word<'a> {
        Short::pack(text).map_or(Word::Text(text), Word::Short)
    }
}

/// The length of the white-space character that starts at `bytes[at]`, or 0 if none does.
#[inline]
#[must_use]
pub fn space_at(bytes: &[u8], at: usize) -> usize {
    let Some(rest) = bytes.get(at..) else { return 0 };
    match rest {
        [b' ' | b'\t'..=b'\r', ..] => 1,
        [0..=0xc1, ..] => 0,
        [0xc2, 0x85 | 0xa0, ..] => 2,                            // U+0085, U+00A0
        [0xe1, 0x9a, 0x80, ..] => 3,                             // U+1680
        [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..] => 3, // U+2000..U+200A, U+2028, U+2029, U+202F
        [0xe2, 0x81, 0x9f, ..] | [0xe3, 0x80, 0x80, ..] => 3,    // U+205F, U+3000
        _ => 0,
    }
}

/// The first position at or after `at` that is not white space.
#[inline]
#[must_use]
pub fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match space_at(bytes, at) {
            0 => return at,
            n => at += n,
        }
    }
}

/// The first position at or after `at` where white space starts, or the length of `bytes`.
#[must_use]
pub fn find_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = eight_at(bytes, at) {
        let stops = space_flags(eight) | (eight & HIGH_BITS);
        at += first_byte(stops);
        // Not all that stops the search is white space: a byte above 7F may be part of a letter.
        while bytes.get(at).is_some_and(|&byte| byte > 0x7f) && space_at(bytes, at) == 0 {
            at += 1;
        }
        if space_at(bytes, at) != 0 {
            return at;
        }
    }
    while at < bytes.len() && space_at(bytes, at) == 0 {
        at += 1;
    }
    at
}

/// The word that starts at `bytes[at]` and its end, if it is ASCII and short; `None` says nothing about it.
///
/// `bytes[at]` must not be white space.
#[inline]
#[must_use]
pub fn short_at(bytes: &[u8], at: usize) -> Option<(usize, Short)> {
    let lo = eight_at(bytes, at)?;
    let stops = space_flags(lo) | (lo & HIGH_BITS);
    if stops != 0 {
        let len = first_byte(stops);
        if byte(lo, len) > 0x7f {
            return None;
        }
        return Some((at + len, Short { lo: lower_ascii(keep(lo, len)), hi: (len as u64) << 56 }));
    }
    let hi = eight_at(bytes, at + 8)?;
    let stops = space_flags(hi) | (hi & HIGH_BITS);
    if stops == 0 {
        return None;
    }
    let len = first_byte(stops);
    if byte(hi, len) > 0x7f {
        return None;
    }
    let hi = lower_ascii(keep(hi, len)) | (len as u64 + 8) << 56;
    Some((at + 8 + len, Short { lo: lower_ascii(lo), hi }))
}

/// Replaces `out` by the lower-case text of one word; true if it held invalid UTF-8.
///
/// The context of a final sigma is the word, as it is for Python's `word.lower()`.
pub fn lower(raw: &[u8], out: &mut String) -> bool {
    out.clear();
    let text = String::from_utf8_lossy(raw);
    if text.is_ascii() {
        out.push_str(&text);
        out.make_ascii_lowercase();
    } else if text.contains('Σ') {
        // The one letter whose lower case depends on its neighbours.
        out.push_str(&text.to_lowercase());
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
    // Only a replacement makes it allocate.
    matches!(text, Cow::Owned(_))
}

// Eight bytes in a register. All of it is exact: no carry crosses a byte.

const HIGH_BITS: u64 = every(0x80);

const fn every(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

#[inline]
fn eight_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The index of the first flagged byte; 8 if none is.
#[inline]
fn first_byte(flags: u64) -> usize {
    flags.trailing_zeros() as usize / 8
}

#[inline]
fn byte(eight: u64, index: usize) -> u8 {
    (eight >> (8 * index)) as u8
}

/// The first `len` bytes (fewer than 8), the rest zero.
#[inline]
fn keep(eight: u64, len: usize) -> u64 {
    eight & ((1 << (8 * len)) - 1)
}

/// The high bit of every byte that is ASCII white space: 20, or 09 to 0D.
#[inline]
fn space_flags(eight: u64) -> u64 {
    let low = eight & !HIGH_BITS;
    let not_blank = (low ^ every(b' ')) + every(0x7f);
    let from_tab = low + every(0x80 - b'\t');
    let past_return = low + every(0x80 - b'\r' - 1);
    (!not_blank | (from_tab & !past_return)) & !eight & HIGH_BITS
}

/// The lower case of eight bytes that are all ASCII.
#[inline]
fn lower_ascii(eight: u64) -> u64 {
    let from_a = eight + every(0x80 - b'A');
    let past_z = eight + every(0x80 - b'Z' - 1);
    eight | (from_a & !past_z & HIGH_BITS) >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        bytes.push(b' ');
        bytes.resize(bytes.len() + PADDING, 0);
        bytes
    }

    #[test]
    fn white_space_is_what_char_says() {
        for c in '\0'..=char::MAX {
            let mut utf8 = [0; 4];
            let bytes = c.encode_utf8(&mut utf8).as_bytes();
            let expected = if c.is_whitespace() { bytes.len() } else { 0 };
            assert_eq!(space_at(bytes, 0), expected, "{c:?}");
        }
    }

    #[test]
    fn space_at_survives_any_end() {
        assert_eq!(space_at(b"", 0), 0);
        assert_eq!(space_at(b"a", 7), 0);
        assert_eq!(space_at(&[0xe2, 0x80], 0), 0);
        assert_eq!(space_at(&[0xc2], 0), 0);
    }

    #[test]
    fn every_byte_is_classified_in_every_place() {
        for value in 0..=255u8 {
            for place in 0..8 {
                let mut bytes = [b'x'; 8];
                bytes[place] = value;
                let eight = u64::from_le_bytes(bytes);
                let expected = u64::from(matches!(value, b' ' | 9..=13)) << (8 * place + 7);
                assert_eq!(space_flags(eight), expected, "{value:#x} at {place}");
                if value < 0x80 {
                    bytes.make_ascii_lowercase();
                    assert_eq!(lower_ascii(eight), u64::from_le_bytes(bytes), "{value:#x} at {place}");
                }
            }
        }
    }

    #[test]
    fn short_words_of_every_length() {
        let text = b"ABCdefghiJKLMNOpq";
        for len in 1..=text.len() {
            let found = short_at(&padded(&text[..len]), 0);
            let expected = Short::pack(&text[..len].to_ascii_lowercase()).map(|short| (len, short));
            assert_eq!(found, expected, "{len}");
        }
    }

    #[test]
    fn a_short_word_with_any_other_letter_is_declined() {
        for text in ["é", "abcé", "abcdefgé", "abcdefghijé", "abc\u{a0}"] {
            assert_eq!(short_at(&padded(text.as_bytes()), 0), None, "{text}");
        }
        // Behind its end anything may follow.
        assert_eq!(short_at(&padded("abc é".as_bytes()), 0).unwrap().0, 3);
    }

    #[test]
    fn a_zero_byte_is_part_of_a_word() {
        assert_ne!(Short::pack(b"a"), Short::pack(b"a\0"));
        let (end, short) = short_at(&padded(b"a\0b"), 0).unwrap();
        assert_eq!((end, Some(short)), (3, Short::pack(b"a\0b")));
    }

    #[test]
    fn packing_comes_back() {
        let bytes = Short::pack(b"fifteen letters").unwrap().to_bytes();
        assert_eq!(&bytes[..bytes[15] as usize], b"fifteen letters");
        assert_eq!(Word::new(b"sixteen letters!"), Word::Text(b"sixteen letters!"));
    }

    #[test]
    fn the_end_of_a_long_word() {
        for text in ["a", "ÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿ", "abcdefghijklmnopqrstuvwxyz", "zażółć gęślą jaźń"]
        {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            assert_eq!(find_space(text.as_bytes(), 0), end);
            assert_eq!(find_space(&padded(text.as_bytes()), 0), end);
            assert_eq!(find_space(format!("{text}\u{3000}{text}{text}").as_bytes(), 0), end);
        }
    }

    #[test]
    fn lower_case_is_that_of_the_word() {
        let mut out = String::new();
        for word in ["PYTHON", "ὈδυσσεύΣ", "ΑΣ", "Σ", "ΑΣΑ", "Straße", "İstanbul", "ȺȾ", "ǅ", "Ⅷ"]
        {
            assert!(!lower(word.as_bytes(), &mut out));
            assert_eq!(out, word.to_lowercase());
        }
        assert_eq!(
            {
                lower("ΟΔΟΣ".as_bytes(), &mut out);
                out.as_str()
            },
            "οδος"
        );
    }

    #[test]
    fn invalid_bytes_are_replaced_and_noticed() {
        let mut out = String::new();
        for raw in [&b"caf\xe9"[..], b"\xff\xfe", b"\xe2\x80", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"A\xc0\xafB"] {
            assert!(lower(raw, &mut out));
            assert_eq!(out, String::from_utf8_lossy(raw).to_lowercase());
        }
        // A replacement character that was in the text is not a replacement.
        assert!(!lower("\u{fffd}".as_bytes(), &mut out));
    }

    #[test]
    fn splitting_bytes_is_splitting_text() {
        let raw = b"\xe2\x80\xe2\x80\xa8x\xe1\xc2\x85y\xf0\x9f\x98\xe3\x80\x80\x80 z\xe3\x80";
        let text = String::from_utf8_lossy(raw).into_owned();
        let mut out = String::new();
        let (mut at, mut found) = (skip_space(raw, 0), Vec::new());
        while at < raw.len() {
            let end = find_space(raw, at);
            lower(&raw[at..end], &mut out);
            found.push(out.clone());
            at = skip_space(raw, end);
        }
        assert_eq!(found, text.split_whitespace().collect::<Vec<_>>());
    }
}
