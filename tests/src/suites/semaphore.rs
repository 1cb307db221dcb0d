//! The suite of `Semaphore` and `BoundedSemaphore`: permits between any two parties, and what becomes of those of the dead.

use crate::placement::{Line, Peer, Placed, Placement, Stage};
use ipc_core::Segment;
use ipc_sync::{AcquireError, AddError, BoundedSemaphore, Permit, Permits, Semaphore};
use nix::sys::signal::Signal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Permits at first.
pub const PERMITS: u32 = 2;

/// Both semaphores. The methods are those of the same name.
#[allow(missing_docs)]
pub trait Semaphores: Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    const NAME: &'static str;

    fn make() -> Self;
    fn make_named(name: &str) -> Self;
    fn make_in(segment: &Segment) -> Self;
    fn opened(name: &str) -> Self;
    fn acquire(&self) -> Result<Permit<'_>, AcquireError>;
    fn try_acquire(&self) -> Result<Permit<'_>, AcquireError>;
    fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, AcquireError>;
    fn acquire_deadline(&self, deadline: Instant) -> Result<Permit<'_>, AcquireError>;
    fn acquire_many(&self, n: u32) -> Result<Permits<'_>, AcquireError>;
    fn try_acquire_many(&self, n: u32) -> Result<Permits<'_>, AcquireError>;
    fn acquire_many_timeout(&self, n: u32, timeout: Duration) -> Result<Permits<'_>, AcquireError>;
    fn add_permits(&self, n: u32) -> Result<(), AddError>;
    fn available(&self) -> u32;
    fn maximum(&self) -> u32;
}

macro_rules! semaphores {
    ($handle:ident, $($more:expr)?) => {
        impl Semaphores for $handle {
            const NAME: &'static str = stringify!($handle);

            fn make() -> Self {
                Self::new(PERMITS $(, $more)?).expect("an anonymous semaphore")
            }
            fn make_named(name: &str) -> Self {
                Self::create(name, PERMITS $(, $more)?).expect("a named semaphore")
            }
            fn make_in(segment: &Segment) -> Self {
                Self::new_in(segment, PERMITS $(, $more)?).expect("room for a semaphore")
            }
            fn opened(name: &str) -> Self {
                Self::open(name).expect("the semaphore of this name")
            }
            fn acquire(&self) -> Result<Permit<'_>, AcquireError> {
                self.acquire()
            }
            fn try_acquire(&self) -> Result<Permit<'_>, AcquireError> {
                self.try_acquire()
            }
            fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, AcquireError> {
                self.acquire_timeout(timeout)
            }
            fn acquire_deadline(&self, deadline: Instant) -> Result<Permit<'_>, AcquireError> {
                self.acquire_deadline(deadline)
            }
            fn acquire_many(&self, n: u32) -> Result<Permits<'_>, AcquireError> {
                self.acquire_many(n)
            }
            fn try_acquire_many(&self, n: u32) -> Result<Permits<'_>, AcquireError> {
                self.try_acquire_many(n)
            }
            fn acquire_many_timeout(&self, n: u32, timeout: Duration) -> Result<Permits<'_>, AcquireError> {
                self.acquire_many_timeout(n, timeout)
            }
            fn add_permits(&self, n: u32) -> Result<(), AddError> {
                self.add_permits(n)
            }
            fn available(&self) -> u32 {
                self.available()
            }
            fn maximum(&self) -> u32 {
                self.maximum()
            }
        }

        impl Placed for $handle {
            const ROLE: &'static str = stringify!($handle);

            fn anonymous() -> Self {
                Self::make()
            }
            fn named(name: &str) -> Self {
                Self::make_named(name)
            }
            fn open(name: &str) -> Self {
                Self::opened(name)
            }
            fn serve(self, line: &mut Line) {
                serve(&self, line);
            }
        }
    };
}

semaphores!(Semaphore, PERMITS);
semaphores!(BoundedSemaphore,);

/// Commands: `acquire`, `try` and `many N` take permits, `release` and `forget` end the one taken last, `spin N` takes and gives
/// back N times, `add N` adds N, `available` tells.
fn serve<S: Semaphores>(semaphore: &S, line: &mut Line) {
    let mut held = Vec::new();
    while let Some(command) = line.hear() {
        let (verb, number) = command.split_once(' ').unwrap_or((&command, "0"));
        let number: u32 = number.parse().expect("a number");
        let answer = match verb {
            "acquire" => told(semaphore.acquire().map(|permit| held.push(permit))),
            "try" => told(semaphore.try_acquire().map(|permit| held.push(permit))),
            "many" => told(semaphore.acquire_many(number).map(|permits| held.extend(permits))),
            "release" => told(held.pop().map(drop).ok_or("nothing held")),
            "forget" => told(held.pop().map(Permit::forget).ok_or("nothing held")),
            "spin" => told((0..number).try_for_each(|_| semaphore.acquire().map(drop))),
            "add" => told(semaphore.add_permits(number)),
            "available" => semaphore.available().to_string(),
            other => panic!("no such command: {other}"),
        };
        line.say(&answer);
    }
}

fn told<E: Debug>(result: Result<(), E>) -> String {
    match result {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn until_asleep<S: Semaphores>(semaphore: &S, sleepers: u32) {
    let expected = format!("waiters: {sleepers} ");
    while !format!("{semaphore:?}").contains(&expected) {
        std::thread::yield_now();
    }
}

/// All permits can be had at once, and there is no other.
fn all_are_there<S: Semaphores>(semaphore: &S) {
    let all = semaphore.acquire_many(PERMITS).expect("all permits");
    assert_eq!(semaphore.try_acquire().err(), Some(AcquireError::WouldBlock));
    drop(all);
    assert_eq!(semaphore.available(), PERMITS);
}

/// SM01, SM10, SM11, BS01: permits are one number for all parties.
pub fn smoke<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("acquire"), "done");
    assert_eq!(stage.handle.available(), 1);
    let permit = stage.handle.acquire().unwrap();
    assert_eq!(peer.ask("try"), "WouldBlock");
    assert_eq!(peer.ask("available"), "0");
    drop(permit);
    assert_eq!(peer.ask("try"), "done");
    assert_eq!(stage.handle.try_acquire().err(), Some(AcquireError::WouldBlock));
    assert_eq!((peer.ask("release"), peer.ask("release")), ("done".to_owned(), "done".to_owned()));
    all_are_there(&stage.handle);
}

/// SM03: no earlier than it should.
pub fn timed_verbs_give_up_in_time<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("many 2"), "done");
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(30)] {
        let began = Instant::now();
        assert_eq!(stage.handle.acquire_timeout(timeout).err(), Some(AcquireError::Timeout));
        assert_eq!(stage.handle.acquire_deadline(began + timeout).err(), Some(AcquireError::Timeout));
        assert_eq!(stage.handle.acquire_many_timeout(2, timeout).err(), Some(AcquireError::Timeout));
        assert!(began.elapsed() >= 2 * timeout);
    }
    assert_eq!(peer.ask("release"), "done");
    drop(stage.handle.acquire_timeout(Duration::ZERO).unwrap());
}

/// SM05: of five that wait, none gets through before a release, and all do in turn.
pub fn blocked_ones_all_get_through<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let mut peers: Vec<_> = (0..5).map(|_| stage.peer()).collect();
    let held = stage.handle.acquire_many(PERMITS).unwrap();
    peers.iter_mut().for_each(|peer| peer.tell("acquire"));
    until_asleep(&stage.handle, 5);
    drop(held);
    // Each gives its permit back as soon as it has it; in which order is the semaphore's business.
    peers.iter_mut().for_each(|peer| peer.tell("release"));
    for peer in &mut peers {
        assert_eq!((peer.hear(), peer.hear()), ("done".to_owned(), "done".to_owned()));
    }
    all_are_there(&stage.handle);
}

/// SM07, SM09 (differs): several at once, also where they come one by one; nobody releases what it does not have.
pub fn several_are_gathered<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!((one.ask("acquire"), other.ask("acquire")), ("done".to_owned(), "done".to_owned()));
    let mut gatherer = stage.peer();
    gatherer.tell("many 2");
    until_asleep(&stage.handle, 1);
    assert_eq!(one.ask("release"), "done");
    assert_eq!(other.ask("release"), "done");
    assert_eq!(gatherer.hear(), "done");
    assert_eq!(stage.handle.available(), 0);
    assert_eq!(one.ask("release"), r#""nothing held""#);
    assert_eq!((gatherer.ask("release"), gatherer.ask("release")), ("done".to_owned(), "done".to_owned()));
    all_are_there(&stage.handle);
}

/// BS02: past the maximum is an error for whoever tries; what was forgotten can be added again by another.
pub fn the_maximum_is_one_for_all<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("add 1"), "Full { asked: 1, room: 0 }");
    assert_eq!(peer.ask("acquire"), "done");
    assert_eq!(peer.ask("forget"), "done");
    assert_eq!((stage.handle.available(), stage.handle.maximum()), (1, PERMITS));
    stage.handle.add_permits(1).unwrap();
    assert_eq!(stage.handle.add_permits(1), Err(AddError::Full { asked: 1, room: 0 }));
    all_are_there(&stage.handle);
}

/// SM05, BS03: many take and give back at once; afterwards all are there.
pub fn nothing_is_lost_or_doubled<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let mut peers: Vec<_> = (0..4).map(|_| stage.peer()).collect();
    peers.iter_mut().for_each(|peer| peer.tell("spin 500"));
    for _ in 0..100 {
        drop(stage.handle.acquire_many(PERMITS).unwrap());
    }
    assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
    all_are_there(&stage.handle);
}

/// XS18: who leaves in an orderly way gives its permits back as it goes; the semaphore stays.
pub fn those_who_leave_take_nothing_along<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("many 2"), "done");
    peer.leave();
    all_are_there(&stage.handle);
}

/// XS05: the permits of a killed process come back, to who sleeps, to who comes, and to who polls.
pub fn permits_of_the_dead_come_back<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let with_a_dead_holder = || {
        let mut victim = stage.peer();
        assert_eq!(victim.ask("many 2"), "done");
        victim
    };
    let (victim, mut sleeper) = (with_a_dead_holder(), stage.peer());
    sleeper.tell("many 2");
    victim.kill();
    assert_eq!(sleeper.hear(), "done");
    sleeper.leave();

    with_a_dead_holder().kill();
    all_are_there(&stage.handle);

    with_a_dead_holder().kill();
    while stage.handle.try_acquire().is_err() {
        std::thread::yield_now();
    }
    all_are_there(&stage.handle);

    with_a_dead_holder().kill();
    while stage.handle.try_acquire_many(PERMITS).is_err() {
        std::thread::yield_now();
    }
    all_are_there(&stage.handle);
}

/// XS05: of two holders one is killed: its permit comes back, and the other's stays.
pub fn only_the_dead_lose_theirs<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let (mut victim, mut other) = (stage.peer(), stage.peer());
    assert_eq!((victim.ask("acquire"), other.ask("acquire")), ("done".to_owned(), "done".to_owned()));
    victim.kill();
    let permit = stage.handle.acquire().unwrap();
    assert_eq!(stage.handle.acquire_timeout(Duration::from_millis(60)).err(), Some(AcquireError::Timeout));
    drop(permit);
    assert_eq!(other.ask("release"), "done");
    all_are_there(&stage.handle);
}

/// XS06: a waiter that is killed takes nothing along and holds nobody up; nor does one who gathers.
pub fn a_killed_waiter_harms_nobody<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let held = stage.handle.acquire_many(PERMITS).unwrap();
    let (mut waiting, mut gathering, mut other) = (stage.peer(), stage.peer(), stage.peer());
    waiting.tell("acquire");
    gathering.tell("many 2");
    other.tell("acquire");
    until_asleep(&stage.handle, 3);
    waiting.kill();
    gathering.kill();
    drop(held);
    assert_eq!(other.hear(), "done");
    assert_eq!(other.ask("release"), "done");
    all_are_there(&stage.handle);
}

/// A stopped holder is not dead, however long; nor does stopping end a sleeper's wait.
pub fn a_stopped_process_is_not_dead<S: Semaphores + Placed>(placement: Placement) {
    let stage = Stage::<S>::new(placement);
    let (mut holder, mut sleeper): (Peer, Peer) = (stage.peer(), stage.peer());
    assert_eq!(holder.ask("many 2"), "done");
    holder.signal(Signal::SIGSTOP);
    sleeper.tell("acquire");
    for _ in 0..3 {
        sleeper.signal(Signal::SIGSTOP);
        assert_eq!(stage.handle.acquire_timeout(Duration::from_millis(60)).err(), Some(AcquireError::Timeout));
        sleeper.signal(Signal::SIGCONT);
    }
    holder.signal(Signal::SIGCONT);
    assert_eq!((holder.ask("release"), holder.ask("release")), ("done".to_owned(), "done".to_owned()));
    assert_eq!(sleeper.hear(), "done");
    assert_eq!(sleeper.ask("release"), "done");
    all_are_there(&stage.handle);
}

/// Writes the whole suite for one of the two.
#[macro_export]
macro_rules! semaphore_suite {
    ($subject:ty) => {
        $crate::in_every_placement!(
            [
                smoke,
                timed_verbs_give_up_in_time,
                blocked_ones_all_get_through,
                several_are_gathered,
                the_maximum_is_one_for_all,
                nothing_is_lost_or_doubled,
                those_who_leave_take_nothing_along,
            ],
            [
                permits_of_the_dead_come_back,
                only_the_dead_lose_theirs,
                a_killed_waiter_harms_nobody,
                a_stopped_process_is_not_dead,
            ]
        );
        $crate::semaphore_suite!(@ $subject;
            smoke timed_verbs_give_up_in_time blocked_ones_all_get_through several_are_gathered the_maximum_is_one_for_all
            nothing_is_lost_or_doubled those_who_leave_take_nothing_along permits_of_the_dead_come_back
            only_the_dead_lose_theirs a_killed_waiter_harms_nobody a_stopped_process_is_not_dead
        );
    };
    (@ $subject:ty; $($test:ident)*) => {
        $(
            fn $test(placement: $crate::placement::Placement) {
                $crate::suites::semaphore::$test::<$subject>(placement);
            }
        )*
    };
}
