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
        let mut received = None;
        self.recv_first(1, |message| received = Some(message))?;
        received.ok_or(Stop::WouldBlock)
    }

    /// Receives the next messages, `most` at most and by one claim, and hands each to `take`: how many, at least one.
    ///
    /// `take` must not panic: a message that it was about to get would be lost.
    pub fn recv_first(&self, most: usize, mut take: impl FnMut(T)) -> Result<usize, Stop> {
        let (_entered, row) = self.enter()?;
        if self.ring.state().control.0.glance() != self.seen.get()
            && let Some(message) = self.look_up_to_recv(|| self.take_redelivered(row))?
        {
            take(message);
            return Ok(1);
        }
        let (first, n) = self.claim_next(row, most)?;
        if n == 1 {
            take(self.empty(row, first));
            return Ok(1);
        }
        row.own_many(Role::Receiver, first); // R4.
        shim::program_order();
        let positions = self.ring.positions();
        let mut position = first;
        for _ in 0..n {
            step();
            take(read(self.ring.slot(position))); // R5.
            position = positions.next(position);
        }
        position = first;
        for _ in 0..n {
            step();
            self.free(position); // R6.
            position = positions.next(position);
        }
        step();
        self.ring.state().tx.notify(n as u32); // R7.
        Ok(n)
    }

    /// Receives the next message and lets `look` look at it before it is acknowledged: until then, it is redelivered if this
    /// process dies. `look` must not panic: the message would stay where it is.
    pub fn recv_seen<R>(&self, look: impl FnOnce(T, Position) -> R) -> Result<R, Stop> {
        let (_entered, row) = self.enter()?;
        let redelivered = if self.ring.state().control.0.glance() == self.seen.get() {
            None
        } else {
            self.look_up_to_recv(|| self.borrow_redelivered(row))?
        };
        let position = match redelivered {
            Some(position) => position,
            None => {
                let (position, _) = self.claim_next(row, 1)?;
                row.own_recv(position); // R4.
                shim::program_order();
                step();
                position
            }
        };
        let looked = look(read(self.ring.slot(position)), position); // R5.
        self.acknowledge(position); // R6, R7.
        if redelivered.is_some() {
            self.gave_back(row);
            self.ring.state().tx.notify_fenced(1);
        }
        Ok(looked)
    }

    /// As [`recv_first`](Self::recv_first), behind what is in `into`. Room for them is made before anything is claimed.
    pub fn recv_into(&self, into: &mut Vec<T>, most: usize) -> Result<usize, Stop> {
        into.reserve(most.min(self.ring.len().max(1) as usize));
        let most = most.min(into.capacity() - into.len());
        self.recv_first(most, |message| into.push(message))
    }

    /// R1 to R3: claims committed messages, `most` at most, and frees the TOMBs before them. The first position, and how many.
    pub(super) fn claim_next(&self, row: &EndpointRow, most: usize) -> Result<(Position, usize), Stop> {
        let (ring, state) = (&self.ring, self.ring.state());
        let positions = ring.positions();
        let mut cursor = state.head.0.load(Ordering::Relaxed);
        let mut rounds = Rounds::new();
        let mut tombs = 0;
        let stop = loop {
            let Some(position) = positions.open_cursor(cursor) else {
                break Stop::Corrupt(Corrupt { what: "the ring's head", found: cursor });
            };
            let word = self.word(position);
            let full = word == SlotWord::full(positions, position);
            cursor = if full {
                let n = self.run(position, most, |at| self.word(at) == SlotWord::full(positions, at));
                match self.claim_head_for(row, cursor, position, n) {
                    Ok(()) => return Ok((position, n)),
                    Err(now) => now,
                }
            } else if word == SlotWord::tomb(positions, position) {
                match self.claim_head(row, cursor, position) {
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

    /// R2 and R3 for `n` positions.
    #[inline(always)]
    fn claim_head_for(&self, row: &EndpointRow, cursor: u64, first: Position, n: usize) -> Result<(), u64> {
        if n == 1 {
            return self.claim_head(row, cursor, first).map(drop);
        }
        row.announce_many(Role::Receiver, first, n as u32); // R2.
        step();
        let next = self.ring.positions().after(first, n as u64).cursor();
        // R3. ORDERING: SeqCst [ring/H1], [wait/W1]; Relaxed: as in `claim_head`.
        self.ring.state().head.0.compare_exchange(cursor, next, Ordering::SeqCst, Ordering::Relaxed)?;
        step();
        Ok(())
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
        let message = read(self.ring.slot(position)); // R5.
        self.acknowledge(position);
        message
    }

    /// As [`empty`](Self::empty), for a TOMB.
    fn clear(&self, row: &EndpointRow, position: Position) {
        row.own_recv(position);
        shim::program_order();
        step();
        self.acknowledge(position);
    }

    #[inline(always)]
    fn acknowledge(&self, position: Position) {
        step();
        self.free(position); // R6.
        step();
        self.ring.state().tx.notify(1); // R7.
    }

    #[inline(always)]
    pub(super) fn free(&self, position: Position) {
        let free = SlotWord::acknowledged(self.ring.positions(), position);
        // ORDERING: Release [ring/A1]: the payload has been read; pairs with the Acquire of S1.
        self.ring.slot(position).word.store(free.0, Ordering::Release);
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

    /// Something changed since this endpoint last looked: what there is to redeliver comes first, and `take` takes it.
    #[cold]
    pub(super) fn look_up_to_recv<R>(&self, take: impl FnOnce() -> Option<R>) -> Result<Option<R>, Corrupt> {
        let before = self.seen.get();
        let signs = self.ring.state().control.0.look().checked()?;
        if signs.redelivers_since(before)
            && let Some(taken) = take()
        {
            // There may be more: the next attempt looks again.
            self.seen.set(signs.still_redelivering(before));
            return Ok(Some(taken));
        }
        self.seen.set(signs);
        Ok(None)
    }

    /// Takes the oldest message that a dead receiver had claimed.
    #[cold]
    fn take_redelivered(&self, row: &EndpointRow) -> Option<T> {
        let position = self.borrow_redelivered(row)?;
        let message = read(self.ring.slot(position)); // D3.
        self.acknowledge(position); // D4.
        self.gave_back(row); // D5.
        // No read-modify-write of the head tells senders that wait for this slot.
        self.ring.state().tx.notify_fenced(1);
        Some(message)
    }

    /// Takes the slot of that message on loan. The CAS puts this endpoint's name into the slot, so that a death from here on
    /// only redelivers it again.
    #[cold]
    pub(super) fn borrow_redelivered(&self, row: &EndpointRow) -> Option<Position> {
        let (ring, positions) = (&self.ring, self.ring.positions());
        // ORDERING: SeqCst [ring/H1]: every position that a repairer found claimed lies behind this head.
        let head = positions.open_cursor(ring.state().head.0.load(Ordering::SeqCst))?;
        let mut position = positions.lap_before(head);
        for _ in 0..positions.capacity() {
            let slot = ring.slot(position);
            let marked = SlotWord::new(positions.lap(position), Phase::Redeliver);
            if slot.word.load(Ordering::Relaxed) == marked.0 {
                self.borrows(row); // D1.
                step();
                let mine = SlotWord::lent(positions.lap(position), self.index(), Phase::Reading);
                // D2. ORDERING: AcqRel [ring/D1]: the payload's sender and its dead reader are done with it; the note of D1
                // is visible with the name.
                if slot.word.compare_exchange(marked.0, mine.0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    step();
                    return Some(position);
                }
                self.gave_back(row);
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
