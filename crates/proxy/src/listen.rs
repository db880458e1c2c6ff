//! `subscriptions/listen`: one stream to the client, fed by the streams of all servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use domain::Kind;
use http::Response;
use mcp::convert;
use mcp::envelope::Message;
use mcp::errors;
use mcp::extensions;
use mcp::json::{Raw, quote};
use mcp::meta;
use mcp::revision::Era;
use mcp::splice::Splice;
use mcp::sse;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::{Body, Gone, Outlet};
use crate::call::Asked;
use crate::catalog::{Part, View};
use crate::record;
use crate::refusal::Refusal;
use crate::streams::Seat;
use crate::subscribe::{
    Change, Heard, LISTS, Listener, Prints, Sight, Subscriptions, Wanted, can_watch, filter_member,
    has,
};
use crate::tasks::tended::{self, Watched};
use crate::tasks::{self, Task};

/// The largest number of resources that one stream may watch.
const MOST_RESOURCES: usize = 1_000;

/// What a client has asked for, as far as it is granted.
#[derive(Default)]
struct Filter {
    lists: Vec<Kind>,
    /// As the client names them.
    resources: BTreeSet<String>,
    /// By the sealed ids that the client has.
    tasks: BTreeMap<Box<str>, Task>,
}

/// Opens a stream.
pub(crate) async fn modern(asked: Asked) -> Response<Body> {
    match open(&asked).await {
        Ok((seat, pass, listening)) => {
            let run = async move |outlet| {
                let _seat = seat;
                listening.run(pass, outlet).await;
            };
            answer::events(Body::stream(&asked.worker.held, run))
        }
        Err(refusal) => asked.refuse(&refusal).await,
    }
}

async fn open(asked: &Asked) -> Result<(Seat, Pass, Listening), Refusal> {
    let wanted = asked.message.params().and_then(|it| it.get("notifications"));
    let wanted = wanted.filter(|it| it.is_object());
    let wanted = wanted.ok_or(Refusal::Params("`params.notifications` is missing"))?;
    let tasks = tasks::watched(asked, wanted)?;
    let seat = asked.worker.proxy.streams.take(asked.caller.app)?;
    let (pass, view) = authorize::look(asked, Era::Modern).await?;
    let listener = Listener {
        worker: Arc::clone(&asked.worker),
        caller: pass.caller.clone(),
        place: pass.place.clone(),
        peer: asked.peer,
        revision: asked.revision,
        askable: asked.askable(),
        knows_tasks: tasks::declares(asked),
        method: "subscriptions/listen",
    };
    let filter = grant(&listener, &view, wanted, tasks);
    let tended = Watched::of(&pass, &asked.said(), &filter.tasks).await?;
    let sight = Sight::of(&listener, view, Prints::default()).await?;
    record::answered(asked).await?;
    let id = Bytes::copy_from_slice(asked.id());
    let servers = Subscriptions::new(listener.clone());
    let mut listening = Listening { id, filter, listener, servers, sight, tended };
    listening.want();
    Ok((seat, pass, listening))
}

/// What of it the servers offer and the caller may see (H072).
fn grant(
    listener: &Listener,
    view: &View,
    wanted: Raw<'_>,
    mut tasks: BTreeMap<Box<str>, Task>,
) -> Filter {
    // At the picker everything may come.
    let is_there = |it: &Part, kind| it.listing.error.is_none() && has(it, kind);
    let offers = |kind| view.is_picker() || view.parts.iter().any(|it| is_there(it, kind));
    let asked_for = |kind| wanted.get(filter_member(kind)).and_then(Raw::bool) == Some(true);
    let lists = LISTS.into_iter().filter(|it| asked_for(*it) && offers(*it)).collect();
    let uris = wanted.get("resourceSubscriptions").into_iter().flat_map(Raw::items);
    let uris = uris.filter_map(Raw::str).take(MOST_RESOURCES).map(|it| it.into_owned());
    let is_granted = |uri: &String| {
        let offered = view.find_resource(uri);
        offered.is_some_and(|it| {
            let mut own = view.parts.iter().filter(|part| part.assignment.id == it.assignment.id);
            own.any(can_watch) && listener.may_read(view, it.assignment.id, &it.name)
        })
    };
    tasks.retain(|id, task| {
        let is_tended = |part: &Part| is_tended_for(listener, view, part, (id, task));
        view.parts.iter().any(|part| is_heard_of(listener, view, part, task) || is_tended(part))
    });
    Filter { lists, resources: uris.filter(is_granted).collect(), tasks }
}

/// Whether a task is one of this server's, of a tool that may be used.
fn is_heard_of(listener: &Listener, view: &View, part: &Part, task: &Task) -> bool {
    tasks::is_home(part, task)
        && tasks::has_tasks(part)
        && listener.pass_for(view, (part.assignment.id, Kind::Tool, &task.tool)).is_ok()
}

/// Whether a task of this server's is tended here, of a tool that may be used.
fn is_tended_for(listener: &Listener, view: &View, part: &Part, (id, task): (&str, &Task)) -> bool {
    part.assignment.id == task.assignment
        && tended::has_tasks(part)
        && listener.worker.proxy.wards.find(id).is_some()
        && listener.pass_for(view, (part.assignment.id, Kind::Tool, &task.tool)).is_ok()
}

/// Waits until tasks that are tended here have changed; for ever where there are none.
async fn changed(tended: &mut Option<Watched>) -> Vec<Box<str>> {
    match tended {
        Some(tended) => tended.changed().await,
        None => std::future::pending().await,
    }
}

/// Something to tell the client, and the permission that it needs beside that of the stream.
struct Told {
    event: Bytes,
    pass: Option<Pass>,
}

struct Listening {
    /// Of the request, which names the subscription.
    id: Bytes,
    filter: Filter,
    listener: Listener,
    servers: Subscriptions,
    sight: Sight,
    /// Tasks that are tended here.
    tended: Option<Watched>,
}

impl Listening {
    async fn run(mut self, mut pass: Pass, outlet: Outlet) {
        // At once, and not after the servers have answered: clients wait for it.
        if outlet.send(sse::event(&self.acknowledgement())).await.is_err() {
            return;
        }
        let proxy = Arc::clone(&pass.proxy);
        loop {
            let events: Vec<Told> = tokio::select! {
                biased;
                () = pass.flight.ended() => return,
                () = proxy.streams.closing() => return,
                heard = self.servers.next() => {
                    heard.iter().flat_map(|it| self.relay(it)).collect()
                }
                lists = self.sight.changed(&mut self.listener, Era::Modern) => {
                    self.want();
                    let granted = lists.into_iter().filter(|it| self.filter.lists.contains(it));
                    granted.filter_map(|it| self.own(&Change::List(it))).collect()
                }
                ids = changed(&mut self.tended) => {
                    ids.iter().filter_map(|it| self.relay_tended(it)).collect()
                }
                is_current = pass.tick() => {
                    if !is_current {
                        return;
                    }
                    self.sight.look_for_failed();
                    vec![Told { event: sse::KEEP_ALIVE, pass: None }]
                }
            };
            for told in events {
                // A client that takes nothing keeps no cut-off waiting for what is still opening.
                let telling = pass.flight.unless_ended(told.send(&outlet));
                if !matches!(telling.await, Some(Ok(()))) {
                    return;
                }
            }
            match self.moved(&pass) {
                Ok(Some(moved)) => pass = moved,
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    /// The permission to be where the stream is now, if another gateway has been picked.
    fn moved(&self, pass: &Pass) -> Result<Option<Pass>, Refusal> {
        let Listener { caller, place, .. } = &self.listener;
        if place.gateway.id == pass.place.gateway.id {
            return Ok(None);
        }
        authorize::authorize(&pass.proxy, caller.clone(), place.clone(), None).map(Some)
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
            let read = own.filter(|it| self.listener.may_read(view, it.assignment.id, &it.name));
            let resources = read.map(|it| it.name.into()).collect();
            let tasks = filter.tasks.values();
            let tasks = tasks.filter(|it| is_heard_of(&self.listener, view, part, it));
            let tasks = tasks.map(|it| (it.id.clone(), it.tool.clone())).collect();
            let wanted = Wanted { lists, resources, tasks };
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
        if !self.filter.tasks.is_empty() {
            let ids: Vec<String> = self.filter.tasks.keys().map(|it| quote(it)).collect();
            granted.push(format!(r#""taskIds":[{}]"#, ids.join(",")));
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

    /// A server's notification under the client's subscription: once, or for each id by which the
    /// client knows the task that it is about.
    fn relay(&self, heard: &Heard) -> Vec<Told> {
        let Heard { assignment, change, message } = heard;
        let Change::Task(id) = change else {
            return self.relay_change(heard).map(Told::freely).into_iter().collect();
        };
        let is_it = |it: &Task| it.assignment == assignment.id && *it.id == **id;
        let known = self.filter.tasks.iter().filter(|(_, task)| is_it(task));
        let told = known.filter_map(|(sealed, task)| {
            // Its tool may have been taken away since it was granted.
            let tool = (assignment.id, Kind::Tool, task.tool.as_ref());
            let pass = self.listener.pass_for(self.sight.view(), tool).ok()?;
            let mut splice = Splice::new(message.body().clone());
            let params = message.params()?;
            splice.set_member(params, "taskId", quote(sealed));
            if self.listener.place.only.is_none() {
                convert::expose_uris(&mut splice, params, assignment.alias.as_str());
                extensions::remove_page(&mut splice, params);
            }
            Some(Told { event: self.stamped(splice, message), pass: Some(pass) })
        });
        told.collect()
    }

    /// What has become of a task that is tended here.
    fn relay_tended(&mut self, id: &str) -> Option<Told> {
        let task = self.filter.tasks.get(id)?;
        let mut parts = self.sight.view().parts.iter();
        let part = parts.find(|it| it.assignment.id == task.assignment)?;
        // Its tool may have been taken away since it was granted.
        let tool = (part.assignment.id, Kind::Tool, task.tool.as_ref());
        let pass = self.listener.pass_for(self.sight.view(), tool).ok()?;
        let message = self.tended.as_mut()?.told(id, &pass)?;
        let splice = Splice::new(message.body().clone());
        Some(Told { event: self.stamped(splice, &message), pass: Some(pass) })
    }

    fn relay_change(&self, heard: &Heard) -> Option<Bytes> {
        let Heard { assignment, change, message } = heard;
        let mut splice = Splice::new(message.body().clone());
        if let Change::Resource(uri) = change {
            // What may be read may have changed since it was granted.
            self.listener.may_read(self.sight.view(), assignment.id, uri).then_some(())?;
            let exposed = self.listener.exposed(assignment, uri);
            splice.set_member(message.params()?, "uri", quote(&exposed));
        }
        Some(self.stamped(splice, message))
    }

    /// A notification of our own under the client's subscription.
    fn own(&self, change: &Change) -> Option<Told> {
        let message = change.message()?;
        let splice = Splice::new(message.body().clone());
        Some(Told::freely(self.stamped(splice, &message)))
    }

    fn stamped(&self, mut splice: Splice, message: &Message) -> Bytes {
        meta::set_request_entries(&mut splice, message, &self.stamp());
        sse::event(&splice.finish().into_bytes())
    }

    fn stamp(&self) -> [(&'static str, Bytes); 1] {
        [(meta::SUBSCRIPTION_ID, self.id.clone())]
    }
}

impl Told {
    fn freely(event: Bytes) -> Self {
        Self { event, pass: None }
    }

    /// Sends it, unless its own permission has ended: then it is left out. Where nobody can tell now,
    /// the stream ends with it: its client listens anew, and asks for what it may have missed.
    async fn send(self, outlet: &Outlet) -> Result<(), Gone> {
        let Some(pass) = self.pass else { return outlet.send(self.event).await };
        match pass.clear().await {
            Ok(_) => pass.flight.unless_ended(outlet.send(self.event)).await.unwrap_or(Ok(())),
            Err(refusal @ Refusal::Gate(_)) => {
                pass.proxy.metrics.refused(refusal.reason());
                tracing::debug!(error = %refusal, "A stream is ended, since a task's news cannot go on it");
                Err(Gone)
            }
            Err(_) => Ok(()),
        }
    }
}
