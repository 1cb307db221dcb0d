//! The semaphores in every placement.

use ipc_sync::{AnonymousSemaphore, BinarySemaphore, BoundedSemaphore, Semaphore};

ipc_tests::roles!(Semaphore, BoundedSemaphore, AnonymousSemaphore, BinarySemaphore);

mod semaphore {
    ipc_tests::semaphore_suite!(ipc_sync::Semaphore);
}

mod bounded {
    ipc_tests::semaphore_suite!(ipc_sync::BoundedSemaphore);
}

mod count {
    use ipc_tests::suites::count::*;

    ipc_tests::in_every_placement!(
        [smoke, timed_verbs_give_up_in_time, as_many_get_through_as_are_released, a_turn_is_handed_over],
        [a_killed_waiter_takes_nothing, a_permit_dies_with_its_holder]
    );
}
