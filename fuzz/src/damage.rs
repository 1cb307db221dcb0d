//! Good segments, and what an input does to their bytes.
//!
//! Arbitrary bytes almost never get past the magic number. So an input may also say how a good segment is damaged: it starts
//! from the bytes of one that holds an object of every type, and lists stores. A store can come before the segment is
//! opened, or between two uses of it, which is what a hostile peer does.
//!
//! | byte of a step, modulo 8 | then                  | what happens                                                       |
//! |--------------------------|-----------------------|--------------------------------------------------------------------|
//! | 0, 1, 2, 3               | u16 offset, value     | 1, 2, 4 or 8 bytes of the value are stored                          |
//! | 4                        | u16 offset, u8, u8    | an owner word is stored: generation 0–3 and flags, row, thread      |
//! | 5                        | u16 to, u16 from      | 8 bytes are copied                                                  |
//! | 6                        | –                     | the segment is used                                                |
//! | 7                        | u16 offset            | what lies there is used as if it were an object                    |

use crate::input::Input;
use ipc_core::raw::Place;
use ipc_core::{Array, AtomicArray, AtomicValue, Segment, Value, plain};
use ipc_queue::Queue;
use ipc_sync::Lock;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::OnceLock;

/// A struct with padding and several fields.
#[plain]
#[derive(Debug, PartialEq)]
pub(crate) struct Job {
    pub id: u64,
    pub tries: u8,
    pub cost: f32,
}

/// Steps of one input.
pub(crate) const MOST_STEPS: usize = 64;

/// One step of a damaged segment's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Store { at: u16, value: u64, bytes: usize },
    Copy { to: u16, from: u16 },
    Use,
    UseAt(u16),
}

impl Step {
    /// The next step of an input that has one.
    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        if input.is_empty() {
            return None;
        }
        Some(match input.u8() % 8 {
            width @ 0..4 => {
                let (at, bytes) = (input.u16(), 1 << width);
                let value = input.bytes(bytes).iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
                Self::Store { at, value, bytes }
            }
            4 => {
                let (at, what, who) = (input.u16(), u64::from(input.u8()), u64::from(input.u8()));
                let (generation, flags) = (what >> 3 & 3, what & 7);
                let (row, thread) = (who & 7, who >> 3);
                Self::Store { at, value: generation << 32 | row << 16 | thread << 3 | flags, bytes: 8 }
            }
            5 => Self::Copy { to: input.u16(), from: input.u16() },
            6 => Self::Use,
            _ => Self::UseAt(input.u16()),
        })
    }

    /// Does to the file what the step says; offsets wrap around its `size`.
    pub(crate) fn apply(self, file: &File, size: u64) {
        let inside = |at: u16, bytes: usize| u64::from(at) % (size - bytes as u64 + 1);
        match self {
            Self::Store { at, value, bytes } => {
                let value = &value.to_le_bytes()[..bytes];
                file.write_all_at(value, inside(at, bytes)).expect("storing in a memfd");
            }
            Self::Copy { to, from } => {
                let mut word = [0; 8];
                file.read_exact_at(&mut word, inside(from, 8)).expect("reading a memfd");
                file.write_all_at(&word, inside(to, 8)).expect("storing in a memfd");
            }
            Self::Use | Self::UseAt(_) => {}
        }
    }
}

/// Good segments there are.
pub(crate) const IMAGES_THERE_ARE: usize = 4;

/// The bytes of the good segment number `which`.
pub(crate) fn image(which: u8) -> &'static [u8] {
    static IMAGES: OnceLock<[Vec<u8>; IMAGES_THERE_ARE]> = OnceLock::new();
    let images = IMAGES.get_or_init(|| [many(), one(), empty(), queue()].map(|segment| bytes_of(&segment)));
    &images[usize::from(which) % images.len()]
}

/// One page with an object of every type, named and unnamed.
fn many() -> Segment {
    let segment = Segment::options().members(2).anonymous(3000).expect("a small segment");
    Value::create_in(&segment, "word", 1u64).expect("room");
    Value::create_in(&segment, "wide", Job { id: 1, tries: 2, cost: 3.0 }).expect("room");
    Array::<u32>::create_in(&segment, "array", 3).expect("room");
    Lock::create_in(&segment, "lock", 7u64).expect("room");
    Lock::create_in(&segment, "bare", ()).expect("room");
    AtomicValue::create_in(&segment, "atomic", 5u64).expect("room");
    AtomicArray::<u16>::create_in(&segment, "atomics", 4).expect("room");
    Value::new_in(&segment, [0u8; 5]).expect("room");
    segment
}

/// A segment of one bucket, made for one object.
fn one() -> Segment {
    Value::new(11u64).expect("a small segment").segment().clone()
}

/// A queue with some messages, and one of unusual alignment.
fn queue() -> Segment {
    let segment = Segment::options().members(2).anonymous(6000).expect("a small segment");
    let queue = Queue::<u16>::options().endpoints(2).place(Place::CreateIn(&segment, "queue"), 3).expect("room");
    queue.send(1).and_then(|()| queue.send(2)).expect("room for both");
    assert_eq!(queue.recv(), Ok(1));
    Queue::<[u64; 30]>::options().endpoints(1).place(Place::NewIn(&segment), 2).expect("room");
    segment
}

/// A segment with all its space free.
fn empty() -> Segment {
    Segment::options().members(1).anonymous(1).expect("a small segment")
}

fn bytes_of(segment: &Segment) -> Vec<u8> {
    let file = File::from(segment.as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut bytes = vec![0; segment.len_bytes() as usize];
    file.read_exact_at(&mut bytes, 0).expect("reading a memfd");
    bytes
}

/// A file of these bytes, as safe as files can be: what is checked before the bytes are looked at is in order.
pub(crate) fn file_of(bytes: &[u8]) -> File {
    let fd = memfd_create(c"fuzz", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).expect("a memfd");
    let file = File::from(fd);
    // A memfd starts with mode 0777.
    file.set_permissions(Permissions::from_mode(0o600)).expect("chmod of a memfd");
    file.write_all_at(bytes, 0).expect("writing a memfd");
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW)).expect("sealing a memfd");
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_open_undamaged() {
        for which in 0..IMAGES_THERE_ARE as u8 {
            let file = file_of(image(which));
            Segment::from_fd(file.into()).expect("a good segment");
        }
    }

    #[test]
    fn steps_are_read_as_tabled() {
        let mut input = Input::new(&[1, 2, 0, 0xcd, 0xab, 4, 1, 0, 0b1001, 0b1001, 14, 15, 9]);
        let mut next = || Step::read(&mut input);
        assert_eq!(next(), Some(Step::Store { at: 2, value: 0xabcd, bytes: 2 }));
        assert_eq!(next(), Some(Step::Store { at: 1, value: 1 << 32 | 1 << 16 | 1 << 3 | 1, bytes: 8 }));
        assert_eq!(next(), Some(Step::Use));
        assert_eq!(next(), Some(Step::UseAt(9)));
        assert_eq!(next(), None);
    }
}
