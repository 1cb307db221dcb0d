//! Which part of the line of bytes who holds, and what is done.
//!
//! A pure state machine: the parent drives it, and copies each record that changed into shared memory, where the workers
//! read which bytes a range means. Only the parent writes.
//!
//! # States of a range
//!
//! | state | event | becomes |
//! |---|---|---|
//! | WAITING | [`give`](Ledger::give) to a worker | HELD by it |
//! | HELD | its holder publishes up to a byte inside it | HELD; it starts there from now on |
//! | HELD | its holder publishes up to its end | DONE |
//! | HELD | its holder dies: [`take_back`](Ledger::take_back) | WAITING, to be given out before the others |
//!
//! # Why nothing counts twice
//!
//! Worker numbers are never used again. What a worker published is [`accept`](Ledger::accept)ed only if it continues exactly
//! what that worker still holds. So if a worker's last message is found after its ranges were taken back, it is refused, and
//! what it says comes from whoever holds them now. What was published is accepted whole or not at all.

use std::collections::VecDeque;
use std::ops::Range;

use ipc_core::plain;

/// A range, as it lies in shared memory.
#[plain(name = "mapreduce/range/1")]
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// The first byte that nobody has published.
    pub from: u64,
    /// One past the last byte.
    pub to: u64,
    /// The number of the worker that holds it.
    pub holder: u32,
    /// `WAITING`, `HELD` or `DONE`.
    pub state: u32,
}

impl Record {
    /// To be given out.
    pub const WAITING: u32 = 1;
    /// A worker has it.
    pub const HELD: u32 = 2;
    /// All of it is published.
    pub const DONE: u32 = 3;
}

/// A part of a range that somebody has published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    /// Which range.
    pub range: u32,
    /// The first byte of the part.
    pub from: u64,
    /// One past its last byte.
    pub upto: u64,
}

/// Why something published is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such range.
    #[error("there is no range {range}")]
    NoSuchRange {
        /// Its number.
        range: u32,
    },
    /// The worker does not hold it, or no longer.
    #[error("worker {worker} does not hold range {range}")]
    NotHeld {
        /// Its number.
        range: u32,
        /// The worker.
        worker: u32,
    },
    /// The part is not the next one of its range.
    #[error("bytes {}..{} do not continue range {range}, which goes from {} to {}", part.start, part.end, open.start, open.end)]
    NotNext {
        /// Its number.
        range: u32,
        /// What was published.
        part: Range<u64>,
        /// What was to come.
        open: Range<u64>,
    },
    /// Ranges are not in ascending order.
    #[error("range {range} comes twice, or out of order")]
    Order {
        /// Its number.
        range: u32,
    },
}

/// All ranges.
#[derive(Debug)]
pub struct Ledger {
    records: Vec<Record>,
    waiting: VecDeque<u32>,
    bytes_open: u64,
}

impl Ledger {
    /// Ranges, all waiting, in this order.
    #[must_use]
    pub fn new(ranges: impl Iterator<Item = Range<u64>>) -> Ledger {
        let records: Vec<_> = ranges
            .map(|range| Record { from: range.start, to: range.end, holder: 0, state: Record::WAITING })
            .collect();
        let bytes_open = records.iter().map(|record| record.to - record.from).sum();
        Ledger { waiting: (0..records.len() as u32).collect(), records, bytes_open }
    }

    /// All records, by number.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many ranges wait to be given out.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes that nobody has published.
    #[must_use]
    pub fn bytes_open(&self) -> u64 {
        self.bytes_open
    }

    /// Gives the next waiting range to `worker`; `None` if none waits.
    pub fn give(&mut self, worker: u32) -> Option<u32> {
        let range = self.waiting.pop_front()?;
        let record = &mut self.records[range as usize];
        (record.state, record.holder) = (Record::HELD, worker);
        Some(range)
    }

    /// Takes all ranges that `worker` holds, and returns them in ascending order; they wait again, before all others.
    pub fn take_back(&mut self, worker: u32) -> Vec<u32> {
        let held = (0..).zip(&mut self.records).filter(|(_, record)| record.is_held_by(worker));
        let ranges: Vec<u32> = held
            .map(|(range, record)| {
                (record.state, record.holder) = (Record::WAITING, 0);
                range
            })
            .collect();
        for &range in ranges.iter().rev() {
            self.waiting.push_front(range);
        }
        ranges
    }

    /// Notes that `worker` has published these parts, in ascending order of their ranges; all of them or, if one is refused,
    /// none.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn accept(&mut self, worker: u32, parts: &[Cover]) -> Result<(), Refused> {
        let mut last = None;
        for &Cover { range, from, upto } in parts {
            let record = self.records.get(range as usize).ok_or(Refused::NoSuchRange { range })?;
            if last >= Some(range) {
                return Err(Refused::Order { range });
            }
            if !record.is_held_by(worker) {
                return Err(Refused::NotHeld { range, worker });
            }
            if from != record.from || !(from..=record.to).contains(&upto) {
                return Err(Refused::NotNext { range, part: from..upto, open: record.from..record.to });
            }
            last = Some(range);
        }
        for part in parts {
            let record = &mut self.records[part.range as usize];
            record.from = part.upto;
            if record.from == record.to {
                (record.state, record.holder) = (Record::DONE, 0);
            }
            self.bytes_open -= part.upto - part.from;
        }
        Ok(())
    }
}

impl Record {
    fn is_held_by(&self, worker: u32) -> bool {
        self.state == Record::HELD && self.holder == worker
    }
}

/// Cuts `line` into ranges of `size` bytes; the last one may be shorter.
pub fn cut(line: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    let size = size.max(1);
    let starts = (0..(line.end - line.start).div_ceil(size)).map(move |index| line.start + index * size);
    starts.map(move |start| start..line.end.min(start.saturating_add(size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledger() -> Ledger {
        Ledger::new(cut(0..25, 10))
    }

    #[test]
    fn cutting() {
        assert_eq!(cut(0..25, 10).collect::<Vec<_>>(), [0..10, 10..20, 20..25]);
        assert_eq!(cut(0..20, 10).count(), 2);
        assert_eq!(cut(0..0, 10).count(), 0);
        assert_eq!(cut(0..3, 0).count(), 3);
    }

    #[test]
    fn a_range_is_given_once_and_done_in_parts() {
        let mut ledger = ledger();
        assert_eq!([1, 2, 1, 2].map(|worker| ledger.give(worker)), [Some(0), Some(1), Some(2), None]);
        ledger.accept(1, &[Cover { range: 0, from: 0, upto: 4 }]).unwrap();
        ledger.accept(1, &[Cover { range: 0, from: 4, upto: 10 }, Cover { range: 2, from: 20, upto: 25 }]).unwrap();
        assert_eq!((ledger.bytes_open(), ledger.records()[0].state), (10, Record::DONE));
        ledger.accept(2, &[Cover { range: 1, from: 10, upto: 20 }]).unwrap();
        assert_eq!(ledger.bytes_open(), 0);
    }

    #[test]
    fn the_ranges_of_the_dead_are_given_out_first() {
        let mut ledger = ledger();
        ledger.give(1);
        ledger.give(2);
        ledger.accept(1, &[Cover { range: 0, from: 0, upto: 4 }]).unwrap();
        assert_eq!(ledger.take_back(1), [0]);
        assert_eq!(ledger.take_back(1), []);
        assert_eq!((ledger.give(3), ledger.give(3)), (Some(0), Some(2)));
        // What the dead had published stays.
        assert_eq!(ledger.records()[0], Record { from: 4, to: 10, holder: 3, state: Record::HELD });
    }

    #[test]
    fn what_the_dead_published_too_late_is_refused_whole() {
        let mut ledger = ledger();
        ledger.give(1);
        ledger.give(1);
        ledger.take_back(1);
        ledger.give(2);
        let parts = [Cover { range: 0, from: 0, upto: 10 }, Cover { range: 1, from: 10, upto: 20 }];
        assert_eq!(ledger.accept(1, &parts), Err(Refused::NotHeld { range: 0, worker: 1 }));
        assert_eq!(ledger.accept(2, &parts), Err(Refused::NotHeld { range: 1, worker: 2 }));
        assert_eq!(ledger.bytes_open(), 25);
        ledger.accept(2, &parts[..1]).unwrap();
        assert_eq!(ledger.accept(2, &parts[..1]), Err(Refused::NotHeld { range: 0, worker: 2 }));
    }

    #[test]
    fn parts_must_continue_what_is_held() {
        let mut ledger = ledger();
        ledger.give(1);
        ledger.give(1);
        for (from, upto) in [(1, 5), (0, 11), (0, u64::MAX), (5, 2)] {
            let refused = ledger.accept(1, &[Cover { range: 0, from, upto }]).unwrap_err();
            assert_eq!(refused, Refused::NotNext { range: 0, part: from..upto, open: 0..10 });
        }
        let part = Cover { range: 1, from: 10, upto: 12 };
        assert_eq!(ledger.accept(1, &[part, part]), Err(Refused::Order { range: 1 }));
        assert_eq!(ledger.accept(1, &[Cover { range: 9, ..part }]), Err(Refused::NoSuchRange { range: 9 }));
    }

    proptest! {
        /// Workers take, publish and die in any order: every byte is accepted exactly once.
        #[test]
        fn every_byte_once(steps in prop::collection::vec((0u32..3, 0u8..4, 1u64..12), 0..200)) {
            let mut ledger = ledger();
            let mut seen = [0u8; 25];
            let mut numbers = [1u32, 2, 3]; // of the three workers; a new one after each death
            let mut next = 4;
            let publish = |ledger: &mut Ledger, worker, length, seen: &mut [u8; 25]| {
                let held = (0..).zip(ledger.records()).find(|(_, record)| record.is_held_by(worker));
                if let Some((range, &Record { from, to, .. })) = held {
                    let upto = to.min(from + length);
                    ledger.accept(worker, &[Cover { range, from, upto }]).unwrap();
                    seen[from as usize..upto as usize].iter_mut().for_each(|byte| *byte += 1);
                }
            };
            for (seat, action, length) in steps {
                let worker = numbers[seat as usize];
                match action {
                    0 => {
                        ledger.give(worker);
                    }
                    1 => {
                        ledger.take_back(worker);
                        numbers[seat as usize] = next;
                        next += 1;
                    }
                    _ => publish(&mut ledger, worker, length, &mut seen),
                }
            }
            for worker in numbers {
                ledger.take_back(worker);
            }
            while ledger.give(next).is_some() {}
            while ledger.bytes_open() > 0 {
                publish(&mut ledger, next, 7, &mut seen);
            }
            prop_assert_eq!(seen, [1; 25]);
        }
    }
}
