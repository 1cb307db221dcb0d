//! A `main` for tests that need a process to themselves: one after the other, in one thread.
//!
//! For suites with `harness = false`, whose tests fork from a process in which no other test is running.

use crate::leaks::Leaks;

/// A test and its name; see [`tests!`](crate::tests).
pub type Test = (&'static str, fn());

/// Names functions as tests.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => { &[$((stringify!($test), $test as fn())),*] };
}

/// Runs those whose name contains the first argument; understands `--list`. Each must leave nothing behind.
///
/// # Panics
/// As the tests do, which ends the process with a status that says so.
#[allow(clippy::print_stdout)]
pub fn run(tests: &[Test]) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let chosen: Vec<_> = tests.iter().filter(|(name, _)| name.contains(&wanted)).collect();
    if std::env::args().any(|argument| argument == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    for (name, test) in &chosen {
        let leaks = Leaks::watch();
        test();
        drop(leaks);
        println!("test {name} ... ok");
    }
    println!("test result: ok. {} passed", chosen.len());
}
