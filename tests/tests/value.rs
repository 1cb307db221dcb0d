//! `Value` in every placement.

use ipc_core::{LockError, Value};
use ipc_tests::placement::{Placement, Stage};

ipc_tests::locked_suite!(Value<[u64; 2]>; [a_value_is_replaced_whole]);

/// VA01: `get` sees what was set; under somebody else's lock both wait.
fn a_value_is_replaced_whole(placement: Placement) {
    let stage = Stage::<Value<[u64; 2]>>::new(placement);
    let mut peer = stage.peer();
    stage.handle.set([7, 7]).unwrap();
    assert_eq!(peer.ask("add 1"), "done");
    assert_eq!(stage.handle.get().unwrap(), [8, 8]);
    assert_eq!(peer.ask("lock"), "held");
    let soon = ipc_core::Deadline::after(std::time::Duration::from_millis(5));
    assert_eq!(stage.handle.get_by(soon), Err(LockError::Timeout));
    assert_eq!(peer.ask("unlock"), "done");
    assert_eq!(stage.handle.update(|words| words[0]).unwrap(), 8);
}
