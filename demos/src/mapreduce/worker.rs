//! A worker: counts the ranges that it is told to, and publishes what it found.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::path::PathBuf;

use ipc_core::raw::Guard;
use ipc_core::{Array, ArrayError, LockError};
use ipc_queue::{Receiver, RecvError, SendError, Sender};

use super::{Order, Report, Share};
use crate::block::{Draft, Failure, LongWord, NoRoom, Reason};
use crate::catalogue::{Catalogue, CatalogueError, Content};
use crate::counts::Counts;
use crate::ledger::{Cover, Record};
use crate::ranges::{Found, Limits, RangeError, Reader};
use crate::walk;

/// Runs a worker until its orders end. What stops it before that comes back as text: an error about shared memory is of no
/// use to another process.
pub(super) fn work(
    number: u32,
    orders: Receiver<Order>,
    reports: Sender<Report>,
    ledger: Array<Record>,
    catalogue: Array<u8>,
    block: Array<u8>,
    share: Share,
) -> Result<(), String> {
    let desk = Desk {
        number,
        orders,
        waiting: VecDeque::new(),
        reports,
        block,
        block_is_mine: true,
        share,
        draft: Draft::with(Counts::of_size(share.table)),
        words_max: Counts::words_in(share.table),
        counted: 0,
        stand_still: false,
    };
    let mut worker = Worker { ledger, catalogue, reader: Reader::new(Limits::STANDARD), desk };
    match worker.run() {
        Err(Stop::NoMoreOrders) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Why a worker stops.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("no more orders")]
    NoMoreOrders,
    #[error(transparent)]
    Array(#[from] ArrayError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error("receiving an order: {0}")]
    Receive(RecvError),
    #[error("sending a report: {0}")]
    Send(SendError<Report>),
}

/// The end of the orders is the end of the work, not an error; so is a parent that no longer listens.
impl From<RecvError> for Stop {
    fn from(error: RecvError) -> Stop {
        if error.is_closed() { Stop::NoMoreOrders } else { Stop::Receive(error) }
    }
}

impl From<SendError<Report>> for Stop {
    fn from(error: SendError<Report>) -> Stop {
        if error.is_closed() { Stop::NoMoreOrders } else { Stop::Send(error) }
    }
}

struct Worker {
    ledger: Array<Record>,
    catalogue: Array<u8>,
    reader: Reader,
    desk: Desk,
}

impl Worker {
    fn run(&mut self) -> Result<Infallible, Stop> {
        loop {
            let order = self.desk.next_order()?;
            let record = self.ledger.get(order.range as usize)?;
            if record.state == Record::HELD && record.holder == self.desk.number {
                self.desk.stand_still |= order.flags & Order::STAND_STILL != 0;
                self.count(order.range, record.from..record.to)?;
                self.desk.counted(order)?;
            }
        }
    }

    /// Counts a range of the line: the parts of one file after the other.
    fn count(&mut self, range: u32, line: Range<u64>) -> Result<(), Stop> {
        let mut from = line.start; // up to here it is published
        let mut at = line.start;
        while at < line.end {
            let piece = self.piece(at)?;
            let end = line.end.min(piece.line.end);
            self.count_piece(&piece, at..end, range, &mut from)?;
            at = end;
        }
        self.desk.counted += line.end - line.start;
        self.desk.draft.covers.push(Cover { range, from, upto: line.end });
        Ok(())
    }

    /// Counts the words of `part` of the line, which lies in `piece`.
    fn count_piece(&mut self, piece: &Piece, part: Range<u64>, range: u32, from: &mut u64) -> Result<(), Stop> {
        let (desk, start) = (&mut self.desk, piece.line.start);
        let each = |offset: u64, found: Found<'_>| {
            let has_grown = desk.draft_word(piece.file, offset, found);
            if has_grown && desk.is_full() {
                // A word belongs to its first byte: up to there, all is counted.
                let upto = start + offset + 1;
                desk.publish(Some(Cover { range, from: *from, upto }))?;
                *from = upto;
            }
            Ok(())
        };
        let bytes = part.start - start..part.end - start;
        let result = match &piece.source {
            Source::Text(text) => self.reader.read(&text.as_slice(), bytes, each),
            Source::File(path) => match walk::open(path) {
                Ok(file) => self.reader.read(&file, bytes, each),
                Err(error) => Err(RangeError::Read(error)),
            },
        };
        let reason = match result {
            Ok(()) => return Ok(()),
            Err(RangeError::Refused(stop)) => return Err(stop),
            Err(RangeError::Read(error)) => Reason::of(&error),
            Err(RangeError::Shorter { .. }) => Reason::Shorter,
        };
        self.desk.draft.failed.push(Failure { file: piece.file, reason });
        Ok(())
    }

    /// A private copy of the piece of the catalogue that covers `at`.
    fn piece(&self, at: u64) -> Result<Piece, Stop> {
        let bytes = self.catalogue.lock()?;
        let piece = Catalogue::open(&bytes)?.at(at)?;
        let source = match piece.content {
            Content::File(path) => Source::File(path.to_path_buf()),
            Content::Text(text) => Source::Text(text.to_vec()),
        };
        Ok(Piece { file: piece.index, line: piece.start..piece.start + piece.len, source })
    }
}

/// A file or a text, and its place on the line.
struct Piece {
    file: u32,
    line: Range<u64>,
    source: Source,
}

enum Source {
    File(PathBuf),
    Text(Vec<u8>),
}

/// Orders in, counts out.
struct Desk {
    number: u32,
    orders: Receiver<Order>,
    /// Orders that came while the block was awaited.
    waiting: VecDeque<Order>,
    reports: Sender<Report>,
    block: Array<u8>,
    /// False from a publication until the parent has merged it.
    block_is_mine: bool,
    share: Share,
    draft: Draft,
    /// Words for which the table is large enough.
    words_max: usize,
    /// Bytes of the line in the draft.
    counted: u64,
    stand_still: bool,
}

impl Desk {
    /// The next order for a range. Before it waits for one, it publishes what there is.
    fn next_order(&mut self) -> Result<Order, Stop> {
        loop {
            let order = match self.waiting.pop_front() {
                Some(order) => order,
                None if !self.draft.covers.is_empty() && self.orders.is_empty() => {
                    self.publish(None)?;
                    continue;
                }
                None => self.orders.recv()?,
            };
            match order.kind {
                Order::RANGE => return Ok(order),
                Order::MERGED => self.block_is_mine = true,
                _ => {} // not an order of this program
            }
        }
    }

    /// Notes a word of a file; true if the draft may have grown.
    #[inline]
    fn draft_word(&mut self, file: u32, offset: u64, found: Found<'_>) -> bool {
        let word = match found {
            Found::Word(word) => word,
            Found::Replaced(word) => {
                if self.draft.lossy.last() != Some(&file) {
                    self.draft.lossy.push(file);
                }
                word
            }
            Found::Long(len) => {
                self.draft.longs.push(LongWord { file, offset, len });
                return true;
            }
        };
        self.draft.counts.add(word, 1)
    }

    fn is_full(&self) -> bool {
        self.draft.counts.settled() + Counts::BATCH > self.words_max || self.draft.bound() > self.share.block
    }

    /// What to do when the range of an order is counted to its end.
    fn counted(&mut self, order: Order) -> Result<(), Stop> {
        let soon = order.flags & (Order::SOON | Order::STAND_STILL) != 0;
        if soon || self.is_full() || self.counted >= self.share.text {
            self.publish(None)?;
        }
        self.report(Report::COUNTED, order.range, 0)
    }

    /// Publishes the draft, and `part` of a range with it.
    fn publish(&mut self, part: Option<Cover>) -> Result<(), Stop> {
        while !self.block_is_mine {
            match self.orders.recv()? {
                order if order.kind == Order::MERGED => self.block_is_mine = true,
                order => self.waiting.push_back(order),
            }
        }
        self.draft.covers.extend(part);
        let mut block = self.block.lock()?;
        let len = self.draft.write(&mut block)?;
        if self.stand_still {
            return stand_still(&self.orders, &self.reports, self.number, block);
        }
        drop(block);
        self.report(Report::PUBLISHED, 0, len as u64)?;
        self.draft.clear();
        (self.block_is_mine, self.counted) = (false, 0);
        Ok(())
    }

    fn report(&self, kind: u32, range: u32, len: u64) -> Result<(), Stop> {
        let report = Report { len, worker: self.number, kind, range, padding: 0 };
        Ok(self.reports.send(report)?)
    }
}

/// Says that the block is written, and waits with it locked: to be killed, or for the parent to go.
fn stand_still(
    orders: &Receiver<Order>,
    reports: &Sender<Report>,
    worker: u32,
    block: Guard<'_, [u8]>,
) -> Result<(), Stop> {
    let report = Report { len: 0, worker, kind: Report::STANDING, range: 0, padding: 0 };
    reports.send(report)?;
    while orders.recv().is_ok() {}
    drop(block);
    Err(Stop::NoMoreOrders)
}
