//! Texts that a test compares with a committed file, which one command rewrites.

use std::path::PathBuf;

/// How to rewrite what differs.
pub const HINT: &str = "differs from what is committed; if the change is meant: BLESS=1 cargo test -p ipc-tests";

/// Whether committed files are to be rewritten.
pub fn blesses() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Compares with the file of this name under `tests/golden`.
///
/// # Panics
/// If it differs.
pub fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if blesses() {
        std::fs::write(&path, text).expect("writing a golden file");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if committed == text {
        return;
    }
    let mut first = committed.lines().zip(text.lines()).enumerate().filter(|(_, (before, now))| before != now);
    let first = first.next().map(|(n, (before, now))| format!("line {}:\n- {before}\n+ {now}", n + 1));
    panic!("{name} {HINT}\n{}\nwhole:\n{text}", first.unwrap_or_default());
}
