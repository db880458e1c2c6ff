//! The way to other replicas. What lives in one process (a legacy session, a call that is held, a
//! task that is tended) is served by that one, whichever of them its client comes to.
//!
//! What a client brings back says where that is: session ids, states and ids of tasks are sealed, and
//! hold the address at which others reach their replica. So it is known without asking anybody, and
//! who makes one up leads nobody anywhere. The request goes there whole, and its answer comes back
//! as it is made: there it is authenticated, decided and recorded, as if it had come to it at
//! once. Only the client's address is taken from here.
//!
//! A request that has come this way goes no further. Where nobody is at the other end any more, it is
//! answered here, as after a restart.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use mcp::envelope::Message;
use mcp::headers::MCP_SESSION_ID;
use mcp::json::Raw;
use mcp::methods;
use mcp::revision::Era;
use rustls::ClientConfig;

use crate::answer::{self, Manner};
use crate::body::{Body, Outlet, PIECE};
use crate::identify::Caller;
use crate::known::Known;
use crate::late::HEARTBEAT;
use crate::parked;
use crate::record;
use crate::refusal::Refusal;
use crate::route::Place;
use crate::serve::{Proxy, Worker};
use crate::session::random_id;
use crate::tasks;
use crate::wire::{Guard, HttpWire, Outgoing, Reply, SendError, WireLimits};

/// Whose request it is that is passed on. Read nowhere but where other replicas come in.
pub(crate) const PEER: HeaderName = HeaderName::from_static("ostiary-peer");

/// What the seal of a session's id is for.
const PURPOSE: &str = "session";

/// Whoever takes no connection for so long is gone: as long as a replica is taken for live that
/// does not show itself.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// Long enough for everything that does not become a stream, which shows signs of life.
const HEAD: Duration = Duration::from_secs(120);
const QUIET: Duration = HEARTBEAT.saturating_mul(4);

/// A connection that waited unused may have been closed meanwhile. The last one is new.
const TRIES: usize = 3;

/// Where others reach this replica; nowhere in a process that is alone.
#[derive(Default)]
pub(crate) struct Hop(OnceLock<SocketAddr>);

impl Hop {
    /// What is known to clients by now stays as it is.
    pub(crate) fn set(&self, address: SocketAddr) {
        self.0.get_or_init(|| address);
    }

    pub(crate) fn own(&self) -> Option<SocketAddr> {
        self.0.get().copied()
    }
}

/// The connections of one worker to other replicas. Whom it trusts there is the caller's to say.
pub fn wire(tls: Arc<ClientConfig>) -> HttpWire {
    let everywhere = ["0.0.0.0/0", "::/0"].map(|it| it.parse().expect("these are networks"));
    // Nothing but sealed addresses is ever asked for.
    let guard = Guard { allow_loopback: true, allowed: everywhere.into() };
    let limits = WireLimits {
        connect: GONE_AFTER,
        head: HEAD,
        quiet: QUIET,
        // Streams last as long as their clients like, and answers are bounded where they are made.
        total: Duration::MAX,
        response_bytes: usize::MAX,
        ..WireLimits::default()
    };
    HttpWire::new(guard, tls, limits)
}

/// A new name for what lives here.
pub(crate) fn new_id(proxy: &Proxy, caller: &Caller, place: &Place) -> String {
    match proxy.hop.own() {
        Some(own) => {
            let whose = whose(caller, place);
            proxy.sealer.seal(
                PURPOSE,
                &whose.each_ref().map(<[u8; 16]>::as_slice),
                own.to_string().as_bytes(),
            )
        }
        None => random_id(),
    }
}

/// Whom the id of a session is bound to, in bytes.
fn whose(caller: &Caller, place: &Place) -> [[u8; 16]; 3] {
    // What is picked may be another gateway by now, and it is the same session.
    let gateway = if place.is_picker() { uuid::Uuid::nil() } else { place.gateway.id.0 };
    [caller.workspace.id.0, gateway, caller.app.0].map(uuid::Uuid::into_bytes)
}

/// Where a session lives that has such a name.
pub(crate) fn session_at(proxy: &Proxy, known: &Known, id: &str) -> Option<SocketAddr> {
    let whose = whose(&known.caller, &known.place);
    let opened = proxy.sealer.open(PURPOSE, &whose.each_ref().map(<[u8; 16]>::as_slice), id)?;
    std::str::from_utf8(&opened).ok()?.parse().ok()
}

/// Where the session lives that a request names in its header.
pub(crate) fn named_session_at(proxy: &Proxy, known: &Known) -> Option<SocketAddr> {
    let id = known.headers.get(MCP_SESSION_ID)?.to_str().ok()?;
    session_at(proxy, known, id)
}

/// Where a modern request belongs that goes on with something: a call that is held, or tasks.
pub(crate) fn held_at(proxy: &Proxy, known: &Known, message: &Message) -> Option<SocketAddr> {
    let own = proxy.hop.own()?;
    let (params, method) = (message.params()?, message.method());
    if methods::describe(method).is_some_and(|it| it.may_ask) {
        let state = params.get("requestState")?.str()?;
        return parked::held_at(known, &proxy.parking, &state);
    }
    let tended_at = |id: Raw<'_>| tasks::tended_at(known, &proxy.sealer, &id.str()?);
    if tasks::is_about_one(method) {
        return tended_at(params.get("taskId")?);
    }
    if method != "subscriptions/listen" {
        return None;
    }
    let ids = params.get("notifications")?.get("taskIds")?.items().take(tasks::MOST_WATCHED);
    let mut places = ids.filter_map(tended_at).peekable();
    let first = places.peek().copied();
    // One stream can be in one place only, and news of tasks may be missed.
    first.filter(|_| places.all(|it| it != own))
}

/// A request as it is passed on.
pub(crate) struct Errand {
    method: Method,
    /// Path and query.
    target: String,
    body: Bytes,
    /// The id of what is to be answered, if that is one message.
    id: Option<Bytes>,
    /// What it is, for the record: a method of the protocol, or of HTTP.
    word: String,
}

impl Errand {
    /// To the URL that it has come to: of a gateway, of one server of it, or the picker's.
    pub(crate) fn to(known: &Known, method: Method) -> Self {
        let Known { caller, place, .. } = known;
        let only = place.only.as_ref().map(|it| format!("/{}", it.alias.as_str()));
        let (workspace, gateway) = (caller.workspace.name.as_str(), place.gateway.name.as_str());
        let target = if place.is_picker() {
            format!("/mcp/{workspace}")
        } else {
            format!("/mcp/{workspace}/{gateway}{}", only.unwrap_or_default())
        };
        let word = method.to_string();
        Self { method, target, body: Bytes::new(), id: None, word }
    }

    /// A message to that URL.
    pub(crate) fn with(known: &Known, message: &Message) -> Self {
        let id = message.id().map(|it| message.body().slice_ref(it.bytes()));
        let word = message.method().to_owned();
        Self { id, word, ..Self::to(known, Method::POST).carrying(message.body().clone()) }
    }

    pub(crate) fn carrying(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// To another path and query.
    pub(crate) fn at(self, target: String) -> Self {
        Self { target, ..self }
    }
}

/// The answer to a request that belongs to another replica; nothing where it is to be answered here.
///
/// # Errors
/// The other one has it, and does not answer any more.
pub(crate) async fn pass_on(
    worker: &Worker,
    known: &Known,
    to: Option<SocketAddr>,
    errand: impl FnOnce() -> Errand,
) -> Result<Option<Response<Body>>, Refusal> {
    let (Some(wire), Some(own), Some(to)) = (&worker.hop, worker.proxy.hop.own(), to) else {
        return Ok(None);
    };
    if to == own || known.is_passed_on {
        return Ok(None);
    }
    let errand = errand();
    let is_open_ended = errand.method == Method::GET;
    let (id, word) = (errand.id.clone(), errand.word.clone());
    let Some(reply) = carry(wire, (&known.headers, known.peer), to, errand).await? else {
        return Ok(None);
    };
    worker.proxy.metrics.passed_on.fetch_add(1, Ordering::Relaxed);
    let (status, headers) = (reply.status, end_to_end(&reply.headers));
    let length = reply.content_length();
    let body = if length.is_some_and(|it| it <= PIECE) {
        let whole = reply.collect(PIECE).await.map_err(|_| Refusal::Interrupted)?;
        Body::from(whole)
    } else {
        let (proxy, caller, peer) = (Arc::clone(&worker.proxy), known.caller.clone(), known.peer);
        Body::stream(&worker.held, |outlet| async move {
            let end = tokio::select! {
                biased;
                // Nobody is to wait for a client that only listens.
                () = proxy.streams.closing(), if is_open_ended => return,
                end = relay(reply, &outlet) => end,
            };
            let End::Broken { is_between } = end else { return };
            let whose = (peer, Some(&caller), Some(word.as_str()));
            let refusal = Refusal::Interrupted;
            let recording = record::unidentified(&proxy, &caller.workspace, whose, &refusal);
            if let Err(error) = recording.await {
                tracing::error!(%error, "It was not recorded that an answer has broken off");
            }
            if let Some(id) = id.filter(|_| is_between) {
                let manner = Manner { id: Some(&id), era: Era::Legacy, tool: false };
                let (_, body) = answer::refusal_parts(&refusal, manner);
                // A client that has gone misses nothing.
                outlet.send(answer::event(vec![body]).concat().into()).await.unwrap_or_default();
            }
        })
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(Some(response))
}

/// Nothing where nobody is there: no connection is to be had. Whatever else goes wrong says nothing of
/// what lives there.
async fn carry(
    wire: &HttpWire,
    (headers, peer): (&HeaderMap, IpAddr),
    to: SocketAddr,
    errand: Errand,
) -> Result<Option<Reply>, Refusal> {
    let Errand { method, target, body, .. } = errand;
    let Ok(endpoint) = wire.guard().parse_url(&format!("https://{to}{target}")) else {
        return Ok(None);
    };
    let mut headers = headers.clone();
    let peer = HeaderValue::try_from(peer.to_string());
    headers.insert(PEER, peer.expect("an address is visible ASCII"));
    let mut outgoing = Outgoing { method, headers, body: vec![body] };
    for number in 1..=TRIES {
        let connecting = async {
            if number == TRIES {
                wire.connect(&endpoint).await
            } else {
                wire.checkout(&endpoint).await
            }
        };
        let ready = match connecting.await {
            Ok(ready) => ready,
            Err(error) => {
                tracing::info!(%to, %error, "A replica that held something is not there any more");
                return Ok(None);
            }
        };
        outgoing = match ready.send(outgoing).await {
            Ok(reply) => return Ok(Some(reply)),
            Err(SendError::Unsent(unsent)) => unsent,
            Err(SendError::Failed { error, .. }) => {
                tracing::warn!(%to, %error, "A replica has not answered what was passed on to it");
                return Err(Refusal::Interrupted);
            }
        };
    }
    tracing::warn!(%to, "A replica takes connections, and nothing on them");
    Err(Refusal::Interrupted)
}

/// What a body says of itself, without what belongs to its connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// How what another replica says has ended.
enum End {
    /// Nobody is owed anything any more.
    Whole,
    /// Too early; perhaps between two events, where the client can be told that it has.
    Broken { is_between: bool },
}

/// Gives the client what comes, as it comes.
async fn relay(mut reply: Reply, outlet: &Outlet) -> End {
    let is_stream = reply.content_length().is_none();
    let mut end = [b'\n'; 2];
    loop {
        match reply.next().await {
            Some(Ok(piece)) => {
                for byte in piece.iter().skip(piece.len().saturating_sub(2)) {
                    end = [end[1], *byte];
                }
                if outlet.send(piece).await.is_err() {
                    return End::Whole;
                }
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "What was passed on to another replica has broken off");
                return End::Broken { is_between: is_stream && end == *b"\n\n" };
            }
            None => return End::Whole,
        }
    }
}

/// Takes off the headers for whom another replica has received a request.
pub(crate) fn take_peer(headers: &mut HeaderMap) -> Option<IpAddr> {
    headers.remove(PEER)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustls::ServerConfig;
    use rustls_pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::wire::client_config;

    /// It may have no room, or end a connection just now: what lives there lives on.
    #[tokio::test]
    async fn whoever_takes_connections_is_not_gone_even_if_nothing_comes_of_them() {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder().with_no_client_auth();
        let server = server.with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        let wire = wire(Arc::new(client_config(&[own.cert.der().clone()]).unwrap()));
        let headers = HeaderMap::new();
        let from = (&headers, IpAddr::from(Ipv4Addr::LOCALHOST));
        let errand = || Errand {
            method: Method::POST,
            target: "/mcp/default".into(),
            body: Bytes::from_static(b"{}"),
            id: None,
            word: "POST".into(),
        };
        let closing = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                drop(acceptor.accept(stream).await.unwrap());
            }
        };
        tokio::select! {
            () = closing => {}
            carried = carry(&wire, from, to, errand()) => {
                assert!(matches!(carried, Err(Refusal::Interrupted)));
            }
        }
        drop(listener);
        assert!(matches!(carry(&wire, from, to, errand()).await, Ok(None)));
    }
}
