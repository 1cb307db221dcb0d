//! `Event` in every placement.

use ipc_sync::Event;
use ipc_tests::suites::event::*;

ipc_tests::roles!(Event);

ipc_tests::in_every_placement!(
    [smoke, a_timed_wait_gives_up_in_time, one_set_wakes_all, set_and_clear_back_to_back_leaves_nobody_behind],
    [a_killed_waiter_is_waited_for_by_nobody, a_stopped_waiter_gets_through_later, what_the_dead_set_stays_set]
);
