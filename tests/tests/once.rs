//! `OnceValue` in every placement.

use ipc_sync::OnceValue;
use ipc_tests::suites::once::*;

ipc_tests::roles!(OnceValue<[u64; 2]>);

ipc_tests::in_every_placement!(
    [smoke, who_comes_meanwhile_waits],
    [the_next_one_initialises_for_the_dead, a_stopped_process_is_not_dead]
);
