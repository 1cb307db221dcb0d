//! `uncontended`: one thread on one CPU, nobody else at the object.

use crate::pthread::PthreadMutex;
use crate::rounds::{Contender, Plan, compare};
use ipc_core::{AtomicValue, Value};
use ipc_sync::Lock;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Counts the operations of `n` that `operation` says were right.
#[inline]
fn count(n: u64, mut operation: impl FnMut() -> bool) -> u64 {
    let mut right = 0;
    for _ in 0..n {
        right += u64::from(operation());
    }
    right
}

/// Measures and prints; whether every result was right.
pub fn run(plan: &Plan) -> bool {
    stay_on_one_cpu();
    let rows = [pair, add, get, set, update];
    rows.map(|row| row(plan)).iter().all(|&right| right)
}

/// A migration in the middle of a round is noise; where it cannot be prevented, it is only that.
fn stay_on_one_cpu() {
    let mut here = CpuSet::new();
    if let Ok(cpu) = sched_getcpu()
        && here.set(cpu).is_ok()
    {
        let _ = sched_setaffinity(Pid::from_raw(0), &here);
    }
}

fn pair(plan: &Plan) -> bool {
    let ours = Lock::new(()).expect("a lock");
    let std = Mutex::new(());
    let parking_lot = parking_lot::Mutex::new(());
    let shared = PthreadMutex::new(false).expect("a mutex");
    let robust = PthreadMutex::new(true).expect("a mutex");
    let word = AtomicU64::new(0);
    let cas = || black_box(&word).compare_exchange(0, 1, Acquire, Relaxed).is_ok();
    let pthread = |mutex: &PthreadMutex| black_box(mutex).lock() && mutex.unlock();
    compare(
        "Lock: lock + unlock",
        plan,
        &mut [
            Contender::new("ipc_sync::Lock", |n| count(n, || black_box(&ours).lock().is_ok())),
            Contender::new("std Mutex", |n| count(n, || black_box(&std).lock().is_ok())),
            Contender::new("parking_lot Mutex", |n| {
                count(n, || {
                    drop(black_box(&parking_lot).lock());
                    true
                })
            }),
            Contender::new("pthread process-shared", |n| count(n, || pthread(&shared))),
            Contender::new("pthread robust", |n| count(n, || pthread(&robust))),
            Contender::new("floor: CAS + store", |n| {
                count(n, || {
                    let locked = cas();
                    word.store(0, Release);
                    locked
                })
            }),
            Contender::new("floor: CAS + exchange", |n| count(n, || cas() && word.swap(0, Release) == 1)),
        ],
    )
}

fn add(plan: &Plan) -> bool {
    let ours = Lock::new(0u64).expect("a lock");
    let std = Mutex::new(0u64);
    let parking_lot = parking_lot::Mutex::new(0u64);
    let next = |value: &mut u64| {
        *value += 1;
        *value
    };
    let [mut a, mut b, mut c] = [0; 3];
    compare(
        "Lock: lock + add + unlock",
        plan,
        &mut [
            Contender::new("ipc_sync::Lock", |n| {
                count(n, || {
                    a += 1;
                    black_box(&ours).lock().is_ok_and(|mut guard| next(&mut guard) == a)
                })
            }),
            Contender::new("std Mutex", |n| {
                count(n, || {
                    b += 1;
                    black_box(&std).lock().is_ok_and(|mut guard| next(&mut guard) == b)
                })
            }),
            Contender::new("parking_lot Mutex", |n| {
                count(n, || {
                    c += 1;
                    next(&mut black_box(&parking_lot).lock()) == c
                })
            }),
        ],
    )
}

fn get(plan: &Plan) -> bool {
    let ours = Value::new(7u64).expect("a value");
    let atomic = AtomicValue::new(7u64).expect("a value");
    let std = Mutex::new(7u64);
    let bare = AtomicU64::new(7);
    compare(
        "Value: get",
        plan,
        &mut [
            Contender::new("ipc_core::Value", |n| count(n, || black_box(&ours).get() == Ok(7))),
            Contender::new("std Mutex", |n| count(n, || black_box(&std).lock().is_ok_and(|v| *v == 7))),
            Contender::new("ipc_core::AtomicValue", |n| count(n, || black_box(&atomic).load(Acquire) == 7)),
            Contender::new("floor: atomic load", |n| count(n, || black_box(&bare).load(Acquire) == 7)),
        ],
    )
}

fn set(plan: &Plan) -> bool {
    let ours = Value::new(0u64).expect("a value");
    let wide = Value::new([0u64; 8]).expect("a value");
    let std = Mutex::new(0u64);
    let bare = AtomicU64::new(0);
    let last = plan.last();
    compare(
        "Value: set",
        plan,
        &mut [
            Contender::new("ipc_core::Value", |n| {
                let done = (1..=n).filter(|&i| black_box(&ours).set(i).is_ok()).count() as u64;
                if ours.get() == Ok(last) { done } else { 0 }
            }),
            Contender::new("ipc_core::Value of 64 bytes", |n| {
                let done = (1..=n).filter(|&i| black_box(&wide).set([i; 8]).is_ok()).count() as u64;
                if wide.get() == Ok([last; 8]) { done } else { 0 }
            }),
            Contender::new("std Mutex", |n| {
                let done = (1..=n).filter(|&i| black_box(&std).lock().map(|mut v| *v = i).is_ok()).count() as u64;
                if std.lock().is_ok_and(|v| *v == last) { done } else { 0 }
            }),
            Contender::new("floor: atomic store", |n| {
                (1..=n).for_each(|i| black_box(&bare).store(i, Release));
                if bare.load(Relaxed) == last { n } else { 0 }
            }),
        ],
    )
}

fn update(plan: &Plan) -> bool {
    let ours = Value::new(0u64).expect("a value");
    let std = Mutex::new(0u64);
    let bare = AtomicU64::new(0);
    let next = |value: &mut u64| {
        *value += 1;
        *value
    };
    let [mut a, mut b, mut c] = [0; 3];
    compare(
        "Value: update",
        plan,
        &mut [
            Contender::new("ipc_core::Value", |n| {
                count(n, || {
                    a += 1;
                    black_box(&ours).update(next) == Ok(a)
                })
            }),
            Contender::new("std Mutex", |n| {
                count(n, || {
                    b += 1;
                    black_box(&std).lock().is_ok_and(|mut guard| next(&mut guard) == b)
                })
            }),
            Contender::new("floor: fetch_add", |n| {
                count(n, || {
                    c += 1;
                    black_box(&bare).fetch_add(1, Release) + 1 == c
                })
            }),
        ],
    )
}
