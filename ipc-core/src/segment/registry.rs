//! The segments this process has mapped: each once, however many handles it has.

use super::Inner;
use crate::member::fork::{self, Hold};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// What makes two descriptors the same segment: the file they refer to and the id in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub dev: u64,
    pub ino: u64,
    pub id: u128,
}

/// Locked under the fork gate only, so that a forked child finds it free. (A `HashMap` would want random numbers, and panic
/// where the system refuses them.)
static MAPPED: Mutex<BTreeMap<Key, Weak<Inner>>> = Mutex::new(BTreeMap::new());

/// The mapping of this segment, if the process has one.
pub(crate) fn find(key: Key, no_fork: &Hold) -> Option<Arc<Inner>> {
    fork::lock(&MAPPED, no_fork).get(&key)?.upgrade()
}

/// Remembers a new mapping. Attaching goes one thread at a time, so that there is one.
pub(crate) fn insert(inner: &Arc<Inner>, no_fork: &Hold) {
    fork::lock(&MAPPED, no_fork).insert(inner.key(), Arc::downgrade(inner));
}

/// Forgets a mapping whose last handle is gone.
pub(crate) fn remove(key: Key, no_fork: &Hold) {
    let mut mapped = fork::lock(&MAPPED, no_fork);
    if mapped.get(&key).is_some_and(|inner| inner.strong_count() == 0) {
        mapped.remove(&key);
    }
}

/// In a forked child: the inherited mappings are good, the memberships are the parent's.
pub(crate) fn forget_membership(no_fork: &Hold) {
    let mapped = fork::lock(&MAPPED, no_fork);
    mapped.values().filter_map(Weak::upgrade).for_each(|inner| inner.forget_membership(no_fork));
}
