//! Loans: a slot that stays with its sender while a message is written in place, or with its receiver while it is read.
//!
//! An intent names one claim, so it cannot stand while its endpoint goes on to others. A loan puts the endpoint's number into
//! the slot instead, and the intent is free again.
//!
//! Sending: **L1** note that there is a loan · **S1**–**S4** claim · **L2** slot = (WRITING, me) · the message is written ·
//! **L3** slot = FULL: the commit, or TOMB if nothing is sent · **L4** note that it is back · **L5** wake receivers.
//! Receiving: **L1** · **R1**–**R4** claim, or **D2** · **L2** slot = (READING, me) · the message is read · **L3** slot = EMPTY of
//! the next lap: the acknowledgement, or REDELIVER, told to the others · **L4** · **L5** wake senders, or receivers.
//!
//! | dies after | is left                         | who repairs it: any waiter that …            | test                                  |
//! |------------|---------------------------------|----------------------------------------------|---------------------------------------|
//! | L1         | a note of no loan               | … looks through the rows                     | `a_borrower_dies_at_every_step`       |
//! | the claim  | as after S3, R3                 | as there                                     | the same                              |
//! | L2         | a slot with the name of the dead | … is stopped by it, or looks through the rows → TOMB, REDELIVER | the same              |
//! | L3, L4     | a message, or a free slot; perhaps somebody asleep | … sleeps: looks again       | the same                              |
//!
//! A loan that is leaked (`mem::forget`) holds its slot, and so all that come a lap later, until its endpoint leaves or its
//! process dies.

use super::control::Role;
use super::endpoint::{Endpoint, Stop};
use super::position::Position;
use super::repair::settle_loans;
use super::row::EndpointRow;
use super::slot::{Phase, SlotWord};
use super::steps::step;
use ipc_core::Plain;
use ipc_core::shim::Ordering;
use std::ptr::NonNull;

/// A position whose slot is on loan to one endpoint.
#[derive(Debug, PartialEq, Eq)]
pub struct Lent(Position);

impl<T: Plain> Endpoint<T> {
    /// Takes the next free slot on loan, to write a message in it.
    pub fn try_reserve(&self) -> Result<Lent, Stop> {
        let (_entered, row) = self.enter()?;
        self.borrows(row); // L1.
        step();
        let claimed = self.claim_room(row, 1).map(|(position, _)| {
            row.own_send(position);
            position
        });
        self.lend(row, claimed, Phase::Writing)
    }

    /// Takes the next message on loan, to read it in place.
    pub fn try_borrow(&self) -> Result<Lent, Stop> {
        let (_entered, row) = self.enter()?;
        if self.ring.state().control.0.glance() != self.seen.get()
            && let Some(position) = self.look_up_to_recv(|| self.borrow_redelivered(row))?
        {
            return Ok(Lent(position));
        }
        self.borrows(row); // L1.
        step();
        let claimed = self.claim_next(row, 1).map(|(position, _)| {
            row.own_recv(position);
            position
        });
        self.lend(row, claimed, Phase::Reading)
    }

    /// L2: what was claimed becomes a loan.
    fn lend(&self, row: &EndpointRow, claimed: Result<Position, Stop>, phase: Phase) -> Result<Lent, Stop> {
        match claimed {
            Ok(position) => {
                step();
                let mine = SlotWord::lent(self.ring.positions().lap(position), self.index(), phase);
                // ORDERING: Release [ring/I1]: the note of L1 is visible with the name. The payload is this endpoint's since the
                // claim.
                self.ring.slot(position).word.store(mine.0, Ordering::Release);
                step();
                Ok(Lent(position))
            }
            Err(stop) => {
                self.gave_back(row);
                Err(stop)
            }
        }
    }

    /// The payload of a loan: this endpoint's alone until the loan is given back.
    #[inline]
    pub fn payload(&self, lent: &Lent) -> NonNull<T> {
        let at = self.ring.slot(lent.0).payload.with_mut(|payload| payload.cast::<T>());
        // A slot inside the mapping is not at address 0.
        NonNull::new(at).unwrap_or(NonNull::dangling())
    }

    /// Sends what was written.
    pub fn commit_reserved(&self, lent: Lent) {
        let Ok((_entered, row)) = self.enter() else { return };
        self.commit(lent.0); // L3.
        self.returned(row, Role::Receiver);
    }

    /// Sends nothing: receivers skip the slot.
    pub fn discard_reserved(&self, lent: Lent) {
        let Ok((_entered, row)) = self.enter() else { return };
        let tomb = SlotWord::tomb(self.ring.positions(), lent.0);
        // L3. ORDERING: Release [ring/D1]: nobody writes to the payload any more.
        self.ring.slot(lent.0).word.store(tomb.0, Ordering::Release);
        self.returned(row, Role::Receiver);
    }

    /// The message has been read: it will not come again.
    pub fn acknowledge_borrowed(&self, lent: Lent) {
        let Ok((_entered, row)) = self.enter() else { return };
        self.free(lent.0); // L3.
        self.returned(row, Role::Sender);
    }

    /// The message has not been dealt with: whoever receives next gets it.
    pub fn redeliver_borrowed(&self, lent: Lent) {
        let Ok((_entered, row)) = self.enter() else { return };
        let again = SlotWord::new(self.ring.positions().lap(lent.0), Phase::Redeliver);
        // L3. ORDERING: Release [ring/D1]: nobody reads the payload any more.
        self.ring.slot(lent.0).word.store(again.0, Ordering::Release);
        step();
        self.ring.state().control.0.redeliver();
        self.returned(row, Role::Receiver);
    }

    /// L4 and L5.
    fn returned(&self, row: &EndpointRow, waiting: Role) {
        step();
        self.gave_back(row); // L4.
        step();
        let state = self.ring.state();
        let word = if waiting == Role::Sender { &state.tx } else { &state.rx };
        // No read-modify-write of a cursor tells those who wait for this slot.
        word.notify_fenced(1); // L5.
    }

    /// Treats slots whose loans were leaked as those of the dead, before the row is given back.
    pub(super) fn abandon_loans(&self, row: &EndpointRow) {
        settle_loans(&self.ring, self.index().into(), row);
        let state = self.ring.state();
        state.control.0.redeliver();
        state.rx.notify(u32::MAX);
        state.tx.notify(u32::MAX);
    }
}
