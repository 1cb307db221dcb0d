//! A count of sleepers that survives the death of a sleeper.
//!
//! `generation:16 | count:16` in one word. The dead cannot take their registration back, so a repairer moves the
//! generation on and the count starts over; a sleeper of an older generation then leaves without touching it. More than
//! 65 535 sleepers carry into the generation, which is such a purge: it costs them one re-check interval.

use crate::shim::{self, AtomicU32, Ordering};

const COUNT: u32 = 0xffff;
const ATTEMPTS: u32 = 1000;

/// The registered sleepers of one wait word or lock.
#[repr(transparent)]
#[derive(Debug)]
pub struct Waiters(AtomicU32);

/// A registration, to be given back to [`Waiters::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    generation: u32,
    /// Whether nobody was registered before.
    pub first: bool,
}

impl Waiters {
    /// Nobody.
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Adds the caller. A full barrier: what the caller reads next is not older than the registration.
    pub fn register(&self) -> Registration {
        // ORDERING: SeqCst [wait/W1]: registration before the sleeper's last look; pairs with `is_anybody`.
        let before = self.0.fetch_add(1, Ordering::SeqCst);
        shim::total_order();
        Registration { generation: before >> 16, first: before & COUNT == 0 }
    }

    /// Takes the registration back, unless a purge already did.
    pub fn leave(&self, registration: Registration) {
        let mut now = self.0.load(Ordering::Relaxed);
        // Who loses so often meets somebody who scribbles; a registration left behind costs a needless wake.
        for _ in 0..ATTEMPTS {
            if now >> 16 != registration.generation || now & COUNT == 0 {
                return;
            }
            match self.0.compare_exchange_weak(now, now - 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => now = changed,
            }
        }
    }

    /// Whether anybody is registered. To be preceded by a SeqCst read-modify-write or fence that published the condition.
    #[inline]
    pub fn is_anybody(&self) -> bool {
        shim::total_order();
        // ORDERING: SeqCst [wait/W1]: not before the read-modify-write or fence that made the condition true.
        self.0.load(Ordering::SeqCst) & COUNT != 0
    }

    /// How many are registered, the dead included.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & COUNT
    }

    /// Forgets all registrations. The caller wakes everybody afterwards.
    pub fn purge(&self) {
        let now = self.0.load(Ordering::SeqCst);
        let next = (now & !COUNT).wrapping_add(COUNT + 1);
        // A lost race is with somebody alive, who finds out by itself; the wake that follows reaches the rest.
        let _ = self.0.compare_exchange(now, next, Ordering::SeqCst, Ordering::Relaxed);
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_purge_forgets_the_dead_and_spares_the_living() {
        let waiters = Waiters::new();
        let dead = waiters.register();
        assert!(dead.first && waiters.count() == 1);
        waiters.purge();
        assert!(!waiters.is_anybody());
        let live = waiters.register();
        waiters.leave(dead);
        assert_eq!(waiters.count(), 1, "the dead one's generation takes nothing from the living");
        waiters.leave(live);
        assert!(!waiters.is_anybody());
    }
}
