//! A shared-memory file system of its own: a mount namespace in which /dev/shm is fresh, of any size, and nobody else's.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Puts this process, and children forked later, into such a namespace. The process must have one thread.
///
/// Whoever is not root enters a user namespace first, in which the ids stay what they are.
///
/// # Errors
/// What the system refused; it may refuse all of this.
pub fn shared_memory(bytes: u64) -> nix::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        map_ids(uid.as_raw(), gid.as_raw())?;
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    let options = format!("size={bytes},mode=1777");
    mount(Some("tmpfs"), "/dev/shm", Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
    ENTERED.store(true, Ordering::Relaxed);
    Ok(())
}

/// In a fresh user namespace: one user and one group, the same inside and outside.
pub fn map_ids(uid: u32, gid: u32) -> nix::Result<()> {
    let refused = |_| nix::Error::EPERM;
    fs::write("/proc/self/setgroups", "deny").map_err(refused)?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).map_err(refused)?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).map_err(refused)
}

/// Whether this process has a shared-memory file system of its own.
pub fn is_entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}
