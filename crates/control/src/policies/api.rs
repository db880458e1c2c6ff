//! `/policies`, `/policy-simulations` and `/policy-schema`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::{Capability, Name, Policies, PolicyBook, PolicyText, Workspace, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::simulation::{self, Simulation};
use super::{CaseText, Policy, Tested, faulty};
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Query, Ref,
    Shown, Touched, Which,
};
use crate::change::Change;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_policies, create_policy))
        .routes(routes!(show_policy, update_policy, delete_policy))
        .routes(routes!(test_policy))
        .routes(routes!(simulate_policies))
}

/// What is of no workspace.
pub(crate) fn schema_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show_policy_schema))
}

/// A policy to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPolicy {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// In Cedar, from 1 to 100 statements.
    #[schema(min_length = 1, max_length = 65_536)]
    pub(crate) text: String,
    /// Whether it counts.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(crate) enabled: bool,
    /// Which it must pass to be saved.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(crate) tests: Vec<CaseText>,
}

/// What to change of a policy; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    #[schema(min_length = 1, max_length = 65_536)]
    pub(crate) text: Option<String>,
    pub(crate) enabled: Option<bool>,
    /// All of them.
    #[schema(max_items = 100)]
    pub(crate) tests: Option<Vec<CaseText>>,
}

/// What takes away from what is granted.
#[derive(Serialize, ToSchema)]
struct PolicyBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    /// In Cedar.
    text: String,
    /// Whether it counts.
    enabled: bool,
    tests: Vec<CaseText>,
    created_at: DateTime<Utc>,
    /// What it would change, where that was asked and nothing was saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    simulation: Option<Simulation>,
}

/// How to save.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
#[derive(Default)]
struct Saving {
    /// Save nothing, and tell what it would change of what has been called.
    dry_run: bool,
    /// Save it even if every call of everybody is refused with it.
    force: bool,
}

/// How to save what is there already, and on which reading.
struct Rewriting {
    if_match: IfMatch,
    saving: Saving,
}

impl<S: Send + Sync> FromRequestParts<S> for Rewriting {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let if_match = IfMatch::from_request_parts(parts, state).await?;
        let Query(saving) = Query::from_request_parts(parts, state).await?;
        Ok(Self { if_match, saving })
    }
}

/// Policies to try on what has been called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proposal {
    /// Beside what there is, or instead of it where the name is the same.
    #[schema(max_items = 1_000)]
    policies: Vec<ProposedPolicy>,
    /// How many calls to look at; the last 1000 where absent.
    #[schema(minimum = 1, maximum = 10_000)]
    last: Option<u32>,
}

/// A policy to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProposedPolicy {
    #[schema(value_type = NameText)]
    name: Name,
    #[schema(min_length = 1, max_length = 65_536)]
    text: String,
    /// Where it is `false`, what would change without it.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

/// What tests have shown.
#[derive(Serialize, ToSchema)]
struct TestReport {
    passed: bool,
    tests: Vec<Tested>,
}

fn yes() -> bool {
    true
}

/// How many calls are looked at where nothing is said, and at most.
const LAST: u32 = 1_000;
const MOST_LAST: u32 = 10_000;

impl PolicyBody {
    fn of(it: Policy) -> Self {
        let Policy { id, name, text, enabled, tests, created_at } = it;
        Self { id, name, text, enabled, tests, created_at, simulation: None }
    }
}

#[derive(Deserialize)]
struct PolicyPath {
    policy: Ref,
}

/// The schema that policies are checked against, in Cedar's schema language.
#[utoipa::path(
    get,
    path = "/policy-schema",
    responses((status = 200, description = "A Cedar schema", content_type = "text/plain"),
              (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "policies",
)]
async fn show_policy_schema() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], domain::policies::SCHEMA)
        .into_response()
}

/// The policies of a workspace, by name.
#[utoipa::path(
    get,
    path = "/policies",
    params(Paging),
    responses((status = 200, body = Page<PolicyBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("policies:read"))),
    tag = "policies",
)]
async fn list_policies(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<PolicyBody>>, Error> {
    let mut tx = app.db.read().await?;
    let found = super::list(&mut tx, workspace.id, Which::Page(&paging)).await?;
    Ok(Json(paging.answer(found, |it| it.name.to_string(), PolicyBody::of)))
}

/// Make a policy.
#[utoipa::path(
    post,
    path = "/policies",
    params(Saving),
    request_body = NewPolicy,
    responses((status = 201, body = PolicyBody), (status = 200, body = PolicyBody),
              (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("policies:write"))),
    tag = "policies",
)]
async fn create_policy(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Query(saving): Query<Saving>,
    Json(new): Json<NewPolicy>,
) -> Result<Response, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let policy = super::create(&mut change, workspace.id, new).await?;
    if saving.dry_run {
        return tried(&app, &workspace, change, policy).await;
    }
    save(change, workspace.id, &saving).await?;
    let touched = Touched::new("policy", policy.id, &policy.name);
    Ok(Done::created(touched, PolicyBody::of(policy)).into_response())
}

/// One policy.
#[utoipa::path(
    get,
    path = "/policies/{policy}",
    responses((status = 200, body = PolicyBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("policies:read"))),
    tag = "policies",
)]
async fn show_policy(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<PolicyPath>,
) -> Result<Shown<PolicyBody>, Error> {
    let mut tx = app.db.read().await?;
    let policy = super::find(&mut tx, workspace.id, &path.policy).await?;
    Ok(Shown::of(PolicyBody::of(policy)))
}

/// Change a policy.
#[utoipa::path(
    patch,
    path = "/policies/{policy}",
    params(Saving),
    request_body = PolicyPatch,
    responses((status = 200, body = PolicyBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("policies:write"))),
    tag = "policies",
)]
async fn update_policy(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<PolicyPath>,
    Rewriting { if_match, saving }: Rewriting,
    Json(patch): Json<PolicyPatch>,
) -> Result<Response, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let policy = super::find(&mut change, workspace.id, &path.policy).await?;
    let before = PolicyBody::of(policy.clone());
    if_match.check(&before)?;
    let policy = super::update(&mut change, workspace.id, policy, patch).await?;
    if saving.dry_run {
        return tried(&app, &workspace, change, policy).await;
    }
    save(change, workspace.id, &saving).await?;
    let touched = Touched::new("policy", policy.id, &policy.name);
    Ok(Done::changed(touched, &before, PolicyBody::of(policy)).into_response())
}

/// Delete a policy.
#[utoipa::path(
    delete,
    path = "/policies/{policy}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("policies:write"))),
    tag = "policies",
)]
async fn delete_policy(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<PolicyPath>,
    if_match: IfMatch,
) -> Result<Done<PolicyBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let policy = super::find(&mut change, workspace.id, &path.policy).await?;
    let before = PolicyBody::of(policy.clone());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &policy).await?;
    change.commit().await?;
    let touched = Touched::new("policy", policy.id, &policy.name);
    Ok(Done::deleted(touched, &before))
}

/// Run the tests of a policy.
#[utoipa::path(
    get,
    path = "/policies/{policy}/test",
    responses((status = 200, body = TestReport), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("policies:read"))),
    tag = "policies",
)]
async fn test_policy(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<PolicyPath>,
) -> Result<Json<TestReport>, Error> {
    let mut tx = app.db.read().await?;
    let policy = super::find(&mut tx, workspace.id, &path.policy).await?;
    let text = Arc::new(PolicyText::parse(&policy.text).map_err(faulty)?);
    let book = PolicyBook::new(vec![(policy.name, text)]);
    let tests: Result<Vec<Tested>, String> = policy.tests.iter().map(|it| it.run(&book)).collect();
    let tests = tests.map_err(Error::Invalid)?;
    Ok(Json(TestReport { passed: tests.iter().all(|it| it.passed), tests }))
}

/// Tell what policies would change of what has been called. Saves nothing.
#[utoipa::path(
    post,
    path = "/policy-simulations",
    request_body = Proposal,
    responses((status = 200, body = Simulation), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("policies:read"))),
    tag = "policies",
)]
async fn simulate_policies(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(proposal): Json<Proposal>,
) -> Result<Json<Simulation>, Error> {
    let last = proposal.last.unwrap_or(LAST);
    if !(1..=MOST_LAST).contains(&last) {
        return Err(Error::Invalid(format!("`last` is from 1 to {MOST_LAST}")));
    }
    let here = app.publisher.newest();
    let here = here.snapshot.config.workspace(workspace.id);
    let here = here.ok_or_else(|| workspace.reference().not_found("workspace"))?;
    let proposed = |name: &Name| proposal.policies.iter().any(|it| it.name == *name);
    let kept = here.policies.book().iter().filter(|(name, _)| !proposed(name));
    let mut book: Vec<_> = kept.map(|(name, text)| (name.clone(), Arc::clone(text))).collect();
    for it in proposal.policies.iter().filter(|it| it.enabled) {
        let text = PolicyText::parse(&it.text).map_err(faulty)?;
        book.push((it.name.clone(), Arc::new(text)));
    }
    let policies = Arc::new(Policies::new(PolicyBook::new(book)));
    simulated(&app, &workspace, Arc::clone(here), policies, last).await.map(Json)
}

/// Saves what has been changed.
async fn save(mut change: Change, workspace: WorkspaceId, saving: &Saving) -> Result<(), Error> {
    if !saving.force {
        super::check_everybody(&mut change, workspace).await?;
    }
    change.commit().await?;
    Ok(())
}

/// Undoes what has been changed, and tells what it would have changed.
async fn tried(
    app: &Arc<App>,
    workspace: &InWorkspace,
    mut change: Change,
    policy: Policy,
) -> Result<Response, Error> {
    let next = change.preview().await?;
    change.rollback().await?;
    let here = next.config.workspace(workspace.id);
    let here = here.ok_or_else(|| workspace.reference().not_found("workspace"))?;
    let policies = Arc::clone(&here.policies);
    let simulation = simulated(app, workspace, Arc::clone(here), policies, LAST).await?;
    let touched = Touched::new("policy", policy.id, &policy.name).tried();
    let body = PolicyBody { simulation: Some(simulation), ..PolicyBody::of(policy) };
    let mut response = Json(body).into_response();
    response.extensions_mut().insert(touched);
    Ok(response)
}

/// Whoever sees what has been called sees it here, too.
async fn simulated(
    app: &Arc<App>,
    workspace: &InWorkspace,
    here: Arc<Workspace>,
    policies: Arc<Policies>,
    last: u32,
) -> Result<Simulation, Error> {
    workspace.rights.require_on_workspace(Capability::RecordsRead)?;
    let (log, last) = (app.log.clone(), last as usize);
    let running = move || simulation::run(&log, &here, &policies, last);
    let ran = tokio::task::spawn_blocking(running).await.map_err(Error::internal)?;
    ran.map_err(Error::internal)
}
