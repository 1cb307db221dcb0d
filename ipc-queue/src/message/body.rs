//! Ring and blocks as one object in a segment.
//!
//! | offset            | what                                                     |
//! |-------------------|----------------------------------------------------------|
//! | 0                 | the ring of envelopes, see `ring/layout.rs`              |
//! | behind, aligned   | [`Measures`]: how many blocks, and the longest message   |
//! | behind, aligned   | the blocks, see `blocks.rs`                              |

use super::blocks::{BLOCK_BYTES, Blocks};
use super::envelope::Envelope;
use crate::body::Body;
use crate::ring::{Geometry, Ring};
use ipc_core::raw::{Blueprint, Kind, Object, Place};
use ipc_core::shim::{AtomicU32, Ordering};
use ipc_core::{Corrupt, Error, ErrorKind, SegmentOptions};
use std::alloc::Layout;
use std::ptr::NonNull;

/// What the creator chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Messages.
    pub capacity: usize,
    /// Endpoint rows.
    pub endpoints: u32,
    /// Bytes of the longest message.
    pub max_message: usize,
    /// Bytes of all messages that do not fit into their slots.
    pub budget: usize,
}

/// The creator's choice as it is kept.
#[repr(C, align(64))]
struct Measures {
    valid: AtomicU32,
    blocks: AtomicU32,
    max_message: AtomicU32,
}

const VALID: u32 = 0x4d53_4751;

/// Ring, blocks, and the object that keeps them mapped.
#[derive(Clone)]
pub struct MessageBody {
    pub ring: Body<Envelope>,
    pub blocks: Blocks,
    pub max_message: usize,
}

/// Where the parts lie.
struct Plan {
    whole: Layout,
    measures: usize,
    blocks: usize,
}

impl Plan {
    fn of(geometry: &Geometry, blocks: u32) -> Option<Self> {
        let (whole, measures) = geometry.layout::<Envelope>().ok()?.extend(Layout::new::<Measures>()).ok()?;
        let (whole, blocks) = whole.extend(Blocks::layout(blocks).ok()?).ok()?;
        Some(Self { whole: whole.pad_to_align(), measures, blocks })
    }
}

impl MessageBody {
    /// What it is to the directory. Messages have no layout of their own: what they are is between senders and receivers.
    pub const KIND: Kind = Kind::MESSAGE_QUEUE;
    pub const SCHEMA: &'static str = "serde";

    /// Creates it, or opens what may exist, as `place` says.
    pub fn place(place: Place<'_>, choice: &Choice, options: &SegmentOptions) -> Result<Self, Error> {
        let geometry = Body::<Envelope>::geometry_of(choice.capacity, choice.endpoints)?;
        let longest = u32::try_from(choice.max_message).ok().filter(|&max| max > 0);
        let longest = longest.ok_or_else(|| ErrorKind::InvalidArgument {
            what: "the longest message",
            found: choice.max_message.to_string(),
            expected: "1 to 2^32 - 1 bytes",
        })?;
        let out_of_memory = || Error::from(ErrorKind::OutOfMemory { bytes: choice.budget as u64 });
        // A message within the maximum must fit when nothing else is there.
        let count = choice.budget.max(choice.max_message).div_ceil(BLOCK_BYTES);
        let count = u32::try_from(count).ok().filter(|&n| n < u32::MAX).ok_or_else(out_of_memory)?;
        let plan = Plan::of(&geometry, count).ok_or_else(out_of_memory)?;
        let init = |body: NonNull<u8>| {
            // SAFETY: the body has the layout of the plan, whose first part is the ring's, and is nobody else's yet.
            let built = unsafe { Ring::<Envelope>::init(body, &geometry, 1) };
            debug_assert!(built.is_ok(), "the geometry has just been laid out");
            let at = |offset| NonNull::new(body.as_ptr().wrapping_add(offset)).unwrap_or(body);
            // SAFETY: the plan places measures here, in zeroed bytes; atomics only.
            let measures = unsafe { at(plan.measures).cast::<Measures>().as_ref() };
            measures.blocks.store(count, Ordering::Relaxed);
            measures.max_message.store(longest, Ordering::Relaxed);
            measures.valid.store(VALID, Ordering::Relaxed);
            // SAFETY: the plan places so many blocks here.
            if let Ok(blocks) = unsafe { Blocks::at(at(plan.blocks), count) } {
                blocks.init();
            }
            Ok(())
        };
        let blueprint = Blueprint {
            kind: Self::KIND,
            schema: Self::SCHEMA.into(),
            count: choice.capacity as u64,
            layout: plan.whole,
            init: &init,
        };
        Self::claim(Object::place(place, &blueprint, options)?)
    }

    /// Opens one that exists.
    pub fn open(place: Place<'_>) -> Result<Self, Error> {
        Self::claim(Object::open(place, Self::KIND, Self::SCHEMA)?)
    }

    /// Views an object of this kind, once its size fits what it says.
    pub fn claim(object: Object) -> Result<Self, Error> {
        let wrong = |found: usize| Error::from(Corrupt { what: "the size of a message queue", found: found as u64 });
        let ring = Body::<Envelope>::claim(object)?;
        let geometry = ring.geometry()?;
        let object = &ring.object;
        let fits = |plan: &Plan| {
            plan.whole.size() <= object.len() && object.body().addr().get().is_multiple_of(plan.whole.align())
        };
        let least = Plan::of(&geometry, 0).filter(fits).ok_or_else(|| wrong(object.len()))?;
        let at = |offset| NonNull::new(object.body().as_ptr().wrapping_add(offset)).unwrap_or(object.body());
        // SAFETY: inside the body, as was just checked, and aligned; atomics only.
        let measures = unsafe { at(least.measures).cast::<Measures>().as_ref() };
        let [valid, count, longest] =
            [&measures.valid, &measures.blocks, &measures.max_message].map(|word| word.load(Ordering::Relaxed));
        if valid != VALID || count == 0 || longest == 0 {
            return Err(Corrupt { what: "the measures of a message queue", found: valid.into() }.into());
        }
        let plan = Plan::of(&geometry, count).filter(fits).ok_or_else(|| wrong(object.len()))?;
        // SAFETY: inside the body, as was just checked, which stays mapped as long as `object`.
        let blocks = unsafe { Blocks::at(at(plan.blocks), count) }?;
        blocks.check()?;
        Ok(Self { ring, blocks, max_message: longest as usize })
    }
}
