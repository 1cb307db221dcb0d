//! An endpoint in a process: one row of the ring, and what this process remembers beside it.
//!
//! Joining: **1** take a FREE row by CAS · **2** IDLE, counts to their start · **3** tell the control word. Leaving: **4** free
//! the row by CAS · **5** tell the control word, and that nobody is left if so · **6** wake the other side. Taking over from
//! another process: **7** CAS from its owner word to mine.
//!
//! | dies after | is left                                   | who repairs it                                       | test                              |
//! |------------|-------------------------------------------|------------------------------------------------------|-----------------------------------|
//! | 1          | a row whose intent is its predecessor's   | a repairer: it was settled, and so settles to nothing | `a_joiner_dies_at_every_step`     |
//! | 2          | a row nobody was told of                  | a repairer, which tells for it                       | the same                          |
//! | 4, 5       | others asleep, or polling without the hint | sleepers look again by themselves; pollers after a while | `a_leaver_dies_at_every_step` |
//! | 7          | a row of the new owner                    | a repairer, as for any row                           | `a_travelling_row_is_taken_once`  |

use super::control::{Role, Signs};
use super::layout::Ring;
use super::position::Position;
use super::repair::{Turn, look_around, repair_member};
use super::row::{EndpointRow, Held, RowWord};
use super::steps::step;
use super::wait::obstacle;
use ipc_core::raw::{Census, Owner, Pause, Verdict};
use ipc_core::shim::{self, Ordering};
use ipc_core::{Corrupt, MemberError, Plain};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Why an operation on the ring did not do what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing to receive, or no room to send; or somebody is in the way for now.
    WouldBlock,
    /// Closed, or nobody left on the other side, and nothing left to receive.
    Closed,
    /// This very endpoint is in the middle of an operation: a signal handler interrupted it.
    Busy,
    /// The endpoint travelled to another process.
    Moved,
    /// Shared memory holds what no member wrote.
    Corrupt(Corrupt),
}

impl From<Corrupt> for Stop {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

/// Why there is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// Every row belongs to a living endpoint.
    NoRow,
    /// The row on its way here was freed or taken by somebody else.
    Gone,
    /// The process cannot become a member.
    Member(MemberError),
    /// Shared memory holds what no member wrote.
    Corrupt(Corrupt),
}

impl From<Corrupt> for JoinError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

/// What an endpoint is doing, for whoever interrupts it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    Something,
    Travelling,
}

/// Polls in vain at one place.
#[derive(Clone, Copy)]
struct Vain {
    cursor: u64,
    polls: u32,
    look_at: Option<Instant>,
    pause: Pause,
}

/// One row of a ring in the hands of this process. One thread at a time; the row outlives it unless [`leave`](Self::leave)
/// is called.
pub struct Endpoint<T> {
    pub(super) ring: Ring<T>,
    index: u32,
    word: RowWord,
    role: Role,
    pub(super) seen: Cell<Signs>,
    /// The same for sending: an endpoint of both roles must not overlook as a sender what it has to take as a receiver.
    pub(super) seen_sending: Cell<Signs>,
    doing: Cell<Doing>,
    /// Slots on loan.
    loans: Cell<u32>,
    /// On the sending and on the receiving side.
    vain: [Cell<Vain>; 2],
    turn: Turn,
}

/// Marks the endpoint as in the middle of an operation.
pub(super) struct Entered<'a>(&'a Cell<Doing>);

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        shim::program_order();
        self.0.set(Doing::Nothing);
    }
}

/// Looks for the first time after this long at the same place; then at growing intervals.
const VAIN_FIRST: Duration = Duration::from_millis(1);

impl<T: Plain> Endpoint<T> {
    /// Takes a free row; frees those of dead members if there is none.
    pub fn join(ring: Ring<T>, role: Role, census: &impl Census) -> Result<Self, JoinError> {
        match Self::join_free(ring, role, census) {
            Err(JoinError::NoRow) => {}
            done => return done,
        }
        let me = census.me().map_err(JoinError::Member)?.member();
        for (_, row) in ring.rows_from(0) {
            if let Held::By(owner, _) = row.owner().held()?
                && owner != me
                && census.verdict(owner) == Verdict::Dead
            {
                repair_member(&ring, owner, census)?;
            }
        }
        Self::take_free(ring, role, me)?.ok_or(JoinError::NoRow)
    }

    /// Takes a free row, if there is one.
    pub fn join_free(ring: Ring<T>, role: Role, census: &impl Census) -> Result<Self, JoinError> {
        let me = census.me().map_err(JoinError::Member)?.member();
        Self::take_free(ring, role, me)?.ok_or(JoinError::NoRow)
    }

    fn take_free(ring: Ring<T>, role: Role, me: Owner) -> Result<Option<Self>, Corrupt> {
        for (index, row) in ring.rows_from(0) {
            let found = row.owner();
            let mine = found.taken_by(me, role);
            // 1.
            if found.held()? == Held::Free && row.change_owner(found, mine) {
                step();
                row.start_over(); // 2.
                step();
                ring.state().control.0.joined(role); // 3.
                return Ok(Some(Self::new(ring, index, mine, role)));
            }
        }
        Ok(None)
    }

    /// Takes over row `index` as it is recorded in `word`, from a process that gave it away by [`travel`](Self::travel).
    pub fn adopt(ring: Ring<T>, index: u32, word: RowWord, census: &impl Census) -> Result<Self, JoinError> {
        let me = census.me().map_err(JoinError::Member)?.member();
        let (Ok(Held::By(_, role)), Some(row)) = (word.held(), ring.row(index)) else { return Err(JoinError::Gone) };
        let mine = word.taken_by(me, role);
        // 7.
        if !row.change_owner(word, mine) {
            return Err(JoinError::Gone);
        }
        step();
        Ok(Self::new(ring, index, mine, role))
    }

    fn new(ring: Ring<T>, index: u32, word: RowWord, role: Role) -> Self {
        let vain = Vain { cursor: 0, polls: 0, look_at: None, pause: Pause::new() };
        Self {
            ring,
            index,
            word,
            role,
            seen: Cell::new(Signs::NONE),
            seen_sending: Cell::new(Signs::NONE),
            doing: Cell::new(Doing::Nothing),
            loans: Cell::new(0),
            vain: [Cell::new(vain), Cell::new(vain)],
            turn: Turn::new(index),
        }
    }

    /// Row number and owner word, with which another process may [`adopt`](Self::adopt) the row. From now on this endpoint
    /// refuses to work; leaving it frees the row if nobody has taken it over.
    pub fn travel(&self) -> Result<(u32, RowWord), Stop> {
        match self.doing.get() {
            Doing::Something => Err(Stop::Busy),
            Doing::Travelling => Err(Stop::Moved),
            Doing::Nothing if self.loans.get() > 0 => Err(Stop::Busy),
            Doing::Nothing => {
                self.doing.set(Doing::Travelling);
                Ok((self.index, self.word))
            }
        }
    }

    /// Gives the row back, and wakes the other side if it may have waited for this endpoint. Does nothing if the row is no
    /// longer this endpoint's. Never waits.
    ///
    /// Slots whose loans were leaked are treated as those of the dead: skipped, or received by somebody else.
    pub fn leave(&self) {
        let Some(row) = self.ring.row(self.index) else { return };
        if self.loans.get() > 0 && row.owner() == self.word {
            self.abandon_loans(row);
        }
        // 4.
        if row.change_owner(self.word, self.word.freed()) {
            step();
            self.ring.left(self.role);
        }
    }

    /// Whether this endpoint's row is still this endpoint's.
    #[cfg(any(test, ipc_loom))]
    pub fn is_joined(&self) -> bool {
        self.ring.row(self.index).is_some_and(|row| row.owner() == self.word)
    }

    /// Entering an operation: refuses if this endpoint is in the middle of one, or has been given away.
    #[inline(always)]
    pub(super) fn enter(&self) -> Result<(Entered<'_>, &EndpointRow), Stop> {
        let doing = self.doing.get();
        if doing != Doing::Nothing {
            return Err(if doing == Doing::Something { Stop::Busy } else { Stop::Moved });
        }
        let Some(row) = self.ring.row(self.index) else { return Err(Stop::Moved) };
        self.doing.set(Doing::Something);
        shim::program_order();
        Ok((Entered(&self.doing), row))
    }

    /// Whether it has been given away.
    pub fn is_travelling(&self) -> bool {
        self.doing.get() == Doing::Travelling
    }

    /// Its side, or both.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its row and the row's incarnation: what tells it from all other endpoints there have been.
    pub fn name(&self) -> (u32, u16) {
        (self.index, self.word.incarnation())
    }

    pub(super) fn index(&self) -> u16 {
        self.index as u16
    }

    /// One more slot is about to be on loan: told before the slot names this endpoint.
    pub(super) fn borrows(&self, row: &EndpointRow) {
        self.loans.set(self.loans.get() + 1);
        row.note_loans(self.loans.get());
    }

    /// One slot less is on loan: told after the slot has ceased to name this endpoint.
    pub(super) fn gave_back(&self, row: &EndpointRow) {
        self.loans.set(self.loans.get().saturating_sub(1));
        row.note_loans(self.loans.get());
    }

    /// How many slots in a row from `first` on pass the test, `most` at most. (The first has passed it.)
    #[inline(always)]
    pub(super) fn run(&self, first: Position, most: usize, passes: impl Fn(Position) -> bool) -> usize {
        let positions = self.ring.positions();
        let most = most.min(positions.capacity() as usize).min(u32::MAX as usize);
        let mut n = 1;
        let mut position = first;
        while n < most {
            position = positions.next(position);
            if !passes(position) {
                break;
            }
            n += 1;
        }
        n
    }

    /// Where a wait through this endpoint goes on looking for the dead.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// After a poll that would have blocked: if it is the same place as for the last millisecond or longer, looks whether a
    /// dead member is in the way. `Ok(true)`: something was repaired, poll again.
    #[cold]
    pub fn in_vain(&self, side: Role, census: &impl Census) -> Result<bool, Corrupt> {
        let state = self.ring.state();
        let [sending, receiving] = &self.vain;
        let (cursor, kept) = if side == Role::Sender { (&state.tail.0, sending) } else { (&state.head.0, receiving) };
        let cursor = cursor.load(Ordering::Relaxed);
        let mut vain = kept.get();
        if vain.cursor != cursor {
            vain = Vain { cursor, polls: 0, look_at: None, pause: Pause::new() };
        }
        vain.polls = vain.polls.saturating_add(1);
        // The clock is not free: read it at the 4th, 8th, … 64th poll, then at every 64th.
        let ripe = vain.polls >= 4 && (vain.polls % 64 == 0 || vain.polls.is_power_of_two());
        let mut repaired = false;
        if ripe {
            let now = Instant::now();
            match vain.look_at {
                None => vain.look_at = Some(now + VAIN_FIRST),
                Some(then) if now >= then => {
                    repaired = look_around(&self.ring, side, &obstacle(&self.ring, side)?, census, &self.turn)?;
                    vain.look_at = Some(now + vain.pause.interval());
                    vain.pause.advance();
                }
                Some(_) => {}
            }
        }
        kept.set(vain);
        Ok(repaired)
    }
}

impl<T> std::fmt::Debug for Endpoint<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("row", &self.index).field("role", &self.role).finish()
    }
}
