//! The ring in memory: what lies where, how much of it, and the view through which a process reaches it.
//!
//! | offset            | what                                      | written by                                        |
//! |-------------------|-------------------------------------------|---------------------------------------------------|
//! | 0                 | header: capacity, endpoints, slot bytes   | the creator, once; read once per attach           |
//! | 128               | control word, see [`Control`]             | joining, leaving, closing, repair: read-mostly    |
//! | 256               | tail: u64 cursor                          | senders                                           |
//! | 384               | head: u64 cursor                          | receivers                                         |
//! | 512               | RX: wait word of sleeping receivers       | who sleeps, who wakes                             |
//! | 576               | TX: wait word of sleeping senders         | the same                                          |
//! | 640               | endpoint rows, 128 bytes each             | their endpoints, takers, repairers                |
//! | 640 + 128 n       | slots, whole lines each, see `slot.rs`    | claimants                                         |
//!
//! No pointers; offsets follow from capacity, endpoints and the element type, which the handle keeps for itself.

use super::control::Control;
#[cfg(not(ipc_loom))]
use super::control::Signs;
use super::position::{Position, Positions};
use super::row::EndpointRow;
use super::slot::{Slot, SlotWord};
use ipc_core::raw::{Pad, WaitWord};
use ipc_core::shim::{AtomicU32, AtomicU64, Ordering};
use ipc_core::{Corrupt, Plain};
use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// The most endpoint rows a ring can have: a slot word names one in 13 bits.
pub const MAX_ENDPOINTS: u32 = 1 << 13;

/// How large a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    positions: Positions,
    endpoints: u32,
}

/// A ring that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Capacity 0, or more than there are positions for.
    #[error("a capacity of {0} slots; it must be 1 to {max}", max = Positions::MAX_CAPACITY)]
    Capacity(u64),
    /// No endpoint row, or more than a slot word can name.
    #[error("{0} endpoint rows; they must be 1 to {MAX_ENDPOINTS}")]
    Endpoints(u64),
    /// More bytes than an address space has.
    #[error("a ring of {0} slots of this type does not fit into memory")]
    TooLarge(u64),
}

/// Offsets and size of a ring for one element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    whole: Layout,
    rows: usize,
    slots: usize,
}

#[cfg(not(ipc_loom))]
impl RingState {
    /// What the creator wrote down: capacity, endpoint rows, bytes of a slot.
    pub(crate) fn said(&self) -> (u64, u32, u32) {
        let Header { capacity, endpoints, slot_bytes, .. } = &self.header;
        (capacity.load(Ordering::Relaxed), endpoints.load(Ordering::Relaxed), slot_bytes.load(Ordering::Relaxed))
    }

    /// The control word, the tail and the head as they are.
    pub(crate) fn words(&self) -> (Signs, u64, u64) {
        (self.control.0.glance(), self.tail.0.load(Ordering::Relaxed), self.head.0.load(Ordering::Relaxed))
    }
}

impl Geometry {
    /// The arithmetic of such a ring.
    #[cfg(not(ipc_loom))]
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// A ring of `capacity` slots that up to `endpoints` endpoints can use at a time.
    pub const fn new(capacity: u64, endpoints: u32) -> Result<Self, GeometryError> {
        if endpoints == 0 || endpoints > MAX_ENDPOINTS {
            return Err(GeometryError::Endpoints(endpoints as u64));
        }
        match Positions::new(capacity) {
            Some(positions) => Ok(Self { positions, endpoints }),
            None => Err(GeometryError::Capacity(capacity)),
        }
    }

    /// Size and alignment of the whole ring for messages of type `T`.
    pub fn layout<T>(&self) -> Result<Layout, GeometryError> {
        self.plan::<T>().map(|plan| plan.whole)
    }

    fn plan<T>(&self) -> Result<Plan, GeometryError> {
        let too_large = |_| GeometryError::TooLarge(self.positions.capacity());
        let rows = Layout::array::<EndpointRow>(self.endpoints as usize).map_err(too_large)?;
        let slots = Layout::array::<Slot<T>>(self.positions.capacity() as usize).map_err(too_large)?;
        let (whole, rows) = Layout::new::<RingState>().extend(rows).map_err(too_large)?;
        let (whole, slots) = whole.extend(slots).map_err(too_large)?;
        Ok(Plan { whole: whole.pad_to_align(), rows, slots })
    }

    /// Reads the number of endpoint rows that the creator of the ring at `body` chose.
    ///
    /// # Safety
    /// `body` must point to at least as many readable bytes as a ring of one slot and one endpoint has.
    pub unsafe fn read(body: NonNull<u8>, capacity: u64) -> Result<Self, Corrupt> {
        // SAFETY: the caller vouches for the bytes, which the header lies in the first of; any bytes are valid atomics.
        let header = unsafe { body.cast::<Header>().as_ref() };
        let endpoints = header.endpoints.load(Ordering::Relaxed);
        Self::new(capacity, endpoints)
            .map_err(|_| Corrupt { what: "the ring's endpoint count", found: endpoints.into() })
    }
}

/// What the creator wrote down.
#[repr(C, align(128))]
pub(crate) struct Header {
    capacity: AtomicU64,
    endpoints: AtomicU32,
    slot_bytes: AtomicU32,
    rest: Pad<112>,
}

/// A word alone on its lines: 128 bytes, since processors fetch lines in pairs.
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub T, Pad<120>);

/// The fixed part of a ring.
#[repr(C)]
pub(crate) struct RingState {
    header: Header,
    pub control: Line<Control>,
    pub tail: Line<AtomicU64>,
    pub head: Line<AtomicU64>,
    pub rx: WaitWord,
    pub tx: WaitWord,
}

#[cfg(not(ipc_loom))]
ipc_core::record! { "queue header", Header {
    capacity: u64,
    endpoints: u32,
    slot_bytes: u32,
    rest: [u8; 112],
} }
#[cfg(not(ipc_loom))]
ipc_core::record! { "queue", RingState {
    header: Header,
    control: Line<u64>,
    tail: Line<u64>,
    head: Line<u64>,
    rx: WaitWord,
    tx: WaitWord,
} }

/// This process's view of a ring: addresses and geometry, nothing of which is ever read from shared memory again.
///
/// 1. The three pointers point into one ring of exactly this geometry, alive as long as any copy of the view.
/// 2. Every [`Position`] in use was made by `positions`, so that its index is below the capacity.
pub struct Ring<T> {
    state: NonNull<RingState>,
    rows: NonNull<EndpointRow>,
    slots: NonNull<Slot<T>>,
    positions: Positions,
    endpoints: u32,
    messages: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ring<T> {}

// SAFETY: the view is addresses and numbers; what they point to is atomics, and payloads that slot.rs invariants 1 and 2
// give to one claimant at a time, which may be on any thread since messages are `Send`.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as for Send: all shared access goes through atomics.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T: Plain> Ring<T> {
    /// Builds a ring in place; the first positions belong to lap `lap`, 1 unless a test wants to see laps wrap.
    ///
    /// # Safety
    /// `body` must point to memory of `geometry.layout::<T>()` that nobody else accesses meanwhile.
    pub unsafe fn init(body: NonNull<u8>, geometry: &Geometry, lap: u64) -> Result<(), GeometryError> {
        let plan = geometry.plan::<T>()?;
        let ring = Self::view(body, geometry, &plan);
        let first = geometry.positions.at(lap, 0);
        let state = RingState {
            header: Header {
                capacity: AtomicU64::new(geometry.positions.capacity()),
                endpoints: AtomicU32::new(geometry.endpoints),
                slot_bytes: AtomicU32::new(size_of::<Slot<T>>() as u32),
                rest: Pad::new(),
            },
            control: Line(Control::new(), Pad::new()),
            tail: Line(AtomicU64::new(first.cursor()), Pad::new()),
            head: Line(AtomicU64::new(first.cursor()), Pad::new()),
            rx: WaitWord::new(),
            tx: WaitWord::new(),
        };
        // SAFETY: the caller gives exclusive memory of the layout, whose first part this is.
        unsafe { ring.state.write(state) };
        for row in 0..geometry.endpoints as usize {
            // SAFETY: `plan` laid out that many rows.
            let row = unsafe { ring.rows.add(row) };
            // SAFETY: exclusive memory, as above.
            unsafe { row.write(EndpointRow::new()) };
        }
        for index in 0..geometry.positions.capacity() as usize {
            // SAFETY: `plan` laid out that many slots.
            let slot = unsafe { ring.slots.add(index) }.as_ptr();
            let word = AtomicU64::new(SlotWord::empty(&geometry.positions, first).0);
            // SAFETY: a field of a slot inside the memory.
            let at = unsafe { &raw mut (*slot).word };
            // SAFETY: exclusive memory, as above; the payload stays as it is, since any bytes are a `MaybeUninit`.
            unsafe { at.write(word) };
            #[cfg(ipc_loom)]
            {
                // SAFETY: as for the word; loom's cells must be constructed.
                let at = unsafe { &raw mut (*slot).payload };
                // SAFETY: as for the word.
                unsafe { at.write(ipc_core::shim::UnsafeCell::new(std::mem::MaybeUninit::uninit())) };
            }
        }
        Ok(())
    }

    /// Views the ring at `body`, after comparing what its creator wrote down with `geometry`.
    ///
    /// # Safety
    /// `body` must point to `geometry.layout::<T>()` bytes, aligned for it, that [`Ring::init`] prepared or that are at least
    /// initialised, and that stay mapped as long as any copy of the view is used.
    pub unsafe fn attach(body: NonNull<u8>, geometry: &Geometry) -> Result<Self, Corrupt> {
        let wrong = |what, found| Err(Corrupt { what, found });
        let Ok(plan) = geometry.plan::<T>() else {
            return wrong("the ring's capacity", geometry.positions.capacity());
        };
        let ring = Self::view(body, geometry, &plan);
        let header = &ring.state().header;
        let capacity = header.capacity.load(Ordering::Relaxed);
        let endpoints = header.endpoints.load(Ordering::Relaxed);
        let slot_bytes = header.slot_bytes.load(Ordering::Relaxed);
        if capacity != geometry.positions.capacity() {
            return wrong("the ring's capacity", capacity);
        }
        if endpoints != geometry.endpoints {
            return wrong("the ring's endpoint count", endpoints.into());
        }
        if slot_bytes as usize != size_of::<Slot<T>>() {
            return wrong("the ring's slot size", slot_bytes.into());
        }
        Ok(ring)
    }

    fn view(body: NonNull<u8>, geometry: &Geometry, plan: &Plan) -> Self {
        let at = |offset| body.as_ptr().wrapping_add(offset);
        // Offsets inside memory that the callers vouch for never reach address 0.
        let part = |offset| NonNull::new(at(offset)).unwrap_or(body);
        Self {
            state: body.cast(),
            rows: part(plan.rows).cast(),
            slots: part(plan.slots).cast(),
            positions: geometry.positions,
            endpoints: geometry.endpoints,
            messages: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> &RingState {
        // SAFETY: invariant 1; atomics, so any bytes and any concurrent access will do.
        unsafe { self.state.as_ref() }
    }

    /// The arithmetic of this ring.
    #[inline(always)]
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The slot of a position.
    #[inline(always)]
    pub(crate) fn slot(&self, position: Position) -> &Slot<T> {
        // SAFETY: invariant 2: the index is below the capacity, and invariant 1: so many slots there are.
        let slot = unsafe { self.slots.add(self.positions.index(position)) };
        // SAFETY: invariant 1; word and payload are cells.
        unsafe { slot.as_ref() }
    }

    /// Endpoint rows there are.
    pub fn endpoints(&self) -> u32 {
        self.endpoints
    }

    /// A row below [`endpoints`](Self::endpoints).
    #[inline(always)]
    pub(crate) fn row(&self, index: u32) -> Option<&EndpointRow> {
        if index >= self.endpoints {
            return None;
        }
        // SAFETY: invariant 1, and the index was just compared.
        let row = unsafe { self.rows.add(index as usize) };
        // SAFETY: invariant 1; atomics only.
        Some(unsafe { row.as_ref() })
    }

    /// All rows with their numbers, starting with number `first`.
    pub(crate) fn rows_from(&self, first: u32) -> impl Iterator<Item = (u32, &EndpointRow)> {
        let count = self.endpoints;
        let first = if first < count { first } else { 0 };
        (first..count).chain(0..first).filter_map(|index| Some((index, self.row(index)?)))
    }

    /// Messages between the cursors, from 0 to the capacity. Exact when nothing moves meanwhile.
    pub fn len(&self) -> u64 {
        const TRIES: usize = 16;
        let state = self.state();
        let mut distance = 0;
        for _ in 0..TRIES {
            // ORDERING: SeqCst [ring/L1]: a completed send is visible to every later look; the second load of the tail
            // shows that the two belong together.
            let tail = state.tail.0.load(Ordering::SeqCst);
            let head = state.head.0.load(Ordering::SeqCst);
            if let (Some(to), Some(from)) = (self.positions.cursor(tail), self.positions.cursor(head)) {
                distance = self.positions.distance(from, to);
            }
            if state.tail.0.load(Ordering::SeqCst) == tail {
                break;
            }
        }
        distance.clamp(0, self.positions.capacity() as i64) as u64
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn the_offsets_are_those_of_the_table() {
        assert_eq!(offset_of!(RingState, control), 128);
        assert_eq!(offset_of!(RingState, tail), 256);
        assert_eq!(offset_of!(RingState, head), 384);
        assert_eq!(offset_of!(RingState, rx), 512);
        assert_eq!(offset_of!(RingState, tx), 576);
        assert_eq!(size_of::<EndpointRow>(), 128);
        let plan = Geometry::new(10, 3).unwrap().plan::<u64>().unwrap();
        assert_eq!((plan.rows, plan.slots, plan.whole.size()), (640, 640 + 3 * 128, 640 + 3 * 128 + 10 * 64));
    }

    #[test]
    fn what_cannot_be_is_said() {
        assert_eq!(Geometry::new(0, 1), Err(GeometryError::Capacity(0)));
        assert_eq!(Geometry::new(1 << 33, 1), Err(GeometryError::Capacity(1 << 33)));
        assert_eq!(Geometry::new(1, 0), Err(GeometryError::Endpoints(0)));
        assert_eq!(Geometry::new(1, 8193), Err(GeometryError::Endpoints(8193)));
        let huge = Geometry::new(1 << 32, 1).unwrap().layout::<[u64; 1 << 30]>();
        assert_eq!(huge, Err(GeometryError::TooLarge(1 << 32)));
    }
}
