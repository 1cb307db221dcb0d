//! Churn: creating, attaching, leaving, unlinking and `gc` race in six processes that are killed at random moments.
//!
//! What must hold: **no split name**: two living processes that have the same name, of a segment that nobody unlinks by hand,
//! have the same segment. **No wedge**: every call comes back with what it may come back with. **No leak**: in the end nothing
//! has any of the names that go with their last member.
//!
//! How a split is seen without a false alarm: a worker writes the id of what it has into its cell after it got it, and clears the
//! cell before it lets go; the killer marks a worker before it kills. Who finds another id of its name in a cell, and *then* no
//! mark on that worker, has seen both held at once.
//!
//! At least two seconds each as this user and, if that is root, as another. For longer:
//!
//! ```text
//! IPC_CHURN_SECONDS=600 cargo test --release -p ipc-tests --test segment churn
//! ```

use ipc_core::{Error, ErrorKind, Segment, Value, gc};
use ipc_tests::child::{Child, Stranger, exit};
use ipc_tests::page::Page;
use ipc_tests::unique::UniqueName;
use ipc_tests::watchdog::Watchdog;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const WORKERS: usize = 6;
/// Names of segments that go with their last member, and that nobody unlinks.
const COLLECTED: usize = 3;
/// After those: one that goes with its last member and is unlinked too, and one that is unlinked only.
const NAMES: usize = COLLECTED + 2;

/// What all processes see of each other.
#[derive(Default)]
struct Board {
    workers: [Cell; WORKERS],
    splits: AtomicU64,
    surprises: AtomicU64,
    attached: AtomicU64,
    shared: AtomicU64,
    created: AtomicU64,
    collected: AtomicU64,
}

#[derive(Default)]
struct Cell {
    /// Half of the id of the segment that it has of each name that is never unlinked by hand; 0: none.
    has: [AtomicU64; COLLECTED],
    /// Set before it is killed.
    doomed: AtomicU32,
}

/// xorshift64*: which interleavings are tried, nothing else depends on it.
struct Dice(u64);

impl Dice {
    /// A number below `n`.
    fn pick(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n as u64) as usize
    }
}

fn seconds() -> Duration {
    let asked = std::env::var("IPC_CHURN_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(2))
}

#[test]
fn smoke() {
    churn();
}

#[test]
fn as_another_user() {
    if let Some(stranger) = Stranger::new() {
        stranger.fork(churn).join();
        assert!(!stranger.home().exists(), "the directory goes with its last name");
    }
}

fn churn() {
    let _watchdog = Watchdog::with_bound("churn", seconds() + Duration::from_secs(60));
    let names: [UniqueName; NAMES] = std::array::from_fn(|_| UniqueName::new("churn"));
    let board = Page::new(Board::default());
    let seed = std::process::id().into();
    let mut dice = Dice(seed);
    let mut workers: Vec<Child> = (0..WORKERS).map(|n| start(n, seed, &board, &names)).collect();
    let (began, mut kills) = (Instant::now(), 0u64);
    let tried =
        |kills| kills > 20 && [&board.attached, &board.created, &board.shared].iter().all(|n| n.load(SeqCst) > 20);
    while began.elapsed() < seconds() || !tried(kills) {
        // Not to wait for anything: when a worker is killed is what is tried.
        std::thread::sleep(Duration::from_micros(dice.pick(8000) as u64));
        let n = dice.pick(WORKERS);
        end(&mut workers[n], &board.workers[n]);
        kills += 1;
        workers[n] = start(n, seed ^ kills << 20, &board, &names);
    }
    (0..WORKERS).for_each(|n| end(&mut workers[n], &board.workers[n]));
    assert_eq!(board.splits.load(SeqCst), 0, "names were split");
    assert_eq!(board.surprises.load(SeqCst), 0, "calls came back with something else");
    let counted = [&board.attached, &board.created, &board.shared, &board.collected].map(|n| n.load(SeqCst));
    tell(&format_args!("{kills} kills; {counted:?} attached, created, shared, collected"));
    after(&names);
}

/// All are dead: what they left goes, and every name can be used again.
fn after(names: &[UniqueName; NAMES]) {
    gc().unwrap();
    for name in &names[..=COLLECTED] {
        assert!(!name.path().exists(), "{} was left", &**name);
    }
    for (n, name) in names.iter().enumerate() {
        let segment = open_or_create(n, name).unwrap();
        Value::new_in(&segment, 1u8).map(drop).or_else(is_full).unwrap();
        drop(segment);
        assert_eq!(Segment::unlink(name).is_ok(), n > COLLECTED);
    }
}

fn is_full(error: Error) -> Result<(), Error> {
    if matches!(error.kind(), ErrorKind::NoSpace { .. }) { Ok(()) } else { Err(error) }
}

fn end(worker: &mut Child, cell: &Cell) {
    cell.doomed.store(1, SeqCst);
    worker.kill();
    cell.has.iter().for_each(|id| id.store(0, SeqCst));
    cell.doomed.store(0, SeqCst);
}

fn start(n: usize, seed: u64, board: &Page<Board>, names: &[UniqueName; NAMES]) -> Child {
    Child::fork(|| {
        let mut dice = Dice((seed ^ (n as u64 + 1) << 40).max(1));
        loop {
            let which = dice.pick(NAMES);
            if let Err(surprise) = turn(n, which, &names[which], board, &mut dice) {
                tell(&surprise);
                board.surprises.fetch_add(1, SeqCst);
                exit(1);
            }
        }
    })
}

#[allow(clippy::print_stderr)]
fn tell(surprise: &dyn std::fmt::Display) {
    eprintln!("churn: {surprise}");
}

fn open_or_create(which: usize, name: &str) -> Result<Segment, Error> {
    let options = Segment::options().members(16);
    if which <= COLLECTED { options.unlink_with_last_member() } else { options }.open_or_create(name, 4096)
}

/// One thing that a process does with one name.
fn turn(n: usize, which: usize, name: &str, board: &Board, dice: &mut Dice) -> Result<(), Error> {
    let got = match dice.pick(8) {
        0..4 => open_or_create(which, name).map(Some),
        4..6 => match Segment::open(name) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => Ok(None),
            other => other.map(Some),
        },
        6 => {
            let options = Segment::options().members(16);
            let options = if which <= COLLECTED { options.unlink_with_last_member() } else { options };
            match options.create(name, 4096) {
                Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => Ok(None),
                other => {
                    board.created.fetch_add(1, SeqCst);
                    other.map(Some)
                }
            }
        }
        _ if which < COLLECTED => {
            let report = gc()?;
            board.collected.fetch_add(report.collected.len() as u64, SeqCst);
            Ok(None)
        }
        _ => match Segment::unlink(name) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => Ok(None),
            other => other.map(|()| None),
        },
    }?;
    let Some(segment) = got else { return Ok(()) };
    board.attached.fetch_add(1, SeqCst);
    if which < COLLECTED {
        let mine = segment.id() as u64 | 1;
        board.workers[n].has[which].store(mine, SeqCst);
        for other in board.workers.iter().enumerate().filter(|&(other, _)| other != n).map(|(_, other)| other) {
            match other.has[which].load(SeqCst) {
                0 => {}
                id if id == mine => _ = board.shared.fetch_add(1, SeqCst),
                _ if other.doomed.load(SeqCst) == 0 => _ = board.splits.fetch_add(1, SeqCst),
                _ => {}
            }
        }
    }
    // Objects fill it up within some hundred turns, if it lives so long.
    if dice.pick(4) == 0 {
        Value::new_in(&segment, 1u64).map(drop).or_else(is_full)?;
    }
    if which < COLLECTED {
        board.workers[n].has[which].store(0, SeqCst);
    }
    drop(segment);
    Ok(())
}
