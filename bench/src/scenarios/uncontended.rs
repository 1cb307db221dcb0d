//! `uncontended`: one thread on one CPU, nobody else at the object.

use crate::peers::on_one_cpu;
use crate::plan::Plan;
use crate::report::{Case, Role, Row, Target, Unit};
use crate::rivals::posix_sem::PosixSem;
use crate::rivals::pthread::PthreadMutex;
use crate::rivals::raw_sync::RawSync;
use crate::rivals::{Mutual, python};
use crate::rounds::{Contender, compare};
use ipc_core::{AtomicValue, Value};
use ipc_sync::{AnonymousSemaphore, Lock, Semaphore};
use std::hint::black_box;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const SCENARIO: &str = "uncontended";
const FLOOR: &str = "CAS + store";
const LOCK: Target = Target::against(&[("std Mutex", 0.75), ("pthread robust", 0.55)]);
/// What can be told apart from the bare atomic.
const BARE: f64 = 1.02;

/// All rows.
pub fn run(plan: &Plan) -> io::Result<Vec<Row>> {
    on_one_cpu(|| {
        let mut rows = Vec::new();
        for measure in [pair, add, get, set, update, value_add, atomic_load, atomic_add, semaphore] {
            rows.extend(measure(plan)?);
        }
        Ok(rows)
    })
}

/// Counts the operations of `n` that `operation` says were right.
#[inline]
fn count(n: u64, mut operation: impl FnMut() -> bool) -> u64 {
    let mut right = 0;
    for _ in 0..n {
        right += u64::from(operation());
    }
    right
}

fn nanoseconds(name: &'static str, target: Option<Target>) -> [Case; 1] {
    [Case::median(name, Unit::Nanoseconds, target)]
}

/// A lock around nothing.
fn bare<M: Mutual + 'static>(role: Role, plan: &Plan) -> io::Result<Contender<'static>> {
    let lock = M::create()?;
    Ok(Contender::timed(role, M::NAME, plan.operations, move |n| {
        count(n, || black_box(&lock).exclusively(|| ()).is_some())
    }))
}

/// A lock around one word of memory.
fn adding<M: Mutual + 'static>(role: Role, plan: &Plan) -> io::Result<Contender<'static>> {
    let lock = M::create()?;
    let (mut word, mut expected) = (0u64, 0);
    Ok(Contender::timed(role, M::NAME, plan.operations, move |n| {
        count(n, || {
            expected += 1;
            let word = black_box(&mut word);
            black_box(&lock).exclusively(|| {
                *word += 1;
                *word
            }) == Some(expected)
        })
    }))
}

fn script(plan: &Plan, name: &'static str, what: &'static str) -> Contender<'static> {
    let n = plan.script_operations;
    Contender::script(name, plan.scripts, move || python::measure(what, n))
}

/// A word that is a lock: what no lock can go below.
fn floor(plan: &Plan) -> Contender<'static> {
    let word = AtomicU64::new(0);
    Contender::timed(Role::Floor, FLOOR, plan.operations, move |n| {
        count(n, || {
            let locked = black_box(&word).compare_exchange(0, 1, Acquire, Relaxed).is_ok();
            black_box(&word).store(0, Release);
            locked
        })
    })
}

fn pair(plan: &Plan) -> io::Result<Vec<Row>> {
    let word = AtomicU64::new(0);
    let mut contenders = [
        bare::<Lock<()>>(Role::Ours, plan)?,
        bare::<Mutex<()>>(Role::Rival, plan)?,
        bare::<parking_lot::Mutex<()>>(Role::Rival, plan)?,
        bare::<PthreadMutex<false>>(Role::Rival, plan)?,
        bare::<PthreadMutex<true>>(Role::Rival, plan)?,
        bare::<RawSync>(Role::Rival, plan)?,
        bare::<PosixSem>(Role::Rival, plan)?,
        script(plan, "CPython Lock", "lock"),
        Contender::timed(Role::Rival, "bare CAS + exchange", plan.operations, |n| {
            let locked = || black_box(&word).compare_exchange(0, 1, Acquire, Relaxed).is_ok();
            count(n, || locked() && black_box(&word).swap(0, Release) == 1)
        }),
        floor(plan),
    ];
    Ok(compare(SCENARIO, &nanoseconds("Lock: lock + unlock", Some(LOCK)), plan.rounds, &mut contenders))
}

fn next(word: &mut u64) -> u64 {
    *word += 1;
    *word
}

fn add(plan: &Plan) -> io::Result<Vec<Row>> {
    let ours = Lock::new(0u64).map_err(io::Error::other)?;
    let mut expected = 0;
    let mut contenders = [
        Contender::timed(Role::Ours, "ipc_sync::Lock", plan.operations, |n| {
            count(n, || {
                expected += 1;
                black_box(&ours).lock().is_ok_and(|mut word| next(&mut word) == expected)
            })
        }),
        adding::<Mutex<()>>(Role::Rival, plan)?,
        adding::<parking_lot::Mutex<()>>(Role::Rival, plan)?,
        adding::<PthreadMutex<false>>(Role::Rival, plan)?,
        adding::<PthreadMutex<true>>(Role::Rival, plan)?,
        floor(plan),
    ];
    Ok(compare(SCENARIO, &nanoseconds("Lock: lock + add + unlock", Some(LOCK)), plan.rounds, &mut contenders))
}

fn value_add(plan: &Plan) -> io::Result<Vec<Row>> {
    let ours = Value::new(0u64).map_err(io::Error::other)?;
    let mut expected = 0;
    let mut contenders = [
        Contender::timed(Role::Ours, "ipc_core::Value", plan.operations, |n| {
            count(n, || {
                expected += 1;
                black_box(&ours).lock().is_ok_and(|mut word| next(&mut word) == expected)
            })
        }),
        adding::<Mutex<()>>(Role::Rival, plan)?,
        adding::<PthreadMutex<true>>(Role::Rival, plan)?,
        script(plan, "CPython Value", "add"),
        floor(plan),
    ];
    Ok(compare(SCENARIO, &nanoseconds("Value: lock + add", Some(LOCK)), plan.rounds, &mut contenders))
}

fn get(plan: &Plan) -> io::Result<Vec<Row>> {
    let ours = Value::new(7u64).map_err(io::Error::other)?;
    let std = Mutex::new(7u64);
    let bare = AtomicU64::new(7);
    let n = plan.operations;
    let mut contenders = [
        Contender::timed(Role::Ours, "ipc_core::Value", n, |n| count(n, || black_box(&ours).get() == Ok(7))),
        Contender::timed(Role::Rival, "std Mutex", n, |n| count(n, || black_box(&std).lock().is_ok_and(|v| *v == 7))),
        script(plan, "CPython Value", "get"),
        Contender::timed(Role::Floor, "atomic load", n, |n| count(n, || black_box(&bare).load(Acquire) == 7)),
    ];
    Ok(compare(SCENARIO, &nanoseconds("Value: get", None), plan.rounds, &mut contenders))
}

fn set(plan: &Plan) -> io::Result<Vec<Row>> {
    let n = plan.operations;
    let ours = Value::new(0u64).map_err(io::Error::other)?;
    let wide = Value::new([0u64; 8]).map_err(io::Error::other)?;
    let std = Mutex::new(0u64);
    let wide_std = Mutex::new([0u64; 8]);
    let bare = AtomicU64::new(0);
    let mut word = [
        Contender::timed(Role::Ours, "ipc_core::Value", n, |n| {
            let done = (1..=n).filter(|&i| black_box(&ours).set(i).is_ok()).count() as u64;
            if ours.get() == Ok(n) { done } else { 0 }
        }),
        Contender::timed(Role::Rival, "std Mutex", n, |n| {
            let done = (1..=n).filter(|&i| black_box(&std).lock().map(|mut v| *v = i).is_ok()).count() as u64;
            if std.lock().is_ok_and(|v| *v == n) { done } else { 0 }
        }),
        script(plan, "CPython Value", "set"),
        Contender::timed(Role::Floor, "atomic store", n, |n| {
            (1..=n).for_each(|i| black_box(&bare).store(i, Release));
            if bare.load(Relaxed) == n { n } else { 0 }
        }),
    ];
    let mut rows = compare(SCENARIO, &nanoseconds("Value: set", None), plan.rounds, &mut word);
    let mut line = [
        Contender::timed(Role::Ours, "ipc_core::Value", n, |n| {
            let done = (1..=n).filter(|&i| black_box(&wide).set([i; 8]).is_ok()).count() as u64;
            if wide.get() == Ok([n; 8]) { done } else { 0 }
        }),
        Contender::timed(Role::Rival, "std Mutex", n, |n| {
            let done = (1..=n).filter(|&i| black_box(&wide_std).lock().map(|mut v| *v = [i; 8]).is_ok()).count() as u64;
            if wide_std.lock().is_ok_and(|v| *v == [n; 8]) { done } else { 0 }
        }),
    ];
    rows.extend(compare(SCENARIO, &nanoseconds("Value of 64 bytes: set", None), plan.rounds, &mut line));
    Ok(rows)
}

fn update(plan: &Plan) -> io::Result<Vec<Row>> {
    let n = plan.operations;
    let ours = Value::new(0u64).map_err(io::Error::other)?;
    let bare = AtomicU64::new(0);
    let [mut a, mut b] = [0; 2];
    let mut contenders = [
        Contender::timed(Role::Ours, "ipc_core::Value", n, |n| {
            count(n, || {
                a += 1;
                black_box(&ours).update(next) == Ok(a)
            })
        }),
        adding::<Mutex<()>>(Role::Rival, plan)?,
        adding::<PthreadMutex<true>>(Role::Rival, plan)?,
        script(plan, "CPython Value", "add"),
        Contender::timed(Role::Floor, "atomic add", n, |n| {
            count(n, || {
                b += 1;
                black_box(&bare).fetch_add(1, AcqRel) + 1 == b
            })
        }),
    ];
    Ok(compare(SCENARIO, &nanoseconds("Value: update", None), plan.rounds, &mut contenders))
}

fn atomic_load(plan: &Plan) -> io::Result<Vec<Row>> {
    let n = plan.operations;
    let ours = AtomicValue::new(7u64).map_err(io::Error::other)?;
    let bare = AtomicU64::new(7);
    let mut contenders = [
        Contender::timed(Role::Ours, "ipc_core::AtomicValue", n, |n| count(n, || black_box(&ours).load(Acquire) == 7)),
        Contender::timed(Role::Floor, "atomic load", n, |n| count(n, || black_box(&bare).load(Acquire) == 7)),
    ];
    let target = Target::against(&[("atomic load", BARE)]);
    Ok(compare(SCENARIO, &nanoseconds("AtomicValue: load", Some(target)), plan.rounds, &mut contenders))
}

fn atomic_add(plan: &Plan) -> io::Result<Vec<Row>> {
    let n = plan.operations;
    let ours = AtomicValue::new(0u64).map_err(io::Error::other)?;
    let bare = AtomicU64::new(0);
    let [mut a, mut b] = [0; 2];
    let mut contenders = [
        Contender::timed(Role::Ours, "ipc_core::AtomicValue", n, |n| {
            count(n, || {
                a += 1;
                black_box(&ours).fetch_add(1, AcqRel) + 1 == a
            })
        }),
        Contender::timed(Role::Floor, "atomic add", n, |n| {
            count(n, || {
                b += 1;
                black_box(&bare).fetch_add(1, AcqRel) + 1 == b
            })
        }),
    ];
    let target = Target::against(&[("atomic add", BARE)]);
    Ok(compare(SCENARIO, &nanoseconds("AtomicValue: fetch_add", Some(target)), plan.rounds, &mut contenders))
}

/// One permit; and, beside it, the count without owners.
fn semaphore(plan: &Plan) -> io::Result<Vec<Row>> {
    let rivals = || -> io::Result<_> {
        Ok([bare::<PosixSem>(Role::Rival, plan)?, script(plan, "CPython Semaphore", "semaphore"), floor(plan)])
    };
    let mut rows = Vec::new();
    for (name, ours) in [
        ("Semaphore: acquire + release", bare::<Semaphore>(Role::Ours, plan)?),
        ("AnonymousSemaphore: acquire + release", bare::<AnonymousSemaphore>(Role::Ours, plan)?),
    ] {
        let mut contenders = Vec::from([ours]);
        contenders.extend(rivals()?);
        let target = Target::against(&[("POSIX sem", 1.0)]);
        rows.extend(compare(SCENARIO, &nanoseconds(name, Some(target)), plan.rounds, &mut contenders));
    }
    Ok(rows)
}
