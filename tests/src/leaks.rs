//! A guard that insists that a test leaves nothing: no name in /dev/shm, no child, no descriptor.

use crate::{private, unique};
use nix::sys::wait::{WaitPidFlag, waitpid};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Compares what is there at its end with what was there at its beginning.
///
/// For programs that run one test at a time: descriptors and children belong to a process, not to a test.
#[derive(Debug)]
#[must_use = "it compares when it is dropped"]
pub struct Leaks {
    descriptors: BTreeSet<String>,
}

impl Leaks {
    /// Notes what is there now.
    pub fn watch() -> Self {
        Self { descriptors: descriptors() }
    }

    /// What has been left since; empty if nothing was.
    pub fn found(&self) -> Vec<String> {
        let mut found: Vec<_> = names().into_iter().map(|name| format!("the name {name}")).collect();
        found.extend(descriptors().difference(&self.descriptors).map(|fd| format!("the descriptor {fd}")));
        if waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok() {
            found.push("a child".to_owned());
        }
        found
    }
}

impl Drop for Leaks {
    fn drop(&mut self) {
        let found = self.found();
        assert!(found.is_empty() || std::thread::panicking(), "left behind: {found:?}");
    }
}

/// Names of this process that exist.
pub(crate) fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(unique::home()) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&unique::prefix())).collect()
}

/// Names of this process; or, where nobody else has any, everything in /dev/shm, the directory included.
pub(crate) fn everything_named() -> Vec<String> {
    if !private::is_entered() {
        return names();
    }
    let list = |path: &Path| {
        let entries = fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
        entries.unwrap_or_else(|_| Vec::<PathBuf>::new())
    };
    let top = list(Path::new("/dev/shm"));
    let below: Vec<_> = top.iter().flat_map(|path| list(path)).collect();
    top.into_iter().chain(below).map(|path| path.display().to_string()).collect()
}

/// Open descriptors with what they refer to; the one that reads the list is closed by the time it would be looked at.
pub(crate) fn descriptors() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return BTreeSet::new() };
    let open = entries.flatten().filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some(format!("{} -> {}", entry.file_name().to_string_lossy(), target.display()))
    });
    open.filter(|line| !line.ends_with("/fd")).collect()
}
