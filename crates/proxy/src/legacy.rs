//! Requests of clients of the legacy era, which hold a session.

use std::sync::Arc;

use bytes::Bytes;
use domain::{Assignment, AssignmentId};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use inspect::{Hit, Leg};
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::headers::MCP_SESSION_ID;
use mcp::json::{Raw, quote};
use mcp::meta::LogLevel;
use mcp::revision::{self, Era};
use mcp::splice::Splice;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::Body;
use crate::call::{self, Asked};
use crate::catalog::{List, Part, View};
use crate::content;
use crate::forward;
use crate::hop;
use crate::known::Known;
use crate::levels;
use crate::link::{Channel, Letter, Link};
use crate::modern;
use crate::pending::{Pending, Whom};
use crate::record::{self, Aside, Outcome, Said};
use crate::refusal::{Refusal, Unanswered};
use crate::rounds::{Given, Slot};
use crate::serve::Worker;
use crate::session::{Hello, Session};
use crate::tasks;

/// How much a client may say of itself, in bytes: it is kept as long as its session.
const LONGEST_HELLO: usize = 16 << 10;

/// Opens a session.
pub(crate) async fn initialize(
    worker: &Arc<Worker>,
    known: Known,
    message: Message,
) -> Response<Body> {
    let asked = known.ask(worker, message, revision::LATEST_LEGACY, None);
    match Box::pin(opened(&asked)).await {
        Ok((session, result)) => {
            let parts = answer::result(asked.id(), [result]);
            let mut response = answer::json(StatusCode::OK, parts);
            if let Ok(id) = HeaderValue::from_str(&session.id) {
                response.headers_mut().insert(MCP_SESSION_ID, id);
            }
            response
        }
        Err(refusal) => Box::pin(asked.refuse(&refusal)).await,
    }
}

async fn opened(asked: &Asked) -> Result<(Arc<Session>, Bytes), Refusal> {
    if asked.message.kind() != MessageKind::Request {
        return Err(Refusal::Params("`initialize` is a request"));
    }
    let params = asked.message.params().ok_or(Refusal::Params("`params` is missing"))?;
    let requested = params.get("protocolVersion").and_then(Raw::str);
    let requested = requested.ok_or(Refusal::Params("`params.protocolVersion` is missing"))?;
    let object = |key: &str| {
        let found = params.get(key).filter(|it| it.is_object());
        found.map_or(Bytes::from_static(b"{}"), |it| Bytes::copy_from_slice(it.bytes()))
    };
    let hello = Hello {
        revision: revision::negotiate(&requested),
        capabilities: object("capabilities"),
        client_info: object("clientInfo"),
    };
    if LONGEST_HELLO < hello.capabilities.len() + hello.client_info.len() {
        return Err(Refusal::Params("`capabilities` and `clientInfo` are too long"));
    }
    let proxy = &asked.worker.proxy;
    let (pass, view) = authorize::look(asked, Era::Legacy).await?;
    modern::check_listed(asked, &view)?;
    let revision = hello.revision;
    let (whose, now) = ((&asked.caller, &asked.place), proxy.clock.elapsed());
    let id = hop::new_id(proxy, whose.0, whose.1);
    let session = proxy.sessions.open(whose, id, hello, now)?;
    if let Err(unrecorded) = record::answered(asked).await {
        // Its client will never learn of it.
        proxy.sessions.end(&session);
        return Err(unrecorded);
    }
    let how = (revision, asked.follows_tasks());
    Ok((session, introduction(&view, how, modern::instructions(&view, &pass, asked.peer))))
}

fn introduction(
    view: &View,
    (revision, follows_tasks): (revision::Revision, bool),
    instructions: Option<String>,
) -> Bytes {
    let only = view.parts.first().filter(|_| !view.is_prefixed());
    let knows_tasks = tasks::recast::is_known_to(revision);
    let info = only.and_then(Part::info).unwrap_or_else(crate::link::our_info);
    let instructions =
        instructions.map(|it| format!(r#","instructions":{}"#, quote(&it))).unwrap_or_default();
    let result = format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{}{instructions}}}"#,
        revision.as_str(),
        modern::capabilities(view, Era::Legacy, (follows_tasks, knows_tasks)),
        String::from_utf8_lossy(&info),
    );
    result.into()
}

/// Answers one message of a session.
pub(crate) async fn serve(asked: Asked) -> Response<Body> {
    match asked.message.kind() {
        MessageKind::Request => Box::pin(request(asked)).await,
        MessageKind::Notification => Box::pin(notification(asked)).await,
        MessageKind::Response | MessageKind::Error => match Box::pin(answered(&asked)).await {
            Ok(()) => answer::accepted(),
            Err(refusal) => {
                let mut response = Box::pin(asked.refuse(&refusal)).await;
                // Nobody reads an answer to an answer but by its status.
                if response.status().is_success() {
                    *response.status_mut() = StatusCode::BAD_REQUEST;
                }
                response
            }
        },
    }
}

async fn request(asked: Asked) -> Response<Body> {
    let method = asked.message.method();
    if let Some(list) = List::of(method) {
        return Box::pin(modern::list(asked, list)).await;
    }
    match method {
        "ping" => empty_result(&asked),
        "logging/setLevel" => match Box::pin(set_level(&asked)).await {
            Ok(()) => empty_result(&asked),
            Err(refusal) => Box::pin(asked.refuse(&refusal)).await,
        },
        "tools/call"
        | "prompts/get"
        | "resources/read"
        | "resources/subscribe"
        | "resources/unsubscribe"
        | "completion/complete" => Box::pin(call::run(asked)).await,
        "initialize" | "server/discover" | "subscriptions/listen" => Box::pin(unknown(asked)).await,
        "tasks/list" if tasks::recast::is_known_to(asked.revision) => {
            Box::pin(tasks::recast::list(asked)).await
        }
        _ if tasks::recast::is_known_to(asked.revision) && tasks::recast::is_about_one(method) => {
            Box::pin(call::run(asked)).await
        }
        // What we do not know may be known to the one server behind a single-server URL.
        _ if call::may_pass(&asked) => Box::pin(call::run(asked)).await,
        _ => Box::pin(unknown(asked)).await,
    }
}

fn empty_result(asked: &Asked) -> Response<Body> {
    let empty = Bytes::from_static(b"{}");
    answer::json(StatusCode::OK, answer::result(asked.id(), [empty]))
}

async fn unknown(asked: Asked) -> Response<Body> {
    let method = asked.message.method().to_owned();
    asked.refuse(&Refusal::UnknownMethod { method }).await
}

async fn notification(asked: Asked) -> Response<Body> {
    let told = match asked.message.method() {
        "notifications/cancelled" => {
            cancel(&asked);
            Ok(())
        }
        "notifications/roots/list_changed" => {
            let body = asked.message.body().clone();
            broadcast(&asked, |_| body.clone()).await
        }
        // `initialized` concerns us alone; what else there is belongs to calls that we do not know.
        _ => Ok(()),
    };
    if let Err(refusal) = told {
        tracing::debug!(error = %refusal, "A notification could not be passed on");
    }
    answer::accepted()
}

/// The client gives up a call, which then tells the upstream.
fn cancel(asked: &Asked) {
    let id = asked.message.params().and_then(|it| it.get("requestId"));
    if let (Some(session), Some(id)) = (&asked.session, id) {
        session.cancel(id.bytes(), asked.message.clone());
    }
}

async fn set_level(asked: &Asked) -> Result<(), Refusal> {
    let params = asked.message.params().ok_or(Refusal::Params("`params` is missing"))?;
    let level = params.get("level").ok_or(Refusal::Params("`params.level` is missing"))?;
    let level = level.str().and_then(|it| LogLevel::parse(&it));
    let level = level.ok_or(Refusal::Params("`params.level` is not a log level"))?;
    if let Some(session) = &asked.session {
        *session.log_level.lock() = Some(level);
    }
    open_only(asked).await?;
    let params = format!(r#"{{"level":{}}}"#, quote(level.as_str()));
    broadcast(asked, |link| {
        let id = link.next_id().to_string();
        errors::request_body(id.as_bytes(), "logging/setLevel", Some(params.as_bytes()))
    })
    .await?;
    for (_, upstream) in asked.session.iter().flat_map(|it| it.upstreams()) {
        levels::told(&upstream, level).await;
    }
    record::answered(asked).await
}

/// On a single-server URL, makes sure that there is a session with the server to speak in.
async fn open_only(asked: &Asked) -> Result<(), Refusal> {
    let (Some(only), Some(session)) = (&asked.place.only, &asked.session) else { return Ok(()) };
    let worker = &asked.worker;
    let (pass, link) = pass_to(asked, only.id)?;
    pass.unless_ended(async {
        if link.era(worker, &pass, Era::Legacy).await? == Era::Legacy {
            forward::own_session(worker, &pass, &link, session, only.id).await?;
        }
        Ok(())
    })
    .await
}

/// Sends a message to all upstreams that the client's session has sessions with.
async fn broadcast(asked: &Asked, body: impl Fn(&Link) -> Bytes) -> Result<(), Refusal> {
    let Some(session) = &asked.session else { return Ok(()) };
    let open = session.upstreams();
    for (assignment, upstream) in open {
        let own = |it: &&Arc<Assignment>| it.id == assignment;
        let Some(assignment) = asked.place.assignments().iter().find(own) else { continue };
        let (pass, link) = pass_to(asked, assignment.id)?;
        let headers = HeaderMap::new();
        let letter = Letter { parts: vec![body(&link)], id: None, progress: false, headers };
        let channel = Channel::Legacy(upstream);
        tell(asked, (&pass, &link), (&channel, letter), &[]).await?;
    }
    Ok(())
}

/// Sends what needs no answer, and reads what comes back to its end, so that the connection can
/// serve again. It is recorded for itself: what leaves is on no call's record.
async fn tell(
    asked: &Asked,
    (pass, link): (&Pass, &Link),
    (channel, letter): (&Channel, Letter),
    hits: &[Hit],
) -> Result<(), Refusal> {
    let aside = Aside::begin(pass, &asked.said(), letter.parts.clone(), hits).await?;
    let told = pass.unless_ended(async {
        let mut exchange = link.post(&asked.worker, pass, channel, letter).await?;
        let status = exchange.status();
        while let Some(Ok(_)) = exchange.next().await {}
        Ok(status)
    });
    match told.await {
        Ok(status) => aside.end(&Outcome::told(status)).await,
        Err(refusal) => {
            aside.end(&Outcome::refused(&refusal)).await?;
            Err(refusal)
        }
    }
}

fn pass_to(asked: &Asked, assignment: AssignmentId) -> Result<(Pass, Arc<Link>), Refusal> {
    authorize::lead(&asked.worker, (&asked.caller, &asked.place), assignment)
}

/// The client answers what an upstream has asked.
async fn answered(asked: &Asked) -> Result<(), Refusal> {
    let id = asked.message.id().ok_or(Refusal::Params("an answer has an id"))?;
    let session = asked.session.as_ref().ok_or(Refusal::SessionMissing)?;
    // What was not asked, or was answered already, is taken and goes nowhere.
    let Some(answering) = id.u64().and_then(|it| session.pending.answered(it)) else {
        return Ok(());
    };
    let Pending { assignment, tool, whom } = answering.pending.clone();
    let led = pass_to(asked, assignment.id);
    let mut hits = Vec::new();
    let answer = allowed(asked, (&assignment, tool.as_deref()), &mut hits);
    match whom {
        Whom::Upstream { upstream, id } => {
            let passed = match &led {
                Ok((pass, link)) => {
                    let to = (pass, &**link, Channel::Legacy(upstream), id);
                    Box::pin(pass_on(asked, to, answer, &hits)).await
                }
                Err(refusal) => Err(refusal.clone()),
            };
            let is_cut_off = led.is_ok_and(|(pass, _)| pass.flight.is_ended());
            if matches!(passed, Err(Refusal::Gate(_))) && !is_cut_off {
                // Nothing has left: the server still waits.
                answering.ask_again();
            }
            passed
        }
        Whom::Call(slot) => {
            let server = assignment.server.name.as_str();
            let led = led.map(|(pass, _)| pass);
            Box::pin(give(asked, (slot, server), led, (answer, &hits))).await
        }
    }
}

/// Gives an answer to the upstream that waits for it, under the upstream's own id.
async fn pass_on(
    asked: &Asked,
    (pass, link, channel, id): (&Pass, &Link, Channel, Bytes),
    answer: Result<Message, Refusal>,
    hits: &[Hit],
) -> Result<(), Refusal> {
    let (parts, held_back) = match answer {
        Ok(answer) => {
            let mut splice = Splice::new(answer.body().clone());
            if let Some(theirs) = answer.id() {
                splice.replace_value(theirs, id);
            }
            (splice.finish().into_parts(), None)
        }
        // The server waits for an answer, and will wait for no other.
        Err(refusal) => {
            let text = "the answer may not pass here";
            let code = errors::INVALID_REQUEST;
            (vec![errors::error_body(Some(&id), code, text, None)], Some(refusal))
        }
    };
    let letter = Letter { parts, id: None, progress: false, headers: HeaderMap::new() };
    tell(asked, (pass, link), (&channel, letter), hits).await?;
    held_back.map_or(Ok(()), Err)
}

/// Gives an answer, once it is recorded, to the call that goes on with it. What does not pass ends
/// the call, since its server will wait for no other.
async fn give(
    asked: &Asked,
    (slot, server): (Slot, &str),
    led: Result<Pass, Refusal>,
    (answer, hits): (Result<Message, Refusal>, &[Hit]),
) -> Result<(), Refusal> {
    let recorded = async {
        let (pass, answer) = (led?, answer?);
        let Some(result) = answer.result() else {
            // What goes no further than here needs no record but that of the call.
            let code = answer.error().and_then(|it| it.get("code")).and_then(Raw::i64);
            let why = Unanswered::Error(code.unwrap_or_default());
            return Ok(Given::Nothing(Refusal::unanswered(server, why)));
        };
        let result = answer.body().slice_ref(result.bytes());
        let aside = Aside::begin(&pass, &asked.said(), vec![result.clone()], hits).await?;
        Ok::<_, Refusal>(Given::Result(result, aside))
    };
    let (given, refused) = match recorded.await {
        Ok(given) => (given, None),
        Err(refusal) => (Given::Nothing(refusal.clone()), Some(refusal)),
    };
    slot.give(given);
    refused.map_or(Ok(()), Err)
}

/// An answer to a tool's question, as the rules leave it: it is what the client gives to the tool.
fn allowed(
    asked: &Asked,
    (assignment, tool): (&Assignment, Option<&str>),
    hits: &mut Vec<Hit>,
) -> Result<Message, Refusal> {
    let Some(tool) = tool else { return Ok(asked.message.clone()) };
    let rulebook = &asked.worker.proxy.rulebook;
    let rules = rulebook.of(asked.caller.workspace.id, &asked.place.gateway)?;
    let tool = (assignment.alias.as_str(), tool);
    content::edit(&rules, Leg::Request, tool, &asked.message, hits)
}

/// Ends a session, and ours with the upstreams that served it.
pub(crate) async fn end(
    worker: &Arc<Worker>,
    known: Known,
    session: &Arc<Session>,
) -> Result<Response<Body>, Refusal> {
    worker.proxy.sessions.end(session);
    let upstreams = session.upstreams();
    for (assignment, upstream) in upstreams {
        let own = |it: &&Arc<Assignment>| it.id == assignment;
        let Some(assignment) = known.place.assignments().iter().find(own) else { continue };
        let (pass, link) = authorize::lead(worker, (&known.caller, &known.place), assignment.id)?;
        let said = Said::of(worker, &known, session.revision, "DELETE");
        let aside = Aside::begin(&pass, &said, Vec::new(), &[]).await?;
        // A server that is cut off meanwhile is left without a word.
        let goodbye = link.goodbye(worker, &pass, &upstream);
        let outcome = match pass.flight.unless_ended(goodbye).await {
            Some(()) => Outcome::told(StatusCode::OK),
            None => Outcome::refused(&pass.why_ended().await),
        };
        aside.end(&outcome).await?;
    }
    Ok(Response::new(Body::empty()))
}
