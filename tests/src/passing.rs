//! One message with descriptors over a Unix socket: SCM_RIGHTS.

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

const MOST_BYTES: usize = 4096;
const MOST_DESCRIPTORS: usize = 16;

/// Sends a message of up to 4 KiB with up to 16 descriptors, as a whole.
pub fn send(stream: &UnixStream, text: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let framed = [&(text.len() as u32).to_le_bytes(), text].concat();
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(&framed)], &rights, MsgFlags::empty(), None)?;
    Ok(())
}

/// Receives it; what follows on the stream stays there.
pub fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut length = [0; 4];
    let mut space = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
    let mut into = [IoSliceMut::new(&mut length)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut into, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let fds = message.cmsgs()?.flat_map(|control| match control {
        ControlMessageOwned::ScmRights(fds) => fds,
        _ => Vec::new(),
    });
    // SAFETY: the kernel has just put these descriptors into this process, for this message only.
    let fds = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect();
    let mut text = vec![0; (u32::from_le_bytes(length) as usize).min(MOST_BYTES)];
    io::Read::read_exact(&mut &*stream, &mut text)?;
    Ok((text, fds))
}
