//! What the gateway answers with: one message, a stream of them, or nothing.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use mcp::envelope::Message;
use mcp::json::Limits;
use mcp::sse::Decoder;
use reqwest::Response;

use super::gateway::{SILENCE, root};
use super::trouble::Trouble;

/// The longest message that is taken, in bytes: somewhat more than a gateway passes on.
const LARGEST: usize = 160 << 20;

/// The longest id of an event that is given back.
const LONGEST_ID: usize = 1 << 10;

/// An answer whose head has come. Dropping it closes its connection.
pub(super) struct Answer {
    response: Response,
    kind: Kind,
    /// Where its stream has been left.
    pub(super) place: Place,
}

/// A place in a stream that the gateway can be asked to go on from.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The id of the last event.
    pub(super) id: Option<HeaderValue>,
    /// How long the gateway wants to be left alone.
    pub(super) retry: Option<Duration>,
}

enum Kind {
    Nothing,
    Json,
    Events(Box<Decoder>),
    Other,
}

impl Answer {
    pub(super) fn of(response: Response) -> Self {
        let kind = kind(response.headers());
        Self { response, kind, place: Place::default() }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether it is a stream of events.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Events(_))
    }

    /// The next message; nothing at the end. Loses nothing when dropped before it is ready, if it is
    /// a stream.
    ///
    /// # Errors
    /// When it breaks off, or brings what is no message.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, Trouble> {
        let text = match &mut self.kind {
            Kind::Nothing => return Ok(None),
            Kind::Json => {
                self.kind = Kind::Nothing;
                whole(&mut self.response).await?
            }
            Kind::Events(decoder) => {
                let Some(text) = event(&mut self.response, decoder, &mut self.place).await? else {
                    self.kind = Kind::Nothing;
                    return Ok(None);
                };
                text
            }
            Kind::Other => {
                let reason = "it is neither JSON nor a stream of events".to_owned();
                return Err(Trouble::NotMcp { reason });
            }
        };
        message(text).map(Some)
    }
}

/// Reads what the gateway says. It may be a list of very many things.
fn message(text: Bytes) -> Result<Message, Trouble> {
    let limits = Limits { members: 16_000_000, ..Limits::default() };
    Message::parse(text, limits).map_err(|error| Trouble::NotMcp { reason: error.to_string() })
}

fn kind(headers: &HeaderMap) -> Kind {
    let Some(media) = headers.get(CONTENT_TYPE) else { return Kind::Nothing };
    let media = media.to_str().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        Kind::Json
    } else if media.eq_ignore_ascii_case("text/event-stream") {
        Kind::Events(Box::new(Decoder::new(LARGEST)))
    } else {
        Kind::Other
    }
}

async fn whole(response: &mut Response) -> Result<Bytes, Trouble> {
    let mut body = BytesMut::new();
    while let Some(chunk) = chunk(response).await? {
        if LARGEST < body.len() + chunk.len() {
            return Err(Trouble::TooLarge { limit: LARGEST });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn event(
    response: &mut Response,
    decoder: &mut Decoder,
    place: &mut Place,
) -> Result<Option<Bytes>, Trouble> {
    loop {
        let found = decoder.next_event().map_err(|_| Trouble::TooLarge { limit: LARGEST })?;
        let Some(event) = found else {
            let Some(chunk) = chunk(response).await? else { return Ok(None) };
            decoder.push(chunk);
            continue;
        };
        place.note(event.id.as_ref(), event.retry_ms);
        if event.is_message() {
            return Ok(Some(event.data));
        }
    }
}

async fn chunk(response: &mut Response) -> Result<Option<Bytes>, Trouble> {
    let read = tokio::time::timeout(SILENCE, response.chunk()).await;
    let read = read.map_err(|_| Trouble::Silent(SILENCE))?;
    read.map_err(|error| Trouble::BrokenOff { cause: root(&error) })
}

impl Place {
    /// Goes on from a later stream, which need not say everything once more.
    pub(super) fn follow(&mut self, later: &Self) {
        if later.id.is_some() {
            self.id.clone_from(&later.id);
        }
        self.retry = later.retry.or(self.retry);
    }

    /// Notes what an event says of its place.
    fn note(&mut self, id: Option<&Bytes>, retry_ms: Option<u64>) {
        if let Some(id) = id {
            let fits = !id.is_empty() && id.len() <= LONGEST_ID;
            self.id = HeaderValue::from_bytes(id).ok().filter(|_| fits);
        }
        self.retry = retry_ms.map(Duration::from_millis).or(self.retry);
    }
}
