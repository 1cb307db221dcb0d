//! A user of ipc-process alone.

use ipc_process::{ExitStatus, Process, ProcessError};
use std::error::Error;

fn sum(numbers: Vec<u64>, times: u64) -> u64 {
    numbers.iter().sum::<u64>() * times
}

fn fail(why: String) {
    panic!("{why}");
}

fn sleep_for_ever() {
    loop {
        std::thread::park();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    assert_eq!(Process::spawn(sum, (vec![1, 2, 3], 7))?.join()?, 42);
    match Process::spawn(fail, ("on purpose".to_owned(),))?.join() {
        Err(ProcessError::Panicked { message, file, line }) => {
            assert_eq!((message.as_str(), file.as_str()), ("on purpose", file!()));
            assert!(line > 0);
        }
        other => panic!("a panic came back as {other:?}"),
    }
    let child = Process::spawn(sleep_for_ever, ())?;
    child.kill()?;
    assert!(matches!(child.wait()?, ExitStatus::Signalled { signal: 9, .. }));
    println!("ipc-process alone: ok");
    Ok(())
}
