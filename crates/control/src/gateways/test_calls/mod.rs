//! `/gateways/{gateway}/calls`: a call in the place of an app, to see what comes of it.
//!
//! The data plane makes it, on the way of all calls and with the credentials that the app would use. So
//! who may start one could as well give out a token of that app and call with it (`docs/decisions/015`).
//! It is said again whenever anything changes while the call is under way. What is shown of it is what
//! its record says.

mod followed;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use domain::ports::Gate as _;
use domain::{
    Answered, AppId, Capability, Gateway, GatewayId, Object, Snapshot, Starter, TestCall, Tested,
    Workspace,
};
use inspect::tokens;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::preview::{GatewayPath, Onlooker, whose};
use crate::App;
use crate::api::{
    Done, Error, InWorkspace, Json, NameText, Path, Problem, Ref, RefText, Rights, Touched,
};
use crate::session::Caller;
use crate::why::Link;
use followed::Followed;

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
    /// None where absent.
    #[serde(default)]
    #[schema(value_type = Object)]
    arguments: Map<String, Value>,
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
    Onlooker { caller, id }: Onlooker,
    Json(new): Json<NewTestCall>,
) -> Result<Done<TestCallBody>, Error> {
    if new.tool.is_empty() || 2048 < new.tool.chars().count() {
        return Err(Error::Invalid("name a tool with 1 to 2048 characters".into()));
    }
    let snapshot = app.gate.current().await.map_err(|_| Error::Busy)?;
    let here = snapshot.config.workspace(workspace.id);
    let here = here.ok_or_else(|| workspace.reference().not_found("workspace"))?;
    let gateway = here.gateways.values().find(|it| path.gateway.means(it.id.0, &it.name));
    let gateway = gateway.ok_or_else(|| path.gateway.not_found("gateway"))?;
    let asked = (new.user.as_ref(), new.app.as_ref());
    let whose = whose(&workspace.rights, here, gateway, asked)?;
    check(&workspace.rights, gateway, whose)?;
    let starter = Starter {
        act: id,
        id: caller.id,
        name: caller.name.clone(),
        address: caller.address,
        may: may(&app, &caller, (here, gateway.id, whose.id)),
    };
    let test = TestCall {
        workspace: here.id,
        gateway: gateway.id,
        app: whose.id,
        call: app.clock.id(),
        tool: new.tool.clone(),
        arguments: Value::Object(new.arguments.clone()).to_string(),
        starter,
    };
    let name = format!("{} of {} as {}", new.tool, gateway.name, whose.name);
    let touched = Touched::new("call", test.call, name);
    let asked = trace::Asked {
        snapshot: &snapshot,
        here,
        gateway,
        whose,
        caller: &caller,
        arguments: &Value::Object(new.arguments),
    };
    Ok(Done::unkept(touched, call(&app, test, asked).await?))
}

/// Refuses whoever could not call in the place of the app without this.
fn check(rights: &Rights, gateway: &Gateway, whose: &domain::App) -> Result<(), Error> {
    let connection = gateway.connections.get(&whose.id).ok_or_else(|| {
        let (app, gateway) = (&whose.name, &gateway.name);
        Error::Conflict(format!(
            "nothing was called: app `{app}` is not connected to gateway `{gateway}`"
        ))
    })?;
    let object = Object::Gateway { id: gateway.id, teams: gateway.teams.clone() };
    rights.require(Capability::GatewaysWrite, &object, ("gateway", &gateway.name))?;
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
) -> domain::May {
    let (app, caller, id) = (Arc::clone(app), caller.clone(), here.id);
    Arc::new(move |snapshot: &Snapshot| {
        let may = || {
            let rights = Rights::in_snapshot(&app, &caller, snapshot).ok()?;
            let here = snapshot.config.workspace(id)?;
            let gateway = here.gateways.values().find(|it| it.id == gateway)?;
            let whose = here.apps.get(&whose)?;
            let object = Object::Gateway { id: gateway.id, teams: gateway.teams.clone() };
            let sees = rights.may(Capability::GatewaysRead, &object);
            Some(sees && check(&rights, gateway, whose).is_ok())
        };
        may().unwrap_or(false)
    })
}

async fn call(
    app: &Arc<App>,
    test: TestCall,
    asked: trace::Asked<'_>,
) -> Result<TestCallBody, Error> {
    let calls = app.test_calls.get().ok_or(Error::Busy)?;
    let (id, began) = (test.call, app.clock.elapsed());
    let mut followed = Followed::begin(app, test.workspace.0, id);
    let calling = calls.call(test);
    let tested = followed.until(calling).await;
    let tested = tested.map_err(|why| Error::Conflict(format!("nothing was called: {why}")))?;
    let took = app.clock.elapsed().saturating_sub(began);
    if matches!(tested.answer, Answered::Late(_) | Answered::Nothing) {
        followed.until_its_end().await;
    }
    let (intent, record) = followed.places().await;
    let records = (followed.intent(), followed.outcome());
    let trace = asked.trace(app, &tested, records, (intent, record));
    let took = TookBody::of(records.1, took);
    let (result, error) = match &tested.answer {
        Answered::Result(text) => (serde_json::from_str(text).ok(), None),
        Answered::Error { code, message } => {
            (None, Some(ErrorBody { code: *code, message: message.clone() }))
        }
        Answered::TooLarge(_) | Answered::Late(_) | Answered::Nothing => (None, None),
    };
    let said = |key: &str| records.1.and_then(|it| it.get(key)?.as_str()).map(str::to_owned);
    let failed = records.1.and_then(|it| it.get("error")?.as_bool());
    let user = asked.user();
    Ok(TestCallBody {
        call: id,
        app: asked.whose.name.clone(),
        user: user.map(|it| it.name.to_string()).unwrap_or_default(),
        outcome: said("end").unwrap_or_else(|| "unrecorded".into()),
        is_error: failed.unwrap_or(true),
        because: trace::because(&tested, records.1),
        result,
        error,
        tokens: counted(&tested).await,
        took,
        trace,
        intent,
        record,
        tool: tested.tool.map(|(alias, own_name)| ToolBody { alias, own_name }),
    })
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
