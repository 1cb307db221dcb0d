//! The counting table, and the order of its words.
//!
//! # Memory
//!
//! | part | bytes | what it is |
//! |---|---|---|
//! | `slots` | 24 for each slot; a half to three quarters of them are taken | open addressing: the packed word, or the hash and place of a long text, and the count |
//! | `text` | their length | the texts of more than 15 bytes, end to end |
//!
//! So a million words take 31 to 46 MiB, and for a moment, while the table grows by half, two thirds more.
//!
//! # Speed
//!
//! A table of this size lies beyond the caches, and one visit to memory costs more than all else that is done for a word.
//! So words wait in a small batch; when it is full, all their slots are loaded at once, as independent loads that the
//! processor overlaps, and only then looked at. A short word is compared in two registers, without going to its text.
//!
//! The hash is a folded multiplication, seeded afresh for each table: a text cannot be written so that its words collide,
//! and the words of one table, in its order, do not collide in another.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;

use crate::long::TEXT_MAX;
use crate::words::{SHORT_MAX, Short, Word};

/// How often each word was seen.
pub struct Counts {
    slots: Vec<Slot>,
    text: Vec<u8>,
    batch: Vec<Waiting>,
    distinct: usize,
    /// The most slots to take, if that is enough.
    slots_max: usize,
    /// Sum of the lengths of all distinct words.
    text_bytes: usize,
    total: u64,
    seed: [u64; 2],
}

/// One word. For a short one, `lo` and `hi` are its packed form; otherwise `lo` is its hash and `hi` is
/// `MARK:8 | length:20 | place in text:36`. The slot is free if `hi` is 0: no word has length 0.
#[derive(Clone, Copy)]
struct Slot {
    lo: u64,
    hi: u64,
    count: u64,
}

/// A short word that waits.
#[derive(Clone, Copy)]
struct Waiting {
    hash: u64,
    short: Short,
    by: u64,
}

/// The highest byte of `hi` for a text; a length otherwise.
const MARK: u64 = 0xff;
const PLACE_BITS: u32 = 36;
const LENGTH_BITS: u32 = 20;
const _: () = assert!(TEXT_MAX < 1 << LENGTH_BITS && (MARK as usize) > SHORT_MAX);

impl Slot {
    const FREE: Slot = Slot { lo: 0, hi: 0, count: 0 };

    fn is_text(&self) -> bool {
        self.hi >> 56 == MARK
    }

    fn length(&self) -> usize {
        if self.is_text() {
            (self.hi >> PLACE_BITS) as usize & ((1 << LENGTH_BITS) - 1)
        } else {
            (self.hi >> 56) as usize
        }
    }

    fn place(&self) -> usize {
        self.hi as usize & ((1 << PLACE_BITS) - 1)
    }
}

impl Default for Counts {
    fn default() -> Self {
        Counts::new()
    }
}

impl Counts {
    /// How many words may wait to be counted together.
    pub const BATCH: usize = 64;

    /// The most bytes of all that wait.
    pub const BATCH_BYTES: usize = Self::BATCH * SHORT_MAX;

    /// An empty table of any size.
    #[must_use]
    pub fn new() -> Counts {
        Counts::of_size(usize::MAX)
    }

    /// An empty table that needs no more than `bytes` of slots as long as it has no more than
    /// [`words_in`](Self::words_in) so many words.
    #[must_use]
    pub fn of_size(bytes: usize) -> Counts {
        let random = RandomState::new();
        Counts {
            slots: vec![Slot::FREE; 1024],
            slots_max: (bytes / size_of::<Slot>()).max(1024),
            text: Vec::new(),
            batch: Vec::with_capacity(Self::BATCH),
            distinct: 0,
            text_bytes: 0,
            total: 0,
            seed: [random.hash_one(0), random.hash_one(1)],
        }
    }

    /// How many words fit into so many bytes of slots.
    #[must_use]
    pub fn words_in(bytes: usize) -> usize {
        Self::most_words((bytes / size_of::<Slot>()).max(1024))
    }

    /// Open addressing needs free slots.
    fn most_words(slots: usize) -> usize {
        slots - slots / 4
    }

    /// Counts `word` `by` more times; true if the table may have grown. The empty word is none.
    ///
    /// # Panics
    ///
    /// If the word has more than [`TEXT_MAX`] bytes, or at 64 GiB of texts.
    #[inline]
    pub fn add(&mut self, word: Word<'_>, by: u64) -> bool {
        match word {
            Word::Short(short) => {
                let hash = fold(short.lo ^ self.seed[0], short.hi ^ self.seed[1]);
                self.batch.push(Waiting { hash, short, by });
                let is_full = self.batch.len() == Self::BATCH;
                if is_full {
                    self.settle();
                }
                is_full
            }
            Word::Text(text) => {
                self.add_text(text, by);
                true
            }
        }
    }

    /// Empties the table and keeps its memory.
    pub fn clear(&mut self) {
        self.slots.fill(Slot::FREE);
        self.text.clear();
        self.batch.clear();
        (self.distinct, self.text_bytes, self.total) = (0, 0, 0);
    }

    /// Distinct words, not counting those that wait, at most [`BATCH`](Self::BATCH).
    #[must_use]
    pub fn settled(&self) -> usize {
        self.distinct
    }

    /// Sum of the lengths of these.
    #[must_use]
    pub fn settled_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Distinct words.
    #[must_use]
    pub fn distinct(&mut self) -> usize {
        self.settle();
        self.distinct
    }

    /// All words, repetitions counted.
    #[must_use]
    pub fn total(&mut self) -> u64 {
        self.settle();
        self.total
    }

    /// Every word with its count, in no order.
    pub fn iter(&mut self) -> impl Iterator<Item = (Text<'_>, u64)> {
        self.settle();
        self.slots.iter().filter(|slot| slot.hi != 0).map(|slot| (self.text_of(slot), slot.count))
    }

    /// The first `k` words: by count, the highest first, then by their bytes.
    #[must_use]
    pub fn top(&mut self, k: usize) -> Vec<(Text<'_>, u64)> {
        self.settle();
        let order = |a: &&Slot, b: &&Slot| by_rank(self.text_of(a).bytes(), a.count, self.text_of(b).bytes(), b.count);
        let mut slots: Vec<&Slot> = self.slots.iter().filter(|slot| slot.hi != 0).collect();
        if k < slots.len() {
            slots.select_nth_unstable_by(k, order);
            slots.truncate(k);
        }
        slots.sort_unstable_by(order);
        slots.into_iter().map(|slot| (self.text_of(slot), slot.count)).collect()
    }

    /// Counts what waits.
    fn settle(&mut self) {
        let slots = &self.slots;
        // Only to have the slots in the nearest cache; the sum keeps the loads from being dropped.
        black_box(self.batch.iter().fold(0, |sum, waiting| sum ^ slots[home(waiting.hash, slots.len())].hi));
        for index in 0..self.batch.len() {
            let Waiting { hash, short: Short { lo, hi }, by } = self.batch[index];
            self.add_slot(hash, Slot { lo, hi, count: by }, |slot, _| slot.lo == lo && slot.hi == hi);
        }
        self.batch.clear();
    }

    fn add_text(&mut self, text: &[u8], by: u64) {
        let (hash, place) = (hash_text(text, self.seed), self.text.len());
        assert!(text.len() <= TEXT_MAX && place < 1 << PLACE_BITS, "too much text for one table");
        let new = Slot { lo: hash, hi: MARK << 56 | (text.len() as u64) << PLACE_BITS | place as u64, count: by };
        let same = |slot: &Slot, texts: &[u8]| {
            slot.lo == hash && slot.is_text() && texts[slot.place()..].get(..slot.length()) == Some(text)
        };
        if self.add_slot(hash, new, same) {
            self.text.extend_from_slice(text);
        }
    }

    /// Adds the count of `new` to the slot of its word; true if it had none.
    #[inline]
    fn add_slot(&mut self, hash: u64, new: Slot, same: impl Fn(&Slot, &[u8]) -> bool) -> bool {
        self.total += new.count;
        let mut at = home(hash, self.slots.len());
        loop {
            let slot = &mut self.slots[at];
            if same(slot, &self.text) {
                slot.count += new.count;
                return false;
            }
            if slot.hi == 0 {
                *slot = new;
                self.distinct += 1;
                self.text_bytes += new.length();
                if self.distinct > Self::most_words(self.slots.len()) {
                    self.grow();
                }
                return true;
            }
            at = next(at, self.slots.len());
        }
    }

    #[cold]
    fn grow(&mut self) {
        let len = self.slots.len();
        let longer = len + len / 2;
        // At the limit; or beyond it, rather than fail.
        let len = if len < self.slots_max { longer.min(self.slots_max) } else { longer };
        let old = std::mem::replace(&mut self.slots, vec![Slot::FREE; len]);
        for slot in old.into_iter().filter(|slot| slot.hi != 0) {
            let hash = if slot.is_text() { slot.lo } else { fold(slot.lo ^ self.seed[0], slot.hi ^ self.seed[1]) };
            let mut at = home(hash, len);
            while self.slots[at].hi != 0 {
                at = next(at, len);
            }
            self.slots[at] = slot;
        }
    }

    fn text_of(&self, slot: &Slot) -> Text<'_> {
        if slot.is_text() {
            let place = slot.place();
            Text::Long(&self.text[place..place + slot.length()])
        } else {
            Text::Short(Short { lo: slot.lo, hi: slot.hi }.to_bytes())
        }
    }
}

/// The text of a word in a table: borrowed from it, or unpacked.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// The packed form: the last byte is the length.
    Short([u8; 16]),
    /// A text of more than [`SHORT_MAX`] bytes.
    Long(&'a [u8]),
}

impl Text<'_> {
    /// The bytes: valid UTF-8 if only such words were added.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Text::Short(bytes) => &bytes[..usize::from(bytes[SHORT_MAX]).min(SHORT_MAX)],
            Text::Long(text) => text,
        }
    }
}

/// The order of results: count descending, then word bytes ascending.
#[must_use]
pub fn by_rank(a: &[u8], a_count: u64, b: &[u8], b_count: u64) -> Ordering {
    b_count.cmp(&a_count).then_with(|| a.cmp(b))
}

/// Where the search for a hash starts in a table of any length.
#[inline]
fn home(hash: u64, len: usize) -> usize {
    ((u128::from(hash) * len as u128) >> 64) as usize
}

#[inline]
fn next(at: usize, len: usize) -> usize {
    if at + 1 == len { 0 } else { at + 1 }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn hash_text(text: &[u8], seed: [u64; 2]) -> u64 {
    let (chunks, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut hash = text.len() as u64 ^ seed[0];
    for &chunk in chunks.iter().chain([&last]) {
        hash = fold(hash ^ u64::from_le_bytes(chunk), seed[1]);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn table(words: &[(&str, u64)]) -> Counts {
        let mut counts = Counts::new();
        for &(word, by) in words {
            counts.add(Word::new(word.as_bytes()), by);
        }
        counts
    }

    fn top(counts: &mut Counts, k: usize) -> Vec<(String, u64)> {
        let text = |text: Text<'_>| String::from_utf8(text.bytes().to_vec()).unwrap();
        counts.top(k).into_iter().map(|(word, count)| (text(word), count)).collect()
    }

    #[test]
    fn order_is_count_then_bytes() {
        let mut counts = table(&[("b", 1), ("a", 1), ("é", 1), ("z", 1), ("rare", 1), ("often", 5), ("a", 1)]);
        let expected = [("often", 5), ("a", 2), ("b", 1), ("rare", 1), ("z", 1), ("é", 1)];
        for k in 0..=expected.len() + 1 {
            let expected: Vec<_> = expected.iter().take(k).map(|&(word, n)| (word.to_string(), n)).collect();
            assert_eq!(top(&mut counts, k), expected);
        }
        assert_eq!((counts.distinct(), counts.total()), (6, 11));
    }

    #[test]
    fn many_words_stay_apart() {
        let mut counts = Counts::new();
        for round in 1..=2u64 {
            for n in 0..100_000 {
                counts.add(Word::new(format!("w{n}").as_bytes()), round);
            }
        }
        assert_eq!((counts.distinct(), counts.total()), (100_000, 300_000));
        assert!(counts.iter().all(|(_, count)| count == 3));
    }

    #[test]
    fn a_table_of_a_size_keeps_to_it() {
        let bytes = 100_000;
        let words = Counts::words_in(bytes);
        let mut counts = Counts::of_size(bytes);
        for n in 0..words {
            counts.add(Word::new(n.to_string().as_bytes()), 1);
        }
        assert_eq!(counts.distinct(), words);
        assert!(words > 3000 && counts.slots.len() * size_of::<Slot>() <= bytes);
        counts.add(Word::new(b"one more"), 1);
        assert_eq!(counts.iter().count(), words + 1);
    }

    #[test]
    fn clear_leaves_nothing() {
        let mut counts = table(&[("a word of more than fifteen bytes", 1), ("b", 2)]);
        counts.clear();
        assert_eq!((counts.distinct(), counts.total(), counts.settled_bytes()), (0, 0, 0));
        counts.add(Word::new(b"b"), 1);
        assert_eq!(top(&mut counts, 2), [("b".to_string(), 1)]);
    }

    #[test]
    fn the_hash_of_a_text_sees_every_byte() {
        let texts =
            ["aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab", "baaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa\0"];
        let hashes: std::collections::HashSet<_> = texts
            .iter()
            .map(|text| hash_text(text.as_bytes(), [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03]))
            .collect();
        assert_eq!(hashes.len(), texts.len());
    }

    proptest! {
        #[test]
        fn same_as_a_hash_map(words in prop::collection::vec(("[ab]{1,3}|[a-c]{14,18}|[é漢]{1,7}", 1u64..5), 0..400)) {
            let (mut counts, mut expected) = (Counts::new(), HashMap::new());
            for (word, by) in &words {
                counts.add(Word::new(word.as_bytes()), *by);
                *expected.entry(word.clone()).or_insert(0) += by;
            }
            prop_assert_eq!(counts.distinct(), expected.len());
            prop_assert_eq!(counts.settled_bytes(), expected.keys().map(String::len).sum::<usize>());
            let mut expected: Vec<_> = expected.into_iter().collect();
            expected.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
            prop_assert_eq!(top(&mut counts, usize::MAX), expected);
        }
    }
}
