//! Shared structs in every placement, and many rows in one.

use ipc_core::{Shared, plain};
use ipc_sync::{LockState, shared};
use ipc_tests::pair::{LockInVault, ValueInVault, Vault};
use ipc_tests::suites::shared::{a_death_concerns_its_field, every_field_is_shared, neighbours_are_free};
use std::time::Instant;

ipc_tests::roles!(LockInVault, ValueInVault, Shared<Vault>);

mod lock {
    use super::LockInVault;
    ipc_tests::locked_suite!(without roles LockInVault; []);
}

mod value {
    use super::ValueInVault;
    ipc_tests::locked_suite!(without roles ValueInVault; []);
}

mod vault {
    use super::*;
    ipc_tests::in_every_placement!([every_field_is_shared, neighbours_are_free], [a_death_concerns_its_field]);
}

const ROWS: usize = 100_000;

#[plain]
struct Row {
    cents: i64,
    branch: u32,
}

#[shared]
struct Ledger {
    turns: u64,
    rows: [LockState<Row>; ROWS],
}

/// The struct never lies on a stack: this runs on one that is far too small for it.
fn on_a_small_stack(test: impl FnOnce() + Send) {
    std::thread::scope(|s| {
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn_scoped(s, test).expect("a thread");
        thread.join().expect("the test");
    });
}

/// Tells what a row takes, which the documentation of `Shared` quotes.
#[test]
#[allow(clippy::print_stdout)]
fn a_hundred_thousand_locked_rows() {
    on_a_small_stack(|| {
        let begun = Instant::now();
        let ledger = Shared::<Ledger>::new_with(|new| {
            (0..ROWS).try_for_each(|i| new.set(|l| &l.rows[i], Row { cents: i as i64, branch: 1 }))
        })
        .expect("13 MB of shared memory");
        let made = begun.elapsed();
        let begun = Instant::now();
        for i in 0..ROWS {
            ledger.at(|l| &l.rows[i]).lock().expect("a free lock").cents += 1;
        }
        let locked = begun.elapsed();
        let begun = Instant::now();
        for i in 0..ROWS {
            std::hint::black_box(ledger.at(|l| &l.rows[i]));
        }
        let handles = begun.elapsed();
        let twin = Shared::<Ledger>::attach(&ledger.ticket()).expect("a living segment");
        for i in 0..ROWS {
            assert_eq!(twin.at(|l| &l.rows[i]).lock().expect("a free lock").cents, i as i64 + 1);
        }
        let bytes = ledger.segment().len_bytes();
        assert_eq!(size_of::<LockState<Row>>(), 128);
        let (each, per_handle) = (made.as_nanos() / ROWS as u128, handles.as_nanos() / ROWS as u128);
        let per_lock = locked.as_nanos() / ROWS as u128;
        println!(
            "{ROWS} rows: {bytes} bytes; {each} ns to make one, {per_handle} ns per handle, {per_lock} ns to lock through one"
        );
    });
}
