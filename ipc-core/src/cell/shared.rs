//! `Shared`: a struct of primitives in one object.
//!
//! # Memory
//!
//! The struct, as `#[repr(C)]` lays it out. Each field is initialised in place by its type's [`State::init`]; the gaps between
//! them are zero and nobody's. What a death leaves inside a field is that field's business; a creator that dies leaves no
//! struct at all, or all of it ([`Object`](crate::raw::Object)).
//!
//! A handle of a field is what every handle is, a segment and a place in it: it keeps the segment mapped, not the [`Shared`].

use crate::error::{Corrupt, Error};
use crate::raw::{Kind, Place, Placed, Shareable, State, View};
use crate::{Schema, Segment, SegmentOptions};
use std::fmt;
use std::ptr::NonNull;

/// What a [`Shared`] may be of: `#[shared]` structs, and arrays of states and of shared structs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shared struct",
    label = "neither a `#[shared]` struct nor an array of states",
    note = "put `#[shared]` on the struct; a single primitive has a handle of its own"
)]
pub trait Composite: State<Init = (), Tail = (), Handle = Shared<Self>> {}

/// A struct of primitives that processes share: one name, one ticket, one allocation for all of them.
///
/// [`at`](Self::at) gives the ordinary handle of a field.
///
/// | field                              | bytes                                         | handle                                      |
/// |------------------------------------|-----------------------------------------------|---------------------------------------------|
/// | `LockState<T>` of ipc-sync         | 64 for `()`; 64 and `T`, to the next 64       | `Lock<T>`                                   |
/// | [`ValueState<T>`](crate::ValueState) | 72 and twice `T`, to the next 64            | [`Value<T>`](crate::Value)                  |
/// | [`ArrayState<T, N>`](crate::ArrayState) | 64 and `N` times `T`, to the next 64     | [`Array<T>`](crate::Array)                  |
/// | [`AtomicState<T>`](crate::AtomicState) | those of `T`                              | [`AtomicValue<T>`](crate::AtomicValue)      |
/// | [`AtomicArrayState<T, N>`](crate::AtomicArrayState) | `N` times `T`                | [`AtomicArray<T>`](crate::AtomicArray)      |
/// | a plain `T`                        | those of `T`                                  | [`RawValue<T>`](crate::RawValue)            |
/// | `[T; N]` of any of these           | `N` times                                     | `Shared<[..; N]>`, and those of its elements |
/// | a `#[shared]` struct               | its own                                       | `Shared` of it                              |
///
/// Making a handle takes no system call. 100 000 locked rows of 16 bytes take 12.8 MB, 128 bytes each; in a debug build it took
/// 0.4 µs to make each with a value of its own and 0.08 µs per handle, as `cargo test -p ipc-tests --test shared
/// a_hundred_thousand_locked_rows -- --nocapture` tells.
///
/// # Process death
/// That of each field's type. A creator that dies leaves no struct, or all of it.
///
/// # Examples
/// ```
/// use ipc_core::{AtomicState, Shared, ValueState, plain, shared};
/// use std::sync::atomic::Ordering::Relaxed;
///
/// #[plain]
/// struct Row {
///     cents: i64,
/// }
///
/// #[shared]
/// struct Bank {
///     limit: i64,                          // plain: a RawValue
///     transfers: AtomicState<u64>,
///     rows: [ValueState<Row>; 4096],
/// }
///
/// let bank = Shared::<Bank>::new_with(|new| {
///     new.set(|b| &b.limit, -100)?;
///     (0..4096).try_for_each(|i| new.set(|b| &b.rows[i], Row { cents: 5 }))
/// })?;
/// bank.at(|b| &b.rows[7]).update(|row| row.cents += 1)?;
/// bank.at(|b| &b.transfers).fetch_add(1, Relaxed);
/// assert_eq!(bank.at(|b| &b.limit).get(), -100);
/// assert_eq!(bank.at(|b| &b.rows[7]).get()?.cents, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Shared<S: Composite> {
    placed: Placed<S>,
}

handle!(tailed Shared<S: Composite> of S, "a shared struct, its plain fields zero, its states as new"; new() => &());

impl<S: Composite> Shared<S> {
    /// The handle of a field: `bank.at(|b| &b.rows[7]).lock()`. It works as long as the segment is there, with or without this.
    ///
    /// The closure gets the struct where it lies, which other processes may be writing: that is harmless, since nothing can be
    /// read through a reference to a state, but only handles made of it.
    ///
    /// # Panics
    /// If the closure returns a reference to something that is not part of the struct it was given.
    #[inline]
    pub fn at<F: State<Tail = ()>>(&self, field: impl for<'a> FnOnce(&'a S) -> &'a F) -> F::Handle {
        F::handle(self.placed.part(field(&self.placed)))
    }

    /// As [`new`](Self::new), with what `fill` gives to fields, before anybody else sees it.
    ///
    /// # Errors
    /// As [`new`](Self::new); those of `fill`.
    pub fn new_with(fill: impl Fn(&mut Fresh<'_, S>) -> Result<(), Error>) -> Result<Self, Error> {
        Self::place_with(Place::New, fill, &SegmentOptions::default())
    }

    /// As [`create`](Self::create), with what `fill` gives to fields: the name appears when all is there.
    ///
    /// # Errors
    /// As [`create`](Self::create); those of `fill`, after which there is nothing.
    pub fn create_with(name: &str, fill: impl Fn(&mut Fresh<'_, S>) -> Result<(), Error>) -> Result<Self, Error> {
        Self::place_with(Place::Create(name), fill, &SegmentOptions::default())
    }

    /// As [`create_in`](Self::create_in), with what `fill` gives to fields.
    ///
    /// # Blocking
    /// Nobody else creates objects in this segment while `fill` runs.
    pub fn create_in_with(
        segment: &Segment,
        name: &str,
        fill: impl Fn(&mut Fresh<'_, S>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        Self::place_with(Place::CreateIn(segment, name), fill, &SegmentOptions::default())
    }

    /// Creates or opens as `place` says, with choices for a new segment; what is created is filled.
    pub fn place_with(
        place: Place<'_>,
        fill: impl Fn(&mut Fresh<'_, S>) -> Result<(), Error>,
        options: &SegmentOptions,
    ) -> Result<Self, Error> {
        let members = place.members(options);
        let init = |new: View<'_, S>| {
            S::init(new, None);
            fill(&mut Fresh { state: new.state(), members })
        };
        Placed::place_with(place, 0, &init, options).map(|placed| Self { placed })
    }
}

impl<S: Composite> From<Placed<S>> for Shared<S> {
    fn from(placed: Placed<S>) -> Self {
        Self { placed }
    }
}

impl<S: Composite> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("type", &S::ELEMENT).field("offset", &self.placed.offset()).finish()
    }
}

/// A shared struct that nobody else sees yet.
pub struct Fresh<'a, S> {
    state: &'a S,
    members: u32,
}

impl<S: Composite> Fresh<'_, S> {
    /// Makes a field anew, of what the `new` of its type takes.
    ///
    /// # Errors
    /// What that `new` refuses.
    ///
    /// # Panics
    /// If the closure returns a reference to something that is not part of the struct it was given.
    pub fn set<F>(&mut self, field: impl for<'a> FnOnce(&'a S) -> &'a F, init: F::Init) -> Result<(), Error>
    where
        F: State<Tail = ()>,
        F::Init: Sized,
    {
        F::len(&init, self.members)?;
        let field = field(self.state);
        let within = std::ptr::from_ref(field).addr().wrapping_sub(NonNull::from(self.state).addr().get());
        let inside = size_of::<S>().checked_sub(size_of::<F>()).is_some_and(|most| within <= most);
        assert!(inside, "the closure must return a reference to a field of the shared struct that it gets");
        F::init(View::of(field), Some(&init));
        Ok(())
    }
}

// SAFETY: 1. to 3. as the elements, which lie one behind the other; how many is told.
unsafe impl<S: State<Tail = ()>, const N: usize> State for [S; N] {
    const KIND: Kind = Kind::SHARED;
    const ELEMENT: Schema = Schema::array(&S::SCHEMA, N as u64);
    const SCHEMA: Schema = Self::ELEMENT;
    type Init = ();
    type Tail = ();
    type Handle = Shared<Self>;

    fn init(new: View<'_, Self>, _: Option<&()>) {
        new.state().iter().for_each(|element| S::init(View::of(element), None));
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        at.state().iter().try_for_each(|element| S::check(View::of(element)))
    }

    fn handle(placed: Placed<Self>) -> Shared<Self> {
        placed.into()
    }
}

impl<S: State<Tail = ()>, const N: usize> Composite for [S; N] {}

impl<T: Shareable, const N: usize> Shareable for [T; N] {
    type State = [T::State; N];
}
