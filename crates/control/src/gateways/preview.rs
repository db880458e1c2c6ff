//! `/gateways/{gateway}/preview`: what a client of somebody is shown.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::ports::Gate as _;
use domain::{Because, Capability, Object, Previewed, Said, Workspace};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::api::{
    Error, Gone, InWorkspace, Json, Path, Problem, Query, Ref, RefText, RequestId, Rights, Touched,
};
use crate::session::Caller;
use crate::trail::{self, End, What};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show_gateway_preview))
}

/// Whose client looks: an app, or the only one of a user that is connected.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// Whose app it is, by name or id.
    #[param(value_type = Option<RefText>)]
    user: Option<Ref>,
    /// The app, by name or id.
    #[param(value_type = Option<RefText>)]
    app: Option<Ref>,
    /// Whether it is told what arguments tools take.
    #[serde(default)]
    #[param(default = false)]
    schemas: bool,
}

/// What a client is shown.
#[derive(Serialize, ToSchema)]
struct PreviewBody {
    /// Whose client it is.
    app: String,
    /// For whom that acts.
    user: String,
    tools: PreviewedBody,
    prompts: PreviewedBody,
    resources: PreviewedBody,
    resource_templates: PreviewedBody,
    /// Servers that could not be listed.
    missing: Vec<MissingBody>,
    /// How many tokens all of it is to a model: an estimate, by the vocabulary o200k.
    tokens: u64,
}

/// One list.
#[derive(Serialize, ToSchema)]
struct PreviewedBody {
    /// In the order in which they are listed.
    shown: Vec<ShownBody>,
    /// What servers list and the client is not shown.
    hidden: Vec<HiddenBody>,
    tokens: u64,
}

#[derive(Serialize, ToSchema)]
struct ShownBody {
    /// As it is listed: a name, a URI or a URI template.
    name: String,
    /// Of the assignment.
    alias: String,
    /// The server's own name for it.
    own_name: String,
    said: SaidBody,
    /// What arguments a tool takes, as a JSON schema and as its server says it; where that was asked for,
    /// and is not long.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_schema: Option<Value>,
    tokens: u64,
}

#[derive(Serialize, ToSchema)]
struct HiddenBody {
    /// Of the assignment.
    alias: String,
    /// The server's own name for it.
    name: String,
    said: SaidBody,
    /// What it would cost.
    tokens: u64,
    because: BecauseText,
}

/// What its server says of it. Nobody vouches for that, for its annotations neither.
#[derive(Serialize, ToSchema)]
struct SaidBody {
    title: Option<String>,
    /// Its first 500 characters.
    description: Option<String>,
    read_only_hint: Option<bool>,
    destructive_hint: Option<bool>,
    idempotent_hint: Option<bool>,
    open_world_hint: Option<bool>,
}

impl From<Said> for SaidBody {
    fn from(Said { title, description, hints }: Said) -> Self {
        let [read_only_hint, destructive_hint, idempotent_hint, open_world_hint] = hints;
        Self {
            title,
            description,
            read_only_hint,
            destructive_hint,
            idempotent_hint,
            open_world_hint,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct MissingBody {
    alias: String,
    why: String,
}

/// Why something is not shown: the first reason.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BecauseText {
    /// The assignment does not expose it.
    NotExposed,
    /// The assignment's condition does not hold for it.
    Condition,
    /// It waits for approval, or has been rejected.
    NotApproved,
    /// It is turned off, or its server or assignment is.
    SwitchedOff,
    /// Another offer has the same name.
    NameTaken,
    /// It belongs to an extension that servers cannot offer together.
    Withheld,
    /// It can be called by clients only that follow tasks.
    NeedsTasks,
    /// A policy of the workspace refuses it.
    Policy,
}

#[derive(Deserialize)]
pub(super) struct GatewayPath {
    pub(super) gateway: Ref,
}

/// Who looks, and in which request.
pub(super) struct Onlooker {
    pub(super) caller: Caller,
    pub(super) id: Uuid,
    pub(super) gone: Gone,
}

impl<S: Send + Sync> FromRequestParts<S> for PreviewQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(query) = Query::<Self>::from_request_parts(parts, state).await?;
        Ok(query)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Onlooker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let caller = parts.extensions.get::<Caller>().cloned().ok_or(Error::Unauthenticated)?;
        let id = parts.extensions.get::<RequestId>().map(|it| it.0);
        let gone = parts.extensions.get::<Gone>().cloned().unwrap_or_default();
        Ok(Self { caller, id: id.ok_or(Error::Unauthenticated)?, gone })
    }
}

/// What a client of somebody sees on a gateway, what it costs, and what is hidden. It is recorded
/// that somebody has looked.
#[utoipa::path(
    get,
    path = "/gateways/{gateway}/preview",
    params(PreviewQuery),
    responses((status = 200, body = PreviewBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:read"))),
    tag = "gateways",
)]
async fn show_gateway_preview(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<GatewayPath>,
    query: PreviewQuery,
    Onlooker { caller, id, .. }: Onlooker,
) -> Result<Json<PreviewBody>, Error> {
    let what = What::words("GET /workspaces/{workspace}/gateways/{gateway}/preview");
    let act = trail::open(&app, &caller, (id, what), vec![workspace.id.0]).await?;
    let looked = look(&app, &workspace, &path.gateway, &query).await;
    let end = match &looked {
        Ok((touched, _)) => End::with(StatusCode::OK).touching(touched.clone()),
        Err(error) => End::failed(error),
    };
    act.close(&app, end).await;
    looked.map(|it| Json(it.1))
}

async fn look(
    app: &App,
    workspace: &InWorkspace,
    gateway: &Ref,
    query: &PreviewQuery,
) -> Result<(Touched, PreviewBody), Error> {
    let snapshot = app.gate.current().await.map_err(|_| Error::Busy)?;
    let here = snapshot.config.workspace(workspace.id);
    let here = here.ok_or_else(|| workspace.reference().not_found("workspace"))?;
    let found = here.gateways.values().find(|it| gateway.means(it.id.0, &it.name));
    let found = found.ok_or_else(|| gateway.not_found("gateway"))?;
    let asked = (query.user.as_ref(), query.app.as_ref());
    let whose = whose(&workspace.rights, here, found, asked)?;
    let previews = app.previews.get().ok_or(Error::Busy)?;
    let seen = previews.preview(here.id, found.id, whose.id).await;
    let mut seen = seen.map_err(|why| Error::Conflict(format!("nothing is shown: {why}")))?;
    let owner = here.users.get(&whose.owner).map(|it| it.name.to_string()).unwrap_or_default();
    if !query.schemas {
        seen.tools.shown.iter_mut().for_each(|it| it.input_schema = None);
    }
    let mut body = PreviewBody {
        app: whose.name.to_string(),
        user: owner,
        tools: seen.tools.into(),
        prompts: seen.prompts.into(),
        resources: seen.resources.into(),
        resource_templates: seen.templates.into(),
        missing: seen.missing.into_iter().map(|(alias, why)| MissingBody { alias, why }).collect(),
        tokens: 0,
    };
    let lists = [&body.tools, &body.prompts, &body.resources, &body.resource_templates];
    body.tokens = lists.into_iter().map(|it| it.tokens).sum();
    let name = format!("{} as {}", found.name, whose.name);
    Ok((Touched::new("preview", found.id.0, name), body))
}

/// The app that is meant by a user or an app.
pub(super) fn whose<'a>(
    rights: &Rights,
    here: &'a Workspace,
    gateway: &domain::Gateway,
    asked: (Option<&Ref>, Option<&Ref>),
) -> Result<&'a domain::App, Error> {
    match asked {
        (None, Some(app)) => {
            let found = here.apps.values().find(|it| app.means(it.id.0, &it.name));
            let found = found.ok_or_else(|| app.not_found("app"))?;
            let object = Object::App { owner: found.owner };
            rights.require(Capability::AppsRead, &object, ("app", app))?;
            Ok(found)
        }
        (Some(user), None) => {
            let found = here.users.values().find(|it| user.means(it.id.0, &it.name));
            let found = found.ok_or_else(|| user.not_found("user"))?;
            rights.require(Capability::PeopleRead, &Object::User(found.id), ("user", user))?;
            // Of others they do not hear, neither by name nor by number.
            let is_seen = |it: &domain::App| {
                rights.may(Capability::AppsRead, &Object::App { owner: it.owner })
            };
            let theirs = |it: &&domain::App| {
                it.owner == found.id && gateway.connections.contains_key(&it.id) && is_seen(it)
            };
            let mut apps: Vec<_> = here.apps.values().filter(theirs).collect();
            apps.sort_by(|one, other| one.name.cmp(&other.name));
            match apps.as_slice() {
                [app] => Ok(*app),
                [] => Err(Error::Conflict(format!(
                    "user `{}` has no app on gateway `{}` that you may see",
                    found.name, gateway.name
                ))),
                all => {
                    let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
                    let names = names.join(", ");
                    let text = format!(
                        "user `{}` has several apps there: say `app` as one of {names}",
                        found.name
                    );
                    Err(Error::Conflict(text))
                }
            }
        }
        _ => Err(Error::Invalid("ask about a `user` or about an `app`".into())),
    }
}

impl From<Previewed> for PreviewedBody {
    fn from(list: Previewed) -> Self {
        let tokens = list.shown.iter().map(|it| it.tokens).sum();
        let shown = list.shown.into_iter();
        let hidden = list.hidden.into_iter();
        Self {
            shown: shown
                .map(|it| ShownBody {
                    name: it.name,
                    alias: it.alias,
                    own_name: it.own_name,
                    said: it.said.into(),
                    input_schema: it
                        .input_schema
                        .and_then(|it| serde_json::from_str(it.as_ref()).ok()),
                    tokens: it.tokens,
                })
                .collect(),
            hidden: hidden
                .map(|it| HiddenBody {
                    alias: it.alias,
                    name: it.name,
                    said: it.said.into(),
                    tokens: it.tokens,
                    because: it.because.into(),
                })
                .collect(),
            tokens,
        }
    }
}

impl From<Because> for BecauseText {
    fn from(because: Because) -> Self {
        match because {
            Because::NotExposed => Self::NotExposed,
            Because::Condition => Self::Condition,
            Because::Unapproved => Self::NotApproved,
            Because::Off => Self::SwitchedOff,
            Because::NameTaken => Self::NameTaken,
            Because::Withheld => Self::Withheld,
            Because::Policy => Self::Policy,
            Because::NeedsTasks => Self::NeedsTasks,
        }
    }
}
