//! How handles travel as serde values: inside spawn, queues and pipes.
//!
//! Serialising a handle must also pass the descriptor of its segment along, and serde knows nothing of descriptors. So the
//! carrier opens a *journey* around the serialisation; a handle puts its segment into the luggage and writes down which
//! piece it is. On the other side the carrier opens the counterpart with the descriptors that arrived.
//!
//! ```
//! use ipc_core::{Value, transport};
//! let value = Value::new(41u64)?;
//! let (text, luggage) = transport::send(|| serde_json::to_string(&value));
//! let fds = luggage.into_fds()?;                       // pass these by SCM_RIGHTS
//! let text = text?;
//! let twin: Value<u64> = transport::receive(fds, || serde_json::from_str(&text))?;
//! twin.update(|v| *v += 1)?;
//! assert_eq!(value.get()?, 42);
//! assert!(serde_json::to_string(&value).unwrap_err().to_string().contains(".ticket()"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::error::{Error, ErrorKind};
use crate::layout::entry::Kind;
use crate::raw::{Object, Placed, State};
use crate::{MemberError, Segment};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::os::fd::OwnedFd;

/// The segments that the handles in a message need.
#[derive(Debug, Default)]
pub struct Luggage {
    segments: Vec<Segment>,
}

impl Luggage {
    /// Duplicates of the descriptors, in the order in which the message refers to them.
    pub fn into_fds(self) -> Result<Vec<OwnedFd>, Error> {
        let duplicate = |segment: &Segment| {
            segment.as_fd().try_clone_to_owned().map_err(|e| Error::system("duplicating a descriptor", e))
        };
        self.segments.iter().map(duplicate).collect()
    }

    /// How many descriptors there are.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether the message needs none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The segments themselves, to keep them open until the other side has attached.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn index_of(&mut self, segment: &Segment) -> u32 {
        let known = self.segments.iter().position(|s| std::ptr::eq(s.inner(), segment.inner()));
        let index = known.unwrap_or_else(|| {
            self.segments.push(segment.clone());
            self.segments.len() - 1
        });
        index as u32
    }
}

/// A descriptor that arrived: attached at most once, however many handles refer to it.
enum Piece {
    Descriptor(OwnedFd),
    Attached(Segment),
}

enum Journey {
    Out(Luggage),
    In(Vec<Option<Piece>>),
}

thread_local! {
    static JOURNEYS: RefCell<Vec<Journey>> = const { RefCell::new(Vec::new()) };
    static LAST_ERROR: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Ends a journey on any exit.
struct Under;

impl Under {
    fn way(journey: Journey) -> Self {
        JOURNEYS.with_borrow_mut(|journeys| journeys.push(journey));
        LAST_ERROR.take();
        Self
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        JOURNEYS.with_borrow_mut(|journeys| journeys.pop());
    }
}

/// Runs `serialise`, inside which handles are serde values; what they need comes back beside its result.
pub fn send<R>(serialise: impl FnOnce() -> R) -> (R, Luggage) {
    let under_way = Under::way(Journey::Out(Luggage::default()));
    let result = serialise();
    let luggage = JOURNEYS.with_borrow_mut(|journeys| match journeys.last_mut() {
        Some(Journey::Out(luggage)) => std::mem::take(luggage),
        _ => Luggage::default(),
    });
    drop(under_way);
    (result, luggage)
}

/// Runs `deserialise`, inside which handles attach through the descriptors that came with the message.
pub fn receive<R>(fds: Vec<OwnedFd>, deserialise: impl FnOnce() -> R) -> R {
    let pieces = fds.into_iter().map(|fd| Some(Piece::Descriptor(fd))).collect();
    let _under_way = Under::way(Journey::In(pieces));
    deserialise()
}

/// The typed error behind the last handle that could not be serialised or attached on this thread; taken once.
pub fn take_error() -> Option<Error> {
    LAST_ERROR.take()
}

/// What is written for an object.
#[derive(Serialize, Deserialize)]
struct Wire {
    piece: u32,
    offset: u64,
    within: u64,
}

/// An object on its way, not yet known to be of any type.
///
/// Handles deserialise this and then ask for what they expect.
#[derive(Debug)]
pub struct Arrived {
    segment: Segment,
    offset: u64,
}

impl Arrived {
    /// The object, if it is of this kind and element type.
    pub fn claim(self, kind: Kind, schema: &str) -> Result<Object, Error> {
        Object::at(self.segment, self.offset, kind, schema)
    }
}

/// Serialises a handle's object; to be called from the handle's `Serialize`.
pub fn serialize_object<S: Serializer>(object: &Object, serializer: S) -> Result<S::Ok, S::Error> {
    serialize_within(object, 0, serializer)
}

fn serialize_within<S: Serializer>(object: &Object, within: u64, serializer: S) -> Result<S::Ok, S::Error> {
    let piece = JOURNEYS.with_borrow_mut(|journeys| match journeys.last_mut() {
        Some(Journey::Out(luggage)) => Some(luggage.index_of(object.segment())),
        _ => None,
    });
    match piece {
        Some(piece) => Wire { piece, offset: object.offset(), within }.serialize(serializer),
        None => Err(serde::ser::Error::custom(remember(ErrorKind::NotTravelling.into()))),
    }
}

/// Deserialises a handle's object; to be called from the handle's `Deserialize`.
pub fn deserialize_object<'de, D: Deserializer<'de>>(
    deserializer: D,
    kind: Kind,
    schema: &str,
) -> Result<Object, D::Error> {
    let wire = Wire::deserialize(deserializer)?;
    let attached =
        unpack(wire.piece as usize).and_then(|segment| Arrived { segment, offset: wire.offset }.claim(kind, schema));
    attached.map_err(|error| serde::de::Error::custom(remember(error)))
}

/// Serialises what a handle has inside; to be called from the handle's `Serialize`.
pub fn serialize_placed<T: State, S: Serializer>(placed: &Placed<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serialize_within(placed.object(), placed.within(), serializer)
}

/// Deserialises what a handle has inside; to be called from the handle's `Deserialize`.
pub fn deserialize_placed<'de, T: State, D: Deserializer<'de>>(deserializer: D) -> Result<Placed<T>, D::Error> {
    let wire = Wire::deserialize(deserializer)?;
    let attached = unpack(wire.piece as usize).and_then(|segment| Placed::at(segment, wire.offset, wire.within));
    attached.map_err(|error| serde::de::Error::custom(remember(error)))
}

/// Keeps an error for [`take_error`]; for the `Serialize` and `Deserialize` of handles that can fail in further ways.
pub fn remember(error: Error) -> String {
    let text = error.to_string();
    LAST_ERROR.set(Some(error));
    text
}

/// As [`remember`], for a process that could not become a member.
pub fn remember_member(error: MemberError) -> String {
    remember(error.into())
}

fn unpack(piece: usize) -> Result<Segment, Error> {
    JOURNEYS.with_borrow_mut(|journeys| {
        let Some(Journey::In(pieces)) = journeys.last_mut() else { return Err(ErrorKind::NotTravelling.into()) };
        let missing =
            || ErrorKind::BadTicket { found: format!("the message refers to descriptor {piece}, which is missing") };
        let slot = pieces.get_mut(piece).ok_or_else(missing)?;
        let segment = match slot.take().ok_or_else(missing)? {
            Piece::Attached(segment) => segment,
            Piece::Descriptor(fd) => Segment::from_fd(fd)?,
        };
        *slot = Some(Piece::Attached(segment.clone()));
        Ok(segment)
    })
}
