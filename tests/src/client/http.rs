//! Answers, whole or as they come.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::text::find_raw;
use crate::wait::within;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The messages in it, one if it is JSON, and as many as there are events if it is a stream.
    pub messages: Vec<Bytes>,
}

/// An answer whose head has come. Dropping it closes the connection.
pub struct Streamed {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of an event.
    looked: usize,
    /// The id of the last event, and how many milliseconds to stay away before coming back to it.
    pub last_id: Option<String>,
    pub retry: Option<u64>,
    /// Drives the connection.
    _driver: JoinSet<()>,
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: Option<String>,
    pub id: Option<String>,
    pub retry: Option<u64>,
    pub data: Bytes,
}

pub(super) async fn open(address: SocketAddr, request: Request<Full<Bytes>>) -> Streamed {
    let stream = within("a connection", TcpStream::connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let response = within("the head of an answer", sender.send_request(request)).await.unwrap();
    Streamed { _driver: driver, ..Streamed::from(response) }
}

/// The answer on a connection that somebody else drives.
impl From<Response<Incoming>> for Streamed {
    fn from(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            buffer: BytesMut::new(),
            looked: 0,
            last_id: None,
            retry: None,
            _driver: JoinSet::new(),
        }
    }
}

impl Streamed {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().unwrap())
    }

    pub fn is_stream(&self) -> bool {
        self.header("content-type") == Some("text/event-stream")
    }

    /// The next event with data; nothing at the end of the stream.
    ///
    /// # Panics
    /// If there is anything in the stream that no gateway should send.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.next_of_any_kind().await?;
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }

    /// The next event, with data or without.
    pub async fn next_of_any_kind(&mut self) -> Option<Event> {
        let event = within("an event, or the end of a stream", self.read_event()).await?;
        self.last_id = event.id.clone().or(self.last_id.take());
        self.retry = event.retry.or(self.retry);
        Some(event)
    }

    async fn read_event(&mut self) -> Option<Event> {
        loop {
            let end = self.buffer[self.looked..].windows(2).position(|it| it == b"\n\n");
            if let Some(end) = end {
                let block = self.buffer.split_to(self.looked + end + 2).freeze();
                self.looked = 0;
                match event(&block) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            self.looked = self.buffer.len().saturating_sub(1);
            if !self.more().await {
                let rest = String::from_utf8_lossy(&self.buffer);
                assert!(rest.is_empty(), "a stream ends within an event: {rest}");
                return None;
            }
        }
    }

    /// The next message of an answer in whatever form; nothing at its end.
    pub async fn next_message(&mut self) -> Option<Bytes> {
        if self.is_stream() {
            return self.next().await.map(|it| it.data);
        }
        while self.more().await {}
        (!self.buffer.is_empty()).then(|| self.buffer.split().freeze())
    }

    /// The next message.
    ///
    /// # Panics
    /// If the stream ends instead.
    pub async fn message(&mut self) -> Value {
        let event = self.next().await.expect("one more message on the stream");
        serde_json::from_slice(&event.data).unwrap()
    }

    /// Everything, to its end.
    pub async fn whole(mut self) -> Answer {
        let mut messages = Vec::new();
        if self.is_stream() {
            while let Some(event) = self.next().await {
                messages.push(event.data);
            }
        } else {
            while self.more().await {}
            if !self.buffer.is_empty() {
                messages.push(self.buffer.freeze());
            }
        }
        Answer { status: self.status, headers: self.headers, messages }
    }

    async fn more(&mut self) -> bool {
        match within("more of an answer", self.body.frame()).await {
            None => false,
            Some(frame) => {
                if let Ok(data) = frame.expect("an answer ends as it should").into_data() {
                    self.buffer.extend_from_slice(&data);
                }
                true
            }
        }
    }
}

/// Reads one block of lines; a block of comments is no event.
fn event(block: &Bytes) -> Option<Event> {
    let mut event = Event::default();
    let mut data: Vec<Bytes> = Vec::new();
    for line in block.split(|it| *it == b'\n').filter(|it| !it.is_empty()) {
        if let Some(value) = line.strip_prefix(b"data: ") {
            data.push(block.slice_ref(value));
        } else if let Some(value) = line.strip_prefix(b"event: ") {
            event.name = Some(String::from_utf8(value.to_vec()).unwrap());
        } else if let Some(value) = line.strip_prefix(b"id: ") {
            event.id = Some(String::from_utf8(value.to_vec()).unwrap());
        } else if let Some(value) = line.strip_prefix(b"retry: ") {
            event.retry = Some(std::str::from_utf8(value).unwrap().parse().unwrap());
        } else {
            let line = String::from_utf8_lossy(line);
            assert!(line.starts_with(':'), "a stream holds an unknown line: {line}");
        }
    }
    event.data = match data.as_slice() {
        [] if event.id.is_none() && event.retry.is_none() => return None,
        [] => Bytes::new(),
        [only] => only.clone(),
        many => many.join(&b'\n').into(),
    };
    Some(event)
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().unwrap())
    }

    /// The last message, which is the answer itself; empty where there is none.
    pub fn text(&self) -> String {
        let last = self.messages.last().map_or(&b""[..], |it| it);
        String::from_utf8(last.to_vec()).unwrap()
    }

    /// The last message.
    pub fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The code of the error that it is.
    pub fn code(&self) -> Option<i64> {
        find_raw(&self.text(), &["error", "code"])?.parse().ok()
    }

    /// The reason that the gateway gives for its refusal.
    pub fn reason(&self) -> Option<String> {
        self.json()["error"]["data"]["reason"].as_str().map(str::to_owned)
    }

    /// Status, and code if it is an error: `400/-32020`, as the table of hostile cases has it.
    pub fn verdict(&self) -> String {
        match self.code() {
            None => self.status.to_string(),
            Some(code) => format!("{}/{code}", self.status),
        }
    }
}
