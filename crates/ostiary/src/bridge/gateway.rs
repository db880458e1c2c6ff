//! The gateway: one URL, and connections to it.
//!
//! Each request has a connection to itself (HTTP/1.1), so that giving one up closes its connection
//! and no other. Redirects are not followed, no proxy is taken from the environment, and a token
//! leaves in the clear only for this machine itself.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Client, Response, Url};

use super::answer::Answer;
use super::token::Token;
use super::trouble::Trouble;
use crate::failure::Failure;

/// How long the gateway may be silent. It gives servers five minutes and shows signs of life
/// meanwhile, so it tells of a silent server itself.
pub(super) const SILENCE: Duration = Duration::from_secs(360);

/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept unused: not as long as the gateway keeps it.
const IDLE: Duration = Duration::from_secs(30);

/// How many are kept unused.
const SPARE: usize = 32;

/// How often a peer is asked for a sign of life when nothing comes, and how often in vain. As long in
/// all may it take to say that something has arrived: it may be gone, or we may have slept.
const PROBE: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// What is read of an answer that says no.
const WORDS: usize = 64 << 10;

/// Where messages go.
pub(super) struct Gateway {
    url: Url,
    client: Client,
    token: Token,
}

impl Gateway {
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn new(url: Url, token: Token) -> Result<Self, Failure> {
        // The first call installs it; a later one finds it there.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let here = [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        ];
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs("localhost", &here)
            .http1_only()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(SPARE)
            .tcp_user_timeout(PROBE * PROBES)
            .tcp_keepalive(PROBE)
            .tcp_keepalive_interval(PROBE)
            .tcp_keepalive_retries(PROBES)
            .build()
            .map_err(Failure::other)?;
        Ok(Self { url, client, token })
    }

    /// Sends a message; what comes back, if it is no refusal.
    ///
    /// # Errors
    /// When nothing comes back, or a status that says no.
    pub(super) async fn post(
        &self,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Trouble> {
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, both);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.ask(Method::POST, headers, body).await
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// As for [`Gateway::post`].
    pub(super) async fn get(&self, mut headers: HeaderMap) -> Result<Answer, Trouble> {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.ask(Method::GET, headers, Bytes::new()).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As for [`Gateway::post`].
    pub(super) async fn delete(&self, headers: HeaderMap) -> Result<(), Trouble> {
        self.ask(Method::DELETE, headers, Bytes::new()).await.map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Trouble> {
        let request = (&method, &headers, &body);
        let token = self.token.header();
        let mut response = self.send(request, token.as_ref()).await?;
        // A token that is not accepted stops a request before anything is done about it.
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(fresh) = self.token.other_than(token.as_ref())
        {
            response = self.send(request, Some(&fresh)).await?;
        }
        if response.status().is_success() {
            return Ok(Answer::of(response));
        }
        Err(Trouble::refused(response.status(), words(response).await))
    }

    async fn send(
        &self,
        (method, headers, body): (&Method, &HeaderMap, &Bytes),
        token: Option<&HeaderValue>,
    ) -> Result<Response, Trouble> {
        let mut headers = headers.clone();
        headers.extend(token.map(|it| (AUTHORIZATION, it.clone())));
        let request = self.client.request(method.clone(), self.url.clone()).headers(headers);
        let request = if body.is_empty() { request } else { request.body(body.clone()) };
        let sent = tokio::time::timeout(SILENCE, request.send()).await;
        sent.map_err(|_| Trouble::Silent(SILENCE))?.map_err(|error| {
            let cause = root(&error);
            // Any other time-out may be one of a request that has been written.
            if error.is_connect() {
                Trouble::Unreachable { cause }
            } else {
                Trouble::BrokenOff { cause }
            }
        })
    }
}

/// Reads a gateway's URL from the command line.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("a gateway's URL holds neither a user nor a fragment".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        "http" => Err("plain http would show the token to the network; use https".to_owned()),
        _ => Err("use an https URL".to_owned()),
    }
}

/// The beginning of what comes with a status that says no.
async fn words(mut response: Response) -> Bytes {
    let mut body = BytesMut::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if WORDS < body.len() + chunk.len() {
                body.clear();
                return;
            }
            body.extend_from_slice(&chunk);
        }
    };
    if tokio::time::timeout(CONNECT, reading).await.is_err() {
        return Bytes::new();
    }
    body.freeze()
}

/// What an error comes from in the end.
pub(super) fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leaves_in_the_clear_for_this_machine_alone() {
        for fine in [
            "https://mcp.example.com/mcp/default/main",
            "http://localhost:8080/mcp/default/main",
            "http://127.0.0.1:8080/mcp/default/main",
            "http://[::1]:8080/mcp/default/main",
        ] {
            assert_eq!(url(fine).unwrap().as_str(), fine);
        }
        for wrong in [
            "http://mcp.example.com/mcp/default/main",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "ftp://localhost/",
            "https://user:secret@mcp.example.com/",
            "https://mcp.example.com/#a",
            "mcp.example.com/mcp",
            "",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
