//! Server-sent events: a decoder for any chunking, and an encoder that cannot be injected into.
//!
//! The decoder follows the HTML standard ("Parsing an event stream"): lines end with LF, CR or CRLF,
//! a byte order mark may come first, comments are dropped, what is unfinished at the end of the
//! stream is dropped too. One deviation: a block that sets only `id` or `retry` is handed out as an
//! event with empty data, since MCP primes streams with one. Data that lies on one line within one
//! chunk is a slice of that chunk; everything else is copied once.

use bytes::{BufMut, Bytes, BytesMut};

use crate::splice::Spliced;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The `id` of this event, if it has one; it may be empty, which resets the last id.
    pub id: Option<Bytes>,
    /// The `event` name; absent means `message`.
    pub event: Option<Bytes>,
    /// The data lines joined by LF. Empty for an event that only sets `id` or `retry`.
    pub data: Bytes,
    /// How long to wait before connecting again, in milliseconds.
    pub retry_ms: Option<u64>,
}

impl Event {
    /// Whether it is a message as MCP sends them: named `message` or not at all, with data.
    pub fn is_message(&self) -> bool {
        !self.data.is_empty() && self.event.as_ref().is_none_or(|name| name == &b"message"[..])
    }
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    #[error("event is longer than {limit} bytes")]
    TooLong { limit: usize },
}

/// Turns chunks into events. After an error it stays in error.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    chunk: Bytes,
    /// The line that the last chunk did not end.
    line: BytesMut,
    /// Whether the last line ended with CR, so that an LF right behind it belongs to it.
    after_cr: bool,
    is_first_line: bool,
    /// Bytes of all lines of the current event.
    size: usize,
    event: Event,
    has_data: bool,
    /// Holds the joined data once there is more than one line.
    joined: BytesMut,
    has_failed: bool,
}

impl Decoder {
    /// A decoder that refuses events of more than `limit` bytes, names and line ends included.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            chunk: Bytes::new(),
            line: BytesMut::new(),
            after_cr: false,
            is_first_line: true,
            size: 0,
            event: Event::default(),
            has_data: false,
            joined: BytesMut::new(),
            has_failed: false,
        }
    }

    /// Takes the next chunk. Read all events out before the next push.
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

    /// The next complete event; `None` means that another chunk is needed.
    ///
    /// # Errors
    /// An event that is too long, complete or not.
    pub fn next_event(&mut self) -> Result<Option<Event>, SseError> {
        if self.has_failed {
            return Err(SseError::TooLong { limit: self.limit });
        }
        while let Some(line) = self.next_line()? {
            if !line.is_empty() {
                self.field(&line);
            } else if let Some(event) = self.dispatch() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, SseError> {
        if self.after_cr && !self.chunk.is_empty() {
            self.after_cr = false;
            if self.chunk.first() == Some(&b'\n') {
                self.chunk = self.chunk.slice(1..);
            }
        }
        let end = memchr::memchr2(b'\n', b'\r', &self.chunk);
        let length = end.unwrap_or(self.chunk.len());
        let is_comment = self.line.first().or(self.chunk.first()) == Some(&b':');
        if self.size + self.line.len() + length > self.limit && !is_comment {
            self.has_failed = true;
            return Err(SseError::TooLong { limit: self.limit });
        }
        let Some(end) = end else {
            // Of a comment, only its being one is kept.
            let keep = if is_comment { usize::from(self.line.is_empty()) } else { length };
            self.line.extend_from_slice(self.chunk.get(..keep.min(length)).unwrap_or_default());
            self.chunk = Bytes::new();
            return Ok(None);
        };
        self.after_cr = self.chunk.get(end) == Some(&b'\r');
        let mut line = self.chunk.slice(..end);
        self.chunk = self.chunk.slice(end + 1..);
        if !self.line.is_empty() {
            self.line.extend_from_slice(&line);
            line = self.line.split().freeze();
        }
        if std::mem::take(&mut self.is_first_line) && line.starts_with(b"\xef\xbb\xbf") {
            line = line.slice(3..);
        }
        // The empty line that ends an event is no part of it.
        if !is_comment && !line.is_empty() {
            self.size += line.len() + 1;
            if self.size > self.limit {
                self.has_failed = true;
                return Err(SseError::TooLong { limit: self.limit });
            }
        }
        Ok(Some(line))
    }

    fn field(&mut self, line: &Bytes) {
        let colon = memchr::memchr(b':', line.get(..line.len().min(16)).unwrap_or(line));
        let (name, value) = match colon {
            Some(0) => return,
            Some(at) => {
                let blank = usize::from(line.get(at + 1) == Some(&b' '));
                (line.get(..at).unwrap_or_default(), line.slice(at + 1 + blank..))
            }
            None => (&line[..], Bytes::new()),
        };
        match name {
            b"data" => self.data(value),
            b"event" => self.event.event = Some(value),
            b"id" if !value.contains(&0) => self.event.id = Some(value),
            b"retry" => {
                let digits = value.iter().all(u8::is_ascii_digit);
                let text = std::str::from_utf8(&value).ok().filter(|_| digits);
                if let Some(ms) = text.and_then(|text| text.parse().ok()) {
                    self.event.retry_ms = Some(ms);
                }
            }
            _ => {}
        }
    }

    fn data(&mut self, value: Bytes) {
        if !std::mem::replace(&mut self.has_data, true) {
            self.event.data = value;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.event.data));
        }
        self.joined.put_u8(b'\n');
        self.joined.extend_from_slice(&value);
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.size = 0;
        let mut event = std::mem::take(&mut self.event);
        if !self.joined.is_empty() {
            event.data = self.joined.split().freeze();
        }
        let has_data = std::mem::take(&mut self.has_data);
        (has_data || event.id.is_some() || event.retry_ms.is_some()).then_some(event)
    }
}

/// A comment, to be sent so that nobody on the way thinks the stream dead.
pub const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// An event with nothing but data. Each line of the data gets a field of its own, so that no text
/// can end the event or start another field; CR and CRLF become LF.
pub fn event(data: &[u8]) -> Bytes {
    event_with(None, None, data)
}

/// An event with id and name. Of both, control characters are left out.
pub fn event_with(id: Option<&str>, name: Option<&str>, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 64);
    field_into(&mut out, b"event: ", name);
    field_into(&mut out, b"id: ", id);
    data_into(&mut out, data);
    out.freeze()
}

/// An event without data, which tells the client its place in the stream and, if it should come
/// back, after how many milliseconds.
pub fn prime(id: &str, retry_ms: Option<u64>) -> Bytes {
    let mut out = BytesMut::with_capacity(id.len() + 48);
    field_into(&mut out, b"id: ", Some(id));
    if let Some(ms) = retry_ms {
        field_into(&mut out, b"retry: ", Some(&ms.to_string()));
    }
    data_into(&mut out, b"");
    out.freeze()
}

/// An event around a body in parts, which are not copied unless they hold line ends.
pub fn frame(id: Option<&str>, body: Spliced) -> Spliced {
    let has_line_ends = |part: &Bytes| memchr::memchr2(b'\n', b'\r', part).is_some();
    if body.parts().iter().any(has_line_ends) {
        return event_with(id, None, &body.into_bytes()).into();
    }
    let mut head = BytesMut::new();
    field_into(&mut head, b"id: ", id);
    head.extend_from_slice(b"data: ");
    let mut parts = Vec::with_capacity(body.parts().len() + 2);
    parts.push(head.freeze());
    parts.extend(body.into_parts());
    parts.push(Bytes::from_static(b"\n\n"));
    parts.into()
}

fn field_into(out: &mut BytesMut, name: &[u8], value: Option<&str>) {
    let Some(value) = value else { return };
    out.extend_from_slice(name);
    let clean = value.bytes().filter(|b| !b.is_ascii_control());
    out.extend(clean);
    out.put_u8(b'\n');
}

fn data_into(out: &mut BytesMut, mut data: &[u8]) {
    loop {
        let end = memchr::memchr2(b'\n', b'\r', data);
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data.get(..end.unwrap_or(data.len())).unwrap_or_default());
        out.put_u8(b'\n');
        let Some(end) = end else { break };
        let crlf = data.get(end..end + 2) == Some(b"\r\n");
        data = data.get(end + 1 + usize::from(crlf)..).unwrap_or_default();
    }
    out.put_u8(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Id, name, data and retry; what is empty or 0 is absent.
    type Row = (&'static str, &'static str, &'static str, u64);

    #[test]
    fn streams_are_read_as_the_standard_says() {
        let cases: [(&str, &[Row]); 18] = [
            ("data: a\n\n", &[("", "", "a", 0)]),
            (
                "data:a\r\rdata: b\r\n\r\ndata:  c\n\n",
                &[("", "", "a", 0), ("", "", "b", 0), ("", "", " c", 0)],
            ),
            ("data: a\ndata\ndata:b\n\n", &[("", "", "a\n\nb", 0)]),
            ("data\n\n", &[("", "", "", 0)]),
            ("data:\ndata:\n\n", &[("", "", "\n", 0)]),
            ("event: x\nid: 7\nretry: 15\ndata: d\n\n", &[("7", "x", "d", 15)]),
            ("id: 7\ndata:\n\n", &[("7", "", "", 0)]),
            ("id: 7\n\n", &[("7", "", "", 0)]),
            ("retry: 9\n\n", &[("", "", "", 9)]),
            ("event: x\n\ndata: d\n\n", &[("", "", "d", 0)]),
            (": comment\n:\ndata: a\n: inside\ndata: b\n\n", &[("", "", "a\nb", 0)]),
            ("\u{feff}data: a\n\n", &[("", "", "a", 0)]),
            ("\u{feff}: c\n\u{feff}data: a\n\n", &[]),
            ("Data: a\nDATA: b\ndata : c\n data: d\n\n", &[]),
            (
                "id: a\0b\nretry: 1x\nretry: -1\nretry: 99999999999999999999\ndata: d\n\n",
                &[("", "", "d", 0)],
            ),
            ("\n\n\r\n\r", &[]),
            ("data: unfinished", &[]),
            ("data: unfinished\n", &[]),
        ];
        for (stream, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(id, event, data, retry)| {
                    let some = |text: &&'static str| {
                        (!text.is_empty()).then(|| Bytes::from_static(text.as_bytes()))
                    };
                    Event {
                        id: some(id),
                        event: some(event),
                        data: Bytes::from_static(data.as_bytes()),
                        retry_ms: Some(*retry).filter(|ms| *ms > 0),
                    }
                })
                .collect();
            for size in 1..=stream.len() {
                let chunks = stream.as_bytes().chunks(size).map(Bytes::from_static);
                assert_eq!(read(chunks, 1000), Ok(expected.clone()), "{stream:?} by {size}");
            }
        }
    }

    #[test]
    fn an_event_in_one_chunk_is_not_copied() {
        let chunk = event(b"{\"a\":1}");
        let mut decoder = Decoder::new(100);
        decoder.push(chunk.clone());
        let data = decoder.next_event().unwrap().unwrap().data;
        assert_eq!(data.as_ptr(), chunk.slice(6..).as_ptr());
    }

    #[test]
    fn an_event_that_never_ends_is_cut_off() {
        let limit = 1000;
        let error = Err(SseError::TooLong { limit });
        let long = Bytes::from("x".repeat(100));
        assert_eq!(read(std::iter::repeat_n(long, 20), limit), error);
        let lines = Bytes::from_static(b"data: x\n");
        assert_eq!(read(std::iter::repeat_n(lines, 200), limit), error);
        let unknown = Bytes::from_static(b"y: x\n");
        assert_eq!(read(std::iter::repeat_n(unknown, 300), limit), error);
        let mut decoder = Decoder::new(3);
        decoder.push(Bytes::from_static(b"data: long\n\ndata: a\n\n"));
        assert_eq!(decoder.next_event(), Err(SseError::TooLong { limit: 3 }));
        assert_eq!(decoder.next_event(), Err(SseError::TooLong { limit: 3 }));
    }

    #[test]
    fn many_events_and_endless_comments_are_no_long_event() {
        let events = Bytes::from("data: x\n\n".repeat(500));
        assert_eq!(read([events], 100).map(|events| events.len()), Ok(500));
        let comment = std::iter::once(Bytes::from_static(b":"))
            .chain(std::iter::repeat_n(Bytes::from("x".repeat(100)), 50));
        let event = [Bytes::from_static(b"\ndata: x\n\n")];
        assert_eq!(read(comment.chain(event), 100).map(|events| events.len()), Ok(1));
    }

    #[test]
    fn h070_text_cannot_end_its_event_or_start_a_field() {
        let hostile = "a\n\ndata: {\"evil\":1}\n\nevent: x\rid: 9\r\n\r\n: c\nretry: 1";
        for encoded in [
            event(hostile.as_bytes()),
            event_with(Some("1\n\ndata: x"), Some("n\r\rid: 2"), hostile.as_bytes()),
        ] {
            let events = read([encoded], 1000).unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].data, hostile.replace("\r\n", "\n").replace('\r', "\n"));
            assert_eq!(events[0].retry_ms, None);
        }
        let named =
            &read([event_with(Some("1\n\ndata: x"), Some("n\r\rid: 2\0"), b"d")], 100).unwrap()[0];
        assert_eq!(named.id.as_deref(), Some(&b"1data: x"[..]));
        assert_eq!(named.event.as_deref(), Some(&b"nid: 2"[..]));
    }

    #[test]
    fn a_stream_is_primed_and_kept_alive() {
        let events = read([prime("s-1", Some(500)), KEEP_ALIVE, prime("s-2", None)], 100).unwrap();
        let ids: Vec<_> = events.iter().map(|event| event.id.clone().unwrap()).collect();
        assert_eq!(ids, [&b"s-1"[..], b"s-2"]);
        assert_eq!(events[0].retry_ms, Some(500));
        assert!(events.iter().all(|event| !event.is_message()));
    }

    #[test]
    fn a_framed_body_is_one_event_and_not_copied() {
        let body = Bytes::from_static(b"{\"a\":1}");
        let parts = frame(Some("7"), body.clone().into()).into_parts();
        assert!(parts.iter().any(|part| part.as_ptr() == body.as_ptr()));
        let event = &read(parts, 100).unwrap()[0];
        assert_eq!((event.id.as_deref(), &event.data), (Some(&b"7"[..]), &body));
        let pretty = Bytes::from_static(b"{\n\"a\":1\r\n}");
        let event = &read(frame(None, pretty.into()).into_parts(), 100).unwrap()[0];
        assert_eq!(event.data, &b"{\n\"a\":1\n}"[..]);
        assert!(event.is_message());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_it_is_cut(
            events in prop::collection::vec(("[a-z0-9]{0,3}", "[a-z]{0,3}", "[a-c:\n\u{feff}é ]{0,30}"), 1..8),
            cuts in prop::collection::vec(1usize..20, 1..40),
        ) {
            let mut stream = Vec::new();
            for (id, name, data) in &events {
                let id = Some(id.as_str()).filter(|id| !id.is_empty());
                let name = Some(name.as_str()).filter(|name| !name.is_empty());
                stream.extend_from_slice(&event_with(id, name, data.as_bytes()));
            }
            let read = read(cut(&stream, &cuts), 1000).unwrap();
            prop_assert_eq!(read.len(), events.len());
            for (event, (id, name, data)) in read.iter().zip(&events) {
                prop_assert_eq!(event.id.as_deref().unwrap_or_default(), id.as_bytes());
                prop_assert_eq!(event.event.as_deref().unwrap_or_default(), name.as_bytes());
                prop_assert_eq!(&event.data, data.as_bytes());
            }
        }

        #[test]
        fn any_bytes_give_the_same_events_however_they_are_cut(
            stream in "(data|id|event|retry|:|\r|\n|\r\n|\u{feff}| |x|1|\0){0,40}",
            cuts in prop::collection::vec(1usize..6, 1..40),
        ) {
            let whole = read([Bytes::copy_from_slice(stream.as_bytes())], 1000);
            prop_assert_eq!(read(cut(stream.as_bytes(), &cuts), 1000), whole);
        }

        #[test]
        fn any_bytes_are_answered(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let total: usize = chunks.iter().map(Vec::len).sum();
            let events = read(chunks.into_iter().map(Bytes::from), 64).unwrap_or_default();
            prop_assert!(events.len() <= total);
        }
    }

    fn read(chunks: impl IntoIterator<Item = Bytes>, limit: usize) -> Result<Vec<Event>, SseError> {
        let mut decoder = Decoder::new(limit);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event()? {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// The stream in chunks whose sizes go round.
    fn cut(stream: &[u8], sizes: &[usize]) -> Vec<Bytes> {
        let mut chunks = Vec::new();
        let mut rest = stream;
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at(rest.len().min(*size));
            chunks.push(Bytes::copy_from_slice(chunk));
            rest = after;
        }
        chunks
    }
}
