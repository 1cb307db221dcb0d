//! The control socket: a connected pair of sequenced packets, `socketpair(AF_UNIX, SOCK_SEQPACKET)`.
//!
//! A packet arrives whole or not at all, in order, with its descriptors; the end of a dead process reads as end of file.
//! Packets sent before the other side exists wait in the socket, which is why a launch can be complete before its child is.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// Descriptors that the kernel takes in one packet (`SCM_MAX_FD`).
pub(crate) const DESCRIPTORS_PER_PACKET: usize = 253;

const CONTROL_BYTES: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_PACKET));

/// Whether a call may wait for the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    Yes,
    No,
}

/// A connected pair, both ends close-on-exec and above the standard descriptors.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((super::stdio::above(one)?, super::stdio::above(other)?))
}

/// Sends one packet made of `parts`, with at most [`DESCRIPTORS_PER_PACKET`] descriptors. `sendmsg(2)`, never SIGPIPE.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
    blocking: Blocking,
) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOBIG.into());
    }
    let wait = if blocking == Blocking::No { SendFlags::DONTWAIT } else { SendFlags::empty() };
    retry_on_intr(|| sendmsg(socket, parts, &mut control, wait | SendFlags::NOSIGNAL))?;
    Ok(())
}

/// What one packet was.
#[derive(Debug, Default)]
pub(crate) struct Packet {
    /// Bytes written to the buffer; 0 is the end: the other side is closed.
    pub(crate) len_bytes: usize,
    /// Its descriptors, close-on-exec.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// It had more bytes than the buffer.
    pub(crate) is_cut: bool,
    /// It had more descriptors than arrived: this process may open no more.
    pub(crate) lost_descriptors: bool,
}

/// Receives one packet. `recvmsg(2)`
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], blocking: Blocking) -> Result<Packet> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let wait = if blocking == Blocking::No { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
    let got = retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, wait | RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => rights.collect(),
        _ => Vec::new(),
    });
    Ok(Packet {
        len_bytes: got.bytes,
        descriptors: descriptors.collect(),
        is_cut: got.flags.contains(ReturnFlags::TRUNC),
        lost_descriptors: got.flags.contains(ReturnFlags::CTRUNC),
    })
}

/// Copies the start of the next packet without taking it; 0 if there is none. Any descriptor may be asked.
pub(crate) fn peek(descriptor: BorrowedFd<'_>, buffer: &mut [u8]) -> usize {
    let is_ours = rustix::net::sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX)
        && rustix::net::sockopt::socket_type(descriptor) == Ok(SocketType::SEQPACKET);
    if !is_ours {
        return 0;
    }
    rustix::net::recv(descriptor, buffer, RecvFlags::PEEK | RecvFlags::DONTWAIT).map_or(0, |(len, _)| len)
}

/// Who made the socket pair: pid (0 if in another PID namespace) and effective uid. `SO_PEERCRED`
pub(crate) fn maker(socket: BorrowedFd<'_>) -> Result<(i32, u32)> {
    let credentials = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::PeerCredentials)?;
    Ok((credentials.pid(), credentials.uid()))
}

/// The number of a socket, which no other open socket or file of the kind has; `None` if it is not a socket any more.
pub(crate) fn inode(socket: BorrowedFd<'_>) -> Option<u64> {
    let found = rustix::fs::fstat(socket).ok()?;
    rustix::fs::FileType::from_raw_mode(found.st_mode).is_socket().then_some(found.st_ino)
}

/// Waits until a receive would not find the socket empty (a closed one is not), at most for `timeout`. `poll(2)`
pub(crate) fn wait_for_packet(socket: BorrowedFd<'_>, timeout: Duration) -> bool {
    !events(socket, timeout).is_empty()
}

/// Whether the other side is closed, whatever packets of it are still here.
pub(crate) fn is_closed(socket: BorrowedFd<'_>) -> bool {
    events(socket, Duration::ZERO).contains(PollFlags::HUP)
}

fn events(socket: BorrowedFd<'_>, timeout: Duration) -> PollFlags {
    let timeout = Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ };
    let mut asked = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    match poll(&mut asked, Some(&timeout)) {
        Ok(_) => asked[0].revents(),
        // A signal: nothing was seen.
        Err(_) => PollFlags::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn packets_keep_their_bounds_and_descriptors() {
        let (one, other) = pair().expect("pair");
        assert!(!wait_for_packet(other.as_fd(), Duration::ZERO) && !is_closed(other.as_fd()));
        let null = std::fs::File::open("/dev/null").expect("open");
        let many = vec![null.as_fd(); DESCRIPTORS_PER_PACKET];
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b"c")];
        send(one.as_fd(), &parts, &many, Blocking::No).expect("send");
        send(one.as_fd(), &[IoSlice::new(b"defgh")], &[], Blocking::No).expect("send");
        drop(one);

        let mut buffer = [0; 4];
        assert!(
            wait_for_packet(other.as_fd(), Duration::ZERO) && is_closed(other.as_fd()),
            "closed, with packets left"
        );
        assert_eq!((peek(other.as_fd(), &mut buffer), &buffer[..3]), (3, &b"abc"[..]));
        let first = receive(other.as_fd(), &mut buffer, Blocking::No).expect("receive");
        assert_eq!((first.len_bytes, first.descriptors.len()), (3, DESCRIPTORS_PER_PACKET));
        let second = receive(other.as_fd(), &mut buffer, Blocking::No).expect("receive");
        assert!(second.len_bytes == 4 && second.is_cut && second.descriptors.is_empty());
        assert_eq!(receive(other.as_fd(), &mut buffer, Blocking::No).expect("receive").len_bytes, 0);
    }

    #[test]
    fn only_a_packet_socket_can_be_peeked_at() {
        let (reader, mut writer) = std::io::pipe().expect("pipe");
        std::io::Write::write_all(&mut writer, b"bytes").expect("write");
        assert_eq!(peek(reader.as_fd(), &mut [0; 8]), 0);
        let (stream, other) = std::os::unix::net::UnixStream::pair().expect("pair");
        std::io::Write::write_all(&mut &other, b"bytes").expect("write");
        assert_eq!(peek(stream.as_fd(), &mut [0; 8]), 0);
    }
}
