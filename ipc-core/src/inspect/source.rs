//! Where the bytes come from, and how they are read: by `pread(2)`, never through a mapping.
//!
//! A mapping of a file that is cut short meanwhile ends in SIGBUS, and a mapping of a hole makes the kernel fill it, which
//! takes memory from the file's owner. Reading does neither, and what is beyond the end is simply not there. See
//! `docs/decisions/0008-inspection-reads.md`.
//!
//! Others write while we read. A copy is therefore made again until two in a row are equal, a few times at most; one that never
//! settled says so, and what is found in it is told as such.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// A file, or bytes that somebody has already read.
#[derive(Debug)]
pub(super) struct Source<'a> {
    content: Content<'a>,
    size: u64,
}

#[derive(Debug)]
enum Content<'a> {
    File(&'a File),
    Memory(&'a [u8]),
}

/// Bytes as they were at some moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub bytes: Vec<u8>,
    /// Two copies in a row were equal.
    pub settled: bool,
}

/// Copies that are made of what does not settle.
const TRIES: usize = 4;

impl<'a> Source<'a> {
    pub fn file(file: &'a File, size: u64) -> Self {
        Self { content: Content::File(file), size }
    }

    pub fn memory(bytes: &'a [u8]) -> Self {
        Self { content: Content::Memory(bytes), size: bytes.len() as u64 }
    }

    /// Bytes there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A copy of up to `len` bytes; fewer where the content ends.
    pub fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let len = (len as u64).min(self.size.saturating_sub(at)) as usize;
        match self.content {
            Content::Memory(bytes) => bytes[bytes.len().min(at as usize)..][..len].to_vec(),
            Content::File(file) => {
                let mut bytes = vec![0; len];
                let got = read_all(file, at, &mut bytes);
                bytes.truncate(got);
                bytes
            }
        }
    }

    /// As [`read`](Self::read), of one moment if that can be had.
    pub fn snapshot(&self, at: u64, len: usize) -> Snapshot {
        let mut bytes = self.read(at, len);
        if matches!(self.content, Content::Memory(_)) {
            return Snapshot { bytes, settled: true };
        }
        for _ in 1..TRIES {
            let again = self.read(at, len);
            if again == bytes {
                return Snapshot { bytes, settled: true };
            }
            bytes = again;
        }
        Snapshot { bytes, settled: false }
    }
}

/// How much could be read.
fn read_all(file: &File, at: u64, bytes: &mut [u8]) -> usize {
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], at + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    got
}

/// A moving window over a source, for words that are read one after the other.
#[derive(Debug)]
pub(super) struct Window<'a> {
    source: &'a Source<'a>,
    start: u64,
    shown: Snapshot,
    settles: bool,
    /// Whether every part that was looked at had settled.
    pub settled: bool,
}

const WINDOW: usize = 64 << 10;

impl<'a> Window<'a> {
    /// Over what may change.
    pub fn new(source: &'a Source<'a>) -> Self {
        Self { source, start: 0, shown: Snapshot::default(), settles: true, settled: true }
    }

    /// That does not care whether what it sees is of one moment.
    pub fn hasty(source: &'a Source<'a>) -> Self {
        Self { settles: false, ..Self::new(source) }
    }

    /// Up to `len` bytes, at most a window's.
    pub fn get(&mut self, at: u64, len: usize) -> &[u8] {
        let inside = |start: u64, have: usize| at >= start && (at - start).saturating_add(len as u64) <= have as u64;
        if !inside(self.start, self.shown.bytes.len()) {
            self.start = at;
            self.shown = if self.settles {
                self.source.snapshot(at, WINDOW.max(len))
            } else {
                Snapshot { bytes: self.source.read(at, WINDOW.max(len)), settled: true }
            };
            self.settled &= self.shown.settled;
        }
        let from = (at - self.start) as usize;
        let have = &self.shown.bytes[from.min(self.shown.bytes.len())..];
        &have[..len.min(have.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_end_is_nothing() {
        let source = Source::memory(&[1, 2, 3]);
        assert_eq!(source.read(1, 10), [2, 3]);
        assert_eq!(source.read(u64::MAX, 10), []);
        let mut window = Window::new(&source);
        assert_eq!(window.get(2, 4), [3]);
        assert_eq!(window.get(3, 4), []);
        assert_eq!(window.get(u64::MAX, 4), []);
        assert_eq!(window.get(0, 2), [1, 2]);
        assert!(window.settled);
    }
}
