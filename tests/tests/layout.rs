//! `docs/layout.md` says what the code does, and a segment of today is the segment of yesterday.
//!
//! `BLESS=1 cargo test -p ipc-tests --test layout` rewrites offsets and types in the page, and the golden segment. XS24 rests on
//! it: a layout that changes by accident is found here, not by a program of another version.

use ipc_core::inspect::{self, Record};
use ipc_core::raw::{Kind, Place};
use ipc_core::{Array, AtomicArray, AtomicValue, Segment, Value, plain, set_member_name};
use ipc_queue::Queue;
use ipc_sync::Lock;
use ipc_tests::golden::{self, golden};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

#[test]
fn the_page_says_what_the_code_does() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/layout.md"));
    let page = std::fs::read_to_string(&path).unwrap();
    let records: Vec<_> = [inspect::FORMAT, ipc_sync::inspect::FORMAT, ipc_queue::inspect::FORMAT].concat();
    let expected = rewritten(&page, &records);
    if golden::blesses() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{}", golden::HINT);
    for line in expected.lines() {
        assert!(!line.ends_with("|  |"), "the page does not say what this means: {line}");
    }
    for record in &records {
        assert!(expected.contains(&marker(record)), "the page has no table for `{}`", record.name);
    }
}

/// The page with every table as the code has it; meanings stay by name.
fn rewritten(page: &str, records: &[Record]) -> String {
    let mut out = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let table = match line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            None => {
                writeln!(out, "{line}").unwrap();
                continue;
            }
            Some(table) => table,
        };
        let mut old = Vec::new();
        while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
            old.push(row);
        }
        out += &match table {
            "numbers" => table_of_numbers(),
            "kinds" => table_of_kinds(),
            record => {
                let name = record.strip_prefix("record ").and_then(|rest| rest.split(':').next());
                let record = records.iter().find(|record| Some(record.name) == name);
                table_of(record.unwrap_or_else(|| panic!("the code has no `{table}`")), &old)
            }
        };
    }
    out
}

fn marker(record: &Record) -> String {
    format!("<!-- record {}: {} bytes, aligned to {} -->\n", record.name, record.bytes, record.align)
}

fn table_of(record: &Record, old: &[&str]) -> String {
    let meanings: BTreeMap<_, _> = old
        .iter()
        .filter_map(|row| {
            let mut cells = row.trim_matches('|').splitn(4, '|').map(str::trim).skip(2);
            Some((cells.next()?, cells.next()?))
        })
        .collect();
    let rows = record.fields.iter().map(|field| {
        let unknown = if field.name == "rest" { "zero" } else { "" };
        let meaning = meanings.get(field.name).copied().filter(|text| !text.is_empty()).unwrap_or(unknown);
        [field.offset.to_string(), field.kind.to_owned(), field.name.to_owned(), meaning.to_owned()]
    });
    marker(record) + &aligned(["offset", "type", "name", "meaning"], rows.collect())
}

fn table_of_numbers() -> String {
    let hexadecimal = |number: u64| if number > 1 << 20 { format!("{number:#x}") } else { number.to_string() };
    let rows = inspect::NUMBERS.iter().map(|(name, number)| [(*name).to_owned(), hexadecimal(*number)]);
    "<!-- numbers -->\n".to_owned() + &aligned(["what", "number"], rows.collect())
}

fn table_of_kinds() -> String {
    let rows = Kind::all().map(|(kind, name)| [kind.0.to_string(), name.to_owned()]);
    "<!-- kinds -->\n".to_owned() + &aligned(["kind", "name"], rows.collect())
}

/// A table whose columns, but the last, are padded.
fn aligned<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).chain([head[column].len()]).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(|column| if column + 1 < N { width(column) } else { 0 });
    let mut out = String::new();
    let mut push = |cells: [&str; N]| {
        for (cell, width) in cells.iter().zip(widths) {
            write!(out, "| {cell:width$} ").unwrap();
        }
        out += "|\n";
    };
    push(head);
    let rules: [String; N] = std::array::from_fn(|column| "-".repeat(widths[column].max(head[column].len())));
    push(std::array::from_fn(|column| rules[column].as_str()));
    rows.iter().for_each(|row| push(std::array::from_fn(|column| row[column].as_str())));
    out
}

#[plain(name = "golden/1")]
struct Wide {
    id: u64,
    tries: u8,
    cost: f32,
}

/// One segment with an object of every kind, byte for byte. What differs from run to run is masked.
#[test]
fn a_fresh_segment_is_the_golden_one() {
    golden("segment.hex", &dump(&bytes_of(&segment_of_everything()), &masked()));
}

/// Structures used to be written with their padding, which held addresses of the creator: a gift to whoever attacks it.
#[test]
fn a_new_segment_carries_no_addresses_of_its_creator() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped: Vec<Range<u64>> = maps
        .lines()
        .map(|line| {
            let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
            u64::from_str_radix(from, 16).unwrap()..u64::from_str_radix(to, 16).unwrap()
        })
        .collect();
    let bytes = bytes_of(&segment_of_everything());
    for (at, word) in bytes.chunks_exact(8).enumerate() {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        assert!(!mapped.iter().any(|range| range.contains(&word)), "{word:#x} at {:#x} is an address", at * 8);
    }
}

fn segment_of_everything() -> Segment {
    set_member_name("golden");
    let segment = Segment::options().members(2).anonymous(6000).unwrap();
    Value::create_in(&segment, "word", 0x1122_3344_5566_7788_u64).unwrap();
    Value::create_in(&segment, "wide", Wide { id: 0x0102_0304_0506_0708, tries: 9, cost: 0.5 }).unwrap();
    Array::<u32>::create_in(&segment, "array", 3).unwrap().set(1, 0xaabb_ccdd).unwrap();
    AtomicValue::create_in(&segment, "atomic", 5_u16).unwrap();
    AtomicArray::<u64>::create_in(&segment, "atomics", 2).unwrap();
    Lock::create_in(&segment, "lock", [1_u64, 2]).unwrap();
    Lock::new_in(&segment, ()).unwrap();
    let queue = Queue::<u64>::options().endpoints(2).place(Place::CreateIn(&segment, "queue"), 3).unwrap();
    queue.send(0xfeed_f00d).unwrap();
    segment
}

fn bytes_of(segment: &Segment) -> Vec<u8> {
    let file = File::from(segment.as_fd().try_clone_to_owned().unwrap());
    let mut bytes = vec![0; segment.len_bytes() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Bytes that are random, or of this process.
fn masked() -> Vec<Range<u64>> {
    let find = |name: &str| *inspect::FORMAT.iter().find(|record| record.name == name).unwrap();
    let fields = |record: Record, base: u64, names: &'static [&str]| {
        let chosen = record.fields.iter().filter(|field| names.contains(&field.name));
        chosen
            .map(move |field| base + field.offset as u64..base + (field.offset + field.bytes) as u64)
            .collect::<Vec<_>>()
    };
    let number = |name| inspect::NUMBERS.iter().find(|(known, _)| *known == name).unwrap().1;
    let header = fields(find("header"), 0, &["id", "creator_pid", "pid_ns", "boot"]);
    let of_process = &["pid", "pid_ns", "pidfs_ino", "start_ticks", "boot"];
    let row = fields(find("member row"), number("offset of the member rows"), of_process);
    [header, row].concat()
}

/// Lines of 32 bytes; lines of zeros are left out.
fn dump(bytes: &[u8], masked: &[Range<u64>]) -> String {
    let mut out = String::new();
    for (at, line) in (0..).step_by(32).zip(bytes.chunks(32)) {
        if line.iter().all(|byte| *byte == 0) {
            continue;
        }
        write!(out, "{at:06x} ").unwrap();
        for (at, byte) in (at..).zip(line) {
            let gap = if at % 8 == 0 { " " } else { "" };
            let hidden = masked.iter().any(|range| range.contains(&at));
            if hidden { write!(out, "{gap}..") } else { write!(out, "{gap}{byte:02x}") }.unwrap();
        }
        out += "\n";
    }
    out
}
