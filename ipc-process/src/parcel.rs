//! Parcels: messages of any size, with any number of descriptors, over the packets of a control socket.
//!
//! # Form
//!
//! A parcel is one packet, or one packet and as many followers as its descriptors need (253 go in one):
//!
//! | offset | type | in the first packet                                                             |
//! |--------|------|---------------------------------------------------------------------------------|
//! | 0      | u64  | [`FIRST`]                                                                       |
//! | 8      | u32  | kind of message                                                                 |
//! | 12     | u32  | descriptors in all packets together, the sealed file not counted                |
//! | 16     | u64  | length of the body in bytes                                                     |
//! | 24     | u64  | 0: the body follows here · 1: it is in a sealed file, the very first descriptor |
//! | 32     |      | the body                                                                        |
//!
//! A follower is the 8 bytes [`MORE`] and at least one descriptor. Both sides are the same program on the same machine, so
//! numbers are in its byte order.
//!
//! # Steps
//!
//! Sender: **1** put a long body into a sealed file · **2** first packet · **3** followers; if one of them cannot be sent, a
//! first packet of the kind `Failed` takes their place.
//! Receiver: **a** first packet, checked · **b** followers until all descriptors are here · **c** the parcel; a sealed body is
//! read by whoever has the time.
//!
//! # Death at step n
//!
//! | dies after | is left                                  | what happens to it                              | test                                  |
//! |------------|------------------------------------------|-------------------------------------------------|---------------------------------------|
//! | 1          | a file without a name                    | gone with its process                           | –                                     |
//! | 2, 3       | an unfinished parcel at the receiver     | dropped with the inbox, its descriptors closed  | `an_unfinished_parcel_is_dropped`     |
//! | a, b       | packets in the socket                    | the kernel closes what they hold                | –                                     |
//!
//! # What it does not trust
//!
//! Whoever holds the other end may send any bytes. Each packet is checked against the form and against what arrived; the
//! first one that does not fit ends the conversation ([`Garbled`]). Every follower must bring a descriptor and no parcel
//! announces more than [`DESCRIPTORS_MAX`], so no sender can keep a receiver busy within one parcel. A sealed body must be as
//! long as announced and made of bytes that its sender paid for (see `sys/sealed.rs`).

use crate::error::Garbled;
use crate::sys::sealed;
use crate::sys::socket::{self, Blocking, DESCRIPTORS_PER_PACKET, Packet};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const FIRST: u64 = u64::from_le_bytes(*b"ipc-prc1");
const MORE: u64 = u64::from_le_bytes(*b"ipc-prc+");
const HEAD_BYTES: usize = 32;
const DESCRIPTORS_MAX: u32 = 1 << 16;
/// The longest packet; longer bodies go into a sealed file, which costs about as much as copying this many bytes.
pub(crate) const PACKET_BYTES: usize = 32 * 1024;

/// What a parcel is about.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Parent to child: what to run, with which arguments.
    Launch = 1,
    /// Parent to child: the parent watches you, begin.
    Go = 2,
    /// Child to parent: all arguments are mine now.
    Attached = 3,
    /// Child to parent: the function returned this.
    Returned = 4,
    /// Child to parent: the function panicked.
    Panicked = 5,
    /// Child to parent: there is no result, for this reason.
    Failed = 6,
}

impl Kind {
    fn from_wire(number: u32) -> Option<Self> {
        [Self::Launch, Self::Go, Self::Attached, Self::Returned, Self::Panicked, Self::Failed]
            .into_iter()
            .find(|&kind| kind as u32 == number)
    }
}

/// A message.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) kind: Kind,
    pub(crate) body: Body,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// The bytes of a message.
#[derive(Debug)]
pub(crate) enum Body {
    Here(Vec<u8>),
    Sealed { file: OwnedFd, len_bytes: u64 },
}

/// Why no parcel came.
#[derive(Debug)]
pub(crate) enum ReceiveError {
    /// The other side is closed.
    Closed,
    /// Nothing more is there at the moment.
    Empty,
    /// This process may open no more descriptors: part of the parcel is lost.
    LostDescriptors,
    Garbled(Garbled),
    System(io::Error),
}

impl Body {
    /// The bytes, read from their file if need be.
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, ReceiveError> {
        match self {
            Self::Here(bytes) => Ok(bytes),
            Self::Sealed { file, len_bytes } => match sealed::read(file, len_bytes) {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(ReceiveError::Garbled(Garbled::NotSealed)),
                Err(error) => Err(ReceiveError::System(error)),
            },
        }
    }
}

/// Sends a parcel whose body is `body`, put together.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    kind: Kind,
    body: &[&[u8]],
    descriptors: &[BorrowedFd<'_>],
    blocking: Blocking,
) -> io::Result<()> {
    let len_bytes: usize = body.iter().map(|part| part.len()).sum();
    let slices = body.iter().map(|part| IoSlice::new(part));
    let is_long = len_bytes > PACKET_BYTES - HEAD_BYTES;
    // 1.
    let file = if is_long { Some(sealed::write(&slices.clone().collect::<Vec<_>>())?) } else { None };

    let count = u32::try_from(descriptors.len()).ok().filter(|&count| count <= DESCRIPTORS_MAX);
    let count = count.ok_or_else(|| io::Error::from_raw_os_error(libc::ETOOMANYREFS))?;
    let head = Head { kind, descriptors: count, len_bytes: len_bytes as u64, is_sealed: is_long }.to_bytes();
    let mut parts = vec![IoSlice::new(&head)];
    if !is_long {
        parts.extend(slices);
    }
    let (now, later) = descriptors.split_at(descriptors.len().min(DESCRIPTORS_PER_PACKET - file.is_some() as usize));
    let first: Vec<BorrowedFd<'_>> = file.iter().map(|file| file.as_fd()).chain(now.iter().copied()).collect();
    // 2.
    socket::send(socket, &parts, &first, blocking)?;
    // 3.
    for some in later.chunks(DESCRIPTORS_PER_PACKET) {
        socket::send(socket, &[IoSlice::new(&MORE.to_ne_bytes())], some, blocking)?;
    }
    Ok(())
}

/// Whether a parcel of this kind, whole or not, is the next thing on a descriptor, which may be any.
pub(crate) fn is_next(descriptor: BorrowedFd<'_>, kind: Kind) -> bool {
    let mut start = [0; HEAD_BYTES];
    let len = socket::peek(descriptor, &mut start);
    len == HEAD_BYTES && Head::from_bytes(&start).is_some_and(|head| head.kind == kind)
}

/// The receiving side of a socket: it holds what has come of an unfinished parcel.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    unfinished: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    parcel: Parcel,
    missing: usize,
}

impl Inbox {
    /// Receives packets until a parcel is whole. `buffer` has [`PACKET_BYTES`].
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        buffer: &mut [u8],
        blocking: Blocking,
    ) -> Result<Parcel, ReceiveError> {
        loop {
            let packet = match socket::receive(socket, buffer, blocking) {
                Ok(packet) => packet,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(ReceiveError::Empty),
                // The other side closed without reading all we sent: what it sent is read by now.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ReceiveError::Closed),
                Err(error) => return Err(ReceiveError::System(error)),
            };
            if let Some(parcel) = self.accept(packet, buffer)? {
                return Ok(parcel);
            }
        }
    }

    /// Takes one packet whose bytes are in `buffer`, and returns the parcel that it completes.
    fn accept(&mut self, packet: Packet, buffer: &[u8]) -> Result<Option<Parcel>, ReceiveError> {
        if packet.len_bytes == 0 {
            return Err(ReceiveError::Closed);
        }
        if packet.lost_descriptors {
            return Err(ReceiveError::LostDescriptors);
        }
        let bytes = buffer.get(..packet.len_bytes).filter(|_| !packet.is_cut);
        let bytes = bytes.ok_or(ReceiveError::Garbled(Garbled::Lengths))?;
        let unfinished = match self.unfinished.take() {
            Some(unfinished) if !Head::says_failed(bytes) => unfinished.go_on(bytes, packet.descriptors),
            _ => Unfinished::begin(bytes, packet.descriptors),
        };
        let unfinished = unfinished.map_err(ReceiveError::Garbled)?;
        if unfinished.missing == 0 {
            return Ok(Some(unfinished.parcel));
        }
        self.unfinished = Some(unfinished);
        Ok(None)
    }
}

impl Unfinished {
    fn begin(bytes: &[u8], mut descriptors: Vec<OwnedFd>) -> Result<Self, Garbled> {
        let (head, rest) = bytes.split_first_chunk().ok_or(Garbled::Form)?;
        let head = Head::from_bytes(head).ok_or(Garbled::Form)?;
        let body = if head.is_sealed {
            if !rest.is_empty() || descriptors.is_empty() {
                return Err(Garbled::Lengths);
            }
            Body::Sealed { file: descriptors.remove(0), len_bytes: head.len_bytes }
        } else {
            if rest.len() as u64 != head.len_bytes {
                return Err(Garbled::Lengths);
            }
            Body::Here(rest.to_vec())
        };
        let missing = (head.descriptors as usize).checked_sub(descriptors.len()).ok_or(Garbled::Lengths)?;
        Ok(Self { parcel: Parcel { kind: head.kind, body, descriptors }, missing })
    }

    fn go_on(mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<Self, Garbled> {
        if bytes != MORE.to_ne_bytes() {
            return Err(Garbled::Form);
        }
        if descriptors.is_empty() {
            return Err(Garbled::Lengths);
        }
        self.missing = self.missing.checked_sub(descriptors.len()).ok_or(Garbled::Lengths)?;
        self.parcel.descriptors.extend(descriptors);
        Ok(self)
    }
}

/// The head of a first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    kind: Kind,
    descriptors: u32,
    len_bytes: u64,
    is_sealed: bool,
}

impl Head {
    fn says_failed(bytes: &[u8]) -> bool {
        bytes.first_chunk().and_then(Head::from_bytes).is_some_and(|head| head.kind == Kind::Failed)
    }

    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(&FIRST.to_ne_bytes());
        bytes[8..12].copy_from_slice(&(self.kind as u32).to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.descriptors.to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.len_bytes.to_ne_bytes());
        bytes[24..].copy_from_slice(&u64::from(self.is_sealed).to_ne_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let word = |at: usize| bytes[at..].first_chunk().map(|b| u64::from_ne_bytes(*b));
        let half = |at: usize| bytes[at..].first_chunk().map(|b| u32::from_ne_bytes(*b));
        let descriptors = half(12)?;
        let is_sealed = match word(24)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        if word(0)? != FIRST || descriptors > DESCRIPTORS_MAX {
            return None;
        }
        Some(Self { kind: Kind::from_wire(half(8)?)?, descriptors, len_bytes: word(16)?, is_sealed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null() -> OwnedFd {
        std::fs::File::open("/dev/null").expect("open").into()
    }

    fn exchange(body: &[&[u8]], descriptors: usize) -> Parcel {
        let (one, other) = socket::pair().expect("pair");
        let null = null();
        send(one.as_fd(), Kind::Returned, body, &vec![null.as_fd(); descriptors], Blocking::No).expect("send");
        assert!(is_next(other.as_fd(), Kind::Returned) && !is_next(other.as_fd(), Kind::Launch));
        let mut inbox = Inbox::default();
        inbox.receive(other.as_fd(), &mut vec![0; PACKET_BYTES], Blocking::No).expect("receive")
    }

    #[test]
    fn bodies_of_all_lengths_arrive() {
        let longest = PACKET_BYTES - HEAD_BYTES;
        for len in [0, 1, longest - 1, longest, longest + 1, 1 << 20] {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (left, right) = body.split_at(len / 3);
            let parcel = exchange(&[left, right], 2);
            assert_eq!(matches!(parcel.body, Body::Sealed { .. }), len > longest);
            assert_eq!((parcel.body.into_bytes().expect("bytes"), parcel.descriptors.len()), (body, 2));
        }
    }

    #[test]
    fn descriptors_of_all_counts_arrive() {
        for count in [0, 1, 252, 253, 254, 600] {
            assert_eq!(exchange(&[b"short"], count).descriptors.len(), count);
            assert_eq!(exchange(&[&vec![0; PACKET_BYTES]], count).descriptors.len(), count);
        }
    }

    #[test]
    fn heads_come_back() {
        for kind in [Kind::Launch, Kind::Go, Kind::Attached, Kind::Returned, Kind::Panicked, Kind::Failed] {
            for is_sealed in [false, true] {
                let head = Head { kind, descriptors: 7, len_bytes: u64::MAX, is_sealed };
                assert_eq!(Head::from_bytes(&head.to_bytes()), Some(head));
            }
        }
    }

    #[test]
    fn an_unfinished_parcel_is_dropped() {
        let (one, other) = socket::pair().expect("pair");
        let head = Head { kind: Kind::Returned, descriptors: 3, len_bytes: 0, is_sealed: false }.to_bytes();
        let (reader, writer) = std::io::pipe().expect("pipe");
        socket::send(one.as_fd(), &[IoSlice::new(&head)], &[writer.as_fd()], Blocking::No).expect("send");
        drop((one, writer));
        let mut inbox = Inbox::default();
        let got = inbox.receive(other.as_fd(), &mut vec![0; PACKET_BYTES], Blocking::Yes);
        assert!(matches!(got, Err(ReceiveError::Closed)));
        drop(inbox);
        assert_eq!(std::io::read_to_string(reader).expect("the descriptor was closed"), "");
    }

    #[test]
    fn a_failure_takes_the_place_of_the_rest() {
        let head = Head { kind: Kind::Returned, descriptors: 3, len_bytes: 0, is_sealed: false }.to_bytes();
        let failed = Head { kind: Kind::Failed, descriptors: 0, len_bytes: 0, is_sealed: false }.to_bytes();
        let mut inbox = Inbox::default();
        let packet = || Packet { len_bytes: HEAD_BYTES, ..Packet::default() };
        let first = Packet { descriptors: vec![null()], ..packet() };
        assert!(matches!(inbox.accept(first, &head), Ok(None)));
        assert!(matches!(inbox.accept(packet(), &failed), Ok(Some(Parcel { kind: Kind::Failed, .. }))));
    }

    /// Every single-byte change of a head, wrong lengths, descriptors that were not announced: garbled or whole, never a panic.
    #[test]
    fn hostile_packets_are_garbled() {
        let good = Head { kind: Kind::Attached, descriptors: 0, len_bytes: 0, is_sealed: false }.to_bytes();
        for at in 0..HEAD_BYTES {
            for flip in 1..=255u8 {
                let mut bytes = good;
                bytes[at] ^= flip;
                let packet = Packet { len_bytes: HEAD_BYTES, ..Packet::default() };
                let got = Inbox::default().accept(packet, &bytes);
                let still_whole = (8..12).contains(&at) || (12..16).contains(&at);
                assert!(still_whole || matches!(got, Err(ReceiveError::Garbled(_))), "byte {at} flipped by {flip}");
            }
        }
        for len in 1..HEAD_BYTES {
            let packet = Packet { len_bytes: len, ..Packet::default() };
            assert!(matches!(Inbox::default().accept(packet, &good), Err(ReceiveError::Garbled(Garbled::Form))));
        }
        let uninvited = Packet { len_bytes: HEAD_BYTES, descriptors: vec![null()], ..Packet::default() };
        assert!(matches!(Inbox::default().accept(uninvited, &good), Err(ReceiveError::Garbled(Garbled::Lengths))));
        let cut = Packet { len_bytes: HEAD_BYTES, is_cut: true, ..Packet::default() };
        assert!(matches!(Inbox::default().accept(cut, &good), Err(ReceiveError::Garbled(Garbled::Lengths))));
    }

    #[test]
    fn a_follower_without_descriptors_is_garbled() {
        let head = Head { kind: Kind::Attached, descriptors: 1, len_bytes: 0, is_sealed: false }.to_bytes();
        let mut inbox = Inbox::default();
        let first = Packet { len_bytes: HEAD_BYTES, ..Packet::default() };
        assert!(matches!(inbox.accept(first, &head), Ok(None)));
        let follower = Packet { len_bytes: 8, ..Packet::default() };
        let got = inbox.accept(follower, &MORE.to_ne_bytes());
        assert!(matches!(got, Err(ReceiveError::Garbled(Garbled::Lengths))));
    }
}
