//! The header of a segment: which bytes mean what, and what is checked before a mapping is believed.
//!
//! | offset | type    | name        | checked on attach                                    |
//! |--------|---------|-------------|------------------------------------------------------|
//! | 0      | u64     | magic       | equal                                                |
//! | 8      | u32     | version     | equal; unknown versions are refused                  |
//! | 12     | u32     | endian      | equal                                                |
//! | 16     | u64 × 2 | id          | not zero; equal to a ticket's                        |
//! | 32     | u64     | total       | equal to the size of the file                        |
//! | 40     | u64     | rows_at     | } what `Geometry::new` computes from `rows`,         |
//! | 48     | u64     | buckets_at  | } `buckets` and `total`; nothing is taken on trust   |
//! | 56     | u64     | space_at    | }                                                    |
//! | 64     | u32     | rows        | 1 to 65 535                                          |
//! | 68     | u32     | buckets     | a power of two, at most 2^20                         |
//! | 72     | u32     | creator_pid | recorded only                                        |
//! | 76     | u32     | flags       | known bits only: [`COLLECTED`], [`OBSERVABLE`]       |
//! | 80     | u64     | pid_ns      | recorded only                                        |
//! | 88     | u64 × 2 | boot        | recorded only                                        |
//!
//! The header is written once, before the segment has a name or a second process. Attaching copies the geometry into the
//! handle; it is never read from shared memory again.
//!
//! # Lock bytes
//!
//! Far behind the content, where no file has bytes, lie bytes that are locked and never written (`F_OFD_SETLK`):
//!
//! | offset                  | bytes | who locks it                                                                       |
//! |-------------------------|-------|------------------------------------------------------------------------------------|
//! | [`ROW_LOCKS_AT`]        | rows  | write: the living member of that row                                               |
//! | [`REPAIR_LOCKS_AT`]     | rows  | write: who repairs what the dead of that row left                                  |
//! | [`GATE_AT`]             | 1     | read: who is attaching; write: who takes the name away because no member is left   |
//! | [`UNLINK_AT`]           | 1     | write: who takes the name away, for whatever reason                                |

use crate::error::{Error, ErrorKind};
use crate::raw::Pad;
use crate::sys::process::Identity;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// `IPCSEGM` and a byte that no text contains.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"IPCSEGM\xf1");
/// The layout this code reads and writes.
pub(crate) const VERSION: u32 = 1;
pub(crate) const ENDIAN: u32 = 0x0102_0304;

/// Most member rows: the row field of an owner word has 16 bits.
pub(crate) const MAX_ROWS: u32 = u16::MAX as u32;
pub(crate) const MAX_BUCKETS: u32 = 1 << 20;

/// Bytes of a member row.
pub(crate) const ROW_BYTES: u64 = 128;
/// Where the directory's lock line and state lie.
pub(crate) const DIRECTORY_AT: u64 = 256;
/// Where the member rows begin.
pub(crate) const ROWS_AT: u64 = 512;
/// The unit in which segments are sized.
pub(crate) const PAGE: u64 = 4096;
/// The unit in which space is given to objects.
pub(crate) const GRAIN: u64 = 64;

/// Flag: the name goes with the last member. Only of named segments.
pub(crate) const COLLECTED: u32 = 1 << 0;
/// Flag: one process writes, which has the only row; others may map it read-only.
pub(crate) const OBSERVABLE: u32 = 1 << 1;
const KNOWN_FLAGS: u32 = COLLECTED | OBSERVABLE;

/// Where the lock bytes of the rows begin.
pub(crate) const ROW_LOCKS_AT: u64 = 1 << 62;
/// Where the lock bytes of the right to repair begin.
pub(crate) const REPAIR_LOCKS_AT: u64 = ROW_LOCKS_AT + (1 << 20);
/// The lock byte between attaching and collecting.
pub(crate) const GATE_AT: u64 = REPAIR_LOCKS_AT + (1 << 20);
/// The lock byte among those who take the name away.
pub(crate) const UNLINK_AT: u64 = GATE_AT + 1;

/// The fixed part of a segment's first bytes.
#[repr(C, align(64))]
pub(crate) struct HeaderState {
    magic: AtomicU64,
    version: AtomicU32,
    endian: AtomicU32,
    id: [AtomicU64; 2],
    total: AtomicU64,
    rows_at: AtomicU64,
    buckets_at: AtomicU64,
    space_at: AtomicU64,
    rows: AtomicU32,
    buckets: AtomicU32,
    creator_pid: AtomicU32,
    flags: AtomicU32,
    pid_ns: AtomicU64,
    boot: [AtomicU64; 2],
    rest: Pad<24>,
}

/// Bytes of the fixed part.
pub(crate) const HEADER_BYTES: usize = size_of::<HeaderState>();
const _: () = assert!(HEADER_BYTES <= DIRECTORY_AT as usize);

crate::record! { "header", HeaderState {
    magic: u64,
    version: u32,
    endian: u32,
    id: [u64; 2],
    total: u64,
    rows_at: u64,
    buckets_at: u64,
    space_at: u64,
    rows: u32,
    buckets: u32,
    creator_pid: u32,
    flags: u32,
    pid_ns: u64,
    boot: [u64; 2],
    rest: [u8; 24],
} }

/// The shape of a segment, as copied into every handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub id: u128,
    pub total: u64,
    pub rows: u32,
    pub buckets: u32,
    pub buckets_at: u64,
    pub space_at: u64,
    pub flags: u32,
}

impl HeaderState {
    /// A copy of the first bytes of a file that need not be mapped.
    pub(crate) fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        // SAFETY: a HeaderState is atomics and padding only: any bytes are valid.
        unsafe { std::mem::transmute(bytes) }
    }

    /// The boot id under which the segment was made: recorded, and believed by nobody.
    pub(crate) fn boot(&self) -> u128 {
        let [low, high] = [0, 1].map(|half| self.boot[half].load(Ordering::Relaxed));
        u128::from(high) << 64 | u128::from(low)
    }

    /// Rows, buckets, and where buckets and space begin, as the header says.
    pub(crate) fn shape(&self) -> (u32, u32, u64, u64) {
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let get32 = |word: &AtomicU32| word.load(Ordering::Relaxed);
        (get32(&self.rows), get32(&self.buckets), get(&self.buckets_at), get(&self.space_at))
    }

    /// Every field for people, under the name by which [`Geometry::examine`] knows it.
    pub(crate) fn fields(&self) -> [(&'static str, String); 14] {
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let get32 = |word: &AtomicU32| word.load(Ordering::Relaxed);
        let hexadecimal = |word: &AtomicU64| format!("{:#x}", get(word));
        let magic = match get(&self.magic) {
            MAGIC => "IPCSEGM".to_owned(),
            other => format!("{other:#x}"),
        };
        [
            ("magic", magic),
            ("format version", get32(&self.version).to_string()),
            ("byte order", format!("{:#x}", get32(&self.endian))),
            ("segment id", format!("{:016x}{:016x}", get(&self.id[1]), get(&self.id[0]))),
            ("total size", format!("{} bytes", get(&self.total))),
            ("number of member rows", get32(&self.rows).to_string()),
            ("number of buckets", get32(&self.buckets).to_string()),
            ("offset of the member rows", hexadecimal(&self.rows_at)),
            ("offset of the buckets", hexadecimal(&self.buckets_at)),
            ("offset of the object space", hexadecimal(&self.space_at)),
            ("flags", flag_names(get32(&self.flags))),
            ("creator", format!("process {}", get32(&self.creator_pid))),
            ("PID namespace", get(&self.pid_ns).to_string()),
            ("boot id", format!("{:032x}", self.boot())),
        ]
    }
}

fn flag_names(flags: u32) -> String {
    match flags {
        0 => "none".to_owned(),
        COLLECTED => "COLLECTED: the name goes with the last member".to_owned(),
        OBSERVABLE => "OBSERVABLE: one process writes".to_owned(),
        other => format!("{other:#x}"),
    }
}

impl Geometry {
    /// The shape of a segment with room for `space` bytes of objects, in whole pages.
    pub(crate) fn new(id: u128, space: u64, rows: u32, buckets: u32, flags: u32) -> Result<Self, Error> {
        if rows == 0 || rows > MAX_ROWS {
            return Err(ErrorKind::InvalidArgument {
                what: "members",
                found: rows.to_string(),
                expected: "1 to 65535",
            }
            .into());
        }
        let buckets = buckets.clamp(1, MAX_BUCKETS).next_power_of_two();
        let (buckets_at, space_at) = places(rows, buckets);
        let total = space_at
            .checked_add(space)
            .and_then(|end| end.checked_next_multiple_of(PAGE))
            .filter(|&total| total <= isize::MAX as u64)
            .ok_or(ErrorKind::OutOfMemory { bytes: space })?;
        Ok(Self { id, total, rows, buckets, buckets_at, space_at, flags })
    }

    /// Writes the header of a new segment, except for `magic`: a header without it is none.
    pub(crate) fn write(&self, header: &HeaderState, creator: &Identity) {
        let set = |word: &AtomicU64, value: u64| word.store(value, Ordering::Relaxed);
        let set32 = |word: &AtomicU32, value: u32| word.store(value, Ordering::Relaxed);
        set32(&header.version, VERSION);
        set32(&header.endian, ENDIAN);
        set(&header.id[0], self.id as u64);
        set(&header.id[1], (self.id >> 64) as u64);
        set(&header.total, self.total);
        set(&header.rows_at, ROWS_AT);
        set(&header.buckets_at, self.buckets_at);
        set(&header.space_at, self.space_at);
        set32(&header.rows, self.rows);
        set32(&header.buckets, self.buckets);
        set32(&header.creator_pid, creator.pid);
        set32(&header.flags, self.flags);
        set(&header.pid_ns, creator.pid_ns);
        set(&header.boot[0], creator.boot as u64);
        set(&header.boot[1], (creator.boot >> 64) as u64);
    }

    /// Makes it a segment, which is complete: a file that has a name already is one from here on.
    pub(crate) fn publish(header: &HeaderState) {
        // ORDERING: Release [seg/S1]: pairs with the Acquire in `read`; a reader of an inherited descriptor may be early.
        header.magic.store(MAGIC, Ordering::Release);
    }

    /// Reads and checks a header that anybody may have written, of a file of `size` bytes. The first thing wrong is the error.
    pub(crate) fn read(header: &HeaderState, size: u64) -> Result<Self, Error> {
        let mut first = None;
        let geometry = Self::examine(header, size, &mut |field, found, expected| {
            first.get_or_insert(ErrorKind::Header { field, found, expected });
        });
        first.map_or(Ok(geometry), |wrong| Err(wrong.into()))
    }

    /// What a header says, believable only if `wrong` was told nothing: field, found and expected of each violated condition.
    pub(crate) fn examine(header: &HeaderState, size: u64, wrong: Wrong<'_>) -> Self {
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let get32 = |word: &AtomicU32| word.load(Ordering::Relaxed);
        // ORDERING: Acquire [seg/S1].
        expect(wrong, "magic", header.magic.load(Ordering::Acquire), MAGIC);
        expect(wrong, "format version", get32(&header.version).into(), VERSION.into());
        expect(wrong, "byte order", get32(&header.endian).into(), ENDIAN.into());
        let (rows, buckets, total) = (get32(&header.rows), get32(&header.buckets), get(&header.total));
        let id = u128::from(get(&header.id[1])) << 64 | u128::from(get(&header.id[0]));
        check(wrong, "segment id", id, id != 0, "not zero");
        check(wrong, "number of member rows", rows, (1..=MAX_ROWS).contains(&rows), "1 to 65535");
        check(
            wrong,
            "number of buckets",
            buckets,
            buckets.is_power_of_two() && buckets <= MAX_BUCKETS,
            "a power of two up to 2^20",
        );
        expect(wrong, "total size", total, size);
        check(wrong, "total size", total, total.is_multiple_of(PAGE) && total <= isize::MAX as u64, "whole pages");
        let (buckets_at, space_at) = places(rows, buckets);
        expect(wrong, "offset of the member rows", get(&header.rows_at), ROWS_AT);
        expect(wrong, "offset of the buckets", get(&header.buckets_at), buckets_at);
        expect(wrong, "offset of the object space", get(&header.space_at), space_at);
        check(wrong, "total size", total, space_at <= total, "large enough for rows and buckets");
        let flags = get32(&header.flags);
        check(
            wrong,
            "flags",
            format_args!("{flags:#x}"),
            flags & !KNOWN_FLAGS == 0,
            "none that this version does not know",
        );
        let rows_fit = flags & OBSERVABLE == 0 || rows == 1;
        check(wrong, "number of member rows", rows, rows_fit, "1, because others only observe");
        Self { id, total, rows, buckets, buckets_at, space_at, flags }
    }
}

/// Offsets of the buckets and of the object space.
pub(crate) fn places(rows: u32, buckets: u32) -> (u64, u64) {
    let buckets_at = ROWS_AT + u64::from(rows) * ROW_BYTES;
    (buckets_at, (buckets_at + u64::from(buckets) * 8).next_multiple_of(GRAIN))
}

/// Is told each violated condition of a header: field, found, expected.
type Wrong<'a> = &'a mut dyn FnMut(&'static str, String, String);

fn expect(wrong: Wrong<'_>, field: &'static str, found: u64, expected: u64) {
    if found != expected {
        wrong(field, format!("{found:#x}"), format!("{expected:#x}"));
    }
}

fn check(wrong: Wrong<'_>, field: &'static str, found: impl std::fmt::Display, good: bool, expected: &str) {
    if !good {
        wrong(field, found.to_string(), expected.to_owned());
    }
}

#[cfg(test)]
impl HeaderState {
    /// The bytes as they would be stored.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        // SAFETY: a HeaderState has no padding: all of its bytes are initialised.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast::<u8>(), size_of::<Self>()) };
        bytes.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::mem::MaybeUninit;

    fn blank() -> Box<HeaderState> {
        // SAFETY: a HeaderState is atomics only, for which zero bytes are valid.
        unsafe { Box::new(MaybeUninit::zeroed().assume_init()) }
    }

    fn written(geometry: &Geometry) -> Box<HeaderState> {
        let header = blank();
        geometry.write(&header, &Identity::default());
        Geometry::publish(&header);
        header
    }

    #[test]
    fn zero_bytes_are_no_header() {
        let error = Geometry::read(&blank(), 0).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Header { field: "magic", .. }), "{error}");
    }

    #[test]
    fn each_violated_condition_is_its_own_error() {
        let geometry = Geometry::new(7, 10_000, 64, 16, COLLECTED).unwrap();
        type Damage = (fn(&HeaderState), &'static str);
        let damages: [Damage; 12] = [
            (|h| h.magic.store(1, Ordering::Relaxed), "magic"),
            (|h| h.version.store(2, Ordering::Relaxed), "format version"),
            (|h| h.endian.store(ENDIAN.swap_bytes(), Ordering::Relaxed), "byte order"),
            (|h| h.id[0].store(0, Ordering::Relaxed), "segment id"),
            (|h| h.rows.store(0, Ordering::Relaxed), "number of member rows"),
            (|h| h.buckets.store(3, Ordering::Relaxed), "number of buckets"),
            (|h| h.total.store(1 << 40, Ordering::Relaxed), "total size"),
            (|h| h.rows_at.store(0, Ordering::Relaxed), "offset of the member rows"),
            (|h| h.buckets_at.store(u64::MAX, Ordering::Relaxed), "offset of the buckets"),
            (|h| h.space_at.store(0, Ordering::Relaxed), "offset of the object space"),
            (|h| h.flags.store(1 << 31, Ordering::Relaxed), "flags"),
            (|h| h.flags.store(OBSERVABLE, Ordering::Relaxed), "number of member rows"),
        ];
        for (damage, expected) in damages {
            let header = written(&geometry);
            damage(&header);
            let error = Geometry::read(&header, geometry.total).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Header { field, .. } if *field == expected),
                "{expected}: {error}"
            );
        }
    }

    #[test]
    fn too_large_is_an_error_not_an_overflow() {
        for space in [u64::MAX, u64::MAX - 4096, i64::MAX as u64] {
            let error = Geometry::new(1, space, 64, 1, 0).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::OutOfMemory { .. }));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id in 1u128.., space in 0u64..1 << 40, rows in 1u32..=MAX_ROWS, buckets in 0u32..1 << 20, collected: bool) {
            let geometry = Geometry::new(id, space, rows, buckets, if collected { COLLECTED } else { 0 }).unwrap();
            prop_assert!(geometry.total - geometry.space_at >= space && geometry.total.is_multiple_of(PAGE));
            prop_assert_eq!(Geometry::read(&written(&geometry), geometry.total).unwrap(), geometry);
            prop_assert!(Geometry::read(&written(&geometry), geometry.total + PAGE).is_err());
        }
    }
}
