//! Single bytes, some of which bring an open file along.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// A connection between two processes of one user.
pub(super) struct Wire(UnixStream);

impl Wire {
    /// Refuses other users, whatever the modes of files allow. Root is one of them: what is handed
    /// over are the clients of this user.
    pub(super) fn with_own(stream: UnixStream) -> io::Result<Self> {
        if stream.peer_cred()?.uid() != geteuid().as_raw() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Self(stream))
    }

    pub(super) async fn say(&self, word: u8, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.0
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let files = file.as_slice();
                if !files.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(files));
                }
                sendmsg(&self.0, &[IoSlice::new(&[word])], &mut control, SendFlags::NOSIGNAL)?;
                Ok(())
            })
            .await
    }

    /// The next word. None when the other side has closed.
    pub(super) async fn hear(&self) -> io::Result<Option<(u8, Option<OwnedFd>)>> {
        self.0
            .async_io(Interest::READABLE, || {
                let mut byte = [0];
                let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let mut bytes = [IoSliceMut::new(&mut byte)];
                let got = recvmsg(&self.0, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)?;
                if got.bytes == 0 {
                    return Ok(None);
                }
                let file = control.drain().find_map(|it| match it {
                    RecvAncillaryMessage::ScmRights(mut files) => files.next(),
                    _ => None,
                });
                // We may have as many files open as we are allowed to.
                if got.flags.contains(ReturnFlags::CTRUNC) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Ok(Some((byte[0], file)))
            })
            .await
    }

    /// The next word within a time; the end of either is an error.
    pub(super) async fn hear_within(
        &self,
        patience: Duration,
    ) -> io::Result<(u8, Option<OwnedFd>)> {
        let heard = tokio::time::timeout(patience, self.hear());
        heard.await??.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// What is not in its place.
pub(super) fn odd() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the other process speaks another protocol")
}
