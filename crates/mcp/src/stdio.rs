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
    /// Whether the last chunk has ended within noise, which is counted and not kept.
    is_in_noise: bool,
    failed: Option<FrameError>,
}

impl Decoder {
    /// `frame_limit` bounds one line; `noise_limit` bounds the noise between two frames. Both are
    /// in bytes.
    pub fn new(frame_limit: usize, noise_limit: usize) -> Self {
        let (chunk, line) = (Bytes::new(), BytesMut::new());
        Self { frame_limit, noise_limit, chunk, line, noise: 0, is_in_noise: false, failed: None }
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
            let whole = self.chunk.slice(..end.unwrap_or(self.chunk.len()));
            let mut piece = whole.clone();
            if self.line.is_empty() {
                // Blanks before a message are nothing, however many there are.
                piece = piece.slice_ref(piece.trim_ascii_start());
            }
            if self.is_in_noise || self.line.is_empty() && starts_as_noise(&piece) {
                let counted = if self.is_in_noise { whole.len() } else { piece.len() };
                self.count_noise(counted + usize::from(end.is_some()))?;
                self.is_in_noise = end.is_none();
                piece.clear();
            } else if self.line.len() + piece.len() > self.frame_limit {
                return Err(FrameError::TooLong { limit: self.frame_limit });
            }
            let Some(end) = end else {
                self.line.extend_from_slice(&piece);
                self.chunk = Bytes::new();
                return Ok(None);
            };
            self.chunk = self.chunk.slice(end + 1..);
            if !self.line.is_empty() {
                self.line.extend_from_slice(&piece);
                piece = self.line.split().freeze();
            }
            let trimmed = piece.trim_ascii();
            if !trimmed.is_empty() {
                self.noise = 0;
                return Ok(Some(piece.slice_ref(trimmed)));
            }
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
    line.first().is_some_and(|byte| !matches!(byte, b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_frames_however_they_are_cut() {
        let stream = "{\"a\":1}\n[1]\r\n\n  \r\n \t{\"b\":\"\u{e9}\"} \n{\"unfinished\"";
        let expected = ["{\"a\":1}", "[1]", "{\"b\":\"\u{e9}\"}"];
        for size in 1..=stream.len() {
            let chunks = stream.as_bytes().chunks(size).map(Bytes::from_static);
            let frames = read(chunks, Decoder::new(100, 100)).unwrap();
            assert_eq!(frames, expected.map(Bytes::from), "by {size}");
        }
    }

    #[test]
    fn h145_noise_is_counted_once_however_it_is_cut() {
        let stream = "  noise that is longer than a message may be\n{}\n0123456789\n[]\n";
        for (limit, fits) in [(43, true), (42, false)] {
            for size in 1..=stream.len() {
                let chunks = stream.as_bytes().chunks(size).map(Bytes::from_static);
                let frames = read(chunks, Decoder::new(20, limit));
                let noise = Err(FrameError::Noise { limit });
                let expected = if fits { Ok(vec!["{}".into(), "[]".into()]) } else { noise };
                assert_eq!(frames, expected, "by {size}");
            }
        }
    }

    #[test]
    fn a_frame_in_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"{}\n");
        let mut decoder = Decoder::new(10, 10);
        decoder.push(chunk.clone());
        assert_eq!(decoder.next_frame().unwrap().unwrap().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn h029_a_line_without_end_stops_at_the_limit() {
        let limit = 1 << 20;
        let mut decoder = Decoder::new(limit, 1000);
        decoder.push(Bytes::from_static(b"{\"a\":\""));
        let chunk = Bytes::from(vec![b'x'; 1 << 16]);
        let mut pushed = 0;
        let error = loop {
            match decoder.next_frame() {
                Ok(frame) => assert_eq!(frame, None),
                Err(error) => break error,
            }
            decoder.push(chunk.clone());
            pushed += chunk.len();
            assert!(pushed <= limit + 2 * chunk.len());
        };
        assert_eq!(error, FrameError::TooLong { limit });
        decoder.push(Bytes::from_static(b"\n{}\n"));
        assert_eq!(decoder.next_frame(), Err(error), "it stays in error");
    }

    #[test]
    fn h145_a_little_noise_is_skipped_and_more_of_it_is_a_fault() {
        let banner = Bytes::from_static(b"npm WARN deprecated {}\nListening...\n{\"a\":1}\n");
        let frames = read([banner.clone()], Decoder::new(1000, 40)).unwrap();
        assert_eq!(frames, [&b"{\"a\":1}"[..]]);
        let often = std::iter::repeat_n(banner.clone(), 10);
        assert_eq!(read(often, Decoder::new(1000, 40)).unwrap().len(), 10);
        let limit = 30;
        let error = Err(FrameError::Noise { limit });
        assert_eq!(read([banner], Decoder::new(1000, limit)), error);
        let endless = std::iter::repeat_n(Bytes::from_static(b"x"), 100);
        assert_eq!(read(endless, Decoder::new(1000, limit)), error);
    }

    #[test]
    fn noise_cut_in_two_never_becomes_a_frame() {
        let chunks = ["  log: ", "{\"a\":1}\n", "{\"b\":2}\n"]
            .map(|text| Bytes::from_static(text.as_bytes()));
        assert_eq!(read(chunks, Decoder::new(100, 100)).unwrap(), [&b"{\"b\":2}"[..]]);
    }

    #[test]
    fn a_framed_message_is_one_line() {
        assert_eq!(frame(b"{\n  \"a\": \"\\n\"\r\n}"), &b"{   \"a\": \"\\n\"  }\n"[..]);
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back_however_it_is_cut(
            values in prop::collection::vec(crate::json::tests::any_value(), 1..5),
            size in 1usize..40,
        ) {
            let messages: Vec<_> = values.iter().map(|value| format!("{{\"a\":{value}}}")).collect();
            let stream: Vec<u8> = messages.iter().flat_map(|message| frame(message.as_bytes())).collect();
            let chunks = stream.chunks(size).map(Bytes::copy_from_slice);
            let frames = read(chunks, Decoder::new(1 << 20, 0)).unwrap();
            prop_assert_eq!(frames, messages.into_iter().map(Bytes::from).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_answered(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let frames = read(chunks.into_iter().map(Bytes::from), Decoder::new(64, 64)).unwrap_or_default();
            let fine = frames.iter().all(|frame| !starts_as_noise(frame));
            prop_assert!(fine);
        }
    }

    fn read(
        chunks: impl IntoIterator<Item = Bytes>,
        mut decoder: Decoder,
    ) -> Result<Vec<Bytes>, FrameError> {
        let mut frames = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(frame) = decoder.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }
}
