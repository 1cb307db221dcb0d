//! `State`: what a primitive keeps in shared memory, and with that everything a handle can do.
//!
//! | type           | is                                                                                             |
//! |----------------|------------------------------------------------------------------------------------------------|
//! | [`State`]      | the trait of `FooState`: layout, first values, what a handle is made of it                      |
//! | [`View`]       | a state in memory, with its tail: what `init` and `check` get                                  |
//! | [`Placed`]     | a state in a segment that stays mapped: what a handle `Foo` has inside                         |
//! | [`Fixed`]      | a state and its tail as one type of fixed size: how tailed ones are fields of a shared struct  |
//! | [`Shareable`]  | what may be written as a field of a `#[shared]` struct                                          |

use super::{Kind, Placed};
use crate::error::{Corrupt, Error, ErrorKind};
use crate::plain::{Plain, Schema};
use std::alloc::Layout;
use std::any::TypeId;
use std::ops::Deref;
use std::ptr::NonNull;

/// What a primitive keeps in shared memory. One implementation, and the macro [`handle!`](crate::handle) for its handle, give
/// `new`, `create`, `open`, `open_or_create`, `new_in`, `create_in`, `open_in`, `place`, `ticket`, `attach`, `segment`,
/// `Clone`, serde inside spawn, queues and pipes, and use as a field of a `#[shared]` struct.
///
/// # Writing a primitive
///
/// 1. `FooState`: `#[repr(C)]`, of atomics, [`Futex`](crate::shim::Futex), the parts of [`raw`](super) ([`WaitWord`], [`LockLine`])
///    and, for plain data, [`PlainCell`](super::PlainCell). Nothing whose size differs between programs.
/// 2. [`init`](Self::init) makes a fresh one of zero bytes, in place: it stores what is not zero. Nothing is ever written by
///    value, so nothing passes over the stack, and no byte of it gets into padding. Let zero bytes be no valid state where
///    you can: a punched hole in the file reads as zero.
/// 3. `Foo { placed: Placed<FooState> }`, and `handle!`. The verbs are yours: a [`Placed`] dereferences to the state, and
///    its [`segment`](Placed::segment) is the [`Census`](super::Census) of who lives.
/// 4. What is read from the state is a stranger's word: load once, check, use what was checked.
///
/// For the model checker and unit tests a state has a `new()` beside `init`, since loom's atomics must be constructed;
/// this trait, handles and segments are not part of a loom build.
///
/// ```
/// use ipc_core::raw::{Kind, Pause, Placed, State, View, WaitWord};
/// use ipc_core::{Corrupt, Deadline, handle};
/// use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
///
/// /// Opens once it was counted down to nothing.
/// #[derive(Debug)]
/// pub struct Latch {
///     placed: Placed<LatchState>,
/// }
///
/// #[repr(C)]
/// #[derive(Debug)]
/// pub struct LatchState {
///     wait: WaitWord,
///     /// What is left to count, and the lowest bit, so that zero bytes are no latch.
///     left: AtomicU32,
/// }
///
/// // SAFETY: atomics and a wait word: any bytes are valid, at any time.
/// unsafe impl State for LatchState {
///     const KIND: Kind = Kind(70_000); // below 65 536 they belong to this workspace
///     const NAME: &'static str = "Latch";
///     type Init = u32;
///     type Tail = ();
///     type Handle = Latch;
///
///     fn init(new: View<'_, Self>, count: Option<&u32>) {
///         new.left.store(count.unwrap_or(&1) << 1 | 1, SeqCst);
///     }
///
///     fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
///         match at.left.load(SeqCst) {
///             odd if odd % 2 == 1 => Ok(()),
///             found => Err(Corrupt { what: "count of a Latch", found: found.into() }),
///         }
///     }
///
///     fn handle(placed: Placed<Self>) -> Latch {
///         Latch { placed }
///     }
/// }
///
/// handle!(Latch of LatchState, "a latch"; new(count: u32) => &count);
///
/// impl Latch {
///     pub fn count_down(&self) {
///         if self.placed.left.fetch_sub(2, SeqCst) == 3 {
///             self.placed.wait.notify(u32::MAX);
///         }
///     }
///
///     pub fn wait(&self) {
///         let (mut pause, opened) = (Pause::new(), || self.placed.left.load(SeqCst) == 1);
///         while !opened() {
///             self.placed.wait.sleep(&mut pause, Deadline::NEVER, opened);
///         }
///     }
/// }
///
/// let latch = Latch::new(2)?;
/// let twin = Latch::attach(&latch.ticket())?;
/// std::thread::scope(|s| {
///     s.spawn(|| (0..2).for_each(|_| twin.count_down()));
///     latch.wait();
/// });
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # As many as the creator says
///
/// A primitive with a table in it, such as a semaphore's permits, has a [`Tail`](Self::Tail): elements that follow the
/// state, [`len`](Self::len) of them. [`View::tail`] and [`Placed::tail`] reach them; the number is kept by the directory, and a
/// handle has it for itself. Write `handle!(tailed Foo of FooHead, ..)`. In a shared struct the number is part of the type:
/// `pub type FooState<const N: usize> = Fixed<FooHead, N>`.
///
/// ```
/// use ipc_core::raw::{Kind, Placed, State, View};
/// use ipc_core::{Error, handle};
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// pub struct Votes {
///     placed: Placed<VotesHead>,
/// }
///
/// #[repr(C)]
/// pub struct VotesHead {
///     valid: AtomicU32,
/// }
///
/// // SAFETY: atomics only, the tail too.
/// unsafe impl State for VotesHead {
///     const KIND: Kind = Kind(70_001);
///     const NAME: &'static str = "Votes";
///     type Init = usize;
///     type Tail = AtomicU32;
///     type Handle = Votes;
///
///     fn len(choices: &usize, _members: u32) -> Result<usize, Error> {
///         Ok(*choices)
///     }
///
///     fn init(new: View<'_, Self>, _choices: Option<&usize>) {
///         new.valid.store(1, Relaxed); // the votes are zero already
///     }
///
///     fn handle(placed: Placed<Self>) -> Votes {
///         Votes { placed }
///     }
/// }
///
/// handle!(tailed Votes of VotesHead, "votes"; new(choices: usize) => &choices);
///
/// let votes = Votes::new(3)?;
/// votes.placed.tail()[2].fetch_add(1, Relaxed);
/// assert_eq!(Votes::attach(&votes.ticket())?.placed.tail()[2].load(Relaxed), 1);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # Safety
///
/// 1. `Self` is `#[repr(C)]`, and any bytes are a valid one while any process writes any others: every field is an atomic, a
///    futex, a [`PlainCell`](super::PlainCell), a [`Pad`](super::Pad), or a struct of such. The same holds for `Tail`.
/// 2. [`ELEMENT`](Self::ELEMENT) tells all plain types inside apart, and [`SCHEMA`](Self::SCHEMA) all of the layout.
/// 3. The alignment of both is at most 4096.
///
/// [`WaitWord`]: super::WaitWord
/// [`LockLine`]: super::LockLine
pub unsafe trait State: Sized + Send + Sync + 'static {
    /// What it is to the directory: opening anything else is `WrongKind`.
    const KIND: Kind;

    /// What it is called in a layout.
    const NAME: &'static str = Self::KIND.name();

    /// The type of what it holds: opening with another is `WrongType`.
    const ELEMENT: Schema = <() as Plain>::SCHEMA;

    /// How it reads as a field of a shared struct.
    const SCHEMA: Schema = Schema::state(Self::NAME, &Self::ELEMENT, None, size_of::<Self>(), align_of::<Self>());

    /// What a new one is made from: what the handle's `new` takes.
    type Init: ?Sized;

    /// What follows it, as many times as [`len`](Self::len) says; `()` if nothing does.
    type Tail: Send + Sync + 'static;

    /// What is used in the process: `Foo` for `FooState`.
    type Handle;

    /// Elements of the tail of one that is made from `init`, or why it cannot be, in a segment with so many member rows.
    ///
    /// States without a tail refuse here what cannot be, and leave the number alone.
    fn len(init: &Self::Init, members: u32) -> Result<usize, Error> {
        let _ = (init, members);
        Ok(0)
    }

    /// Makes a fresh one of zero bytes: stores what is not zero. `None`: as a field of a shared struct to which its creator
    /// gave nothing.
    ///
    /// Nobody else has it yet. Its creator may be killed at any instruction: then nobody ever will.
    fn init(new: View<'_, Self>, init: Option<&Self::Init>);

    /// Refuses what no member can have written, when a process attaches. The size has been checked already.
    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        let _ = at;
        Ok(())
    }

    /// The handle of one that lies in a segment.
    fn handle(placed: Placed<Self>) -> Self::Handle;
}

/// A state in memory, and what follows it. It dereferences to the state.
pub struct View<'a, S: State> {
    state: &'a S,
    tail: &'a [S::Tail],
}

impl<'a, S: State> View<'a, S> {
    /// The state at `at`, with `len` elements behind it.
    ///
    /// # Safety
    /// `at` points to initialised bytes of `layout::<S>(len)`, aligned for it, that stay mapped as long as `'a`, and that
    /// this process accesses only as what they are here.
    pub unsafe fn new(at: NonNull<u8>, len: usize) -> Self {
        // SAFETY: the caller vouches for the bytes, and any are valid (duty 1 of State).
        let state = unsafe { at.cast::<S>().as_ref() };
        let first = at.as_ptr().wrapping_add(tail_at::<S>()).cast::<S::Tail>();
        // SAFETY: as above: the tail lies where `layout` places it.
        let tail = unsafe { std::slice::from_raw_parts(first, len) };
        Self { state, tail }
    }

    /// A state without a tail.
    pub fn of(state: &'a S) -> Self
    where
        S: State<Tail = ()>,
    {
        Self { state, tail: &[] }
    }

    /// What follows it.
    pub fn tail(&self) -> &'a [S::Tail] {
        self.tail
    }

    /// The state, as long as the memory is there.
    pub fn state(&self) -> &'a S {
        self.state
    }
}

impl<S: State> Clone for View<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: State> Copy for View<'_, S> {}

impl<S: State> Deref for View<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.state
    }
}

/// Whether something can follow it.
pub(super) fn has_tail<S: State>() -> bool {
    TypeId::of::<S::Tail>() != TypeId::of::<()>()
}

/// Where the tail begins.
pub(super) const fn tail_at<S: State>() -> usize {
    size_of::<S>().next_multiple_of(align_of::<S::Tail>())
}

/// Size and alignment of a state with its tail.
pub(super) fn layout<S: State>(len: usize) -> Result<Layout, Error> {
    let tail = Layout::array::<S::Tail>(len).ok();
    tail.and_then(|tail| Layout::new::<S>().extend(tail).ok()).map(|(layout, _)| layout.pad_to_align()).ok_or_else(
        || ErrorKind::OutOfMemory { bytes: (len as u64).saturating_mul(size_of::<S::Tail>() as u64) }.into(),
    )
}

/// A state with a tail of `N`, as one type of fixed size: the form in which it is a field of a shared struct.
///
/// Its handle is the same as that of one whose creator said how many.
#[repr(C)]
pub struct Fixed<S: State, const N: usize> {
    head: S,
    tail: [S::Tail; N],
}

impl<S: State, const N: usize> Fixed<S, N> {
    fn view(&self) -> View<'_, S> {
        View { state: &self.head, tail: &self.tail }
    }
}

// SAFETY: 1. and 3. as the state's and its tail's, which are laid out one behind the other as by `layout`. 2. the number
// joins what is told apart.
unsafe impl<S: State, const N: usize> State for Fixed<S, N> {
    const KIND: Kind = S::KIND;
    const NAME: &'static str = S::NAME;
    const ELEMENT: Schema = S::ELEMENT;
    const SCHEMA: Schema = Schema::state(S::NAME, &S::ELEMENT, Some(N as u64), size_of::<Self>(), align_of::<Self>());
    type Init = S::Init;
    type Tail = ();
    type Handle = S::Handle;

    fn len(init: &S::Init, members: u32) -> Result<usize, Error> {
        match S::len(init, members)? {
            found if found == N => Ok(0),
            found => Err(ErrorKind::InvalidArgument {
                what: "number of elements of a state of fixed size",
                found: found.to_string(),
                expected: "the number in its type",
            }
            .into()),
        }
    }

    fn init(new: View<'_, Self>, init: Option<&S::Init>) {
        S::init(new.state().view(), init);
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        S::check(at.state().view())
    }

    fn handle(placed: Placed<Self>) -> S::Handle {
        S::handle(placed.head())
    }
}

/// What may be a field of a `#[shared]` struct: states, plain values, other shared structs, and arrays of these.
///
/// The field becomes one of type [`State`](Self::State): a state and a shared struct stay what they are, a plain value becomes
/// a cell that is read and written without a reference to it. [`handle!`](crate::handle) and the attributes implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a shared struct",
    label = "neither a state nor a plain value",
    note = "fields are states such as `LockState<T>` (not their handles), plain values, `#[shared]` structs, and arrays of these"
)]
pub trait Shareable {
    /// What lies in memory.
    type State: State<Tail = ()>;
}

impl<S: State, const N: usize> Shareable for Fixed<S, N> {
    type State = Self;
}
