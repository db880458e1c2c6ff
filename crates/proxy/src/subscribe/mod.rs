//! What listeners hear: changes of what servers offer, and of what policy lets them see of it.
//!
//! A server is listened to in the era in which it is spoken to, whatever the client's is. In the
//! modern one that is `subscriptions/listen`; in the legacy one a session of its own with its GET
//! stream and `resources/subscribe`. A managed server says it on the pipe that all share.
//!
//! Streams of servers are opened again when they are lost. What has changed meanwhile is not
//! known, so the listener is then told that everything may have.

mod set;
mod sight;
mod upstream;
mod wish;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Assignment, AssignmentId, Kind};
use mcp::bridge::askable::Askable;
use mcp::envelope::Message;
use mcp::errors;
use mcp::json::{Limits, Raw, quote};
use mcp::names;
use mcp::revision::Revision;

pub(crate) use set::Subscriptions;
pub(crate) use sight::{Prints, Sight, place_of};
pub(crate) use upstream::rules;
pub(crate) use wish::Wish;

use crate::authorize::{self, Pass};
use crate::catalog::{Part, View};
use crate::identify::Caller;
use crate::record::Said;
use crate::refusal::Refusal;
use crate::route::{Offered, Place};
use crate::serve::Worker;
use crate::tasks;

/// Who listens, and where.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) worker: Arc<Worker>,
    pub(crate) caller: Caller,
    pub(crate) place: Place,
    pub(crate) peer: IpAddr,
    pub(crate) revision: Revision,
    /// What it can be asked, by which servers may list other things.
    pub(crate) askable: Askable,
    /// Whether it knows tasks of the extension.
    pub(crate) knows_tasks: bool,
    /// By which method, for the record.
    pub(crate) method: &'static str,
}

/// What is to be heard of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) lists: Vec<Kind>,
    /// As the server names them.
    pub(crate) resources: BTreeSet<String>,
    /// By the server's own ids, each with the tool that it is of.
    pub(crate) tasks: BTreeSet<(Box<str>, Box<str>)>,
}

/// Something that has changed, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    List(Kind),
    /// As its server names it.
    Resource(String),
    /// By its server's own id.
    Task(String),
}

/// What a server has said of a change; what we say ourselves of one that we may have missed.
pub(crate) struct Heard {
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) change: Change,
    pub(crate) message: Message,
}

/// The kinds of lists that can change.
pub(crate) const LISTS: [Kind; 3] = [Kind::Tool, Kind::Prompt, Kind::Resource];

/// The capability under which a server offers a kind, and the word for it in methods.
pub(crate) const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Prompt => "prompts",
        Kind::Resource => "resources",
        Kind::Tool => "tools",
    }
}

/// The member of a modern listener's filter that asks for changes of a list.
pub(crate) const fn filter_member(kind: Kind) -> &'static str {
    match kind {
        Kind::Prompt => "promptsListChanged",
        Kind::Resource => "resourcesListChanged",
        Kind::Tool => "toolsListChanged",
    }
}

/// Whether a server offers something of a kind.
pub(crate) fn has(part: &Part, kind: Kind) -> bool {
    let capabilities = Raw::parse(&part.listing.capabilities, Limits::default());
    capabilities.is_ok_and(|it| it.get(noun(kind)).is_some())
}

/// Whether a server says when a resource has changed.
pub(crate) fn can_watch(part: &Part) -> bool {
    let capabilities = Raw::parse(&part.listing.capabilities, Limits::default());
    let subscribe = capabilities.ok().and_then(|it| it.at(&["resources", "subscribe"]));
    subscribe.and_then(Raw::bool) == Some(true)
}

impl Listener {
    fn said(&self) -> Said<'_> {
        let Self { worker, place, peer, revision, method, .. } = self;
        Said { worker, place, peer: *peer, revision: *revision, method }
    }

    /// The name under which a resource is known here.
    pub(crate) fn exposed<'a>(&self, assignment: &Assignment, uri: &'a str) -> Cow<'a, str> {
        match self.place.only {
            Some(_) => uri.into(),
            None => names::exposed_uri(assignment.alias.as_str(), uri).into(),
        }
    }

    /// Whether it can follow tasks of revision 2025-11-25 itself.
    fn follows_tasks(&self) -> bool {
        let proxy = &self.worker.proxy;
        tasks::can_follow(&self.caller, &self.place, self.revision)
            && authorize::is_whole(&proxy.gate.latest(), &self.place, proxy.clock.now())
    }

    /// Whether the listener may read a resource of a server now, hence hear of it.
    pub(crate) fn may_read(&self, view: &View, of: AssignmentId, uri: &str) -> bool {
        self.pass_for(view, (of, Kind::Resource, uri)).is_ok()
    }

    /// The same of a server of which it may not be known yet what it lists.
    pub(crate) fn may_read_of(
        &self,
        view: Option<&Arc<View>>,
        assignment: &Arc<Assignment>,
        uri: &str,
    ) -> bool {
        match view {
            Some(view) => self.may_read(view, assignment.id, uri),
            None => {
                let offered = Offered::unseen(Arc::clone(assignment), Kind::Resource, uri);
                self.allow(offered).is_ok()
            }
        }
    }

    /// The permission to use something now, hence to hear of it.
    pub(crate) fn pass_for(
        &self,
        view: &View,
        (of, kind, name): (AssignmentId, Kind, &str),
    ) -> Result<Pass, Refusal> {
        let part = view.parts.iter().find(|it| it.assignment.id == of);
        self.allow(view.offered(part.ok_or(Refusal::NoGateway)?, kind, name))
    }

    fn allow(&self, offered: Offered) -> Result<Pass, Refusal> {
        let offered = offered.seen_from(self.peer);
        let (caller, place) = (self.caller.clone(), self.place.clone());
        authorize::authorize(&self.worker.proxy, caller, place, Some(offered))
    }
}

impl Wanted {
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.resources.is_empty() && self.tasks.is_empty()
    }

    /// The tools that a task is of. One, unless its server gives one id twice.
    fn tools_of<'a>(&'a self, task: &'a str) -> impl Iterator<Item = &'a str> {
        self.tasks.iter().filter(move |(id, _)| **id == *task).map(|(_, tool)| tool.as_ref())
    }

    fn includes(&self, change: &Change) -> bool {
        match change {
            Change::List(kind) => self.lists.contains(kind),
            Change::Resource(uri) => self.resources.contains(uri),
            Change::Task(id) => self.tools_of(id).next().is_some(),
        }
    }

    /// Everything that may have changed, but for tasks: whoever waits for one asks now and then.
    fn all(&self) -> impl Iterator<Item = Change> {
        let lists = self.lists.iter().copied().map(Change::List);
        lists.chain(self.resources.iter().cloned().map(Change::Resource))
    }
}

impl Change {
    /// What a notification says has changed, if it says so.
    fn of(message: &Message) -> Option<Self> {
        let subject = message.method().strip_prefix("notifications/")?;
        if subject == "resources/updated" {
            let uri = message.params()?.get("uri").and_then(Raw::str)?;
            return Some(Self::Resource(uri.into_owned()));
        }
        if subject == "tasks" {
            let id = message.params()?.get("taskId").and_then(Raw::str)?;
            return Some(Self::Task(id.into_owned()));
        }
        let list = subject.strip_suffix("/list_changed")?;
        LISTS.into_iter().find(|it| noun(*it) == list).map(Self::List)
    }

    /// The notification of it, in our own words.
    pub(crate) fn notification(&self) -> Bytes {
        match self {
            Self::List(kind) => {
                let method = format!("notifications/{}/list_changed", noun(*kind));
                errors::notification_body(&method, None)
            }
            Self::Resource(uri) => about("notifications/resources/updated", "uri", uri),
            Self::Task(id) => about("notifications/tasks", "taskId", id),
        }
    }

    pub(crate) fn message(&self) -> Option<Message> {
        Message::parse(self.notification(), Limits::default()).ok()
    }
}

fn about(method: &str, key: &str, name: &str) -> Bytes {
    let params = format!(r#"{{"{key}":{}}}"#, quote(name));
    errors::notification_body(method, Some(params.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_and_written_alike() {
        let changes = [
            Change::List(Kind::Tool),
            Change::List(Kind::Prompt),
            Change::List(Kind::Resource),
            Change::Resource("test://\"one\"".to_owned()),
            Change::Task("t\"1".to_owned()),
        ];
        for change in changes {
            assert_eq!(Change::of(&change.message().unwrap()), Some(change));
        }
        for other in ["notifications/roots/list_changed", "notifications/resources/updated", "x"] {
            let body = errors::notification_body(other, None);
            let message = Message::parse(body, Limits::default()).unwrap();
            assert_eq!(Change::of(&message), None, "{other}");
        }
    }
}
