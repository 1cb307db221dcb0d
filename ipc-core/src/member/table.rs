//! The member table: one row per attached process.
//!
//! | offset | type    | name       | written by                                       |
//! |--------|---------|------------|--------------------------------------------------|
//! | 0      | u32     | generation | who takes the row: + 1, never 0                  |
//! | 4      | u32     | state      | FREE or TAKEN: a hint where to look first        |
//! | 8      | u32     | pid        | who takes the row, as are all below              |
//! | 12     | u32     | name_len   |                                                  |
//! | 16     | u64     | pid_ns     | inode of the PID namespace                       |
//! | 24     | u64     | pidfs_ino  | inode of the pidfd                               |
//! | 32     | u64     | start      | clock ticks since boot                           |
//! | 40     | u64 × 2 | boot       | boot id                                          |
//! | 56     | 64 B    | name       | of the process, cut                              |
//!
//! **1** take the row lock · **2** move the generation on · **3** write who we are · **4** state = TAKEN · **5** keep the lock
//! through a page and close the descriptor. Leaving: state = FREE, then the page goes.
//!
//! | dies after | is left                                     | who repairs it                                       |
//! |------------|---------------------------------------------|------------------------------------------------------|
//! | 1          | nothing: the kernel drops the lock          | –                                                    |
//! | 2, 3, 4, 5 | a row nobody locks, of a generation nobody owns anything by | the next member that takes the row   |
//!
//! Rows are tried round-robin, those marked free first, so a row rests as long as possible before its next generation. What
//! a dead member still owns in objects names its row *and* generation, and stays recognisably dead when the row is taken.
//!
//! # After a new boot
//!
//! Row locks do not outlive a boot, so every member of a file that does is dead. But after a power failure the file may hold an
//! owner word of a generation and the row of an older one, which would come again. So whoever takes a row of an earlier boot,
//! or a row that nobody had in a file of an earlier boot, moves the generation on by [`BOOT_LEAP`]: more than any row was
//! taken between two write-backs of the kernel, half a minute apart.

use super::fork::{self, Hold};
use super::row_lock::{self, Candidate};
use crate::error::MemberError;
use crate::raw::{Owner, Pad};
use crate::sys::mapping::KeeperPage;
use crate::sys::process::{self, Identity};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

pub(crate) const FREE: u32 = 0x4652_4545;
pub(crate) const TAKEN: u32 = 0x5441_4b45;
/// Bytes of a name that are kept.
pub(crate) const NAME_BYTES: usize = 64;
/// How far a generation moves on over a boot.
const BOOT_LEAP: u32 = 1 << 16;

/// One row.
#[repr(C, align(128))]
pub(crate) struct MemberRow {
    generation: AtomicU32,
    state: AtomicU32,
    pid: AtomicU32,
    name_len: AtomicU32,
    pid_ns: AtomicU64,
    pidfs_ino: AtomicU64,
    start_ticks: AtomicU64,
    boot: [AtomicU64; 2],
    name: [AtomicU8; NAME_BYTES],
    rest: Pad<8>,
}

const _: () = assert!(size_of::<MemberRow>() as u64 == crate::layout::header::ROW_BYTES);

crate::record! { "member row", MemberRow {
    generation: u32,
    state: u32,
    pid: u32,
    name_len: u32,
    pid_ns: u64,
    pidfs_ino: u64,
    start_ticks: u64,
    boot: [u64; 2],
    name: [u8; 64],
    rest: [u8; 8],
} }

impl MemberRow {
    /// The generation of whoever took the row last; 0 if nobody ever did.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// FREE, TAKEN, 0 in a row that nobody ever took, or what a scribbler left.
    pub(crate) fn state(&self) -> u32 {
        self.state.load(Ordering::Relaxed)
    }

    /// Bytes that the name has, if a member wrote it.
    pub(crate) fn name_len(&self) -> u32 {
        self.name_len.load(Ordering::Relaxed)
    }

    /// What was recorded of the process.
    pub(crate) fn identity(&self) -> Identity {
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Identity {
            pid: self.pid.load(Ordering::Relaxed),
            pid_ns: get(&self.pid_ns),
            pidfs_ino: get(&self.pidfs_ino),
            start_ticks: get(&self.start_ticks),
            boot: u128::from(get(&self.boot[1])) << 64 | u128::from(get(&self.boot[0])),
        }
    }

    /// The recorded name of the process.
    pub(crate) fn name(&self) -> String {
        let len = (self.name_len.load(Ordering::Relaxed) as usize).min(NAME_BYTES);
        let bytes: Vec<u8> = self.name[..len].iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn is_marked_free(&self) -> bool {
        self.state.load(Ordering::Relaxed) != TAKEN
    }

    /// Steps 2 to 4; the caller holds the row lock. `made`: the boot under which the segment was made.
    fn take(&self, who: &Identity, name: &str, made: u128) -> u32 {
        let (last, before) = (self.generation(), self.identity().boot);
        let known = if last == 0 { made } else { before };
        let leap = if known == who.boot { 1 } else { BOOT_LEAP };
        let generation = last.wrapping_add(leap).max(1);
        // ORDERING: Release [member/M1]: a reader that finds the old details below a new generation takes them for nobody's.
        self.generation.store(generation, Ordering::Release);
        let set = |word: &AtomicU64, value: u64| word.store(value, Ordering::Relaxed);
        self.pid.store(who.pid, Ordering::Relaxed);
        set(&self.pid_ns, who.pid_ns);
        set(&self.pidfs_ino, who.pidfs_ino);
        set(&self.start_ticks, who.start_ticks);
        set(&self.boot[0], who.boot as u64);
        set(&self.boot[1], (who.boot >> 64) as u64);
        self.write_name(name);
        self.state.store(TAKEN, Ordering::Release);
        generation
    }

    fn write_name(&self, name: &str) {
        let bytes = &name.as_bytes()[..name.floor_char_boundary_at(NAME_BYTES)];
        for (word, &byte) in self.name.iter().zip(bytes) {
            word.store(byte, Ordering::Relaxed);
        }
        self.name_len.store(bytes.len() as u32, Ordering::Relaxed);
    }

    /// The member leaves; its row lock goes right after.
    pub(crate) fn leave(&self) {
        self.state.store(FREE, Ordering::Release);
    }
}

trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    /// The longest prefix of at most `at` bytes that does not cut a character.
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rev().find(|&i| self.is_char_boundary(i)).unwrap_or(0)
    }
}

/// A membership: the owner word without a thread, and the page that keeps its row lock.
pub(crate) struct Membership {
    pub me: Owner,
    pub keeper: KeeperPage,
}

/// Makes the calling process a member.
pub(crate) fn join(
    rows: &[MemberRow],
    segment: BorrowedFd<'_>,
    next_row: &AtomicU32,
    made: u128,
    no_fork: &Hold,
) -> Result<Membership, MemberError> {
    let candidate = Candidate::new(segment).map_err(refused)?;
    let count = rows.len() as u32;
    let start = next_row.fetch_add(1, Ordering::Relaxed) % count;
    let order = || (0..count).map(|i| ((start + i) % count) as u16);
    let free_first = order().filter(|&row| rows[usize::from(row)].is_marked_free());
    for row in free_first.chain(order()) {
        if row_lock::is_held(segment, row).map_err(refused)? || !candidate.try_lock(row).map_err(refused)? {
            continue;
        }
        let (identity, name) = who_am_i(no_fork);
        let generation = rows[usize::from(row)].take(&identity, &name, made);
        let keeper = candidate.keep().map_err(refused)?;
        return Ok(Membership { me: Owner::new(generation, row, 0), keeper });
    }
    Err(MemberError::NoRow { rows: count })
}

fn refused(error: io::Error) -> MemberError {
    MemberError::System { errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// The identity is asked for once; a name may be set before.
struct Who {
    identity: Option<Identity>,
    name: Option<String>,
}

static WHO: Mutex<Who> = Mutex::new(Who { identity: None, name: None });

/// The identity and name of this process.
fn who_am_i(no_fork: &Hold) -> (Identity, String) {
    let mut who = fork::lock(&WHO, no_fork);
    let identity = who.identity.unwrap_or_else(Identity::of_this_process);
    who.identity = Some(identity).filter(Identity::is_complete);
    (identity, who.name.get_or_insert_with(process::command_name).clone())
}

/// Sets the name under which this process registers in segments from now on; by default the name of its program.
///
/// Others read it in error messages: "process 4711 (worker-3) died holding the lock". At most 64 bytes are kept.
pub fn set_member_name(name: &str) {
    let no_fork = fork::hold();
    fork::lock(&WHO, &no_fork).name = Some(name.to_owned());
}

/// In a forked child: it is somebody else now, of the same name.
pub(super) fn forget_identity(no_fork: &Hold) {
    fork::lock(&WHO, no_fork).identity = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank() -> MemberRow {
        // SAFETY: a MemberRow is atomics only, for which zero bytes are valid.
        unsafe { std::mem::zeroed() }
    }

    #[test]
    fn generations_leap_over_a_boot() {
        let row = blank();
        let who = |boot| Identity { boot, ..Identity::default() };
        assert_eq!(row.take(&who(7), "first", 7), 1);
        assert_eq!(row.take(&who(7), "again", 7), 2);
        assert_eq!(row.take(&who(8), "another boot", 7), 2 + BOOT_LEAP);
        assert_eq!(row.take(&who(8), "the same boot", 7), 3 + BOOT_LEAP);
        assert_eq!(blank().take(&who(8), "a row whose first generations were lost", 7), BOOT_LEAP);
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!("aé".floor_char_boundary_at(2), 1);
        assert_eq!("aé".floor_char_boundary_at(9), 3);
        assert_eq!("".floor_char_boundary_at(5), 0);
    }
}
