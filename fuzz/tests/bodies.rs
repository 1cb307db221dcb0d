//! The bodies over the committed corpus, and over what proptest makes up.

use fuzz::replay::{self, Outcome};
use fuzz::watchdog::Watchdog;
use fuzz::{TARGETS, directory, inspect, open_segment, ticket};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_corpus_replays() {
    for (target, body) in TARGETS {
        let Outcome { inputs, failed } = replay::run(body, &[replay::corpus(target)]).unwrap();
        assert!(inputs > 0, "{target} has no inputs");
        assert!(failed.is_empty(), "{target}: {failed:?}");
    }
}

#[test]
fn a_panic_is_a_failed_input() {
    let file = replay::corpus("ticket").join("name");
    let outcome = replay::run(|_| panic!("on purpose"), std::slice::from_ref(&file)).unwrap();
    assert_eq!(outcome, Outcome { inputs: 1, failed: vec![file] });
}

fn watched(body: fn(&[u8]), bytes: &[u8]) {
    let watchdog = Watchdog::start();
    watchdog.input(format!("{bytes:?}"));
    body(bytes);
}

/// A store at any place, of a value that is likely to be somewhere in a segment.
fn store() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![0u64..64, Just(u64::MAX), (0u64..64).prop_map(|grain| grain * 64), any::<u64>()];
    (0u8..4, any::<u16>(), value).prop_map(|(width, at, value)| {
        let value = &value.to_le_bytes()[..1 << width];
        [&[width][..], &at.to_le_bytes(), value].concat()
    })
}

/// An owner word or a copied word at any place, or a use.
fn other_step() -> impl Strategy<Value = Vec<u8>> {
    (4u8..8, any::<[u8; 4]>()).prop_map(|(step, rest)| [&[step][..], &rest].concat())
}

proptest! {
    /// XS24.
    #[test]
    fn any_file_opens_or_is_refused(bytes in vec(any::<u8>(), 0..6000)) {
        watched(open_segment, &[&[0][..], &bytes].concat());
    }

    #[test]
    fn a_damaged_segment_is_used_or_refused(which in 1u8..4, steps in vec(prop_oneof![3 => store(), 1 => other_step()], 0..12)) {
        watched(open_segment, &[vec![which], steps.concat()].concat());
    }

    #[test]
    fn any_bytes_are_described(in_a_file in 0u8..2, bytes in vec(any::<u8>(), 0..6000)) {
        watched(inspect, &[&[in_a_file][..], &bytes].concat());
    }

    #[test]
    fn a_damaged_segment_is_described(which in 2u8..6, steps in vec(prop_oneof![3 => store(), 1 => other_step()], 0..12)) {
        watched(inspect, &[vec![which], steps.concat()].concat());
    }

    #[test]
    fn any_text_is_a_ticket_or_refused(text in "(ipc:)?(fd|name)?:?.{0,60}") {
        watched(ticket, text.as_bytes());
    }

    #[test]
    fn a_ticket_leads_to_its_object_alone(fd in "\\{fd\\}|[0-9]{1,3}", offset in "\\{offset\\}|[0-9a-fA-F]{1,4}") {
        watched(ticket, format!("ipc:fd:{{pid}}.{fd}:{{id}}:{offset}").as_bytes());
    }

    #[test]
    fn a_directory_is_a_map(bytes in vec(any::<u8>(), 0..600)) {
        watched(directory, &bytes);
    }
}
