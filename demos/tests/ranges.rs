//! Ranges against one pass: wherever a text is cut, every word counts once.

use std::collections::HashMap;

use demos::long::{LONG, read_long};
use demos::ranges::{Found, Limits, RangeError, Reader, Source};
use demos::words::Word;
use proptest::prelude::*;

type Table = HashMap<String, u64>;

/// Everything decoded at once and split then.
fn one_pass(text: &[u8]) -> Table {
    let mut table = Table::new();
    for word in String::from_utf8_lossy(text).split_whitespace() {
        *table.entry(word.to_lowercase()).or_default() += 1;
    }
    table
}

/// The ranges between `cuts`, each on its own. True if a word was lossy.
fn in_ranges(mut source: &[u8], cuts: &[usize], limits: Limits) -> (Table, bool) {
    let (mut table, mut lossy) = (Table::new(), false);
    let mut reader = Reader::new(limits);
    let ends = cuts.iter().copied().chain([source.len()]);
    let mut start = 0;
    for end in ends {
        let source = &mut source;
        reader
            .read(source, start as u64..end as u64, |offset, found| {
                let (word, replaced) = final_form(source, offset, found);
                lossy |= replaced;
                *table.entry(word).or_default() += 1;
                Ok::<_, ()>(())
            })
            .unwrap();
        start = end;
    }
    (table, lossy)
}

fn final_form(source: &impl Source, offset: u64, found: Found<'_>) -> (String, bool) {
    match found {
        Found::Word(word) => (text_of(word), false),
        Found::Replaced(word) => (text_of(word), true),
        Found::Long(len) => read_long(source, offset, len).unwrap(),
    }
}

fn text_of(word: Word<'_>) -> String {
    let bytes = match word {
        Word::Text(text) => text.to_vec(),
        Word::Short(short) => {
            let bytes = short.to_bytes();
            bytes[..bytes[15].into()].to_vec()
        }
    };
    String::from_utf8(bytes).unwrap()
}

/// Small enough that every text is cut by the end of a buffer, and that many words are long.
const SMALL: Limits = Limits { buffer: 12, long: 5 };

/// Large enough that no generated text is.
const LARGE: Limits = Limits { buffer: 2000, long: 1500 };

const SPACES: &[&str] = &[
    " ",
    "\n",
    "\r\n",
    "\t",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{a0}",
    "\u{1680}",
    "\u{2000}",
    "\u{200a}",
    "\u{2028}",
    "\u{2029}",
    "\u{202f}",
    "\u{205f}",
    "\u{3000}",
    "                                ",
];
const LETTERS: &[&str] = &[
    "Ω", "Σ", "ΑΣ", "é", "ß", "İ", "漢字", "😀", "e\u{301}", "'", "\0", "\u{1c}", "\u{200b}", "\u{feff}", "\u{fffd}",
    "Ⱥ",
];
const INVALID: &[&[u8]] = &[
    b"\xff",
    b"\x80",
    b"\xc2",
    b"\xe2",
    b"\xe2\x80",
    b"\xe3\x80",
    b"\xe1\x9a",
    b"\xf0\x9f\x98",
    b"\xc0\xa0",
    b"\xed\xa0\x80",
    b"\xf5\x80\x80\x80",
    b"\x85\xa0",
];
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-zA-Z,.]{1,6}".prop_map(String::into_bytes),
        1 => "[a-zA-Z]{7,40}".prop_map(String::into_bytes),
        4 => prop::sample::select(SPACES).prop_map(|text| text.as_bytes().to_vec()),
        3 => prop::sample::select(LETTERS).prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::sample::select(INVALID).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cut_at_every_byte(text in text()) {
        let expected = (one_pass(&text), std::str::from_utf8(&text).is_err());
        for limits in [SMALL, LARGE] {
            for cut in 0..=text.len() {
                prop_assert_eq!(&in_ranges(&text, &[cut], limits), &expected, "cut at {}", cut);
            }
        }
        // And everywhere at once: ranges of one byte.
        let cuts: Vec<_> = (0..=text.len()).collect();
        prop_assert_eq!(&in_ranges(&text, &cuts, SMALL), &expected);
    }

    #[test]
    fn any_cuts_and_any_buffer(
        text in text(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        long in 2usize..20,
        more in 3usize..20,
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let limits = Limits { buffer: long + more, long };
        prop_assert_eq!(in_ranges(&text, &cuts, limits), (one_pass(&text), std::str::from_utf8(&text).is_err()));
    }

    #[test]
    fn offsets_are_those_of_first_bytes(text in text(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(text.len() + 1) as u64;
        let mut last = None;
        Reader::new(SMALL).read(&&text[..], cut..text.len() as u64, |offset, _| {
            assert!(offset >= cut && last < Some(offset));
            last = Some(offset);
            Ok::<_, ()>(())
        }).unwrap();
    }
}

#[test]
fn a_word_of_100_mib_counts_once() {
    const MIB: usize = 1 << 20;
    let before = "Before\u{3000}\u{2028}";
    let mut text = before.as_bytes().to_vec();
    // Letters of two bytes at odd places, so that every cut below falls into one or beside one.
    text.extend("Éx1".as_bytes().iter().cycle().take(100 * MIB));
    let word = before.len()..text.len();
    text.extend("\u{a0}After before".as_bytes());

    let mut cuts: Vec<_> = (0..=before.len() + 4).collect();
    cuts.extend((word.start + 4 * MIB..word.end - 4 * MIB).step_by(4 * MIB));
    cuts.extend(word.end - 4..text.len());
    let (table, lossy) = in_ranges(&text, &cuts, Limits::STANDARD);

    let expected = std::str::from_utf8(&text[word]).unwrap().to_lowercase();
    assert!(!lossy);
    assert_eq!(table.len(), 3);
    assert_eq!((table["before"], table["after"], table.get(&expected)), (2, 1, Some(&1)));
}

#[test]
fn a_huge_run_of_white_space_holds_nothing() {
    let mut text = "\u{2003}".repeat(LONG * 20).into_bytes();
    text.extend(b"end");
    let cuts: Vec<_> = (1..text.len()).step_by(70_001).collect();
    assert_eq!(in_ranges(&text, &cuts, Limits::STANDARD).0, one_pass(&text));
}

#[test]
fn a_file_that_became_shorter_is_named() {
    let mut words = 0;
    let result = Reader::new(Limits::STANDARD).read(&&b"one two three"[..], 0..20, |_, _| {
        words += 1;
        Ok::<_, ()>(())
    });
    assert!(matches!(result, Err(RangeError::Shorter { end: 13 })));
    assert_eq!(words, 3);
    let beyond = Reader::new(Limits::STANDARD).read(&&b""[..], u64::MAX - 9..u64::MAX, |_, _| Ok::<_, ()>(()));
    assert!(matches!(beyond, Err(RangeError::Shorter { .. })));
}

#[test]
fn refusing_a_word_ends_the_range() {
    let mut words = 0;
    let result = Reader::new(Limits::STANDARD).read(&&b"one two three"[..], 0..13, |offset, _| {
        words += 1;
        if offset == 4 { Err("full") } else { Ok(()) }
    });
    assert!(matches!(result, Err(RangeError::Refused("full"))));
    assert_eq!(words, 2);
}

/// Gives one byte at a time and fails at the third.
struct Failing;

impl Source for Failing {
    fn read_at(&self, into: &mut [u8], offset: u64) -> std::io::Result<usize> {
        if offset == 2 {
            return Err(std::io::ErrorKind::Other.into());
        }
        into[0] = b'a';
        Ok(1)
    }
}

#[test]
fn a_failing_read_is_an_error() {
    let result = Reader::new(Limits::STANDARD).read(&Failing, 0..10, |_, _| Ok::<_, ()>(()));
    assert!(matches!(result, Err(RangeError::Read(_))));
}
