//! Who is there: presence by rows, leaving, closing.
//!
//! There is no count of senders or receivers, since who dies cannot take itself out of one: a side is present while a row
//! of it is owned. Looking through the rows is not one step, so a sender could clone itself into a row already looked at and
//! leave one not yet looked at; the roster count of the control word, moved on after each joining and each leaving, tells.

use super::control::{Role, Signs};
use super::layout::Ring;
use super::position::CLOSED;
use super::row::Held;
use super::slot::SlotWord;
use super::steps::step;
use ipc_core::shim::Ordering;
use ipc_core::{Corrupt, Plain};

/// A roster that changes as often during one look is not empty.
const LOOKS: usize = 16;

impl<T: Plain> Ring<T> {
    /// Whether the endpoint of this row and incarnation is still there, its process dead or alive.
    pub fn has_endpoint(&self, row: u32, incarnation: u16) -> bool {
        self.row(row).is_some_and(|row| {
            let word = row.owner();
            word.incarnation() == incarnation && matches!(word.held(), Ok(Held::By(..)))
        })
    }

    /// Whether the slot of a position, as its bits are stored, still is at that position.
    pub fn is_at(&self, position: u64) -> bool {
        self.positions().checked(position).is_some_and(|position| {
            // ORDERING: Acquire [ring/A1]: who has left the position has read what belonged to it.
            let word = SlotWord(self.slot(position).word.load(Ordering::Acquire));
            word.lap() == self.positions().lap(position)
        })
    }

    /// Whether an owned row is on this side, its owner dead or alive.
    #[cold]
    pub(crate) fn anybody(&self, side: Role, first: u32) -> Result<bool, Corrupt> {
        let control = &self.state().control.0;
        let mut before = control.look();
        for _ in 0..LOOKS {
            for (_, row) in self.rows_from(first) {
                match row.owner().held()? {
                    Held::By(_, role) if role.includes(side) => return Ok(true),
                    _ => {}
                }
            }
            let after = control.look();
            if after == before {
                return Ok(false);
            }
            before = after;
        }
        Ok(true)
    }

    /// Whether everybody of this side has left, and there has been somebody.
    #[cold]
    pub(crate) fn deserted(&self, side: Role, first: u32) -> Result<bool, Corrupt> {
        Ok(self.state().control.0.look().checked()?.seen(side) && !self.anybody(side, first)?)
    }

    /// The hint says that nobody of this side is left: true if it is so, and takes the hint back if it is not.
    #[cold]
    pub(crate) fn hint_holds(&self, signs: Signs, side: Role) -> Result<bool, Corrupt> {
        if !signs.gone(side) {
            return Ok(false);
        }
        let gone = !self.anybody(side, 0)?;
        if !gone {
            self.state().control.0.not_gone(side);
        }
        Ok(gone)
    }

    /// A row of this role has just been freed: tells all who may have waited for it.
    pub(crate) fn left(&self, role: Role) {
        let state = self.state();
        state.control.0.roster_changed();
        step();
        for side in [Role::Sender, Role::Receiver] {
            // A corrupt row is for those to report who can.
            if role.includes(side) && self.anybody(side, 0) == Ok(false) {
                state.control.0.all_gone(side);
            }
        }
        step();
        // ORDERING: [wait/W1] the control word was changed by a SeqCst read-modify-write.
        state.rx.notify(u32::MAX);
        state.tx.notify(u32::MAX);
    }

    /// Accepts nothing more; what is inside can be received. Closing twice is closing once.
    #[cold]
    pub fn close(&self) {
        let state = self.state();
        // ORDERING: SeqCst [ring/T1] and [wait/W1]: senders that claim afterwards see it, sleepers are seen or see it.
        state.tail.0.fetch_or(CLOSED, Ordering::SeqCst);
        step();
        state.control.0.closed();
        step();
        state.rx.notify(u32::MAX);
        state.tx.notify(u32::MAX);
    }

    /// Whether [`close`](Self::close) has been called.
    pub fn is_closed(&self) -> bool {
        // ORDERING: SeqCst [ring/L1], as for `len`.
        self.state().tail.0.load(Ordering::SeqCst) & CLOSED != 0
    }
}
