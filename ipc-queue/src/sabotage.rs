//! Faults to put in on purpose, so that tests can show that they would find them. Only with the feature `sabotage`.

#[cfg(any(test, ipc_loom, feature = "sabotage"))]
pub use on::{repair_off, tomb_as_empty};

#[cfg(any(test, ipc_loom, feature = "sabotage"))]
mod on {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    static REPAIR_OFF: AtomicBool = AtomicBool::new(false);
    static TOMB_AS_EMPTY: AtomicBool = AtomicBool::new(false);

    /// Nobody repairs what the dead left.
    pub fn repair_off(on: bool) {
        REPAIR_OFF.store(on, Relaxed);
    }

    /// A dead sender's slot is put back as it was, rather than marked to be skipped.
    pub fn tomb_as_empty(on: bool) {
        TOMB_AS_EMPTY.store(on, Relaxed);
    }

    pub(crate) fn repairs() -> bool {
        !REPAIR_OFF.load(Relaxed)
    }

    pub(crate) fn tombs() -> bool {
        !TOMB_AS_EMPTY.load(Relaxed)
    }
}

#[cfg(any(test, ipc_loom, feature = "sabotage"))]
pub(crate) use on::{repairs, tombs};

#[cfg(not(any(test, ipc_loom, feature = "sabotage")))]
pub(crate) const fn repairs() -> bool {
    true
}

#[cfg(not(any(test, ipc_loom, feature = "sabotage")))]
pub(crate) const fn tombs() -> bool {
    true
}
