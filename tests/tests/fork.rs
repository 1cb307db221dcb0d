//! Fork without exec (LK16, XS23): the child is another member, what it inherited is its parent's, and nobody hangs.
//!
//! A suite with a `main` of its own: what a forked child finds depends on what every other thread was doing.

use ipc_core::raw::{Census, Guard};
use ipc_core::{Array, AtomicValue, ErrorKind, LockError, MemberError, Segment, Value, set_member_name};
use ipc_queue::{EndpointError, Queue, TryRecvError, TrySendError, bounded};
use ipc_sync::{Lock, RLock, RwLock};
use ipc_tests::alone;
use ipc_tests::child::{Child, Step};
use ipc_tests::page::Page;
use ipc_tests::pair::{Pair, Words};
use ipc_tests::unique::UniqueName;
use ipc_tests::watchdog::Watchdog;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

fn main() {
    alone::run(ipc_tests::tests![
        smoke,
        lk16_an_inherited_guard_is_the_parents,
        an_inherited_queue_handle_takes_rows_of_its_own,
        a_child_of_a_child_is_a_third_member,
        xs23_forks_while_threads_hold_everything_hang_nobody,
        a_bare_child_gets_errors,
        a_bare_child_releases_nothing,
        a_bare_child_makes_and_opens_nothing,
        a_bare_child_may_use_what_needs_no_lock,
        children_of_a_bare_child_get_errors_too,
        xs23_a_bare_fork_among_busy_threads_hangs_nobody,
        a_bare_child_in_the_middle_of_a_creation_gets_errors,
    ]);
}

const FORKED: LockError = LockError::Member(MemberError::Forked);

fn smoke() {
    let _watchdog = Watchdog::start("smoke");
    let value = Value::new(1u64).expect("a value");
    let parent = value.segment().me().expect("a row is free");
    let word = Page::new(AtomicU64::new(0));
    Child::fork(|| {
        let child = value.segment().me().expect("a row is free");
        word.store(child.member().word(), SeqCst);
        value.update(|n| *n += 1).expect("a lock that nobody holds");
    })
    .join();
    assert_ne!(word.load(SeqCst), parent.member().word());
    assert_eq!(value.segment().me().expect("as before"), parent);
    assert_eq!(value.get(), Ok(2));
}

/// A guard that is released in the child, and read and written there: nothing of it reaches the parent's lock.
fn guard_is_the_parents<P: Pair>() {
    let pair = P::new().expect("a pair");
    let mut guard = pair.lock().expect("a free lock");
    guard.add_to(0);
    Child::fork(|| {
        std::panic::set_hook(Box::new(|_| ()));
        assert!(catch_unwind(AssertUnwindSafe(|| guard.words())).is_err(), "{}: read", P::NAME);
        assert!(catch_unwind(AssertUnwindSafe(|| guard.add_to(1))).is_err(), "{}: written", P::NAME);
        // SAFETY: the child ends without using its copy again.
        unsafe { std::ptr::drop_in_place(&raw mut guard) };
        assert_eq!(pair.try_lock().map(drop), Err(LockError::WouldBlock), "{}", P::NAME);
        assert_eq!(pair.lock_timeout(Duration::from_millis(1)).map(drop), Err(LockError::Timeout), "{}", P::NAME);
    })
    .join();
    assert_eq!(guard.words(), [1, 0]);
    drop(guard);
    assert!(!pair.is_inconsistent(), "a child that ends is not a holder that dies");
    pair.lock().map(drop).expect("the parent has let it go");
}

fn lk16_an_inherited_guard_is_the_parents() {
    let _watchdog = Watchdog::start("lk16_an_inherited_guard_is_the_parents");
    guard_is_the_parents::<Value<[u64; 2]>>();
    guard_is_the_parents::<Array<u64>>();
    guard_is_the_parents::<Lock<[u64; 2]>>();
    guard_is_the_parents::<RLock<[u64; 2]>>();
    guard_is_the_parents::<RwLock<[u64; 2]>>();
}

fn an_inherited_queue_handle_takes_rows_of_its_own() {
    let _watchdog = Watchdog::start("an_inherited_queue_handle_takes_rows_of_its_own");
    let queue = Queue::<u64>::new(64).expect("a queue");
    queue.send(0).expect("room");
    Child::fork(|| {
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let queue = &queue;
                scope.spawn(move || (0..8).for_each(|n| queue.send(thread * 8 + n).expect("room")));
            }
        });
        assert_eq!(queue.recv(), Ok(0));
    })
    .join();
    let mut sent: Vec<_> = queue.try_iter().collect();
    sent.sort_unstable();
    assert!(sent.into_iter().eq(8..40));
}

fn a_child_of_a_child_is_a_third_member() {
    let _watchdog = Watchdog::start("a_child_of_a_child_is_a_third_member");
    let value = Value::new(0u64).expect("a value");
    let members = Page::new([const { AtomicU64::new(0) }; 3]);
    let register = |nth: usize| members[nth].store(value.segment().me().expect("a row").member().word(), SeqCst);
    register(0);
    Child::fork(|| {
        register(1);
        Child::fork(|| register(2)).join();
        register(1);
    })
    .join();
    let words = members.each_ref().map(|word| word.load(SeqCst));
    assert!(words[0] != words[1] && words[1] != words[2] && words[0] != words[2], "{words:x?}");
}

/// Holders of everything that a process locks, in three threads, until dropped from `run`.
struct Busy {
    value: Value<u64>,
    lock: Lock<[u64; 2]>,
    queue: Queue<u64>,
    stop: AtomicBool,
}

impl Busy {
    fn new() -> Self {
        let queue = Queue::options().endpoints(16).new(4).expect("a queue");
        let (value, lock) = (Value::new(0).expect("a value"), Lock::new([0; 2]).expect("a lock"));
        Self { value, lock, queue, stop: AtomicBool::new(false) }
    }

    fn run(&self, body: impl FnOnce()) {
        std::thread::scope(|scope| {
            // The process's own tables, and the directory's lock.
            scope.spawn(|| {
                let segment = Segment::new(1 << 20).expect("a segment");
                while !self.stop.load(SeqCst) {
                    drop(Value::new(1u64).expect("a value"));
                    set_member_name("busy");
                    let _ = Value::new_in(&segment, 1u64);
                }
            });
            // The shared locks, contended, and the rows of a queue handle.
            for _ in 0..2 {
                scope.spawn(|| {
                    while !self.stop.load(SeqCst) {
                        self.use_all();
                    }
                });
            }
            let ran = catch_unwind(AssertUnwindSafe(body));
            self.stop.store(true, SeqCst);
            ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    /// Adds one to both words of the lock, one to the value, and moves a message through the queue.
    fn use_all(&self) {
        let mut words = self.lock.lock().expect("no holder dies here");
        words[0] += 1;
        words[1] += 1;
        drop(words);
        self.value.update(|n| *n += 1).expect("as above");
        let _ = self.queue.try_send(1);
        let _ = self.queue.try_recv();
    }
}

/// The children use what threads of their parent hold at that moment, with threads of their own.
fn xs23_forks_while_threads_hold_everything_hang_nobody() {
    let _watchdog = Watchdog::start("xs23_forks_while_threads_hold_everything_hang_nobody");
    let busy = Busy::new();
    busy.run(|| {
        for _ in 0..60 {
            Child::fork(|| {
                std::thread::scope(|scope| {
                    (0..2).for_each(|_| drop(scope.spawn(|| (0..20).for_each(|_| busy.use_all()))));
                });
                drop(Value::new(1u64).expect("a value"));
            })
            .join();
        }
    });
    let words = busy.lock.lock().expect("nobody died holding it");
    assert_eq!(words[0], words[1]);
    assert_eq!(busy.value.get(), Ok(words[0]));
}

fn a_bare_child_gets_errors() {
    let _watchdog = Watchdog::start("a_bare_child_gets_errors");
    let value = Value::new([1u64; 4]).expect("a value");
    let array = Array::<u64>::new(4).expect("an array");
    let lock = Lock::new(1u64).expect("a lock");
    let queue = Queue::<u64>::new(4).expect("a queue");
    let (tx, rx) = bounded::<u64>(4).expect("endpoints");
    Child::fork_barely(|| {
        assert_eq!(value.try_lock().map(drop), Err(FORKED));
        assert_eq!(value.lock().map(drop), Err(FORKED));
        assert_eq!(value.lock_timeout(Duration::MAX).map(drop), Err(FORKED));
        assert_eq!(value.recover(|_| ()).map(drop), Err(FORKED));
        assert_eq!(value.get(), Err(FORKED));
        assert_eq!(value.set([2; 4]), Err(FORKED));
        assert_eq!(value.update(|_| ()), Err(FORKED));
        assert_eq!(array.lock().map(drop), Err(FORKED));
        assert_eq!(lock.lock().map(drop), Err(FORKED));
        assert_eq!(value.segment().me().map(drop), Err(MemberError::Forked));
        let member = EndpointError::Member(MemberError::Forked);
        assert_eq!(queue.try_send(1), Err(TrySendError::Endpoint(1, member)));
        assert_eq!(queue.send(1).map_err(|error| error.into_inner()), Err(1));
        assert_eq!(queue.try_recv(), Err(TryRecvError::Endpoint(member)));
        assert!(queue.recv().is_err());
        assert_eq!(queue.sender().map(drop), Err(member));
        assert_eq!(tx.try_send(1), Err(TrySendError::Forked(1)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Forked));
        assert_eq!(tx.try_clone().map(drop), Err(EndpointError::Forked));
        // SAFETY: the child ends without using its copies again, here and below.
        drop(unsafe { std::ptr::read(&tx) });
        // SAFETY: as above.
        drop(unsafe { std::ptr::read(&queue) });
        // SAFETY: as above.
        drop(unsafe { std::ptr::read(&value) });
    })
    .join();
    assert_eq!(value.get(), Ok([1; 4]));
    queue.send(2).expect("the parent's rows are as they were");
    tx.send(3).expect("as above");
    assert_eq!((queue.recv(), rx.recv()), (Ok(2), Ok(3)));
}

fn a_bare_child_releases_nothing() {
    let _watchdog = Watchdog::start("a_bare_child_releases_nothing");
    let value = Value::new([0u64; 2]).expect("a value");
    let parent = value.segment().me().expect("a row");
    let mut guard = value.lock().expect("a free lock");
    guard[0] = 7;
    Child::fork_barely(|| {
        std::panic::set_hook(Box::new(|_| ()));
        assert!(catch_unwind(AssertUnwindSafe(|| guard[0])).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| guard[0] = 1)).is_err());
        // SAFETY: the child ends without using its copies again.
        unsafe { std::ptr::drop_in_place(&raw mut guard) };
        // SAFETY: as above.
        drop(unsafe { std::ptr::read(&value) });
    })
    .join();
    Child::fork(|| {
        assert_eq!(value.segment().verdict(parent), ipc_core::raw::Verdict::Alive);
        assert_eq!(value.try_lock().map(drop), Err(LockError::WouldBlock));
    })
    .join();
    assert_eq!(*guard, [7, 0]);
    assert_eq!(Guard::owner(&guard).member(), parent.member());
}

fn a_bare_child_makes_and_opens_nothing() {
    let _watchdog = Watchdog::start("a_bare_child_makes_and_opens_nothing");
    let (name, other) = (UniqueName::new("there"), UniqueName::new("not"));
    let value = Value::create(&name, 1u64).expect("a value");
    let ticket = value.ticket();
    Child::fork_barely(|| {
        let refused = |error: Option<ipc_core::Error>| {
            let error = error.expect("an orphan makes nothing");
            assert_eq!(*error.kind(), ErrorKind::Forked, "{error}");
        };
        refused(Segment::new(4096).err());
        refused(Segment::create(&other, 4096).err());
        refused(Segment::open_or_create(&other, 4096).err());
        refused(Segment::open(&name).err());
        refused(Value::<u64>::attach(&ticket).err());
        refused(Value::new_in(value.segment(), 1u64).err());
        refused(Queue::<u64>::new(4).err());
    })
    .join();
    assert!(!other.path().exists());
    assert_eq!(value.get(), Ok(1));
}

fn a_bare_child_may_use_what_needs_no_lock() {
    let _watchdog = Watchdog::start("a_bare_child_may_use_what_needs_no_lock");
    let counter = AtomicValue::new(0u64).expect("a counter");
    Child::fork_barely(|| {
        counter.fetch_add(1, SeqCst);
    })
    .join();
    assert_eq!(counter.load(SeqCst), 1);
}

/// Neither the handlers nor the page make an orphan's child anything better.
fn children_of_a_bare_child_get_errors_too() {
    let _watchdog = Watchdog::start("children_of_a_bare_child_get_errors_too");
    let value = Value::new(1u64).expect("a value");
    let guard = value.lock().expect("a free lock");
    Child::fork_barely(|| {
        Child::fork(|| {
            assert_eq!(value.try_lock().map(drop), Err(FORKED));
            Child::fork_barely(|| assert_eq!(value.lock().map(drop), Err(FORKED))).join();
        })
        .join();
    })
    .join();
    drop(guard);
    // A fork in order, of one that was in order.
    Child::fork(|| {
        Child::fork_barely(|| assert_eq!(value.lock().map(drop), Err(FORKED))).join();
        value.update(|n| *n += 1).expect("in order");
    })
    .join();
    assert_eq!(value.get(), Ok(2));
}

/// Whatever threads of the parent hold at that moment. The children do not allocate.
fn xs23_a_bare_fork_among_busy_threads_hangs_nobody() {
    let _watchdog = Watchdog::start("xs23_a_bare_fork_among_busy_threads_hangs_nobody");
    let busy = Busy::new();
    busy.run(|| {
        for _ in 0..100 {
            Child::fork_barely(|| {
                assert!(matches!(busy.value.lock(), Err(FORKED)));
                assert!(matches!(busy.lock.lock(), Err(FORKED)));
                assert!(busy.queue.send(1).is_err() && busy.queue.recv().is_err());
            })
            .join();
        }
    });
    let words = busy.lock.lock().expect("nobody died holding it");
    assert_eq!(words[0], words[1]);
}

/// The child is forked by a thread that itself holds the gate and the locks behind it.
fn a_bare_child_in_the_middle_of_a_creation_gets_errors() {
    use ipc_core::raw::{Blueprint, Kind, Object, Place};
    let _watchdog = Watchdog::start("a_bare_child_in_the_middle_of_a_creation_gets_errors");
    let segment = Segment::new(1 << 16).expect("a segment");
    let came_back = Step::new();
    let init = |_| {
        Child::fork_barely(|| {
            assert_eq!(segment.me().map(drop), Err(MemberError::Forked));
            Child::fork(|| assert_eq!(segment.me().map(drop), Err(MemberError::Forked))).join();
        })
        .join();
        came_back.reach();
        Ok(())
    };
    let layout = std::alloc::Layout::new::<u64>();
    let plan = Blueprint { kind: Kind::VALUE, schema: "u64".into(), count: 1, layout, init: &init };
    Object::place(Place::NewIn(&segment), &plan, &Segment::options()).expect("room");
    came_back.wait();
    drop(Value::new_in(&segment, 1u64).expect("the directory is free again"));
}
