//! The choices that concern a mapping, looked up where the kernel says what came of them.

use ipc_core::{ErrorKind, Segment, SegmentOptions};
use ipc_tests::unique::{UniqueDirectory, UniqueName};
use std::os::unix::fs::MetadataExt;

/// The lines of `/proc/self/smaps` about the mapping of an anonymous segment with this label.
fn smaps(label: &str) -> Vec<String> {
    let all = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines =
        all.lines().skip_while(|line| !(line.contains(&format!("/memfd:{label} ")) && line.contains("rw-s")));
    let head = lines.next().expect("the mapping").to_owned();
    std::iter::once(head)
        .chain(lines.take_while(|line| !line.contains("-s ") && !line.contains("-p ")).map(str::to_owned))
        .collect()
}

fn field(label: &str, name: &str) -> String {
    let lines = smaps(label);
    let line = lines.iter().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {lines:?}")).trim().to_owned()
}

fn kib(label: &str, name: &str) -> u64 {
    field(label, name).trim_end_matches(" kB").trim().parse().unwrap()
}

fn labelled(tag: &str) -> (String, SegmentOptions) {
    let label = format!("t-{}-{tag}", std::process::id());
    (label.clone(), Segment::options().label(&label))
}

const BYTES: u64 = 1 << 20;

#[test]
fn populate_touches_every_page() {
    let (label, options) = labelled("populate");
    let segment = options.populate(true).anonymous(BYTES).unwrap();
    assert_eq!(kib(&label, "Rss"), segment.len_bytes() / 1024);
}

#[test]
fn what_is_not_to_be_dumped_is_not() {
    let (label, options) = labelled("dumped");
    let _segment = options.clone().anonymous(BYTES).unwrap();
    assert!(!field(&label, "VmFlags").contains("dd"));
    let (label, options) = labelled("not-dumped");
    let _other = options.dump(false).anonymous(BYTES).unwrap();
    assert!(field(&label, "VmFlags").contains("dd"));
}

#[test]
fn what_is_locked_in_memory_is_or_an_error_says_why_not() {
    let (label, options) = labelled("locked");
    match options.lock_in_memory(true).anonymous(64 << 10) {
        Ok(_segment) => assert!(field(&label, "VmFlags").contains("lo")),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::System { .. }), "{error}"),
    }
}

/// A request: there may be none.
#[test]
fn huge_pages_are_there_or_are_not() {
    let (label, options) = labelled("huge");
    let segment = options.huge_pages(true).populate(true).anonymous(8 << 20).unwrap();
    ipc_core::Value::new_in(&segment, 1u64).unwrap().set(2).unwrap();
    assert!(kib(&label, "Rss") >= 8 << 10);
    assert!(kib(&label, "ShmemPmdMapped") <= 8 << 10);
}

#[test]
fn who_opens_makes_choices_of_its_own() {
    let name = UniqueName::new("choices");
    let segment = Segment::create(&name, BYTES).unwrap();
    let again = Segment::options().dump(false).open(&name).unwrap();
    assert_eq!(again.id(), segment.id());
    let all = std::fs::read_to_string("/proc/self/smaps").unwrap();
    // The file was unnamed when it was mapped, and goes by the number of its inode.
    let inode = std::fs::metadata(name.path()).unwrap().ino().to_string();
    let flags = all
        .lines()
        .skip_while(|line| !(line.contains("rw-s") && line.split(' ').any(|word| word == inode)))
        .find(|line| line.starts_with("VmFlags:"));
    assert!(flags.is_some_and(|flags| flags.contains("dd")), "{flags:?}");
}

#[test]
fn modes_of_files() {
    let directory = UniqueDirectory::new();
    let mode = |bits: u32| Segment::options().mode(bits).create_file(directory.join(format!("{bits:o}")), 4096);
    for good in [0o600, 0o640, 0o644, 0o604] {
        mode(good).unwrap();
        assert_eq!(std::fs::metadata(directory.join(format!("{good:o}"))).unwrap().mode() & 0o7777, good);
        Segment::open_file(directory.join(format!("{good:o}"))).unwrap();
    }
    for bad in [0, 0o400, 0o660, 0o622, 0o700, 0o4600, 0o666] {
        let error = mode(bad).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument { what: "mode", .. }), "{bad:o}: {error}");
    }
    let name = UniqueName::new("mode");
    for error in [Segment::options().mode(0o640).create(&name, 1), Segment::options().mode(0o640).anonymous(1)] {
        assert!(matches!(error.unwrap_err().kind(), ErrorKind::InvalidArgument { what: "mode", .. }));
    }
}
