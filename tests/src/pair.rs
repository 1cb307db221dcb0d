//! What `Value`, `Array` and `Lock` have in common, as a trait: two words behind one lock line, and the verbs of the lock.
//!
//! The three share their mechanism, so that one suite and one registration serve them all.

use ipc_core::raw::{Guard, Guarded};
use ipc_core::{Array, Error, LockError, Segment, Value};
use ipc_sync::Lock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// A handle of two words behind a lock. The methods are those of the same name of the handle itself.
#[allow(missing_docs)]
pub trait Pair: Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// What the guard gives access to.
    type Words: ?Sized + Guarded + AsRef<[u64]> + AsMut<[u64]>;
    /// Name of the type.
    const NAME: &'static str;

    fn new() -> Result<Self, Error>;
    fn new_in(segment: &Segment) -> Result<Self, Error>;
    fn create(name: &str) -> Result<Self, Error>;
    fn open(name: &str) -> Result<Self, Error>;
    fn lock(&self) -> Result<Guard<'_, Self::Words>, LockError>;
    fn try_lock(&self) -> Result<Guard<'_, Self::Words>, LockError>;
    fn lock_timeout(&self, timeout: Duration) -> Result<Guard<'_, Self::Words>, LockError>;
    fn lock_deadline(&self, deadline: Instant) -> Result<Guard<'_, Self::Words>, LockError>;
    fn recover(&self, repair: impl FnOnce(&mut Self::Words)) -> Result<Guard<'_, Self::Words>, LockError>;
    fn is_inconsistent(&self) -> bool;
}

/// Makes both words what the larger one is: of two that were added to one after the other, an addition begun counts.
pub fn mend<W: ?Sized + AsMut<[u64]>>(words: &mut W) {
    let words = words.as_mut();
    let most = words.iter().copied().max().unwrap_or(0);
    words.fill(most);
}

macro_rules! pair {
    ($handle:ident<$element:ty>, $words:ty, $initial:expr) => {
        impl Pair for $handle<$element> {
            type Words = $words;
            const NAME: &'static str = stringify!($handle);

            fn new() -> Result<Self, Error> {
                Self::new($initial)
            }
            fn new_in(segment: &Segment) -> Result<Self, Error> {
                Self::new_in(segment, $initial)
            }
            fn create(name: &str) -> Result<Self, Error> {
                Self::create(name, $initial)
            }
            fn open(name: &str) -> Result<Self, Error> {
                Self::open(name)
            }
            fn lock(&self) -> Result<Guard<'_, $words>, LockError> {
                self.lock()
            }
            fn try_lock(&self) -> Result<Guard<'_, $words>, LockError> {
                self.try_lock()
            }
            fn lock_timeout(&self, timeout: Duration) -> Result<Guard<'_, $words>, LockError> {
                self.lock_timeout(timeout)
            }
            fn lock_deadline(&self, deadline: Instant) -> Result<Guard<'_, $words>, LockError> {
                self.lock_deadline(deadline)
            }
            fn recover(&self, repair: impl FnOnce(&mut $words)) -> Result<Guard<'_, $words>, LockError> {
                self.recover(repair)
            }
            fn is_inconsistent(&self) -> bool {
                self.is_inconsistent()
            }
        }
    };
}

pair!(Value<[u64; 2]>, [u64; 2], [0; 2]);
pair!(Array<u64>, [u64], 2);
pair!(Lock<[u64; 2]>, [u64; 2], [0; 2]);
