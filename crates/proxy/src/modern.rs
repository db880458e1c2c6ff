//! Requests of clients of the modern era, each of which stands for itself.

use std::net::IpAddr;

use bytes::Bytes;
use http::Response;
use mcp::envelope::MessageKind;
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::revision::{self, Era};
use mcp::splice::Splice;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::Body;
use crate::call::{self, Asked};
use crate::catalog::{List, Part, View};
use crate::levels;
use crate::listen;
use crate::picker;
use crate::record;
use crate::refusal::{Refusal, UpstreamError, WireBlame};
use crate::subscribe;
use crate::tasks;

/// Answers one message.
pub(crate) async fn serve(asked: Asked) -> Response<Body> {
    match asked.message.kind() {
        MessageKind::Request => Box::pin(request(asked)).await,
        // Over HTTP a client cancels by closing its stream; nothing else is said this way.
        MessageKind::Notification => answer::accepted(),
        MessageKind::Response | MessageKind::Error => {
            asked.refuse(&Refusal::Params("answers are not sent in this revision")).await
        }
    }
}

async fn request(asked: Asked) -> Response<Body> {
    let method = asked.message.method();
    if let Some(list) = List::of(method) {
        return Box::pin(self::list(asked, list)).await;
    }
    match method {
        "server/discover" => Box::pin(discover(asked)).await,
        "subscriptions/listen" => Box::pin(listen::modern(asked)).await,
        // Gone in this era; a server of the other one would know them.
        "initialize"
        | "ping"
        | "logging/setLevel"
        | "resources/subscribe"
        | "resources/unsubscribe" => Box::pin(unknown(asked)).await,
        "tools/call" | "prompts/get" | "resources/read" | "completion/complete" => {
            Box::pin(call::run(asked)).await
        }
        _ if tasks::is_about_one(method) => Box::pin(call::run(asked)).await,
        // What we do not know may be known to the one server behind a single-server URL.
        _ if call::may_pass(&asked) => Box::pin(call::run(asked)).await,
        _ => Box::pin(unknown(asked)).await,
    }
}

async fn unknown(asked: Asked) -> Response<Body> {
    let method = asked.message.method().to_owned();
    asked.refuse(&Refusal::UnknownMethod { method }).await
}

/// A list, from memory, as the caller may see it. Both eras come here.
pub(crate) async fn list(asked: Asked, list: List) -> Response<Body> {
    match listed(&asked, list).await {
        Ok(parts) => answer::json(http::StatusCode::OK, answer::result(asked.id(), parts)),
        Err(refusal) => Box::pin(asked.refuse(&refusal)).await,
    }
}

async fn listed(asked: &Asked, list: List) -> Result<[Bytes; 3], Refusal> {
    let cursor = match asked.message.params().and_then(|it| it.get("cursor")) {
        None => None,
        Some(it) => Some(it.str().ok_or(Refusal::Params("`params.cursor` is no string"))?),
    };
    let proxy = &asked.worker.proxy;
    let (pass, view) = authorize::look(asked, asked.era()).await?;
    check_listed(asked, &view)?;
    let snapshot = proxy.gate.latest();
    let connection = pass.place.connection(&pass.caller)?;
    let looker = crate::catalog::Looker {
        app: pass.caller.app,
        revision: asked.revision,
        follows_tasks: asked.follows_tasks(),
        knows_tasks: asked.era() == Era::Modern && tasks::declares(asked),
        workspace: &pass.caller.workspace,
        user: pass.caller.user(connection.user).ok_or(Refusal::NoGateway)?,
        peer: Some(asked.peer),
        switches: &snapshot.switches,
        now: proxy.clock.now(),
    };
    let written = view.written(list, &looker).await;
    let whose = [pass.caller.workspace.id.0, pass.place.gateway.id.0, looker.app.0];
    let whose = whose.each_ref().map(|it| it.as_bytes().as_slice());
    let [body, end] = written.page(list, (&proxy.sealer, &whose), cursor.as_deref())?;
    if let Some(session) = &asked.session {
        session.listed(list, written.print);
    }
    record::answered(asked).await?;
    Ok([opening(asked.era(), &view, asked), body, end])
}

/// On a single-server URL, a server that cannot be asked is an error. Among several it is missing.
pub(crate) fn check_listed(asked: &Asked, view: &View) -> Result<(), Refusal> {
    match view.missing_because("") {
        Some((server, why)) if asked.place.only.is_some() => {
            Err(Refusal::upstream(server, UpstreamError::Wire(why.to_owned(), WireBlame::Retry)))
        }
        _ => Ok(()),
    }
}

fn opening(era: Era, view: &View, asked: &Asked) -> Bytes {
    match era {
        Era::Legacy => Bytes::from_static(b"{"),
        Era::Modern => {
            let ttl = view.kept_for(asked.worker.proxy.clock.elapsed()).as_millis();
            // What one caller sees is for no other.
            let hints = r#""resultType":"complete","cacheScope":"private""#;
            format!(r#"{{{hints},"ttlMs":{ttl},"_meta":{},"#, our_meta()).into()
        }
    }
}

fn our_meta() -> String {
    let info = crate::link::our_info();
    format!(r#"{{"{}":{}}}"#, meta::SERVER_INFO, String::from_utf8_lossy(&info))
}

async fn discover(asked: Asked) -> Response<Body> {
    match discovered(&asked).await {
        Ok(result) => answer::json(http::StatusCode::OK, answer::result(asked.id(), [result])),
        Err(refusal) => Box::pin(asked.refuse(&refusal)).await,
    }
}

async fn discovered(asked: &Asked) -> Result<Bytes, Refusal> {
    let proxy = &asked.worker.proxy;
    let (pass, view) = authorize::look(asked, Era::Modern).await?;
    check_listed(asked, &view)?;
    record::answered(asked).await?;
    let versions: Vec<String> = revision::ALL
        .iter()
        .rev()
        .filter(|it| Era::Modern == it.era())
        .map(|it| quote(it.as_str()))
        .collect();
    let ttl = view.kept_for(proxy.clock.elapsed()).as_millis();
    let instructions = instructions(&view, &pass, asked.peer)
        .map(|it| format!(r#""instructions":{},"#, quote(&it)))
        .unwrap_or_default();
    let result = format!(
        r#"{{"resultType":"complete","supportedVersions":[{}],"capabilities":{},{instructions}"ttlMs":{ttl},"cacheScope":"private","_meta":{}}}"#,
        versions.join(","),
        capabilities(&view, Era::Modern, (false, false)),
        our_meta(),
    );
    Ok(result.into())
}

/// What a place can do: on a single-server URL what its server can, on the aggregated one what we
/// can route. Tasks of revision 2025-11-25 can be followed as they are, or be known at all.
pub(crate) fn capabilities(
    view: &View,
    era: Era,
    (follows_tasks, knows_tasks): (bool, bool),
) -> String {
    if !view.is_prefixed()
        && let Some(part) = view.parts.first()
        && part.listing.spoken == era
        && part.listing.error.is_none()
    {
        let own = &part.listing.capabilities;
        let mut splice = Splice::new(own.clone());
        if let (Ok(root), false) = (Raw::parse(own, Limits::default()), follows_tasks) {
            // Those of revision 2025-11-25: to be told of them helps nobody who cannot ask for them.
            splice.remove_member(root, "tasks");
        }
        return String::from_utf8_lossy(&splice.finish().into_bytes()).into_owned();
    }
    let mut all: Vec<String> = Vec::new();
    let mut push = |kind: &str, value: &str| all.push(format!("{}:{value}", quote(kind)));
    let parsed: Vec<Raw<'_>> = view
        .parts
        .iter()
        .filter_map(|it| Raw::parse(&it.listing.capabilities, Limits::default()).ok())
        .collect();
    let any = |kind: &str| parsed.iter().any(|it| it.get(kind).is_some());
    // Changes of lists are told of by ourselves, since policy changes them, too.
    for kind in ["tools", "prompts"] {
        if view.is_picker() || any(kind) {
            push(kind, r#"{"listChanged":true}"#);
        }
    }
    if view.is_picker() || any("resources") {
        let subscribe = view.is_picker() || view.parts.iter().any(subscribe::can_watch);
        push("resources", &format!(r#"{{"listChanged":true,"subscribe":{subscribe}}}"#));
    }
    if any("completions") {
        push("completions", "{}");
    }
    if view.parts.iter().any(|it| levels::can_be_heard(it, era)) {
        push("logging", "{}");
    }
    if knows_tasks && view.parts.iter().any(tasks::has_tasks) {
        push("tasks", r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#);
    }
    let extensions = extensions(view, era);
    if !extensions.is_empty() {
        push("extensions", &format!("{{{}}}", extensions.join(",")));
    }
    format!("{{{}}}", all.join(","))
}

/// Those that we can route, and on a single-server URL those of a server of the other era.
fn extensions(view: &View, era: Era) -> Vec<String> {
    let mut all = Vec::new();
    let has_tasks = |it: &Part| tasks::has_tasks(it) || tasks::tended::has_tasks(it);
    if era == Era::Modern && view.parts.iter().any(has_tasks) {
        all.push(format!("{}:{{}}", quote(tasks::EXTENSION)));
    }
    let only = view.parts.first().filter(|_| !view.is_prefixed());
    let capabilities = only.map(|it| Raw::parse(&it.listing.capabilities, Limits::default()));
    let declared = capabilities.and_then(Result::ok).and_then(|it| it.get("extensions"));
    let others = declared.into_iter().flat_map(Raw::members);
    let others = others.filter(|(name, _)| name != tasks::EXTENSION);
    all.extend(others.map(|(name, settings)| format!("{}:{}", quote(&name), settings.text())));
    all
}

/// The instructions of all servers that may be seen, each under its name. Those of a server under
/// review are text for models as its tools are, hence approved or not there. A server of which
/// policies refuse everything says nothing either.
pub(crate) fn instructions(view: &View, pass: &Pass, peer: IpAddr) -> Option<String> {
    let (snapshot, now) = (pass.proxy.gate.latest(), pass.proxy.clock.now());
    let own = view.is_picker().then(|| picker::INSTRUCTIONS.to_owned());
    let theirs = view
        .parts
        .iter()
        .filter(|it| it.is_shown(&snapshot.switches, now))
        .filter(|it| !pass.is_refused(&it.assignment, peer, now))
        .filter_map(|it| {
            let said = it.listing.instructions.as_ref()?;
            let text = it.assignment.server.review.admits(said.pin).then_some(&said.text)?;
            let alias = it.assignment.alias.as_str();
            Some(if view.is_prefixed() { format!("{alias}: {text}") } else { text.clone() })
        });
    let all: Vec<String> = own.into_iter().chain(theirs).collect();
    (!all.is_empty()).then(|| all.join("\n\n"))
}
