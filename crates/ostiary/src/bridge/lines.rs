//! Standard input and output: one message per line.
//!
//! A line that is too long is read to its end and forgotten, so that the one behind it is heard. What
//! is to be said goes through one task, which writes each line whole.

use std::io;

use bytes::{Bytes, BytesMut};
use mcp::stdio;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The longest line that is read, in bytes: far beyond what a gateway takes, whose own limit says no
/// in words.
const LONGEST: usize = 64 << 20;

/// How many messages may wait for the client to read.
const WAITING: usize = 64;

/// Reads lines.
pub(super) struct Lines<R> {
    from: R,
    read: BytesMut,
    /// How much of what has been read is known to hold no line end.
    looked: usize,
    /// Whether the rest of a line that was too long is still to come.
    is_skipping: bool,
    longest: usize,
}

/// What stands on a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(Bytes),
    /// More than so many bytes.
    TooLong(usize),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn of(from: R) -> Self {
        Self { from, read: BytesMut::new(), looked: 0, is_skipping: false, longest: LONGEST }
    }

    /// The next line that is not empty; nothing at the end. Loses nothing when dropped before it is
    /// ready.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.cut() {
                return Ok(Some(line));
            }
            self.read.reserve(8 << 10);
            if self.from.read_buf(&mut self.read).await? == 0 {
                return Ok(self.last());
            }
        }
    }

    /// A line out of what has been read.
    fn cut(&mut self) -> Option<Line> {
        loop {
            let fresh = self.read.get(self.looked..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', fresh).map(|at| self.looked + at) else {
                self.looked = self.read.len();
                if self.is_skipping || self.longest < self.looked {
                    self.read = BytesMut::new();
                    self.looked = 0;
                    let is_news = !std::mem::replace(&mut self.is_skipping, true);
                    return is_news.then_some(Line::TooLong(self.longest));
                }
                return None;
            };
            let line = self.read.split_to(end + 1);
            self.looked = 0;
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            if let Some(line) = self.whole(line) {
                return Some(line);
            }
        }
    }

    /// What stands behind the last line end.
    fn last(&mut self) -> Option<Line> {
        let rest = std::mem::take(&mut self.read);
        let is_rest_of_another = std::mem::take(&mut self.is_skipping);
        self.looked = 0;
        if is_rest_of_another { None } else { self.whole(rest) }
    }

    fn whole(&self, line: BytesMut) -> Option<Line> {
        let line = line.freeze();
        let text = line.trim_ascii();
        if text.is_empty() {
            return None;
        }
        if self.longest < text.len() {
            return Some(Line::TooLong(self.longest));
        }
        Some(Line::Text(line.slice_ref(text)))
    }
}

/// Says messages to the client. Cheap to clone.
#[derive(Clone)]
pub(super) struct Out(mpsc::Sender<Bytes>);

impl Out {
    /// What is said, and what is to be written.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, lines) = mpsc::channel(WAITING);
        (Self(sender), lines)
    }

    /// Says a message; waits while the client does not read. One that has gone hears nothing.
    pub(super) async fn say(&self, message: &[u8]) {
        drop(self.0.send(stdio::frame(message)).await);
    }
}

/// Writes all that is said.
///
/// # Errors
/// When the client does not read any more.
pub(super) async fn write(
    mut lines: mpsc::Receiver<Bytes>,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    while let Some(line) = lines.recv().await {
        to.write_all(&line).await?;
        to.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_however_they_are_cut() {
        let text = "{\"a\":1}\n\n  [1] \r\nnoise\n{\"end\":1}";
        for size in 1..=text.len() {
            let chunks = in_pieces(text.as_bytes(), size);
            let lines = all(Lines::of(chunks)).await;
            let expected = ["{\"a\":1}", "[1]", "noise", "{\"end\":1}"];
            let expected = expected.map(|it| Line::Text(Bytes::from_static(it.as_bytes())));
            assert_eq!(lines, expected, "by {size}");
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_told_of_once_and_the_next_is_heard() {
        let text =
            format!("{}\nshort\n{}\nmore\n{}", "x".repeat(50), "y".repeat(11), "z".repeat(30));
        for size in 1..=text.len() {
            let mut lines = Lines::of(in_pieces(text.as_bytes(), size));
            lines.longest = 10;
            let text = |it: &'static str| Line::Text(Bytes::from_static(it.as_bytes()));
            let long = || Line::TooLong(10);
            let expected = [long(), text("short"), long(), text("more"), long()];
            assert_eq!(all(lines).await, expected, "by {size}");
        }
    }

    async fn all<R: AsyncRead + Unpin>(mut lines: Lines<R>) -> Vec<Line> {
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line);
        }
        found
    }

    /// Gives `size` bytes at a time.
    fn in_pieces(text: &[u8], size: usize) -> impl AsyncRead + Unpin {
        let chunks: Vec<_> =
            text.chunks(size).map(|it| Ok::<_, io::Error>(Bytes::copy_from_slice(it))).collect();
        tokio_util::io::StreamReader::new(futures::stream::iter(chunks))
    }
}
