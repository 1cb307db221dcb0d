//! Describing whatever a stranger made.
//!
//! Whatever the bytes are: no panic, no hang, nothing is written, every place that is told lies in the file, and the
//! description agrees with what attaching says: a header without damage is one that attaches, and an object without damage is
//! one that opens.

use crate::damage::{self, MOST_STEPS, Step};
use crate::input::Input;
use ipc_core::inspect::{Inspector, Report, Stage};
use ipc_core::raw::Object;
use ipc_core::{ErrorKind, Segment};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// Bytes of a file, at most.
const MOST_BYTES: usize = 64 << 10;

/// The first byte chooses: 0, the rest is what is described; 1, the same in a file of whole pages; else, damages to a good segment,
/// of which a *use* describes what there is so far.
pub fn inspect(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let which = input.u8();
    let rest = input.rest();
    match which {
        0 => check(&inspector().bytes(rest), rest.len() as u64),
        1 => {
            let mut content = rest[..rest.len().min(MOST_BYTES)].to_vec();
            content.resize(content.len().next_multiple_of(4096), 0);
            described(&damage::file_of(&content));
        }
        which => damaged(which - 2, input),
    }
}

fn inspector() -> Inspector {
    Inspector::new().with(ipc_sync::inspect::DESCRIBERS).with(ipc_queue::inspect::DESCRIBERS)
}

fn damaged(which: u8, mut input: Input<'_>) {
    let image = damage::image(which);
    let (file, size) = (damage::file_of(image), image.len() as u64);
    if input.is_empty() {
        let report = described(&file);
        assert!(report.is_sound(), "a good segment is called damaged:\n{report}");
    }
    for _ in 0..MOST_STEPS {
        match Step::read(&mut input) {
            None => break,
            Some(Step::Use | Step::UseAt(_)) => drop(described(&file)),
            Some(store) => store.apply(&file, size),
        }
    }
    described(&file);
}

fn described(file: &File) -> Report {
    let before = content(file);
    let report = inspector().fd(file.as_fd()).expect("a regular file is described, whatever it holds");
    assert!(content(file) == before, "inspection wrote something");
    check(&report, before.len() as u64);
    compare(&report, file);
    report
}

fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().expect("a file has metadata").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("reading a memfd");
    bytes
}

/// What holds of every report.
fn check(report: &Report, size: u64) {
    let text = report.to_string();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "a stranger's bytes reach the terminal:\n{text:?}");
    assert_eq!(report.is_sound(), text.contains("\nnothing is damaged\n"));
    assert_eq!(report.is_sound(), !text.lines().any(|line| line.trim_start().starts_with("x ")));
    for object in &report.objects {
        assert!(object.offset < size, "{object:?}");
        let ready = object.stage == Stage::Ready;
        assert!(!ready || object.body_at + object.body_bytes <= size, "{object:?}");
        assert!(!ready || object.offset + object.entry_bytes <= size, "{object:?}");
    }
    assert!(report.objects.windows(2).all(|pair| pair[0].offset < pair[1].offset), "objects lie one behind the other");
    assert!(report.members.windows(2).all(|pair| pair[0].row < pair[1].row));
}

/// Attaching agrees: with a copy, since it takes a row.
fn compare(report: &Report, file: &File) {
    let header_is_sound = report.header.damages().next().is_none();
    match Segment::from_fd(damage::file_of(&content(file)).into()) {
        Ok(segment) => {
            assert!(header_is_sound, "it attaches:\n{report}");
            for object in report.objects.iter().filter(|object| object.stage == Stage::Ready) {
                let opened = Object::at(segment.clone(), object.offset, object.kind, &object.schema);
                // An object is believed only where the walk through all entries before it leads.
                let behind_damage =
                    !report.is_sound() && matches!(&opened, Err(e) if matches!(e.kind(), ErrorKind::Corrupt(_)));
                let told = behind_damage || object.schema.contains('\u{fffd}');
                assert!(opened.is_ok() || told, "{object:?}: {opened:?}");
            }
        }
        Err(error) => {
            let other = matches!(error.kind(), ErrorKind::NoMemberRow { .. } | ErrorKind::Corrupt(_));
            assert!(!header_is_sound || other, "{error}, and yet:\n{report}");
        }
    }
}
