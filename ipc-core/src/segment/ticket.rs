//! Tickets: small values from which another process attaches.

use super::home::Home;
use super::{Segment, open};
use crate::error::{Error, ErrorKind};
use crate::sys::fds;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::str::FromStr;

/// Says where an object is: a segment's name, or a process that has the segment open and its descriptor there.
///
/// A ticket is text: it goes through a shell variable, a file, a message. It keeps nothing alive. Attaching by a descriptor
/// needs the permission to look into that process (the same user, as a rule), and fails with [`ErrorKind::Gone`] once that
/// process has dropped the segment.
///
/// ```
/// use ipc_core::{Ticket, Value};
/// let value = Value::new(7u32)?;
/// let text = value.ticket().to_string();
/// let again = Value::<u32>::attach(&text.parse::<Ticket>()?)?;
/// assert_eq!(again.get()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    source: Source,
    id: u128,
    offset: u64,
    /// Bytes into the object: that of a field of a shared struct.
    within: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source {
    Name(String),
    Descriptor { pid: u32, fd: i32 },
}

impl Ticket {
    pub(crate) fn of(segment: &Segment, offset: u64, within: u64) -> Self {
        let source = match segment.name() {
            Some(name) => Source::Name(name.to_owned()),
            None => Source::Descriptor { pid: std::process::id(), fd: segment.as_fd().as_raw_fd() },
        };
        Self { source, id: segment.id(), offset, within }
    }

    /// Where in its object the field lies.
    pub(crate) fn within(&self) -> u64 {
        self.within
    }

    /// Where in its segment the object lies.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Attaches to the segment.
    pub(crate) fn segment(&self) -> Result<Segment, Error> {
        match &self.source {
            Source::Name(name) => {
                let segment = Segment::open(name).map_err(gone_if_not_found)?;
                self.expect(segment.id())?;
                Ok(segment)
            }
            &Source::Descriptor { pid, .. } => {
                open::by_descriptor(self.descriptor()?, Some(self.id)).map_err(|error| match error.kind() {
                    // The number was closed and used again for another file.
                    ErrorKind::BadTicket { .. } | ErrorKind::Header { .. } => ErrorKind::Gone { pid }.into(),
                    _ => error,
                })
            }
        }
    }

    /// A descriptor of what it names, which may be anything of this user by now.
    ///
    /// First `O_PATH`, then the type, then for real: opening a FIFO or a device that took the number would have effects.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, Error> {
        let (pid, fd) = match &self.source {
            Source::Name(name) => return Ok(Home::find(name).map_err(gone_if_not_found)?.1),
            &Source::Descriptor { pid, fd } => (pid, fd),
        };
        let gone = || Error::new(ErrorKind::Gone { pid });
        let path = fds::open_path(format!("/proc/{pid}/fd/{fd}")).map_err(|e| match e.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => gone(),
            Some(libc::EACCES | libc::EPERM) => ErrorKind::NotPermitted { pid }.into(),
            _ => Error::system("looking into the process that a ticket names", e),
        })?;
        let st = fds::stat(path.as_fd()).map_err(|e| Error::system("looking at a segment's file", e))?;
        if st.kind != fds::FileKind::Regular {
            return Err(gone());
        }
        fds::reopen(path.as_fd()).map_err(|e| Error::system("opening a segment by its ticket", e))
    }

    /// Insists that this is the segment it names.
    pub(crate) fn expect(&self, found: u128) -> Result<(), Error> {
        match &self.source {
            _ if found == self.id => Ok(()),
            Source::Name(name) => {
                Err(ErrorKind::BadTicket { found: format!("`{name}` is another segment by now") }.into())
            }
            &Source::Descriptor { pid, .. } => Err(ErrorKind::Gone { pid }.into()),
        }
    }
}

fn gone_if_not_found(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound { .. } => ErrorKind::Gone { pid: 0 }.into(),
        _ => error,
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Name(name) => write!(f, "ipc:name:{name}")?,
            Source::Descriptor { pid, fd } => write!(f, "ipc:fd:{pid}.{fd}")?,
        }
        write!(f, ":{:032x}:{:x}", self.id, self.offset)?;
        if self.within == 0 { Ok(()) } else { write!(f, "+{:x}", self.within) }
    }
}

impl FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(100).collect();
            ErrorKind::BadTicket { found: format!("`{shown}` does not read `ipc:name:…` or `ipc:fd:…`") }.into()
        })
    }
}

fn parse(text: &str) -> Option<Ticket> {
    let fields: Vec<&str> = text.split(':').collect();
    let ["ipc", kind, source, id, offset] = fields[..] else { return None };
    let source = match kind {
        "name" => {
            super::name::check(source).ok()?;
            Source::Name(source.to_owned())
        }
        "fd" => {
            let (pid, fd) = source.split_once('.')?;
            Source::Descriptor { pid: decimal(pid)?, fd: decimal(fd)?.try_into().ok()? }
        }
        _ => return None,
    };
    let (offset, within) = match offset.split_once('+') {
        Some((offset, within)) => (offset, Some(within).filter(|&within| is_hex(within))?),
        None => (offset, "0"),
    };
    if id.len() != 32 || !is_hex(id) || !is_hex(offset) {
        return None;
    }
    let hex = |digits| u64::from_str_radix(digits, 16).ok();
    let id = u128::from_str_radix(id, 16).ok()?;
    Some(Ticket { source, id, offset: hex(offset)?, within: hex(within)? })
}

/// `from_str_radix` alone would accept a sign.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `parse` alone would accept a sign.
fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(feature = "serde")]
impl serde::Serialize for Ticket {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Ticket {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(name in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,60}", pid: u32, fd in 0i32.., id: u128, offset: u64, within: u64, by_name: bool) {
            let source = if by_name { Source::Name(name) } else { Source::Descriptor { pid, fd } };
            let ticket = Ticket { source, id, offset, within };
            prop_assert_eq!(ticket.to_string().parse::<Ticket>().unwrap(), ticket);
        }

        #[test]
        fn any_text_is_a_ticket_or_an_error(text in ".{0,80}") {
            let _ = text.parse::<Ticket>();
        }
    }

    #[test]
    fn near_misses_are_refused() {
        let id = "0".repeat(32);
        for text in [
            "",
            "ipc",
            "ipc:fd:1.2:0:0",
            &format!("ipc:fd:+1.2:{id}:0"),
            &format!("ipc:fd:1.2:{id}:+5"),
            &format!("ipc:fd:1.2:{id}:5+"),
            &format!("ipc:fd:1.2:{id}:5+-1"),
            &format!("ipc:fd:1.2:{id}:5+1+1"),
            &format!("ipc:name:../x:{id}:0"),
        ] {
            assert!(text.parse::<Ticket>().is_err(), "{text}");
        }
    }
}
