//! What the tests of processes share: a watchdog against hangs, and children that speak over a pipe.
#![allow(dead_code)]

use ipc_process::{Process, ProcessOptions};
use std::io::{PipeReader, Read, Write};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Aborts the test program if the guard still lives after two minutes: a hang is a failure.
pub fn watchdog() -> Sender<()> {
    let (guard, gone) = channel();
    std::thread::spawn(move || {
        if gone.recv_timeout(Duration::from_secs(120)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            std::process::abort();
        }
    });
    guard
}

/// Options for a child whose standard output can be read here. The end of it comes when the child and all it handed it to
/// are gone.
pub fn heard() -> (ProcessOptions, PipeReader) {
    let (reader, writer) = std::io::pipe().expect("pipe");
    (Process::options().stdout(writer), reader)
}

/// In a child: says one byte on standard output, at once.
pub fn say(byte: u8) {
    let mut stdout = std::io::stdout();
    stdout.write_all(&[byte]).and_then(|()| stdout.flush()).expect("stdout");
}

/// Waits for the next byte from a child; `None` if there will be none.
pub fn hear(reader: &mut PipeReader) -> Option<u8> {
    let mut byte = [0];
    (reader.read(&mut byte).expect("read") == 1).then_some(byte[0])
}

/// In a child: never returns.
pub fn stay() {
    loop {
        std::thread::park();
    }
}

/// In a child: says that it is there, and stays.
pub fn say_and_stay() {
    say(b'!');
    stay();
}

/// The numbers and targets of this process's descriptors, without the one that lists them.
pub fn descriptors() -> Vec<(i32, String)> {
    let names = std::fs::read_dir("/proc/self/fd").expect("proc");
    let numbers: Vec<i32> =
        names.map(|n| n.expect("entry").file_name().to_string_lossy().parse().expect("number")).collect();
    let target =
        |n: i32| std::fs::read_link(format!("/proc/self/fd/{n}")).ok().map(|t| (n, t.to_string_lossy().into()));
    let mut found: Vec<(i32, String)> = numbers.into_iter().filter_map(target).collect();
    found.sort();
    found
}

/// In a child: closes what the test program itself was started with besides its streams.
pub fn close_the_rest() {
    for (number, target) in descriptors() {
        if number > 2 && !target.starts_with("socket:") {
            // SAFETY: nothing in this process knows of it.
            assert_eq!(unsafe { libc::close(number) }, 0);
        }
    }
}

/// Runs `f` in a process of its own, where nothing else happens.
pub fn alone<R>(f: impl ipc_process::Task<(), Output = R>) -> R
where
    R: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    Process::spawn(f, ()).expect("spawn").join().expect("join")
}
