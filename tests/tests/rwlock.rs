//! `ipc_sync::RwLock` in every placement: its writers as locks, then readers, upgradable holders and transitions.

use ipc_sync::RwLock;

mod writers {
    use ipc_sync::RwLock;

    ipc_tests::locked_suite!(RwLock<[u64; 2]>; []);
}

mod readers {
    use ipc_tests::suites::rwlock::*;

    ipc_tests::in_every_placement!(
        [
            smoke,
            a_writer_excludes_everybody,
            a_waiting_writer_comes_before_later_readers,
            an_upgradable_holder_shares_with_readers_only,
            holds_change_without_letting_go,
            waiting_for_oneself_is_told,
        ],
        [
            a_killed_reader_blocks_no_writer,
            a_writer_goes_on_when_readers_die,
            a_killed_waiting_writer_keeps_nobody_out,
            readers_are_told_of_a_dead_writer,
            a_stopped_reader_is_not_dead,
        ]
    );
}

ipc_tests::roles!(RwLock<u64>, RwLock<[u64; 2]>);
