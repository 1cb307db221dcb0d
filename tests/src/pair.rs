//! What `Value`, `Array` and `Lock`, also as fields of a shared struct, have in common, as a trait: two words behind one lock
//! line, and the verbs of the lock.
//!
//! The three share their mechanism, so that one suite and one registration serve them all.

use ipc_core::raw::{Guard, Guarded};
use ipc_core::{Array, AtomicState, Error, LockError, Segment, Shared, Text, Value, ValueState, shared};
use ipc_sync::{Lock, LockState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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

/// A shared struct with pairs among other fields.
#[shared]
#[derive(Debug)]
pub struct Vault {
    /// Plain.
    pub limit: i64,
    /// Locks, of which the one in the middle is a [`LockInVault`].
    pub locks: [LockState<[u64; 2]>; 3],
    /// A number.
    pub visits: AtomicState<u32>,
    /// A [`ValueInVault`].
    pub value: ValueState<[u64; 2]>,
    /// Plain, and of odd length.
    pub owner: Text<5>,
}

macro_rules! in_vault {
    ($(#[$doc:meta])* $name:ident($handle:ty), $field:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($handle);

        impl $name {
            fn new(_: [u64; 2]) -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::new()?.at($field)))
            }
            fn new_in(segment: &Segment, _: [u64; 2]) -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::new_in(segment)?.at($field)))
            }
            fn create(name: &str, _: [u64; 2]) -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::create(name)?.at($field)))
            }
            fn open(name: &str) -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::open(name)?.at($field)))
            }
        }
    };
}

in_vault!(
    /// A lock that is a field of a [`Vault`].
    LockInVault(Lock<[u64; 2]>),
    |vault| &vault.locks[1]
);
in_vault!(
    /// A value that is a field of a [`Vault`].
    ValueInVault(Value<[u64; 2]>),
    |vault| &vault.value
);

macro_rules! pair {
    ($name:ident, $handle:ty, $words:ty, $initial:expr, $this:ident => $lock:expr) => {
        impl Pair for $handle {
            type Words = $words;
            const NAME: &'static str = stringify!($name);

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
                let $this = self;
                $lock.lock()
            }
            fn try_lock(&self) -> Result<Guard<'_, $words>, LockError> {
                let $this = self;
                $lock.try_lock()
            }
            fn lock_timeout(&self, timeout: Duration) -> Result<Guard<'_, $words>, LockError> {
                let $this = self;
                $lock.lock_timeout(timeout)
            }
            fn lock_deadline(&self, deadline: Instant) -> Result<Guard<'_, $words>, LockError> {
                let $this = self;
                $lock.lock_deadline(deadline)
            }
            fn recover(&self, repair: impl FnOnce(&mut $words)) -> Result<Guard<'_, $words>, LockError> {
                let $this = self;
                $lock.recover(repair)
            }
            fn is_inconsistent(&self) -> bool {
                let $this = self;
                $lock.is_inconsistent()
            }
        }
    };
}

pair!(Value, Value<[u64; 2]>, [u64; 2], [0; 2], this => this);
pair!(Array, Array<u64>, [u64], 2, this => this);
pair!(Lock, Lock<[u64; 2]>, [u64; 2], [0; 2], this => this);
pair!(LockInVault, LockInVault, [u64; 2], [0; 2], this => this.0);
pair!(ValueInVault, ValueInVault, [u64; 2], [0; 2], this => this.0);
