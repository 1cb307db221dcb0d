//! The handle of a barrier.

use super::state::{Arrival, BarrierError, BarrierHead, Breach, Meeting};
use crate::condition::check_count;
use ipc_core::raw::{Fixed, Kind, Place, Placed, State, View};
use ipc_core::shim::AtomicU64;
use ipc_core::{Corrupt, Deadline, Error, ErrorKind, Segment, SegmentOptions};
use std::fmt;
use std::time::{Duration, Instant};

/// Nobody goes on before all have come, again and again.
///
/// A *party* is a member, that is a process, that has waited at least once; a process can be several, one per thread that
/// waits. Each of the barrier's places is the party's that waited there last.
///
/// # Differences from `multiprocessing.Barrier` and `std::sync::Barrier`
/// - A party that dies breaks it for the rest, waiting or between two passes: nobody waits for the dead.
/// - [`BarrierError::Broken`] says what broke it, and who.
/// - The action is given to [`wait_with`](Self::wait_with), since a closure cannot lie in shared memory: each party brings one,
///   and the one who finds that all have come, as a rule the last, runs its own.
/// - More parties than places take turns; a process can come in place of one that lives and does not come any more.
///
/// # Process death
/// A party that is killed, or that ends, breaks the barrier within 100 ms for those who wait and those who come, until
/// [`reset`](Self::reset). A process that is killed before it has ever waited is missed by nobody: use a time-out at the start.
/// All pass, or all are told: a party killed between its arrival and the next death check may be counted for one pass.
///
/// # Examples
/// ```
/// use ipc_sync::Barrier;
/// let barrier = Barrier::new(2)?;
/// let twin = barrier.clone();
/// let other = std::thread::spawn(move || twin.wait().unwrap().is_leader());
/// let leads = barrier.wait()?.is_leader();
/// assert!(leads != other.join().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Barrier {
    placed: Placed<BarrierHead>,
}

/// A [`Barrier`] in shared memory, for so many parties: a field of a `#[shared]` struct. 192 bytes and 8 for each party.
pub type BarrierState<const PARTIES: usize> = Fixed<BarrierHead, PARTIES>;

/// A place's number has 16 bits.
const MOST_PARTIES: usize = 1 << 16;

/// What a barrier is made from.
#[derive(Clone, Copy, Debug)]
pub struct BarrierSetup {
    parties: usize,
    timeout: Option<Duration>,
}

// SAFETY: 1. atomics and wait words; atomics behind them. 2. there is one layout. 3. 64 and 8.
unsafe impl State for BarrierHead {
    const KIND: Kind = Kind::BARRIER;
    type Init = BarrierSetup;
    type Tail = AtomicU64;
    type Handle = Barrier;

    fn len(setup: &BarrierSetup, _members: u32) -> Result<usize, Error> {
        if (1..=MOST_PARTIES).contains(&setup.parties) {
            return Ok(setup.parties);
        }
        let found = setup.parties.to_string();
        Err(ErrorKind::InvalidArgument { what: "number of parties", found, expected: "1 to 65536" }.into())
    }

    fn init(new: View<'_, Self>, setup: Option<&BarrierSetup>) {
        new.state().init(new.tail(), setup.and_then(|setup| setup.timeout));
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        check_count("number of parties of a barrier", at.tail().len(), MOST_PARTIES)
    }

    fn handle(placed: Placed<Self>) -> Barrier {
        Barrier { placed }
    }
}

ipc_core::handle!(
    tailed Barrier of BarrierHead, "a barrier for so many parties, at least one,";
    new(parties: usize) => &BarrierSetup { parties, timeout: None }
);

impl Barrier {
    /// Choices for a new barrier.
    pub fn options() -> BarrierOptions {
        BarrierOptions { timeout: None, segment: SegmentOptions::default() }
    }

    /// Waits until all have come, or for the time that the creator set.
    ///
    /// # Blocking
    /// Until all have come and the action, if there is one, is done. With one party: never.
    ///
    /// # Process death
    /// See [`Barrier`].
    ///
    /// # Errors
    /// [`Broken`](BarrierError::Broken): a party died; somebody's time passed, this party's own too; `abort`; `reset` while it
    /// waited; the action panicked.
    pub fn wait(&self) -> Result<Arrival, BarrierError> {
        self.wait_with(|| ())
    }

    /// As [`wait`](Self::wait), for `timeout` at most. When it passes the barrier breaks, for all.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Arrival, BarrierError> {
        self.wait_with_timeout(|| (), timeout)
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline`.
    pub fn wait_deadline(&self, deadline: Instant) -> Result<Arrival, BarrierError> {
        self.wait_with_deadline(|| (), deadline)
    }

    /// As [`wait`](Self::wait); one of the parties, as a rule the last to come, runs its `action` when all have come and before
    /// anybody is released.
    ///
    /// # Panics
    /// If its action does, in the party that runs it; the others find the barrier broken.
    ///
    /// # Examples
    /// ```
    /// let barrier = ipc_sync::Barrier::new(1)?;
    /// let mut passes = 0;
    /// barrier.wait_with(|| passes += 1)?;
    /// barrier.wait_with(|| passes += 1)?;
    /// assert_eq!(passes, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<Arrival, BarrierError> {
        self.meeting().wait(action, self.placed.deadline())
    }

    /// [`wait_with`](Self::wait_with) for `timeout` at most. When it passes, also during the action, the barrier breaks.
    pub fn wait_with_timeout(&self, action: impl FnOnce(), timeout: Duration) -> Result<Arrival, BarrierError> {
        self.meeting().wait(action, Deadline::after(timeout))
    }

    /// As [`wait_with_timeout`](Self::wait_with_timeout), until `deadline`.
    pub fn wait_with_deadline(&self, action: impl FnOnce(), deadline: Instant) -> Result<Arrival, BarrierError> {
        self.meeting().wait(action, Deadline::at(deadline))
    }

    /// Breaks the barrier: those who wait, and those who come, are told, until [`reset`](Self::reset). Never waits.
    pub fn abort(&self) -> Result<(), BarrierError> {
        self.meeting().abort()
    }

    /// Makes the barrier as new: those who wait are told, and it can be used again at once. Never waits.
    ///
    /// # Process death
    /// Who is killed inside leaves the barrier as it was, or to be made as new by whoever comes next.
    pub fn reset(&self) -> Result<(), BarrierError> {
        self.meeting().reset()
    }

    /// How many must come.
    pub fn parties(&self) -> usize {
        self.placed.tail().len()
    }

    /// How many wait now: 0 unless the barrier is filling; a snapshot.
    pub fn n_waiting(&self) -> usize {
        self.meeting().waiting()
    }

    /// Whether it is broken; a snapshot.
    pub fn is_broken(&self) -> bool {
        self.breach().is_some()
    }

    /// What broke it, if it is broken; a snapshot.
    pub fn breach(&self) -> Option<Breach> {
        self.meeting().breach()
    }

    fn meeting(&self) -> Meeting<'_, Segment> {
        Meeting { head: &self.placed, places: self.placed.tail(), census: self.placed.segment() }
    }
}

/// Never waits.
impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("waiting", &self.n_waiting())
            .field("breach", &self.breach())
            .finish()
    }
}

/// Choices for a new [`Barrier`].
///
/// ```
/// use std::time::Duration;
/// let barrier = ipc_sync::Barrier::options().timeout(Duration::from_millis(1)).new(2)?;
/// assert!(barrier.wait().is_err());
/// # Ok::<(), ipc_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BarrierOptions {
    timeout: Option<Duration>,
    segment: SegmentOptions,
}

impl BarrierOptions {
    /// How long a wait without a time of its own takes at most; then the barrier breaks. Without this: for ever.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Choices for a segment of its own.
    pub fn segment(mut self, segment: SegmentOptions) -> Self {
        self.segment = segment;
        self
    }

    /// See [`Barrier::new`].
    #[allow(clippy::new_ret_no_self, clippy::wrong_self_convention)]
    pub fn new(&self, parties: usize) -> Result<Barrier, Error> {
        self.place(Place::New, parties)
    }

    /// See [`Barrier::create`].
    pub fn create(&self, name: &str, parties: usize) -> Result<Barrier, Error> {
        self.place(Place::Create(name), parties)
    }

    /// See [`Barrier::open_or_create`].
    pub fn open_or_create(&self, name: &str, parties: usize) -> Result<Barrier, Error> {
        self.place(Place::OpenOrCreate(name), parties)
    }

    /// See [`Barrier::new_in`].
    pub fn new_in(&self, segment: &Segment, parties: usize) -> Result<Barrier, Error> {
        self.place(Place::NewIn(segment), parties)
    }

    /// See [`Barrier::create_in`].
    pub fn create_in(&self, segment: &Segment, name: &str, parties: usize) -> Result<Barrier, Error> {
        self.place(Place::CreateIn(segment, name), parties)
    }

    /// See [`Barrier::place`].
    pub fn place(&self, place: Place<'_>, parties: usize) -> Result<Barrier, Error> {
        let setup = BarrierSetup { parties, timeout: self.timeout };
        Placed::place(place, &setup, &self.segment).map(|placed| Barrier { placed })
    }
}
