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

impl<T: Plain> Endpoint<T> {
    /// Sends without waiting.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), Stop> {
        let (_entered, row) = self.enter()?;
        let (ring, state) = (&self.ring, self.ring.state());
        let positions = ring.positions();
        if state.control.0.glance() != self.seen.get() {
            self.look_up_to_send()?;
        }
        // S1. Relaxed: a stale cursor fails its CAS.
        let mut cursor = state.tail.0.load(Ordering::Relaxed);
        let mut rounds = Rounds::new();
        let mut announced = false;
        loop {
            let Some(position) = positions.open_cursor(cursor) else {
                return Err(self.refuse(row, announced, closed_or_corrupt(self, cursor)));
            };
            let slot = ring.slot(position);
            // ORDERING: Acquire [ring/A1]: the last receiver has read the payload; pairs with its acknowledgement.
            let word = SlotWord(slot.word.load(Ordering::Acquire));
            if word != SlotWord::empty(positions, position) {
                let now = state.tail.0.load(Ordering::Relaxed);
                if now == cursor {
                    return Err(self.refuse(row, announced, occupied(self, position, word)));
                }
                cursor = now;
            } else {
                row.announce_send(position); // S2.
                announced = true;
                step();
                // S3. ORDERING: SeqCst [ring/T1]: publishes the announcement with the claim, and stands before the look at
                // the sleepers [wait/W1]. On failure Relaxed, as for S1.
                let next = positions.next(position).cursor();
                match state.tail.0.compare_exchange(cursor, next, Ordering::SeqCst, Ordering::Relaxed) {
                    Ok(_) => {
                        step();
                        row.own_send(position); // S4.
                        shim::program_order();
                        step();
                        // S5.
                        slot.payload.with_mut(|payload| {
                            // SAFETY: in the mapping and aligned. slot.rs invariant 1: the claim of S3 gives this slot's
                            // payload to this thread until S6, and [ring/A1] says that its last reader is done.
                            unsafe { store_plain(payload.cast::<T>(), message) };
                        });
                        step();
                        // S6. ORDERING: Release [ring/P1]: publishes the payload; pairs with the Acquire of R1.
                        slot.word.store(SlotWord::full(positions, position).0, Ordering::Release);
                        step();
                        state.rx.notify(1); // S7.
                        return Ok(());
                    }
                    Err(now) => cursor = now,
                }
            }
            if !rounds.another() {
                return Err(self.refuse(row, announced, Stop::WouldBlock));
            }
        }
    }

    /// Ends an operation that claimed nothing.
    #[inline]
    pub(super) fn refuse(&self, row: &EndpointRow, announced: bool, stop: Stop) -> Stop {
        if announced {
            row.retract();
        }
        stop
    }

    /// Something changed since this endpoint last looked.
    #[cold]
    fn look_up_to_send(&self) -> Result<(), Stop> {
        let signs = self.ring.state().control.0.look().checked()?;
        if self.ring.hint_holds(signs, Role::Receiver)? {
            return Err(Stop::Closed); // Not remembered: the next attempt looks again.
        }
        self.seen.set(signs);
        Ok(())
    }
}

/// The tail is not an open cursor.
#[cold]
fn closed_or_corrupt<T: Plain>(endpoint: &Endpoint<T>, cursor: u64) -> Stop {
    match endpoint.ring.positions().cursor(cursor) {
        Some(_) if cursor & CLOSED != 0 => Stop::Closed,
        _ => Stop::Corrupt(Corrupt { what: "the ring's tail", found: cursor }),
    }
}

/// The tail stands at `position` and its slot is not free: it must be as the lap before left it.
#[cold]
fn occupied<T: Plain>(endpoint: &Endpoint<T>, position: Position, word: SlotWord) -> Stop {
    let positions = endpoint.ring.positions();
    if word.phase().is_some() && word.lap() == positions.lap(positions.lap_before(position)) {
        Stop::WouldBlock
    } else {
        Stop::Corrupt(Corrupt { what: "a slot of the ring", found: word.0 })
    }
}
