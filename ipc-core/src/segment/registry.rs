//! The segments this process has mapped: each once, however many handles it has.

use super::Inner;
use crate::member::fork::{self, Hold};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

/// What makes two descriptors the same segment: the file they refer to and the id in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub dev: u64,
    pub ino: u64,
    pub id: u128,
}

/// Locked under the fork gate only, so that a forked child finds it free.
static MAPPED: Mutex<Option<HashMap<Key, Weak<Inner>>>> = Mutex::new(None);

/// The mapping of this segment, if the process has one.
pub(crate) fn find(key: Key, no_fork: &Hold) -> Option<Arc<Inner>> {
    fork::lock(&MAPPED, no_fork).as_ref()?.get(&key)?.upgrade()
}

/// Remembers a new mapping. Attaching goes one thread at a time, so that there is one.
pub(crate) fn insert(inner: &Arc<Inner>, no_fork: &Hold) {
    fork::lock(&MAPPED, no_fork).get_or_insert_default().insert(inner.key(), Arc::downgrade(inner));
}

/// Forgets a mapping whose last handle is gone.
pub(crate) fn remove(key: Key, no_fork: &Hold) {
    if let Some(mapped) = fork::lock(&MAPPED, no_fork).as_mut()
        && mapped.get(&key).is_some_and(|inner| inner.strong_count() == 0)
    {
        mapped.remove(&key);
    }
}

/// In a forked child: the inherited mappings are good, the memberships are the parent's.
pub(crate) fn forget_membership(no_fork: &Hold) {
    if let Some(mapped) = fork::lock(&MAPPED, no_fork).as_ref() {
        mapped.values().filter_map(Weak::upgrade).for_each(|inner| inner.forget_membership(no_fork));
    }
}
