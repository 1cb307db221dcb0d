//! Models of semaphores and events under every schedule, one small model per ordering label or race.
//!
//! `RUSTFLAGS="--cfg ipc_loom" cargo test --release -p ipc-sync --test loom`
#![cfg(ipc_loom)]

use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::{self, AtomicU32, AtomicU64, Ordering, UnsafeCell};
use ipc_core::{Deadline, MemberError};
use ipc_sync::count::{Count, ReleaseError};
use ipc_sync::event::{EventState, Reset};
use ipc_sync::semaphore::{AddError, Head, Spans, Table, first_word};
use loom::sync::Arc;
use loom::thread;
use std::borrow::Cow;

/// Explores `model` completely, up to a bound on preemptions where the space would be too large.
fn explore(preemptions: usize, rechecks: bool, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        shim::set_rechecks(rechecks);
        model();
    });
}

/// A semaphore on the heap; one member per thread, of whom those are dead whose bit is set.
struct Heap {
    head: Head,
    words: Vec<AtomicU64>,
    dead: AtomicU32,
    /// Guarded by a permit, where there is one: loom reports any access that it did not order.
    data: UnsafeCell<u32>,
}

struct Member<'a> {
    heap: &'a Heap,
    row: u16,
}

impl Heap {
    fn new(permits: u32, free: u32) -> Arc<Self> {
        let spans = Spans::of(permits);
        let words = (0..permits).map(|index| AtomicU64::new(first_word(index, free))).collect();
        Arc::new(Self { head: Head::new(spans, free), words, dead: AtomicU32::new(0), data: UnsafeCell::new(0) })
    }

    fn table(&self) -> Table<'_> {
        Table::new(&self.head, &self.words)
    }

    fn member(&self, row: u16) -> Member<'_> {
        Member { heap: self, row }
    }

    fn acquire(&self, row: u16) -> u32 {
        self.table().acquire(&self.member(row), Deadline::NEVER).unwrap().0
    }

    fn release(&self, index: u32, row: u16) {
        self.table().slot(index).release(owner(row));
    }

    /// The thread of this member makes no further step.
    fn bury(&self, row: u16) {
        self.dead.fetch_or(1 << row, Ordering::AcqRel);
    }
}

fn owner(row: u16) -> Owner {
    Owner::new(1, row, 1)
}

impl Census for Member<'_> {
    type Repair = ();

    fn me(&self) -> Result<Owner, MemberError> {
        Ok(owner(self.row))
    }

    fn verdict(&self, who: Owner) -> Verdict {
        // Acquire: the kernel reports a death only after the last store of the dead.
        let dead = self.heap.dead.load(Ordering::Acquire) & 1 << who.row() != 0;
        if dead { Verdict::Dead } else { Verdict::Alive }
    }

    fn begin_repair(&self, _: Owner) -> Option<()> {
        Some(())
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        (who.row().into(), "member".into())
    }
}

fn spawn<R: 'static>(heap: &Arc<Heap>, f: impl FnOnce(&Heap) -> R + 'static) -> thread::JoinHandle<R> {
    let heap = heap.clone();
    thread::spawn(move || f(&heap))
}

fn add_under_permit(heap: &Heap, row: u16) {
    let index = heap.acquire(row);
    // SAFETY: there is one permit, and we have it.
    heap.data.with_mut(|data| unsafe { *data += 1 });
    heap.release(index, row);
}

/// [sem/S1], [wait/W1]: one permit excludes, its next holder sees what was done under it, and no sleeper is left behind.
#[test]
fn one_permit_excludes_and_wakes() {
    explore(3, false, || {
        let heap = Heap::new(1, 1);
        let other = spawn(&heap, |heap| add_under_permit(heap, 1));
        add_under_permit(&heap, 2);
        other.join().unwrap();
        let index = heap.acquire(3);
        // SAFETY: as above.
        assert_eq!(heap.data.with(|data| unsafe { *data }), 2);
        heap.release(index, 3);
        assert_eq!(heap.table().available(), 1);
    });
}

/// The same with signs, and with more who want than there are.
#[test]
fn two_permits_serve_three() {
    explore(2, false, || {
        let heap = Heap::new(2, 2);
        let others: Vec<_> = (1..3)
            .map(|row| {
                spawn(&heap, move |heap| {
                    let index = heap.acquire(row);
                    heap.release(index, row);
                })
            })
            .collect();
        let index = heap.acquire(3);
        heap.release(index, 3);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(heap.table().available(), 2);
    });
}

/// [sem/S3]: whatever searchers do to the signs, a permit that is set free is found.
#[test]
fn a_free_permit_is_not_hidden() {
    explore(3, false, || {
        let heap = Heap::new(2, 2);
        let (first, second) = (heap.acquire(1), heap.acquire(1));
        let releasing = spawn(&heap, move |heap| heap.release(first, 1));
        let searching = spawn(&heap, |heap| heap.table().search(owner(2)));
        let mine = heap.table().search(owner(3));
        let others = searching.join().unwrap();
        releasing.join().unwrap();
        let left = heap.table().search(owner(1));
        assert_eq!([mine, others, left].iter().flatten().count(), 1, "one was set free");
        heap.release(second, 1);
        assert!(heap.table().search(owner(1)).is_some());
    });
}

/// [sem/S2], step 9: a permit whose holder died comes back to one who waits.
#[test]
fn permits_of_the_dead_come_back() {
    explore(2, true, || {
        let heap = Heap::new(2, 2);
        heap.acquire(1);
        heap.acquire(1);
        let dying = spawn(&heap, |heap| heap.bury(1));
        let index = heap.acquire(2);
        dying.join().unwrap();
        heap.release(index, 2);
        let both = (heap.acquire(2), heap.acquire(2));
        assert_ne!(both.0, both.1);
        assert_eq!(heap.table().available(), 0);
    });
}

/// Two who find the same dead holder at once: no permit is doubled, none lost.
#[test]
fn two_reclaim_from_one_dead_holder() {
    explore(2, true, || {
        let heap = Heap::new(2, 2);
        heap.acquire(1);
        heap.acquire(1);
        heap.bury(1);
        let other = spawn(&heap, |heap| heap.acquire(2));
        let mine = heap.acquire(3);
        let others = other.join().unwrap();
        assert_ne!(mine, others);
        assert_eq!(heap.table().available(), 0);
    });
}

/// Steps 3 and 6: a permit under a sign that somebody died without raising is found at a re-check.
#[test]
fn a_hidden_permit_is_found_by_who_waits() {
    explore(2, true, || {
        let heap = Heap::new(2, 2);
        let index = heap.acquire(1);
        heap.acquire(1);
        assert!(heap.table().search(owner(1)).is_none(), "all signs are down");
        // Step 3, and no other.
        heap.words[index as usize].store(first_word(0, 1), Ordering::SeqCst);
        assert_eq!(heap.acquire(2), index);
    });
}

/// Steps 11 and 12: two who want more than half at once do not wait for each other.
#[test]
fn two_gather_one_after_the_other() {
    explore(2, false, || {
        let heap = Heap::new(3, 3);
        let gather = |heap: &Heap, row| {
            let (indexes, me) = heap.table().acquire_many(&heap.member(row), 2, Deadline::NEVER).unwrap();
            indexes.into_iter().for_each(|index| heap.table().slot(index).release(me));
        };
        let other = spawn(&heap, move |heap| gather(heap, 1));
        gather(&heap, 2);
        other.join().unwrap();
        assert_eq!(heap.table().available(), 3);
    });
}

/// BS03: of two who add where there is room for one, one does.
#[test]
fn adding_is_exact() {
    explore(3, false, || {
        let heap = Heap::new(2, 1);
        let add = |heap: &Heap, row| heap.table().add(&heap.member(row), 1);
        let other = spawn(&heap, move |heap| add(heap, 1));
        let mine = add(&heap, 2);
        let results = [mine, other.join().unwrap()];
        assert!(results.contains(&Ok(())) && results.contains(&Err(AddError::Full { asked: 1, room: 0 })));
        assert_eq!(heap.table().available(), 2);
    });
}

/// Step 14: an added permit wakes who waits for it.
#[test]
fn an_added_permit_is_acquired() {
    explore(3, false, || {
        let heap = Heap::new(1, 0);
        let adding = spawn(&heap, |heap| {
            // SAFETY: no permit has been added: nobody else has access.
            heap.data.with_mut(|data| unsafe { *data = 7 });
            heap.table().add(&heap.member(1), 1).unwrap();
        });
        let index = heap.acquire(2);
        // SAFETY: the permit was added afterwards.
        assert_eq!(heap.data.with(|data| unsafe { *data }), 7);
        heap.table().slot(index).forget(owner(2));
        adding.join().unwrap();
        assert!(heap.table().search(owner(2)).is_none());
    });
}

struct Signalled {
    event: EventState,
    data: UnsafeCell<u32>,
}

fn signalled(reset: Reset) -> Arc<Signalled> {
    Arc::new(Signalled { event: EventState::new(reset), data: UnsafeCell::new(0) })
}

/// [event/E1], [wait/W1]: who waits wakes, and sees what was done before.
#[test]
fn a_set_event_wakes_and_publishes() {
    for reset in [Reset::Manual, Reset::Auto] {
        explore(3, false, move || {
            let shared = signalled(reset);
            let setter = {
                let shared = shared.clone();
                thread::spawn(move || {
                    // SAFETY: nobody looks before the event.
                    shared.data.with_mut(|data| unsafe { *data = 7 });
                    shared.event.set();
                })
            };
            shared.event.wait(Deadline::NEVER).unwrap();
            // SAFETY: it was written before the event was set.
            assert_eq!(shared.data.with(|data| unsafe { *data }), 7);
            assert_eq!(shared.event.is_set(), reset == Reset::Manual);
            setter.join().unwrap();
        });
    }
}

/// EV06: who waits when it is set and cleared at once gets through, however late it looks.
#[test]
fn set_and_clear_at_once_lets_waiters_through() {
    explore(3, false, || {
        let event = Arc::new(EventState::new(Reset::Manual));
        let (setter, looked) = (event.clone(), Arc::new(AtomicU32::new(0)));
        let seen = looked.clone();
        let setting = thread::spawn(move || {
            // Only who began to wait before may count on it: here, always.
            while seen.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            setter.set();
            setter.clear();
        });
        let since = ipc_core::raw::Waitable::moment(&*event);
        looked.store(1, Ordering::Release);
        event.wait_since(since, Deadline::NEVER).unwrap();
        setting.join().unwrap();
        assert!(!event.is_set());
    });
}

/// An automatic reset: two wait, one set lets one through, the next the other.
#[test]
fn one_set_lets_one_through() {
    explore(2, false, || {
        let event = Arc::new(EventState::new(Reset::Auto));
        let through = Arc::new(AtomicU32::new(0));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (event, through) = (event.clone(), through.clone());
                thread::spawn(move || {
                    event.wait(Deadline::NEVER).unwrap();
                    through.fetch_add(1, Ordering::AcqRel);
                })
            })
            .collect();
        event.set();
        while through.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        assert!(!event.is_set());
        event.set();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(!event.is_set());
    });
}

/// [count/C1], [wait/W1].
#[test]
fn a_released_count_wakes_and_publishes() {
    explore(3, false, || {
        let shared = Arc::new((Count::new(0), UnsafeCell::new(0u32)));
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                // SAFETY: nobody looks before the release.
                shared.1.with_mut(|data| unsafe { *data = 7 });
                shared.0.release(1, 1).unwrap();
            })
        };
        shared.0.acquire(Deadline::NEVER).unwrap();
        // SAFETY: written before the release.
        assert_eq!(shared.1.with(|data| unsafe { *data }), 7);
        other.join().unwrap();
    });
}

/// BS03: of two who release where there is room for one, one does.
#[test]
fn releasing_is_exact() {
    explore(3, false, || {
        let count = Arc::new(Count::new(1));
        let twin = count.clone();
        let other = thread::spawn(move || twin.release(1, 2));
        let results = [count.release(1, 2), other.join().unwrap()];
        let overflow = Err(ReleaseError::Overflow { asked: 1, found: 2, maximum: 2 });
        assert!(results.contains(&Ok(())) && results.contains(&overflow));
        assert_eq!(count.get(), Ok(2));
    });
}
