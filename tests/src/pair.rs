//! What the locks have in common, as a trait: two words behind a lock, and the verbs of the lock.
//!
//! The word, the take-over and the mark are one mechanism, so that one suite and one registration serve them all.

use ipc_core::raw::Guard;
use ipc_core::{Array, AtomicState, Error, LockError, Segment, Shared, Text, Value, ValueState, shared};
use ipc_sync::{Lock, LockState, RLock, RLockGuard, RwLock, WriteGuard};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// A handle of two words behind a lock. The methods are those of the same name of the handle itself, or what it calls them.
#[allow(missing_docs)]
pub trait Pair: Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Exclusive access.
    type Held<'a>: Words
    where
        Self: 'a;
    /// Name of the type.
    const NAME: &'static str;
    /// What it calls locking.
    const VERB: &'static str = "lock";
    /// Whether the holder may lock again.
    const REENTRANT: bool = false;

    fn new() -> Result<Self, Error>;
    fn new_in(segment: &Segment) -> Result<Self, Error>;
    fn create(name: &str) -> Result<Self, Error>;
    fn open(name: &str) -> Result<Self, Error>;
    fn lock(&self) -> Result<Self::Held<'_>, LockError>;
    fn try_lock(&self) -> Result<Self::Held<'_>, LockError>;
    fn lock_timeout(&self, timeout: Duration) -> Result<Self::Held<'_>, LockError>;
    fn lock_deadline(&self, deadline: Instant) -> Result<Self::Held<'_>, LockError>;
    /// Recovers by [`mend`].
    fn recover(&self) -> Result<Self::Held<'_>, LockError>;
    fn is_inconsistent(&self) -> bool;
}

/// The two words, while the lock is held.
pub trait Words {
    /// Both.
    fn words(&self) -> [u64; 2];
    /// Adds one to one of them, in place.
    fn add_to(&mut self, at: usize);
    /// Adds one to both.
    fn add(&mut self) {
        self.add_to(0);
        self.add_to(1);
    }
}

/// Makes both words what the larger one is: of two that were added to one after the other, an addition begun counts.
pub fn mend<W: ?Sized + AsMut<[u64]>>(words: &mut W) {
    let words = words.as_mut();
    let most = words.iter().copied().max().unwrap_or(0);
    words.fill(most);
}

fn both(words: &[u64]) -> [u64; 2] {
    words.try_into().expect("two words")
}

impl Words for Guard<'_, [u64; 2]> {
    fn words(&self) -> [u64; 2] {
        **self
    }
    fn add_to(&mut self, at: usize) {
        self[at] += 1;
    }
}

impl Words for Guard<'_, [u64]> {
    fn words(&self) -> [u64; 2] {
        both(self)
    }
    fn add_to(&mut self, at: usize) {
        self[at] += 1;
    }
}

impl Words for WriteGuard<'_, [u64; 2]> {
    fn words(&self) -> [u64; 2] {
        **self
    }
    fn add_to(&mut self, at: usize) {
        self[at] += 1;
    }
}

impl Words for RLockGuard<'_, [u64; 2]> {
    fn words(&self) -> [u64; 2] {
        self.get()
    }
    fn add_to(&mut self, at: usize) {
        self.update(|words| words[at] += 1);
    }
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

        impl Pair for $name {
            type Held<'a> = Guard<'a, [u64; 2]>;
            const NAME: &'static str = stringify!($name);
            const VERB: &'static str = "lock";

            fn new() -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::new()?.at($field)))
            }
            fn new_in(segment: &Segment) -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::new_in(segment)?.at($field)))
            }
            fn create(name: &str) -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::create(name)?.at($field)))
            }
            fn open(name: &str) -> Result<Self, Error> {
                Ok(Self(Shared::<Vault>::open(name)?.at($field)))
            }
            fn lock(&self) -> Result<Self::Held<'_>, LockError> {
                self.0.lock()
            }
            fn try_lock(&self) -> Result<Self::Held<'_>, LockError> {
                self.0.try_lock()
            }
            fn lock_timeout(&self, timeout: Duration) -> Result<Self::Held<'_>, LockError> {
                self.0.lock_timeout(timeout)
            }
            fn lock_deadline(&self, deadline: Instant) -> Result<Self::Held<'_>, LockError> {
                self.0.lock_deadline(deadline)
            }
            fn recover(&self) -> Result<Self::Held<'_>, LockError> {
                self.0.recover(mend)
            }
            fn is_inconsistent(&self) -> bool {
                self.0.is_inconsistent()
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
    (
        $handle:ident<$element:ty>, $held:ident<$words:ty>, $initial:expr;
        $lock:ident $try_lock:ident $timeout:ident $deadline:ident $(; reentrant $reentrant:literal)?
    ) => {
        impl Pair for $handle<$element> {
            type Held<'a> = $held<'a, $words>;
            const NAME: &'static str = stringify!($handle);
            const VERB: &'static str = stringify!($lock);
            $(const REENTRANT: bool = $reentrant;)?

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
            fn lock(&self) -> Result<Self::Held<'_>, LockError> {
                self.$lock()
            }
            fn try_lock(&self) -> Result<Self::Held<'_>, LockError> {
                self.$try_lock()
            }
            fn lock_timeout(&self, timeout: Duration) -> Result<Self::Held<'_>, LockError> {
                self.$timeout(timeout)
            }
            fn lock_deadline(&self, deadline: Instant) -> Result<Self::Held<'_>, LockError> {
                self.$deadline(deadline)
            }
            fn recover(&self) -> Result<Self::Held<'_>, LockError> {
                self.recover(mend)
            }
            fn is_inconsistent(&self) -> bool {
                self.is_inconsistent()
            }
        }
    };
}

pair!(Value<[u64; 2]>, Guard<[u64; 2]>, [0; 2]; lock try_lock lock_timeout lock_deadline);
pair!(Array<u64>, Guard<[u64]>, 2; lock try_lock lock_timeout lock_deadline);
pair!(Lock<[u64; 2]>, Guard<[u64; 2]>, [0; 2]; lock try_lock lock_timeout lock_deadline);
pair!(RwLock<[u64; 2]>, WriteGuard<[u64; 2]>, [0; 2]; write try_write write_timeout write_deadline);
pair!(RLock<[u64; 2]>, RLockGuard<[u64; 2]>, [0; 2]; lock try_lock lock_timeout lock_deadline; reentrant true);
