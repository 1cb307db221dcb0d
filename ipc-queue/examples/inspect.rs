//! Prints what is in a segment: `cargo run -p ipc-queue --example inspect NAME`.
//!
//! With a slash in it, NAME is the path of a file: a copy, or `/proc/PID/fd/N`. Status 0 if nothing is damaged, 1 if something is, 2
//! if there is nothing to look at. It knows queues, and all that the example of the same name in ipc-core knows.

use ipc_core::inspect::Inspector;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the output of a program")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [what] = &arguments[..] else {
        eprintln!("usage: inspect NAME or inspect PATH");
        return ExitCode::from(2);
    };
    let inspector = Inspector::new().with(ipc_queue::inspect::DESCRIBERS);
    let inspected = match what.to_str() {
        Some(name) if !name.contains('/') => inspector.name(name),
        _ => inspector.path(Path::new(what)),
    };
    match inspected {
        Ok(report) => {
            // Whoever reads only the first lines has seen enough.
            let _ = write!(std::io::stdout(), "{report}");
            ExitCode::from(u8::from(!report.is_sound()))
        }
        Err(error) => {
            eprintln!("inspect: {}: {error}", what.display());
            ExitCode::from(2)
        }
    }
}
