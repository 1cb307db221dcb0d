//! The progress bar: on a terminal, and nowhere else.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;

use demos::zipf;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

mod common;
use common::{Folder, run};

/// What the program writes to a terminal on its standard error.
fn on_a_terminal(command: &mut Command) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let other_end: OwnedFd = File::options().read(true).write(true).open(name).unwrap().into();
    let mut child = command.env("TERM", "xterm").stdout(Stdio::null()).stderr(other_end).spawn().unwrap();
    command.stderr(Stdio::null()); // drops our other end: reading stops when the program has ended
    let text = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = File::from(terminal).read_to_end(&mut bytes); // ends with an error, as terminals do
        String::from_utf8_lossy(&bytes).into_owned()
    });
    assert!(child.wait().unwrap().success());
    text.join().unwrap()
}

#[test]
fn smoke() {
    let folder = Folder::new();
    let path = folder.path().join("zipf");
    zipf::write(&mut File::create(&path).unwrap(), 8 << 20, 1000, 1).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapreduce"));
    command.arg(&path);

    let text = on_a_terminal(&mut command);
    assert!(text.contains("8.0") && text.contains("MiB"), "{text:?}");
    assert_eq!(run(&mut command).stderr, "");
}
