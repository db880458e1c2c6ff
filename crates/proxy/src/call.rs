//! A request that is answered by an upstream, from its lookup to its release.
//!
//! The stages of the crate's front page, in their order. Whatever ends a call early goes through
//! [`Asked::refuse`], which records it; whatever has been sent goes through [`crate::release`],
//! which records its outcome.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Kind;
use domain::ports::GateClosed;
use http::{HeaderMap, Response};
use mcp::bridge::askable::Askable;
use mcp::envelope::Message;
use mcp::headers::{self, ParamHeader};
use mcp::json::{Limits, Raw};
use mcp::meta;
use mcp::methods::{self, Direction, Form, Names};
use mcp::revision::{Era, Revision};
use mcp::splice::{Splice, is_lookalike};
use parking_lot::Mutex;

use crate::answer::{self, Manner};
use crate::authorize::{self, Pass};
use crate::body::Body;
use crate::catalog::View;
use crate::content;
use crate::identify::Caller;
use crate::late;
use crate::limit::{self, Charged};
use crate::parked::{self, Comeback};
use crate::picker;
use crate::record;
use crate::refusal::{Refusal, UpstreamError, WireBlame};
use crate::route::{How, Offered, Place};
use crate::seats::Seat;
use crate::serve::Worker;
use crate::session::Session;
use crate::subscribe::Wish;
use crate::tasks;

/// One request of an identified caller.
pub(crate) struct Asked {
    pub(crate) worker: Arc<Worker>,
    pub(crate) caller: Caller,
    pub(crate) place: Place,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: IpAddr,
    pub(crate) message: Message,
    pub(crate) revision: Revision,
    /// Absent in the modern era.
    pub(crate) session: Option<Arc<Session>>,
    /// When it arrived.
    pub(crate) arrived: Duration,
}

/// A request that may go upstream, with what is to be changed in it.
pub(crate) struct Permitted {
    pub(crate) asked: Asked,
    pub(crate) pass: Pass,
    pub(crate) charged: Charged,
    /// In which era the server is spoken to.
    pub(crate) spoken: Era,
    /// Whether names carry the server's alias here.
    pub(crate) prefixed: bool,
    /// The task that it is about, by the server's own id, if it is about one.
    pub(crate) task: Option<Box<str>>,
    pub(crate) splice: Splice,
    pub(crate) params: Vec<ParamHeader>,
    pub(crate) rules: inspect::Rules,
    pub(crate) hits: Vec<inspect::Hit>,
    /// Whether its tool can be called for a task of revision 2025-11-25 alone.
    pub(crate) needs_task: bool,
    /// Whether its client asks for a task of that revision, and can follow it itself.
    pub(crate) has_own_task: bool,
    /// Whether its client asks for a task of that revision, and its server has the extension.
    pub(crate) converts_task: bool,
    /// Whether its client knows those of the extension, and its server is to make one of that revision.
    pub(crate) begins_task: bool,
    /// The place of that task among those that are tended, until it is.
    pub(crate) seat: Mutex<Option<Seat>>,
    /// How often its client has been asked something before it, where that is for us to count.
    pub(crate) replays: u32,
    /// The server's id of the task that it has become, which it goes on with.
    pub(crate) resumed: Option<Box<str>>,
}

impl Asked {
    pub(crate) fn era(&self) -> Era {
        self.revision.era()
    }

    /// Whether its client can follow tasks of revision 2025-11-25 itself.
    pub(crate) fn follows_tasks(&self) -> bool {
        let proxy = &self.worker.proxy;
        tasks::can_follow(&self.caller, &self.place, self.revision)
            && authorize::is_whole(&proxy.gate.latest(), &self.place, proxy.clock.now())
    }

    pub(crate) fn id(&self) -> &[u8] {
        self.message.id().map_or(b"null", Raw::bytes)
    }

    pub(crate) fn manner(&self) -> Manner<'_> {
        Manner {
            id: self.message.id().map(Raw::bytes),
            era: self.era(),
            tool: self.message.method() == "tools/call",
        }
    }

    /// What the client says that it can be asked: a modern one with this request, a legacy one when
    /// it opened its session.
    pub(crate) fn askable(&self) -> Askable {
        let askable = match &self.session {
            Some(session) => session.askable,
            None => {
                let capabilities = self.message.params().and_then(meta::client_capabilities);
                capabilities.map_or(Askable::NOTHING, Askable::of)
            }
        };
        Askable { apps: askable.apps && self.place.only.is_some(), ..askable }
    }

    /// Whether an answer to it may be questions.
    pub(crate) fn may_be_asked(&self) -> bool {
        self.era() == Era::Modern
            && methods::describe(self.message.method()).is_some_and(|it| it.may_ask)
    }

    pub(crate) fn said(&self) -> record::Said<'_> {
        record::Said {
            worker: &self.worker,
            place: &self.place,
            peer: self.peer,
            revision: self.revision,
            method: self.message.method(),
        }
    }

    /// Records a refusal, then tells the client. Where it cannot be recorded, that is what the
    /// client is told.
    pub(crate) async fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        self.worker.proxy.metrics.refused(refusal.reason());
        match record::refusal(self, refusal).await {
            Ok(()) => answer::refusal(refusal, self.manner()),
            Err(unrecorded) => answer::refusal(&unrecorded, self.manner()),
        }
    }
}

impl Permitted {
    /// How the server is reached.
    pub(crate) fn transport(&self) -> Option<&domain::Transport> {
        self.pass.assignment().map(|it| &it.server.transport)
    }
}

/// Whether a method that is none of ours may go to the one server behind a single-server URL. Only
/// where all of the server is exposed, since nobody here can tell what such a request reaches.
pub(crate) fn may_pass(asked: &Asked) -> bool {
    let Some(only) = &asked.place.only else { return false };
    let proxy = &asked.worker.proxy;
    if !authorize::is_whole(&proxy.gate.latest(), &asked.place, proxy.clock.now()) {
        return false;
    }
    let method = asked.message.method();
    match methods::describe(method) {
        _ if method.starts_with("tasks/") => tasks::is_told_apart(&asked.caller, only),
        Some(known) => known.form == Form::Request && known.direction != Direction::ToClient,
        // What a lenient server takes for a method of ours would go by without its checks.
        None => !methods::all().iter().any(|it| is_lookalike(method.trim(), it.name)),
    }
}

/// The whole life of a call.
pub(crate) async fn run(asked: Asked) -> Response<Body> {
    if asked.place.is_picker() {
        if let Some(tool) = picker::Tool::of(&asked.message) {
            return Box::pin(picker::answer(asked, tool)).await;
        }
        if asked.place.is_lobby() {
            return asked.refuse(&Refusal::NothingPicked).await;
        }
    }
    let permitted = match Box::pin(permit(asked)).await {
        Ok(permitted) => permitted,
        Err((asked, refusal)) => return Box::pin(asked.refuse(&refusal)).await,
    };
    let permitted = match parked::find(permitted) {
        Comeback::New(permitted) => permitted,
        Comeback::Answers(permitted, state) => {
            return Box::pin(parked::go_on(permitted, &state)).await;
        }
        Comeback::Wrong(asked, refusal) => return Box::pin(asked.refuse(&refusal)).await,
    };
    if let Some(wish) = Wish::of(&permitted) {
        return Box::pin(wish.grant(&permitted)).await;
    }
    let recorded = match record::intent(permitted).await {
        Ok(recorded) => recorded,
        Err((asked, refusal)) => return answer::refusal(&refusal, asked.manner()),
    };
    if tasks::tended::is_about_one(recorded.permitted()) {
        return Box::pin(tasks::tended::answer(recorded)).await;
    }
    Box::pin(late::send(recorded)).await
}

async fn permit(asked: Asked) -> Result<Box<Permitted>, (Asked, Refusal)> {
    let method = methods::describe(asked.message.method());
    let named = method.map_or(Names::Nothing, |it| it.names);
    let task = match tasks::asked_for(&asked) {
        Ok(task) => task,
        Err(refusal) => return Err((asked, refusal)),
    };
    let exposed = match &task {
        Some(task) => task.exposed(&asked.place).map(Cow::Owned),
        None => exposed(named, &asked.message),
    };
    let view = asked.worker.proxy.catalog.view_for(&asked, exposed.as_deref()).await;
    let found = match task {
        Some(task) => task.find(&asked, &view).and_then(|it| match it {
            Some((task, tool)) => {
                let spoken = spoken(&view, Some(&tool));
                Ok((Some(task), Found::of_task(tool, spoken)))
            }
            None => find(&view, named, &asked.message).map(|found| (None, found)),
        }),
        None => find(&view, named, &asked.message).map(|found| (None, found)),
    };
    let (task, mut found) = match found {
        Ok(found) => found,
        Err(refusal) => return Err((asked, refusal)),
    };
    if let Some(offered) = &mut found.offered {
        offered.how = how(&asked, task.is_some());
    }
    let (caller, place) = (asked.caller.clone(), asked.place.clone());
    let proxy = &asked.worker.proxy;
    let pass = match authorize::authorize_call(proxy, caller, place, found.offered) {
        Ok(pass) => pass,
        Err(refusal) => return Err((asked, refusal)),
    };
    let charged = match limit::charge(&asked, &pass).await {
        Ok(charged) => charged,
        Err(refusal) => return Err((asked, refusal)),
    };
    match inspected(&asked, pass, &found.params, view.is_prefixed() && task.is_none()) {
        Err(refusal) => Err((asked, refusal)),
        Ok((pass, mut splice, rules, hits)) => {
            if let Some(task) = &task {
                task.unseal(asked.message.params(), &mut splice);
            }
            let (prefixed, task) = (view.is_prefixed(), task.map(|it| it.id));
            let Found { spoken, params, needs_task, takes_task, .. } = found;
            let part = pass.offered.as_ref().and_then(|it| view.part_of(it));
            let converts_task = tasks::recast::is_converted(&asked, part);
            let seat = match tasks::tended::seat(&asked, part, (takes_task, needs_task)) {
                Ok(seat) => seat,
                Err(refusal) => return Err((asked, refusal)),
            };
            let (begins_task, seat) = (seat.is_some(), Mutex::new(seat));
            let has_own_task =
                !converts_task && asks_for_task(&asked.message) && asked.follows_tasks();
            let (replays, resumed) = (0, None);
            // On the heap, since it is large and handed on often.
            Ok(Box::new(Permitted {
                asked,
                pass,
                charged,
                spoken,
                prefixed,
                task,
                splice,
                params,
                rules,
                hits,
                needs_task,
                has_own_task,
                converts_task,
                begins_task,
                seat,
                replays,
                resumed,
            }))
        }
    }
}

/// The circumstances of a request, for policies. What is about a task that has been called for, or
/// completes an argument, brings no arguments to be judged.
fn how(asked: &Asked, is_of_task: bool) -> How {
    let is_call = !is_of_task
        && matches!(asked.message.method(), "tools/call" | "prompts/get" | "resources/read");
    let look = asked.caller.workspace.policies.look_at_arguments();
    let arguments = (is_call && look).then(|| arguments(&asked.message));
    How { peer: Some(asked.peer), arguments, is_call }
}

fn arguments(message: &Message) -> Arc<serde_json::Value> {
    let given = message.params().and_then(|it| it.get("arguments"));
    // What cannot be read is taken for a text, which no argument is found in.
    let read = given.map(|it| serde_json::from_slice(it.bytes()).unwrap_or("".into()));
    Arc::new(read.unwrap_or_default())
}

/// Whether a call is to become a task of revision 2025-11-25.
pub(crate) fn asks_for_task(message: &Message) -> bool {
    message.method() == "tools/call" && message.params().is_some_and(|it| it.get("task").is_some())
}

struct Found {
    offered: Option<Offered>,
    params: Vec<ParamHeader>,
    needs_task: bool,
    takes_task: bool,
    spoken: Era,
}

impl Found {
    /// The tool whose task is asked for.
    fn of_task(tool: Offered, spoken: Era) -> Self {
        let (offered, params) = (Some(tool), Vec::new());
        Self { offered, params, needs_task: false, takes_task: false, spoken }
    }
}

/// What the message names, as it stands there.
fn exposed(named: Names, message: &Message) -> Option<Cow<'_, str>> {
    let params = message.params()?;
    let name = match named {
        Names::Tool | Names::Prompt => params.get("name"),
        Names::ResourceUri => params.get("uri"),
        Names::CompletionRef => params.get("ref").and_then(|it| it.get("name").or(it.get("uri"))),
        _ => None,
    };
    name.and_then(Raw::str)
}

/// What the message names, in the view of its place.
fn find(view: &View, named: Names, message: &Message) -> Result<Found, Refusal> {
    let text = |key: &'static str| {
        message.params().and_then(|it| it.get(key)).and_then(Raw::str).map(|it| it.into_owned())
    };
    let offered = match named {
        Names::Tool | Names::Prompt => {
            let kind = if named == Names::Tool { Kind::Tool } else { Kind::Prompt };
            let exposed = text("name").ok_or(Refusal::Params("`params.name` is missing"))?;
            let Some((offered, offer)) = view.find(kind, &exposed) else {
                return Err(missing(view, kind, exposed));
            };
            let params = offer.headers.clone();
            let (needs_task, takes_task) = (offer.needs_task, offer.takes_task);
            let spoken = spoken(view, Some(&offered));
            return Ok(Found { offered: Some(offered), params, needs_task, takes_task, spoken });
        }
        Names::ResourceUri => {
            let uri = text("uri").ok_or(Refusal::Params("`params.uri` is missing"))?;
            let found = view.find_resource(&uri);
            Some(found.ok_or_else(|| missing(view, Kind::Resource, uri))?)
        }
        Names::CompletionRef => Some(find_reference(view, message)?),
        _ => None,
    };
    let spoken = spoken(view, offered.as_ref());
    Ok(Found { offered, params: Vec::new(), needs_task: false, takes_task: false, spoken })
}

/// What a completion is for. Its `type` decides, as it does for servers: a member of the other type
/// would be authorized as one thing and completed as another.
fn find_reference(view: &View, message: &Message) -> Result<Offered, Refusal> {
    let reference = message.params().and_then(|it| it.get("ref"));
    let reference = reference.ok_or(Refusal::Params("`params.ref` is missing"))?;
    let text = |key: &str| reference.get(key).and_then(Raw::str).map(|it| it.into_owned());
    let (kind, key, foreign) = match text("type").as_deref() {
        Some("ref/prompt") => (Kind::Prompt, "name", "uri"),
        Some("ref/resource") => (Kind::Resource, "uri", "name"),
        _ => return Err(Refusal::Params("`params.ref.type` is not known")),
    };
    if reference.get(foreign).is_some() {
        return Err(Refusal::Params("`params.ref` names something of another type"));
    }
    let name = text(key).ok_or(Refusal::Params("`params.ref` names nothing"))?;
    let found = match kind {
        Kind::Resource => view.find_template(&name),
        _ => view.find(kind, &name).map(|(offered, _)| offered),
    };
    found.ok_or_else(|| missing(view, kind, name))
}

/// In which era the server of an offer was listed, hence is spoken to.
fn spoken(view: &View, offered: Option<&Offered>) -> Era {
    let part = offered.map_or_else(|| view.parts.first(), |it| view.part_of(it));
    part.map_or(Era::Modern, |it| it.listing.spoken)
}

/// A name that is not there, or whose server could not be asked.
fn missing(view: &View, kind: Kind, name: String) -> Refusal {
    match view.missing_because(&name) {
        Some((server, why)) => {
            Refusal::upstream(server, UpstreamError::Wire(why.to_owned(), WireBlame::Retry))
        }
        None => Refusal::UnknownOffer { kind: kind.as_str(), name },
    }
}

type Inspected = (Pass, Splice, inspect::Rules, Vec<inspect::Hit>);

/// Header mirrors and content rules of the request leg, and what policies say of what is left.
fn inspected(
    asked: &Asked,
    pass: Pass,
    params: &[ParamHeader],
    prefixed: bool,
) -> Result<Inspected, Refusal> {
    let arguments = asked.message.params().and_then(|it| it.get("arguments"));
    if asked.era() == Era::Modern {
        headers::check_params(&asked.headers, params, arguments)?;
    }
    let mut splice = Splice::new(asked.message.body().clone());
    let workspace = pass.caller.workspace.id;
    let rules = asked.worker.proxy.rulebook.of(workspace, &pass.place.gateway)?;
    disarm(&mut splice, &asked.message);
    let mut hits = Vec::new();
    if let Some(offered) = &pass.offered {
        if offered.kind == Kind::Tool {
            let answers = asked.message.params().and_then(|it| it.get("inputResponses"));
            let tool = (offered.assignment.alias.as_str(), offered.name.as_ref());
            for said in [arguments, answers] {
                let leg = inspect::Leg::Request;
                content::tally(&mut hits, content::apply(&rules, leg, tool, said, &mut splice)?);
            }
        }
        if prefixed {
            unprefix(&asked.message, offered, &mut splice);
        }
    }
    let pass = on_edited(asked, pass, &splice, &hits)?;
    Ok((pass, splice, rules, hits))
}

/// What rules have changed has to be a message still, and what policies look at is decided anew: what is
/// sent has to be allowed as well as what has come.
fn on_edited(
    asked: &Asked,
    pass: Pass,
    splice: &Splice,
    hits: &[inspect::Hit],
) -> Result<Pass, Refusal> {
    let is_edited = hits.iter().any(|it| !it.observed_only);
    if !is_edited {
        return Ok(pass);
    }
    let body = splice.clone().finish().into_bytes();
    // Of names that have become the same nobody knows which one the server takes.
    let message = Message::parse(body, Limits::default()).map_err(|_| Refusal::Rules)?;
    let Some(offered) = pass.offered.as_ref().filter(|it| it.how.arguments.is_some()) else {
        return Ok(pass);
    };
    let how = How { arguments: Some(arguments(&message)), ..offered.how.clone() };
    let offered = Offered { how, ..offered.clone() };
    let (caller, place) = (pass.caller.clone(), pass.place.clone());
    let edited = authorize::authorize_call(&asked.worker.proxy, caller, place, Some(offered))?;
    // The rules by which it has been edited may have been replaced meanwhile.
    let is_same = edited.place.gateway.rules == pass.place.gateway.rules;
    if is_same && !pass.flight.is_ended() { Ok(edited) } else { Err(Refusal::Gate(GateClosed)) }
}

/// Takes away what an upstream that ignores case could take for what policy has looked at.
fn disarm(splice: &mut Splice, message: &Message) {
    splice.remove_lookalikes(message.root(), &["jsonrpc", "id", "method", "params"]);
    if let Some(params) = message.params() {
        let named = ["name", "arguments", "uri", "ref", "argument", "_meta", "cursor", "taskId"];
        splice.remove_lookalikes(params, &named);
        splice.remove_lookalikes(params, &["inputResponses", "requestState"]);
        if let Some(reference) = completed(message) {
            splice.remove_lookalikes(reference, &["type", "name", "uri"]);
        }
    }
}

/// What a completion is for.
fn completed(message: &Message) -> Option<Raw<'_>> {
    let is_one = message.method() == "completion/complete";
    message.params().filter(|_| is_one)?.get("ref")
}

/// Puts the server's own name where the client has written the gateway's.
fn unprefix(message: &Message, offered: &Offered, splice: &mut Splice) {
    let Some(params) = message.params() else { return };
    let holder = completed(message).unwrap_or(params);
    let key = if offered.kind == Kind::Resource { "uri" } else { "name" };
    if let Some(value) = holder.get(key) {
        splice.replace_value(value, Bytes::from(mcp::json::quote(&offered.name)));
    }
}
