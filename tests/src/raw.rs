//! HTTP as bytes, for requests that no client library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::within;

/// One connection.
pub struct Raw {
    stream: TcpStream,
    /// Read, and not yet given.
    rest: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// The lines of the head after the first, as they came.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Raw {
    /// On a connection that there is.
    pub fn of(stream: TcpStream) -> Self {
        Self { stream, rest: Vec::new() }
    }

    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, rest: Vec::new() }
    }

    /// Sends these bytes. A gateway that has closed already takes none, which is no failure.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(within("sending", self.stream.write_all(bytes.as_ref())).await);
    }

    /// Sends these bytes while reading, since an answer may come before all are taken.
    pub async fn exchange(&mut self, bytes: &[u8]) -> Option<RawAnswer> {
        let (mut reader, mut writer) = self.stream.split();
        let mut piece = [0; 16 << 10];
        let read = async {
            let read = reader.read(&mut piece).await.unwrap_or(0);
            self.rest.extend_from_slice(&piece[..read]);
        };
        let write = async { drop(writer.write_all(bytes).await) };
        within("an answer", futures::future::join(read, write)).await;
        self.answer().await
    }

    /// The next answer; nothing when the connection has ended before it.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        let head = self.head().await?;
        let mut lines = head.split("\r\n").map(str::to_owned);
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<String> = lines.filter(|it| !it.is_empty()).collect();
        let named = |name: &str| {
            headers.iter().find_map(|it| {
                let (key, value) = it.split_once(':').unwrap();
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let body = match named("content-length") {
            Some(length) => self.take(length.parse().unwrap()).await,
            None if named("transfer-encoding") == Some("chunked") => self.chunks().await,
            None => Vec::new(),
        };
        Some(RawAnswer { status, headers, body })
    }

    /// Whether the other side has closed, and said nothing more before.
    pub async fn has_ended(&mut self) -> bool {
        self.rest.is_empty() && !self.more().await
    }

    async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = self.rest.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.rest.len() < length {
            assert!(self.more().await, "the body ended early");
        }
        self.rest.drain(..length).collect()
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = self.rest.windows(2).position(|it| it == b"\r\n") {
                    break end;
                }
                assert!(self.more().await, "a chunk ended early");
            };
            let line = self.take(end + 2).await;
            let size = String::from_utf8(line).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = self.take(size + 2).await;
            chunk.truncate(size);
            body.extend(chunk);
            if size == 0 {
                return body;
            }
        }
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = within("an answer", self.stream.read(&mut buffer)).await;
        // A reset is an end as well.
        let read = read.unwrap_or(0);
        self.rest.extend_from_slice(&buffer[..read]);
        0 < read
    }
}
