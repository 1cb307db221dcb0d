//! What victims write down about their work before and after, so that a check knows what must be there and what may be.

use crate::page::Page;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// A ledger in shared memory of its own, which no operation under test touches.
pub type Ledger = Page<Books>;

/// The books of all processes of one scene.
#[derive(Debug, Default)]
pub struct Books {
    /// Additions that somebody began.
    pub begun: AtomicU64,
    /// Additions that came back.
    pub done: AtomicU64,
    /// Replacements that came back.
    pub replaced: AtomicU64,
    /// Who wrote in place, 0 if nobody did.
    writers: [AtomicU32; 4],
}

impl Books {
    /// Empty books.
    pub fn open() -> Ledger {
        Page::books(Self::default())
    }

    /// An addition begins.
    pub fn begin(&self) {
        self.begun.fetch_add(1, SeqCst);
    }

    /// An addition has come back.
    pub fn end(&self) {
        self.done.fetch_add(1, SeqCst);
    }

    /// The calling process is about to write in place.
    pub fn note_writer(&self) {
        let pid = std::process::id();
        let free = self.writers.iter().find(|writer| [0, pid].contains(&writer.load(SeqCst)));
        free.expect("a scene has at most four writers").store(pid, SeqCst);
    }

    /// Whether this process was about to write in place.
    pub fn wrote(&self, pid: u32) -> bool {
        self.writers.iter().any(|writer| writer.load(SeqCst) == pid)
    }

    /// Judges a sum of which every addition adds one.
    pub fn allows(&self, sum: u64) -> bool {
        (self.done.load(SeqCst)..=self.begun.load(SeqCst)).contains(&sum)
    }
}
