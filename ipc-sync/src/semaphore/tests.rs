//! The table on the heap: large ones, and hostile words.

use super::error::AcquireError;
use super::permit::held_by;
use super::spans::Spans;
use super::state::{Head, Table, first_word};
use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::{AtomicU64, Ordering};
use ipc_core::{Corrupt, Deadline, MemberError};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A member among many, of whom the first few are dead.
struct Town {
    me: Owner,
    dead_below: u16,
}

fn citizen(row: u16, thread: u16) -> Owner {
    Owner::new(1, row, thread)
}

impl Town {
    fn alive(row: u16) -> Self {
        Self { me: citizen(row, 1), dead_below: 0 }
    }
}

impl Census for Town {
    type Repair = ();

    fn me(&self) -> Result<Owner, MemberError> {
        Ok(self.me)
    }

    fn verdict(&self, who: Owner) -> Verdict {
        if who.row() < self.dead_below { Verdict::Dead } else { Verdict::Alive }
    }

    fn begin_repair(&self, _: Owner) -> Option<()> {
        Some(())
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        (who.row().into(), "citizen".into())
    }
}

fn parts(permits: u32, free: u32) -> (Head, Vec<AtomicU64>) {
    let words = (0..permits).map(|index| AtomicU64::new(first_word(index, free))).collect();
    (Head::new(Spans::of(permits), free), words)
}

/// Every permit of a large table is found once, from wherever the search begins.
#[test]
fn each_of_thousands_is_found_once() {
    for (permits, free) in [(1, 1), (64, 64), (65, 65), (100, 70), (5000, 5000), (65_536, 3)] {
        let (head, words) = parts(permits, free);
        let table = Table::new(&head, &words);
        let found: BTreeSet<_> = (0..free).map(|n| table.search(citizen(0, n as u16 % 8000)).expect("free")).collect();
        assert_eq!(found.len() as u32, free);
        assert_eq!((table.search(citizen(1, 1)), table.available(), table.is_any_free()), (None, 0, false));
        for &index in &found {
            table.slot(index).release(citizen(0, 9));
            assert!(table.is_any_free());
            assert_eq!(table.search(citizen(0, 5)), Some(index), "the only one");
        }
        found.iter().for_each(|&index| table.slot(index).release(citizen(0, 9)));
        assert_eq!(table.available(), free);
    }
}

/// Only the holder releases, and only once.
#[test]
fn releasing_what_is_not_held_does_nothing() {
    let (head, words) = parts(2, 1);
    let table = Table::new(&head, &words);
    table.slot(1).release(citizen(0, 1));
    table.slot(0).release(citizen(0, 1));
    assert_eq!(table.available(), 1);
    let index = table.search(citizen(0, 1)).unwrap();
    table.slot(index).release(citizen(1, 1));
    assert_eq!(table.available(), 0);
}

/// However many hold permits, everybody is asked about in the end, no more than 64 at a time.
#[test]
fn every_holder_is_asked_about_in_turn() {
    let (head, words) = parts(1000, 1000);
    let table = Table::new(&head, &words);
    for (row, word) in words.iter().enumerate() {
        word.store(held_by(citizen(row as u16, 0)), Ordering::Relaxed);
    }
    let town = Town { me: citizen(2000, 1), dead_below: 7 };
    let mut rounds = super::reclaim::Rounds::begin();
    let (mut taken, mut asked) = (0, 0);
    while taken < 7 {
        asked += 1;
        if table.reclaim(&town, &mut rounds).unwrap() {
            table.search(town.me).expect("it was set free");
            taken += 1;
        }
        assert!(asked <= 7 + 2 * (1000 / 64 + 1), "{asked} rounds for {taken}");
    }
    while !(1000 / 64..).contains(&asked) {
        assert!(!table.reclaim(&town, &mut rounds).unwrap(), "the others live");
        asked += 1;
    }
}

/// Bad bytes are a typed error to whoever would have to wait for them, and to nobody else.
#[test]
fn a_scribbled_permit_is_corrupt() {
    let (head, words) = parts(3, 3);
    let table = Table::new(&head, &words);
    words[1].store(0, Ordering::Relaxed);
    let town = Town::alive(0);
    table.acquire(&town, Deadline::NEVER).unwrap();
    table.acquire(&town, Deadline::NEVER).unwrap();
    let corrupt = AcquireError::Corrupt(Corrupt { what: "a permit of the semaphore", found: 0 });
    assert_eq!(table.acquire(&town, Deadline::NEVER), Err(corrupt.clone()));
    assert_eq!(table.acquire_many(&town, 2, Deadline::NEVER), Err(corrupt));
}

/// Signs are a hint: whatever they say, nothing is found twice, and who waits finds all.
#[test]
fn scribbled_signs_hide_nothing_for_long() {
    for scribble in [0, u64::MAX, 0x5555_5555_5555_5555] {
        let (head, words) = parts(70, 70);
        let table = Table::new(&head, &words);
        let town = Town::alive(0);
        let found: BTreeSet<_> = (0..70)
            .map(|_| {
                head.signs.iter().for_each(|sign| sign.store(scribble, Ordering::Relaxed));
                table.acquire(&town, Deadline::NEVER).unwrap().0
            })
            .collect();
        assert_eq!(found.len(), 70);
        head.signs.iter().for_each(|sign| sign.store(scribble, Ordering::Relaxed));
        assert_eq!(table.acquire(&town, Deadline::PASSED), Err(AcquireError::Timeout));
    }
}

/// A table without words, as a field of a type that says so, has no permit to give.
#[test]
fn an_empty_table_gives_nothing() {
    let (head, words) = parts(0, 0);
    let table = Table::new(&head, &words);
    assert_eq!(table.acquire(&Town::alive(0), Deadline::PASSED), Err(AcquireError::Timeout));
    assert_eq!(table.available(), 0);
}
