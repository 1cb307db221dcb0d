//! The control word: one read-mostly word that tells endpoints to look up.
//!
//! | bits  | field       | meaning                                                                                    |
//! |-------|-------------|--------------------------------------------------------------------------------------------|
//! | 63–32 | redelivery  | + 1 after a repair that may have left REDELIVER slots                                      |
//! | 31–16 | roster      | + 1 after somebody joined, left, died or closed                                            |
//! | 5     | CLOSED_HINT | the tail has its CLOSED bit                                                                |
//! | 4, 3  | GONE        | of receivers, senders: none was left when somebody looked; a hint to scan, not a verdict   |
//! | 2, 1  | SEEN        | of receivers, senders: there has been one                                                  |
//! | 0     | VALID       | always set, so that a word of zeros is none                                                |
//!
//! Each endpoint remembers the word as it last dealt with it, and compares on every operation: one load and one branch. All
//! truth lies elsewhere: redeliverable messages in slots, closing in the tail, presence in the endpoint rows. A member that
//! dies before it sets a hint costs those who only poll some time: who *waits* looks at the truth. The counters wrap into
//! one another and out of the word; they are only ever compared for equality.

use ipc_core::Corrupt;
use ipc_core::shim::{AtomicU64, Ordering};

/// Which sides of a queue an endpoint is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Sends.
    Sender = 0b01,
    /// Receives.
    Receiver = 0b10,
    /// Does both: the row of a queue handle.
    Both = 0b11,
}

impl Role {
    /// The role of these bits, if any.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            0b01 => Some(Self::Sender),
            0b10 => Some(Self::Receiver),
            0b11 => Some(Self::Both),
            _ => None,
        }
    }

    /// Whether it is on the side that `side` is.
    pub const fn includes(self, side: Role) -> bool {
        self as u8 & side as u8 != 0
    }

    /// Whom a waiter on this side waits for.
    pub const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
            Self::Both => Self::Both,
        }
    }

    const fn seen(self) -> u64 {
        (self as u64) << 1
    }

    const fn gone(self) -> u64 {
        (self as u64) << 3
    }
}

const VALID: u64 = 1;
const CLOSED_HINT: u64 = 1 << 5;
const ROSTER: u64 = 1 << 16;
const REDELIVERY: u64 = 1 << 32;

/// The control word in shared memory.
#[repr(transparent)]
pub(crate) struct Control(AtomicU64);

/// The control word as it was at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs(u64);

impl Signs {
    /// What an endpoint has seen that has looked at nothing yet: equal to no word, a word of zeros included.
    pub const NONE: Signs = Signs(!VALID);

    /// `Corrupt` unless a member wrote it.
    pub fn checked(self) -> Result<Self, Corrupt> {
        if self.0 & VALID != 0 { Ok(self) } else { Err(Corrupt { what: "the ring's control word", found: self.0 }) }
    }

    /// Whether anybody of this side has ever been there.
    pub const fn seen(self, side: Role) -> bool {
        self.0 & side.seen() != 0
    }

    /// Whether polling needs a closer look: closed, or nobody of this side was left.
    pub const fn suspicious(self, side: Role) -> bool {
        self.0 & (CLOSED_HINT | side.gone()) != 0
    }

    /// Whether nobody of this side was left when somebody looked.
    pub const fn gone(self, side: Role) -> bool {
        self.0 & side.gone() != 0
    }

    /// Whether there may be messages to redeliver that were not there at `before`.
    pub const fn redelivers_since(self, before: Signs) -> bool {
        self.0 >> 32 != before.0 >> 32
    }

    /// Everything of `self`, but the redelivery count of `before`: not all of those have been taken.
    pub const fn still_redelivering(self, before: Signs) -> Signs {
        Signs(self.0 & (REDELIVERY - 1) | before.0 & !(REDELIVERY - 1))
    }
}

impl Control {
    pub fn new() -> Self {
        Self(AtomicU64::new(VALID | ROSTER | REDELIVERY))
    }

    /// A glance on the fast path. Relaxed: a change that is noticed one operation later is noticed early enough.
    #[inline(always)]
    pub fn glance(&self) -> Signs {
        Signs(self.0.load(Ordering::Relaxed))
    }

    /// A look whose result orders what is looked at next.
    pub fn look(&self) -> Signs {
        // ORDERING: SeqCst [ring/C1]: slots, rows and cursors changed before the change of this word are visible; pairs with
        // the read-modify-writes below. [wait/W1]: a sleeper looks after it has registered.
        Signs(self.0.load(Ordering::SeqCst))
    }

    /// Somebody of this role has its row now.
    pub fn joined(&self, role: Role) {
        // ORDERING: SeqCst [ring/C1], here and below.
        self.0.fetch_or(role.seen(), Ordering::SeqCst);
        self.0.fetch_and(!role.gone(), Ordering::SeqCst);
        self.0.fetch_add(ROSTER, Ordering::SeqCst);
    }

    /// Remembers, for one that died before it could say so, that there was one.
    pub fn was_there(&self, role: Role) {
        self.0.fetch_or(role.seen(), Ordering::SeqCst);
    }

    /// Nobody of this side is left.
    pub fn all_gone(&self, side: Role) {
        self.0.fetch_or(side.gone(), Ordering::SeqCst);
    }

    /// Somebody of this side is there after all.
    pub fn not_gone(&self, side: Role) {
        self.0.fetch_and(!side.gone(), Ordering::SeqCst);
    }

    /// The tail is closed.
    pub fn closed(&self) {
        if self.0.fetch_or(CLOSED_HINT, Ordering::SeqCst) & CLOSED_HINT == 0 {
            self.roster_changed();
        }
    }

    /// A row has changed hands.
    pub fn roster_changed(&self) {
        self.0.fetch_add(ROSTER, Ordering::SeqCst);
    }

    /// There may be something to redeliver.
    pub fn redeliver(&self) {
        self.0.fetch_add(REDELIVERY, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub fn scribble(&self, word: u64) {
        self.0.store(word, Ordering::SeqCst);
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn joining_unsays_gone_and_leaves_a_trace() {
        let control = Control::new();
        assert!(!control.look().seen(Role::Sender));
        control.joined(Role::Both);
        let signs = control.look();
        assert!(signs.seen(Role::Sender) && signs.seen(Role::Receiver));
        control.all_gone(Role::Receiver);
        assert!(control.look().suspicious(Role::Receiver) && !control.look().suspicious(Role::Sender));
        control.joined(Role::Receiver);
        assert!(!control.look().suspicious(Role::Receiver));
        assert_ne!(control.look(), signs);
    }

    #[test]
    fn only_receivers_deaths_ask_for_redelivery() {
        let control = Control::new();
        let before = control.look();
        control.joined(Role::Sender);
        assert!(!control.look().redelivers_since(before));
        control.redeliver();
        let after = control.look();
        assert!(after.redelivers_since(before));
        assert!(after.redelivers_since(after.still_redelivering(before)));
        assert!(!after.redelivers_since(after));
    }

    #[test]
    fn a_word_of_zeros_is_corrupt() {
        let control = Control::new();
        control.scribble(0);
        assert!(control.glance().checked().is_err());
        assert!(Signs::NONE != control.glance() && Signs::NONE != Control::new().glance());
    }
}
