//! Bodies, and whoever knows how to read them.

use super::members::{Members, Who};
use super::sheet::Sheet;
use super::source::{Source, Window};
use crate::raw::{Kind, Owner};
use std::cell::RefCell;
use std::fmt;

/// Somebody who knows what lies in the body of one kind of object.
///
/// Crates that bring kinds of their own bring their describers too, as a list; whoever inspects hands it to
/// [`Inspector::with`](super::Inspector::with). So this crate describes objects that it does not know.
///
/// A describer reads through [`Body`], whose answers are total, and must not panic, whatever it reads.
#[derive(Clone, Copy)]
pub struct Describer {
    /// What it describes.
    pub kind: Kind,
    /// Reads the body, and says what it found.
    pub describe: fn(&Body<'_>, &mut Sheet),
}

impl fmt::Debug for Describer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Describer({})", self.kind)
    }
}

/// The body of an object, as [`Describer`]s see it. Reading outside gives zeros, which are no valid state of anything.
#[derive(Debug)]
pub struct Body<'a> {
    window: RefCell<Window<'a>>,
    members: &'a Members<'a>,
    at: u64,
    len: u64,
    count: u64,
    schema: &'a str,
}

impl<'a> Body<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        members: &'a Members<'a>,
        at: u64,
        len: u64,
        count: u64,
        schema: &'a str,
    ) -> Self {
        Self { window: RefCell::new(Window::new(source)), members, at, len, count, schema }
    }

    /// Bytes of the body.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number its creator gave: elements, capacity.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The element type.
    pub fn schema(&self) -> &str {
        self.schema
    }

    /// A copy of `len` bytes at `at` of the body.
    pub fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let inside = (len as u64).min(self.len.saturating_sub(at)) as usize;
        let mut copy = match self.at.checked_add(at) {
            Some(at) => self.window.borrow_mut().get(at, inside).to_vec(),
            None => Vec::new(),
        };
        copy.resize(len, 0);
        copy
    }

    /// The byte at `at` of the body; below, words of more bytes.
    pub fn u8(&self, at: u64) -> u8 {
        u8::from_le_bytes(self.array(at))
    }

    /// See [`u8`](Self::u8).
    pub fn u16(&self, at: u64) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    /// See [`u8`](Self::u8).
    pub fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    /// See [`u8`](Self::u8).
    pub fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    fn array<const N: usize>(&self, at: u64) -> [u8; N] {
        let (mut word, mut window) = ([0; N], self.window.borrow_mut());
        let inside = (N as u64).min(self.len.saturating_sub(at)) as usize;
        if let Some(at) = self.at.checked_add(at) {
            let bytes = window.get(at, inside);
            word[..bytes.len()].copy_from_slice(bytes);
        }
        word
    }

    /// Who is behind an owner word.
    pub fn who(&self, owner: Owner) -> Who {
        self.members.who(owner)
    }

    /// Whether what was read was of one moment.
    pub(super) fn settled(&self) -> bool {
        self.window.borrow().settled
    }
}
