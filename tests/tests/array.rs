//! `Array` in every placement.

use ipc_core::{Array, ArrayError};
use ipc_tests::placement::{Placement, Stage};

ipc_tests::locked_suite!(Array<u64>; [elements_are_copied_in_and_out]);

/// VA05, AR01, AR02: zero at first; elements and slices, and an index beyond the end is an error.
fn elements_are_copied_in_and_out(placement: Placement) {
    let stage = Stage::<Array<u64>>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(stage.handle.to_vec().unwrap(), [0, 0]);
    stage.handle.write(0, &[3, 4]).unwrap();
    assert_eq!(peer.ask("add 1"), "done");
    assert_eq!((stage.handle.get(0), stage.handle.read(1..2)), (Ok(4), Ok(vec![5])));
    stage.handle.set(1, 9).unwrap();
    assert_eq!(peer.ask("lock"), "held");
    assert_eq!(peer.ask("read"), "Some([4, 9])");
    assert!(matches!(stage.handle.set(2, 0), Err(ArrayError::OutOfRange { start: 2, end: 3, len: 2 })));
}
