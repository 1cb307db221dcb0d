//! Receiving: announce, claim, read, acknowledge, wake; and taking what the dead had claimed. The steps are those of the
//! table in `mod.rs`.

use super::control::Role;
use super::endpoint::{Endpoint, Stop};
use super::position::Position;
use super::row::EndpointRow;
use super::slot::{Phase, Slot, SlotWord};
use super::steps::step;
use super::wait::{Obstacle, Rounds, obstacle};
use ipc_core::raw::load_plain;
use ipc_core::shim::{self, Ordering};
use ipc_core::{Corrupt, Plain};

impl<T: Plain> Endpoint<T> {
    /// Receives without waiting.
    #[inline(always)]
    pub fn try_recv(&self) -> Result<T, Stop> {
        match self.recv_at_once() {
            Some(message) => Ok(message),
            None => self.recv_slowly(),
        }
    }

    /// The way without obstacles: nothing to notice, a committed message, nobody faster. `None` if it is not.
    #[inline(always)]
    fn recv_at_once(&self) -> Option<T> {
        let (_entered, row) = self.enter().ok()?;
        let state = self.ring.state();
        if state.control.0.glance() != self.seen.get() {
            return None;
        }
        // R1. Relaxed: a stale cursor fails its CAS.
        let cursor = state.head.0.load(Ordering::Relaxed);
        let position = self.ring.positions().open_cursor(cursor)?;
        if self.word(position) != SlotWord::full(self.ring.positions(), position) {
            return None;
        }
        self.claim_head(row, cursor, position).ok()?;
        Some(self.empty(row, position))
    }

    #[cold]
    #[inline(never)]
    fn recv_slowly(&self) -> Result<T, Stop> {
        let (_entered, row) = self.enter()?;
        let (ring, state) = (&self.ring, self.ring.state());
        let positions = ring.positions();
        if state.control.0.glance() != self.seen.get()
            && let Some(message) = self.look_up_to_recv(row)?
        {
            return Ok(message);
        }
        let mut cursor = state.head.0.load(Ordering::Relaxed);
        let mut rounds = Rounds::new();
        let mut tombs = 0;
        let stop = loop {
            let Some(position) = positions.open_cursor(cursor) else {
                break Stop::Corrupt(Corrupt { what: "the ring's head", found: cursor });
            };
            let word = self.word(position);
            let full = word == SlotWord::full(positions, position);
            cursor = if full || word == SlotWord::tomb(positions, position) {
                match self.claim_head(row, cursor, position) {
                    Ok(_) if full => return Ok(self.empty(row, position)),
                    Ok(next) => {
                        // A TOMB is nobody's message. Only a scribbler can store more of them than there are slots.
                        self.clear(row, position);
                        tombs += 1;
                        if tombs > positions.capacity() {
                            break Stop::WouldBlock;
                        }
                        cursor = next;
                        continue;
                    }
                    Err(now) => now,
                }
            } else {
                match state.head.0.load(Ordering::Relaxed) {
                    now if now == cursor => break self.unready(position, word),
                    now => now,
                }
            };
            if !rounds.another() {
                break Stop::WouldBlock;
            }
        };
        // An announcement left standing would look like a bystander's.
        row.retract();
        Err(stop)
    }

    #[inline(always)]
    fn word(&self, position: Position) -> SlotWord {
        // ORDERING: Acquire [ring/P1]: the payload is there; pairs with the commit S6.
        SlotWord(self.ring.slot(position).word.load(Ordering::Acquire))
    }

    /// Announces and claims: the cursor that follows, or if somebody was faster, the head as it is now.
    #[inline(always)]
    fn claim_head(&self, row: &EndpointRow, cursor: u64, position: Position) -> Result<u64, u64> {
        row.announce_recv(position); // R2.
        step();
        let next = self.ring.positions().next(position).cursor();
        // R3. ORDERING: SeqCst [ring/H1]: publishes the announcement with the claim, and stands before the look at the sleepers
        // [wait/W1]. On failure Relaxed, as for R1.
        self.ring.state().head.0.compare_exchange(cursor, next, Ordering::SeqCst, Ordering::Relaxed)?;
        step();
        Ok(next)
    }

    /// Reads the claimed slot, acknowledges and wakes.
    #[inline(always)]
    fn empty(&self, row: &EndpointRow, position: Position) -> T {
        row.own_recv(position); // R4.
        shim::program_order();
        step();
        let slot = self.ring.slot(position);
        let message = read(slot); // R5.
        self.acknowledge(slot, position);
        message
    }

    /// As [`empty`](Self::empty), for a TOMB.
    fn clear(&self, row: &EndpointRow, position: Position) {
        row.own_recv(position);
        shim::program_order();
        step();
        self.acknowledge(self.ring.slot(position), position);
    }

    #[inline(always)]
    fn acknowledge(&self, slot: &Slot<T>, position: Position) {
        step();
        // R6. ORDERING: Release [ring/A1]: the payload has been read; pairs with the Acquire of S1.
        slot.word.store(SlotWord::acknowledged(self.ring.positions(), position).0, Ordering::Release);
        step();
        self.ring.state().tx.notify(1); // R7.
    }

    /// The head stands at `position` and its slot is not committed: it must be free, on loan to a sender, or still with the
    /// receivers of the lap before.
    fn unready(&self, position: Position, word: SlotWord) -> Stop {
        let positions = self.ring.positions();
        let (now, before) = (positions.lap(position), positions.lap(positions.lap_before(position)));
        match word.phase() {
            Some(Phase::Empty | Phase::Writing) if word.lap() == now => {}
            Some(Phase::Full | Phase::Reading | Phase::Tomb | Phase::Redeliver) if word.lap() == before => {}
            _ => return Stop::Corrupt(Corrupt { what: "a slot of the ring", found: word.0 }),
        }
        if self.seen.get().suspicious(Role::Sender) { self.at_the_end() } else { Stop::WouldBlock }
    }

    /// Nothing to receive, and perhaps nobody who will send.
    #[cold]
    fn at_the_end(&self) -> Stop {
        let ring = &self.ring;
        let end = || {
            let deserted = ring.hint_holds(self.seen.get(), Role::Sender)?;
            // Looked at after the rows: what a sender left before it left them is seen.
            Ok(match obstacle(ring, Role::Receiver)? {
                Obstacle::Closed => Stop::Closed,
                Obstacle::Nothing if deserted => Stop::Closed,
                _ => Stop::WouldBlock,
            })
        };
        end().unwrap_or_else(Stop::Corrupt)
    }

    /// Something changed since this endpoint last looked: a message to redeliver comes first.
    #[cold]
    fn look_up_to_recv(&self, row: &EndpointRow) -> Result<Option<T>, Corrupt> {
        let before = self.seen.get();
        let signs = self.ring.state().control.0.look().checked()?;
        if signs.redelivers_since(before)
            && let Some(message) = self.take_redelivered(row)
        {
            // There may be more: the next attempt looks again.
            self.seen.set(signs.still_redelivering(before));
            return Ok(Some(message));
        }
        self.seen.set(signs);
        Ok(None)
    }

    /// Takes the oldest message that a dead receiver had claimed. The CAS puts this endpoint's name into the slot, so that a
    /// death from here on only redelivers it again.
    #[cold]
    fn take_redelivered(&self, row: &EndpointRow) -> Option<T> {
        let (ring, positions) = (&self.ring, self.ring.positions());
        // ORDERING: SeqCst [ring/H1]: every position that a repairer found claimed lies behind this head.
        let head = positions.open_cursor(ring.state().head.0.load(Ordering::SeqCst))?;
        let mut position = positions.lap_before(head);
        for _ in 0..positions.capacity() {
            let slot = ring.slot(position);
            let marked = SlotWord::new(positions.lap(position), Phase::Redeliver);
            if slot.word.load(Ordering::Relaxed) == marked.0 {
                row.note_loans(1); // D1.
                step();
                let mine = SlotWord::lent(positions.lap(position), self.index(), Phase::Reading);
                // D2. ORDERING: AcqRel [ring/D1]: the payload's sender and its dead reader are done with it; the note of D1
                // is visible with the name.
                if slot.word.compare_exchange(marked.0, mine.0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    step();
                    let message = read(slot); // D3.
                    self.acknowledge(slot, position); // D4.
                    row.note_loans(0); // D5.
                    // No read-modify-write of the head tells senders that wait for this slot.
                    ring.state().tx.notify_fenced(1);
                    return Some(message);
                }
                row.note_loans(0);
            }
            position = positions.next(position);
        }
        None
    }
}

/// R5: copies the message out.
#[inline(always)]
fn read<T: Plain>(slot: &Slot<T>) -> T {
    slot.payload.with(|payload| {
        // SAFETY: in the mapping and aligned, and mapped bytes are initialised. slot.rs invariant 2: the claim gives this slot's
        // payload to this thread until it acknowledges.
        unsafe { load_plain(payload.cast::<T>()) }
    })
}
