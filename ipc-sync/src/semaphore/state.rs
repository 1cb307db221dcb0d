//! The table in memory: taking a permit, giving it back, looking for a free one. See the [module](super) for the steps.

use super::permit::{ABSENT, FREE, held_by};
use super::spans::{SIGN_WORDS, Spans};
use ipc_core::raw::{LockLine, Owner, WaitWord};
use ipc_core::shim::{self, AtomicU64, Ordering};
use std::ops::Range;

/// What lies in front of the permit words: four lines.
#[repr(C, align(64))]
pub struct Head {
    /// Who waits for a permit sleeps here.
    pub(super) freed: WaitWord,
    /// One at a time gathers several permits.
    pub(super) gathering: LockLine,
    /// One at a time adds permits.
    pub(super) adding: LockLine,
    /// One bit per span: look here, something may be free. Only a hint.
    pub(super) signs: [AtomicU64; SIGN_WORDS],
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<Head>() == 256);

impl Head {
    /// Of a table of which the first `free` words are free.
    pub fn new(spans: Spans, free: u32) -> Self {
        Self {
            freed: WaitWord::new(),
            gathering: LockLine::new(),
            adding: LockLine::new(),
            signs: std::array::from_fn(|word| AtomicU64::new(first_signs(word, spans, free))),
        }
    }

    /// The same of zero bytes, in place.
    #[cfg(not(ipc_loom))]
    pub fn init(&self, spans: Spans, free: u32) {
        self.gathering.init();
        self.adding.init();
        for (word, sign) in self.signs.iter().enumerate() {
            // ORDERING: Relaxed: whoever publishes the memory around it publishes this.
            sign.store(first_signs(word, spans, free), Ordering::Relaxed);
        }
    }
}

/// The signs of spans that have a free permit at first.
fn first_signs(word: usize, spans: Spans, free: u32) -> u64 {
    let raised = (0..64).filter(|bit| spans.range(word as u32 * 64 + bit).start < free);
    raised.fold(0, |signs, bit| signs | 1 << bit)
}

/// A permit word as it is at first, number `index` of a table of which the first `free` words are free.
pub fn first_word(index: u32, free: u32) -> u64 {
    if index < free { FREE } else { ABSENT }
}

/// A semaphore as its algorithm sees it.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    pub(super) head: &'a Head,
    pub(super) words: &'a [AtomicU64],
    pub(super) spans: Spans,
}

/// One permit of a table, and what must be told when it becomes free.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    head: &'a Head,
    word: &'a AtomicU64,
    /// Number of its span, or [`UNSIGNED`].
    span: u32,
}

const UNSIGNED: u32 = u32::MAX;

impl Slot<'_> {
    /// Gives the permit back. Nothing happens unless `me` holds it. Async-signal-safe.
    #[inline]
    pub fn release(self, me: Owner) {
        if self.change(held_by(me), FREE) {
            self.offer();
        }
    }

    /// Takes the permit out of the table. Nothing happens unless `me` holds it. Async-signal-safe.
    pub fn forget(self, me: Owner) {
        self.change(held_by(me), ABSENT);
    }

    #[inline]
    pub(super) fn change(self, from: u64, to: u64) -> bool {
        // 3., 9., 14. ORDERING: SeqCst: [sem/S1] publishes what was done under the permit; [sem/S3], [wait/W1] before signs and
        // sleepers are looked at.
        self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// It has become free: says so to searchers and to one sleeper.
    #[inline]
    pub(super) fn offer(self) {
        self.raise_sign();
        // 5.
        self.head.freed.notify(1);
    }

    /// 4.
    #[inline]
    pub(super) fn raise_sign(self) {
        let Some(sign) = self.head.signs.get(self.span as usize / 64) else { return };
        let bit = 1 << (self.span % 64);
        shim::total_order();
        // ORDERING: SeqCst [sem/S3]: not before the permit was set free; pairs with the second look of a searcher.
        if sign.load(Ordering::SeqCst) & bit == 0 {
            sign.fetch_or(bit, Ordering::SeqCst);
        }
    }
}

impl<'a> Table<'a> {
    /// Puts the parts together.
    #[inline]
    pub fn new(head: &'a Head, words: &'a [AtomicU64]) -> Self {
        Self { head, words, spans: Spans::of(words.len() as u32) }
    }

    /// The permit of this number.
    #[inline]
    pub fn slot(&self, index: u32) -> Slot<'a> {
        let span = if self.spans.are_signed() { self.spans.of_permit(index) } else { UNSIGNED };
        Slot { head: self.head, word: &self.words[index as usize], span }
    }

    /// Takes the word at which `me` begins every search, if it is free: one CAS.
    #[inline]
    pub fn take_first(&self, me: Owner) -> Option<u32> {
        let index = self.start_of(me);
        self.take(index, me).then_some(index)
    }

    /// Takes any free permit.
    pub fn search(&self, me: Owner) -> Option<u32> {
        let start = self.start_of(me);
        if self.spans.are_signed() {
            self.search_signed(me, start)
        } else {
            self.search_in(0..self.spans.permits(), start, me)
        }
    }

    /// How many are free; a snapshot.
    pub fn available(&self) -> u32 {
        self.count(FREE)
    }

    /// How many sleep until a permit is free, the dead included.
    #[cfg(not(ipc_loom))]
    pub(super) fn waiters(&self) -> u32 {
        self.head.freed.waiters().count()
    }

    /// How many words hold this; a snapshot.
    pub(super) fn count(&self, word: u64) -> u32 {
        self.words.iter().filter(|held| held.load(Ordering::Acquire) == word).count() as u32
    }

    /// Whether a search would find something; what a sleeper asks after it has registered.
    pub(super) fn is_any_free(&self) -> bool {
        // ORDERING: SeqCst [wait/W1]: not before the registration.
        let free = |index: u32| self.words[index as usize].load(Ordering::SeqCst) == FREE;
        if !self.spans.are_signed() {
            return (0..self.spans.permits()).any(free);
        }
        let raised = |span: &u32| self.head.signs[*span as usize / 64].load(Ordering::SeqCst) & 1 << (span % 64) != 0;
        (0..self.spans.sign_words() * 64).filter(raised).any(|span| self.spans.range(span).any(free))
    }

    /// Where `me` begins: threads are spread over the table, so that they do not meet.
    #[inline]
    fn start_of(&self, me: Owner) -> u32 {
        const SPREAD: u32 = 0x9e37_79b1;
        let spread = (me.word() as u32 >> 3).wrapping_mul(SPREAD);
        ((u64::from(spread) * u64::from(self.spans.permits())) >> 32) as u32
    }

    #[inline]
    fn take(&self, index: u32, me: Owner) -> bool {
        // A table without words has no first one either.
        let Some(word) = self.words.get(index as usize) else { return false };
        // 1. ORDERING: AcqRel: Acquire [sem/S1] what was done before it was set free; Release [sem/S2] my member row.
        word.compare_exchange(FREE, held_by(me), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes a free one of these, beginning at `start` or, if that is elsewhere, as far in.
    fn search_in(&self, range: Range<u32>, start: u32, me: Owner) -> Option<u32> {
        let len = range.len() as u32;
        // Of a span that a scribbled sign stands for, there is nothing.
        let start = start.checked_rem(len)?;
        let round = (start..len).chain(0..start).map(|at| range.start + at);
        // 2. ORDERING: SeqCst [sem/S3]: in a second look, not before the sign was taken down.
        round
            .into_iter()
            .find(|&index| self.words[index as usize].load(Ordering::SeqCst) == FREE && self.take(index, me))
    }

    fn search_signed(&self, me: Owner, start: u32) -> Option<u32> {
        let (first, words) = (self.spans.of_permit(start), self.spans.sign_words());
        (0..words).find_map(|k| {
            let at = (first / 64 + k) % words;
            let turn = if k == 0 { first % 64 } else { 0 };
            // ORDERING: SeqCst [sem/S3]: see `raise_sign`.
            let mut raised = self.head.signs[at as usize].load(Ordering::SeqCst).rotate_right(turn);
            while raised != 0 {
                let span = at * 64 + (raised.trailing_zeros() + turn) % 64;
                raised &= raised - 1;
                let found = self.search_span(span, start, me);
                if found.is_some() {
                    return found;
                }
            }
            None
        })
    }

    /// Looks through a span whose sign is up; takes the sign down if it stands for nothing.
    fn search_span(&self, span: u32, start: u32, me: Owner) -> Option<u32> {
        let range = self.spans.range(span);
        if let Some(found) = self.search_in(range.clone(), start, me) {
            return Some(found);
        }
        let (sign, bit) = (&self.head.signs[span as usize / 64], 1 << (span % 64));
        // 6. ORDERING: SeqCst [sem/S3]: before the second look: who sets a permit free either is seen, or sees the sign down.
        sign.fetch_and(!bit, Ordering::SeqCst);
        shim::total_order();
        // 7.
        let found = self.search_in(range, start, me)?;
        // There may be more where this one was.
        sign.fetch_or(bit, Ordering::SeqCst);
        Some(found)
    }
}
