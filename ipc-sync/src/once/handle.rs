//! The handles: `Once`, and `OnceValue` with what was initialised.

use super::state::{OnceError, OnceLine};
use ipc_core::raw::{Kind, Placed, PlainCell, State, View};
use ipc_core::{Deadline, Plain, Schema};
use std::fmt;
use std::time::{Duration, Instant};

/// Something that one process does, once, and the others find done.
///
/// # Differences from `std::sync::Once`
/// It is never poisoned: when an initialiser panics, or its process is killed, the next caller runs its own, and
/// [`call_once_with`](Self::call_once_with) tells it that it is not the first. A call from inside the initialiser is an error.
///
/// # Process death
/// An initialiser that is killed is replaced by another caller's within 100 ms. One that is killed after its last instruction
/// and before it is recorded as done is replaced, too: what it does outside must bear being done again.
///
/// A child that the initialiser forks gets [`OnceError::Forked`]; it then waits for its parent like any other.
///
/// # Examples
/// ```
/// use ipc_sync::Once;
/// let once = Once::new()?;
/// once.call_once(|| println!("by whoever is first"))?;
/// once.call_once(|| unreachable!())?;
/// assert!(once.is_completed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Once {
    placed: Placed<OnceState>,
}

/// A [`Once`] in shared memory: a field of a `#[shared]` struct. 8 bytes.
#[repr(C)]
pub struct OnceState {
    line: OnceLine,
}

// SAFETY: 1. an atomic. 2. there is nothing to tell apart. 3. 8.
unsafe impl State for OnceState {
    const KIND: Kind = Kind::ONCE;
    type Init = ();
    type Tail = ();
    type Handle = Once;

    fn init(new: View<'_, Self>, _init: Option<&()>) {
        new.state().line.init();
    }

    fn handle(placed: Placed<Self>) -> Once {
        Once { placed }
    }
}

ipc_core::handle!(Once of OnceState, "a once"; new() => &());

impl Once {
    /// Runs `init` unless somebody has; waits for whoever is running it. When this returns `Ok`, it is done.
    ///
    /// # Blocking
    /// While somebody else initialises. One load if it is done.
    ///
    /// # Process death
    /// See [`Once`].
    ///
    /// # Errors
    /// [`WouldDeadlock`](OnceError::WouldDeadlock) from inside the initialiser.
    ///
    /// # Panics
    /// If `init` does; then the next caller runs its own.
    #[inline]
    pub fn call_once(&self, init: impl FnOnce()) -> Result<(), OnceError> {
        self.call(|_| init(), Deadline::NEVER)
    }

    /// As [`call_once`](Self::call_once), giving up with `Timeout` when somebody else has initialised for `timeout`.
    pub fn call_once_timeout(&self, init: impl FnOnce(), timeout: Duration) -> Result<(), OnceError> {
        self.call(|_| init(), Deadline::after(timeout))
    }

    /// As [`call_once_timeout`](Self::call_once_timeout), until `deadline`.
    pub fn call_once_deadline(&self, init: impl FnOnce(), deadline: Instant) -> Result<(), OnceError> {
        self.call(|_| init(), Deadline::at(deadline))
    }

    /// As [`call_once`](Self::call_once); `init` gets to know whether another one began before and did not end.
    #[doc(alias = "call_once_force")]
    pub fn call_once_with(&self, init: impl FnOnce(bool)) -> Result<(), OnceError> {
        self.call(init, Deadline::NEVER)
    }

    /// Whether it is done; then it stays so, and what it did is visible.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.placed.line.is_done()
    }

    #[inline]
    fn call(&self, init: impl FnOnce(bool), deadline: Deadline) -> Result<(), OnceError> {
        self.placed.line.call(self.placed.segment(), init, |()| (), deadline)
    }
}

/// Never waits.
impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.placed.line.fmt(f)
    }
}

/// A value that one process makes, once, and all read from then on without a lock.
///
/// # Process death
/// As [`Once`]: a half-made value is never seen, and the next caller makes it anew.
///
/// # Examples
/// ```
/// use ipc_sync::OnceValue;
/// let seed = OnceValue::<u64>::new()?;
/// assert_eq!(seed.get(), None);
/// assert_eq!(seed.get_or_init(|| 7)?, 7);
/// assert_eq!(seed.get_or_init(|| unreachable!())?, 7);
/// assert_eq!(seed.get(), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "OnceLock")]
#[doc(alias = "OnceCell")]
pub struct OnceValue<T: Plain> {
    placed: Placed<OnceValueState<T>>,
}

/// A [`OnceValue`] in shared memory: a field of a `#[shared]` struct. 8 bytes and the value.
#[repr(C)]
pub struct OnceValueState<T: Plain> {
    line: OnceLine,
    value: PlainCell<T>,
}

// SAFETY: 1. an atomic and a cell of a plain value. 2. the type of the value is all there is to tell. 3. not for all types: a
// segment refuses the rest.
unsafe impl<T: Plain> State for OnceValueState<T> {
    const KIND: Kind = Kind::ONCE_VALUE;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = ();
    type Tail = ();
    type Handle = OnceValue<T>;

    fn init(new: View<'_, Self>, _init: Option<&()>) {
        new.state().line.init();
    }

    fn handle(placed: Placed<Self>) -> OnceValue<T> {
        OnceValue { placed }
    }
}

ipc_core::handle!(OnceValue<T: Plain> of OnceValueState<T>, "a value to be made once"; new() => &());

impl<T: Plain> OnceValue<T> {
    /// The value, if it has been made.
    #[inline]
    pub fn get(&self) -> Option<T> {
        // SAFETY: done: nobody of this library writes the value any more, and no reference to it is ever made.
        self.placed.line.is_done().then(|| unsafe { self.placed.value.load() })
    }

    /// The value; if nobody has made it, `init` does.
    ///
    /// # Blocking
    /// While somebody else makes it. One load, and a copy, if it is there.
    ///
    /// # Errors
    /// As [`Once::call_once`].
    #[inline]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> Result<T, OnceError> {
        self.get_or_init_by(init, Deadline::NEVER)
    }

    /// As [`get_or_init`](Self::get_or_init), giving up with `Timeout` when somebody else has been making it for `timeout`.
    pub fn get_or_init_timeout(&self, init: impl FnOnce() -> T, timeout: Duration) -> Result<T, OnceError> {
        self.get_or_init_by(init, Deadline::after(timeout))
    }

    /// As [`get_or_init_timeout`](Self::get_or_init_timeout), until `deadline`.
    pub fn get_or_init_deadline(&self, init: impl FnOnce() -> T, deadline: Instant) -> Result<T, OnceError> {
        self.get_or_init_by(init, Deadline::at(deadline))
    }

    #[inline]
    fn get_or_init_by(&self, init: impl FnOnce() -> T, deadline: Deadline) -> Result<T, OnceError> {
        let OnceValueState { line, value } = &*self.placed;
        let segment = self.placed.segment();
        // SAFETY: one initialises at a time, and nobody reads before it is done.
        line.call(segment, |_tried| init(), |made| unsafe { value.store(made) }, deadline)?;
        // SAFETY: as in `get`.
        Ok(unsafe { value.load() })
    }
}

/// Never waits.
impl<T: Plain + fmt::Debug> fmt::Debug for OnceValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceValue").field(&self.get()).finish()
    }
}
