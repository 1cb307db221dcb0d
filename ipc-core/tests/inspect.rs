//! The example program says by its status what it found.

use ipc_core::{Segment, Value};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Output};

/// `cargo test` builds the examples beside the tests; `cargo test --test inspect` does not, so cargo is asked.
fn inspect(arguments: &[&str]) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--offline", "--package", "ipc-core", "--example", "inspect", "--"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap()
}

/// Whether a line has these words and no others, however they are aligned.
fn says(text: &str, words: [&str; 2]) -> bool {
    text.lines().any(|line| line.split_whitespace().eq(words))
}

struct Named(String);

impl Named {
    fn path(&self) -> PathBuf {
        // SAFETY: geteuid takes nothing and cannot fail.
        PathBuf::from(format!("/dev/shm/ipc-{}/{}", unsafe { libc::geteuid() }, self.0))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.0);
    }
}

#[test]
fn the_program_says_what_it_found() {
    let name = Named(format!("t-{}-inspect", std::process::id()));
    let _value = Value::create(&name.0, 41_u32).unwrap();
    let sound = inspect(&[&name.0]);
    let text = String::from_utf8(sound.stdout).unwrap();
    assert_eq!(sound.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("segment `{}`", name.0)) && says(&text, ["value", "41"]), "{text}");
    assert!(!text.contains('\x1b'), "no colours where there is no terminal");

    let file = std::fs::File::options().write(true).open(name.path()).unwrap();
    file.write_all_at(&[9; 8], 0).unwrap();
    let damaged = inspect(&[name.path().to_str().unwrap()]);
    let text = String::from_utf8(damaged.stdout).unwrap();
    assert_eq!(damaged.status.code(), Some(1), "{text}");
    assert!(text.contains("x magic") && says(&text, ["value", "41"]), "{text}");

    for usage in [&[][..], &["a", "b"], &["never-created"], &["no name"], &["/dev/null"]] {
        let refused = inspect(usage);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{usage:?}");
        assert!(!refused.stderr.is_empty());
    }
}
