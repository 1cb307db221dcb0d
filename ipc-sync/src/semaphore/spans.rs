//! Which permits share a sign: arithmetic only.
//!
//! There are 512 signs whatever the number of permits; a sign stands for a *span* of consecutive ones, a line of 8 at least. A
//! small semaphore has no signs at all: looking through 64 words is quicker than keeping them.

use std::ops::Range;

/// Words of 64 signs: one line.
pub const SIGN_WORDS: usize = 8;
/// The most permits of one semaphore.
pub const MAX_PERMITS: u32 = 1 << 16;

/// So many permits are looked through without signs, and so many (as a power of two) share a sign at least. The model checker
/// gets by with fewer.
const UNSIGNED: u32 = if cfg!(ipc_loom) { 1 } else { 64 };
const LEAST_SHIFT: u32 = if cfg!(ipc_loom) { 0 } else { 3 };

/// How the permits of one semaphore are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    permits: u32,
}

impl Spans {
    /// For so many permits, at most [`MAX_PERMITS`].
    #[inline]
    pub fn of(permits: u32) -> Self {
        Self { permits }
    }

    /// A span has two to the power of so many permits.
    fn shift(self) -> u32 {
        let per_sign = self.permits.div_ceil(64 * SIGN_WORDS as u32).next_power_of_two();
        per_sign.trailing_zeros().max(LEAST_SHIFT)
    }

    /// How many permits there can be.
    #[inline]
    pub fn permits(self) -> u32 {
        self.permits
    }

    /// Whether signs are kept.
    #[inline]
    pub fn are_signed(self) -> bool {
        self.permits > UNSIGNED
    }

    /// The span that a permit belongs to: the number of its sign.
    pub fn of_permit(self, index: u32) -> u32 {
        index >> self.shift()
    }

    /// The permits of a span; none for a sign that stands for nothing.
    pub fn range(self, span: u32) -> Range<u32> {
        let at = |span: u64| (span << self.shift()).min(self.permits.into()) as u32;
        at(span.into())..at(u64::from(span) + 1)
    }

    /// Words of signs in use.
    pub fn sign_words(self) -> u32 {
        self.of_permit(self.permits.saturating_sub(1)) / 64 + 1
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_every_permit_once_and_fit_the_signs() {
        for permits in [1, 2, 63, 64, 65, 512, 4095, 4096, 4097, 10_000, MAX_PERMITS] {
            let spans = Spans::of(permits);
            assert!(spans.sign_words() as usize <= SIGN_WORDS, "{permits}");
            let mut next = 0;
            for span in 0..spans.sign_words() * 64 {
                let range = spans.range(span);
                assert_eq!(range.start, next.min(permits));
                assert!(range.clone().all(|index| spans.of_permit(index) == span));
                next = range.end;
            }
            assert_eq!(next, permits);
            assert!(spans.range(u32::MAX).is_empty());
        }
    }

    #[test]
    fn a_span_is_a_line_at_least() {
        assert_eq!(Spans::of(4096).range(1), 8..16);
        assert_eq!(Spans::of(MAX_PERMITS).range(1), 128..256);
        assert!(!Spans::of(64).are_signed() && Spans::of(65).are_signed());
    }
}
