//! Names of segments and directories of files: unique per process, removed by a guard.

use ipc_core::Segment;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test uses; what it names is unlinked when this is dropped, also while the test panics.
#[derive(Debug)]
pub struct UniqueName {
    text: String,
    owner: u32,
}

impl UniqueName {
    /// A fresh name that begins with `t-`, this process and a number, and ends with `tag`.
    pub fn new(tag: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (owner, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { text: format!("{}{n}-{tag}", prefix()), owner }
    }

    /// Where a segment of this name lies.
    pub fn path(&self) -> PathBuf {
        home().join(&self.text)
    }
}

/// How all names of this process begin.
pub fn prefix() -> String {
    format!("t-{}-", std::process::id())
}

/// The directory of this user's named segments.
pub fn home() -> PathBuf {
    PathBuf::from(format!("/dev/shm/ipc-{}", nix::unistd::geteuid()))
}

impl Deref for UniqueName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Drop for UniqueName {
    fn drop(&mut self) {
        // A forked child has a copy of the guard and not the duty. That nothing has the name is the usual case.
        if self.owner == std::process::id() {
            let _ = Segment::unlink(&self.text);
        }
    }
}

/// A directory of mode 0700 that no other test uses; it goes with all that is in it when this is dropped.
#[derive(Debug)]
pub struct UniqueDirectory {
    path: PathBuf,
    owner: u32,
}

impl UniqueDirectory {
    /// A fresh one in `base`.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new_in(base: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (owner, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = base.join(format!("ipc-{}{n}", prefix()));
        std::fs::create_dir(&path).expect("a fresh directory");
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&path, closed).expect("it is ours");
        Self { path, owner }
    }

    /// A fresh one where temporary files are, on a disk as a rule.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }
}

impl Default for UniqueDirectory {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for UniqueDirectory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for UniqueDirectory {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
