//! `ipc_sync::RLock` in every placement: as a lock, then what depth adds.

use ipc_sync::RLock;

mod as_a_lock {
    use ipc_sync::RLock;

    ipc_tests::locked_suite!(RLock<[u64; 2]>; []);
}

mod depth {
    use ipc_tests::suites::rlock::*;

    ipc_tests::in_every_placement!(
        [smoke, mixed_nesting_ends_free, only_the_owner_owns, others_proceed_after_the_last_unlock],
        [killed_at_depth_3_is_recovered_at_depth_0]
    );
}

ipc_tests::roles!(RLock<u64>, RLock<[u64; 2]>);
