//! A client of either era, and what it sends and gets.

mod http;
mod paired;
mod post;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::http::{Answer, Event, Streamed};
pub use self::paired::Paired;
pub use self::post::Post;

use crate::line::Line;
use crate::raw::{Raw, RawAnswer};
use crate::{Gateway, Served};

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

/// Somebody who calls a gateway. It has said hello already, if its era asks for that.
pub struct Client {
    pub era: Era,
    pub revision: &'static str,
    /// Its session's id, in the legacy era.
    pub session: Option<String>,
    /// What it says that it can be asked, as JSON.
    pub capabilities: String,
    /// What it presents.
    token: Option<String>,
    address: SocketAddr,
    host: String,
    path: String,
    next_id: AtomicU64,
}

pub const MODERN: &str = "2026-07-28";
pub const LEGACY: &str = "2025-11-25";

impl Client {
    pub fn modern(gateway: &Gateway) -> Self {
        Self::stranger(gateway, Era::Modern, MODERN)
    }

    /// One that can be asked nothing.
    pub async fn legacy(gateway: &Gateway) -> Self {
        Self::legacy_as(gateway, LEGACY, "{}").await
    }

    /// One of a certain revision, with these capabilities.
    pub async fn legacy_as(gateway: &Gateway, revision: &'static str, capabilities: &str) -> Self {
        let mut client = Self::stranger(gateway, Era::Legacy, revision);
        client.capabilities = capabilities.to_owned();
        client.say_hello().await;
        client
    }

    /// Opens its session.
    async fn say_hello(&mut self) {
        let answer = self.send(self.initialize()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let negotiated = &answer.json()["result"]["protocolVersion"];
        assert_eq!(negotiated, self.revision, "{}", answer.text());
        self.session = answer.header("mcp-session-id").map(str::to_owned);
        assert!(self.session.is_some(), "a session is opened");
        let ready = self.notification("notifications/initialized", "");
        assert_eq!(self.send(ready).await.status, 202);
    }

    /// One of each era.
    pub async fn of_each_era(gateway: &Gateway) -> [Self; 2] {
        [Self::modern(gateway), Self::legacy(gateway).await]
    }

    /// One of each era at a gateway that asks for tokens.
    pub async fn with_token(served: &Served, path: &str, token: &str) -> [Self; 2] {
        let modern = Self::modern_with_token(served, path, token);
        let mut legacy = Self { era: Era::Legacy, revision: LEGACY, ..modern.twin() };
        legacy.say_hello().await;
        [modern, legacy]
    }

    /// The modern one of them.
    pub fn modern_with_token(served: &Served, path: &str, token: &str) -> Self {
        Self {
            era: Era::Modern,
            revision: MODERN,
            session: None,
            capabilities: "{}".to_owned(),
            token: Some(token.to_owned()),
            address: served.address,
            host: served.host(),
            path: path.to_owned(),
            next_id: AtomicU64::new(1),
        }
    }

    /// A legacy one of a certain revision, with these capabilities.
    pub async fn legacy_with_token(
        served: &Served,
        (path, token): (&str, &str),
        revision: &'static str,
        capabilities: &str,
    ) -> Self {
        let capabilities = capabilities.to_owned();
        let modern = Self::modern_with_token(served, path, token);
        let mut client = Self { era: Era::Legacy, revision, capabilities, ..modern };
        client.say_hello().await;
        client
    }

    /// Says hello as a legacy client, which it becomes if it was none, and gives what it hears. With
    /// 200 it has a session.
    pub async fn begin_session(&mut self) -> Answer {
        (self.era, self.revision, self.session) = (Era::Legacy, LEGACY, None);
        let answer = self.send(self.initialize()).await;
        self.session = answer.header("mcp-session-id").map(str::to_owned);
        answer
    }

    /// Sends to another address from now on, which leads to the same gateway.
    pub fn move_to(&mut self, address: SocketAddr) {
        (self.address, self.host) = (address, address.to_string());
    }

    /// One that has not said hello.
    pub fn stranger(gateway: &Gateway, era: Era, revision: &'static str) -> Self {
        Self {
            era,
            revision,
            session: None,
            capabilities: "{}".to_owned(),
            token: None,
            address: gateway.address,
            host: gateway.host(),
            path: gateway.path.clone(),
            next_id: AtomicU64::new(1),
        }
    }

    /// The same client at another path of the same gateway.
    pub async fn at(&self, path: &str) -> Self {
        let mut client = self.at_unopened(path);
        if self.era == Era::Legacy {
            client.say_hello().await;
        }
        client
    }

    /// The same, in the session that it has here, if any.
    pub fn at_unopened(&self, path: &str) -> Self {
        Self { path: path.to_owned(), session: self.session.clone(), ..self.twin() }
    }

    /// The same client as one of another era that has not said hello.
    #[must_use]
    pub fn in_era(self, era: Era, revision: &'static str) -> Self {
        Self { era, revision, session: None, ..self }
    }

    /// The same as a legacy one in the session that it has been given.
    #[must_use]
    pub fn in_session(self) -> Self {
        Self { era: Era::Legacy, revision: LEGACY, ..self }
    }

    /// Where it sends to.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Sends, and waits for the whole answer.
    pub async fn send(&self, post: Post) -> Answer {
        self.open(post).await.whole().await
    }

    /// Sends on a connection of its own, reading the answer all the while: for what is refused
    /// before it has been taken to its end.
    pub async fn send_plainly(&self, post: Post) -> RawAnswer {
        let bytes = post.bytes(&self.host, &self.path);
        Raw::connect(self.address).await.exchange(&bytes).await.expect("an answer")
    }

    /// Sends on a connection that is kept, and waits for the head of the answer. Dropping the answer
    /// before its end closes the connection.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn open_on(&self, line: &mut Line, post: Post) -> Result<Streamed, String> {
        Ok(line.open(post.into_request(&self.host, &self.path)).await?.into())
    }

    /// Sends, and waits for the head of the answer.
    pub async fn open(&self, post: Post) -> Streamed {
        http::open(self.address, post.into_request(&self.host, &self.path)).await
    }

    /// Lists, so that the gateway need not ask the server anew for what comes next.
    pub async fn warm_up(&self) {
        let answer = self.send(self.request("tools/list", "")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(r#""tools":["#), "{}", answer.text());
    }

    /// The same client before it has said hello.
    fn twin(&self) -> Self {
        Self {
            era: self.era,
            revision: self.revision,
            session: None,
            capabilities: self.capabilities.clone(),
            token: self.token.clone(),
            address: self.address,
            host: self.host.clone(),
            path: self.path.clone(),
            next_id: AtomicU64::new(1),
        }
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a client of {}", self.revision)
    }
}
