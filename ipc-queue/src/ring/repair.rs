//! Repair: what the dead left, turned into a good state. The steps are those of the table in `mod.rs`.
//!
//! Whoever waits looks around, never a timer or a thread of its own, and asks the system only about endpoints that the words
//! in shared memory make suspicious: those whose intents cover the position in front, those that look as if in the middle of
//! something, and one endpoint on each side in turn.

use super::control::Role;
use super::layout::Ring;
use super::position::Position;
use super::row::{Announced, EndpointRow, Held, Intent, RowWord};
use super::slot::{Phase, SlotWord};
use super::steps::step;
use super::wait::{Hold, Holder, Obstacle};
use crate::sabotage;
use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::Ordering;
use ipc_core::{Corrupt, Plain};
use std::cell::Cell;

/// Rows looked at per re-check when nothing in particular is in the way.
const WINDOW: usize = 256;
/// Verdicts asked for per re-check on mere suspicion: those in the middle of something are mostly alive and busy.
const ASKS: usize = 4;

/// Where one waiter goes on looking.
#[derive(Debug)]
pub struct Turn {
    row: Cell<u32>,
    peer: Cell<u32>,
    anybody: Cell<u32>,
}

impl Turn {
    /// Starts at a row, best one's own, so that waiters spread out.
    pub fn new(row: u32) -> Self {
        Self { row: Cell::new(row), peer: Cell::new(row), anybody: Cell::new(row) }
    }

    pub(super) fn peer(&self) -> u32 {
        self.peer.get()
    }
}

/// After a silent interval: looks for dead members in the way of `side`, and repairs what they left. True if any was.
#[cold]
pub(super) fn look_around<T: Plain>(
    ring: &Ring<T>,
    side: Role,
    obstacle: &Obstacle,
    census: &impl Census,
    turn: &Turn,
) -> Result<bool, Corrupt> {
    let mut repaired = match obstacle {
        Obstacle::Held(hold) => look_at_hold(ring, hold, census)?,
        Obstacle::Closed => {
            // Who closed may have died before it told those who poll.
            ring.state().control.0.closed();
            false
        }
        _ => false,
    };
    repaired |= look_at_window(ring, census, turn)?;
    // The death of the last peer must not go unnoticed for long; nor, for ever, that of a sleeper, whose count costs wakers.
    repaired |= look_at_one(ring, side.other(), census, &turn.peer)?;
    repaired |= look_at_one(ring, Role::Both, census, &turn.anybody)?;
    Ok(repaired)
}

/// Before a receiver is told that nothing will come: all rows, so that no message is left with the dead. True if any was.
#[cold]
pub fn look_everywhere<T: Plain>(ring: &Ring<T>, census: &impl Census) -> Result<bool, Corrupt> {
    let mut repaired = false;
    for (_, row) in ring.rows_from(0) {
        if let Held::By(owner, _) = row.owner().held()?
            && in_the_middle(ring, row)
        {
            repaired |= ask(ring, owner, census)?;
        }
    }
    Ok(repaired)
}

/// The slot in front is somebody's: whose?
fn look_at_hold<T: Plain>(ring: &Ring<T>, hold: &Hold, census: &impl Census) -> Result<bool, Corrupt> {
    let mut known = false;
    let mut repaired = false;
    match hold.holder {
        Holder::AnyReceiver => known = true,
        Holder::Borrower(endpoint) => {
            if let Some(row) = ring.row(endpoint.into())
                && let Held::By(owner, _) = row.owner().held()?
            {
                known = true;
                repaired = ask(ring, owner, census)?;
            }
        }
        Holder::Claimant(side) => {
            for (_, row) in ring.rows_from(0) {
                if let Held::By(owner, _) = row.owner().held()?
                    && covers(ring, row, side, hold.position).is_some()
                {
                    known = true;
                    repaired |= ask(ring, owner, census)?;
                }
            }
        }
    }
    // Whoever claims says so before, and until after the slot has changed. Held as ever, and by nobody: no member did that.
    if !known && SlotWord(ring.slot(hold.position).word.load(Ordering::SeqCst)) == hold.word {
        return Err(Corrupt { what: "a slot that nobody holds", found: hold.word.0 });
    }
    Ok(repaired)
}

/// A few rows in turn: who died behind the cursors is in nobody's way yet.
fn look_at_window<T: Plain>(ring: &Ring<T>, census: &impl Census, turn: &Turn) -> Result<bool, Corrupt> {
    let mut repaired = false;
    let mut asked = 0;
    for (index, row) in ring.rows_from(turn.row.get()).take(WINDOW) {
        turn.row.set(index + 1);
        if let Held::By(owner, _) = row.owner().held()?
            && in_the_middle(ring, row)
        {
            repaired |= ask(ring, owner, census)?;
            asked += 1;
            if asked == ASKS {
                break;
            }
        }
    }
    Ok(repaired)
}

/// One living endpoint on this side, another each time, and all the dead ones before it.
fn look_at_one<T: Plain>(ring: &Ring<T>, side: Role, census: &impl Census, turn: &Cell<u32>) -> Result<bool, Corrupt> {
    let mut repaired = false;
    for (index, row) in ring.rows_from(turn.get().wrapping_add(1)) {
        if let Held::By(owner, role) = row.owner().held()?
            && role.includes(side)
        {
            turn.set(index);
            if !ask(ring, owner, census)? {
                break;
            }
            repaired = true;
        }
    }
    Ok(repaired)
}

/// Asks about the endpoint of one row, and repairs it if its process is dead. True if it was.
#[cold]
pub fn look_at_row<T: Plain>(ring: &Ring<T>, row: u32, census: &impl Census) -> Result<bool, Corrupt> {
    match ring.row(row).map(|row| row.owner().held()) {
        Some(Ok(Held::By(owner, _))) => ask(ring, owner, census),
        Some(Err(corrupt)) => Err(corrupt),
        Some(Ok(Held::Free)) | None => Ok(false),
    }
}

/// Asks for a verdict, and repairs if it is death.
fn ask<T: Plain>(ring: &Ring<T>, owner: Owner, census: &impl Census) -> Result<bool, Corrupt> {
    Ok(sabotage::repairs() && census.verdict(owner) == Verdict::Dead && repair_member(ring, owner, census)?)
}

/// Whether an intent of this row covers the position, or may; `Some(true)` if it is OWN.
fn covers<T: Plain>(ring: &Ring<T>, row: &EndpointRow, side: Role, position: Position) -> Option<bool> {
    match row.announced(ring.positions()) {
        Ok(Announced::Claim(intent, count)) => {
            let ahead = ring.positions().distance(intent.position, position);
            (intent.side == side && (0..count as i64).contains(&ahead)).then_some(intent.sure)
        }
        Ok(Announced::Moving) => Some(false),
        // An unreadable intent covers nothing.
        Ok(Announced::Nothing) | Err(_) => None,
    }
}

/// Whether the endpoint looks as if it had claimed something that it has not finished.
fn in_the_middle<T: Plain>(ring: &Ring<T>, row: &EndpointRow) -> bool {
    if row.may_hold_loans() {
        return true;
    }
    let (intent, count) = match row.announced(ring.positions()) {
        Ok(Announced::Claim(intent, count)) => (intent, count),
        Ok(Announced::Moving) => return true,
        Ok(Announced::Nothing) | Err(_) => return false,
    };
    let mut position = intent.position;
    for _ in 0..count {
        if !passed(ring, intent.side, position) {
            return false;
        }
        if unfinished(ring, intent.side, position).is_some() || marked(ring, intent.side, position) {
            return true;
        }
        position = ring.positions().next(position);
    }
    false
}

/// Whether the cursor of this side has passed the position, so that somebody has claimed it.
fn passed<T: Plain>(ring: &Ring<T>, side: Role, position: Position) -> bool {
    let state = ring.state();
    let cursor = if side == Role::Sender { &state.tail.0 } else { &state.head.0 };
    // ORDERING: SeqCst [ring/T1], [ring/H1]: the announcement of whoever moved the cursor is visible.
    let cursor = ring.positions().cursor(cursor.load(Ordering::SeqCst));
    cursor.is_some_and(|cursor| ring.positions().distance(position, cursor) > 0)
}

/// Whether a repairer has marked the position for redelivery and may have died before it said so.
fn marked<T: Plain>(ring: &Ring<T>, side: Role, position: Position) -> bool {
    let redeliver = SlotWord::new(ring.positions().lap(position), Phase::Redeliver);
    side == Role::Receiver && ring.slot(position).word.load(Ordering::Acquire) == redeliver.0
}

/// If the slot of a claimed position is as before the claim: its word, and the word that repairs it.
fn unfinished<T: Plain>(ring: &Ring<T>, side: Role, position: Position) -> Option<(SlotWord, SlotWord)> {
    let positions = ring.positions();
    // ORDERING: Acquire [ring/P1], [ring/A1].
    let word = SlotWord(ring.slot(position).word.load(Ordering::Acquire));
    if word.lap() != positions.lap(position) {
        return None;
    }
    let repaired = match (side, word.phase()?) {
        // Never EMPTY again: the tail has passed, and no sender returns to this position.
        (Role::Sender, Phase::Empty) if sabotage::tombs() => SlotWord::tomb(positions, position),
        (Role::Sender, Phase::Empty) => word,
        (Role::Receiver, Phase::Full) => SlotWord::new(word.lap(), Phase::Redeliver),
        (Role::Receiver, Phase::Tomb) => SlotWord::acknowledged(positions, position),
        _ => return None,
    };
    Some((word, repaired))
}

/// Repairs all that a dead member left in this ring. False if somebody else is at it, or some of it must wait.
pub(super) fn repair_member<T: Plain>(ring: &Ring<T>, dead: Owner, census: &impl Census) -> Result<bool, Corrupt> {
    // 1.
    let Some(_right) = census.begin_repair(dead) else { return Ok(false) };
    let mut repaired = false;
    for (index, row) in ring.rows_from(0) {
        let word = row.owner();
        if let Held::By(owner, role) = word.held()?
            && owner == dead
        {
            step();
            repaired |= repair_row(ring, index, row, word, role, census);
        }
    }
    Ok(repaired)
}

/// Steps 2 to 6 for one row. Each is idempotent, and the row is freed last, so that who dies here is continued by another.
fn repair_row<T: Plain>(
    ring: &Ring<T>,
    index: u32,
    row: &EndpointRow,
    word: RowWord,
    role: Role,
    census: &impl Census,
) -> bool {
    if !settle_intent(ring, index, row, census) {
        return false;
    }
    step();
    settle_loans(ring, index, row); // 3.
    step();
    let state = ring.state();
    state.control.0.was_there(role); // 4.
    if role.includes(Role::Receiver) {
        step();
        state.control.0.redeliver();
    }
    step();
    // 5. Forgets the counts of the dead, and wakes all: who it was that they should have woken is not known.
    state.rx.purge();
    step();
    state.tx.purge();
    step();
    // 6. Lost only if the row was in transit and its new owner was faster.
    if row.change_owner(word, word.freed()) {
        step();
        ring.left(role);
    }
    true
}

/// Step 2: what the intent covers. False if a living bystander has to move first.
fn settle_intent<T: Plain>(ring: &Ring<T>, index: u32, row: &EndpointRow, census: &impl Census) -> bool {
    let (intent, count) = match row.announced(ring.positions()) {
        Ok(Announced::Claim(intent, count)) => (intent, count),
        // The dead do not move.
        Ok(Announced::Moving) => return false,
        // An unreadable intent says nothing; what it may have covered is found to be nobody's.
        Ok(Announced::Nothing) | Err(_) => return true,
    };
    let mut settled = true;
    let mut position = intent.position;
    for _ in 0..count {
        if !passed(ring, intent.side, position) {
            break;
        }
        settled &= settle(ring, index, intent, position, census);
        step();
        position = ring.positions().next(position);
    }
    settled
}

/// Step 2 for one claimed position.
fn settle<T: Plain>(ring: &Ring<T>, index: u32, intent: Intent, position: Position, census: &impl Census) -> bool {
    let Some((word, repaired)) = unfinished(ring, intent.side, position) else { return true };
    if !intent.sure {
        // TRY: the dead may have lost this position to somebody else.
        match living_claimant(ring, index, intent.side, position, census) {
            Some(true) => return true,
            Some(false) => return false,
            None => {}
        }
    }
    step();
    // ORDERING: SeqCst [ring/D1]: what the dead wrote to the payload, and read of it, is done. Lost: somebody else settled
    // it, or its living claimant has just finished.
    let slot = ring.slot(position);
    let _ = slot.word.compare_exchange(word.0, repaired.0, Ordering::SeqCst, Ordering::Relaxed);
    true
}

/// Whether a living endpoint claims the position: `Some(true)` if it surely does, `Some(false)` if it may.
fn living_claimant<T: Plain>(
    ring: &Ring<T>,
    except: u32,
    side: Role,
    position: Position,
    census: &impl Census,
) -> Option<bool> {
    let mut found = None;
    for (index, row) in ring.rows_from(0) {
        // A corrupt row is nobody's.
        let Ok(Held::By(owner, _)) = row.owner().held() else { continue };
        if index == except {
            continue;
        }
        match covers(ring, row, side, position) {
            Some(sure) if census.verdict(owner) != Verdict::Dead => {
                if sure {
                    return Some(true);
                }
                found = Some(false);
            }
            _ => {}
        }
    }
    found
}

/// Step 3: what the dead had on loan.
pub(super) fn settle_loans<T: Plain>(ring: &Ring<T>, index: u32, row: &EndpointRow) {
    if !row.may_hold_loans() {
        return;
    }
    let positions = ring.positions();
    for at in 0..positions.capacity() {
        let slot = ring.slot(positions.at(0, at));
        let word = SlotWord(slot.word.load(Ordering::Acquire));
        if u32::from(word.endpoint()) != index {
            continue;
        }
        let repaired = match word.phase() {
            Some(Phase::Writing) => SlotWord::new(word.lap(), Phase::Tomb),
            Some(Phase::Reading) => SlotWord::new(word.lap(), Phase::Redeliver),
            _ => continue,
        };
        // ORDERING: SeqCst [ring/D1], as above.
        let _ = slot.word.compare_exchange(word.0, repaired.0, Ordering::SeqCst, Ordering::Relaxed);
        step();
    }
}
