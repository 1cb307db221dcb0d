//! `Condition` in every placement.

use ipc_tests::suites::condition::*;

ipc_tests::roles!(Desk);

ipc_tests::in_every_placement!(
    [
        smoke,
        notify_all_wakes_all,
        timed_waiters_leave_nothing,
        notify_n_wakes_n,
        a_timed_wait_says_why_it_ended,
        a_predicate_is_waited_for,
    ],
    [
        a_dead_waiter_holds_nobody_up,
        a_notification_of_the_dead_goes_to_another,
        a_stopped_waiter_is_not_dead,
        waiters_are_told_of_a_dead_writer,
        a_dead_readers_wait_ends,
    ]
);
