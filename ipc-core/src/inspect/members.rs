//! Who is there: the member rows, with a verdict on each, and the names behind owner words.

use super::source::{Source, Window};
use super::{Recorded, Sheet};
use crate::layout::header::{ROW_BYTES, ROWS_AT};
use crate::member::table::{FREE, MemberRow, NAME_BYTES, TAKEN};
use crate::member::verdict;
use crate::raw::{Owner, Verdict};
use crate::sys::process;
use std::cell::RefCell;
use std::fmt;
use std::os::fd::BorrowedFd;

/// What became of a member.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Its process lives.
    Alive,
    /// Its process lives, but was stopped, by a signal or a debugger, when its row was looked at. It keeps what it holds.
    Stopped,
    /// Its process is gone, and did not leave by itself.
    Dead,
    /// It has left.
    Left,
    /// Its row belongs to a later member by now: it is dead, or has left.
    Replaced,
    /// There is no such row.
    Nobody,
    /// The system would not say, or the bytes are a mere copy.
    Unknown,
}

impl Presence {
    /// Whether its process may still act.
    pub fn may_act(self) -> bool {
        matches!(self, Self::Alive | Self::Stopped | Self::Unknown)
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alive => "alive",
            Self::Stopped => "alive, stopped",
            Self::Dead => "dead",
            Self::Left => "has left",
            Self::Replaced => "gone, its row is another's",
            Self::Nobody => "no such row",
            Self::Unknown => "unknown whether alive",
        })
    }
}

/// One row of the member table that somebody has taken at some time.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Index of the row.
    pub row: u16,
    /// How often the row was taken.
    pub generation: u32,
    /// The process, in its own PID namespace.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub presence: Presence,
    /// What is wrong with the row.
    pub sheet: Sheet,
}

/// Who is behind an owner word.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// As stored.
    pub owner: Owner,
    /// The process; 0 if not known any more.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub presence: Presence,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, pid, name, presence } = self;
        match pid {
            0 => write!(f, "row {} generation {} ({presence})", owner.row(), owner.generation()),
            pid => write!(f, "process {pid} ({name}, {presence})"),
        }
    }
}

/// The member table as it was read.
#[derive(Debug)]
pub(super) struct Members<'a> {
    source: &'a Source<'a>,
    fd: Option<BorrowedFd<'a>>,
    /// Rows there are.
    count: u32,
    taken: RefCell<Vec<Member>>,
}

impl<'a> Members<'a> {
    /// Reads all rows, of which there are `count`, and asks about those that somebody has taken.
    pub fn read(source: &'a Source<'a>, fd: Option<BorrowedFd<'a>>, count: u32) -> Self {
        let members = Self { source, fd, count, taken: RefCell::default() };
        let mut window = Window::hasty(source);
        let rows = (0..count.min(u16::MAX.into())).map(|row| row as u16);
        let taken = rows.filter_map(|row| {
            let bytes = window.get(place(row), ROW_BYTES as usize);
            // Nearly all rows are zero, and these need no second look.
            let copy = MemberRow::copied(bytes);
            (copy.generation() != 0 || copy.state() != 0).then(|| members.look(row))
        });
        let taken = taken.collect();
        members.taken.replace(taken);
        members
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn into_taken(self) -> Vec<Member> {
        self.taken.into_inner()
    }

    /// Who is behind an owner.
    pub fn who(&self, owner: Owner) -> Who {
        let nobody = |presence| Who { owner, pid: 0, name: String::new(), presence };
        if u32::from(owner.row()) >= self.count {
            return nobody(Presence::Nobody);
        }
        let mut taken = self.taken.borrow_mut();
        let at = match taken.binary_search_by_key(&owner.row(), |member| member.row) {
            Ok(at) => {
                if taken[at].generation < owner.generation() {
                    // It came after its row was read.
                    taken[at] = self.look(owner.row());
                }
                at
            }
            Err(at) => {
                taken.insert(at, self.look(owner.row()));
                at
            }
        };
        let Member { generation, pid, ref name, presence, .. } = taken[at];
        if generation == owner.generation() {
            Who { owner, pid, name: name.clone(), presence }
        } else {
            nobody(Presence::Replaced)
        }
    }

    /// Reads one row and asks about it.
    fn look(&self, row: u16) -> Member {
        let copy = MemberRow::copied(&self.source.snapshot(place(row), ROW_BYTES as usize).bytes);
        let identity = copy.identity();
        let presence = match self.fd {
            None => Presence::Unknown,
            Some(fd) => match verdict::of_row(Ok(fd), row, &identity) {
                Verdict::Alive if process::is_stopped(&identity) => Presence::Stopped,
                Verdict::Alive => Presence::Alive,
                Verdict::Dead if copy.state() == FREE => Presence::Left,
                Verdict::Dead => Presence::Dead,
                Verdict::Unknown => Presence::Unknown,
            },
        };
        let mut sheet = Sheet::default();
        if ![0, FREE, TAKEN].contains(&copy.state()) {
            sheet.damage("state", format_args!("{:#x}, neither FREE nor TAKEN", copy.state()));
        }
        if copy.name_len() > NAME_BYTES as u32 {
            sheet.damage("name", format_args!("{} bytes of {NAME_BYTES}", copy.name_len()));
        }
        Member { row, generation: copy.generation(), pid: identity.pid, name: tame(&copy.name()), presence, sheet }
    }
}

fn place(row: u16) -> u64 {
    ROWS_AT + u64::from(row) * ROW_BYTES
}

/// A text that a stranger wrote, fit for a terminal.
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
