//! Moves responses onto one stream, event by event.
//!
//! An event may come in pieces, and those of two responses must not mix: each event holds the stream
//! from its first piece to its last. What a cut-off breaks off in the middle of an event is made one
//! that no client reads, since a half message must not look like a whole one.

use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use mcp::errors;
use tokio::sync::{Mutex, MutexGuard, mpsc};

use crate::body::{Body, Gone, PIECE};

/// The writing end of a client's stream.
pub(super) struct Relay(Mutex<mpsc::Sender<Chunk>>);

/// The reading end.
pub(super) type Chunks = mpsc::Receiver<Chunk>;

/// A piece of the stream.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    /// Whether an event ends with it, so that anything else may follow.
    pub(super) ends: bool,
}

/// The request that a response is for.
pub(super) struct Whose {
    /// As its client wrote it.
    pub(super) id: Bytes,
}

/// What waits to be taken: who reads slowly is waited for, and not stored for.
const QUEUE: usize = 4;

pub(super) fn relay() -> (Relay, Chunks) {
    let (sender, chunks) = mpsc::channel(QUEUE);
    (Relay(Mutex::new(sender)), chunks)
}

impl Relay {
    /// Writes a response to its end.
    pub(super) async fn carry(
        &self,
        response: Response<Body>,
        whose: Option<&Whose>,
    ) -> Result<(), Gone> {
        let (head, body) = response.into_parts();
        let media = head.headers.get(CONTENT_TYPE).map_or(&b""[..], |it| it.as_bytes());
        match media {
            b"text/event-stream" => self.carry_events(body, whose).await,
            _ => self.carry_message(body, whose).await,
        }
    }

    /// A whole message, as one event.
    async fn carry_message(&self, mut body: Body, whose: Option<&Whose>) -> Result<(), Gone> {
        let whole = http_body::Body::size_hint(&body).exact().unwrap_or_default();
        if whole == 0 {
            return Ok(());
        }
        let event = Event::begin(self).await;
        // What is small goes in one piece, which cannot be broken off.
        let mut small = BytesMut::from(BEGIN);
        let is_small = whole <= PIECE as u64;
        let mut written = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(piece) = frame.into_data() else { continue };
            if written == 0 && !is_small {
                event.write(small.split().freeze()).await?;
            }
            written += piece.len() as u64;
            match is_small {
                true => small.extend_from_slice(&on_one_line(piece)),
                false => event.write(on_one_line(piece)).await?,
            }
        }
        if written < whole {
            // Nothing of it is out yet where it is small, or was broken off before it began.
            return if written == 0 || is_small {
                event.explain(whose).await
            } else {
                event.withdraw(whose).await
            };
        }
        small.extend_from_slice(b"\n\n");
        event.end(small.freeze()).await
    }

    /// Events, which come in pieces.
    async fn carry_events(&self, mut body: Body, whose: Option<&Whose>) -> Result<(), Gone> {
        let mut current: Option<Event<'_>> = None;
        let mut last = None;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(piece) = frame.into_data() else { continue };
            // The stream shows signs of life by itself.
            let is_comment = current.is_none() && piece.starts_with(b":");
            let Some(newest) = piece.last().copied().filter(|_| !is_comment) else { continue };
            let ends = piece.ends_with(b"\n\n") || *piece == b"\n"[..] && last == Some(b'\n');
            last = Some(newest);
            let (event, piece) = match current.take() {
                Some(event) => (event, renamed(piece, false)),
                None => (Event::begin(self).await, named(piece)),
            };
            if ends {
                event.end(piece).await?;
            } else {
                event.write(piece).await?;
                current = Some(event);
            }
        }
        match current {
            Some(event) => event.withdraw(whose).await,
            None => Ok(()),
        }
    }
}

/// The one event that is being written. Dropped before its end, its stream has ended.
struct Event<'a>(MutexGuard<'a, mpsc::Sender<Chunk>>);

impl<'a> Event<'a> {
    async fn begin(relay: &'a Relay) -> Self {
        Self(relay.0.lock().await)
    }

    async fn write(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.send(Chunk { bytes, ends: false }).await.map_err(|_| Gone)
    }

    async fn end(self, bytes: Bytes) -> Result<(), Gone> {
        self.close(bytes).await
    }

    async fn close(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.send(Chunk { bytes, ends: true }).await.map_err(|_| Gone)
    }

    /// Of two names the last holds, and nobody listens for this one.
    async fn withdraw(self, whose: Option<&Whose>) -> Result<(), Gone> {
        self.close(Bytes::from_static(b"\nevent: withdrawn\n\n")).await?;
        self.explain(whose).await
    }

    /// Says why no answer will come.
    async fn explain(self, whose: Option<&Whose>) -> Result<(), Gone> {
        let Some(Whose { id }) = whose else { return Ok(()) };
        let text = "its answer was broken off: something that it depends on was turned off";
        let data = r#"{"reason":"switched_off","blame":"client","retry":false}"#;
        let body = errors::error_body(Some(id), WITHDRAWN, text, Some(data));
        self.end(named(mcp::sse::event(&body))).await
    }
}

/// The code that other refusals of what is turned off have.
const WITHDRAWN: i32 = 1403;

/// What begins with an event, each with the name that clients of this transport look for.
fn named(piece: Bytes) -> Bytes {
    renamed(piece, true)
}

/// An empty line ends an event and stands nowhere else, so what follows begins one.
fn renamed(piece: Bytes, begins: bool) -> Bytes {
    let begins = begins && piece.starts_with(b"data:");
    let mut inner = memchr::memmem::find_iter(&piece, b"\n\ndata:").map(|at| at + 2).peekable();
    if !begins && inner.peek().is_none() {
        return piece;
    }
    let mut out = BytesMut::with_capacity(piece.len() + 4 * NAME.len());
    let mut from = 0;
    for at in Some(0).filter(|_| begins).into_iter().chain(inner) {
        out.extend_from_slice(piece.get(from..at).unwrap_or_default());
        out.extend_from_slice(NAME);
        from = at;
    }
    out.extend_from_slice(piece.get(from..).unwrap_or_default());
    out.freeze()
}

const NAME: &[u8] = b"event: message\n";
const BEGIN: &[u8] = b"event: message\ndata: ";

/// In valid JSON a line end can only stand between tokens, where a blank means the same.
fn on_one_line(piece: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &piece).is_none() {
        return piece;
    }
    let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    piece.iter().map(blank).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::answer;
    use crate::body::PIECE;
    use crate::flight::Standing;
    use crate::flight::testing::{flights, grounds};

    #[tokio::test]
    async fn events_of_two_responses_never_mix() {
        let (relay, chunks) = relay();
        let tasks = TaskTracker::new();
        let stream = |name: &'static str| {
            answer::events(Body::stream(&tasks, |outlet| async move {
                let two = "data: a\n\ndata: b\n\n";
                for piece in [":\n\n", "data: ", name, name, "\n", "\n", "data: last\n\n", two] {
                    outlet.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }))
        };
        let parts = vec![Bytes::from_static(b"{\"a\":\r\n"), Bytes::from_static(b"\n1}")];
        let (one, two, three) = (stream("one"), stream("two"), answer::json(StatusCode::OK, parts));
        let carrying = async {
            let all = tokio::join!(
                relay.carry(one, None),
                relay.carry(two, None),
                relay.carry(three, None),
                relay.carry(answer::accepted(), None),
            );
            assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok());
            drop(relay);
        };
        let ((), text) = tokio::join!(carrying, read(chunks));
        let mut events: Vec<_> = text.split_terminator("\n\n").collect();
        events.sort_unstable();
        let last = "event: message\ndata: last";
        let [a, b] = ["event: message\ndata: a", "event: message\ndata: b"];
        let expected = [
            a,
            a,
            b,
            b,
            last,
            last,
            "event: message\ndata: oneone",
            "event: message\ndata: twotwo",
            "event: message\ndata: {\"a\":   1}",
        ];
        assert_eq!(events, expected);
    }

    #[tokio::test]
    async fn what_a_cut_off_breaks_off_is_no_message() {
        let flights = flights();
        let flight = Arc::new(flights.enter(grounds(1)));
        let whole = Bytes::from(format!("{{\"a\":\"{}\"}}", "x".repeat(20 * PIECE)));
        let body = Body::revocable(vec![whole], vec![Arc::clone(&flight)]);
        let (relay, mut chunks) = relay();
        let whose = Whose { id: Bytes::from_static(b"\"7\"") };
        let response = answer::json(StatusCode::OK, body);
        let carrying = async {
            relay.carry(response, Some(&whose)).await.unwrap();
            drop(relay);
        };
        let reading = async {
            let mut text = Vec::from(chunks.recv().await.unwrap().bytes);
            flights.stop(|_, _| Standing::Ends).until_written().await;
            text.extend_from_slice(read(chunks).await.as_bytes());
            String::from_utf8(text).unwrap()
        };
        let ((), text) = tokio::join!(carrying, reading);
        let events: Vec<_> = text.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 2);
        assert!(events[0].len() < 8 * PIECE && events[0].ends_with("x\nevent: withdrawn"));
        let word =
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"7\",\"error\":{\"code\":1403,";
        assert!(events[1].starts_with(word), "{}", events[1]);
    }

    async fn read(mut chunks: Chunks) -> String {
        let (mut text, mut is_between) = (String::new(), true);
        while let Some(Chunk { bytes, ends }) = chunks.recv().await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            is_between = ends;
            assert_eq!(ends, text.ends_with("\n\n"), "{text}");
        }
        assert!(is_between);
        text
    }
}
