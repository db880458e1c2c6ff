//! `/gateways/{gateway}/rules`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{ActionText, Rule};
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, Shown,
    Touched, Which, nullable,
};
use crate::change::Change;
use crate::gateways;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_rules, create_rule)).routes(routes!(
        show_rule,
        update_rule,
        delete_rule
    ))
}

/// A rule to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRule {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// A regular expression, without look-around and back-references.
    pub(crate) pattern: String,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(crate) on_request: bool,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(crate) on_response: bool,
    /// The tools it is limited to; all where absent.
    pub(crate) tools: Option<BTreeSet<String>>,
    pub(crate) action: ActionText,
    /// Records what it would have done, and does nothing.
    #[serde(default)]
    pub(crate) observe_only: bool,
    /// When it runs: lower ones first; last where absent.
    pub(crate) position: Option<i64>,
}

/// What to change of a rule; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulePatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    pub(crate) pattern: Option<String>,
    pub(crate) on_request: Option<bool>,
    pub(crate) on_response: Option<bool>,
    /// `null` for all tools.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<BTreeSet<String>>)]
    pub(crate) tools: Option<Option<BTreeSet<String>>>,
    pub(crate) action: Option<ActionText>,
    pub(crate) observe_only: Option<bool>,
    pub(crate) position: Option<i64>,
}

/// A content rule of a gateway.
#[derive(Serialize, ToSchema)]
struct RuleBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    pattern: String,
    on_request: bool,
    on_response: bool,
    /// The tools it is limited to; all where absent.
    tools: Option<BTreeSet<String>>,
    action: ActionText,
    observe_only: bool,
    position: i64,
    created_at: DateTime<Utc>,
}

fn yes() -> bool {
    true
}

impl RuleBody {
    fn of(rule: Rule) -> Self {
        Self {
            id: rule.id.0,
            name: rule.name,
            pattern: rule.pattern,
            on_request: rule.on_request,
            on_response: rule.on_response,
            tools: rule.tools,
            action: rule.action.into(),
            observe_only: rule.observe_only,
            position: rule.position,
            created_at: rule.created_at,
        }
    }
}

#[derive(Deserialize)]
struct RulePath {
    gateway: Ref,
    rule: Ref,
}

#[derive(Deserialize)]
struct RulesPath {
    gateway: Ref,
}

/// The rules of a gateway, by name.
#[utoipa::path(
    get,
    path = "/gateways/{gateway}/rules",
    params(Paging),
    responses((status = 200, body = Page<RuleBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("rules:read"))),
    tag = "rules",
)]
async fn list_rules(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RulesPath>,
    paging: Paging,
) -> Result<Json<Page<RuleBody>>, Error> {
    let mut tx = app.db.read().await?;
    let gateway = gateways::find(&mut tx, workspace.id, &path.gateway).await?;
    let found = super::list(&mut tx, workspace.id, gateway.id, Which::Page(&paging)).await?;
    Ok(Json(paging.answer(found, |it| it.name.to_string(), RuleBody::of)))
}

/// Add a rule to a gateway. It is compiled before it is saved.
#[utoipa::path(
    post,
    path = "/gateways/{gateway}/rules",
    request_body = NewRule,
    responses((status = 201, body = RuleBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("rules:write"))),
    tag = "rules",
)]
async fn create_rule(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RulesPath>,
    Json(new): Json<NewRule>,
) -> Result<Done<RuleBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = gateways::find(&mut change, workspace.id, &path.gateway).await?;
    let rule = super::create(&mut change, workspace.id, gateway.id, new).await?;
    change.commit().await?;
    let touched = Touched::new("rule", rule.id.0, &rule.name);
    Ok(Done::created(touched, RuleBody::of(rule)))
}

/// One rule.
#[utoipa::path(
    get,
    path = "/gateways/{gateway}/rules/{rule}",
    responses((status = 200, body = RuleBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("rules:read"))),
    tag = "rules",
)]
async fn show_rule(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RulePath>,
) -> Result<Shown<RuleBody>, Error> {
    let mut tx = app.db.read().await?;
    let gateway = gateways::find(&mut tx, workspace.id, &path.gateway).await?;
    let rule = super::find(&mut tx, workspace.id, gateway.id, &path.rule).await?;
    Ok(Shown::of(RuleBody::of(rule)))
}

/// Change a rule.
#[utoipa::path(
    patch,
    path = "/gateways/{gateway}/rules/{rule}",
    request_body = RulePatch,
    responses((status = 200, body = RuleBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("rules:write"))),
    tag = "rules",
)]
async fn update_rule(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RulePath>,
    if_match: IfMatch,
    Json(patch): Json<RulePatch>,
) -> Result<Done<RuleBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = gateways::find(&mut change, workspace.id, &path.gateway).await?;
    let rule = super::find(&mut change, workspace.id, gateway.id, &path.rule).await?;
    let before = RuleBody::of(rule.clone());
    if_match.check(&before)?;
    let rule = super::update(&mut change, workspace.id, rule, patch).await?;
    change.commit().await?;
    let touched = Touched::new("rule", rule.id.0, &rule.name);
    Ok(Done::changed(touched, &before, RuleBody::of(rule)))
}

/// Delete a rule.
#[utoipa::path(
    delete,
    path = "/gateways/{gateway}/rules/{rule}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("rules:write"))),
    tag = "rules",
)]
async fn delete_rule(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RulePath>,
    if_match: IfMatch,
) -> Result<Done<RuleBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = gateways::find(&mut change, workspace.id, &path.gateway).await?;
    let rule = super::find(&mut change, workspace.id, gateway.id, &path.rule).await?;
    let before = RuleBody::of(rule.clone());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &rule).await?;
    change.commit().await?;
    let touched = Touched::new("rule", rule.id.0, &rule.name);
    Ok(Done::deleted(touched, &before))
}
