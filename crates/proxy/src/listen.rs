//! `subscriptions/listen`: one stream to the client, fed by the streams of all servers.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use domain::Kind;
use http::Response;
use mcp::errors;
use mcp::json::{Raw, quote};
use mcp::meta;
use mcp::revision::Era;
use mcp::splice::Splice;
use mcp::sse;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::{Body, Outlet};
use crate::call::Asked;
use crate::catalog::View;
use crate::record;
use crate::refusal::Refusal;
use crate::streams::Seat;
use crate::subscribe::{
    Change, Heard, LISTS, Listener, Prints, Sight, Subscriptions, Wanted, can_watch, filter_member,
    has,
};

/// The largest number of resources that one stream may watch.
const MOST_RESOURCES: usize = 1_000;

/// What a client has asked for, as far as it is granted.
#[derive(Default)]
struct Filter {
    lists: Vec<Kind>,
    /// As the client names them.
    resources: BTreeSet<String>,
}

/// Opens a stream.
pub(crate) async fn modern(asked: Asked) -> Response<Body> {
    match open(&asked).await {
        Ok((seat, pass, listening)) => {
            let tasks = asked.worker.proxy.options.tasks.clone();
            let run = async move |outlet| {
                let _seat = seat;
                listening.run(pass, outlet).await;
            };
            answer::events(Body::stream(&tasks, run))
        }
        Err(refusal) => asked.refuse(&refusal).await,
    }
}

async fn open(asked: &Asked) -> Result<(Seat, Pass, Listening), Refusal> {
    let wanted = asked.message.params().and_then(|it| it.get("notifications"));
    let wanted = wanted.filter(|it| it.is_object());
    let wanted = wanted.ok_or(Refusal::Params("`params.notifications` is missing"))?;
    let seat = asked.worker.proxy.streams.take(asked.caller.app)?;
    let (pass, view) = authorize::look(asked, Era::Modern).await?;
    let listener = Listener {
        worker: Arc::clone(&asked.worker),
        caller: pass.caller.clone(),
        place: pass.place.clone(),
        peer: asked.peer,
        revision: asked.revision,
        askable: asked.askable(),
        method: "subscriptions/listen",
    };
    let filter = grant(&listener, &view, wanted);
    let sight = Sight::of(&listener, view, Prints::default())?;
    record::answered(asked).await?;
    let id = Bytes::copy_from_slice(asked.id());
    let servers = Subscriptions::new(listener.clone());
    let mut listening = Listening { id, filter, listener, servers, sight };
    listening.want();
    Ok((seat, pass, listening))
}

/// What of it the servers offer and the caller may see (H072).
fn grant(listener: &Listener, view: &View, wanted: Raw<'_>) -> Filter {
    let offers = |kind| view.parts.iter().any(|it| it.listing.error.is_none() && has(it, kind));
    let asked_for = |kind| wanted.get(filter_member(kind)).and_then(Raw::bool) == Some(true);
    let lists = LISTS.into_iter().filter(|it| asked_for(*it) && offers(*it)).collect();
    let uris = wanted.get("resourceSubscriptions").into_iter().flat_map(Raw::items);
    let uris = uris.filter_map(Raw::str).take(MOST_RESOURCES).map(|it| it.into_owned());
    let is_granted = |uri: &String| {
        let offered = view.find_resource(uri);
        offered.is_some_and(|it| {
            let mut own = view.parts.iter().filter(|part| part.assignment.id == it.assignment.id);
            own.any(can_watch) && listener.may_read(&it.assignment, &it.name)
        })
    };
    Filter { lists, resources: uris.filter(is_granted).collect() }
}

struct Listening {
    /// Of the request, which names the subscription.
    id: Bytes,
    filter: Filter,
    listener: Listener,
    servers: Subscriptions,
    sight: Sight,
}

impl Listening {
    async fn run(mut self, pass: Pass, outlet: Outlet) {
        // At once, and not after the servers have answered: clients wait for it.
        if outlet.send(sse::event(&self.acknowledgement())).await.is_err() {
            return;
        }
        loop {
            let events: Vec<Bytes> = tokio::select! {
                biased;
                () = pass.flight.ended() => return,
                heard = self.servers.next() => {
                    heard.into_iter().filter_map(|it| self.relay(&it)).collect()
                }
                lists = self.sight.changed(&mut self.listener, Era::Modern) => {
                    self.want();
                    let granted = lists.into_iter().filter(|it| self.filter.lists.contains(it));
                    granted.filter_map(|it| self.stamped(&Change::List(it))).collect()
                }
                is_current = pass.tick() => {
                    if !is_current {
                        return;
                    }
                    self.sight.look_for_failed();
                    vec![sse::KEEP_ALIVE]
                }
            };
            for event in events {
                // A client that takes nothing keeps no cut-off waiting for what is still opening.
                if !matches!(pass.flight.unless_ended(outlet.send(event)).await, Some(Ok(()))) {
                    return;
                }
            }
        }
    }

    /// Says what is to be heard of each server that can be asked.
    fn want(&mut self) {
        self.servers.set_listener(&self.listener);
        let (view, filter) = (self.sight.view(), &self.filter);
        for part in view.parts.iter().filter(|it| it.listing.error.is_none()) {
            let lists = filter.lists.iter().copied().filter(|it| has(part, *it)).collect();
            let watched = filter.resources.iter().filter_map(|it| view.find_resource(it));
            let own =
                watched.filter(|it| it.assignment.id == part.assignment.id && can_watch(part));
            let resources = own.map(|it| it.name.into()).collect();
            let wanted = Wanted { lists, resources };
            self.servers.want(part.assignment.id, part.listing.spoken, wanted);
        }
        self.servers.retain(|it| view.parts.iter().any(|part| part.assignment.id == it));
    }

    fn acknowledgement(&self) -> Bytes {
        let lists = self.filter.lists.iter();
        let mut granted: Vec<String> =
            lists.map(|it| format!("{}:true", quote(filter_member(*it)))).collect();
        if !self.filter.resources.is_empty() {
            let uris: Vec<String> = self.filter.resources.iter().map(|it| quote(it)).collect();
            granted.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
        }
        let id = String::from_utf8_lossy(&self.id);
        let params = format!(
            r#"{{"_meta":{{"{}":{id}}},"notifications":{{{}}}}}"#,
            meta::SUBSCRIPTION_ID,
            granted.join(",")
        );
        errors::notification_body(
            "notifications/subscriptions/acknowledged",
            Some(params.as_bytes()),
        )
    }

    /// A server's notification under the client's subscription.
    fn relay(&self, heard: &Heard) -> Option<Bytes> {
        let Heard { assignment, change, message } = heard;
        let mut splice = Splice::new(message.body().clone());
        if let Change::Resource(uri) = change {
            // What may be read may have changed since it was granted.
            self.listener.may_read(assignment, uri).then_some(())?;
            let exposed = self.listener.exposed(assignment, uri);
            splice.set_member(message.params()?, "uri", quote(&exposed));
        }
        meta::set_request_entries(&mut splice, message, &self.stamp());
        Some(sse::event(&splice.finish().into_bytes()))
    }

    /// A notification of our own under the client's subscription.
    fn stamped(&self, change: &Change) -> Option<Bytes> {
        let message = change.message()?;
        let mut splice = Splice::new(message.body().clone());
        meta::set_request_entries(&mut splice, &message, &self.stamp());
        Some(sse::event(&splice.finish().into_bytes()))
    }

    fn stamp(&self) -> [(&'static str, Bytes); 1] {
        [(meta::SUBSCRIPTION_ID, self.id.clone())]
    }
}
