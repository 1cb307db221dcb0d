//! Whatever system call fails, in whatever operation: an error or success, and nothing is left.
//!
//! Children are forked from a program that must have one thread: so this suite has a `main` of its own. It prints a table. An
//! argument chooses operations by a part of their name.

#![allow(clippy::print_stdout)]

use ipc_tests::faults::{all, sweep};
use ipc_tests::private;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    let operations: Vec<_> = all().into_iter().filter(|operation| operation.name.contains(wanted)).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        operations.iter().for_each(|operation| println!("{}: test", operation.name));
        return;
    }
    if let Err(errno) = private::shared_memory(256 << 20) {
        println!("no mount namespace ({errno}): names are looked for among those of others");
    }
    println!("{:<34} {:>5} {:>5} {:>4}  outcomes", "operation", "calls", "runs", "bad");
    let mut bad = 0;
    for operation in &operations {
        let report = sweep(operation).unwrap_or_else(|errno| panic!("{}: no child: {errno}", operation.name));
        let mut outcomes: Vec<_> = report.outcomes.iter().collect();
        outcomes.sort_by_key(|&(_, count)| std::cmp::Reverse(*count));
        let shown: Vec<_> = outcomes.iter().map(|(outcome, count)| format!("{count} × {outcome}")).collect();
        println!(
            "{:<34} {:>5} {:>5} {:>4}  {}",
            operation.name,
            report.calls,
            report.runs,
            report.bad.len(),
            shown.first().map_or("", String::as_str)
        );
        shown.iter().skip(1).for_each(|outcome| println!("{:<52}{outcome}", ""));
        report.bad.iter().for_each(|bad| println!("    BAD {bad}"));
        bad += report.bad.len();
    }
    assert_eq!(bad, 0, "an operation does not bear a failing system");
    println!("test result: ok. {} passed", operations.len());
}
