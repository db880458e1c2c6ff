//! `/gateways/{gateway}/calls`: a call in the place of an app, to see what comes of it.
//!
//! The data plane makes it, on the way of all calls and with the credentials that the app would use. So
//! who may start one could as well give out a token of that app and call with it (`docs/decisions/015`).
//! It is said again whenever anything changes while the call is under way. What is shown of it is what
//! its record says.

mod followed;
mod seats;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use domain::ports::Gate as _;
use domain::{
    Answered, AppId, Capability, Gateway, GatewayId, May, Object, Snapshot, Starter, TestCall,
    Tested, Workspace,
};
use inspect::tokens;
use mcp::json::{Limits, Raw};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::preview::{GatewayPath, Onlooker, whose};
use crate::App;
use crate::api::{
    Done, Error, Gone, InWorkspace, Json, NameText, Path, Problem, Ref, RefText, Rights, Touched,
};
use crate::session::{self, Caller};
use crate::why::Link;
use followed::Followed;
pub(crate) use seats::Seats;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create_test_call))
}

/// A call to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTestCall {
    /// In the place of whose only app on the gateway, by name or id.
    #[schema(value_type = Option<RefText>)]
    user: Option<Ref>,
    /// In the place of which app, by name or id.
    #[schema(value_type = Option<RefText>)]
    app: Option<Ref>,
    /// As the gateway lists it.
    #[schema(min_length = 1, max_length = 2048)]
    tool: String,
    /// None where absent. They are sent as they are written.
    #[serde(default = "nothing")]
    #[schema(value_type = Object)]
    arguments: Box<RawValue>,
}

/// What came of a call.
#[derive(Serialize, ToSchema)]
struct TestCallBody {
    /// Its number in the record.
    call: Uuid,
    #[schema(value_type = NameText)]
    app: domain::Name,
    /// For whom that acts.
    user: String,
    /// Which tool was meant; absent where the gateway leads to none of that name.
    tool: Option<ToolBody>,
    /// How it has ended, as its record says it: `answered`, or what stood in the way; `unrecorded` where
    /// there is no record of it.
    outcome: String,
    /// Whether it has failed, or its tool says so.
    is_error: bool,
    /// In one sentence.
    because: String,
    /// What a client is answered, after the rules, where that is a result.
    result: Option<Value>,
    /// Where it is an error.
    error: Option<ErrorBody>,
    /// How many tokens the result is to a model: an estimate, by the vocabulary o200k.
    tokens: Option<u64>,
    took: TookBody,
    /// What was decided on the way, in its order, as far as it went. The last one that does not hold is
    /// what has ended it.
    trace: Vec<Link>,
    /// Where the record of its beginning is in the log; absent where it was refused before, and for as
    /// long as it has no place.
    intent: Option<u64>,
    /// Where the record of its end is; absent for as long as it has no place.
    record: Option<u64>,
}

/// A tool of a server.
#[derive(Serialize, ToSchema)]
struct ToolBody {
    /// Of the assignment.
    #[schema(value_type = NameText)]
    alias: domain::Name,
    /// The server's own name for it.
    own_name: String,
}

/// An error of the protocol.
#[derive(Serialize, ToSchema)]
struct ErrorBody {
    code: i64,
    message: String,
}

/// How long it took, in microseconds.
#[derive(Serialize, ToSchema)]
struct TookBody {
    /// From when it came in until its end was recorded.
    total: u64,
    /// What of it is ours: until its beginning was recorded.
    gateway: u64,
    /// And from then on: the server's answer, and the rules on it.
    upstream: u64,
}

/// Call a tool in the place of an app, through everything that a client's call goes through. It is done,
/// with the credentials that the app would use: what the tool changes is changed. The record of the call
/// says that it was a test, and by whom. It is for whoever holds `gateways:write` on the gateway and
/// `apps:write` for the app and for its connection, whoever owns them.
#[utoipa::path(
    post,
    path = "/gateways/{gateway}/calls",
    request_body = NewTestCall,
    responses((status = 200, body = TestCallBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:read")), ("x-step-up" = json!(true))),
    tag = "gateways",
)]
async fn create_test_call(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<GatewayPath>,
    Onlooker { caller, id, gone }: Onlooker,
    Json(new): Json<NewTestCall>,
) -> Result<Done<TestCallBody>, Error> {
    let arguments = new.check()?;
    let snapshot = app.gate.current().await.map_err(|_| Error::Busy)?;
    let here = snapshot.config.workspace(workspace.id);
    let here = here.ok_or_else(|| workspace.reference().not_found("workspace"))?;
    let gateway = here.gateways.values().find(|it| path.gateway.means(it.id.0, &it.name));
    let gateway = gateway.ok_or_else(|| path.gateway.not_found("gateway"))?;
    let asked = (new.user.as_ref(), new.app.as_ref());
    let whose = whose(&workspace.rights, here, gateway, asked)?;
    check(&workspace.rights, gateway, whose)?;
    let _seat = app.test_seats.take(&caller)?;
    let starter = Starter {
        act: id,
        id: caller.id,
        name: caller.name.clone(),
        address: caller.address,
        expires_at: caller.expires_at,
        may: may(&app, &caller, (here, gateway.id, whose.id)),
    };
    let test = TestCall {
        workspace: here.id,
        gateway: gateway.id,
        app: whose.id,
        call: app.clock.id(),
        tool: new.tool.clone(),
        arguments: new.arguments.get().to_owned(),
        starter,
    };
    let name = format!("{} of {} as {}", new.tool, gateway.name, whose.name);
    let touched = Touched::new("call", test.call, name);
    let rights = &workspace.rights;
    let asked = trace::Asked {
        snapshot: &snapshot,
        here,
        gateway,
        whose,
        caller: &caller,
        names_rules: rights.may(Capability::RulesRead, &object(gateway)),
        arguments: &arguments,
    };
    Ok(Done::unkept(touched, call(&app, test, (asked, &gone)).await?))
}

fn nothing() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}

impl NewTestCall {
    /// Refuses what the data plane would not read, members that come twice among it, and gives the
    /// arguments.
    fn check(&self) -> Result<Value, Error> {
        if self.tool.is_empty() || 2048 < self.tool.chars().count() {
            return Err(Error::Invalid("name a tool with 1 to 2048 characters".into()));
        }
        let text = self.arguments.get();
        let wrong = |what: &dyn std::fmt::Display| Error::Malformed(format!("`arguments`: {what}"));
        Raw::parse(text.as_bytes(), Limits::default()).map_err(|error| wrong(&error))?;
        match serde_json::from_str(text) {
            Ok(arguments @ Value::Object(_)) => Ok(arguments),
            _ => Err(wrong(&"they are an object, or absent")),
        }
    }
}

fn object(gateway: &Gateway) -> Object {
    Object::Gateway { id: gateway.id, teams: gateway.teams.clone() }
}

/// Refuses whoever could not call in the place of the app without this.
fn check(rights: &Rights, gateway: &Gateway, whose: &domain::App) -> Result<(), Error> {
    let connection = gateway.connections.get(&whose.id).ok_or_else(|| {
        let (app, gateway) = (&whose.name, &gateway.name);
        Error::Conflict(format!(
            "nothing was called: app `{app}` is not connected to gateway `{gateway}`"
        ))
    })?;
    rights.require(Capability::GatewaysWrite, &object(gateway), ("gateway", &gateway.name))?;
    let object = Object::App { owner: whose.owner };
    rights.require(Capability::AppsWrite, &object, ("app", &whose.name))?;
    let object = Object::Connection { gateway: gateway.id, owner: connection.user };
    let name = format!("{}/{}", whose.name, gateway.name);
    rights.require(Capability::AppsWrite, &object, ("connection", name))
}

/// The same by another snapshot.
fn may(
    app: &Arc<App>,
    caller: &Caller,
    (here, gateway, whose): (&Workspace, GatewayId, AppId),
) -> May {
    let (app, caller, id) = (Arc::clone(app), caller.clone(), here.id);
    Arc::new(move |snapshot: &Snapshot| {
        let may = || {
            let rights = Rights::in_snapshot(&app, &caller, snapshot).ok()?;
            let here = snapshot.config.workspace(id)?;
            let gateway = here.gateways.values().find(|it| it.id == gateway)?;
            let whose = here.apps.get(&whose)?;
            let sees = rights.may(Capability::GatewaysRead, &object(gateway));
            Some(sees && check(&rights, gateway, whose).is_ok())
        };
        may().unwrap_or(false)
    })
}

async fn call(
    app: &Arc<App>,
    test: TestCall,
    (asked, gone): (trace::Asked<'_>, &Gone),
) -> Result<TestCallBody, Error> {
    let calls = app.test_calls.get().ok_or(Error::Busy)?;
    let (call, began, may) = (test.call, app.clock.elapsed(), Arc::clone(&test.starter.may));
    let mut followed = Followed::begin(app, test.workspace.0, call);
    let ended = followed.until(calls.call(test), given_up(app, asked.caller, gone)).await;
    let mut tested = match ended {
        Ok(tested) => {
            tested.map_err(|why| Error::Conflict(format!("nothing was called: {why}")))?
        }
        Err(why) => Tested { tool: None, answer: Answered::Withheld(why) },
    };
    let took = app.clock.elapsed().saturating_sub(began);
    if matches!(tested.answer, Answered::Late(_) | Answered::Withheld(_) | Answered::Nothing) {
        followed.until_its_end().await;
    }
    let tokens = counted(&tested).await;
    // The last look. Nothing is waited for behind it.
    let is_known = is_let_in(app, asked.caller).await;
    let now = app.gate.current().await.map_err(|_| ()).ok();
    if !is_known || !now.as_ref().is_some_and(|it| may(it)) {
        return Ok(TestCallBody::kept_from_them((call, &asked), &followed, took));
    }
    let was_called = match &tested.answer {
        Answered::Result(_) => true,
        Answered::Error { .. } => trace::end(followed.outcome()) == "answered",
        _ => false,
    };
    if was_called && !now.is_some_and(|it| asked.holds_by(app, &it, &tested)) {
        tested.answer = Answered::Withheld(
            "what was answered is not shown, since what let the call through has been taken away",
        );
    }
    let places = followed.places();
    let records = (followed.intent(), followed.outcome());
    let trace = asked.trace(app, &tested, records, places);
    let body = TestCallBody::of((call, &asked), &followed, took);
    let because = trace::because(&tested, records.1);
    let tokens = tokens.filter(|_| matches!(tested.answer, Answered::Result(_)));
    let is_error = body.is_error || matches!(tested.answer, Answered::Withheld(_));
    let (result, error) = match tested.answer {
        Answered::Result(text) => (serde_json::from_str(&text).ok(), None),
        Answered::Error { code, message } => (None, Some(ErrorBody { code, message })),
        _ => (None, None),
    };
    let tool = tested.tool.map(|(alias, own_name)| ToolBody { alias, own_name });
    Ok(TestCallBody { because, result, error, tokens, trace, is_error, tool, ..body })
}

/// Waits for what ends a call under way that the data plane knows nothing of.
async fn given_up(app: &App, caller: &Caller, gone: &Gone) -> &'static str {
    let signed_out = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !is_let_in(app, caller).await {
                return;
            }
        }
    };
    tokio::select! {
        () = gone.0.cancelled() => "it was given up, since nobody waited for it",
        () = signed_out => "it was given up, since whoever has started it is not let in any more",
    }
}

/// How often it is looked whether whoever has started a call is still let in.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether what the caller has presented still holds. Where nobody knows, it does not.
async fn is_let_in(app: &App, caller: &Caller) -> bool {
    let asking = async { session::again(app, &mut app.db.read().await?, caller).await };
    asking.await.is_ok()
}

impl TestCallBody {
    /// What is told in any case: that there was a call, and how it has ended.
    fn of((call, asked): (Uuid, &trace::Asked<'_>), followed: &Followed, took: Duration) -> Self {
        let outcome = followed.outcome();
        let (intent, record) = followed.places();
        let said = |key: &str| outcome.and_then(|it| it.get(key)?.as_str()).map(str::to_owned);
        let failed = outcome.and_then(|it| it.get("error")?.as_bool());
        Self {
            call,
            app: asked.whose.name.clone(),
            user: asked.user().map(|it| it.name.to_string()).unwrap_or_default(),
            tool: None,
            outcome: said("end").unwrap_or_else(|| "unrecorded".into()),
            is_error: failed.unwrap_or(true),
            because: String::new(),
            result: None,
            error: None,
            tokens: None,
            took: TookBody::of(outcome, took),
            trace: Vec::new(),
            intent,
            record,
        }
    }

    /// For whoever may not do it any more.
    fn kept_from_them(of: (Uuid, &trace::Asked<'_>), followed: &Followed, took: Duration) -> Self {
        let because = "whoever has started it may not do so any more, nor see what came of it";
        let mut link = Link::new("test", &of.1.caller.name, because);
        link.holds = false;
        let body = Self::of(of, followed, took);
        Self { is_error: true, because: because.to_owned(), trace: vec![link], ..body }
    }
}

/// The first count unpacks the vocabulary, and results may be long.
async fn counted(tested: &Tested) -> Option<u64> {
    let Answered::Result(text) = &tested.answer else { return None };
    let text = text.clone();
    tokio::task::spawn_blocking(move || tokens::count(text.as_bytes())).await.ok()
}

impl TookBody {
    /// As the record says; all of it is ours where nothing was sent.
    fn of(outcome: Option<&Value>, took: Duration) -> Self {
        let said = |key: &str| outcome.and_then(|it| it.get(key)?.as_u64());
        let total = said("total_us").unwrap_or(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let upstream = said("upstream_us").unwrap_or_default().min(total);
        Self { total, gateway: total - upstream, upstream }
    }
}
