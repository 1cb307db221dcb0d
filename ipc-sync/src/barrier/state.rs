//! The protocol of the barrier, over places that lie anywhere. The steps are those of the [module](super).

use super::word::{Cause, Control, Kind, Pass, Seat};
use ipc_core::raw::{Backoff, Census, Owner, Pause, Slept, Verdict, WaitWord};
use ipc_core::shim::{self, AtomicU64, Ordering};
use ipc_core::{Corrupt, Deadline, MemberError};
use std::fmt;
use std::time::Duration;

/// What a barrier has once.
#[repr(C, align(64))]
pub struct BarrierHead {
    control: AtomicU64,
    timeout: AtomicU64,
    changed: WaitWord,
    doors: WaitWord,
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<BarrierHead>() == 192);

impl BarrierHead {
    /// A barrier that nobody has waited at, and whose `wait` waits at most so long.
    pub fn new(timeout: Option<Duration>) -> Self {
        Self {
            control: AtomicU64::new(Pass::FIRST.word()),
            timeout: AtomicU64::new(timeout_ns(timeout)),
            changed: WaitWord::new(),
            doors: WaitWord::new(),
        }
    }

    /// The same, of zero bytes, with its places.
    pub fn init(&self, places: &[AtomicU64], timeout: Option<Duration>) {
        // ORDERING: Relaxed, all: whoever publishes the memory around it publishes this.
        self.control.store(Pass::FIRST.word(), Ordering::Relaxed);
        self.timeout.store(timeout_ns(timeout), Ordering::Relaxed);
        places.iter().for_each(|place| place.store(Seat::free(0).word(), Ordering::Relaxed));
    }

    /// When a wait without a time of its own that begins now gives up.
    pub fn deadline(&self) -> Deadline {
        match self.timeout.load(Ordering::Relaxed) {
            u64::MAX => Deadline::NEVER,
            ns => Deadline::after(Duration::from_nanos(ns)),
        }
    }
}

/// As stored; `u64::MAX` is for ever.
fn timeout_ns(timeout: Option<Duration>) -> u64 {
    timeout.map_or(u64::MAX, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}

/// A place that nobody has ever had.
#[cfg(ipc_loom)]
pub fn new_place() -> AtomicU64 {
    AtomicU64::new(Seat::free(0).word())
}

/// Who loses so often against others meets somebody who scribbles.
const ATTEMPTS: usize = 1000;

/// Why a wait did not pass.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarrierError {
    /// Nobody passes any more, before [`reset`](crate::Barrier::reset).
    #[error("the barrier is broken: {0}; `reset` it once all parties can start over")]
    Broken(Breach),
    /// More parties than places have come, and the time passed before one was free. The barrier is as it was.
    #[error("all places of the barrier are taken, and none was free in time")]
    Timeout,
    /// The action forked: the pass, and the place, belong to the parent process.
    #[error("this process was forked by the barrier's action; the pass belongs to its parent")]
    Forked,
    /// A word of the barrier holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// This process is not a member of the segment and could not become one (first use after a fork).
    #[error(transparent)]
    Member(#[from] MemberError),
}

/// What broke a barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The process of a party died, waiting or between two passes.
    PartyDied {
        /// Its pid in its own PID namespace; 0 if its row has been reused since.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// A party's time passed before all had come.
    TimedOut,
    /// Somebody called `abort`.
    Aborted,
    /// Somebody called `reset` while this party waited. The barrier can be used again.
    Reset,
    /// The action panicked.
    ActionPanicked,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartyDied { pid: 0, .. } => f.write_str("a party's process died"),
            Self::PartyDied { pid, name } => write!(f, "process {pid} ({name}), a party, died"),
            Self::TimedOut => f.write_str("a party's time passed before all had come"),
            Self::Aborted => f.write_str("it was aborted"),
            Self::Reset => f.write_str("it was reset while this party waited"),
            Self::ActionPanicked => f.write_str("the action of the pass panicked"),
        }
    }
}

/// How one party passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub(super) index: usize,
    pub(super) leader: bool,
}

impl Arrival {
    /// A number below the number of parties that no other party of this pass has.
    pub fn index(self) -> usize {
        self.index
    }

    /// Whether this party found that all had come, and ran the action; exactly one of a pass did.
    pub fn is_leader(self) -> bool {
        self.leader
    }
}

/// A barrier where it lies, and who is asked about the living.
#[derive(Clone, Copy)]
pub struct Meeting<'a, C> {
    /// What it has once.
    pub head: &'a BarrierHead,
    /// Its places; at least one, at most 65 536.
    pub places: &'a [AtomicU64],
    /// Knows the members.
    pub census: &'a C,
}

/// A place taken in a pass.
#[derive(Clone, Copy)]
struct Taken {
    me: Owner,
    pass: u64,
    at: usize,
    seat: Seat,
}

impl<C: Census> Meeting<'_, C> {
    /// Waits until all have come. Who is last runs `action` before anybody is released.
    pub fn wait(&self, action: impl FnOnce(), deadline: Deadline) -> Result<Arrival, BarrierError> {
        if self.places.is_empty() {
            return Err(Corrupt { what: "number of parties of a barrier", found: 0 }.into());
        }
        let me = self.census.me()?;
        let mine = self.arrive(me, deadline)?;
        let leads = match self.until_full(&mine, deadline) {
            Ok(leads) => leads,
            Err(corrupt) => {
                self.leave(&mine, Kind::Free);
                return Err(corrupt.into());
            }
        };
        if let Some(acting) = leads {
            self.act(&mine, acting, action)?;
        }
        self.outcome(&mine, leads.is_some())
    }

    /// Breaks the barrier: those who wait, and those who come, are told, until [`reset`](Self::reset).
    pub fn abort(&self) -> Result<(), BarrierError> {
        self.break_anew(Cause::Aborted).map(|_| ())
    }

    /// Steps a to d: those who wait are told; then nobody has ever waited.
    pub fn reset(&self) -> Result<(), BarrierError> {
        // a.
        let broken = self.break_anew(Cause::Reset)?;
        Ok(self.finish_reset(broken)?)
    }

    /// How many wait: 0 unless the pass is filling; a snapshot.
    pub fn waiting(&self) -> usize {
        match self.control() {
            Ok(Pass { number, control: Control::Filling }) => {
                self.seats().filter(|seat| seat.is_ok_and(|seat| seat.arrived_in(number))).count()
            }
            _ => 0,
        }
    }

    /// What broke it, if it is broken; a snapshot.
    pub fn breach(&self) -> Option<Breach> {
        match self.control().ok()?.control {
            Control::Broken { cause, place } => Some(self.describe(cause, place)),
            _ => None,
        }
    }

    /// Steps 1 to 3.
    fn arrive(&self, me: Owner, deadline: Deadline) -> Result<Taken, BarrierError> {
        let (mut pause, mut lost) = (Pause::new(), 0);
        while lost < ATTEMPTS {
            lost += 1;
            // 1. ORDERING: SeqCst, see `control`.
            let now = self.control()?;
            match now.control {
                // It would say so again to one who has just been told, or for ever if whoever resets it has died.
                Control::Broken { cause: Cause::Reset, .. } => {
                    self.finish_reset(now)?;
                    continue;
                }
                Control::Broken { cause, place } => return Err(BarrierError::Broken(self.describe(cause, place))),
                Control::Filling | Control::Acting { .. } => {}
            }
            // 2.
            match self.choose(me, now)? {
                // Else the pass may have been left, and the place given back, between 1 and 2.
                Choice::Take(..) if self.control()? != now => {}
                Choice::Take(at, before) => {
                    let seat = Seat::of(me, Kind::Arrived, now.number);
                    // 3. ORDERING: SeqCst [barrier/B1], [barrier/B3].
                    let place = &self.places[at];
                    if place.compare_exchange(before.word(), seat.word(), Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                        shim::total_order();
                        return Ok(Taken { me, pass: now.number, at, seat });
                    }
                }
                Choice::Dead(at) => self.break_from(now, Cause::Died, at),
                Choice::Full => {
                    let ready = || self.control() != Ok(now) || now.control == Control::Filling && self.has_room();
                    match self.head.doors.sleep(&mut pause, deadline, ready) {
                        Slept::Woken => lost = 0,
                        Slept::Recheck => self.look_after(now, 0),
                        Slept::Deadline => return Err(BarrierError::Timeout),
                    }
                }
            }
        }
        // Nobody alive takes so many places in a row.
        Err(Corrupt { what: "place of a barrier", found: self.places[0].load(Ordering::Relaxed) }.into())
    }

    /// Which place to take in this pass.
    fn choose(&self, me: Owner, now: Pass) -> Result<Choice, Corrupt> {
        let (mut free, mut anothers) = (None, None);
        if now.control != Control::Filling {
            return Ok(Choice::Full);
        }
        // Each member begins elsewhere: those who come at once do not all try for the same place.
        let n = self.places.len();
        for at in (0..n).map(|step| (usize::from(me.row()) + step) % n) {
            let seat = self.seat(at)?;
            match seat.kind {
                Kind::Absent if seat.is_of(me) => return Ok(Choice::Take(at, seat)),
                Kind::Free => _ = free.get_or_insert((at, seat)),
                Kind::Absent => _ = anothers.get_or_insert((at, seat)),
                Kind::Arrived | Kind::Told => {}
            }
        }
        Ok(match (free, anothers) {
            (Some((at, seat)), _) => Choice::Take(at, seat),
            (None, Some((at, seat))) if self.census.verdict(seat.owner) == Verdict::Dead => Choice::Dead(at),
            (None, Some((at, seat))) => Choice::Take(at, seat),
            (None, None) => Choice::Full,
        })
    }

    /// Steps 4 to 6 and 10 to 11: until the pass is over; the word to act under for the one who is to run the action.
    fn until_full(&self, mine: &Taken, deadline: Deadline) -> Result<Option<Pass>, Corrupt> {
        let (mut backoff, mut pause) = (Backoff::new(), Pause::new());
        // Whoever comes last sees all; those who have looked leave it to that one, unless it died before it did.
        let mut looks = true;
        loop {
            // 4.
            let now = self.control()?;
            match now.control {
                _ if now.number != mine.pass => return Ok(None),
                Control::Broken { .. } => return Ok(None),
                Control::Filling if looks && self.is_full(now.number)? => {
                    // 6. ORDERING: SeqCst, as all changes of this word.
                    let acting = now.with(Control::Acting { place: mine.at });
                    if self.change(now, acting) {
                        return Ok(Some(acting));
                    }
                    continue;
                }
                Control::Filling | Control::Acting { .. } => looks = false,
            }
            if deadline != Deadline::PASSED && backoff.spin() {
                continue;
            }
            // 10.
            match self.head.changed.sleep(&mut pause, deadline, || self.control() != Ok(now)) {
                Slept::Woken => {}
                Slept::Recheck => {
                    self.look_after(now, mine.at + 1);
                    looks = true;
                }
                // 11.
                Slept::Deadline => self.break_from(now, Cause::TimedOut, mine.at),
            }
        }
    }

    /// Steps 7 to 9.
    fn act(&self, mine: &Taken, acting: Pass, action: impl FnOnce()) -> Result<(), BarrierError> {
        let broken_by_a_panic = Unwinding { meeting: self, acting, mine };
        // 7.
        action();
        std::mem::forget(broken_by_a_panic);
        if !self.is_still(mine.me) {
            return Err(BarrierError::Forked);
        }
        // 8., 9. ORDERING: SeqCst [barrier/B2], [wait/W1]. Lost: broken meanwhile.
        self.change(acting, acting.next());
        Ok(())
    }

    /// Whether this is the process that came: one that the action forked is another one, and must leave everything alone.
    fn is_still(&self, me: Owner) -> bool {
        self.census.me().is_ok_and(|now| now.member() == me.member())
    }

    /// Steps 12 and 13.
    fn outcome(&self, mine: &Taken, leader: bool) -> Result<Arrival, BarrierError> {
        // 12. ORDERING: SeqCst [barrier/B2], [barrier/B4]: before the place.
        let now = self.control()?;
        let told = self.places[mine.at].load(Ordering::SeqCst) != mine.seat.word();
        let breach = match now.control {
            Control::Broken { cause: Cause::Reset, .. } if now.number == mine.pass => {
                self.finish_reset(now)?;
                Some(Breach::Reset)
            }
            Control::Broken { cause, place } if now.number == mine.pass => Some(self.describe(cause, place)),
            _ => told.then_some(Breach::Reset),
        };
        // 13.
        self.leave(mine, if breach.is_some() { Kind::Free } else { Kind::Absent });
        match breach {
            Some(breach) => Err(BarrierError::Broken(breach)),
            None => Ok(Arrival { index: mine.at, leader }),
        }
    }

    /// Step 13: the place as it is, arrived or told, becomes `kind`.
    fn leave(&self, mine: &Taken, kind: Kind) {
        let place = &self.places[mine.at];
        let left = if kind == Kind::Free { Seat::free(mine.pass) } else { Seat::of(mine.me, kind, mine.pass) };
        let told = Seat::of(mine.me, Kind::Told, mine.pass);
        for seat in [mine.seat, told] {
            // ORDERING: SeqCst [wait/W1]: before the look at the doors.
            if place.compare_exchange(seat.word(), left.word(), Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                break;
            }
        }
        self.head.doors.notify(1);
    }

    /// Steps b to d, by whoever finds them undone: several at once do the same.
    fn finish_reset(&self, broken: Pass) -> Result<(), Corrupt> {
        for place in self.places {
            self.clear(place, broken)?;
        }
        // c. ORDERING: SeqCst [barrier/B4], [wait/W1].
        let (from, to) = (broken.word(), broken.next().word());
        if self.head.control.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            // d. The dead among the sleepers are forgotten.
            self.head.changed.purge();
            self.head.doors.purge();
        }
        Ok(())
    }

    /// Step b, for one place.
    ///
    /// A free place, too, gets another tag: whoever is about to take it for this pass fails.
    fn clear(&self, place: &AtomicU64, broken: Pass) -> Result<(), Corrupt> {
        let free = Seat::free(broken.number + 1);
        for _ in 0..ATTEMPTS {
            let word = place.load(Ordering::SeqCst);
            // Looked at after the place: then it belongs to the broken pass, or the exchange fails.
            if self.control()? != broken {
                return Ok(());
            }
            // Whatever it was: after a reset it is a place again.
            let seat = Seat::read(word).unwrap_or(free);
            let cleared = match seat.kind {
                Kind::Free | Kind::Absent => free,
                _ if self.is_dead(seat) => free,
                Kind::Arrived if seat.arrived_in(broken.number) => Seat::of(seat.owner, Kind::Told, broken.number),
                Kind::Arrived | Kind::Told => return Ok(()),
            };
            // ORDERING: SeqCst [barrier/B4].
            if place.compare_exchange(word, cleared.word(), Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        Err(Corrupt { what: "place of a barrier", found: place.load(Ordering::Relaxed) })
    }

    /// Step 10: asks about those who keep us waiting, and about one who waits like us: the next one from `first` on.
    fn look_after(&self, now: Pass, first: usize) {
        if let Control::Acting { place } = now.control {
            if self.seat(place % self.places.len()).is_ok_and(|seat| self.is_dead(seat)) {
                self.break_from(now, Cause::Died, place);
            }
            return;
        }
        let (mut asked, mut neighbour) = (Owner::from_word(0), false);
        for at in (0..self.places.len()).map(|step| (first + step) % self.places.len()) {
            let Ok(seat) = self.seat(at) else { return };
            let waits = seat.arrived_in(now.number);
            if seat.kind == Kind::Free || seat.owner == asked || waits && neighbour {
                continue;
            }
            neighbour |= waits;
            asked = seat.owner;
            if self.is_dead(seat) {
                return self.break_from(now, Cause::Died, at);
            }
        }
    }

    fn is_dead(&self, seat: Seat) -> bool {
        seat.kind != Kind::Free && self.census.verdict(seat.owner) == Verdict::Dead
    }

    /// Step 11: breaks this pass, unless it has changed meanwhile.
    fn break_from(&self, now: Pass, cause: Cause, place: usize) {
        self.change(now, now.with(Control::Broken { cause, place }));
    }

    /// Breaks the pass that is on, whichever that is, or gives a broken one another cause.
    fn break_anew(&self, cause: Cause) -> Result<Pass, BarrierError> {
        for _ in 0..ATTEMPTS {
            let now = self.control()?;
            let broken = now.with(Control::Broken { cause, place: 0 });
            if now == broken || self.change(now, broken) {
                return Ok(broken);
            }
        }
        Err(Corrupt { what: "control word of a barrier", found: self.head.control.load(Ordering::Relaxed) }.into())
    }

    fn change(&self, from: Pass, to: Pass) -> bool {
        let control = &self.head.control;
        // ORDERING: SeqCst [barrier/B2], [wait/W1].
        let changed = control.compare_exchange(from.word(), to.word(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if changed && !matches!(to.control, Control::Acting { .. }) {
            self.head.changed.notify(u32::MAX);
            self.head.doors.notify(u32::MAX);
        }
        changed
    }

    fn control(&self) -> Result<Pass, Corrupt> {
        // ORDERING: SeqCst [barrier/B2], [barrier/B3].
        Pass::read(self.head.control.load(Ordering::SeqCst))
    }

    fn seat(&self, at: usize) -> Result<Seat, Corrupt> {
        // ORDERING: SeqCst [barrier/B1], [barrier/B3].
        Seat::read(self.places[at].load(Ordering::SeqCst))
    }

    fn seats(&self) -> impl Iterator<Item = Result<Seat, Corrupt>> + '_ {
        (0..self.places.len()).map(|at| self.seat(at))
    }

    /// Step 5.
    fn is_full(&self, pass: u64) -> Result<bool, Corrupt> {
        for seat in self.seats() {
            if !seat?.arrived_in(pass) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a place can be taken.
    fn has_room(&self) -> bool {
        self.seats().any(|seat| seat.is_ok_and(|seat| matches!(seat.kind, Kind::Free | Kind::Absent)))
    }

    fn describe(&self, cause: Cause, place: usize) -> Breach {
        match cause {
            Cause::Died => {
                let owner = self.places.get(place).and_then(|word| Seat::read(word.load(Ordering::SeqCst)).ok());
                let (pid, name) = owner.map_or((0, "".into()), |seat| self.census.describe(seat.owner));
                Breach::PartyDied { pid, name: name.into_owned() }
            }
            Cause::TimedOut => Breach::TimedOut,
            Cause::Aborted => Breach::Aborted,
            Cause::Reset => Breach::Reset,
            Cause::Panicked => Breach::ActionPanicked,
        }
    }
}

enum Choice {
    /// This place, as it is.
    Take(usize, Seat),
    /// The only place there is belongs to a dead party.
    Dead(usize),
    /// None at present.
    Full,
}

/// While the action runs: a panic in it breaks the barrier, and gives the place back.
struct Unwinding<'a, 'b, C: Census> {
    meeting: &'a Meeting<'b, C>,
    acting: Pass,
    mine: &'a Taken,
}

impl<C: Census> Drop for Unwinding<'_, '_, C> {
    fn drop(&mut self) {
        if !self.meeting.is_still(self.mine.me) {
            return;
        }
        self.meeting.break_from(self.acting, Cause::Panicked, self.mine.at);
        self.meeting.leave(self.mine, Kind::Free);
    }
}
