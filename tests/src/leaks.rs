//! A guard that insists that a test leaves nothing: no name in /dev/shm, no child, no descriptor.

use crate::unique;
use nix::sys::wait::{WaitPidFlag, waitpid};
use std::collections::BTreeSet;
use std::fs;

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
fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(unique::home()) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&unique::prefix())).collect()
}

/// Open descriptors with what they refer to; the one that reads the list is closed by the time it would be looked at.
fn descriptors() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return BTreeSet::new() };
    let open = entries.flatten().filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some(format!("{} -> {}", entry.file_name().to_string_lossy(), target.display()))
    });
    open.filter(|line| !line.ends_with("/fd")).collect()
}
