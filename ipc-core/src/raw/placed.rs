//! `Placed`: a state in a segment, which stays mapped.

use super::state::{has_tail, layout, tail_at};
use super::{Blueprint, Fixed, Object, Place, State, View};
use crate::error::{Corrupt, Error};
use crate::{Segment, SegmentOptions, Ticket};
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

/// A state in a segment, which stays mapped as long as this lives: what every handle has inside. It dereferences to the
/// state.
///
/// 1. `at` leads to an `S` with `len` elements behind it, in the mapping that `object` keeps.
pub struct Placed<S: State> {
    object: Object,
    at: NonNull<S>,
    len: usize,
}

// SAFETY: the pointer leads into the segment that `object` keeps mapped; states may be sent.
unsafe impl<S: State> Send for Placed<S> {}
// SAFETY: as for `Send`; states are Sync.
unsafe impl<S: State> Sync for Placed<S> {}

impl<S: State> Placed<S> {
    /// Makes one, or opens what may exist already, as `place` says.
    ///
    /// # Errors
    /// What [`State::len`] refuses; as [`Object::place`].
    ///
    /// # Process death
    /// A creator that dies leaves no trace of it, or all of it.
    pub fn place(place: Place<'_>, init: &S::Init, options: &SegmentOptions) -> Result<Self, Error> {
        let len = S::len(init, place.members(options))?;
        let plan = Blueprint {
            kind: S::KIND,
            schema: S::ELEMENT.text(),
            count: if has_tail::<S>() { len as u64 } else { 1 },
            layout: layout::<S>(len)?,
            init: &|body| {
                // SAFETY: the body has the layout above, zeroed; nobody else has it yet.
                let new = unsafe { View::<S>::new(body, len) };
                S::init(new, Some(init));
            },
        };
        Self::claim(Object::place(place, &plan, options)?)
    }

    /// Opens one that exists: `place` is [`Place::Open`] or [`Place::OpenIn`].
    ///
    /// # Errors
    /// As [`Object::open`]; what [`State::check`] refuses.
    pub fn open(place: Place<'_>) -> Result<Self, Error> {
        Self::claim(Object::open(place, S::KIND, &S::ELEMENT.text())?)
    }

    /// Attaches to the one that a ticket names.
    ///
    /// # Errors
    /// As [`Object::attach`]; what [`State::check`] refuses.
    pub fn attach(ticket: &Ticket) -> Result<Self, Error> {
        Self::claim(Object::attach(ticket, S::KIND, &S::ELEMENT.text())?)
    }

    /// What follows the state.
    #[inline]
    pub fn tail(&self) -> &[S::Tail] {
        self.view().tail()
    }

    /// The state with its tail.
    #[inline]
    pub fn view(&self) -> View<'_, S> {
        // SAFETY: invariant 1.
        unsafe { View::new(self.at.cast(), self.len) }
    }

    /// The segment it lies in; its census.
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.object.segment()
    }

    /// A small value from which another process attaches.
    pub fn ticket(&self) -> Ticket {
        self.object.ticket()
    }

    /// Its place in the segment: with the segment's id, its identity.
    pub fn offset(&self) -> u64 {
        self.object.offset() + (self.at.addr().get() - self.object.body().addr().get()) as u64
    }

    /// The object that it is.
    #[cfg(feature = "serde")]
    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// Believes what a directory entry, which anybody may have written, says about itself.
    pub(crate) fn claim(object: Object) -> Result<Self, Error> {
        let count = object.count();
        let len = if has_tail::<S>() { usize::try_from(count).ok() } else { (count == 1).then_some(0) };
        let whole = |len| layout::<S>(len).is_ok_and(|layout| object.holds(layout));
        let Some(len) = len else {
            return Err(Corrupt { what: "number of elements in a directory entry", found: count }.into());
        };
        if !whole(len) {
            return Err(Corrupt { what: "size of an object", found: object.len() as u64 }.into());
        }
        let placed = Self { at: object.body().cast(), object, len };
        S::check(placed.view())?;
        Ok(placed)
    }
}

impl<S: State, const N: usize> Placed<Fixed<S, N>> {
    /// The state that begins it, with the tail of fixed size.
    pub(super) fn head(self) -> Placed<S> {
        const { assert!(tail_at::<S>() <= size_of::<Fixed<S, N>>()) };
        Placed { object: self.object, at: self.at.cast(), len: N }
    }
}

impl<S: State> Clone for Placed<S> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), ..*self }
    }
}

impl<S: State> Deref for Placed<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        // SAFETY: invariant 1; any bytes are valid (duty 1 of State).
        unsafe { self.at.as_ref() }
    }
}

impl<S: State + fmt::Debug> fmt::Debug for Placed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
