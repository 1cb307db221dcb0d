//! Waiting: what is in the way, and sleeping until it is not.
//!
//! A waiter polls for 2–3 µs, yields a few times, and then sleeps on its side's wait word, bounded by its deadline and by the
//! growing re-check interval. What it sleeps on is one of:
//!
//! | obstacle  | seen in                                              | ends by                                        | lost wake costs |
//! |-----------|------------------------------------------------------|------------------------------------------------|-----------------|
//! | Nothing   | the cursors: empty for a receiver, full for a sender | a claim on the other side, an RMW              | cannot be lost  |
//! | Held      | the slot in front: claimed, or on loan               | a commit or acknowledgement, a plain store     | 1 ms at first   |
//! | Closed    | the tail; or the rows, when Nothing                  | –                                              | –               |
//!
//! Looking at the *cursors* rather than at the slot is what lets the fast path do without a fence: they are moved by a
//! SeqCst read-modify-write before the sleepers are looked for ([wait/W1]). Between its claim and its commit a peer is in
//! the way of others for a few instructions, unless it was preempted, stopped or killed; hence the bounded sleep.
//!
//! One wake may be eaten by a sleeper that cannot use it, as when the message behind the one in front is committed first. So
//! whoever slept and then succeeded passes a wake on if there is more to do.

use super::control::Role;
use super::endpoint::Stop;
use super::layout::Ring;
use super::position::{CLOSED, Position};
use super::repair::{Turn, look_around, look_everywhere};
use super::slot::{Phase, SlotWord};
use ipc_core::raw::{Backoff, Census, Pause, Slept, WaitWord};
use ipc_core::shim::{self, Ordering};
use ipc_core::{Corrupt, Deadline, Plain};

/// Why the next attempt on one side would not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// None: try again.
    Clear,
    /// No message, or no room.
    Nothing,
    /// The slot in front is somebody's.
    Held(Hold),
    /// Closed, and for a receiver also empty.
    Closed,
}

/// A slot that is somebody's for the time being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// The position whose claim holds it.
    pub position: Position,
    pub word: SlotWord,
    pub holder: Holder,
}

/// Who is to be asked about a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The endpoint whose intent on this side covers the position.
    Claimant(Role),
    /// The endpoint that has it on loan.
    Borrower(u16),
    /// The next receiver that looks for messages to redeliver.
    AnyReceiver,
}

/// How often one operation may lose its race. Each loss is somebody's success, so that an honest ring never comes near.
const ROUNDS: u32 = 4096;
/// After so many losses the pauses between attempts no longer double.
const LONGEST_SPIN: u32 = 6;
/// So many times in one wait the way may be clear and the attempt fail all the same, before the waiter sleeps it over.
const CLEARED: u32 = 64;

/// Bounds the retries of one operation, with growing pauses between them.
pub(super) struct Rounds(u32);

impl Rounds {
    #[inline(always)]
    pub fn new() -> Self {
        Self(0)
    }

    /// Spends a round; false when there have been too many, as when somebody scribbles on a cursor without end.
    #[inline]
    pub fn another(&mut self) -> bool {
        if !cfg!(ipc_loom) {
            for _ in 0..1 << self.0.min(LONGEST_SPIN) {
                shim::spin_hint();
            }
        }
        self.0 += 1;
        self.0 < ROUNDS
    }
}

/// Looks at both cursors and a slot until they belong together; after so many tries it is all in motion.
const LOOKS: usize = 8;

/// What is in the way of `side`.
#[cold]
pub(super) fn obstacle<T: Plain>(ring: &Ring<T>, side: Role) -> Result<Obstacle, Corrupt> {
    for _ in 0..LOOKS {
        let seen = if side == Role::Sender { full_or_held(ring)? } else { empty_or_held(ring)? };
        if let Some(obstacle) = seen {
            return Ok(obstacle);
        }
    }
    Ok(Obstacle::Clear)
}

fn empty_or_held<T: Plain>(ring: &Ring<T>) -> Result<Option<Obstacle>, Corrupt> {
    let (state, positions) = (ring.state(), ring.positions());
    let head = state.head.0.load(Ordering::SeqCst);
    // ORDERING: SeqCst [wait/W1]: a sleeper looks after it has registered; the cursors are moved before sleepers are looked for.
    let tail = state.tail.0.load(Ordering::SeqCst);
    let (Some(front), Some(back)) = (positions.open_cursor(head), positions.cursor(tail)) else {
        return Err(bad_cursor(ring, head, tail));
    };
    // ORDERING: Acquire [ring/P1], and behind the load of the tail: at least as new as the claim.
    let word = SlotWord(ring.slot(front).word.load(Ordering::Acquire));
    if state.head.0.load(Ordering::SeqCst) != head {
        return Ok(None);
    }
    let holder = match positions.distance(front, back) {
        0 if tail & CLOSED != 0 => return Ok(Some(Obstacle::Closed)),
        0 => return Ok(Some(Obstacle::Nothing)),
        len if !(0..=positions.capacity() as i64).contains(&len) => return Err(bad_cursor(ring, head, tail)),
        _ => match (word.phase(), word.lap() == positions.lap(front)) {
            (Some(Phase::Full | Phase::Tomb), true) => return Ok(Some(Obstacle::Clear)),
            (Some(Phase::Empty), true) => Holder::Claimant(Role::Sender),
            (Some(Phase::Writing), true) => Holder::Borrower(word.endpoint()),
            _ => return Err(bad_slot(word)),
        },
    };
    Ok(Some(Obstacle::Held(Hold { position: front, word, holder })))
}

fn full_or_held<T: Plain>(ring: &Ring<T>) -> Result<Option<Obstacle>, Corrupt> {
    let (state, positions) = (ring.state(), ring.positions());
    let tail = state.tail.0.load(Ordering::SeqCst);
    // ORDERING: SeqCst [wait/W1], as above.
    let head = state.head.0.load(Ordering::SeqCst);
    let (Some(front), Some(back)) = (positions.open_cursor(head), positions.cursor(tail)) else {
        return Err(bad_cursor(ring, head, tail));
    };
    // ORDERING: Acquire [ring/A1], and behind the load of the head, as above.
    let word = SlotWord(ring.slot(back).word.load(Ordering::Acquire));
    if state.tail.0.load(Ordering::SeqCst) != tail {
        return Ok(None);
    }
    if tail & CLOSED != 0 {
        return Ok(Some(Obstacle::Closed));
    }
    let before = positions.lap_before(back);
    let holder = match positions.distance(front, back) {
        len if len == positions.capacity() as i64 => return Ok(Some(Obstacle::Nothing)),
        len if !(0..positions.capacity() as i64).contains(&len) => return Err(bad_cursor(ring, head, tail)),
        _ if word == SlotWord::empty(positions, back) => return Ok(Some(Obstacle::Clear)),
        _ => match (word.phase(), word.lap() == positions.lap(before)) {
            (Some(Phase::Full | Phase::Tomb), true) => Holder::Claimant(Role::Receiver),
            (Some(Phase::Reading), true) => Holder::Borrower(word.endpoint()),
            (Some(Phase::Redeliver), true) => Holder::AnyReceiver,
            _ => return Err(bad_slot(word)),
        },
    };
    Ok(Some(Obstacle::Held(Hold { position: before, word, holder })))
}

fn bad_cursor<T: Plain>(ring: &Ring<T>, head: u64, tail: u64) -> Corrupt {
    if ring.positions().open_cursor(head).is_none() {
        Corrupt { what: "the ring's head", found: head }
    } else {
        Corrupt { what: "the ring's tail", found: tail }
    }
}

fn bad_slot(word: SlotWord) -> Corrupt {
    Corrupt { what: "a slot of the ring", found: word.0 }
}

/// How an attempt fails, to a wait that makes it again.
pub trait Obstructed: From<Stop> + From<Corrupt> {
    /// Worth another attempt.
    fn is_would_block(&self) -> bool;
    /// The end, unless something is left with the dead.
    fn is_closed(&self) -> bool;
}

impl Obstructed for Stop {
    fn is_would_block(&self) -> bool {
        *self == Stop::WouldBlock
    }

    fn is_closed(&self) -> bool {
        *self == Stop::Closed
    }
}

/// Attempts, and waits between attempts, until one of them succeeds, the deadline passes (`WouldBlock`) or nothing can
/// come any more (`Closed`).
#[cold]
pub fn wait<T: Plain, R, E: Obstructed>(
    ring: &Ring<T>,
    side: Role,
    deadline: Deadline,
    census: &impl Census,
    turn: &Turn,
    mut attempt: impl FnMut() -> Result<R, E>,
) -> Result<R, E> {
    let mut sleeper = Sleeper::new(ring, side, deadline);
    let mut last = false;
    loop {
        let signs = ring.state().control.0.look();
        match attempt() {
            Err(error) if error.is_would_block() && !last => {}
            // The dead may have claimed messages that can still be delivered.
            Err(error) if error.is_closed() && side == Role::Receiver && look_everywhere(ring, census)? => continue,
            done => {
                sleeper.pass_on(done.is_ok());
                return done;
            }
        }
        if sleeper.backoff.spin() {
            continue;
        }
        let obstacle = obstacle(ring, side)?;
        if obstacle == Obstacle::Closed || deserted(ring, side, &obstacle, turn)? {
            if side == Role::Receiver && look_everywhere(ring, census)? {
                continue;
            }
            return Err(Stop::Closed.into());
        }
        match sleeper.sleep(obstacle, || ring.state().control.0.look() != signs) {
            Slept::Woken => sleeper.backoff = Backoff::new(),
            Slept::Recheck => {
                look_around(ring, side, &obstacle, census, turn)?;
            }
            Slept::Deadline => last = true,
        }
    }
}

/// Whether only the other side could end this wait, and nobody is left there.
fn deserted<T: Plain>(ring: &Ring<T>, side: Role, obstacle: &Obstacle, turn: &Turn) -> Result<bool, Corrupt> {
    let theirs = match obstacle {
        Obstacle::Nothing => true,
        Obstacle::Held(hold) => hold.holder == Holder::AnyReceiver,
        _ => false,
    };
    // Looked at once more after the rows: what a sender left behind before it left is seen.
    Ok(theirs && ring.deserted(side.other(), turn.peer())? && self::obstacle(ring, side)? == *obstacle)
}

/// One wait: what it waits for and for how long.
struct Sleeper<'a, T> {
    ring: &'a Ring<T>,
    side: Role,
    deadline: Deadline,
    backoff: Backoff,
    pause: Pause,
    hold: Option<Hold>,
    cleared: u32,
    slept: bool,
}

impl<'a, T: Plain> Sleeper<'a, T> {
    fn new(ring: &'a Ring<T>, side: Role, deadline: Deadline) -> Self {
        let (backoff, pause) = (Backoff::new(), Pause::new());
        Self { ring, side, deadline, backoff, pause, hold: None, cleared: 0, slept: false }
    }

    fn sleep(&mut self, obstacle: Obstacle, changed: impl Fn() -> bool) -> Slept {
        if self.deadline.has_passed() {
            return Slept::Deadline;
        }
        self.slept = true;
        let state = self.ring.state();
        let word = if self.side == Role::Sender { &state.tx } else { &state.rx };
        let (ring, side) = (self.ring, self.side);
        let ready = || changed() || self::obstacle(ring, side) != Ok(obstacle);
        match obstacle {
            Obstacle::Held(hold) => {
                if self.hold != Some(hold) {
                    self.pause.reset();
                    self.hold = Some(hold);
                }
                self.sleep_at_most(word, ready)
            }
            // For the next attempt to deal with. If somebody scribbles it may fail for ever: not at full speed.
            Obstacle::Clear | Obstacle::Closed => {
                self.cleared += 1;
                if self.cleared.is_multiple_of(CLEARED) { self.sleep_at_most(word, || false) } else { Slept::Woken }
            }
            Obstacle::Nothing => {
                self.hold = None;
                word.sleep(&mut self.pause, self.deadline, ready)
            }
        }
    }

    /// Sleeps for what no RMW announces, so that the wake may be lost: the bound is part of the protocol, not a re-check.
    fn sleep_at_most(&mut self, word: &WaitWord, ready: impl FnOnce() -> bool) -> Slept {
        let due = self.pause.due();
        // A model has no clock, and its re-checks may be off: there, this sleep may end at any time.
        let bound = if cfg!(ipc_loom) { Deadline::PASSED } else { due };
        match word.sleep(&mut self.pause, self.deadline.min(bound), ready) {
            Slept::Deadline if due == Deadline::NEVER => Slept::Woken,
            Slept::Deadline if !self.deadline.has_passed() => {
                self.pause.advance();
                Slept::Recheck
            }
            slept => slept,
        }
    }

    /// After a success that was slept for: another sleeper may be able to do the same.
    fn pass_on(&self, succeeded: bool) {
        if succeeded && self.slept && obstacle(self.ring, self.side) == Ok(Obstacle::Clear) {
            let state = self.ring.state();
            let word = if self.side == Role::Sender { &state.tx } else { &state.rx };
            word.notify_fenced(1);
        }
    }
}
