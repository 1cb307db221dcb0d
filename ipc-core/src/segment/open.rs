//! Attaching: from a descriptor that anybody may have made to a mapping that can be used.
//!
//! **1** the file is a regular one of this user that nobody else may write, and if it is anonymous memory, sealed · **2** it is
//! large enough for
//! a header, and every byte of it is reserved · **3** mapped · **4** the header is checked against the file's size and copied ·
//! **5** a segment that the process has mapped already is used instead · **6** this process registers.

use super::handle::{Inner, Segment};
use super::home::{self, Home};
use super::{name, registry};
use crate::error::{Error, ErrorKind};
use crate::layout::header::{Geometry, HeaderState, PAGE};
use crate::member::fork;
use crate::sys::fds;
use crate::sys::mapping::Mapping;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

/// Attaches to what has this name.
pub(crate) fn by_name(name: &str) -> Result<Segment, Error> {
    name::check(name)?;
    let not_found = || ErrorKind::NotFound { name: name.to_owned() };
    let home = Home::open(false)?.ok_or_else(not_found)?;
    attach(home.file(name)?, Some(name), None)
}

/// Attaches through a descriptor: inherited, received, or reopened. `id`: which segment it must be, if known.
pub(crate) fn by_descriptor(fd: OwnedFd, id: Option<u128>) -> Result<Segment, Error> {
    attach(fd, None, id)
}

fn attach(fd: OwnedFd, name: Option<&str>, id: Option<u128>) -> Result<Segment, Error> {
    let st = home::check_file(fd.as_fd())?;
    if fds::is_unsealed_memory(fd.as_fd()) {
        let found = "anonymous memory that can be cut short".to_owned();
        return Err(ErrorKind::UnsafeFile { found, expected: "memory sealed against shrinking and growing" }.into());
    }
    if st.size < PAGE || st.size > isize::MAX as u64 {
        return Err(bad_size("file size", st.size, "at least one page".into()));
    }
    if st.reserved < st.size {
        return Err(bad_size("reserved size", st.reserved, format!("the whole {} bytes", st.size)));
    }
    let mapping =
        Mapping::new(fd.as_fd(), st.size as usize, false).map_err(|e| Error::system("mapping a segment", e))?;
    // SAFETY: the mapping is at least one page, aligned to a page, and a HeaderState is atomics only: any bytes are valid.
    let header = unsafe { mapping.start().cast::<HeaderState>().as_ref() };
    let geometry = Geometry::read(header, st.size)?;
    if let Some(expected) = id
        && expected != geometry.id
    {
        return Err(ErrorKind::BadTicket { found: format!("the descriptor is segment {:032x}", geometry.id) }.into());
    }
    // One thread at a time from the look into the table to the entry in it, or the process would be two members.
    static ATTACHING: Mutex<()> = Mutex::new(());
    let no_fork = fork::hold()?;
    let _one_at_a_time = fork::lock(&ATTACHING, &no_fork);
    if let Some(inner) = registry::find(registry::Key { dev: st.dev, ino: st.ino, id: geometry.id }, &no_fork) {
        return Ok(Segment::from_inner(inner));
    }
    let inner = Inner::new(geometry, mapping, fd, name)?;
    inner.me()?;
    let inner = Arc::new(inner);
    registry::insert(&inner, &no_fork);
    Ok(Segment::from_inner(inner))
}

fn bad_size(field: &'static str, found: u64, expected: String) -> Error {
    ErrorKind::Header { field, found: format!("{found} bytes"), expected }.into()
}
