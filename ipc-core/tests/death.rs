//! Holders that are killed, and children that inherit: one test per thing that once went wrong, or could.
//!
//! Children are forked and leave by `_exit` or a signal, never through the test harness.

use ipc_core::{Array, Cause, LockError, Segment, Value, set_member_name};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A forked child, killed and reaped at the latest when this goes.
struct Child {
    pid: libc::pid_t,
    pipe: UnixStream,
}

impl Child {
    /// Forks a child that runs `f` with its end of a pipe, then waits for ever.
    fn run(f: impl FnOnce(&mut UnixStream)) -> Self {
        let (pipe, mut theirs) = UnixStream::pair().unwrap();
        // SAFETY: the child uses this library and the allocator, both of which are good after fork, and never returns.
        match unsafe { libc::fork() } {
            0 => {
                f(&mut theirs);
                loop {
                    // SAFETY: no preconditions.
                    unsafe { libc::pause() };
                }
            }
            pid => Self { pid, pipe },
        }
    }

    /// Waits for a byte of the child.
    fn hear(&mut self) -> u8 {
        let mut byte = [0];
        self.pipe.read_exact(&mut byte).expect("the child lives and speaks");
        byte[0]
    }

    fn kill(self) {}
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: our own child, not reaped yet.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: as above; no status wanted.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}

fn say(pipe: &mut UnixStream, byte: u8) {
    pipe.write_all(&[byte]).unwrap();
}

/// A child that holds the lock of `value`, having written if `touch`.
fn holder(value: &Value<[u64; 4]>, touch: bool) -> Child {
    let mut child = Child::run(|pipe| {
        set_member_name("holder");
        let mut guard = value.lock().unwrap();
        if touch {
            guard[0] = 9;
        }
        std::mem::forget(guard);
        say(pipe, 1);
    });
    child.hear();
    child
}

#[test]
fn smoke() {
    let value = Value::new([1u64; 4]).unwrap();
    let child = holder(&value, true);
    let pid = child.pid;
    assert_eq!(value.try_lock().unwrap_err(), LockError::WouldBlock);
    child.kill();
    let Err(LockError::Inconsistent { cause: Cause::OwnerDied { pid: found, name } }) = value.lock() else {
        panic!("not told")
    };
    assert_eq!((found, name.as_str()), (pid as u32, "holder"));
    assert_eq!(*value.recover(|v| v[0] = 1).unwrap(), [1; 4]);
    assert_eq!(value.get().unwrap(), [1; 4]);
}

#[test]
fn a_killed_reader_poisons_nobody() {
    let value = Value::new([1u64; 4]).unwrap();
    holder(&value, false).kill();
    assert_eq!(*value.lock().unwrap(), [1; 4]);
}

#[test]
fn sleepers_are_woken_by_a_death() {
    let value = Value::new([1u64; 4]).unwrap();
    let child = holder(&value, false);
    std::thread::scope(|s| {
        let sleepers: Vec<_> = (0..4).map(|_| s.spawn(|| value.update(|v| v[1] += 1))).collect();
        child.kill();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap().unwrap());
    });
    assert_eq!(value.get().unwrap(), [1, 5, 1, 1]);
}

#[test]
fn a_stopped_holder_is_not_dead() {
    let value = Value::new([1u64; 4]).unwrap();
    let child = holder(&value, true);
    // SAFETY: our own child.
    unsafe { libc::kill(child.pid, libc::SIGSTOP) };
    assert_eq!(value.lock_timeout(Duration::from_millis(200)).unwrap_err(), LockError::Timeout);
}

/// LK15.
#[test]
fn signals_do_not_put_the_verdict_off() {
    extern "C" fn nothing(_: libc::c_int) {}
    let value = Value::new([1u64; 4]).unwrap();
    let child = holder(&value, false);
    // SAFETY: an empty handler.
    unsafe { libc::signal(libc::SIGUSR1, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    // SAFETY: no preconditions.
    let waiter = unsafe { libc::pthread_self() } as usize;
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            let started = Instant::now();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert!(started.elapsed() < Duration::from_secs(60), "a waiter among signals never asked");
                // SAFETY: that thread outlives this scope.
                unsafe { libc::pthread_kill(waiter as libc::pthread_t, libc::SIGUSR1) };
                std::thread::yield_now();
            }
        });
        child.kill();
        let got = value.lock().map(drop);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        got.unwrap();
    });
}

#[test]
fn a_poller_of_two_locks_takes_over_both() {
    let values = [Value::new([1u64; 4]).unwrap(), Value::new([2u64; 4]).unwrap()];
    values.iter().for_each(|value| holder(value, false).kill());
    let mut open = [false; 2];
    let started = Instant::now();
    while open != [true; 2] {
        assert!(started.elapsed() < Duration::from_secs(60), "pollers hang behind the dead");
        for (value, open) in values.iter().zip(&mut open) {
            *open |= value.try_lock().is_ok();
        }
    }
}

/// LK16.
#[test]
fn a_forked_child_is_a_member_of_its_own() {
    let value = Value::new([0u64; 4]).unwrap();
    let guard = value.lock().unwrap();
    let mut child = Child::run(|pipe| {
        say(pipe, u8::from(matches!(value.try_lock(), Err(LockError::WouldBlock))));
        value.update(|v| v[0] += 1).unwrap();
        say(pipe, 2);
    });
    assert_eq!(child.hear(), 1, "the parent's lock is not the child's");
    drop(guard);
    assert_eq!(child.hear(), 2);
    child.kill();
    assert_eq!(value.get().unwrap()[0], 1);
}

#[test]
fn an_inherited_guard_releases_nothing_and_panics_on_access() {
    let value = Value::new([7u64; 4]).unwrap();
    let mut guard = value.lock().unwrap();
    guard[0] = 8;
    let mut child = Child::run(|pipe| {
        std::panic::set_hook(Box::new(|_| {}));
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guard[0])).is_err();
        let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guard[0] = 1)).is_ok();
        // SAFETY: the copy in this process is not used again.
        unsafe { std::ptr::drop_in_place(&raw mut guard) };
        say(pipe, u8::from(refused && !written && value.try_lock().is_err()));
    });
    assert_eq!(child.hear(), 1);
    assert_eq!(guard[0], 8);
}

#[test]
fn a_fork_inside_update_changes_nothing_in_the_child() {
    let value = Value::new([3u64; 4]).unwrap();
    let mut child = None;
    value
        .update(|v| {
            v[0] = 4;
            child = Some(Child::run(|pipe| {
                say(pipe, 1);
            }));
        })
        .unwrap();
    assert_eq!(child.as_mut().unwrap().hear(), 1);
    assert_eq!(value.get().unwrap(), [4, 3, 3, 3]);
}

#[test]
fn a_reused_descriptor_number_is_not_a_verdict() {
    let segment = Segment::new(4096).unwrap();
    let value = Value::new_in(&segment, [5u64; 4]).unwrap();
    let child = holder(&value, true);
    let other = std::fs::File::open("/dev/null").unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&segment.as_fd());
    // SAFETY: exactly what must do no harm: another file takes the segment's number.
    assert!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&other), number) } >= 0);
    assert_eq!(value.lock_timeout(Duration::from_millis(200)).unwrap_err(), LockError::Timeout, "it lives");
    child.kill();
    assert!(matches!(value.lock(), Err(LockError::Inconsistent { .. })), "the pidfd tells");
}

#[test]
fn rows_of_the_dead_are_taken_again() {
    let segment = Segment::options().members(3).anonymous(4096).unwrap();
    let array = Array::<u64>::new_in(&segment, 8).unwrap();
    for i in 0..8 {
        let mut child = Child::run(|pipe| {
            array.set(i, i as u64 + 1).unwrap();
            say(pipe, 1);
        });
        child.hear();
    }
    assert_eq!(array.to_vec().unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

/// XS23.
#[test]
fn forks_among_busy_threads_do_not_hang_the_child() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    Value::new(1u64).unwrap().set(2).unwrap();
                    set_member_name("busy");
                }
            });
        }
        for _ in 0..100 {
            let mut child = Child::run(|pipe| {
                let value = Value::new(1u64).unwrap();
                value.set(2).unwrap();
                say(pipe, value.get().unwrap() as u8);
            });
            child.pipe.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            assert_eq!(child.hear(), 2);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
