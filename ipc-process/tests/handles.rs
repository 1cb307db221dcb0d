//! Handles of shared memory as arguments and results.

mod common;

use common::{alone, descriptors, watchdog};
use ipc_core::{LockError, Value};
use ipc_process::{Process, ProcessError};
use serde::{Deserialize, Serialize};

fn add(value: Value<u64>, n: u64) {
    value.update(|v| *v += n).expect("update");
}

#[test]
fn smoke() {
    let _watch = watchdog();
    let value = Value::new(40u64).expect("new");
    Process::spawn(add, (value.clone(), 2)).expect("spawn").join().expect("join");
    assert_eq!(value.get().expect("get"), 42);
}

/// The Python tutorial's counter: five processes, every increment counts.
#[test]
fn five_processes_count() {
    let _watch = watchdog();
    fn count(value: Value<u64>, times: u32) {
        for _ in 0..times {
            value.update(|v| *v += 1).expect("update");
        }
    }
    let value = Value::new(0u64).expect("new");
    let children: Vec<_> = (0..5).map(|_| Process::spawn(count, (value.clone(), 1000)).expect("spawn")).collect();
    for child in children {
        child.join().expect("join");
    }
    assert_eq!(value.get().expect("get"), 5000);
}

#[derive(Serialize, Deserialize)]
struct Deep {
    name: String,
    values: Vec<Option<Value<u64>>>,
}

/// Handles at any depth, one segment twice, more segments than one packet takes descriptors.
#[test]
fn handles_at_any_depth_and_in_any_number() {
    let _watch = watchdog();
    fn sum(deep: Deep, twin: Value<u64>) -> u64 {
        let sum: u64 = deep.values.iter().flatten().map(|value| value.get().expect("get")).sum();
        assert_eq!(deep.name, "deep");
        twin.set(1000).expect("set");
        assert_eq!(deep.values[0].as_ref().expect("some").get().expect("get"), 1000);
        sum
    }
    for count in [1, 3, 300] {
        let values: Vec<_> = (0..count).map(|n| Value::new(n).expect("new")).collect();
        let twin = values[0].clone();
        let deep = Deep { name: "deep".into(), values: values.into_iter().map(Some).chain([None]).collect() };
        let total = Process::spawn(sum, (deep, twin.clone())).expect("spawn").join().expect("join");
        assert_eq!((total, twin.get().expect("get")), ((0..count).sum(), 1000));
    }
}

/// What a child has made lives on in its result.
#[test]
fn a_result_can_hold_handles() {
    let _watch = watchdog();
    fn make(n: u64) -> Vec<Value<u64>> {
        (0..n).map(|n| Value::new(n).expect("new")).collect()
    }
    for count in [1, 300] {
        let values = Process::spawn(make, (count,)).expect("spawn").join().expect("join");
        let sum: u64 = values.iter().map(|value| value.get().expect("get")).sum();
        assert_eq!(sum, (0..count).sum());
    }
}

/// PR16: no descriptor of a handle stays behind, whether the child took it or died.
#[test]
fn handles_leave_no_descriptors() {
    let _watch = watchdog();
    fn parent() -> [Vec<(i32, String)>; 2] {
        let round = |n: u32| {
            let values: Vec<_> = (0..20).map(|n| Value::new(n).expect("new")).collect();
            let child = Process::spawn(|values: Vec<Value<u64>>| values, (values,)).expect("spawn");
            match n % 3 {
                0 => assert_eq!(child.join().expect("join").len(), 20),
                1 => assert!(child.wait().expect("wait").success()),
                _ => {
                    child.kill().expect("kill");
                    child.wait().expect("wait");
                }
            }
        };
        (0..3).for_each(round);
        let before = descriptors();
        (0..12).for_each(round);
        // Ends after all that came before it has been seen to.
        Process::spawn(|| (), ()).expect("spawn").join().expect("join");
        [before, descriptors()]
    }
    let [before, after] = alone(parent);
    assert_eq!(before, after);
}

/// XS01: who died is told by the name of the process.
#[test]
fn a_dead_holder_is_named() {
    let _watch = watchdog();
    fn die_holding(value: Value<u64>) {
        let mut guard = value.lock().expect("lock");
        *guard = 7;
        std::process::abort();
    }
    let value = Value::new(0u64).expect("new");
    let child = Process::options().name("the late").spawn(die_holding, (value.clone(),)).expect("spawn");
    let pid = child.pid();
    assert!(matches!(child.join(), Err(ProcessError::Signalled { signal: libc::SIGABRT, .. })));
    let Err(LockError::Inconsistent { cause }) = value.get() else { panic!("not told") };
    assert!(cause.to_string().contains("the late") && cause.to_string().contains(&pid.to_string()), "{cause}");
}
