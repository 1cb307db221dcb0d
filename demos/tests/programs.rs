//! The programs as a user meets them: what they print, and how they end.

use std::process::Command;

use serde_json::{Value, json};

mod common;
use common::run;

const COUNTER: &str = env!("CARGO_BIN_EXE_counter");
const PRODUCER_CONSUMER: &str = env!("CARGO_BIN_EXE_producer_consumer");
const MAPREDUCE: &str = env!("CARGO_BIN_EXE_mapreduce");

/// Runs a program that must succeed; the last line of its output.
fn last_line(program: &str, arguments: &[&str]) -> String {
    let ended = run(Command::new(program).args(arguments));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.lines().last().unwrap().to_string()
}

fn json_of(program: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&last_line(program, arguments)).unwrap()
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn usage_errors_have_status_2() {
    let wrong: [(&str, &[&str]); 16] = [
        (COUNTER, &["--processes", "0"]),
        (COUNTER, &["--processes", "-1"]),
        (COUNTER, &["--processes"]),
        (COUNTER, &["--increments", "many"]),
        (COUNTER, &["--unknown"]),
        (COUNTER, &["path"]),
        (PRODUCER_CONSUMER, &["--producers", "0"]),
        (PRODUCER_CONSUMER, &["--consumers", "0"]),
        (PRODUCER_CONSUMER, &["--capacity", "0"]),
        (PRODUCER_CONSUMER, &["--unknown"]),
        (PRODUCER_CONSUMER, &["--items", "-1"]),
        (MAPREDUCE, &["--workers", "0"]),
        (MAPREDUCE, &["--workers", "1000000"]),
        (MAPREDUCE, &["--top", "-1"]),
        (MAPREDUCE, &["--unknown", "."]),
        (MAPREDUCE, &["-x"]),
    ];
    for (program, arguments) in wrong {
        let ended = run(Command::new(program).args(arguments));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    }
}

#[test]
fn help_is_help() {
    for program in [COUNTER, PRODUCER_CONSUMER, MAPREDUCE] {
        let ended = run(Command::new(program).arg("--help"));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains("--json"));
    }
}

#[test]
fn counter_counts_every_step() {
    assert_eq!(last_line(COUNTER, &[]), "Final counter value: 50000");
    assert_eq!(last_line(COUNTER, &["--processes", "3", "--increments", "0"]), "Final counter value: 0");
    assert_eq!(last_line(COUNTER, &["--processes", "100", "--increments", "7"]), "Final counter value: 700");
}

#[test]
fn counter_as_json() {
    let result = json_of(COUNTER, &["--processes", "2", "--increments", "1000", "--json"]);
    assert_eq!(keys(&result), ["increments", "processes", "seconds", "value"]);
    let Value::Object(mut result) = result else { panic!() };
    assert!(result.remove("seconds").unwrap().as_f64().unwrap() > 0.0);
    assert_eq!(Value::Object(result), json!({"processes": 2, "increments": 1000, "value": 2000}));
}

#[test]
fn producers_and_consumers_say_who_did_what() {
    let ended = run(Command::new(PRODUCER_CONSUMER).args(["--producers", "2", "--items", "20"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for producer in 1..=2 {
        for item in 1..=20 {
            let made = format!("producer {producer} produced item {item}");
            let taken = format!("consumed item {item} of producer {producer}");
            assert_eq!(ended.stdout.lines().filter(|line| *line == made).count(), 1, "{made}");
            assert_eq!(ended.stdout.lines().filter(|line| line.ends_with(&taken)).count(), 1, "{taken}");
        }
    }
    assert!(ended.stdout.lines().last().unwrap().starts_with("40 produced, 40 consumed, 0 missing, 0 duplicated"));
}

#[test]
fn producers_and_consumers_as_json() {
    let shapes =
        [("1", "1", "1", 1), ("4", "2", "500", 3), ("1", "5", "3", 1), ("2", "2", "0", 7), ("1", "1", "100", 1000)];
    for (producers, consumers, items, capacity) in shapes {
        let capacity = capacity.to_string();
        let result = json_of(
            PRODUCER_CONSUMER,
            &["--producers", producers, "--consumers", consumers, "--items", items, "--capacity", &capacity, "--json"],
        );
        assert_eq!(keys(&result), ["consumed", "duplicated", "missing", "produced", "seconds"]);
        let all = producers.parse::<u64>().unwrap() * items.parse::<u64>().unwrap();
        assert_eq!((&result["produced"], &result["consumed"]), (&json!(all), &json!(all)));
        assert_eq!((&result["missing"], &result["duplicated"]), (&json!(0), &json!(0)));
    }
}

#[test]
fn the_four_sentences() {
    for arguments in [&["--json"][..], &["--json", "--kill-worker"], &["--json", "--workers", "9"]] {
        let result = json_of(MAPREDUCE, arguments);
        assert_eq!((&result["words"], &result["distinct"], &result["files"]), (&json!(26), &json!(20), &json!(0)));
        let top = json!([
            ["python", 4],
            ["is", 3],
            ["programming", 2],
            ["an", 1],
            ["by", 1],
            ["created", 1],
            ["data", 1],
            ["guido", 1],
            ["high-level", 1],
            ["in", 1]
        ]);
        assert_eq!(result["top"], top);
        assert_eq!(result["killed"], json!(u32::from(arguments.contains(&"--kill-worker"))));
    }
    let text = last_line(MAPREDUCE, &[]);
    assert!(text.starts_with("26 words, 20 distinct"), "{text}");
}
