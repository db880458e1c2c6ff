//! Newline-delimited JSON, as servers write it to their standard output.
//!
//! A line is a frame if it starts like a JSON object or array; whether it is one, the envelope says.
//! Other lines are noise (banners, warnings of package managers): a little of it is skipped, more of
//! it means that the program is no MCP server.

use bytes::{Bytes, BytesMut};

/// Why a stream cannot be read on. The server is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("line is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("more than {limit} bytes that are no messages")]
    Noise { limit: usize },
}

/// Turns chunks into frames. After an error it stays in error.
#[derive(Debug)]
pub struct Decoder {
    frame_limit: usize,
    noise_limit: usize,
    chunk: Bytes,
    /// The line that the last chunk did not end.
    line: BytesMut,
    /// Noise since the last frame, line ends included.
    noise: usize,
    failed: Option<FrameError>,
}

impl Decoder {
    /// `frame_limit` bounds one line; `noise_limit` bounds the noise between two frames. Both are
    /// in bytes.
    pub fn new(frame_limit: usize, noise_limit: usize) -> Self {
        let (chunk, line) = (Bytes::new(), BytesMut::new());
        Self { frame_limit, noise_limit, chunk, line, noise: 0, failed: None }
    }

    /// Takes the next chunk. Read all frames out before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut both = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            both.extend_from_slice(&self.chunk);
            both.extend_from_slice(&chunk);
            self.chunk = both.freeze();
        }
    }

    /// The next complete frame, without its line end; `None` means that another chunk is needed.
    ///
    /// # Errors
    /// A line that is too long, complete or not, or too much noise.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let frame = self.read();
        self.failed = frame.as_ref().err().copied();
        frame
    }

    fn read(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            let end = memchr::memchr(b'\n', &self.chunk);
            let length = self.line.len() + end.unwrap_or(self.chunk.len());
            if length > self.frame_limit {
                return Err(FrameError::TooLong { limit: self.frame_limit });
            }
            let Some(end) = end else {
                self.line.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
                if starts_as_noise(&self.line) {
                    self.count_noise(self.line.len())?;
                    // One byte stands for the noise that has been counted already.
                    self.line.clear();
                    self.line.extend_from_slice(b"x");
                }
                return Ok(None);
            };
            let mut line = self.chunk.slice(..end);
            self.chunk = self.chunk.slice(end + 1..);
            if !self.line.is_empty() {
                self.line.extend_from_slice(&line);
                line = self.line.split().freeze();
            }
            let trimmed = line.trim_ascii();
            if trimmed.is_empty() {
                continue;
            }
            if !starts_as_noise(trimmed) {
                self.noise = 0;
                return Ok(Some(line.slice_ref(trimmed)));
            }
            self.count_noise(line.len() + 1)?;
        }
    }

    fn count_noise(&mut self, bytes: usize) -> Result<(), FrameError> {
        self.noise = self.noise.saturating_add(bytes);
        if self.noise > self.noise_limit {
            return Err(FrameError::Noise { limit: self.noise_limit });
        }
        Ok(())
    }
}

/// The message as a line. Line ends in it can only stand between tokens, where a blank does as well.
pub fn frame(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 1);
    out.extend_from_slice(message);
    for byte in out.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    out.extend_from_slice(b"\n");
    out.freeze()
}

/// Whether a line, or the beginning of one, cannot become a message.
fn starts_as_noise(line: &[u8]) -> bool {
    line.trim_ascii_start().first().is_some_and(|byte| !matches!(byte, b'{' | b'['))
}
