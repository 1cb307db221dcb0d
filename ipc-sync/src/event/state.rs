//! The event in memory, on the heap or in a segment. See the [module](super) for the steps.

use super::word::Word;
use ipc_core::raw::{Backoff, Pad, Pause, Slept, WaitWord, Waitable};
use ipc_core::shim::{AtomicU64, Ordering};
use ipc_core::{Corrupt, Deadline};

/// Whether, and how often, an event was set; and who waits for it.
#[repr(C, align(64))]
pub struct EventState {
    word: AtomicU64,
    rest: Pad<56>,
    sleepers: WaitWord,
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<EventState>() == 128);

/// Whether a wait leaves the event set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// It stays set until somebody clears it: everybody gets through.
    Manual,
    /// Whoever gets through clears it: one waiter for each time it is set.
    Auto,
}

/// Why a wait for an event ended without it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The time passed and it was not set.
    #[error("the event was not set in time")]
    Timeout,
    /// The word holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl EventState {
    /// An event that is not set.
    pub fn new(reset: Reset) -> Self {
        Self { word: AtomicU64::new(Word::unset(reset).0), rest: Pad::new(), sleepers: WaitWord::new() }
    }

    /// The same of zero bytes, in place.
    #[cfg(not(ipc_loom))]
    pub(super) fn init(&self, reset: Reset) {
        // ORDERING: Relaxed: whoever publishes the memory around it publishes this.
        self.word.store(Word::unset(reset).0, Ordering::Relaxed);
    }

    /// Whether a member can have written the word.
    #[cfg(not(ipc_loom))]
    pub(crate) fn check(&self) -> Result<(), Corrupt> {
        self.look().check()
    }

    /// Whether it is set; a snapshot.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.look().is_set()
    }

    /// Which kind it is.
    pub fn reset(&self) -> Reset {
        self.look().reset()
    }

    /// Sets it. Async-signal-safe; waits for nobody.
    pub fn set(&self) {
        if let Some(reset) = self.change(Word::set) {
            // 3., 4.
            self.sleepers.notify(if reset == Reset::Auto { 1 } else { u32::MAX });
        }
    }

    /// Unsets it. Async-signal-safe; waits for nobody.
    pub fn clear(&self) {
        self.change(Word::clear);
    }

    /// Waits until it is set, or was since this call began, or until `deadline`.
    #[inline]
    pub fn wait(&self, deadline: Deadline) -> Result<(), EventError> {
        // 5.
        self.wait_since(self.look().0, deadline)
    }

    /// As [`wait`](Self::wait), for a wait that began at a [`moment`](Waitable::moment) that the caller noted.
    #[inline]
    pub fn wait_since(&self, moment: u64, deadline: Deadline) -> Result<(), EventError> {
        let before = Word(moment);
        if self.enter(before)? { Ok(()) } else { self.wait_slow(before, deadline) }
    }

    #[cold]
    fn wait_slow(&self, before: Word, deadline: Deadline) -> Result<(), EventError> {
        let (mut backoff, mut pause) = (Backoff::new(), Pause::new());
        let mut last = false;
        loop {
            // 6.
            if self.enter(before)? {
                return Ok(());
            }
            if last {
                return Err(EventError::Timeout);
            }
            if backoff.spin() {
                continue;
            }
            // 7. A wake for nothing, or a scribbler: the deadline holds.
            let slept = self.sleepers.sleep(&mut pause, deadline, || self.look().lets_through(before));
            last = slept == Slept::Deadline || deadline.has_passed();
        }
    }

    /// Gets through, if that is possible.
    #[inline]
    fn enter(&self, before: Word) -> Result<bool, Corrupt> {
        let mut now = self.look();
        loop {
            now.check()?;
            if !now.lets_through(before) {
                return Ok(false);
            }
            if now.reset() == Reset::Manual {
                return Ok(true);
            }
            // ORDERING: AcqRel [event/E1]: what was done before `set` is visible; SeqCst is not needed to take something away.
            match self.word.compare_exchange(now.0, now.clear().0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(true),
                Err(changed) => now = Word(changed),
            }
        }
    }

    /// 1., 2. Changes the word; the kind, if it is a good one.
    fn change(&self, to: impl Fn(Word) -> Word) -> Option<Reset> {
        let mut now = self.look();
        loop {
            now.check().ok()?;
            // ORDERING: SeqCst [event/E1] publishes what was done before, also if the event was set already; [wait/W1] before
            // sleepers are looked for.
            match self.word.compare_exchange_weak(now.0, to(now).0, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return Some(now.reset()),
                Err(changed) => now = Word(changed),
            }
        }
    }

    #[inline]
    fn look(&self) -> Word {
        // ORDERING: SeqCst: Acquire [event/E1]; and [wait/W1] in the look of a sleeper: not before it registered.
        Word(self.word.load(Ordering::SeqCst))
    }
}

impl Waitable for EventState {
    fn moment(&self) -> u64 {
        self.look().0
    }

    fn is_ready(&self, since: u64) -> bool {
        self.look().lets_through(Word(since))
    }

    fn wait_word(&self) -> &WaitWord {
        &self.sleepers
    }
}

impl Default for EventState {
    /// Not set, manual.
    fn default() -> Self {
        Self::new(Reset::Manual)
    }
}
