//! `subscriptions/listen`: one stream to the client, fed by one stream of each server.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{HeaderMap, HeaderValue, Response};
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::headers::MCP_METHOD;
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::names;
use mcp::revision::{self, Era};
use mcp::splice::Splice;
use mcp::sse;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::{Body, Outlet};
use crate::call::Asked;
use crate::catalog::{Part, View};
use crate::link::{Channel, Exchange, Letter};
use crate::record;
use crate::refusal::Refusal;
use crate::session::OpenStream;

/// Kinds of change that can be listened to, with the capability that offers each.
const CHANGES: [(&str, &str); 3] = [
    ("toolsListChanged", "tools"),
    ("promptsListChanged", "prompts"),
    ("resourcesListChanged", "resources"),
];

/// The largest number of resources that one stream may watch.
const MOST_RESOURCES: usize = 1_000;

/// What a client has asked for, as far as it is granted.
#[derive(Default)]
struct Filter {
    changes: Vec<&'static str>,
    /// As the client names them.
    resources: Vec<String>,
}

/// One server's stream.
struct Source {
    exchange: Exchange,
    pass: Pass,
}

type Feed = Pin<Box<dyn Future<Output = Option<(Bytes, Source)>> + Send>>;

/// Opens a stream.
pub(crate) async fn modern(asked: Asked) -> Response<Body> {
    match open(&asked).await {
        Ok((pass, view, filter, place)) => {
            let tasks = asked.worker.proxy.options.tasks.clone();
            let listening = Listening { asked, pass, view, filter, _place: place };
            answer::events(Body::stream(&tasks, |outlet| listening.run(outlet)))
        }
        Err(refusal) => asked.refuse(&refusal).await,
    }
}

async fn open(asked: &Asked) -> Result<(Pass, Arc<View>, Filter, OpenStream), Refusal> {
    let wanted = asked.message.params().and_then(|it| it.get("notifications"));
    let wanted = wanted.filter(|it| it.is_object());
    let wanted = wanted.ok_or(Refusal::Params("`params.notifications` is missing"))?;
    let place = asked.worker.proxy.streams.open(asked.caller.app)?;
    let (pass, view) = authorize::look(asked, Era::Modern).await?;
    let filter = grant(asked, &view, wanted);
    record::answered(asked).await?;
    Ok((pass, view, filter, place))
}

/// What of it the servers offer and the caller may see (H072).
fn grant(asked: &Asked, view: &View, wanted: Raw<'_>) -> Filter {
    let offers = |kind: &str| view.parts.iter().any(|it| modern_part(it) && has(it, kind));
    let asked_for = |key: &str| wanted.get(key).and_then(Raw::bool) == Some(true);
    let changes = CHANGES.iter().filter(|(key, kind)| asked_for(key) && offers(kind));
    let changes = changes.map(|(key, _)| *key).collect();
    let uris = wanted.get("resourceSubscriptions").into_iter().flat_map(Raw::items);
    let uris = uris.filter_map(Raw::str).take(MOST_RESOURCES).map(|it| it.into_owned());
    let readable = |uri: &String| {
        let offered = view.find_resource(uri);
        let (caller, place) = (asked.caller.clone(), asked.place.clone());
        offered.is_some_and(|it| {
            authorize::authorize(&asked.worker.proxy, caller, place, Some(it)).is_ok()
        })
    };
    Filter { changes, resources: uris.filter(readable).collect() }
}

fn modern_part(part: &Part) -> bool {
    part.listing.spoken == Era::Modern && part.listing.error.is_none()
}

fn has(part: &Part, kind: &str) -> bool {
    let capabilities = Raw::parse(&part.listing.capabilities, Limits::default());
    capabilities.is_ok_and(|it| it.get(kind).is_some())
}

struct Listening {
    asked: Asked,
    pass: Pass,
    view: Arc<View>,
    filter: Filter,
    /// Its place among the streams of its app.
    _place: OpenStream,
}

impl Listening {
    async fn run(self, outlet: Outlet) {
        // At once, and not after the servers have answered: clients wait for it.
        if outlet.send(sse::event(&self.acknowledgement())).await.is_err() {
            return;
        }
        // A server that is slow to begin keeps nothing back of what the others say.
        let parts = self.view.parts.iter().filter(|it| modern_part(it));
        let mut opening: FuturesUnordered<_> = parts.map(|it| self.source(it)).collect();
        let mut feeds: FuturesUnordered<Feed> = FuturesUnordered::new();
        loop {
            let event = tokio::select! {
                biased;
                () = self.pass.flight.ended() => return,
                Some(source) = opening.next(), if !opening.is_empty() => {
                    if let Some(source) = source {
                        feeds.push(Box::pin(next(source)));
                    }
                    continue;
                }
                Some(fed) = feeds.next(), if !feeds.is_empty() => match fed {
                    Some((text, source)) => {
                        let event = self.relay(&text, &source);
                        feeds.push(Box::pin(next(source)));
                        match event {
                            Some(event) => event,
                            None => continue,
                        }
                    }
                    // A server has ended its stream. The client opens a new one, and so do we.
                    None => break,
                },
                is_current = self.pass.tick() => if is_current { sse::KEEP_ALIVE } else { return },
            };
            // A client that takes nothing keeps no cut-off waiting for what is still opening.
            if !matches!(self.pass.flight.unless_ended(outlet.send(event)).await, Some(Ok(()))) {
                return;
            }
        }
        tracing::debug!(streams = feeds.len(), "A server has ended a subscription");
        // A client that is gone needs no last word.
        outlet.send(sse::event(&self.end())).await.ok();
    }

    fn acknowledgement(&self) -> Bytes {
        let mut granted: Vec<String> =
            self.filter.changes.iter().map(|it| format!("{}:true", quote(it))).collect();
        if !self.filter.resources.is_empty() {
            let uris: Vec<String> = self.filter.resources.iter().map(|it| quote(it)).collect();
            granted.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
        }
        let params = format!(
            r#"{{"_meta":{},"notifications":{{{}}}}}"#,
            self.subscription(),
            granted.join(",")
        );
        errors::notification_body(
            "notifications/subscriptions/acknowledged",
            Some(params.as_bytes()),
        )
    }

    fn end(&self) -> Bytes {
        let result = format!(r#"{{"resultType":"complete","_meta":{}}}"#, self.subscription());
        errors::result_body(self.asked.id(), result.as_bytes())
    }

    fn subscription(&self) -> String {
        let id = self.asked.message.id().map_or("null", Raw::text);
        format!(r#"{{"{}":{id}}}"#, meta::SUBSCRIPTION_ID)
    }

    /// Opens the stream of one server for its part of what is wanted.
    async fn source(&self, part: &Part) -> Option<Source> {
        let worker = &self.asked.worker;
        let kinds = CHANGES
            .iter()
            .filter(|(key, kind)| self.filter.changes.contains(key) && has(part, kind));
        let mut wanted: Vec<String> =
            kinds.map(|(key, _)| format!("{}:true", quote(key))).collect();
        let uris: Vec<String> = self
            .filter
            .resources
            .iter()
            .filter_map(|it| self.view.find_resource(it))
            .filter(|it| it.assignment.id == part.assignment.id)
            .map(|it| quote(&it.name))
            .collect();
        if !uris.is_empty() {
            wanted.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
        }
        if wanted.is_empty() {
            return None;
        }
        let who = (&self.pass.caller, &self.pass.place);
        let (pass, link) = authorize::lead(worker, who, part.assignment.id).ok()?;
        let hello = pass.unless_ended(link.discover(worker, &pass)).await.ok()??;
        let id = link.next_id();
        let params = format!(
            r#"{{"_meta":{{"{}":{},"{}":{{}},"{}":{}}},"notifications":{{{}}}}}"#,
            meta::PROTOCOL_VERSION,
            quote(revision::LATEST.as_str()),
            meta::CLIENT_CAPABILITIES,
            meta::CLIENT_INFO,
            String::from_utf8_lossy(&crate::link::our_info()),
            wanted.join(","),
        );
        let method = "subscriptions/listen";
        let body = errors::request_body(id.to_string().as_bytes(), method, Some(params.as_bytes()));
        let mut headers = HeaderMap::new();
        headers.insert(MCP_METHOD, HeaderValue::from_static(method));
        let letter = Letter { parts: vec![body], id: Some(id), progress: false, headers };
        let channel = Channel::Modern(hello);
        let posted = pass.unless_ended(link.post(worker, &pass, &channel, letter)).await;
        let mut exchange = posted.ok()?;
        exchange.be_patient();
        Some(Source { exchange, pass })
    }

    /// A server's notification under the client's subscription.
    fn relay(&self, text: &Bytes, source: &Source) -> Option<Bytes> {
        let message = Message::parse(text.clone(), Limits::default()).ok()?;
        if message.kind() != MessageKind::Notification || source.pass.flight.is_ended() {
            return None;
        }
        let only = source.pass.place.only.as_ref()?;
        let mut splice = Splice::new(text.clone());
        let heard = message.method().strip_prefix("notifications/")?;
        if let Some(kind) = heard.strip_suffix("/list_changed") {
            self.asked.worker.proxy.catalog.changed(only.server.id);
            let asked = CHANGES.iter().find(|(_, it)| *it == kind)?.0;
            self.filter.changes.contains(&asked).then_some(())?;
        } else if heard == "resources/updated" {
            let place = message.params()?.get("uri")?;
            let uri = place.str()?;
            let exposed = match self.view.is_prefixed() {
                true => names::exposed_uri(only.alias.as_str(), &uri),
                false => uri.into_owned(),
            };
            // Only what has been granted: not what others have asked the server for.
            self.filter.resources.contains(&exposed).then_some(())?;
            splice.replace_value(place, Bytes::from(quote(&exposed)));
        } else {
            return None;
        }
        let id = self.asked.message.id().map_or("null", Raw::text).to_owned();
        let entries = [(meta::SUBSCRIPTION_ID, Bytes::from(id))];
        meta::set_request_entries(&mut splice, &message, &entries);
        Some(sse::event(&splice.finish().into_bytes()))
    }
}

/// What a server says next; nothing when its stream has ended, or has been ended.
async fn next(mut source: Source) -> Option<(Bytes, Source)> {
    let flight = Arc::clone(&source.pass.flight);
    let text = flight.unless_ended(source.exchange.next()).await??.ok()?;
    Some((text, source))
}
