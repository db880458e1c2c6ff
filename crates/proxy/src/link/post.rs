//! Sending one message, and only through the last gate.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use domain::Transport;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mcp::headers::{LAST_EVENT_ID, MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::revision::Revision;

use super::exchange::Pipe;
use super::{Channel, Exchange, Link, UpstreamSession, line};
use crate::authorize::{Cleared, Pass};
use crate::flight::{Flight, Writing};
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::wire::{Endpoint, Outgoing, Ready, SendError};

/// One JSON-RPC message to an upstream.
pub(crate) struct Letter {
    /// The whole message; a request has `id` in it.
    pub(crate) parts: Vec<Bytes>,
    /// Our id of a request; absent for notifications and answers.
    pub(crate) id: Option<u64>,
    /// Whether it asks for progress under its own id (see [`crate::wire::Child::request`]).
    pub(crate) progress: bool,
    /// The MCP headers that belong to it, without version and session.
    pub(crate) headers: HeaderMap,
}

/// How often a pooled connection may turn out to have been closed by the other side.
pub(super) const ATTEMPTS: usize = 4;

impl Link {
    /// Sends a message of a pass, when the last gate lets it.
    pub(crate) async fn post(
        &self,
        worker: &Worker,
        pass: &Pass,
        channel: &Channel,
        mut letter: Letter,
    ) -> Result<Exchange, Refusal> {
        match channel {
            Channel::Modern(hello) => {
                letter.headers.insert(MCP_PROTOCOL_VERSION, version(hello.revision));
                self.deliver(worker, pass, None, letter).await
            }
            Channel::Legacy(session) => {
                if !session.is_for(self, pass) {
                    return Err(self.refuse(UpstreamError::SessionLost));
                }
                add_session(&mut letter.headers, session);
                let sent = self.deliver(worker, pass, Some(session), letter).await?;
                Ok(sent.in_session(session))
            }
        }
    }

    /// Sends a message that has no answer, and waits no longer than for a probe: a server that takes
    /// none of it must hold up neither a cut-off nor the call that it belongs to.
    pub(crate) async fn post_briefly(
        &self,
        worker: &Worker,
        pass: &Pass,
        channel: &Channel,
        letter: Letter,
    ) -> Result<(), Refusal> {
        let patience = worker.proxy.options.probe;
        let posting = pass.unless_ended(self.post(worker, pass, channel, letter));
        let posted = tokio::time::timeout(patience, posting).await;
        let posted = posted.unwrap_or_else(|_| Err(self.refuse(UpstreamError::Timeout(patience))));
        posted.map(drop)
    }

    /// Sends a message whose headers are complete.
    pub(super) async fn deliver(
        &self,
        worker: &Worker,
        pass: &Pass,
        session: Option<&UpstreamSession>,
        letter: Letter,
    ) -> Result<Exchange, Refusal> {
        if let Some(line) = session.and_then(|it| it.line.as_ref()) {
            return Box::pin(line::deliver(self, worker, (pass, line), letter)).await;
        }
        match &self.server.transport {
            Transport::Sse { .. } => Err(self.refuse(UpstreamError::SessionLost)),
            Transport::Http { .. } => {
                let Letter { headers, parts, .. } = letter;
                let outgoing = Outgoing { method: Method::POST, headers, body: parts };
                Box::pin(self.request(worker, pass, outgoing)).await
            }
            Transport::Stdio { .. } => {
                let child = match session.and_then(|it| it.child.as_ref()) {
                    Some(child) => child.clone(),
                    None => Box::pin(self.children.modern(self, worker)).await?,
                };
                self.check(pass)?;
                let writing = pass.flight.write();
                pass.clear().await?;
                Box::pin(super::stdio::send(self, &child, writing, letter)).await
            }
        }
    }

    /// A pass lets nothing through to where it does not lead.
    fn check(&self, pass: &Pass) -> Result<(), Refusal> {
        let leads_here = pass.assignment().is_some_and(|it| {
            let (ours, theirs) = (&self.server, &it.server);
            Arc::ptr_eq(ours, theirs) || ours.id == theirs.id && ours.transport == theirs.transport
        });
        if leads_here { Ok(()) } else { Err(Refusal::Gate(domain::ports::GateClosed)) }
    }

    /// One HTTP request; its answer, when its head has come.
    pub(super) async fn request(
        &self,
        worker: &Worker,
        pass: &Pass,
        mut outgoing: Outgoing,
    ) -> Result<Exchange, Refusal> {
        let endpoint = self.endpoint()?;
        let plain = plain_headers(&mut outgoing);
        for _ in 0..ATTEMPTS {
            let begun = self.begin(worker, (pass, endpoint), &plain, &mut outgoing).await;
            let (ready, writing) = begun?;
            match ready.send(outgoing).await {
                Ok(reply) => return Ok(Exchange::http(reply, writing)),
                Err(SendError::Unsent(back)) => outgoing = back,
                Err(SendError::Failed { error, .. }) => return Err(self.refuse(error.into())),
            }
        }
        Err(self.refuse(UpstreamError::NoAnswer))
    }

    pub(super) fn endpoint(&self) -> Result<&Endpoint, Refusal> {
        self.endpoint.as_ref().ok_or_else(|| self.refuse(UpstreamError::NoAnswer))
    }

    /// A connection to an address of the server, and the request as it is to be written on it at
    /// once: the last gate has just let it.
    pub(super) async fn begin(
        &self,
        worker: &Worker,
        (pass, endpoint): (&Pass, &Endpoint),
        plain: &HeaderMap,
        outgoing: &mut Outgoing,
    ) -> Result<(Ready, Writing), Refusal> {
        self.check(pass)?;
        let ready = worker.wire.checkout(endpoint).await.map_err(|it| self.refuse(it.into()))?;
        let writing = pass.flight.write();
        let cleared = pass.clear().await?;
        outgoing.headers.clone_from(plain);
        attach_secret(worker, &cleared, &mut outgoing.headers)?;
        let flight: Weak<Flight> = Arc::downgrade(&pass.flight);
        Ok((ready.held(flight), writing))
    }

    pub(crate) fn refuse(&self, error: UpstreamError) -> Refusal {
        self.failed(&error);
        Refusal::upstream(self.name(), error)
    }
}

/// Says what is sent and taken; takes the headers out, as they are without a credential.
pub(super) fn plain_headers(outgoing: &mut Outgoing) -> HeaderMap {
    let headers = &mut outgoing.headers;
    if outgoing.method == Method::POST {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    } else {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    }
    std::mem::take(headers)
}

/// The credential goes on last, onto a connection that has already proved where it leads.
fn attach_secret(
    worker: &Worker,
    cleared: &Cleared<'_>,
    headers: &mut HeaderMap,
) -> Result<(), Refusal> {
    let Some(id) = cleared.identity else { return Ok(()) };
    let identity = cleared.caller.workspace.identities.get(&id);
    let identity = identity.ok_or(domain::ports::Unopenable)?;
    let opened = worker.proxy.secrets.open(cleared.caller.workspace.id, identity)?;
    for (name, value) in opened.0 {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| domain::ports::Unopenable)?;
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| domain::ports::Unopenable)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(())
}

pub(super) fn add_session(headers: &mut HeaderMap, session: &UpstreamSession) {
    if let Some(id) = &session.id {
        headers.insert(MCP_SESSION_ID, id.clone());
    }
    // Before 2025-06-18 there was no such header, and strict servers refuse it.
    if Revision::V2025_06_18 <= session.hello.revision {
        headers.insert(MCP_PROTOCOL_VERSION, version(session.hello.revision));
    }
}

pub(super) fn version(revision: Revision) -> HeaderValue {
    HeaderValue::from_static(revision.as_str())
}

impl Link {
    /// Ends a session with the upstream, if it has one to end. Whether it worked is of no concern.
    pub(crate) async fn goodbye(&self, worker: &Worker, pass: &Pass, session: &UpstreamSession) {
        if let Some(child) = session.child.as_ref().filter(|_| session.own) {
            child.stop().await;
            return;
        }
        if let Some(line) = &session.line {
            line.close();
            return;
        }
        if session.id.is_none() || !session.is_for(self, pass) {
            return;
        }
        let mut headers = HeaderMap::new();
        add_session(&mut headers, session);
        let outgoing = Outgoing { method: Method::DELETE, headers, body: Vec::new() };
        // Not for as long as an answer may take: nobody waits for this one, and an end of ours does.
        let patience = worker.proxy.options.probe;
        let saying = Box::pin(self.request(worker, pass, outgoing));
        let late = || Err(self.refuse(UpstreamError::Timeout(patience)));
        let said = tokio::time::timeout(patience, saying).await.unwrap_or_else(|_| late());
        if let Err(error) = said {
            tracing::debug!(%error, "A session with an upstream was not ended");
        }
    }

    /// Opens the upstream's stream for what belongs to no call, if it has one: where it was left, as
    /// far as the server knows that.
    pub(crate) async fn listen(
        &self,
        worker: &Worker,
        pass: &Pass,
        session: &UpstreamSession,
    ) -> Result<Option<Exchange>, Refusal> {
        if let Some(line) = session.line.as_ref().filter(|_| session.is_for(self, pass)) {
            return Ok(line.listen().map(Exchange::Feed));
        }
        if session.id.is_none() || !session.is_for(self, pass) {
            return Ok(None);
        }
        let mut headers = HeaderMap::new();
        add_session(&mut headers, session);
        let outgoing = |headers| Outgoing { method: Method::GET, headers, body: Vec::new() };
        let left = session.left.lock().id.clone();
        let mut opened = None;
        if let Some(id) = left {
            let mut headers = headers.clone();
            headers.insert(LAST_EVENT_ID, id);
            let going_on = Box::pin(self.request(worker, pass, outgoing(headers))).await?;
            opened = Some(going_on).filter(|it| !matches!(it.status().as_u16(), 400..=407));
        }
        let mut opened = match opened {
            Some(opened) => opened,
            None => {
                session.left.lock().id = None;
                Box::pin(self.request(worker, pass, outgoing(headers))).await?
            }
        };
        opened.be_patient();
        match opened.status().as_u16() {
            200..=299 => Ok(Some(opened.in_session(session))),
            // These may pass; any other status says that there is no such stream.
            status @ (408 | 429 | 500..) => Err(self.refuse(UpstreamError::Status(status))),
            _ => Ok(None),
        }
    }

    /// What a managed server says to no call in particular from now on.
    pub(crate) async fn hear(&self, worker: &Worker, channel: &Channel) -> Option<Pipe> {
        if !matches!(self.server.transport, Transport::Stdio { .. }) {
            return None;
        }
        let child = match channel {
            Channel::Legacy(session) => session.child.clone()?,
            Channel::Modern(_) => Box::pin(self.children.modern(self, worker)).await.ok()?,
        };
        child.hear().map(Pipe::new)
    }

    /// What a managed server that serves one client alone says and asks to no call in particular.
    pub(crate) fn hear_whole(&self, session: &UpstreamSession) -> Option<Exchange> {
        let child = session.child.as_ref().filter(|_| session.own)?;
        let pipe = child.hear().map(Pipe::new)?;
        Some(Exchange::Pipe(pipe.with_requests(child.hear_requests())))
    }

    /// Counts one more who watches a resource of a session that all share; whether it is the first.
    pub(crate) fn watch(&self, uri: &str) -> bool {
        let mut watched = self.watched.lock();
        let count = watched.entry(uri.to_owned()).or_default();
        *count += 1;
        *count == 1
    }

    /// Counts one less; whether it was the last.
    pub(crate) fn unwatch(&self, uri: &str) -> bool {
        let mut watched = self.watched.lock();
        let Some(count) = watched.get_mut(uri) else { return false };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            watched.remove(uri);
        }
        is_last
    }
}
