//! Which files there are.
//!
//! A path that is named explicitly is read, whatever it is called and wherever it links to: a file as it is, a folder with
//! what is below it. Below, these are left out: hidden entries (their names start with a dot), symbolic links, whatever is
//! neither a file nor a folder, and folders that say in a `CACHEDIR.TAG` that their content can be made again
//! (<https://bford.info/cachedir/>). A path that is named twice counts twice.
//!
//! Folders are taken in the order of their names, so that two walks of the same tree give the same list.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const TAG: &str = "CACHEDIR.TAG";
const SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its length when it was found.
    pub len: u64,
}

/// A path that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct Unreadable {
    /// The path.
    pub path: PathBuf,
    /// Why.
    pub source: WalkError,
}

/// Why a path cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The operating system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It was named explicitly, and is a device, a pipe or a socket.
    #[error("it is neither a file nor a folder")]
    NotRegular,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// The files, in order.
    pub files: Vec<Found>,
    /// What could not be read; the walk went on beside it.
    pub unreadable: Vec<Unreadable>,
}

/// Walks `paths`, in their order.
#[must_use]
pub fn walk(paths: &[PathBuf]) -> Walk {
    let mut walk = Walk::default();
    for path in paths {
        if let Err(source) = walk.named(path) {
            walk.unreadable.push(Unreadable { path: path.clone(), source });
        }
    }
    walk
}

impl Walk {
    fn named(&mut self, path: &Path) -> Result<(), WalkError> {
        let kind = fs::metadata(path)?;
        if kind.is_file() {
            self.file(path.to_path_buf(), kind.len())?;
        } else if kind.is_dir() {
            self.below(fs::read_dir(path)?)?;
        } else {
            return Err(WalkError::NotRegular);
        }
        Ok(())
    }

    /// Takes these entries and everything below them, without recursion: a tree may be deep.
    fn below(&mut self, entries: fs::ReadDir) -> io::Result<()> {
        let mut rest = sorted(entries)?;
        while let Some(entry) = rest.pop() {
            let path = entry.path();
            if let Err(error) = self.entry(&entry, &path, &mut rest) {
                self.unreadable.push(Unreadable { path, source: error.into() });
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry, path: &Path, rest: &mut Vec<DirEntry>) -> io::Result<()> {
        if is_hidden(&entry.file_name()) {
            return Ok(());
        }
        let kind = entry.file_type()?; // of the entry itself: links are not followed
        if kind.is_file() {
            self.file(path.to_path_buf(), entry.metadata()?.len())?;
        } else if kind.is_dir() && !is_cache(path) {
            rest.append(&mut sorted(fs::read_dir(path)?)?);
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, len: u64) -> io::Result<()> {
        if len == 0 {
            // No range will cover it, so nobody else would find out that it is unreadable.
            open(&path)?;
        }
        self.files.push(Found { path, len });
        Ok(())
    }
}

/// Opens a regular file for reading. What has become something else meanwhile is refused; a pipe does not block.
///
/// # Errors
///
/// What the operating system returns; `InvalidInput` for what is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Entries in reverse order of their names: the first is popped first.
fn sorted(entries: fs::ReadDir) -> io::Result<Vec<DirEntry>> {
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    Ok(entries)
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// Whether the folder has a tag: a regular file that starts with the signature.
fn is_cache(folder: &Path) -> bool {
    let mut start = Vec::new();
    let tag = folder.join(TAG);
    fs::symlink_metadata(&tag).is_ok_and(|kind| kind.is_file())
        && open(&tag).and_then(|file| file.take(SIGNATURE.len() as u64).read_to_end(&mut start)).is_ok()
        && start == SIGNATURE
}
