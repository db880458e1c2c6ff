//! One HTTP/1.1 connection of a client, with as little between the socket and the clock as can be.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection that waits for nothing: one request, one answer, then the next.
pub(crate) struct Connection {
    stream: Stream,
    /// What came and belongs to the answer at hand.
    inbox: Vec<u8>,
    /// The body of an answer that came in chunks.
    joined: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An answer whose body has come whole.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) body: &'a [u8],
}

struct Head {
    status: u16,
    session: Option<String>,
    framing: Framing,
    /// Bytes of status line and headers.
    len: usize,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(config) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let name = ServerName::IpAddress(address.ip().into());
                let stream = connector.connect(name, stream).await.context("shaking hands")?;
                Stream::Tls(Box::new(stream))
            }
        };
        Ok(Self { stream, inbox: Vec::new(), joined: Vec::new() })
    }

    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let head = self.ask(request).await?;
        let body = match head.framing {
            Framing::Length(len) => {
                let end = head.len + len;
                self.fill(end).await?;
                ensure!(self.inbox.len() == end, "more came than the answer");
                self.inbox.get(head.len..)
            }
            Framing::Chunked => {
                self.join(head.len).await?;
                Some(self.joined.as_slice())
            }
        };
        Ok(Answer { status: head.status, session: head.session, body: body.unwrap_or_default() })
    }

    /// Opens a stream of events. Returns when its headers have come and, if one is asked for, an
    /// event that holds `first`.
    pub(crate) async fn open_stream(&mut self, request: &[u8], first: Option<&str>) -> Result<()> {
        let head = self.ask(request).await?;
        ensure!(head.status == 200, "a stream was answered with status {}", head.status);
        let Some(first) = first else { return Ok(()) };
        while memchr::memmem::find(&self.inbox, first.as_bytes()).is_none() {
            ensure!(self.inbox.len() < MOST_BEFORE_FIRST, "a stream does not begin as it should");
            self.read_some().await?;
        }
        Ok(())
    }

    /// Whether the other side has not closed; what came meanwhile is thrown away.
    pub(crate) fn is_open(&mut self) -> bool {
        let Stream::Plain(stream) = &self.stream else { return true };
        let mut scratch = [0; 4096];
        loop {
            match stream.try_read(&mut scratch) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Head> {
        self.inbox.clear();
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(request).await?,
            Stream::Tls(stream) => {
                stream.write_all(request).await?;
                stream.flush().await?;
            }
        }
        loop {
            self.read_some().await?;
            if let Some(head) = parse_head(&self.inbox)? {
                return Ok(head);
            }
        }
    }

    /// Reads until there are `len` bytes.
    async fn fill(&mut self, len: usize) -> Result<()> {
        let missing = len.saturating_sub(self.inbox.len());
        self.inbox.reserve(missing);
        while self.inbox.len() < len {
            self.read_some().await?;
        }
        Ok(())
    }

    /// Joins the chunks that begin at `at`.
    async fn join(&mut self, mut at: usize) -> Result<()> {
        self.joined.clear();
        loop {
            let rest = self.inbox.get(at..).unwrap_or_default();
            let parsed = httparse::parse_chunk_size(rest);
            match parsed.map_err(|_| anyhow::anyhow!("a chunk has no size"))? {
                httparse::Status::Partial => self.read_some().await?,
                httparse::Status::Complete((line, size)) => {
                    let start = at + line;
                    let end = start + usize::try_from(size)?;
                    self.fill(end + 2).await?;
                    self.joined.extend_from_slice(self.inbox.get(start..end).unwrap_or_default());
                    at = end + 2;
                    if size == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn read_some(&mut self) -> Result<()> {
        self.inbox.reserve(LEAST_ROOM);
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.inbox).await?,
            Stream::Tls(stream) => stream.read_buf(&mut self.inbox).await?,
        };
        if read == 0 {
            bail!("the connection was closed before the answer was whole");
        }
        Ok(())
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = response.parse(bytes)? else { return Ok(None) };
    let status = response.code.context("an answer without a status")?;
    let mut head = Head { status, session: None, framing: Framing::Length(0), len };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let len = std::str::from_utf8(header.value)?.parse()?;
            head.framing = Framing::Length(len);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("mcp-session-id") {
            head.session = Some(String::from_utf8(header.value.to_vec())?);
        }
    }
    Ok(Some(head))
}

/// Room for one read: a small answer with its headers comes in one.
const LEAST_ROOM: usize = 4096;

/// No stream says more than this before what it is asked for.
const MOST_BEFORE_FIRST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_whole_however_it_is_framed() {
        let cases = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, "hello"),
            ("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", 202, ""),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                200,
                "hello",
            ),
        ];
        for (answer, status, body) in cases {
            // Each split of the answer into two packets, and a case without one.
            for split in 0..answer.len() {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                let address = listener.local_addr().unwrap();
                let server = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut request = [0; 4];
                    stream.read_exact(&mut request).await.unwrap();
                    let (first, second) = answer.as_bytes().split_at(split);
                    stream.write_all(first).await.unwrap();
                    tokio::task::yield_now().await;
                    stream.write_all(second).await.unwrap();
                };
                let client = async {
                    let mut connection = Connection::open(address, None).await.unwrap();
                    let answer = connection.exchange(b"ask.").await.unwrap();
                    assert_eq!(answer.status, status);
                    assert_eq!(answer.body, body.as_bytes());
                };
                futures::future::join(server, client).await;
            }
        }
    }
}
