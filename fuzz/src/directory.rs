//! Many objects in one segment, against a map from names to what was put there.

use crate::input::Input;
use ipc_core::{Array, AtomicValue, Error, ErrorKind, Segment, Value};
use ipc_sync::Lock;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

/// Operations of one input.
const MOST_OPERATIONS: usize = 400;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Byte(u8),
    Wide([u64; 3]),
    Elements(u16),
    Locked(u32),
    Atomic(u64),
}

/// The segment and what should be in it.
struct World {
    segment: Segment,
    names: HashMap<String, What>,
    unnamed: Vec<(Value<u8>, u8)>,
}

/// The first byte is the size of the segment; then come operations: create, open as the right or another type, place without
/// a name, attach the segment anew.
pub fn directory(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let space = 1 + u64::from(input.u8()) * 256;
    let segment = Segment::options().members(2).anonymous(space).expect("a small segment");
    let mut world = World { segment, names: HashMap::new(), unnamed: Vec::new() };
    for _ in 0..MOST_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0..3 => world.create(name(&mut input), what(&mut input)),
            3..6 => world.open(&name(&mut input), what(&mut input)),
            6 => world.place(input.u8()),
            _ => world.attach_anew(),
        }
    }
    world.check_all();
}

/// One of a few names that share buckets, or any text at all.
fn name(input: &mut Input<'_>) -> String {
    match input.u8() {
        few @ 0..200 => format!("n{}", few % 50),
        long @ 200..210 => "x".repeat(196 + usize::from(long - 200)),
        len => String::from_utf8_lossy(input.bytes(usize::from(len - 210))).into_owned(),
    }
}

fn what(input: &mut Input<'_>) -> What {
    match input.u8() % 5 {
        0 => What::Byte(input.u8()),
        1 => What::Wide([input.u64(), 1, 2]),
        2 => What::Elements(input.u16() % 300),
        3 => What::Locked(input.u16().into()),
        _ => What::Atomic(input.u64()),
    }
}

/// The rule for names, said a second time.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=200).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

impl World {
    fn create(&mut self, name: String, what: What) {
        let (segment, free) = (&self.segment, self.segment.free_bytes());
        let made = match what {
            What::Byte(byte) => Value::create_in(segment, &name, byte).map(drop),
            What::Wide(words) => Value::create_in(segment, &name, words).map(drop),
            What::Elements(len) => Array::<u16>::create_in(segment, &name, len.into()).map(drop),
            What::Locked(word) => Lock::create_in(segment, &name, word).map(drop),
            What::Atomic(word) => AtomicValue::create_in(segment, &name, word).map(drop),
        };
        match made {
            Ok(()) => {
                assert!(is_name(&name) && segment.free_bytes() < free);
                assert_eq!(self.names.insert(name, what), None, "a name that was taken");
            }
            Err(error) => {
                assert_eq!(segment.free_bytes(), free, "a failure takes nothing");
                self.check_refusal(&error, &name, free);
            }
        }
    }

    fn check_refusal(&self, error: &Error, name: &str, space: u64) {
        match error.kind() {
            ErrorKind::InvalidName { .. } => assert!(!is_name(name)),
            ErrorKind::AlreadyExists { name } => assert!(self.names.contains_key(name)),
            &ErrorKind::NoSpace { needed, free } => {
                assert!(needed > free && free == space && is_name(name) && !self.names.contains_key(name));
            }
            other => panic!("creating {name}: {other:?}"),
        }
    }

    fn open(&self, name: &str, as_what: What) {
        let segment = &self.segment;
        let found = match as_what {
            What::Byte(_) => Value::open_in(segment, name).map(|v| What::Byte(v.get().expect("free"))),
            What::Wide(_) => Value::open_in(segment, name).map(|v| What::Wide(v.get().expect("free"))),
            What::Elements(_) => Array::<u16>::open_in(segment, name).map(|a| What::Elements(a.len() as u16)),
            What::Locked(_) => Lock::open_in(segment, name).map(|l| What::Locked(*l.lock().expect("free"))),
            What::Atomic(_) => AtomicValue::<u64>::open_in(segment, name).map(|a| What::Atomic(a.load(Relaxed))),
        };
        match (found, self.names.get(name)) {
            (Ok(found), expected) => assert_eq!(Some(&found), expected),
            (Err(error), expected) => match error.kind() {
                ErrorKind::InvalidName { .. } => assert!(!is_name(name)),
                ErrorKind::NotFound { .. } => assert!(is_name(name) && expected.is_none()),
                ErrorKind::WrongKind { .. } | ErrorKind::WrongType { .. } => {
                    let same = expected.is_some_and(|e| std::mem::discriminant(e) == std::mem::discriminant(&as_what));
                    assert!(expected.is_some() && !same, "{error}");
                }
                other => panic!("opening {name}: {other:?}"),
            },
        }
    }

    fn place(&mut self, byte: u8) {
        let free = self.segment.free_bytes();
        match Value::new_in(&self.segment, byte) {
            Ok(value) => self.unnamed.push((value, byte)),
            Err(error) => self.check_refusal(&error, "unnamed", free),
        }
    }

    /// Through a descriptor, after the last handle is gone: what was placed is still there.
    fn attach_anew(&mut self) {
        let tickets: Vec<_> = self.unnamed.drain(..).map(|(value, byte)| (value.ticket().to_string(), byte)).collect();
        let fd = self.segment.as_fd().try_clone_to_owned().expect("a descriptor");
        let placeholder = Segment::new(1).expect("a small segment");
        drop(std::mem::replace(&mut self.segment, placeholder));
        self.segment = Segment::from_fd(fd).expect("the segment is good");
        for (text, byte) in tickets {
            let offset = text.rsplit_once(':').expect("a ticket has fields").1;
            let offset = u64::from_str_radix(offset, 16).expect("an offset");
            let anchor = ipc_core::raw::Object::at(self.segment.clone(), offset, ipc_core::raw::Kind::VALUE, "u8");
            let ticket = anchor.expect("placed before").ticket();
            self.unnamed.push((Value::attach(&ticket).expect("just looked at"), byte));
        }
    }

    fn check_all(&self) {
        for (name, &what) in &self.names {
            self.open(name, what);
        }
        for (value, byte) in &self.unnamed {
            assert_eq!(value.get(), Ok(*byte));
        }
    }
}
