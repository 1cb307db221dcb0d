//! One endpoint's row: whose it is, and what it is about to do.
//!
//! | offset | type | name     | written by                                                                              |
//! |--------|------|----------|-----------------------------------------------------------------------------------------|
//! | 0      | u64  | owner    | CAS: who joins, leaves, takes over or repairs                                           |
//! | 8      | u64  | intent   | the owner alone, plain stores                                                           |
//! | 16     | u32  | intent_n | the owner alone, while the intent is not that of a batch: positions that a batch covers |
//! | 20     | u32  | loans    | the owner alone: 1 + slots it may have on loan                                          |
//!
//! The owner word is [`Owner`] with the row's *incarnation* in place of the thread, and the role in its flags, so that one
//! CAS gives or takes everything: FREE has no generation and flag 0b100. Each taking, of a free row or over from another
//! member, moves the incarnation on, so that who gave a row away can never free what was given to somebody since (unless the
//! row was taken exactly a multiple of 8192 times in between).
//!
//! | intent    | bits 3–0     | bits 63–4 | says                                                              |
//! |-----------|--------------|-----------|-------------------------------------------------------------------|
//! | IDLE      | 1            | 0         | nothing is claimed                                                |
//! | SEND TRY  | 2, MANY 10   | position  | may have moved the tail past the position, or be about to         |
//! | SEND OWN  | 3, MANY 11   | position  | has moved it; committed or not, the slot tells                    |
//! | RECV TRY  | 4, MANY 12   | position  | may have moved the head past the position, or be about to         |
//! | RECV OWN  | 5, MANY 13   | position  | has moved it; acknowledged or not, the slot tells                 |
//!
//! With MANY the intent covers `intent_n` positions from that one on, else the one. Two words cannot be read as one: the
//! count is written while the intent is not MANY, and who reads it of a living endpoint reads the intent again after it.
//!
//! An intent is written by its owner alone, even when the owner is dead: a repairer settles what it says and frees the row
//! by one CAS, and who joins stores IDLE first. What a settled intent covered never looks unsettled again, since laps move on.

use super::control::Role;
use super::position::{Position, Positions};
use super::steps::step;
use ipc_core::Corrupt;
use ipc_core::raw::{Owner, Pad};
use ipc_core::shim::{AtomicU32, AtomicU64, Ordering};

const FREE: u64 = 0b100;
const FLAGS: u64 = 0b111;

/// The owner word of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowWord(u64);

/// What an owner word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The row is free.
    Free,
    /// The row is a member's.
    By(Owner, Role),
}

impl RowWord {
    const NEW: RowWord = RowWord(FREE);

    /// A word that came from elsewhere: a stored row, or a handle in transit.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The stored form.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Reads it; `Corrupt` for what no member writes.
    pub(crate) fn held(self) -> Result<Held, Corrupt> {
        let owner = Owner::from_word(self.0);
        match (self.0 & FLAGS, Role::from_bits(self.0 & FLAGS)) {
            (FREE, _) if !owner.is_somebody() && owner.row() == 0 => Ok(Held::Free),
            (_, Some(role)) if owner.is_somebody() => Ok(Held::By(owner.member(), role)),
            _ => Err(Corrupt { what: "an endpoint's owner word", found: self.0 }),
        }
    }

    /// How often the row has been taken, modulo 8192.
    pub fn incarnation(self) -> u16 {
        Owner::from_word(self.0).thread()
    }

    /// The next incarnation of this row, in the hands of `member`.
    pub(crate) fn taken_by(self, member: Owner, role: Role) -> Self {
        let incarnation = Owner::from_word(self.0).thread().wrapping_add(1) & Owner::MAX_THREAD;
        Self(Owner::new(member.generation(), member.row(), incarnation).word() | role as u64)
    }

    /// The same incarnation, free.
    pub(crate) fn freed(self) -> Self {
        Self(Owner::new(0, 0, Owner::from_word(self.0).thread()).word() | FREE)
    }
}

/// What an endpoint announces before it does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub side: Role,
    /// OWN rather than TRY.
    pub sure: bool,
    /// Of a batch.
    many: bool,
    pub position: Position,
}

/// What a row's intent says, and how many positions it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// Nothing is claimed or tried for.
    Nothing,
    /// So many positions from one on.
    Claim(Intent, u64),
    /// A batch that was another one each time one looked: its endpoint lives, and may be after anything.
    Moving,
}

const KIND_BITS: u32 = 4;
const KIND: u64 = 0b1111;
const IDLE: u64 = 1;
const SEND_TRY: u64 = 2;
const SEND_OWN: u64 = 3;
const RECV_TRY: u64 = 4;
const RECV_OWN: u64 = 5;
const MANY: u64 = 0b1000;

impl Intent {
    /// Reads a stored intent; `None` for IDLE, `Corrupt` for what no member writes.
    pub fn read(word: u64, positions: &Positions) -> Result<Option<Self>, Corrupt> {
        let many = word & MANY != 0;
        let (side, sure) = match word & KIND & !MANY {
            IDLE if word == IDLE => return Ok(None),
            SEND_TRY => (Role::Sender, false),
            SEND_OWN => (Role::Sender, true),
            RECV_TRY => (Role::Receiver, false),
            RECV_OWN => (Role::Receiver, true),
            _ => return Err(Corrupt { what: "an endpoint's intent", found: word }),
        };
        match positions.checked(word >> KIND_BITS) {
            Some(position) => Ok(Some(Self { side, sure, many, position })),
            None => Err(Corrupt { what: "an endpoint's intent", found: word }),
        }
    }
}

/// A row in shared memory, on lines of its own: its owner writes it twice per operation.
#[repr(C, align(128))]
pub(crate) struct EndpointRow {
    owner: AtomicU64,
    intent: AtomicU64,
    intent_n: AtomicU32,
    loans: AtomicU32,
    rest: Pad<104>,
}

#[cfg(not(ipc_loom))]
ipc_core::record! { "endpoint row", EndpointRow {
    owner: u64,
    intent: u64,
    intent_n: u32,
    loans: u32,
    rest: [u8; 104],
} }

const NO_LOANS: u32 = 1;

/// How often a batch in motion is looked at.
const LOOKS: usize = 8;

impl EndpointRow {
    pub fn new() -> Self {
        Self {
            owner: AtomicU64::new(RowWord::NEW.bits()),
            intent: AtomicU64::new(IDLE),
            intent_n: AtomicU32::new(1),
            loans: AtomicU32::new(NO_LOANS),
            rest: Pad::new(),
        }
    }

    pub fn owner(&self) -> RowWord {
        // ORDERING: Acquire [ring/E1]: what the owner did before it came or went is visible; pairs with `change_owner`.
        RowWord(self.owner.load(Ordering::Acquire))
    }

    /// The CAS by which a row changes hands; false if it already had.
    pub fn change_owner(&self, from: RowWord, to: RowWord) -> bool {
        // ORDERING: SeqCst [ring/E1]: releases the row with all that was done through it, acquires it likewise, and is
        // ordered with the roster count.
        self.owner.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Announces the claim of one position, right before the CAS.
    #[inline(always)]
    pub fn announce_send(&self, position: Position) {
        // ORDERING: Release [ring/I1]: whatever this endpoint committed or acknowledged earlier is visible before the intent
        // that names it is gone.
        self.intent.store(position.bits() << KIND_BITS | SEND_TRY, Ordering::Release);
    }

    /// As [`announce_send`](Self::announce_send), for the head.
    #[inline(always)]
    pub fn announce_recv(&self, position: Position) {
        // ORDERING: Release [ring/I1]: as above.
        self.intent.store(position.bits() << KIND_BITS | RECV_TRY, Ordering::Release);
    }

    /// The CAS succeeded: the position is this endpoint's and nobody else's.
    #[inline(always)]
    pub fn own_send(&self, position: Position) {
        // ORDERING: Release [ring/I1]: as for the announcement, for who never saw that.
        self.intent.store(position.bits() << KIND_BITS | SEND_OWN, Ordering::Release);
    }

    /// As [`own_send`](Self::own_send), for the head.
    #[inline(always)]
    pub fn own_recv(&self, position: Position) {
        // ORDERING: Release [ring/I1].
        self.intent.store(position.bits() << KIND_BITS | RECV_OWN, Ordering::Release);
    }

    /// Announces the claim of several positions, right before the CAS.
    pub fn announce_many(&self, side: Role, position: Position, n: u32) {
        // No batch's intent may stand beside another's count.
        self.retract();
        step();
        // ORDERING: Release [ring/I1]: IDLE stands before the count, the count before the intent.
        self.intent_n.store(n, Ordering::Release);
        step();
        let kind = if side == Role::Sender { SEND_TRY } else { RECV_TRY };
        self.intent.store(position.bits() << KIND_BITS | kind | MANY, Ordering::Release);
    }

    /// As [`own_send`](Self::own_send), for the claim that [`announce_many`](Self::announce_many) announced.
    pub fn own_many(&self, side: Role, position: Position) {
        let kind = if side == Role::Sender { SEND_OWN } else { RECV_OWN };
        // ORDERING: Release [ring/I1]: with the intent comes its count.
        self.intent.store(position.bits() << KIND_BITS | kind | MANY, Ordering::Release);
    }

    /// Nothing is claimed or tried for: an intent left standing would look like a bystander's.
    #[inline(always)]
    pub fn retract(&self) {
        // ORDERING: Release [ring/I1]: as for the announcement.
        self.intent.store(IDLE, Ordering::Release);
    }

    /// For who has just joined: the row says nothing about its previous owner any more.
    pub fn start_over(&self) {
        self.retract();
        // ORDERING: Release [ring/I1]: IDLE stands before it.
        self.loans.store(NO_LOANS, Ordering::Release);
    }

    /// The slots this endpoint may have on loan: told before a slot names the endpoint, taken back after it no longer does.
    pub fn note_loans(&self, slots: u32) {
        // ORDERING: Release [ring/I1]: the slot's earlier words are visible before the note that they are done is.
        self.loans.store(NO_LOANS.saturating_add(slots), Ordering::Release);
    }

    pub fn may_hold_loans(&self) -> bool {
        // ORDERING: Acquire [ring/I1].
        self.loans.load(Ordering::Acquire) != NO_LOANS
    }

    /// The intent, and how many positions it covers: 1 to the capacity, whatever a scribbler stored.
    pub fn announced(&self, positions: &Positions) -> Result<Announced, Corrupt> {
        for _ in 0..LOOKS {
            // ORDERING: Acquire [ring/I1]: the slots that earlier intents named are as their endpoint left them.
            let word = self.intent.load(Ordering::Acquire);
            let Some(intent) = Intent::read(word, positions)? else { return Ok(Announced::Nothing) };
            if !intent.many {
                return Ok(Announced::Claim(intent, 1));
            }
            // ORDERING: Acquire [ring/I1]: a later batch's count brings with it that the intent was retracted before.
            let count = u64::from(self.intent_n.load(Ordering::Acquire)).clamp(1, positions.capacity());
            if self.intent.load(Ordering::Relaxed) == word {
                return Ok(Announced::Claim(intent, count));
            }
        }
        Ok(Announced::Moving)
    }

    #[cfg(test)]
    pub fn scribble(&self, owner: Option<u64>, intent: Option<u64>, n: Option<u32>, loans: Option<u32>) {
        let all = Ordering::SeqCst;
        owner.inspect(|w| self.owner.store(*w, all));
        intent.inspect(|w| self.intent.store(*w, all));
        n.inspect(|w| self.intent_n.store(*w, all));
        loans.inspect(|w| self.loans.store(*w, all));
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_row_word_of_zeros_is_corrupt() {
        for bits in [0, 1, 7, u64::MAX, 0b100 | 1 << 16, Owner::new(3, 1, 1).word()] {
            assert!(RowWord::from_bits(bits).held().is_err(), "{bits:#x}");
        }
        assert_eq!(RowWord::NEW.held(), Ok(Held::Free));
    }

    #[test]
    fn a_row_that_came_back_to_the_same_owner_is_another_row() {
        let me = Owner::new(5, 2, 77);
        let first = RowWord::NEW.taken_by(me, Role::Sender);
        assert_eq!(first.held(), Ok(Held::By(me.member(), Role::Sender)));
        let again = first.freed().taken_by(me, Role::Sender);
        assert_ne!(first, again);
        let back = first.taken_by(Owner::new(6, 3, 0), Role::Sender).taken_by(me, Role::Sender);
        assert_ne!(first, back, "given away and back: the one who gave it away does not hold it");
    }

    #[test]
    fn intents_come_back_and_zeros_are_corrupt() {
        let positions = Positions::new(3).unwrap();
        let row = EndpointRow::new();
        assert_eq!(row.announced(&positions), Ok(Announced::Nothing));
        let at = positions.at(9, 2);
        let claim = |side, sure, many, n| Ok(Announced::Claim(Intent { side, sure, many, position: at }, n));
        row.announce_send(at);
        assert_eq!(row.announced(&positions), claim(Role::Sender, false, false, 1));
        row.own_recv(at);
        assert_eq!(row.announced(&positions), claim(Role::Receiver, true, false, 1));
        for side in [Role::Sender, Role::Receiver] {
            row.announce_many(side, at, 2);
            assert_eq!(row.announced(&positions), claim(side, false, true, 2));
            row.own_many(side, at);
            assert_eq!(row.announced(&positions), claim(side, true, true, 2));
        }
        row.announce_send(at);
        assert_eq!(row.announced(&positions), claim(Role::Sender, false, false, 1), "a batch's count is the batch's");
        for word in [0, 7, 9, 15, IDLE | 16, u64::MAX, (positions.at(9, 2).bits() + 1) << KIND_BITS | SEND_TRY] {
            row.scribble(None, Some(word), Some(0), None);
            assert!(row.announced(&positions).is_err(), "{word:#x}");
        }
        row.own_many(Role::Sender, at);
        row.scribble(None, None, Some(u32::MAX), None);
        assert_eq!(row.announced(&positions), claim(Role::Sender, true, true, 3), "never more than the capacity");
    }
}
