//! What a process has that the system gave it: descriptors, mappings, names, children.

use crate::leaks;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use std::collections::BTreeSet;
use std::fs;

/// What the calling process has at one moment.
#[derive(Debug)]
pub(super) struct Footprint {
    descriptors: BTreeSet<String>,
    mappings: BTreeSet<String>,
    names: BTreeSet<String>,
    without_keepers: bool,
}

impl Footprint {
    /// As it is now. The heap and the stack may grow, and do not count; nor do inaccessible shared pages, if so wished: a
    /// member keeps one.
    pub fn take(without_keepers: bool) -> Self {
        let mut mappings = mappings();
        mappings.retain(|line| !(without_keepers && line.contains(" ---s ")));
        let names = leaks::everything_named().into_iter().collect();
        Self { descriptors: leaks::descriptors(), mappings, names, without_keepers }
    }

    /// What has come since, and what has gone.
    pub fn changes(&self) -> Vec<String> {
        let now = Self::take(self.without_keepers);
        let differ = |what: &str, then: &BTreeSet<String>, now: &BTreeSet<String>| {
            let new = now.difference(then).map(|it| format!("{what} {it} is left"));
            new.chain(then.difference(now).map(|it| format!("{what} {it} is gone"))).collect::<Vec<_>>()
        };
        let mut changes = differ("the descriptor", &self.descriptors, &now.descriptors);
        changes.extend(differ("the mapping", &self.mappings, &now.mappings));
        changes.extend(differ("the name", &self.names, &now.names));
        if waitpid(None, Some(WaitPidFlag::WNOHANG)) != Err(Errno::ECHILD) {
            changes.push("a child is left".to_owned());
        }
        changes
    }
}

/// Mappings with neighbours of one kind joined: advice splits what nobody has mapped or unmapped.
fn mappings() -> BTreeSet<String> {
    let mut joined: Vec<(u64, u64, String)> = Vec::new();
    for line in fs::read_to_string("/proc/self/maps").expect("a process has mappings").lines() {
        let Some((range, rest)) = line.split_once(' ') else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let number = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        let fields: Vec<_> = rest.split_whitespace().collect();
        // Permissions, and the path; not the offset, which differs between neighbours.
        let kind = format!("{} {}", fields.first().unwrap_or(&""), fields.get(4..).unwrap_or(&[]).join(" "));
        if kind.contains("[heap]") || kind.contains("[stack]") {
            continue;
        }
        match joined.last_mut() {
            Some(last) if last.1 == number(start) && last.2 == kind => last.1 = number(end),
            _ => joined.push((number(start), number(end), kind)),
        }
    }
    joined.into_iter().map(|(start, end, kind)| format!("{start:x}-{end:x} {kind}")).collect()
}
