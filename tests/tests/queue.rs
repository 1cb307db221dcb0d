//! `Queue` in every placement.

use ipc_queue::Queue;
use ipc_tests::suites::queue::*;

ipc_tests::roles!(Queue<u64>);

ipc_tests::in_every_placement!(
    [
        smoke,
        fills_and_empties_in_order,
        timed_verbs_give_up_in_time,
        a_completed_send_is_seen_at_once,
        a_closed_queue_drains_and_tells,
        each_message_comes_once,
        the_last_sender_leaves,
    ],
    [
        messages_of_the_dead_are_delivered,
        a_killed_sleeper_harms_nobody,
        the_last_sender_dies,
        the_last_receiver_dies,
        a_stopped_process_is_not_dead,
    ]
);
