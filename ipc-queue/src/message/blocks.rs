//! Blocks: where messages lie that are too long for a slot.
//!
//! A fixed number of blocks of [`BLOCK_BYTES`], a message in a chain of as many as it needs: so no sizes of earlier messages can
//! leave holes in which a later one does not fit.
//!
//! # Memory
//!
//! | what    | type              | written by                                                        |
//! |---------|-------------------|-------------------------------------------------------------------|
//! | turn    | `LockLine`        | senders that gather blocks which are not there yet, one at a time |
//! | room    | `WaitWord`        | those who wait for blocks, those who free some                    |
//! | hint    | u32               | anybody: where free blocks may be                                 |
//! | word[n] | u64               | CAS: who takes, gives back, or collects the block; store: its owner, when it tags |
//! | link[n] | u32               | the block's owner: the next block of its chain                    |
//! | data[n] | `[u64; 128]`      | the block's owner, until it tags                                  |
//!
//! # The word of a block
//!
//! | bits 2–0 | the rest                          | the block is                | live as long as                        |
//! |----------|-----------------------------------|-----------------------------|----------------------------------------|
//! | FREE     | 0                                 | nobody's                    |                                        |
//! | OWNED    | row, and its incarnation          | a sender's, being filled    | that incarnation of the row is held    |
//! | TAGGED   | a position                        | the message's there         | the slot has not left that position    |
//! | other    |                                   | corrupt: zeros, for example |                                        |
//!
//! Whether a block is live is read from what it names, so nobody has to give blocks back for the dead: a word that names
//! what is no longer there is an orphan, and who needs blocks takes it by the same CAS as a free one.
//!
//! # Steps
//!
//! Sending: **B1** take blocks: CAS FREE, or an orphan's word, → OWNED · **B2** write data and links · then the slot is claimed
//! (S1–S4) · **B3** tag each block with the position · then the message's envelope is written and committed (S5, S6).
//! Receiving: the slot is claimed (R1–R4) · **B4** copy the chain out, each of whose blocks must be TAGGED with the position · the
//! slot is acknowledged (R6) · **B5** CAS TAGGED → FREE, each · **B6** wake those who wait for blocks.
//!
//! | dies after | is left                                           | who repairs it                              | test                                     |
//! |------------|---------------------------------------------------|---------------------------------------------|------------------------------------------|
//! | B1, B2     | blocks that a dead endpoint owns                  | orphans once its row is freed (`repair.rs`) | `blocks_of_the_dead_are_taken_again`     |
//! | claim, B3  | the same, some tagged; a slot that becomes a TOMB | orphans once the TOMB has been passed       | the same                                 |
//! | R3, B4     | a message to be redelivered, with its blocks      | as any message                              | `crashpoints` MessageReceiver::recv      |
//! | R6, B5     | tags of a position that the slot has left         | orphans                                     | the same                                 |
//!
//! # Waiting
//!
//! A sender that finds too few blocks takes the turn, a lock, and gathers: it keeps what it has and waits for more. Others queue
//! for the turn, so nobody takes from under a long message what short ones give back, and two long ones never hold half of
//! what both need. It asks about the owner of one OWNED block per re-check.
//!
//! # Wrap-around
//!
//! As for positions (`ring/mod.rs`): a tag is mistaken for another's only after all laps.

use crate::ring::Position;
use ipc_core::Corrupt;
use ipc_core::raw::{LockLine, WaitWord};
use ipc_core::shim::{AtomicU32, AtomicU64, Ordering};
use std::alloc::{Layout, LayoutError};
use std::ptr::NonNull;

/// Bytes of message in a block.
pub const BLOCK_BYTES: usize = 1024;
const WORDS: usize = BLOCK_BYTES / 8;

const FREE: u64 = 1;
const OWNED: u64 = 2;
const TAGGED: u64 = 3;
const KIND: u64 = 0b111;
const KIND_BITS: u32 = 3;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// What a block's word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nobody's.
    Free,
    /// Being filled by the endpoint of this row, in this incarnation.
    Owned { row: u32, incarnation: u16 },
    /// Part of the message at this position.
    Tagged(u64),
}

impl Word {
    fn bits(self) -> u64 {
        match self {
            Self::Free => FREE,
            Self::Owned { row, incarnation } => (u64::from(row) << 16 | u64::from(incarnation)) << KIND_BITS | OWNED,
            Self::Tagged(position) => position << KIND_BITS | TAGGED,
        }
    }

    fn read(bits: u64) -> Result<Self, Corrupt> {
        let rest = bits >> KIND_BITS;
        match bits & KIND {
            FREE if rest == 0 => Ok(Self::Free),
            OWNED if rest >> 16 <= u32::MAX.into() => {
                Ok(Self::Owned { row: (rest >> 16) as u32, incarnation: rest as u16 })
            }
            TAGGED => Ok(Self::Tagged(rest)),
            _ => Err(Corrupt { what: "the word of a block", found: bits }),
        }
    }

    /// The tag of a position.
    pub fn tag(position: Position) -> Self {
        Self::Tagged(position.bits())
    }
}

/// The fixed part.
#[repr(C)]
struct Head {
    turn: LockLine,
    room: WaitWord,
    hint: AtomicU32,
    count: AtomicU32,
}

/// This process's view of the blocks.
///
/// 1. The pointers lead to one head and to `count` words, links and data blocks, mapped as long as any copy of the view.
#[derive(Clone, Copy)]
pub struct Blocks {
    head: NonNull<Head>,
    words: NonNull<AtomicU64>,
    links: NonNull<AtomicU32>,
    data: NonNull<[AtomicU64; WORDS]>,
    count: u32,
}

// SAFETY: addresses and a number; what they lead to is atomics.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

/// Where the parts lie.
struct Plan {
    whole: Layout,
    words: usize,
    links: usize,
    data: usize,
}

impl Plan {
    fn of(count: u32) -> Result<Self, LayoutError> {
        let n = count as usize;
        let (whole, words) = Layout::new::<Head>().extend(Layout::array::<AtomicU64>(n)?)?;
        let (whole, links) = whole.extend(Layout::array::<AtomicU32>(n)?)?;
        let lines = Layout::array::<[AtomicU64; WORDS]>(n)?.align_to(64)?;
        let (whole, data) = whole.extend(lines)?;
        Ok(Self { whole: whole.pad_to_align(), words, links, data })
    }
}

impl Blocks {
    /// How many blocks a message takes.
    pub fn needed(len: usize) -> usize {
        len.div_ceil(BLOCK_BYTES)
    }

    /// Size and alignment of so many blocks.
    pub fn layout(count: u32) -> Result<Layout, LayoutError> {
        Plan::of(count).map(|plan| plan.whole)
    }

    /// Views the blocks at `at`.
    ///
    /// # Safety
    /// `at` leads to [`layout`](Self::layout)`(count)` bytes, aligned for it, initialised, mapped as long as any copy is used.
    pub unsafe fn at(at: NonNull<u8>, count: u32) -> Result<Self, Corrupt> {
        let Ok(plan) = Plan::of(count) else {
            return Err(Corrupt { what: "the number of blocks", found: count.into() });
        };
        let part = |offset| NonNull::new(at.as_ptr().wrapping_add(offset)).unwrap_or(at);
        Ok(Self {
            head: at.cast(),
            words: part(plan.words).cast(),
            links: part(plan.links).cast(),
            data: part(plan.data).cast(),
            count,
        })
    }

    /// Makes them, of zeroed bytes that nobody else has yet.
    pub fn init(&self) {
        self.head().turn.init();
        self.head().count.store(self.count, Ordering::Relaxed);
        for index in 0..self.count {
            self.word(index).store(FREE, Ordering::Relaxed);
        }
    }

    /// How many the creator made.
    pub fn check(&self) -> Result<(), Corrupt> {
        match self.head().count.load(Ordering::Relaxed) {
            found if found == self.count => Ok(()),
            found => Err(Corrupt { what: "the number of blocks", found: found.into() }),
        }
    }

    fn head(&self) -> &Head {
        // SAFETY: invariant 1; atomics only.
        unsafe { self.head.as_ref() }
    }

    /// The turn of those who gather.
    pub fn turn(&self) -> &LockLine {
        &self.head().turn
    }

    /// What those sleep on who wait for blocks.
    pub fn room(&self) -> &WaitWord {
        &self.head().room
    }

    /// An index below the count.
    fn word(&self, index: u32) -> &AtomicU64 {
        debug_assert!(index < self.count);
        // SAFETY: invariant 1.
        let word = unsafe { self.words.add(index as usize) };
        // SAFETY: invariant 1.
        unsafe { word.as_ref() }
    }

    /// An index below the count.
    fn link(&self, index: u32) -> &AtomicU32 {
        debug_assert!(index < self.count);
        // SAFETY: invariant 1.
        let link = unsafe { self.links.add(index as usize) };
        // SAFETY: invariant 1.
        unsafe { link.as_ref() }
    }

    /// An index below the count.
    fn data(&self, index: u32) -> &[AtomicU64; WORDS] {
        debug_assert!(index < self.count);
        // SAFETY: invariant 1.
        let data = unsafe { self.data.add(index as usize) };
        // SAFETY: invariant 1; atomics.
        unsafe { data.as_ref() }
    }

    /// B1: takes blocks for `me` until there are `wanted` of them in `taken`; what `is_live` does not vouch for is free. False if
    /// there are not enough now; `taken` keeps what it has.
    pub fn take(
        &self,
        me: Word,
        wanted: usize,
        taken: &mut Vec<u32>,
        mut is_live: impl FnMut(Word) -> bool,
    ) -> Result<bool, Corrupt> {
        let first = self.head().hint.load(Ordering::Relaxed) % self.count.max(1);
        for index in (first..self.count).chain(0..first) {
            if taken.len() >= wanted {
                break;
            }
            let word = self.word(index);
            // ORDERING: Acquire [block/B1]: as the CAS below, for what `is_live` looks at.
            let seen = word.load(Ordering::Acquire);
            let free = match Word::read(seen)? {
                Word::Free => true,
                live => live != me && !is_live(live),
            };
            // ORDERING: AcqRel [block/B1]: whoever had it has read or written its data for the last time.
            if free && word.compare_exchange(seen, me.bits(), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                taken.push(index);
                self.head().hint.store(index + 1, Ordering::Relaxed);
            }
        }
        Ok(taken.len() >= wanted)
    }

    /// How many could be taken now.
    pub fn available(&self, mut is_live: impl FnMut(Word) -> bool) -> usize {
        let free = |index: &u32| match Word::read(self.word(*index).load(Ordering::SeqCst)) {
            Ok(Word::Free) => true,
            Ok(live) => !is_live(live),
            Err(_) => false,
        };
        (0..self.count).filter(free).count()
    }

    /// The first block that somebody owns, to ask about.
    pub fn owned_by_others(&self, me: Word) -> Option<Word> {
        (0..self.count)
            .filter_map(|index| Word::read(self.word(index).load(Ordering::Relaxed)).ok())
            .find(|word| matches!(word, Word::Owned { .. }) && *word != me)
    }

    /// B2: writes a message into blocks that the caller has taken, one behind the other.
    pub fn fill(&self, taken: &[u32], message: &[u8]) {
        for (n, (&index, part)) in taken.iter().zip(message.chunks(BLOCK_BYTES)).enumerate() {
            self.link(index).store(taken.get(n + 1).copied().unwrap_or(NONE), Ordering::Relaxed);
            let (words, rest) = part.as_chunks::<8>();
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            for (word, bytes) in self.data(index).iter().zip(words.iter().chain([&last])) {
                word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
        }
    }

    /// B3: the caller's blocks belong to the message at `position` from now on.
    pub fn tag(&self, taken: &[u32], position: Position) {
        for &index in taken {
            // ORDERING: Release [block/B3]: data and link are there; pairs with the Acquire in `read`. (The commit of the slot
            // releases them, too; the tag is what the reader checks.)
            self.word(index).store(Word::tag(position).bits(), Ordering::Release);
        }
    }

    /// Gives back what was taken and not tagged.
    pub fn give_back(&self, me: Word, taken: &mut Vec<u32>) {
        self.release(me, taken);
        taken.clear();
    }

    /// B4: copies a message of `len` bytes out, from the chain that begins at block `first` and belongs to `position`; the blocks
    /// of the chain go to `chain`.
    pub fn read(
        &self,
        first: u32,
        len: usize,
        position: Position,
        chain: &mut Vec<u32>,
        message: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        let tag = Word::tag(position).bits();
        let mut index = first;
        let mut rest = len;
        message.reserve(len);
        // As many rounds as the length asks for: a chain that leads back is read on, and ends.
        while rest > 0 {
            if index >= self.count {
                return Err(Corrupt { what: "the link of a block", found: index.into() });
            }
            // ORDERING: Acquire [block/B3].
            let word = self.word(index).load(Ordering::Acquire);
            if word != tag {
                return Err(Corrupt { what: "the word of a message's block", found: word });
            }
            let (here, start) = (rest.min(BLOCK_BYTES), message.len());
            message.resize(start + here, 0);
            let (words, tail) = message[start..].as_chunks_mut::<8>();
            for (bytes, word) in words.iter_mut().zip(self.data(index)) {
                *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
            }
            if let Some(word) = self.data(index).get(here / 8) {
                tail.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..tail.len()]);
            }
            chain.push(index);
            rest -= here;
            index = self.link(index).load(Ordering::Relaxed);
        }
        Ok(())
    }

    /// B5 and B6: the message at `position` has been copied out and acknowledged.
    pub fn free(&self, chain: &[u32], position: Position) {
        self.release(Word::tag(position), chain);
    }

    fn release(&self, from: Word, blocks: &[u32]) {
        for &index in blocks {
            // ORDERING: SeqCst: Release [block/B1], and [wait/W1] before the look at the sleepers. Lost: collected already.
            let _ = self.word(index).compare_exchange(from.bits(), FREE, Ordering::SeqCst, Ordering::Relaxed);
        }
        if !blocks.is_empty() {
            self.room().notify(u32::MAX);
        }
    }

    #[cfg(test)]
    fn words(&self) -> Vec<Word> {
        (0..self.count).map(|index| Word::read(self.word(index).load(Ordering::SeqCst)).expect("a word")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Positions;
    use proptest::prelude::*;

    /// Blocks on the heap.
    struct Heap {
        at: NonNull<u8>,
        layout: Layout,
        blocks: Blocks,
    }

    impl Heap {
        fn new(count: u32) -> Self {
            let layout = Blocks::layout(count).unwrap();
            // SAFETY: never of size 0.
            let at = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).unwrap();
            // SAFETY: fresh memory of the layout, freed when `self` is.
            let blocks = unsafe { Blocks::at(at, count) }.unwrap();
            blocks.init();
            blocks.check().unwrap();
            Self { at, layout, blocks }
        }
    }

    impl Drop for Heap {
        fn drop(&mut self) {
            // SAFETY: allocated in `new` with this layout.
            unsafe { std::alloc::dealloc(self.at.as_ptr(), self.layout) }
        }
    }

    const ME: Word = Word::Owned { row: 3, incarnation: 7 };
    const OTHER: Word = Word::Owned { row: 4, incarnation: 1 };

    fn position(lap: u64) -> Position {
        Positions::new(4).unwrap().at(lap, 1)
    }

    #[test]
    fn words_come_back_and_zeros_are_corrupt() {
        for word in [Word::Free, ME, Word::Owned { row: 8191, incarnation: 8191 }, Word::tag(position(u64::MAX))] {
            assert_eq!(Word::read(word.bits()), Ok(word));
        }
        for bits in [0, 4, 7, FREE | 8, u64::MAX - 1] {
            assert!(Word::read(bits).is_err(), "{bits:#x}");
        }
    }

    #[test]
    fn too_few_are_kept_until_given_back() {
        let heap = Heap::new(5);
        let blocks = heap.blocks;
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        assert_eq!(blocks.take(ME, 3, &mut mine, |_| true), Ok(true));
        assert_eq!(blocks.take(OTHER, 3, &mut others, |_| true), Ok(false));
        assert_eq!((mine.len(), others.len(), blocks.available(|_| true)), (3, 2, 0));
        assert_eq!(blocks.owned_by_others(ME), Some(OTHER));
        blocks.give_back(ME, &mut mine);
        assert_eq!(blocks.take(OTHER, 5, &mut others, |_| true), Ok(true));
        assert_eq!(others.len(), 5);
    }

    #[test]
    fn blocks_of_the_dead_are_taken_again() {
        let heap = Heap::new(4);
        let blocks = heap.blocks;
        let (mut dead, mut mine) = (Vec::new(), Vec::new());
        blocks.take(OTHER, 4, &mut dead, |_| true).unwrap();
        blocks.tag(&dead[..2], position(9));
        assert_eq!(blocks.take(ME, 1, &mut mine, |_| true), Ok(false));
        assert_eq!(blocks.take(ME, 2, &mut mine, |word| word != OTHER), Ok(true), "what a dead endpoint owned");
        assert_eq!(blocks.take(ME, 4, &mut mine, |word| word != Word::tag(position(9))), Ok(true), "a position left");
        assert_eq!(blocks.words(), [ME; 4]);
        // Whoever was late to free them frees nothing.
        blocks.free(&dead, position(9));
        assert_eq!(blocks.words(), [ME; 4]);
    }

    #[test]
    fn a_chain_that_is_not_the_messages_is_corrupt() {
        let heap = Heap::new(3);
        let blocks = heap.blocks;
        let mut taken = Vec::new();
        blocks.take(ME, 2, &mut taken, |_| true).unwrap();
        blocks.fill(&taken, &[1; BLOCK_BYTES + 1]);
        let read = |first, len, lap| {
            let (mut chain, mut message) = (Vec::new(), Vec::new());
            blocks.read(first, len, position(lap), &mut chain, &mut message).map(|()| message.len())
        };
        assert!(read(taken[0], 1, 5).is_err(), "not tagged yet");
        blocks.tag(&taken, position(5));
        assert_eq!(read(taken[0], BLOCK_BYTES + 1, 5), Ok(BLOCK_BYTES + 1));
        assert!(read(taken[0], 1, 6).is_err(), "another position's");
        assert!(read(taken[0], 3 * BLOCK_BYTES, 5).is_err(), "longer than its chain");
        assert!(read(NONE, 1, 5).is_err() && read(3, 1, 5).is_err(), "no such block");
        blocks.link(taken[1]).store(taken[0], Ordering::Relaxed);
        assert_eq!(read(taken[0], 9 * BLOCK_BYTES, 5), Ok(9 * BLOCK_BYTES), "a circle ends");
        blocks.word(taken[1]).store(0, Ordering::Relaxed);
        assert!(read(taken[0], BLOCK_BYTES + 1, 5).is_err(), "a hole");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 64 }, ..ProptestConfig::default() })]

        /// Whatever the sizes: what fits into all blocks fits once all before it are gone.
        #[test]
        fn what_is_written_is_read_whatever_the_sizes(sizes in prop::collection::vec(0usize..8 * BLOCK_BYTES, 1..20)) {
            let heap = Heap::new(8);
            let blocks = heap.blocks;
            for (lap, size) in (1..).zip(sizes) {
                let message: Vec<u8> = (0..size).map(|n| (n * 7 + size) as u8).collect();
                let mut taken = Vec::new();
                prop_assert_eq!(blocks.take(ME, Blocks::needed(size), &mut taken, |_| true), Ok(true));
                blocks.fill(&taken, &message);
                blocks.tag(&taken, position(lap));
                let (mut chain, mut read) = (Vec::new(), Vec::new());
                let first = taken.first().copied().unwrap_or(NONE);
                prop_assert_eq!(blocks.read(first, size, position(lap), &mut chain, &mut read), Ok(()));
                prop_assert_eq!(read, message);
                blocks.free(&chain, position(lap));
                prop_assert_eq!(blocks.available(|_| true), 8);
            }
        }
    }
}
