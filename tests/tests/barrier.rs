//! `Barrier` in every placement.

use ipc_sync::Barrier;
use ipc_tests::suites::barrier::*;

ipc_tests::roles!(Barrier);

ipc_tests::in_every_placement!(
    [smoke, many_passes, a_timeout_breaks_it_for_all, abort_and_reset],
    [
        killed_while_waiting_is_broken,
        killed_between_passes_is_broken,
        killed_acting_is_broken,
        a_stopped_process_is_not_dead,
    ]
);
