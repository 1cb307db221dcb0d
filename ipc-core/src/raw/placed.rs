//! `Placed`: a state in a segment, which stays mapped.

use super::state::{has_tail, layout, tail_at};
use super::{Blueprint, Fixed, Kind, Object, Place, State, View};
use crate::error::{Corrupt, Error, ErrorKind};
use crate::plain::schema::tree::{Form, Layout};
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
        let init = |new: View<'_, S>| {
            S::init(new, Some(init));
            Ok(())
        };
        Self::place_with(place, len, &init, options)
    }

    /// As [`place`](Self::place), with `len` elements of tail, for states that something else than their `init` fills.
    pub(crate) fn place_with(
        place: Place<'_>,
        len: usize,
        init: &dyn Fn(View<'_, S>) -> Result<(), Error>,
        options: &SegmentOptions,
    ) -> Result<Self, Error> {
        let plan = Blueprint {
            kind: S::KIND,
            schema: S::ELEMENT.text(),
            count: if has_tail::<S>() { len as u64 } else { 1 },
            layout: layout::<S>(len)?,
            init: &|body| {
                // SAFETY: the body has the layout above, zeroed; nobody else has it yet.
                init(unsafe { View::<S>::new(body, len) })
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
        Self::at(ticket.segment()?, ticket.offset(), ticket.within())
    }

    /// The object whose directory entry lies at `offset`, or its part that lies `within` it: numbers that may come from
    /// anywhere.
    pub(crate) fn at(segment: Segment, offset: u64, within: u64) -> Result<Self, Error> {
        let (object, kind, schema) = Object::any_at(segment, offset)?;
        let whole = Object::compare(kind, &schema, S::KIND, &S::ELEMENT.text());
        match whole {
            Ok(()) if within == 0 => Self::claim(object),
            Err(error) if kind != Kind::SHARED => Err(error),
            _ => Self::claim_part(object, within, &schema),
        }
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
        Ticket::of(self.segment(), self.object.offset(), self.within())
    }

    /// Bytes from the beginning of the object to it.
    pub(crate) fn within(&self) -> u64 {
        (self.at.addr().get() - self.object.body().addr().get()) as u64
    }

    /// Its place in the segment: with the segment's id, its identity.
    pub fn offset(&self) -> u64 {
        self.object.offset() + self.within()
    }

    /// The part of it that `field` refers to.
    ///
    /// # Panics
    /// If that lies somewhere else.
    pub(crate) fn part<F: State<Tail = ()>>(&self, field: &F) -> Placed<F> {
        let within = std::ptr::from_ref(field).addr().wrapping_sub(self.at.addr().get());
        let inside = size_of::<S>().checked_sub(size_of::<F>()).is_some_and(|most| within <= most);
        assert!(inside, "the closure must return a reference to a field of the shared struct that it gets");
        // SAFETY: compared above: it lies in the state.
        let at = unsafe { self.at.byte_add(within) }.cast();
        Placed { object: self.object.clone(), at, len: 0 }
    }

    /// The object that it is, or is a part of.
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

impl<S: State> Placed<S> {
    /// Believes that a part of a shared struct is an `S` if the struct's layout, as its creator wrote it down, says so.
    fn claim_part(object: Object, within: u64, schema: &str) -> Result<Self, Error> {
        let expected = S::SCHEMA.text();
        let wrong = || ErrorKind::WrongType { found: schema.to_owned(), expected: expected.to_string() };
        let mut len = None;
        let read = Layout::read(schema).ok_or_else(wrong)?;
        read.has_at(within, &mut |part| {
            len = if has_tail::<S>() { tail_len::<S>(part) } else { (part.text == expected).then_some(0) };
            len.is_some()
        });
        let len = len.ok_or_else(wrong)?;
        let (offset, size) = (usize::try_from(within).map_err(|_| wrong())?, layout::<S>(len)?);
        let end = offset.checked_add(size.size()).filter(|&end| end <= object.len());
        let at = object.body().as_ptr().wrapping_add(offset).cast::<S>();
        match NonNull::new(at).filter(|at| end.is_some() && at.addr().get().is_multiple_of(size.align())) {
            Some(at) => {
                let placed = Self { object, at, len };
                S::check(placed.view())?;
                Ok(placed)
            }
            None => Err(Corrupt { what: "size of an object", found: object.len() as u64 }.into()),
        }
    }
}

/// How many elements follow the state, if `part` is one of it of fixed size.
fn tail_len<S: State>(part: &Layout<'_>) -> Option<usize> {
    let Form::State { name, element, count, size_bytes, align_bytes } = &part.form else { return None };
    let len = usize::try_from((*count)?).ok()?;
    let layout = layout::<S>(len).ok()?;
    let same = *name == S::NAME && element.text == S::ELEMENT.text();
    (same && (*size_bytes, *align_bytes) == (layout.size() as u64, layout.align() as u64)).then_some(len)
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
