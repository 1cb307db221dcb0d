//! The parent: gives out ranges, adds up what is published, and replaces the dead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipc_core::raw::Place;
use ipc_core::{Array, SegmentOptions};
use ipc_process::{ExitStatus, Process};
use ipc_queue::{Queue, Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::{Event, Failed, Input, Order, Outcome, Report, Share, worker};
use crate::block::{Block, LongWord, Reason};
use crate::catalogue::{Catalogue, Content};
use crate::ledger::{Ledger, Record};
use crate::long::read_long;
use crate::walk;

/// How long the parent waits for a report before it looks whether anybody died.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// Ranges that may wait for a worker, so that it need not wait for the parent.
const AHEAD: usize = 8;

/// Places in a queue of orders: the ranges that wait, the one in work, and the word that a block is merged. It never fills.
const ORDERS: usize = AHEAD + 2;

/// How to count.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Processes, at least 1.
    pub workers: u32,
    /// Whether to kill one of them between taking a range and publishing it.
    pub kill_worker: bool,
}

/// Counts the words of `input` with child processes; `on_event` hears what happens meanwhile.
///
/// # Blocking
///
/// Until everything is counted. A worker that is stopped (SIGSTOP) holds up its ranges for as long.
///
/// # Process death
///
/// Workers may be killed at any time: the outcome is the same. If this process dies, they end.
///
/// # Errors
///
/// See [`Failed`]: among others, if so many workers die in a row that trying on would not end.
pub fn count(input: Input<'_>, options: Options, mut on_event: impl FnMut(Event)) -> Result<Outcome, Failed> {
    let catalogue = input.catalogue()?;
    let mut parent = Parent::new(input, &catalogue, options)?;
    let result = parent.run(&mut on_event);
    let (mut outcome, failed) = parent.dismiss(result.is_err());
    result?;

    let catalogue = Catalogue::open(&catalogue)?;
    for (file, reason) in failed {
        if let Content::File(path) = catalogue.get(file)?.content {
            outcome.unreadable.push((path.to_path_buf(), reason));
        }
    }
    let (words, sum) = (outcome.words, outcome.totals.sum());
    if words == sum { Ok(outcome) } else { Err(Failed::WrongSum { words, sum }) }
}

struct Parent<'a> {
    catalogue: Catalogue<'a>,
    /// The copy that the workers read.
    shared_catalogue: Array<u8>,
    ledger: Ledger,
    /// The copy that the workers read.
    shared_ledger: Array<Record>,
    reports: Receiver<Report>,
    /// For the workers that are still to be started.
    report_sender: Sender<Report>,
    share: Share,
    seats: Vec<Seat>,
    /// Numbers are not used again.
    last_number: u32,
    /// Ranges whose holder died.
    returned: BTreeSet<u32>,
    /// Deaths since the last publication.
    deaths: u32,
    sacrifice: Sacrifice,
    failed: BTreeMap<u32, Reason>,
    outcome: Outcome,
}

/// A worker and what belongs to it.
struct Seat {
    number: u32,
    process: Process<Result<(), String>>,
    orders: Sender<Order>,
    /// Its block, which its successor inherits.
    block: Array<u8>,
    /// Ranges given and not yet reported as counted.
    ahead: usize,
    /// Bytes counted and not published.
    unpublished: u64,
}

/// The worker that is to be killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sacrifice {
    /// It is to be chosen.
    Wanted,
    /// The worker of this number is told to stand still.
    Chosen(u32),
    /// It is killed, or was never wanted.
    Over,
}

impl<'a> Parent<'a> {
    fn new(input: Input<'_>, bytes: &'a [u8], options: Options) -> Result<Self, Failed> {
        let catalogue = Catalogue::open(bytes)?;
        let ledger = Ledger::new(input.ranges(&catalogue, options.workers)?.into_iter());
        // All workers and this process attach to these; the rows of the dead are used again.
        let rows = options.workers + 16;
        let members = SegmentOptions::default().members(rows);
        let shared_catalogue = Array::place(Place::New, bytes.len(), &members)?;
        shared_catalogue.lock()?.copy_from_slice(bytes);
        let shared_ledger = Array::place(Place::New, ledger.records().len(), &members)?;
        shared_ledger.lock()?.copy_from_slice(ledger.records());
        let (report_sender, reports) =
            Queue::options().members(rows).endpoints(rows).bounded(4 * options.workers as usize)?;
        let mut parent = Parent {
            outcome: Outcome { bytes: ledger.bytes_open(), ..Outcome::default() },
            catalogue,
            shared_catalogue,
            ledger,
            shared_ledger,
            reports,
            report_sender,
            share: Share::of(options.workers),
            seats: Vec::new(),
            last_number: 0,
            returned: BTreeSet::new(),
            deaths: 0,
            sacrifice: if options.kill_worker { Sacrifice::Wanted } else { Sacrifice::Over },
            failed: BTreeMap::new(),
        };
        for _ in 0..options.workers {
            let seat = parent.hire(Array::new(parent.share.block)?)?;
            parent.seats.push(seat);
        }
        Ok(parent)
    }

    /// Starts a worker.
    fn hire(&mut self, block: Array<u8>) -> Result<Seat, Failed> {
        self.last_number += 1;
        let (orders, its_orders) = bounded(ORDERS)?;
        let arguments = (
            self.last_number,
            its_orders,
            self.report_sender.try_clone()?,
            self.shared_ledger.clone(),
            self.shared_catalogue.clone(),
            block.clone(),
            self.share,
        );
        let name = format!("worker-{}", self.last_number);
        let process = Process::options().name(name).daemon(true).spawn(worker::work, arguments)?;
        Ok(Seat { number: self.last_number, process, orders, block, ahead: 0, unpublished: 0 })
    }

    fn run(&mut self, on_event: &mut dyn FnMut(Event)) -> Result<(), Failed> {
        while self.ledger.bytes_open() > 0 {
            self.give_out()?;
            match self.reports.recv_timeout(LOOK_AFTER) {
                Ok(report) => self.hear(report)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => return Err(Failed::Report(error)),
            }
            self.replace_the_dead(on_event)?;
            let unpublished = self.seats.iter().map(|seat| seat.unpublished).sum::<u64>();
            on_event(Event::Counted(self.outcome.bytes - self.ledger.bytes_open() + unpublished));
        }
        Ok(())
    }

    /// Gives every worker a range, then every worker a second one, and so on, until they have enough ahead.
    fn give_out(&mut self) -> Result<(), Failed> {
        loop {
            // Near the end, nobody shall have many when others have none.
            let enough = 1 + (self.ledger.waiting() / (2 * self.seats.len())).clamp(1, AHEAD);
            let mut given = false;
            for index in 0..self.seats.len() {
                given |= self.seats[index].ahead < enough && self.give(index)?;
            }
            if !given {
                return Ok(());
            }
        }
    }

    /// Gives the next range to a worker: first it is written down, then told. False if no range waits.
    fn give(&mut self, index: usize) -> Result<bool, Failed> {
        let seat = &mut self.seats[index];
        let Some(range) = self.ledger.give(seat.number) else { return Ok(false) };
        self.shared_ledger.set(range as usize, self.ledger.records()[range as usize])?;
        let mut flags = if self.returned.contains(&range) { Order::SOON } else { 0 };
        if self.sacrifice == Sacrifice::Wanted {
            self.sacrifice = Sacrifice::Chosen(seat.number);
            flags |= Order::STAND_STILL;
        }
        seat.ahead += 1;
        seat.tell(Order { kind: Order::RANGE, range, flags })?;
        Ok(true)
    }

    fn hear(&mut self, report: Report) -> Result<(), Failed> {
        let Some(index) = self.seats.iter().position(|seat| seat.number == report.worker) else {
            return Ok(()); // the last words of a worker whose ranges were taken back
        };
        let seat = &mut self.seats[index];
        match report.kind {
            Report::COUNTED => {
                seat.ahead = seat.ahead.saturating_sub(1);
                if let Some(record) = self.ledger.records().get(report.range as usize) {
                    seat.unpublished += record.to - record.from;
                }
            }
            Report::PUBLISHED => self.merge(index, report.len)?,
            Report::STANDING if self.sacrifice == Sacrifice::Chosen(seat.number) => {
                seat.process.kill()?;
                seat.process.wait()?;
                self.sacrifice = Sacrifice::Over;
            }
            _ => {} // not a report of this program
        }
        Ok(())
    }

    /// Adds what a worker has published, and gives it its block back.
    fn merge(&mut self, index: usize, len: u64) -> Result<(), Failed> {
        let Seat { number: worker, block, .. } = &self.seats[index];
        let (worker, block) = (*worker, block.clone());
        let broken = |source| Failed::Block { worker, source };
        let bytes = block.lock()?;
        let bytes = &bytes[..bytes.len().min(len as usize)];
        let block = Block::read(bytes).map_err(broken)?;
        self.ledger.accept(worker, &block.covers)?;
        for cover in &block.covers {
            let range = cover.range as usize;
            self.shared_ledger.set(range, self.ledger.records()[range])?;
        }
        for entry in block.entries {
            let (word, count) = entry.map_err(broken)?;
            self.outcome.totals.add(word, count);
            self.outcome.words += count;
        }
        self.outcome.lossy.extend(block.lossy);
        self.failed.extend(block.failed.iter().map(|failure| (failure.file, failure.reason)));
        for long in block.longs {
            self.add_long(long)?;
        }
        self.deaths = 0;
        let seat = &mut self.seats[index];
        seat.unpublished = 0;
        seat.tell(Order { kind: Order::MERGED, range: 0, flags: 0 })
    }

    /// Reads a word that was too long for a block from where it lies.
    fn add_long(&mut self, long: LongWord) -> Result<(), Failed> {
        let piece = self.catalogue.get(long.file)?;
        let read = match piece.content {
            Content::File(path) => walk::open(path).and_then(|file| read_long(&file, long.offset, long.len)),
            Content::Text(text) => read_long(&text, long.offset, long.len),
        };
        match read {
            Ok((word, lossy)) => {
                self.outcome.totals.add_long(word);
                self.outcome.words += 1;
                self.outcome.lossy.extend(lossy.then_some(long.file));
            }
            Err(error) => {
                self.failed.insert(long.file, Reason::of(&error));
            }
        }
        Ok(())
    }

    fn replace_the_dead(&mut self, on_event: &mut dyn FnMut(Event)) -> Result<(), Failed> {
        for index in 0..self.seats.len() {
            if self.seats[index].process.is_alive() {
                continue;
            }
            // What it had published counts: hear everything first.
            while let Ok(report) = self.reports.try_recv() {
                self.hear(report)?;
            }
            if self.ledger.bytes_open() > 0 {
                self.replace(index, on_event)?;
            }
        }
        Ok(())
    }

    fn replace(&mut self, index: usize, on_event: &mut dyn FnMut(Event)) -> Result<(), Failed> {
        let block = self.seats[index].block.clone();
        // Whatever the dead had begun to write is discarded.
        drop(block.recover(|_| ())?);
        let successor = self.hire(block)?;
        let dead = std::mem::replace(&mut self.seats[index], successor);

        let ranges = self.ledger.take_back(dead.number);
        for &range in &ranges {
            self.shared_ledger.set(range as usize, self.ledger.records()[range as usize])?;
        }
        if self.sacrifice == Sacrifice::Chosen(dead.number) {
            self.sacrifice = Sacrifice::Wanted; // somebody else was faster
        }
        self.outcome.killed += u32::from(dead.was_killed());
        let (name, pid, how) = (dead.process.name().to_string(), dead.process.pid(), dead.how());
        self.deaths += 1;
        if self.deaths > 16 + 4 * self.seats.len() as u32 {
            return Err(Failed::TooManyDeaths { deaths: self.deaths, last: how });
        }
        on_event(Event::Died { name, pid, how, ranges: ranges.len() });
        self.returned.extend(ranges);
        Ok(())
    }

    /// Lets all workers go, or after an error kills them, and waits for them.
    fn dismiss(self, kill: bool) -> (Outcome, BTreeMap<u32, Reason>) {
        let Parent { seats, reports, mut outcome, failed, .. } = self;
        drop(reports); // whoever still reports hears that nobody listens
        for Seat { orders, process, block, .. } in seats {
            drop((orders, block));
            if kill {
                let _ = process.kill(); // it may have ended
            }
            outcome.killed += u32::from(matches!(process.wait(), Ok(ExitStatus::Signalled { signal: 9, .. })));
        }
        (outcome, failed)
    }
}

impl Seat {
    /// Sends an order. If the worker is dead, nothing: its ranges will be taken back.
    fn tell(&self, order: Order) -> Result<(), Failed> {
        match self.orders.try_send(order) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(error) => Err(Failed::Order(error.into())),
        }
    }

    fn was_killed(&self) -> bool {
        matches!(self.process.exit_status(), Some(ExitStatus::Signalled { signal: 9, .. }))
    }

    /// How it ended, in words.
    fn how(self) -> String {
        match self.process.join() {
            Ok(Ok(())) => "left early".to_string(),
            Ok(Err(reason)) => format!("gave up: {reason}"),
            Err(error) => error.to_string(),
        }
    }
}
