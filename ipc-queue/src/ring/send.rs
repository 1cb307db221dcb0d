//! Sending: announce, claim, write, commit, wake. The steps are those of the table in `mod.rs`.

use super::control::Role;
use super::endpoint::{Endpoint, Stop};
use super::position::{CLOSED, Position};
use super::row::EndpointRow;
use super::slot::SlotWord;
use super::steps::step;
use super::wait::Rounds;
use ipc_core::raw::store_plain;
use ipc_core::shim::{self, Ordering};
use ipc_core::{Corrupt, Plain};
use std::slice;

impl<T: Plain> Endpoint<T> {
    /// Sends without waiting.
    #[inline(always)]
    pub fn try_send(&self, message: T) -> Result<(), Stop> {
        if self.send_at_once(&message) { Ok(()) } else { self.send_slowly(&message) }
    }

    /// The way without obstacles: nothing to notice, a free slot, nobody faster. False if it is not.
    #[inline(always)]
    fn send_at_once(&self, message: &T) -> bool {
        let Ok((_entered, row)) = self.enter() else { return false };
        let state = self.ring.state();
        if state.control.0.glance() != self.seen_sending.get() {
            return false;
        }
        // S1. Relaxed: a stale cursor fails its CAS.
        let cursor = state.tail.0.load(Ordering::Relaxed);
        match self.ring.positions().open_cursor(cursor) {
            Some(position) if self.is_free(position).is_ok() && self.claim_tail(row, cursor, position).is_ok() => {
                self.fill(row, position, message);
                true
            }
            _ => false,
        }
    }

    #[cold]
    #[inline(never)]
    fn send_slowly(&self, message: &T) -> Result<(), Stop> {
        self.send_first(slice::from_ref(message)).map(drop)
    }

    /// Sends as many of the first of these as there is room for, by one claim: how many, at least one.
    pub fn send_first(&self, messages: &[T]) -> Result<usize, Stop> {
        let (_entered, row) = self.enter()?;
        let (first, room) = self.claim_room(row, messages.len())?;
        match &messages[..room] {
            [message] => self.fill(row, first, message),
            messages => self.fill_all(row, first, messages),
        }
        Ok(room)
    }

    /// Claims one slot and sends what `make` makes of its position. `make` must not panic: its slot would stay in the way.
    pub fn send_made(&self, make: impl FnOnce(Position) -> T) -> Result<(), Stop> {
        let (_entered, row) = self.enter()?;
        let (position, _) = self.claim_room(row, 1)?;
        let message = make(position);
        self.fill(row, position, &message);
        Ok(())
    }

    /// S1 to S3: claims free slots, `most` at most. The first position, and how many.
    pub(super) fn claim_room(&self, row: &EndpointRow, most: usize) -> Result<(Position, usize), Stop> {
        let state = self.ring.state();
        if state.control.0.glance() != self.seen_sending.get() {
            self.look_up_to_send()?;
        }
        let mut cursor = state.tail.0.load(Ordering::Relaxed);
        let mut rounds = Rounds::new();
        let stop = loop {
            let Some(first) = self.ring.positions().open_cursor(cursor) else {
                break self.closed_or_corrupt(cursor);
            };
            cursor = match self.is_free(first) {
                Ok(()) => {
                    let room = self.run(first, most, |position| self.is_free(position).is_ok());
                    match self.claim_tail_for(row, cursor, first, room) {
                        Ok(()) => return Ok((first, room)),
                        Err(now) => now,
                    }
                }
                Err(word) => match state.tail.0.load(Ordering::Relaxed) {
                    now if now == cursor => break self.occupied(first, word),
                    now => now,
                },
            };
            if !rounds.another() {
                break Stop::WouldBlock;
            }
        };
        // An announcement left standing would look like a bystander's.
        row.retract();
        Err(stop)
    }

    /// S2 and S3 for `n` positions.
    #[inline(always)]
    fn claim_tail_for(&self, row: &EndpointRow, cursor: u64, first: Position, n: usize) -> Result<(), u64> {
        if n == 1 {
            return self.claim_tail(row, cursor, first);
        }
        row.announce_many(Role::Sender, first, n as u32); // S2.
        step();
        let next = self.ring.positions().after(first, n as u64).cursor();
        // S3. ORDERING: SeqCst [ring/T1], [wait/W1]; Relaxed: as in `claim_tail`.
        self.ring.state().tail.0.compare_exchange(cursor, next, Ordering::SeqCst, Ordering::Relaxed)?;
        step();
        Ok(())
    }

    /// S4 to S7 for all the messages of one claim: whoever dies in the middle has sent the first of them.
    #[inline(always)]
    fn fill_all(&self, row: &EndpointRow, first: Position, messages: &[T]) {
        row.own_many(Role::Sender, first); // S4.
        shim::program_order();
        let mut position = first;
        for message in messages {
            step();
            self.write(position, message); // S5.
            step();
            self.commit(position); // S6.
            position = self.ring.positions().next(position);
        }
        step();
        self.ring.state().rx.notify(messages.len() as u32); // S7.
    }

    /// Whether a sender may claim the position, if it is the tail's; else what its slot holds.
    #[inline(always)]
    fn is_free(&self, position: Position) -> Result<(), SlotWord> {
        // ORDERING: Acquire [ring/A1]: the last receiver has read the payload; pairs with its acknowledgement.
        let word = SlotWord(self.ring.slot(position).word.load(Ordering::Acquire));
        if word == SlotWord::empty(self.ring.positions(), position) { Ok(()) } else { Err(word) }
    }

    /// Announces and claims; if somebody was faster, the tail as it is now.
    #[inline(always)]
    fn claim_tail(&self, row: &EndpointRow, cursor: u64, position: Position) -> Result<(), u64> {
        row.announce_send(position); // S2.
        step();
        let next = self.ring.positions().next(position).cursor();
        // S3. ORDERING: SeqCst [ring/T1]: publishes the announcement with the claim, and stands before the look at the sleepers
        // [wait/W1]. On failure Relaxed, as for S1.
        self.ring.state().tail.0.compare_exchange(cursor, next, Ordering::SeqCst, Ordering::Relaxed)?;
        step();
        Ok(())
    }

    /// Writes into the claimed slot, commits and wakes.
    #[inline(always)]
    fn fill(&self, row: &EndpointRow, position: Position, message: &T) {
        row.own_send(position); // S4.
        shim::program_order();
        step();
        self.write(position, message); // S5.
        step();
        self.commit(position); // S6.
        step();
        self.ring.state().rx.notify(1); // S7.
    }

    #[inline(always)]
    fn write(&self, position: Position, message: &T) {
        self.ring.slot(position).payload.with_mut(|payload| {
            // SAFETY: in the mapping and aligned. slot.rs invariant 1: the claim of S3 gives this slot's payload to this thread
            // until S6, and [ring/A1] says that its last reader is done.
            unsafe { store_plain(payload.cast::<T>(), *message) };
        });
    }

    #[inline(always)]
    pub(super) fn commit(&self, position: Position) {
        let full = SlotWord::full(self.ring.positions(), position);
        // ORDERING: Release [ring/P1]: publishes the payload; pairs with the Acquire of R1.
        self.ring.slot(position).word.store(full.0, Ordering::Release);
    }

    /// Something changed since this endpoint last looked.
    #[cold]
    fn look_up_to_send(&self) -> Result<(), Stop> {
        let signs = self.ring.state().control.0.look().checked()?;
        if self.ring.hint_holds(signs, Role::Receiver)? {
            return Err(Stop::Closed); // Not remembered: the next attempt looks again.
        }
        self.seen_sending.set(signs);
        Ok(())
    }

    /// The tail is not an open cursor.
    fn closed_or_corrupt(&self, cursor: u64) -> Stop {
        match self.ring.positions().cursor(cursor) {
            Some(_) if cursor & CLOSED != 0 => Stop::Closed,
            _ => Stop::Corrupt(Corrupt { what: "the ring's tail", found: cursor }),
        }
    }

    /// The tail stands at `position` and its slot is not free: it must be as the lap before left it.
    fn occupied(&self, position: Position, word: SlotWord) -> Stop {
        let positions = self.ring.positions();
        if word.phase().is_some() && word.lap() == positions.lap(positions.lap_before(position)) {
            Stop::WouldBlock
        } else {
            Stop::Corrupt(Corrupt { what: "a slot of the ring", found: word.0 })
        }
    }
}
