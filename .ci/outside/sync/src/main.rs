//! A user of ipc-sync alone.

use ipc_sync::{Lock, LockError, Segment, plain};
use std::error::Error;
use std::time::Duration;

#[plain]
#[derive(Debug, PartialEq)]
struct Account {
    id: u64,
    cents: i32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let segment = Segment::new(4096)?;
    let lock = Lock::create_in(&segment, "account", Account { id: 1, cents: 100 })?;
    lock.lock()?.cents -= 30;
    let twin = Lock::<Account>::open_in(&segment, "account")?;
    let held = twin.lock()?;
    assert_eq!(*held, Account { id: 1, cents: 70 });
    assert_eq!(lock.lock_timeout(Duration::ZERO).map(drop), Err(LockError::WouldDeadlock));
    println!("ipc-sync alone: ok");
    Ok(())
}
