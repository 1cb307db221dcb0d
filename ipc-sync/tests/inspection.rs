//! LK21: who holds a lock, and for how long others have waited, to be seen without waiting.

use ipc_core::set_member_name;
use ipc_sync::{Lock, RLock, RwLock};
use std::time::Duration;

/// LK21: nobody; this thread; and what `Debug` shows of it.
#[test]
fn the_holder_is_shown() {
    set_member_name("inspector");
    let lock = Lock::new(0u64).unwrap();
    assert_eq!(lock.holder(), None);
    let held = lock.lock().unwrap();
    let holder = lock.holder().expect("held");
    assert_eq!((holder.pid, &*holder.name, holder.is_this_process), (std::process::id(), "inspector", true));
    assert!(holder.thread > 0);
    assert_eq!((holder.waiters, holder.waited_for), (0, None));
    assert_eq!(holder.to_string(), format!("process {} (inspector), thread {}", holder.pid, holder.thread));
    let shown = format!("{lock:?}");
    assert!(shown.contains(&format!("pid: {}", holder.pid)) && shown.contains("inspector"), "{shown}");
    drop(held);
    assert!(format!("{lock:?}").contains("holder: None"));
}

/// LK21: another thread is told apart, and the wait is measured from the first sleeper on.
#[test]
fn a_wait_is_measured() {
    let lock = Lock::new(0u64).unwrap();
    let held = lock.lock().unwrap();
    let mine = lock.holder().unwrap().thread;
    std::thread::scope(|s| {
        let other = s.spawn(|| {
            let mut held = lock.lock().unwrap();
            *held += 1;
            assert_ne!(lock.holder().map(|holder| holder.thread), Some(mine));
        });
        let waited = loop {
            let holder = lock.holder().expect("this thread holds it");
            match holder.waited_for {
                Some(time) if time > Duration::from_millis(1) => break holder,
                _ => std::thread::yield_now(),
            }
        };
        assert_eq!(waited.waiters, 1);
        assert!(waited.to_string().contains("1 waiting"), "{waited}");
        drop(held);
        other.join().unwrap();
    });
    assert_eq!(*lock.lock().unwrap(), 1);
}

/// LK21, for the other locks.
#[test]
fn the_other_locks_show_theirs() {
    let (again, shared) = (RLock::new(0u64).unwrap(), RwLock::new(0u64).unwrap());
    let (_twice, _more) = (again.lock().unwrap(), again.lock().unwrap());
    assert!(again.holder().is_some_and(|holder| holder.is_this_process));
    assert!(format!("{again:?}").contains("depth: 2"));
    let reading = shared.read().unwrap();
    assert_eq!((shared.holder(), shared.readers()), (None, 1));
    drop(reading);
    let _writing = shared.write().unwrap();
    assert_eq!(shared.holder().map(|holder| holder.pid), Some(std::process::id()));
    assert!(format!("{shared:?}").contains("closed: true") || format!("{shared:?}").contains("holder: Some"));
}
