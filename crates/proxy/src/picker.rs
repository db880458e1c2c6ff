//! The picker: one URL of a workspace, for whoever chooses among the gateways that they may use.
//!
//! An app is at the gateway that it has picked, and is held there to what it is held to at that
//! gateway's own URL. One that has picked none, or one that it may not use now, is in the lobby, where
//! nothing is but two tools of ours, which are beside every gateway here: one says what there is to be
//! picked, and one picks. What is picked is configuration. It is the same in every session and for
//! clients that have none, holds until something else is picked, and is on every replica before the
//! tool has answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::ports::{At, GateClosed, NotPicked};
use domain::{AppId, Gateway, Snapshot};
use http::{Response, StatusCode};
use mcp::envelope::Message;
use mcp::json::{Raw, quote};
use mcp::revision::Era;
use parking_lot::Mutex;

use crate::answer;
use crate::authorize::{self, Cleared, Pass};
use crate::body::Body;
use crate::call::Asked;
use crate::identify::Caller;
use crate::receive::Path;
use crate::record::{self, Aside, Outcome, Within};
use crate::refusal::Refusal;
use crate::route::{self, Place};
use crate::serve::Proxy;

/// A tool of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    List,
    Use,
}

/// How often each app has picked another gateway lately, and since when that is counted.
#[derive(Default)]
pub(crate) struct Pace(Mutex<HashMap<AppId, (Duration, u32)>>);

/// How often an app may pick another gateway in that time: it changes the configuration, which all
/// share.
const MOST_PICKS: u32 = 20;
const LATELY: Duration = Duration::from_secs(60);

/// How soon an app may try again that has found too many others picking.
const CROWDED: Duration = Duration::from_secs(1);

/// What models are told of the place.
pub(crate) const INSTRUCTIONS: &str = "Several gateways may be used at this address, one at a time. \
    `list_gateways` says which, and `use_gateway` picks one: its tools, prompts and resources are then \
    listed here.";

/// Our tools, as they are listed.
pub(crate) const TOOLS: [&str; 2] = [
    r#"{"name":"list_gateways","title":"List gateways","description":"Lists the gateways that can be used at this address, with their servers, and says which of them is in use.","inputSchema":{"type":"object","properties":{},"additionalProperties":false},"annotations":{"title":"List gateways","readOnlyHint":true,"openWorldHint":false}}"#,
    r#"{"name":"use_gateway","title":"Use a gateway","description":"Picks the gateway whose tools, prompts and resources are offered at this address from now on, in place of those of the gateway before. List them again afterwards. All conversations of this client are at the same gateway.","inputSchema":{"type":"object","properties":{"gateway":{"type":"string","description":"Its name, as list_gateways gives it."}},"required":["gateway"],"additionalProperties":false},"annotations":{"title":"Use a gateway","readOnlyHint":false,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}"#,
];

impl Tool {
    /// The tool that a message calls, where it calls one of ours.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let name = message.params().filter(|_| message.method() == "tools/call")?.get("name")?;
        match name.str()?.as_ref() {
            "list_gateways" => Some(Self::List),
            "use_gateway" => Some(Self::Use),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "list_gateways",
            Self::Use => "use_gateway",
        }
    }
}

impl Pace {
    /// Takes the turn of an app, or says how long it has to wait for it.
    fn take(&self, app: AppId, now: Duration) -> Result<(), Duration> {
        let mut counted = self.0.lock();
        counted.retain(|_, (since, _)| now < *since + LATELY);
        let (since, count) = counted.entry(app).or_insert((now, 0));
        if *count == MOST_PICKS {
            return Err((*since + LATELY).saturating_sub(now));
        }
        *count += 1;
        Ok(())
    }
}

/// Why there is no result.
struct Failed {
    refusal: Refusal,
    is_recorded: bool,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, is_recorded: false }
    }
}

/// By what calls over this URL are decided. What it stands for is known here, where the database is
/// away: nobody can pick anything then.
pub(crate) async fn current(
    proxy: &Proxy,
    latest: &Snapshot,
    caller: Option<&Caller>,
    (path, now): (&Path, DateTime<Utc>),
) -> Result<Arc<Snapshot>, GateClosed> {
    let known = caller.and_then(|it| Some((it, Place::pick(latest, it, path, now).ok()?)));
    let Some((caller, place)) = known else { return proxy.gate.current().await };
    let at = At { workspace: &caller.workspace, gateway: &place.gateway };
    proxy.gate.current_at(at).await.map(|it| it.snapshot)
}

/// Answers a call of one of our tools.
pub(crate) async fn answer(asked: Asked, tool: Tool) -> Response<Body> {
    let answered = match tool {
        Tool::List => list(&asked).await.map_err(Failed::from),
        Tool::Use => pick(&asked).await,
    };
    match answered {
        Ok(result) => answer::json(StatusCode::OK, answer::result(asked.id(), [result])),
        Err(Failed { refusal, is_recorded: true }) => {
            asked.worker.proxy.metrics.refused(refusal.reason());
            answer::refusal(&refusal, asked.manner())
        }
        Err(failed) => Box::pin(asked.refuse(&failed.refusal)).await,
    }
}

async fn list(asked: &Asked) -> Result<Bytes, Refusal> {
    let pass = permitted(asked)?;
    let gateways = pickable(asked, &pass.clear().await?);
    record::answered(asked).await?;
    let in_use = (!asked.place.is_lobby()).then_some(&asked.place.gateway.name);
    let entries = gateways.iter().map(|it| entry(it, in_use == Some(&it.name)));
    let structured = format!(r#"{{"gateways":[{}]}}"#, entries.collect::<Vec<_>>().join(","));
    Ok(result(asked, &structured))
}

/// One gateway, as it is listed.
fn entry(gateway: &Gateway, in_use: bool) -> String {
    let servers = gateway.assignments.iter().map(|it| quote(it.alias.as_str()));
    let servers = servers.collect::<Vec<_>>().join(",");
    let name = quote(gateway.name.as_str());
    format!(r#"{{"name":{name},"servers":[{servers}],"in_use":{in_use}}}"#)
}

async fn pick(asked: &Asked) -> Result<Bytes, Failed> {
    let arguments = asked.message.params().and_then(|it| it.get("arguments"));
    let name = arguments.and_then(|it| it.get("gateway")).and_then(Raw::str);
    let name = name.ok_or(Refusal::Params("`arguments.gateway` is missing"))?;
    let proxy = &asked.worker.proxy;
    let pass = permitted(asked)?;
    let gateways = pickable(asked, &pass.clear().await?);
    let found = gateways.into_iter().find(|it| it.name.as_str() == name);
    let found = found.ok_or_else(|| Refusal::NotPickable { name: name.clone().into_owned() })?;
    if asked.place.gateway.id == found.id {
        record::answered(asked).await?;
        return Ok(picked(asked, &found));
    }
    let turn = proxy.pace.take(pass.caller.app, proxy.clock.elapsed());
    let limit = || format!("{MOST_PICKS} picks a minute");
    turn.map_err(|wait| Refusal::Limited { limit: limit(), wait: Some(wait) })?;
    let within = Within::Tool(Tool::Use, found.name.as_str());
    let aside = Aside::begin_within(within, &pass, &asked.said(), (Vec::new(), &[])).await?;
    let done = match pass.clear().await {
        Ok(cleared) => keep(proxy, &cleared, &found).await,
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(()) => {
            aside.end(&Outcome::told(StatusCode::OK)).await?;
            Ok(picked(asked, &found))
        }
        Err(refusal) => {
            aside.end(&Outcome::refused(&refusal)).await?;
            Err(Failed { refusal, is_recorded: true })
        }
    }
}

/// Lets it be what the app has picked.
async fn keep(proxy: &Proxy, cleared: &Cleared<'_>, gateway: &Gateway) -> Result<(), Refusal> {
    let Caller { workspace, app, .. } = &cleared.caller;
    proxy.picks.pick(workspace.id, *app, gateway.id).await.map_err(|why| match why {
        NotPicked::Gone => Refusal::NotPickable { name: gateway.name.to_string() },
        NotPicked::Crowded => {
            Refusal::Limited { limit: "picks at a time".into(), wait: Some(CROWDED) }
        }
        NotPicked::Unavailable => Refusal::PicksUnavailable,
    })
}

fn picked(asked: &Asked, gateway: &Gateway) -> Bytes {
    result(asked, &format!(r#"{{"in_use":{}}}"#, quote(gateway.name.as_str())))
}

/// A result that says the same to models and to programs.
fn result(asked: &Asked, structured: &str) -> Bytes {
    let kind = if asked.era() == Era::Modern { r#""resultType":"complete","# } else { "" };
    let text = quote(structured);
    let content = format!(r#"[{{"type":"text","text":{text}}}]"#);
    let result = format!(
        r#"{{{kind}"content":{content},"structuredContent":{structured},"isError":false}}"#
    );
    result.into()
}

/// What there is to be picked, by what the gate has just confirmed.
fn pickable(asked: &Asked, cleared: &Cleared<'_>) -> Vec<Arc<Gateway>> {
    route::pickable(&cleared.snapshot, &cleared.caller, asked.worker.proxy.clock.now())
}

/// The permission to be here at all.
fn permitted(asked: &Asked) -> Result<Pass, Refusal> {
    let (caller, place) = (asked.caller.clone(), asked.place.clone());
    authorize::authorize(&asked.worker.proxy, caller, place, None)
}
