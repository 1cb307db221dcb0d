//! The sleepers of a lock: how many there are, and how its holder therefore has to unlock.
//!
//! # The word
//!
//! ```text
//!  31           16     15       14       13      12      0
//! ┌───────────────┬────────┬─────────┬────────┬───────────┐
//! │  generation   │ WAKING │ CROWDED │ ALWAYS │   count   │
//! └───────────────┴────────┴─────────┴────────┴───────────┘
//!   neither CROWDED nor count     quiet: a holder unlocks by a plain store
//!   CROWDED                       holders unlock by an exchange; set by the first sleeper, taken away by a holder who has met
//!                                 nobody for a while
//!   ALWAYS, CROWDED               the same, for ever: somebody here cannot interrupt the others
//!   WAKING                        somebody is being woken, and looks at the lock before it sleeps again
//! ```
//!
//! `generation | count` is that of [`Waiters`](super::Waiters): the dead cannot take their registration back, so a repairer moves
//! the generation on, and the count starts over. CROWDED is in the word that sleepers register in, because a sleeper relies on
//! it for as long as it is registered: it is only taken away by a CAS from a count of zero.
//!
//! # Why WAKING
//!
//! A woken sleeper takes its registration back when it runs. Until then every unlock would find the count and call the kernel,
//! and wake the next one, and the next: with more sleepers than processors, that is a convoy. One wake at a time is enough,
//! since whoever is woken looks at the lock after it has taken WAKING away. Should it be killed before, the others look when
//! their re-check is due, and the first of them takes WAKING away.

use crate::shim::{self, AtomicU32, Ordering};

const COUNT: u32 = (1 << 13) - 1;
const ALWAYS: u32 = 1 << 13;
const CROWDED: u32 = 1 << 14;
const WAKING: u32 = 1 << 15;
const GENERATION: u32 = 0xffff_0000;
/// Who loses a race so often meets somebody who scribbles.
const ATTEMPTS: u32 = 1000;

/// The word.
#[repr(transparent)]
#[derive(Debug)]
pub(super) struct Crowd(AtomicU32);

/// A registration, to be given back to [`Crowd::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// `None`: there was no place. Its sleep is bounded as every sleep is; nobody will wake it.
    generation: Option<u32>,
    /// Whether nobody was registered before.
    pub first: bool,
    /// Whether the lock was quiet before: the caller interrupts all others before it looks at the lock again.
    pub turned: bool,
}

/// What a look at the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look(u32);

impl Look {
    /// Whether a holder may unlock by a plain store.
    #[inline]
    pub fn is_quiet(self) -> bool {
        self.0 & (CROWDED | COUNT) == 0
    }

    /// Whether somebody sleeps, or is about to.
    pub fn is_anybody(self) -> bool {
        self.0 & COUNT != 0
    }

    /// Whether somebody sleeps whom nobody is waking.
    fn needs_waking(self) -> bool {
        self.is_anybody() && self.0 & WAKING == 0
    }
}

impl Crowd {
    /// Nobody, and quiet.
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// A look that promises nothing about other words.
    #[inline]
    pub fn glance(&self) -> Look {
        Look(self.0.load(Ordering::Relaxed))
    }

    /// A look that is not older than the SeqCst read-modify-write or fence before it.
    pub fn look(&self) -> Look {
        shim::total_order();
        // ORDERING: SeqCst [lock/L2].
        Look(self.0.load(Ordering::SeqCst))
    }

    /// How many are registered, the dead included.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & COUNT
    }

    /// Adds the caller. A full barrier: what the caller reads next is not older than the registration.
    pub fn register(&self) -> Seat {
        let mut now = self.0.load(Ordering::Relaxed);
        for _ in 0..ATTEMPTS {
            if now & COUNT == COUNT {
                break;
            }
            // ORDERING: SeqCst [lock/L2]: registration before the sleeper's last look at the owner.
            match self.0.compare_exchange_weak(now, (now + 1) | CROWDED, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => {
                    shim::total_order();
                    let generation = Some(now & GENERATION);
                    return Seat { generation, first: now & COUNT == 0, turned: now & CROWDED == 0 };
                }
                Err(changed) => now = changed,
            }
        }
        Seat { generation: None, first: false, turned: false }
    }

    /// Takes the registration back, unless a purge already did; and WAKING, since the caller is going to look at the lock.
    pub fn leave(&self, seat: Seat) {
        let mut now = self.0.load(Ordering::Relaxed);
        // A registration left behind by a thousand lost races costs needless wakes.
        for _ in 0..ATTEMPTS {
            let mine = seat.generation == Some(now & GENERATION) && now & COUNT != 0;
            let next = (now - u32::from(mine)) & !WAKING;
            if next == now {
                return;
            }
            // ORDERING: SeqCst [lock/L5]: WAKING goes before the caller's next look at the owner.
            match self.0.compare_exchange_weak(now, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return shim::total_order(),
                Err(changed) => now = changed,
            }
        }
    }

    /// Takes the duty to wake one; false if there is nobody, or somebody is being woken already.
    pub fn begin_wake(&self) -> bool {
        // ORDERING: SeqCst [lock/L5]: the caller's unlock before its look at WAKING. Whoever sets it has the duty, even if the
        // last sleeper left in between: nobody else would take it away.
        self.look().needs_waking() && self.0.fetch_or(WAKING, Ordering::SeqCst) & WAKING == 0
    }

    /// Nobody was asleep after all: who registered is still on its way, and looks by itself, or sleeps now.
    pub fn end_wake(&self) {
        // ORDERING: SeqCst [lock/L5]: WAKING goes before the caller's next look at the owner.
        self.0.fetch_and(!WAKING, Ordering::SeqCst);
        shim::total_order();
    }

    /// Turns the lock quiet, if still nobody is there.
    pub fn calm_down(&self) {
        let now = self.0.load(Ordering::Relaxed);
        if now & (COUNT | ALWAYS) == 0 {
            // ORDERING: SeqCst: who registers afterwards finds it quiet. A lost race is with somebody who registers.
            let _ = self.0.compare_exchange(now, now & !(CROWDED | WAKING), Ordering::SeqCst, Ordering::Relaxed);
        }
    }

    /// From now on nobody unlocks by a plain store.
    pub fn crowd_for_ever(&self) {
        self.0.fetch_or(ALWAYS | CROWDED, Ordering::SeqCst);
    }

    /// Forgets all registrations. The caller wakes everybody afterwards.
    pub fn purge(&self) {
        let now = self.0.load(Ordering::SeqCst);
        let next = (now & GENERATION).wrapping_add(1 << 16) | now & (ALWAYS | CROWDED);
        // A lost race is with somebody alive, who finds out by itself; the wake that follows reaches the rest.
        let _ = self.0.compare_exchange(now, next, Ordering::SeqCst, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_sleeper_turns_the_lock_and_a_holder_turns_it_back() {
        let crowd = Crowd::new();
        assert!(crowd.glance().is_quiet());
        let first = crowd.register();
        let second = crowd.register();
        assert!(first.first && first.turned && !second.first && !second.turned);
        crowd.calm_down();
        assert!(!crowd.glance().is_quiet(), "nobody takes away what a sleeper relies on");
        crowd.leave(first);
        crowd.leave(second);
        assert!(!crowd.glance().is_quiet() && crowd.count() == 0);
        crowd.calm_down();
        assert!(crowd.glance().is_quiet());
        assert!(crowd.register().turned);
    }

    #[test]
    fn one_wake_at_a_time() {
        let crowd = Crowd::new();
        assert!(!crowd.begin_wake(), "nobody is there");
        let seats = [crowd.register(), crowd.register()];
        assert!(crowd.begin_wake() && !crowd.begin_wake());
        crowd.leave(seats[0]);
        assert!(crowd.begin_wake(), "who was woken has looked");
        crowd.end_wake();
        assert!(crowd.begin_wake(), "nobody was asleep");
        crowd.leave(seats[1]);
        assert!(!crowd.begin_wake());
    }

    #[test]
    fn a_purge_forgets_the_dead_and_spares_the_living() {
        let crowd = Crowd::new();
        let dead = crowd.register();
        assert!(crowd.begin_wake());
        crowd.purge();
        assert!(!crowd.look().is_anybody() && !crowd.glance().is_quiet());
        let live = crowd.register();
        assert!(crowd.begin_wake(), "a wake that the dead were to take is not waited for");
        crowd.leave(dead);
        assert_eq!(crowd.count(), 1, "the dead one's generation takes nothing from the living");
        crowd.leave(live);
        assert_eq!(crowd.count(), 0);
    }

    #[test]
    fn generations_and_counts_overflow_into_nothing() {
        let crowd = Crowd(AtomicU32::new(GENERATION | COUNT));
        let seat = crowd.register();
        assert_eq!(seat, Seat { generation: None, first: false, turned: false });
        crowd.leave(seat);
        assert_eq!(crowd.count(), COUNT);
        crowd.purge();
        assert_eq!(crowd.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn crowded_for_ever_stays() {
        let crowd = Crowd::new();
        crowd.crowd_for_ever();
        crowd.calm_down();
        crowd.purge();
        assert!(!crowd.glance().is_quiet() && !crowd.register().turned);
    }
}
