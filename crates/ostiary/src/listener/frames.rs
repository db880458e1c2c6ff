//! HTTP/2 frames, counted on their way to the HTTP library.
//!
//! The library bounds what a connection may hold, not how often it may be made to work. Frames
//! that cost the peer nothing and ask for nothing are counted here by kind; beyond a kind's
//! allowance for the span of time the library is given a frame that breaks the protocol, so that
//! it says GOAWAY and closes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Allowances hold for one span, so at worst twice as much arrives within any of this length.
const SPAN: Duration = Duration::from_secs(10);

const MAX_RESETS: u64 = 100;
const MAX_SETTINGS: u64 = 50;
const MAX_PINGS: u64 = 500;
const MAX_EMPTY_DATA: u64 = 100;
const MAX_CONTINUATIONS: u64 = 200;
/// Priorities, and kinds that nobody knows.
const MAX_OTHERS: u64 = 1000;
const MAX_WINDOW_UPDATES: u64 = 1000;
/// A peer that reads says so, at most about once for so many bytes.
const BYTES_PER_WINDOW_UPDATE: u64 = 1 << 10;

/// The client's greeting before its first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

const FRAME_HEAD_BYTES: usize = 9;

/// SETTINGS on a stream, a connection error (RFC 9113, section 6.5).
const BREACH: [u8; FRAME_HEAD_BYTES] = [0, 0, 0, 4, 0, 0, 0, 0, 1];

pub(super) struct Frames<S> {
    io: S,
    count: Count,
    /// Bytes until the next frame head.
    skip: usize,
    /// A frame head that has arrived in part, and is passed on whole.
    part: Vec<u8>,
    /// What is to be read before anything else.
    first: Vec<u8>,
    is_breached: bool,
}

impl<S> Frames<S> {
    pub(super) fn new(io: S) -> Self {
        Self {
            io,
            count: Count::default(),
            skip: PREFACE_BYTES,
            part: Vec::with_capacity(FRAME_HEAD_BYTES),
            first: Vec::with_capacity(FRAME_HEAD_BYTES),
            is_breached: false,
        }
    }

    /// Reads `bytes`, and answers how many of them may go on. What is left is nothing, the
    /// beginning of a frame head, or a frame too much and all that follows it.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        loop {
            let here = bytes.len() - passed;
            if self.skip >= here {
                self.skip -= here;
                return bytes.len();
            }
            passed += self.skip;
            self.skip = 0;
            let ahead = bytes.get(passed..).unwrap_or_default();
            let Some(head) = ahead.first_chunk::<FRAME_HEAD_BYTES>() else {
                return passed;
            };
            if !self.count.allows(head) {
                self.is_breached = true;
                return passed;
            }
            passed += FRAME_HEAD_BYTES;
            self.skip = length(head);
        }
    }
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Reads the rest of a frame head whose beginning is in `part`. `false`: there is none.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.part.len() < FRAME_HEAD_BYTES {
            let mut rest = [0; FRAME_HEAD_BYTES];
            let missing = rest.get_mut(self.part.len()..).unwrap_or_default();
            let mut buf = ReadBuf::new(missing);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.part.extend_from_slice(buf.filled());
        }
        let head = std::mem::take(&mut self.part);
        let passed = self.judge(&head);
        self.first.extend_from_slice(head.get(..passed).unwrap_or_default());
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buf.filled().len();
        loop {
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if !this.first.is_empty() {
                let some = this.first.len().min(buf.remaining());
                buf.put_slice(this.first.get(..some).unwrap_or_default());
                this.first.drain(..some);
                return Poll::Ready(Ok(()));
            }
            // The library is on its way out, and reads nothing more that matters.
            if this.is_breached {
                return Poll::Pending;
            }
            if !this.part.is_empty() {
                if !ready!(this.poll_part(cx))? {
                    return Poll::Ready(Ok(()));
                }
            } else {
                ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
                let fresh = buf.filled().get(start..).unwrap_or_default();
                if fresh.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let passed = this.judge(fresh);
                if !this.is_breached {
                    this.part.extend_from_slice(fresh.get(passed..).unwrap_or_default());
                }
                buf.set_filled(start + passed);
                if passed > 0 && !this.is_breached {
                    return Poll::Ready(Ok(()));
                }
            }
            if this.is_breached {
                tracing::debug!("ended an HTTP/2 connection that floods");
                this.first.extend_from_slice(&BREACH);
                if buf.filled().len() > start {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.count.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, pieces))?;
        this.count.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// How many frames there were of each kind in this span.
#[derive(Debug, Default)]
struct Count {
    span_began: Option<Instant>,
    seen: [u64; 7],
    written: u64,
}

/// The kinds that have an allowance, in the order of `Count::seen`.
#[derive(Clone, Copy)]
enum Kind {
    Reset,
    Settings,
    Ping,
    EmptyData,
    Continuation,
    WindowUpdate,
    Other,
}

impl Count {
    fn allows(&mut self, head: &[u8; FRAME_HEAD_BYTES]) -> bool {
        let Some(kind) = counted(head) else { return true };
        let now = Instant::now();
        if self.span_began.is_none_or(|began| now.duration_since(began) >= SPAN) {
            *self = Self { span_began: Some(now), ..Self::default() };
        }
        let allowance = match kind {
            Kind::Reset => MAX_RESETS,
            Kind::Settings => MAX_SETTINGS,
            Kind::Ping => MAX_PINGS,
            Kind::EmptyData => MAX_EMPTY_DATA,
            Kind::Continuation => MAX_CONTINUATIONS,
            Kind::WindowUpdate => MAX_WINDOW_UPDATES + self.written / BYTES_PER_WINDOW_UPDATE,
            Kind::Other => MAX_OTHERS,
        };
        let seen = &mut self.seen[kind as usize];
        *seen += 1;
        *seen <= allowance
    }
}

/// Which allowance a frame uses (RFC 9113, section 6).
fn counted(head: &[u8; FRAME_HEAD_BYTES]) -> Option<Kind> {
    let [.., kind, flags, _, _, _, _] = *head;
    // ACK, or END_STREAM of a DATA frame.
    let is_flagged = flags & 1 != 0;
    match kind {
        0 if length(head) == 0 && !is_flagged => Some(Kind::EmptyData),
        // Requests and their data are the application's to limit, and acknowledgements are as
        // many as what they acknowledge.
        0 | 1 => None,
        3 => Some(Kind::Reset),
        4 if is_flagged => None,
        4 => Some(Kind::Settings),
        6 if is_flagged => None,
        6 => Some(Kind::Ping),
        8 => Some(Kind::WindowUpdate),
        9 => Some(Kind::Continuation),
        _ => Some(Kind::Other),
    }
}

fn length(head: &[u8; FRAME_HEAD_BYTES]) -> usize {
    let [a, b, c, ..] = *head;
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Frames pass unchanged, however they are cut, up to the first that is too much.
        #[test]
        fn what_passes_is_whole_frames(
            frames in prop::collection::vec((0u8..12, any::<bool>(), 0usize..40), 0..60),
            too_much in any::<bool>(),
            cuts in prop::collection::vec(1usize..50, 1..20),
            room in 1usize..64,
        ) {
            let mut sent = vec![b'!'; PREFACE_BYTES];
            for (kind, is_flagged, length) in frames {
                push(&mut sent, kind, u8::from(is_flagged), length);
            }
            let mut expected = sent.clone();
            if too_much {
                for count in 0..=2 * MAX_RESETS {
                    push(&mut sent, 3, 0, 4);
                    if count < MAX_RESETS {
                        push(&mut expected, 3, 0, 4);
                    }
                }
            }
            let passed = read(&sent, &cuts, room);
            if too_much {
                // Some of the allowance may have been used up before.
                let frames = passed.strip_suffix(&BREACH[..]).unwrap();
                prop_assert!(expected.starts_with(frames));
                let missing = expected.len() - frames.len();
                prop_assert_eq!(missing % (FRAME_HEAD_BYTES + 4), 0);
            } else {
                prop_assert_eq!(passed, expected);
            }
        }
    }

    fn push(bytes: &mut Vec<u8>, kind: u8, flags: u8, length: usize) {
        bytes.extend_from_slice(&[0, 0, u8::try_from(length).unwrap(), kind, flags, 0, 0, 0, 1]);
        bytes.extend(std::iter::repeat_n(7, length));
    }

    /// All that can be read, in reads of at most so many bytes.
    fn read(sent: &[u8], cuts: &[usize], room: usize) -> Vec<u8> {
        let mut pieces = VecDeque::new();
        let mut rest = sent;
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            if piece.is_empty() {
                break;
            }
            pieces.push_back(piece.to_vec());
            rest = after;
        }
        let mut frames = Frames::new(Pieces(pieces));
        let mut passed = Vec::new();
        let reading = async {
            let mut buf = vec![0; room];
            // After a breach nothing more comes, and no end either.
            while !(frames.is_breached && frames.first.is_empty()) {
                match frames.read(&mut buf).await.unwrap() {
                    0 => break,
                    some => passed.extend_from_slice(&buf[..some]),
                }
            }
        };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reading);
        passed
    }

    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let pieces = &mut self.get_mut().0;
            if let Some(mut piece) = pieces.pop_front() {
                let rest = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !rest.is_empty() {
                    pieces.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }
}
