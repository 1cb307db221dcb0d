//! `Waitable`: what a `select` needs to know of a thing to wait for it among others.
//!
//! A selector notes each source's [`moment`](Waitable::moment), registers at each source's wait word, asks each whether it
//! [`is_ready`](Waitable::is_ready), sleeps on all words at once, and leaves. Being ready is a hint: the operation itself, tried
//! afterwards, says whether somebody else was quicker.

use super::WaitWord;

/// Something that becomes ready, and has a word to sleep on until it is.
///
/// What `is_ready` reads must be written by a SeqCst read-modify-write, or be followed by a fence, before the wait word is
/// notified: see [`WaitWord::notify`].
pub trait Waitable {
    /// What is to be remembered of the beginning of a wait, so that nothing that happens meanwhile is missed, even if it is
    /// undone. 0 where the state itself tells.
    fn moment(&self) -> u64 {
        0
    }

    /// Whether a wait that began at `since` would end now. Costs no system call.
    fn is_ready(&self, since: u64) -> bool;

    /// The word that is notified after it has become ready.
    fn wait_word(&self) -> &WaitWord;
}
