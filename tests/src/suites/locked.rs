//! The suite of `Value`, `Array`, `Lock`, `RLock` and the writers of `RwLock`: mutual exclusion between any two parties, deadlines, and the death of holders.

use crate::pair::{Pair, Words};
use crate::placement::{Line, Peer, Placed, Placement, Stage};
use ipc_core::{Cause, LockError};
use nix::sys::signal::Signal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

impl<P: Pair> Placed for P {
    const ROLE: &'static str = P::NAME;

    fn anonymous() -> Self {
        P::new().expect("an anonymous object")
    }

    fn named(name: &str) -> Self {
        P::create(name).expect("a named object")
    }

    fn open(name: &str) -> Self {
        Pair::open(name).expect("the object of this name")
    }

    /// Commands: `lock`, `try`, `recover` take the lock, `unlock` gives it back, `begin` writes one of the two words, `read`
    /// tells both, `add N` adds N times, `panic` panics while writing.
    fn serve(self, line: &mut Line) {
        let mut held = None;
        while let Some(command) = line.hear() {
            let (verb, number) = command.split_once(' ').unwrap_or((&command, "0"));
            let number: u64 = number.parse().expect("a number");
            let answer = match verb {
                "lock" => take(Pair::lock(&self), &mut held),
                "try" => take(Pair::try_lock(&self), &mut held),
                "recover" => take(Pair::recover(&self), &mut held),
                "unlock" => told(held.take().is_some()),
                "begin" => told(held.as_mut().map(|held| held.add_to(0)).is_some()),
                "read" => format!("{:?}", held.as_ref().map(Words::words)),
                "add" => told((0..number).all(|_| add(&self).is_ok())),
                "panic" => told(panic_while_writing(&self)),
                other => panic!("no such command: {other}"),
            };
            line.say(&answer);
        }
    }
}

fn told(done: bool) -> String {
    if done { "done" } else { "not done" }.to_owned()
}

fn take<T>(result: Result<T, LockError>, held: &mut Option<T>) -> String {
    match result {
        Ok(guard) => {
            *held = Some(guard);
            "held".to_owned()
        }
        Err(LockError::Inconsistent { .. }) => "Inconsistent".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn add<P: Pair>(pair: &P) -> Result<(), LockError> {
    pair.lock()?.add();
    Ok(())
}

/// True if it did panic. Printed by nobody: the hook would write into the middle of a test's output.
fn panic_while_writing<P: Pair>(pair: &P) -> bool {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut held = pair.lock().expect("a free lock");
        held.add_to(0);
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    panicked.is_err()
}

fn words<P: Pair>(pair: &P) -> [u64; 2] {
    pair.lock().expect("a free lock over whole data").words()
}

/// Waits until so many sleep on the lock.
fn until_asleep<P: Pair>(pair: &P, sleepers: usize) {
    let expected = format!("waiters: {sleepers}");
    while !format!("{pair:?}").contains(&expected) {
        std::thread::yield_now();
    }
}

/// Of these, who all have been told to lock, lets each through in turn.
fn each_gets_through(peers: &mut [Peer]) {
    for peer in peers {
        assert_eq!(peer.hear(), "held");
        assert_eq!(peer.ask("unlock"), "done");
    }
}

/// SH09, LK18, LK17, LK01, LK03, VA01, AR01: what one party writes under the lock, the other reads.
pub fn smoke<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("add 2"), "done");
    assert_eq!(words(&stage.handle), [2, 2]);
    add(&stage.handle).unwrap();
    assert_eq!(peer.ask("lock"), "held");
    assert_eq!(peer.ask("read"), "Some([3, 3])");
}

/// LK02, LK07: `try_lock` of a held lock is refused at once, whoever holds it.
pub fn a_held_lock_is_refused_at_once<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut peer = stage.peer();
    let held = stage.handle.try_lock().unwrap();
    assert_eq!(peer.ask("try"), "WouldBlock");
    let again = stage.handle.try_lock().err();
    assert_eq!(
        again,
        (!P::REENTRANT).then_some(LockError::WouldBlock),
        "the holder itself, too, unless it may lock again"
    );
    drop(held);
    assert_eq!(peer.ask("try"), "held");
    assert_eq!(stage.handle.try_lock().err(), Some(LockError::WouldBlock));
    assert_eq!(peer.ask("unlock"), "done");
    drop(stage.handle.try_lock().unwrap());
}

/// LK11, LK12, LK13, LK14: a timed lock gives up no earlier than it should, and leaves the state right.
pub fn a_timed_lock_gives_up_in_time<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("lock"), "held");
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(30)] {
        let began = Instant::now();
        assert_eq!(stage.handle.lock_timeout(timeout).err(), Some(LockError::Timeout));
        assert!(began.elapsed() >= timeout);
    }
    assert_eq!(stage.handle.lock_deadline(Instant::now()).err(), Some(LockError::Timeout));
    assert_eq!(peer.ask("unlock"), "done");
    drop(stage.handle.lock_timeout(Duration::ZERO).expect("free"));
    drop(stage.handle.lock_timeout(Duration::MAX).expect("free"));
    assert_eq!(peer.ask("try"), "held");
}

/// LK08: of five that wait, none gets through before the release, and all do after it.
pub fn blocked_ones_all_get_through<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut peers: Vec<_> = (0..5).map(|_| stage.peer()).collect();
    let held = stage.handle.lock().unwrap();
    peers.iter_mut().for_each(|peer| peer.tell("add 1"));
    until_asleep(&stage.handle, 5);
    assert_eq!(held.words(), [0, 0]);
    drop(held);
    assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
    assert_eq!(words(&stage.handle), [5, 5]);
}

/// VA03, LK09 (differs): who holds the lock and locks again is told, not hung. RL08: unless it may.
pub fn relocking_does_not_hang<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut peer = stage.peer();
    let again = if P::REENTRANT { "held" } else { "WouldDeadlock" };
    assert_eq!(peer.ask("lock"), "held");
    assert_eq!(peer.ask("lock"), again);
    assert_eq!(peer.ask("recover"), again);
    assert_eq!(peer.ask("unlock"), "done");
    assert_eq!(words(&stage.handle), [0, 0]);
}

/// VA04, AR05: nothing that several add at once gets lost.
pub fn no_addition_is_lost<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut peers: Vec<_> = (0..4).map(|_| stage.peer()).collect();
    peers.iter_mut().for_each(|peer| peer.tell("add 500"));
    for _ in 0..500 {
        add(&stage.handle).unwrap();
    }
    assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
    assert_eq!(words(&stage.handle), [2500, 2500]);
}

/// SH12, XS18: who leaves takes nothing along.
pub fn those_who_leave_take_nothing_along<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    for n in 1..=3 {
        let mut peer = stage.peer();
        assert_eq!(peer.ask("add 1"), "done");
        peer.leave();
        assert_eq!(words(&stage.handle), [n, n]);
    }
}

/// LK05, XS02: a panic while writing releases the lock and is told to all until somebody has recovered.
pub fn a_panic_while_writing_is_told<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!(one.ask("panic"), "done");
    assert_eq!(other.ask("lock"), "Inconsistent");
    assert!(matches!(
        stage.handle.lock().err(),
        Some(LockError::Inconsistent { cause: Cause::Panicked { pid, .. } }) if pid > 0
    ));
    assert_eq!(other.ask("recover"), "held");
    assert_eq!(other.ask("read"), "Some([1, 1])");
    assert_eq!(other.ask("unlock"), "done");
    assert_eq!(words(&stage.handle), [1, 1]);
}

/// XS01: a holder that is killed before its first mutable access is as if it had never been.
pub fn killed_before_writing_is_as_if_never_locked<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut peer = stage.peer();
    assert_eq!(peer.ask("lock"), "held");
    assert_eq!(peer.ask("read"), "Some([0, 0])");
    peer.kill();
    assert_eq!(words(&stage.handle), [0, 0]);
    assert!(!stage.handle.is_inconsistent());
}

/// XS01, XS02: killed after it began to write, everybody is told who it was, until `recover`.
pub fn killed_while_writing_is_told_until_recovered<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let (mut victim, mut other) = (stage.peer(), stage.peer());
    let victim_pid = victim.pid().as_raw() as u32;
    assert_eq!(victim.ask("lock"), "held");
    assert_eq!(victim.ask("begin"), "done");
    victim.kill();
    for _ in 0..2 {
        let cause = match stage.handle.lock().err() {
            Some(LockError::Inconsistent { cause: Cause::OwnerDied { pid, .. } }) => pid,
            other => panic!("{other:?}"),
        };
        assert_eq!(cause, victim_pid);
        assert_eq!(other.ask("try"), "Inconsistent");
        assert!(stage.handle.is_inconsistent());
    }
    assert_eq!(other.ask("recover"), "held");
    assert_eq!(
        stage.handle.lock_timeout(Duration::ZERO).err(),
        Some(LockError::Timeout),
        "a live recoverer is waited for"
    );
    assert_eq!(other.ask("unlock"), "done");
    assert_eq!(words(&stage.handle), [1, 1]);
    assert!(!stage.handle.is_inconsistent());
}

/// XS03: those who sleep when the holder dies all go on.
pub fn sleepers_go_on_after_a_death<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut victim = stage.peer();
    let mut peers: Vec<_> = (0..3).map(|_| stage.peer()).collect();
    assert_eq!(victim.ask("lock"), "held");
    peers.iter_mut().for_each(|peer| peer.tell("add 1"));
    victim.kill();
    assert!(peers.iter_mut().all(|peer| peer.hear() == "done"));
    assert_eq!(words(&stage.handle), [3, 3]);
}

/// XS02, XS03: those who sleep when a writer dies are all told.
pub fn sleepers_are_told_of_a_dead_writer<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut victim = stage.peer();
    let mut peers: Vec<_> = (0..3).map(|_| stage.peer()).collect();
    assert_eq!(victim.ask("lock"), "held");
    assert_eq!(victim.ask("begin"), "done");
    peers.iter_mut().for_each(|peer| peer.tell("lock"));
    victim.kill();
    assert!(peers.iter_mut().all(|peer| peer.hear() == "Inconsistent"));
    peers.iter_mut().for_each(|peer| peer.tell("recover"));
    each_gets_through_in_any_order(&mut peers);
    assert_eq!(words(&stage.handle), [1, 1]);
}

/// XS02: a recoverer that dies leaves the mark, and the next one can try.
pub fn a_recoverer_that_dies_leaves_the_mark<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let mut victim = stage.peer();
    assert_eq!(victim.ask("lock"), "held");
    assert_eq!(victim.ask("begin"), "done");
    victim.kill();
    let mut second = stage.peer();
    assert_eq!(second.ask("recover"), "held");
    assert_eq!(second.ask("begin"), "done");
    second.kill();
    assert!(matches!(stage.handle.lock().err(), Some(LockError::Inconsistent { .. })));
    drop(stage.handle.recover().unwrap());
    assert_eq!(words(&stage.handle), [2, 2]);
}

/// A stopped holder is not dead, however long; stopping interrupts a sleeper's wait and does not end it (LK15).
pub fn a_stopped_process_is_not_dead<P: Pair>(placement: Placement) {
    let stage = Stage::<P>::new(placement);
    let (mut holder, mut sleeper) = (stage.peer(), stage.peer());
    assert_eq!(holder.ask("lock"), "held");
    assert_eq!(holder.ask("begin"), "done");
    holder.signal(Signal::SIGSTOP);
    sleeper.tell("lock");
    for _ in 0..5 {
        sleeper.signal(Signal::SIGSTOP);
        assert_eq!(stage.handle.lock_timeout(Duration::from_millis(60)).err(), Some(LockError::Timeout));
        sleeper.signal(Signal::SIGCONT);
    }
    holder.signal(Signal::SIGCONT);
    assert_eq!(holder.ask("begin"), "done", "it still holds");
    assert_eq!(holder.ask("unlock"), "done");
    each_gets_through(std::slice::from_mut(&mut sleeper));
}

/// As [`each_gets_through`], whoever is first.
fn each_gets_through_in_any_order(peers: &mut [Peer]) {
    // Each unlocks as soon as it is told to, and is told so before it has the lock: the order is the lock's.
    peers.iter_mut().for_each(|peer| peer.tell("unlock"));
    for peer in peers {
        assert_eq!((peer.hear().as_str(), peer.hear().as_str()), ("held", "done"));
    }
}

/// Writes the whole suite for one type.
#[macro_export]
macro_rules! locked_suite {
    ($subject:ty; [$($own:ident),* $(,)?]) => {
        $crate::roles!($subject);
        $crate::locked_suite!(without roles $subject; [$($own),*]);
    };
    // For several types in one file, which calls `roles!` itself.
    (without roles $subject:ty; [$($own:ident),* $(,)?]) => {
        $crate::in_every_placement!(
            [
                smoke,
                a_held_lock_is_refused_at_once,
                a_timed_lock_gives_up_in_time,
                blocked_ones_all_get_through,
                relocking_does_not_hang,
                no_addition_is_lost,
                those_who_leave_take_nothing_along,
                a_panic_while_writing_is_told,
                $($own),*
            ],
            [
                killed_before_writing_is_as_if_never_locked,
                killed_while_writing_is_told_until_recovered,
                sleepers_go_on_after_a_death,
                sleepers_are_told_of_a_dead_writer,
                a_recoverer_that_dies_leaves_the_mark,
                a_stopped_process_is_not_dead,
            ]
        );
        $crate::locked_suite!(@ $subject;
            smoke a_held_lock_is_refused_at_once a_timed_lock_gives_up_in_time blocked_ones_all_get_through
            relocking_does_not_hang no_addition_is_lost those_who_leave_take_nothing_along a_panic_while_writing_is_told
            killed_before_writing_is_as_if_never_locked killed_while_writing_is_told_until_recovered
            sleepers_go_on_after_a_death sleepers_are_told_of_a_dead_writer a_recoverer_that_dies_leaves_the_mark
            a_stopped_process_is_not_dead
        );
    };
    (@ $subject:ty; $($test:ident)*) => {
        $(
            fn $test(placement: $crate::placement::Placement) {
                $crate::suites::locked::$test::<$subject>(placement);
            }
        )*
    };
}
