//! The memory of all processes together.

use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io::BufWriter;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use demos::zipf;

mod common;
use common::{Folder, Run, until};

const BOUND_KIB: u64 = 256 << 10;

/// What a process and its descendants take at one moment: the proportional set size of everything but shared memory, and
/// the whole of every anonymous segment that any of them has open, touched or not.
fn taken_kib(pids: &[i32]) -> u64 {
    let (mut own, mut segments) = (0, HashMap::new());
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        own += rollup
            .lines()
            .filter(|line| line.starts_with("Pss_Anon:") || line.starts_with("Pss_File:"))
            .map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap())
            .sum::<u64>();
        for fd in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(fd.path()).unwrap_or_default();
            if let (true, Ok(kind)) = (target.to_string_lossy().starts_with("/memfd:"), fs::metadata(fd.path())) {
                segments.insert(kind.ino(), kind.blocks() / 2);
            }
        }
    }
    own + segments.values().sum::<u64>()
}

#[test]
fn a_million_distinct_words_stay_below_the_bound() {
    let folder = Folder::new();
    let path = folder.path().join("zipf");
    zipf::write(&mut BufWriter::new(File::create(&path).unwrap()), 64 << 20, 1_000_000, 7).unwrap();

    let run = Run::start(Command::new(env!("CARGO_BIN_EXE_mapreduce")).args(["--json", "--top", "1"]).arg(&path));
    let pid = run.child.id() as i32;
    let (send, done) = mpsc::channel();
    let look_at = |pid| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let children =
            tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok()).collect::<String>();
        let mut pids: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        pids.push(pid);
        taken_kib(&pids)
    };
    thread::spawn(move || send.send(run.end()).unwrap());
    let mut peak = 0;
    let ended = until(&done, Duration::from_millis(3), || peak = peak.max(look_at(pid)));

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("\"distinct\":1000000"), "{}", ended.stdout);
    assert!(peak > 40 << 10, "the samples saw {peak} KiB only");
    assert!(peak <= BOUND_KIB, "{peak} KiB at once");
}
