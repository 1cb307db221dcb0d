//! A directory entry: the 64 bytes in front of every object, then its name, its schema and its body.
//!
//! | offset | type | name        | meaning                                                                |
//! |--------|------|-------------|------------------------------------------------------------------------|
//! | 0      | u32  | state       | BUILDING, READY; DESTROYED is reserved                                  |
//! | 4      | u32  | kind        | [`Kind`]                                                                |
//! | 8      | u64  | owner       | who builds (or, later, destroys) it                                    |
//! | 16     | u64  | len         | bytes of the whole entry, a multiple of 64                             |
//! | 24     | u64  | next        | offset of the next entry in the same bucket; 0: none                    |
//! | 32     | u64  | fingerprint | FNV-1a of the schema                                                   |
//! | 40     | u64  | count       | elements, capacity: what the object's type makes of it                 |
//! | 48     | u64  | body_len    | bytes of the body                                                      |
//! | 56     | u32  | body_at     | offset of the body from the entry                                      |
//! | 60     | u16  | name_len    | 0: unnamed                                                             |
//! | 62     | u16  | schema_len  |                                                                        |
//!
//! Entries follow each other without gaps, so the directory can be walked from `space_at` on without trusting a chain.

use crate::error::{Corrupt, Error, ErrorKind};
use crate::layout::header::GRAIN;
use std::alloc::Layout;
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// An entry under construction; nobody may attach.
pub(crate) const BUILDING: u32 = 0x4255_494c;
/// A finished entry.
pub(crate) const READY: u32 = 0x5245_4459;
/// Kept for entries whose object is gone; format 1 writes none.
pub(crate) const DESTROYED: u32 = 0x4445_4144;

/// The fixed part of an entry.
#[repr(C, align(64))]
pub(crate) struct EntryState {
    pub state: AtomicU32,
    pub kind: AtomicU32,
    pub owner: AtomicU64,
    pub len: AtomicU64,
    pub next: AtomicU64,
    pub fingerprint: AtomicU64,
    pub count: AtomicU64,
    pub body_len: AtomicU64,
    pub body_at: AtomicU32,
    pub name_len: AtomicU16,
    pub schema_len: AtomicU16,
}

/// Bytes of the fixed part.
pub(crate) const ENTRY_BYTES: u64 = size_of::<EntryState>() as u64;
const _: () = assert!(ENTRY_BYTES == 64);

crate::record! { "entry", EntryState {
    state: u32,
    kind: u32,
    owner: u64,
    len: u64,
    next: u64,
    fingerprint: u64,
    count: u64,
    body_len: u64,
    body_at: u32,
    name_len: u16,
    schema_len: u16,
} }

/// What an object is. Numbers below 65 536 belong to this workspace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(pub u32);

macro_rules! kinds {
    ($($constant:ident = $number:literal, $name:literal, $path:literal;)*) => {
        impl Kind {
            $(#[doc = concat!("`", $path, "`.")] pub const $constant: Self = Self($number);)*

            /// The kinds of this workspace with their names.
            pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
                [$((Self($number), $name)),*].into_iter()
            }

            /// The name of the type; `object` for kinds that do not belong to this workspace.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => $name,)*
                    _ => "object",
                }
            }
        }
    };
}

kinds! {
    VALUE = 1, "Value", "ipc_core::Value";
    ARRAY = 2, "Array", "ipc_core::Array";
    ATOMIC_VALUE = 3, "AtomicValue", "ipc_core::AtomicValue";
    ATOMIC_ARRAY = 4, "AtomicArray", "ipc_core::AtomicArray";
    RAW_VALUE = 5, "RawValue", "ipc_core::RawValue";
    SHARED = 6, "Shared", "ipc_core::Shared";
    LOCK = 16, "Lock", "ipc_sync::Lock";
    RLOCK = 17, "RLock", "ipc_sync::RLock";
    RWLOCK = 18, "RwLock", "ipc_sync::RwLock";
    SEMAPHORE = 19, "Semaphore", "ipc_sync::Semaphore";
    BOUNDED_SEMAPHORE = 20, "BoundedSemaphore", "ipc_sync::BoundedSemaphore";
    ANONYMOUS_SEMAPHORE = 21, "AnonymousSemaphore", "ipc_sync::AnonymousSemaphore";
    BINARY_SEMAPHORE = 22, "BinarySemaphore", "ipc_sync::BinarySemaphore";
    EVENT = 23, "Event", "ipc_sync::Event";
    CONDITION = 24, "Condition", "ipc_sync::Condition";
    BARRIER = 25, "Barrier", "ipc_sync::Barrier";
    ONCE = 26, "Once", "ipc_sync::Once";
    ONCE_VALUE = 27, "OnceValue", "ipc_sync::OnceValue";
    QUEUE = 32, "Queue", "ipc_queue::Queue";
    MESSAGE_QUEUE = 33, "MessageQueue", "ipc_queue::MessageQueue";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "object" => write!(f, "object of kind {}", self.0),
            name => f.write_str(name),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the parts of an entry lie, relative to the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub name_len: u16,
    pub schema_len: u16,
    pub body_at: u32,
    pub body_len: u64,
    pub len: u64,
}

impl Parts {
    /// Of an entry that says nothing yet.
    pub(crate) const NOTHING: Self = Self { name_len: 0, schema_len: 0, body_at: 0, body_len: 0, len: 0 };

    /// Places name, schema and body of an entry that begins at `offset` of the mapping.
    pub(crate) fn place(offset: u64, name: &str, schema: &str, body: Layout) -> Result<Self, Error> {
        let too_large = || Error::new(ErrorKind::OutOfMemory { bytes: body.size() as u64 });
        if body.align() as u64 > crate::layout::header::PAGE {
            return Err(ErrorKind::InvalidArgument {
                what: "alignment",
                found: body.align().to_string(),
                expected: "at most 4096 bytes",
            }
            .into());
        }
        let schema_len = u16::try_from(schema.len()).map_err(|_| ErrorKind::InvalidArgument {
            what: "length of the element type's schema",
            found: schema.len().to_string(),
            expected: "at most 65535 bytes; nest fewer types or give short names",
        })?;
        let text_end = offset + ENTRY_BYTES + name.len() as u64 + schema.len() as u64;
        let body_start = text_end.next_multiple_of((body.align() as u64).max(GRAIN));
        let body_at = (body_start - offset) as u32;
        let len = u64::from(body_at)
            .checked_add(body.size() as u64)
            .and_then(|end| end.checked_next_multiple_of(GRAIN))
            .ok_or_else(too_large)?;
        Ok(Self { name_len: name.len() as u16, schema_len, body_at, body_len: body.size() as u64, len })
    }

    /// Believes the parts of an entry at `offset`, a multiple of 64, only if all of it lies in front of `end` and its body
    /// begins at a multiple of 64 too.
    pub(crate) fn check(self, offset: u64, end: u64) -> Result<Self, Corrupt> {
        let text = ENTRY_BYTES + u64::from(self.name_len) + u64::from(self.schema_len);
        let fits = self.len.is_multiple_of(GRAIN)
            && self.len >= ENTRY_BYTES
            && self.len <= end.saturating_sub(offset)
            && text <= u64::from(self.body_at)
            && u64::from(self.body_at) <= self.len
            && u64::from(self.body_at).is_multiple_of(GRAIN)
            && self.body_len <= self.len - u64::from(self.body_at);
        if fits { Ok(self) } else { Err(Corrupt { what: "length in a directory entry", found: self.len }) }
    }
}

/// FNV-1a, 64 bits: stable by definition, and good enough against accidents, which is all that names and schemas need.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fnv_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn an_oversized_body_is_an_error() {
        let body = Layout::from_size_align(isize::MAX as usize - 4095, 1).unwrap();
        assert!(Parts::place(0, "", "", body).is_ok_and(|p| p.check(0, 1 << 40).is_err()));
        let body = Layout::from_size_align(8, 8192).unwrap();
        assert!(Parts::place(0, "", "", body).is_err());
    }

    proptest! {
        #[test]
        fn what_is_placed_fits(at in 0u64..1 << 20, name in 0usize..200, schema in 0usize..60_000, size in 0usize..1 << 20, align in 0u32..=12) {
            let offset = at * GRAIN;
            let body = Layout::from_size_align(size, 1 << align).unwrap();
            let parts = Parts::place(offset, &"n".repeat(name), &"s".repeat(schema), body).unwrap();
            prop_assert_eq!(parts.check(offset, offset + parts.len), Ok(parts));
            prop_assert!(parts.check(offset, offset + parts.len - 1).is_err());
            prop_assert!((offset + u64::from(parts.body_at)).is_multiple_of(1 << align));
        }

        #[test]
        fn hostile_parts_never_reach_outside(name_len: u16, schema_len: u16, body_at: u32, body_len: u64, len: u64, offset in 0u64..1 << 40, end in 0u64..1 << 41) {
            let parts = Parts { name_len, schema_len, body_at, body_len, len };
            if parts.check(offset, end).is_ok() {
                prop_assert!(offset + u64::from(body_at) + body_len <= end);
                prop_assert!(u64::from(body_at).is_multiple_of(GRAIN));
                prop_assert!(ENTRY_BYTES + u64::from(name_len) + u64::from(schema_len) <= u64::from(body_at));
            }
        }
    }
}
