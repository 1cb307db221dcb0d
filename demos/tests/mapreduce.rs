//! The word count against one pass over the same files, also while its workers are killed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

use demos::long::TEXT_MAX;
use demos::zipf;
use serde_json::{Value, json};

mod common;
use common::{Ended, Folder, OnePass, Run, kill, run};

const KEYS: [&str; 10] =
    ["bytes", "distinct", "files", "killed", "lossy_files", "seconds", "top", "unreadable", "words", "workers"];

/// The command that prints every word as JSON.
fn command(arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapreduce"));
    command.args(["--json", "--top", "1000000000"]).args(arguments).arg(path);
    command
}

/// The result, which must be that of one pass.
fn checked(ended: &Ended, expected: &OnePass) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let mut keys: Vec<_> = result.as_object().unwrap().keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, KEYS);
    let numbers = ["words", "distinct", "files", "bytes", "lossy_files", "unreadable"].map(|key| &result[key]);
    let OnePass { files, bytes, lossy_files, .. } = *expected;
    assert_eq!(
        numbers,
        [expected.words(), expected.counts.len() as u64, files, bytes, lossy_files, 0].map(|n| json!(n)).each_ref()
    );
    let top: Vec<(String, u64)> = serde_json::from_value(result["top"].clone()).unwrap();
    let top: Vec<_> = top.iter().map(|(word, count)| (word.as_str(), *count)).collect();
    assert!(top == expected.sorted(), "the words differ");
    result
}

/// Files of all kinds, about 3 MB.
fn tree() -> Folder {
    let folder = Folder::new();
    folder.write("empty", "");
    folder.write("blank", " \n\u{3000}\t\u{85}".repeat(1000));
    folder.write("no end", "the last word has no white space behind it");
    folder.write("latin-1", b"d\xe9j\xe0 vu \xff".repeat(500));
    folder.write("greek/ΟΔΟΣ", "ΟΔΥΣΣΕΎΣ ὈδυσσεύΣ. ΑΣ\u{2003}σΣ\u{a0}Σ ".repeat(30_000));
    folder.write("wide", "漢字\u{3000}かな\u{3000}漢字\u{2028}".repeat(20_000));
    folder.write("one word", "Long".repeat(300_000));
    folder.write("two words", format!("{} {0}", "ȺÉ\u{3a3}x".repeat(TEXT_MAX / 6)));
    folder.write(".hidden", "hidden");
    folder.write("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
    for n in 0..300 {
        folder.write(format!("small/{n}"), format!("file {n}\nof 300"));
    }
    zipf::write(&mut File::create(folder.path().join("zipf")).unwrap(), 1 << 20, 20_000, 3).unwrap();
    folder
}

#[test]
fn smoke() {
    let folder = tree();
    let ended = run(&mut command(&[], folder.path()));
    let result = checked(&ended, &OnePass::over(folder.path()));
    assert_eq!((ended.stderr.as_str(), &result["killed"]), ("", &json!(0)));
}

#[test]
fn this_repository() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let expected = OnePass::over(root);
    assert!(expected.files > 50);
    for arguments in [&["--workers", "3"][..], &["--workers", "2", "--kill-worker"]] {
        checked(&run(&mut command(arguments, root)), &expected);
    }
}

#[test]
fn any_number_of_workers_counts_the_same() {
    let folder = tree();
    let expected = OnePass::over(folder.path());
    for workers in ["1", "2", "5", "40"] {
        let result = checked(&run(&mut command(&["--workers", workers], folder.path())), &expected);
        assert_eq!(result["workers"].to_string(), workers);
    }
}

#[test]
fn a_killed_worker_changes_nothing() {
    let folder = tree();
    let expected = OnePass::over(folder.path());
    for workers in ["1", "2", "4"] {
        let ended = run(&mut command(&["--workers", workers, "--kill-worker"], folder.path()));
        assert_eq!(checked(&ended, &expected)["killed"], json!(1));
        assert!(ended.stderr.contains("signal 9"), "{}", ended.stderr);
    }
}

#[test]
fn kill_worker_works_on_any_input_with_a_word() {
    let folder = Folder::new();
    for (name, text) in [("a", "a"), ("wide", "\u{3000}漢"), ("invalid", "x")] {
        let path = folder.write(name, text);
        let result = checked(&run(&mut command(&["--kill-worker"], &path)), &OnePass::over(&path));
        assert_eq!(result["killed"], json!(1));
    }
    let path = folder.write("nothing", "");
    let result = checked(&run(&mut command(&["--kill-worker"], &path)), &OnePass::over(&path));
    assert_eq!((&result["killed"], &result["files"], &result["top"]), (&json!(0), &json!(1), &json!([])));
}

#[test]
fn workers_killed_from_outside_change_nothing() {
    let folder = Folder::new();
    let path = folder.path().join("zipf");
    zipf::write(&mut File::create(&path).unwrap(), 24 << 20, 50_000, 4).unwrap();
    let mut run = Run::start(&mut command(&["--workers", "3"], &path));
    let mut stderr = BufReader::new(run.child.stderr.take().unwrap());
    let mut killed = 0;
    while killed < 12 {
        // One of those that live, in turn; then the next once the program has noticed.
        let children = run.children();
        let Some(&pid) = children.get(killed % children.len().max(1)) else {
            if run.child.try_wait().unwrap().is_some() {
                break; // it was faster
            }
            continue;
        };
        kill(pid);
        killed += 1;
        let mut line = String::new();
        if stderr.read_line(&mut line).unwrap() == 0 {
            break;
        }
        assert!(line.contains("signal 9"), "{line}");
    }
    let rest = std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
    let result = checked(&run.end(), &OnePass::over(&path));
    rest.join().unwrap().unwrap();
    assert!(result["killed"].as_u64().unwrap() <= killed as u64);
    assert!(result["killed"] != json!(0));
}

#[test]
fn a_parent_that_is_killed_leaves_nobody() {
    let folder = Folder::new();
    let path = folder.path().join("zipf");
    zipf::write(&mut File::create(&path).unwrap(), 16 << 20, 50_000, 5).unwrap();
    let mut run = Run::start(&mut command(&["--workers", "3"], &path));
    while run.children().len() < 3 {
        assert!(run.child.try_wait().unwrap().is_none());
    }
    run.child.kill().unwrap();
    run.wait();
    let started = std::time::Instant::now();
    while !run.processes().is_empty() {
        assert!(started.elapsed() < common::WATCHDOG, "{:?}", run.processes());
    }
}

#[test]
fn when_all_workers_die_it_gives_up() {
    let folder = Folder::new();
    let path = folder.path().join("zipf");
    zipf::write(&mut File::create(&path).unwrap(), 64 << 20, 1000, 6).unwrap();
    let mut run = Run::start(Command::new(env!("CARGO_BIN_EXE_mapreduce")).args(["--workers", "1"]).arg(&path));
    while run.child.try_wait().unwrap().is_none() {
        run.children().into_iter().for_each(kill);
    }
    let ended = run.end();
    // On a busy machine a worker may get through between two looks; then the counts are there.
    if ended.code != Some(0) {
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        assert!(ended.stderr.contains("workers died one after the other"), "{}", ended.stderr);
    }
}

#[test]
fn unreadable_paths_are_named_and_the_rest_is_counted() {
    let folder = Folder::new();
    folder.write("a", "one two");
    let missing = folder.path().join("missing");
    let ended = run(command(&[], &missing).arg(folder.path()).arg("/dev/null"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(missing.to_str().unwrap()) && ended.stderr.contains("/dev/null"), "{}", ended.stderr);
    let result: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let numbers = ["words", "distinct", "files", "unreadable"].map(|key| result[key].as_u64().unwrap());
    assert_eq!(numbers, [2, 2, 1, 2]);
}

#[test]
fn the_first_words_only() {
    let folder = Folder::new();
    let path = folder.write("a", "b b a a c \u{1b}[31m");
    for (top, expected) in
        [("0", json!([])), ("1", json!([["a", 2]])), ("3", json!([["a", 2], ["b", 2], ["\u{1b}[31m", 1]]))]
    {
        let ended = run(Command::new(env!("CARGO_BIN_EXE_mapreduce")).args(["--json", "--top", top]).arg(&path));
        let result: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        assert_eq!(result["top"], expected);
    }
    // Nothing that a text holds reaches the terminal as a command.
    let ended = run(Command::new(env!("CARGO_BIN_EXE_mapreduce")).arg(&path));
    assert!(ended.stdout.contains("[31m") && !ended.stdout.contains('\u{1b}'));
}
