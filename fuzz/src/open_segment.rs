//! Opening what a stranger made, and using what opens.
//!
//! Whatever the bytes are: no panic, no hang, and every error has a type that says what is wrong with the segment. Calls that
//! wait get a deadline that has passed; the others are made only where the lock has just been taken and given back.

use crate::damage::{self, Job, MOST_STEPS, Step};
use crate::input::Input;
use ipc_core::raw::{Kind, Object};
use ipc_core::{
    Array, ArrayError, AtomicArray, AtomicValue, Cause, Deadline, Error, ErrorKind, LockError, Segment, Ticket, Value,
};
use ipc_sync::Lock;
use std::fs::File;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The first byte chooses: 0, the rest is the file, padded with zeroes to whole pages; else, damages to a good segment.
pub fn open_segment(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.u8() {
        0 => raw(input.rest()),
        which => damaged(which - 1, input),
    }
}

/// Bytes of a file, at most.
const MOST_BYTES: usize = 64 << 10;

fn raw(bytes: &[u8]) {
    let mut content = bytes[..bytes.len().min(MOST_BYTES)].to_vec();
    content.resize(content.len().next_multiple_of(4096), 0);
    if let Some(segment) = open(damage::file_of(&content)) {
        use_all(&segment);
    }
}

fn damaged(which: u8, mut input: Input<'_>) {
    let image = damage::image(which);
    let (file, size) = (damage::file_of(image), image.len() as u64);
    let mut segment = None;
    for _ in 0..MOST_STEPS {
        match Step::read(&mut input) {
            None => break,
            Some(step @ (Step::Use | Step::UseAt(_))) => {
                if segment.is_none() {
                    segment = open(file.try_clone().expect("a descriptor"));
                }
                match (&segment, step) {
                    (Some(segment), Step::UseAt(at)) => use_at(segment, at.into()),
                    (Some(segment), _) => use_all(segment),
                    (None, _) => {}
                }
            }
            Some(store) => store.apply(&file, size),
        }
    }
    if let Some(segment) = segment.or_else(|| open(file)) {
        use_all(&segment);
    }
}

fn open(file: File) -> Option<Segment> {
    checked(Segment::from_fd(file.into()))
}

/// An error must be one that a damaged segment can be the reason for.
fn checked<T>(result: Result<T, Error>) -> Option<T> {
    let error = match result {
        Ok(opened) => return Some(opened),
        Err(error) => error,
    };
    let typed = matches!(
        error.kind(),
        ErrorKind::NotFound { .. }
            | ErrorKind::AlreadyExists { .. }
            | ErrorKind::NoSpace { .. }
            | ErrorKind::NoMemberRow { .. }
            | ErrorKind::Header { .. }
            | ErrorKind::WrongKind { .. }
            | ErrorKind::WrongType { .. }
            | ErrorKind::Corrupt(_)
    );
    assert!(typed, "an error that says nothing about the segment: {error:?}");
    assert!(!error.to_string().is_empty());
    None
}

fn use_all(segment: &Segment) {
    assert!(segment.free_bytes() <= segment.len_bytes());
    assert!((1..=65_535).contains(&segment.members()) && segment.id() != 0);
    let _ = format!("{segment:?}");
    checked(Value::<u64>::open_in(segment, "word")).inspect(use_word);
    checked(Value::<Job>::open_in(segment, "wide")).inspect(use_wide);
    checked(Array::<u32>::open_in(segment, "array")).inspect(use_array);
    checked(Lock::<u64>::open_in(segment, "lock")).inspect(use_lock);
    checked(Lock::<()>::open_in(segment, "bare")).inspect(|bare| {
        let _ = locked(bare.lock_timeout(Duration::ZERO));
        let _ = format!("{bare:?}");
    });
    checked(AtomicValue::<u64>::open_in(segment, "atomic")).inspect(|atomic| {
        atomic.fetch_add(1, Relaxed);
    });
    checked(AtomicArray::<u16>::open_in(segment, "atomics")).inspect(|atomics| {
        for atomic in atomics.iter() {
            atomic.fetch_add(1, Relaxed);
        }
    });
    create(segment);
    use_at(segment, 0);
}

/// New objects among whatever is there.
fn create(segment: &Segment) {
    if let Some(value) = checked(Value::new_in(segment, 3u64)) {
        assert!(value.get_by(Deadline::PASSED).is_ok_and(|found| found == 3), "a new value is what it was made of");
    }
    let before = segment.free_bytes();
    if let Some(array) = checked(Array::<u32>::create_in(segment, "new", 2)) {
        assert!(segment.free_bytes() < before);
        let again = checked(Array::<u32>::open_in(segment, "new")).expect("just created");
        assert_eq!((array.len(), again.len()), (2, 2));
    }
    checked(Value::<[u8; 1000]>::new_in(segment, [0; 1000]));
}

/// Whatever lies at an offset, as every type, through a ticket too.
fn use_at(segment: &Segment, offset: u64) {
    for kind in [Kind::VALUE, Kind::ARRAY, Kind::ATOMIC_VALUE, Kind::LOCK] {
        let _ = checked(Object::at(segment.clone(), offset, kind, "u64"));
    }
    let any = Value::<u64>::open_in(segment, "word").map(|value| value.ticket().to_string());
    if let Ok(text) = any {
        let head = text.rsplit_once(':').expect("a ticket has fields").0;
        let ticket: Ticket = format!("{head}:{offset:x}").parse().expect("a ticket");
        match Value::<u64>::attach(&ticket) {
            // Its header was damaged since: the file that the ticket meant is no longer there.
            Err(error) if matches!(error.kind(), ErrorKind::Gone { .. } | ErrorKind::BadTicket { .. }) => {}
            other => drop(checked(other).inspect(use_word)),
        }
    }
}

fn use_word(value: &Value<u64>) {
    let _ = format!("{value:?} {}", value.is_inconsistent());
    let _ = locked(value.try_lock());
    if locked(value.get_by(Deadline::PASSED)).is_some() {
        locked(value.set(9));
        assert_eq!(locked(value.update(|v| *v + 1)), Some(10));
    }
}

fn use_wide(value: &Value<Job>) {
    let _ = format!("{value:?}");
    match value.lock_timeout(Duration::ZERO) {
        Ok(mut guard) => guard.tries ^= 1,
        Err(LockError::Inconsistent { .. }) => {
            locked(value.recover(|job| job.id = 0).map(drop));
        }
        Err(error) => drop(locked::<()>(Err(error))),
    }
    if locked(value.get_by(Deadline::PASSED)).is_some() {
        let job = Job { id: 4, tries: 5, cost: 6.0 };
        locked(value.set(job));
        assert_eq!(locked(value.update(|job| *job)), Some(job));
    }
}

fn use_array(array: &Array<u32>) {
    let _ = format!("{array:?}");
    if locked(array.lock_timeout(Duration::ZERO).map(|mut guard| guard.fill(1))).is_none() {
        return;
    }
    for index in [0, array.len().saturating_sub(1), array.len(), usize::MAX] {
        match array.set(index, 2) {
            Ok(()) => assert!(index < array.len() && array.get(index) == Ok(2)),
            Err(ArrayError::OutOfRange { .. }) => assert!(index >= array.len()),
            Err(error) => panic!("a free lock was refused: {error}"),
        }
    }
    assert_eq!(array.to_vec().map(|all| all.len()), Ok(array.len()));
}

fn use_lock(lock: &Lock<u64>) {
    let _ = format!("{lock:?}");
    match locked(lock.try_lock()) {
        Some(mut guard) => *guard += 1,
        None => drop(locked(lock.lock_timeout(Duration::ZERO))),
    }
}

/// A lock that was not given must say why, whatever its word holds.
fn locked<T>(result: Result<T, LockError>) -> Option<T> {
    match result {
        Ok(got) => Some(got),
        Err(error) => {
            if let LockError::Inconsistent { cause: Cause::OwnerDied { name, .. } | Cause::Panicked { name, .. } } =
                &error
            {
                assert!(name.chars().count() <= 24, "a name of at most 24 bytes: {name:?}");
            }
            assert!(!matches!(error, LockError::Member(_)), "this process is a member: {error}");
            assert!(!error.to_string().is_empty());
            None
        }
    }
}
