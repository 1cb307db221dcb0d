//! The walk over a generated tree.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use demos::walk::{Walk, WalkError, open, walk};

mod common;
use common::Folder;

const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";

fn names(walk: &Walk, below: &Path) -> Vec<String> {
    let name = |path: &Path| path.strip_prefix(below).unwrap().to_str().unwrap().to_string();
    walk.files.iter().map(|file| name(&file.path)).collect()
}

#[test]
fn smoke() {
    let folder = Folder::new();
    folder.write("b.txt", "four");
    folder.write("a/deep/er/c.txt", "");
    folder.write("a.txt", "a");
    let walk = walk(&[folder.path().into()]);
    assert_eq!(names(&walk, folder.path()), ["a/deep/er/c.txt", "a.txt", "b.txt"]);
    assert_eq!(walk.files.iter().map(|file| file.len).collect::<Vec<_>>(), [0, 1, 4]);
    assert!(walk.unreadable.is_empty());
}

#[test]
fn what_is_left_out() {
    let folder = Folder::new();
    folder.write("kept", "");
    folder.write(".hidden", "");
    folder.write(".git/config", "");
    folder.write("cache/CACHEDIR.TAG", format!("{SIGNATURE}\n# made by a test"));
    folder.write("cache/below/x", "");
    symlink(folder.path().join("kept"), folder.path().join("link")).unwrap();
    symlink(folder.path(), folder.path().join("loop")).unwrap();
    symlink("nowhere", folder.path().join("broken")).unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    let walk = walk(&[folder.path().into()]);
    assert_eq!(names(&walk, folder.path()), ["kept"]);
    assert!(walk.unreadable.is_empty(), "{:?}", walk.unreadable);
}

#[test]
fn a_tag_needs_its_signature_and_must_be_a_file() {
    let folder = Folder::new();
    folder.write("wrong/CACHEDIR.TAG", "Signature: none");
    folder.write("short/CACHEDIR.TAG", &SIGNATURE[..20]);
    folder.write("folder/CACHEDIR.TAG/x", "");
    folder.write("link/y", "");
    folder.write(".tag", SIGNATURE);
    symlink(folder.path().join(".tag"), folder.path().join("link/CACHEDIR.TAG")).unwrap();
    let found = walk(&[folder.path().into()]);
    assert_eq!(
        names(&found, folder.path()),
        ["folder/CACHEDIR.TAG/x", "link/y", "short/CACHEDIR.TAG", "wrong/CACHEDIR.TAG"]
    );
}

#[test]
fn what_is_named_is_read() {
    let folder = Folder::new();
    folder.write(".hidden/x", "");
    folder.write("cache/CACHEDIR.TAG", SIGNATURE);
    symlink(".hidden/x", folder.path().join("link")).unwrap();
    let path = |name: &str| folder.path().join(name);
    let named = [path(".hidden"), path("cache"), path("link"), path("link")];
    assert_eq!(names(&walk(&named), folder.path()), [".hidden/x", "cache/CACHEDIR.TAG", "link", "link"]);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_found() {
    let folder = Folder::new();
    folder.write("x", "");
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    let path = |name: &str| folder.path().join(name);
    let named = [path("missing"), path("socket"), path("x/below"), PathBuf::new(), path("x")];
    let walk = walk(&named);
    assert_eq!(names(&walk, folder.path()), ["x"]);
    assert_eq!(walk.unreadable.iter().map(|one| one.path.clone()).collect::<Vec<_>>(), named[..4]);
    assert!(matches!(&walk.unreadable[0].source, WalkError::Io(error) if error.kind() == ErrorKind::NotFound));
    assert!(matches!(walk.unreadable[1].source, WalkError::NotRegular));
    assert!(walk.unreadable[0].to_string().contains("missing"));
}

#[test]
fn opening_what_is_no_file_is_an_error_and_does_not_block() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for path in [&pipe, folder.path()] {
        assert_eq!(open(path).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(open(&folder.path().join("x")).unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(folder.path().join("x"), "").unwrap();
    open(&folder.path().join("x")).unwrap();
}
