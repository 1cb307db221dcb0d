//! What a process must not inherit: one page that the kernel empties in every child, however it was forked.
//!
//! `pthread_atfork` handlers run only for `fork(3)`. A child made by the bare system call, or by glibc's `_Fork`, has the
//! parent's memory and none of the repairs, so its memory cannot say that it is another process: except for this page, which
//! has MADV_WIPEONFORK and reads zero there. The child handler, where it runs, writes it anew.
//!
//! | epoch | installed | the process                                                                    |
//! |-------|-----------|--------------------------------------------------------------------------------|
//! | 0     | no        | has not used the library yet                                                   |
//! | n     | yes       | is in order; n changes with each fork between it and the first                 |
//! | 0     | yes       | is an *orphan*: its locks and tables are copies that nobody mended             |
//!
//! An orphan gets an error wherever it would need a lock of the process or a row, and its children are orphans, too, until
//! one of them calls exec. What it costs the others is one load where a handle looks up its row.
//!
//! The page is in `.bss`, not mapped for the purpose, so that looking at the epoch is one load from a known address. A page
//! that lies wholly in `.bss` has no file behind it, which MADV_WIPEONFORK demands. Source: `madvise(2)`.

use crate::sys::mapping;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Aligned and as large as the largest page of the architecture. The gate has a line of its own: it is written to.
#[repr(C)]
#[cfg_attr(target_arch = "aarch64", repr(align(65536)))]
#[cfg_attr(not(target_arch = "aarch64"), repr(align(4096)))]
struct Own {
    epoch: AtomicU32,
    gap: [u32; 31],
    gate: AtomicU32,
}

static OWN: Own = Own { epoch: AtomicU32::new(0), gap: [0; 31], gate: AtomicU32::new(0) };

/// Inherited on purpose.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// This process is a copy that no fork handler has mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orphan;

/// How many forks lie between the first process and this one, from 1 and never 0; 0 if one of them went past the handlers.
///
/// A handle that must not survive a fork notes it when made and compares it on use: one load.
#[inline]
pub fn fork_epoch() -> u32 {
    match OWN.epoch.load(Ordering::Relaxed) {
        0 => first_epoch(),
        epoch => epoch,
    }
}

#[cold]
fn first_epoch() -> u32 {
    install();
    OWN.epoch.load(Ordering::Relaxed)
}

/// Whether this process is in order. Before the first use of the library the answer may be no.
#[inline]
pub(crate) fn is_in_order() -> bool {
    OWN.epoch.load(Ordering::Relaxed) != 0
}

/// The word of the fork gate: an orphan finds it open.
pub(super) fn gate() -> &'static AtomicU32 {
    &OWN.gate
}

/// Installs page and handlers, once, before anything process-local is locked.
///
/// No `Once`: a child forked while another thread was inside would wait for it for ever. Threads that come at once do it
/// twice, to the same effect.
pub(crate) fn install() {
    if INSTALLED.load(Ordering::Acquire) {
        return;
    }
    // Miri knows neither.
    if !cfg!(miri) {
        // A kernel that refuses leaves a process in which forks past the handlers go unnoticed.
        let _ = mapping::wipe_on_fork(NonNull::from(&OWN));
        super::fork::install_handlers();
    }
    // ORDERING: Relaxed and Release: a child that sees INSTALLED has been forked with the epoch stored or wiped.
    let _ = OWN.epoch.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
    INSTALLED.store(true, Ordering::Release);
}

/// For the child handler: gives the child the epoch after its parent's.
pub(super) fn start_epoch_after(parents: u32) {
    OWN.epoch.store(parents.wrapping_add(1).max(1), Ordering::Relaxed);
}

/// The epoch as it stands.
pub(super) fn epoch() -> u32 {
    OWN.epoch.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_emptied_in_a_bare_child() {
        assert_ne!(fork_epoch(), 0);
        // SAFETY: the child makes one load and one system call.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if pid == 0 {
            let status = i32::from(is_in_order());
            // SAFETY: returns to nobody.
            unsafe { libc::_exit(status) };
        }
        let mut status = 0;
        // SAFETY: our own child; `status` is a valid place.
        assert_eq!(i64::from(unsafe { libc::waitpid(pid as i32, &mut status, 0) }), pid);
        assert_eq!(status, 0);
        assert!(is_in_order());
    }
}
