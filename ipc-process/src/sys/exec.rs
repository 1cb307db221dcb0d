//! Starting this program again. `posix_spawn(3)` of `/proc/self/exe`
//!
//! The C library clones with shared memory and suspends the calling thread until the new program is loaded: nothing of the
//! parent is copied, however large it is. `/proc/self/exe` is resolved by the kernel to the very file this process runs, also
//! after somebody has put another file at its path.

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigHandler, SigSet, Signal};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Starts this program with this process's arguments and environment, the environment variable `marker` set to `value`, and
/// `control` as descriptor 0. Returns its pid.
///
/// The new program starts with no signal blocked, and with SIGPIPE and SIGCHLD as the system defines them; other ignored
/// signals stay ignored. Its parent-death signal, should it ask for one, follows the *calling thread*.
pub(crate) fn start_self(control: BorrowedFd<'_>, marker: &str, value: &str) -> std::io::Result<i32> {
    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_dup2(control.as_raw_fd(), libc::STDIN_FILENO)?;

    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::from_iter([Signal::SIGPIPE, Signal::SIGCHLD]))?;

    let arguments: Vec<CString> = std::env::args_os().filter_map(|a| CString::new(a.into_vec()).ok()).collect();
    let environment = environment(marker, value);
    match posix_spawn(c"/proc/self/exe", &actions, &attributes, &arguments, &environment) {
        Ok(pid) => Ok(pid.as_raw()),
        Err(errno) => Err(errno.into()),
    }
}

fn environment(marker: &str, value: &str) -> Vec<CString> {
    let inherited = std::env::vars_os().filter(|(name, _)| name != OsStr::new(marker));
    let ours = (marker.into(), value.into());
    let entries = inherited.chain([ours]).map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend_from_slice(value.as_bytes());
        CString::new(entry)
    });
    entries.filter_map(Result::ok).collect()
}

/// Ignores SIGPIPE, as the start of a Rust `main` does: a write to a closed pipe is an error, not a death.
pub(crate) fn ignore_sigpipe() {
    // SAFETY: setting a signal to be ignored installs no handler; no other thread of the process depends on the old one.
    let set = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    debug_assert!(set.is_ok(), "SIGPIPE can be ignored");
}

/// Runs `f` with every signal blocked, so that a thread it starts never runs a handler.
pub(crate) fn with_signals_blocked<T>(f: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK);
    let result = f();
    if let Ok(before) = before {
        let restored: Result<(), Errno> = before.thread_set_mask();
        debug_assert!(restored.is_ok(), "a mask that was in force can be set");
    }
    result
}

/// Asks the kernel to kill this process when the thread that started it ends. `PR_SET_PDEATHSIG`
pub(crate) fn die_with_parent() -> std::io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

/// The user whose rights this process has.
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether a program started from here would count as one with more rights than its caller: real and effective ids differ.
pub(crate) fn would_be_privileged() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

/// The parent's pid, 0 if it is in another PID namespace. `getppid(2)`
pub(crate) fn parent_pid() -> i32 {
    rustix::process::Pid::as_raw(rustix::process::getppid())
}

/// Shows `name` as the name of this process (`ps`, `top`), cut to the 15 bytes that the kernel keeps. `PR_SET_NAME`
pub(crate) fn show_name(name: &str) {
    let mut end = name.len().min(15);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let shown: Vec<u8> = name[..end].bytes().take_while(|&b| b != 0).collect();
    if let Ok(shown) = CString::new(shown) {
        // Fails for no valid name; and a process without a pretty name works as well.
        let _ = rustix::thread::set_name(&shown);
    }
}
