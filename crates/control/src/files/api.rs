//! `/apply`, `/diff` and `/export`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Name;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vault::Secret;

use super::{Applied, DEFAULT_OWNER, Outcome, Scope};
use crate::App;
use crate::api::{Done, Error, InWorkspace, Json, NameText, Problem, Touched};
use crate::identities::SecretText;
use crate::session::Caller;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(apply_files))
        .routes(routes!(diff_files))
        .routes(routes!(export_files))
}

/// Documents, and the secrets that they refer to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Files {
    /// YAML or JSON.
    text: String,
    /// By reference, such as `env:JIRA_TOKEN`. The gateway itself resolves none.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    secrets: BTreeMap<String, SecretText>,
    /// The set of files that owns what the documents make; `default` where absent.
    #[schema(value_type = Option<NameText>)]
    owner: Option<Name>,
    /// Whether what the set owns and the documents do not name is deleted.
    #[serde(default)]
    prune: bool,
    /// Whether the workspace's addresses are set even where the request's own is not among them.
    #[serde(default)]
    force: bool,
}

impl Files {
    fn scope(&self, workspace: &InWorkspace) -> Result<Scope, Error> {
        let owner = match &self.owner {
            Some(owner) => owner.clone(),
            None => DEFAULT_OWNER.parse().map_err(Error::internal)?,
        };
        let (workspace, prune, force) = (workspace.name.clone(), self.prune, self.force);
        Ok(Scope { workspace, is_only: true, owner, prune, force })
    }
}

/// What became of each object, or would.
#[derive(Serialize, ToSchema)]
struct Report {
    objects: Vec<Applied>,
}

/// Make things as the documents say: all of them, or none.
#[utoipa::path(
    post,
    path = "/apply",
    request_body = Files,
    responses((status = 200, body = Report), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("each")), ("x-step-up" = json!(true))),
    tag = "files",
)]
async fn apply_files(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Extension(caller): Extension<Caller>,
    Json(files): Json<Files>,
) -> Result<Done<Report>, Error> {
    let scope = files.scope(&workspace)?;
    let secrets = |name: &str| find(&files.secrets, name);
    let by = (&caller, &workspace.rights);
    let objects = super::apply(&app, by, &scope, &files.text, &secrets).await?;
    let touched = Touched { id: workspace.id.0, ..touched(&objects) };
    Ok(Done::other(StatusCode::OK, touched, Report { objects }))
}

/// What applying the documents would do.
#[utoipa::path(
    post,
    path = "/diff",
    request_body = Files,
    responses((status = 200, body = Report), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("each"))),
    tag = "files",
)]
async fn diff_files(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(files): Json<Files>,
) -> Result<Json<Report>, Error> {
    let scope = files.scope(&workspace)?;
    let secrets = |name: &str| find(&files.secrets, name);
    let objects = super::diff(&app, &workspace.rights, &scope, &files.text, &secrets).await?;
    Ok(Json(Report { objects }))
}

/// The workspace as documents. Secrets stand as `vault:`.
#[utoipa::path(
    get,
    path = "/export",
    responses(
        (status = 200, description = "YAML", content_type = "application/yaml"),
        (status = "4XX", body = Problem),
    ),
    extensions(("x-capability" = json!("each"))),
    tag = "files",
)]
async fn export_files(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
) -> Result<Response, Error> {
    let text = super::export(&app, &workspace.rights, &workspace.reference()).await?;
    Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response())
}

fn find(secrets: &BTreeMap<String, SecretText>, name: &str) -> Option<Secret> {
    secrets.get(name).map(|it| Secret::from(it.expose().to_owned()))
}

/// What the audit record says of what has been applied: each object that is another one now, as it
/// was and as it is.
pub(crate) fn touched<'a>(objects: impl IntoIterator<Item = &'a Applied>) -> Touched {
    let changed: Vec<&Applied> =
        objects.into_iter().filter(|it| it.outcome != Outcome::Unchanged).collect();
    let [mut before, mut after] = [Map::new(), Map::new()];
    let mut sealed = Vec::new();
    for object in &changed {
        let name = format!("{} {}/{}", object.kind, object.workspace, object.name);
        for (all, side) in [&mut before, &mut after].into_iter().zip(&object.sides) {
            all.extend(side.clone().map(|it| (name.clone(), it)));
        }
        let hidden = object.changes.iter().filter(|it| it.before == it.after);
        sealed.extend(hidden.map(|it| format!("{name}.{}", it.member)));
    }
    let touched = Touched::new("files", Uuid::nil(), summary(&changed)).sealing(sealed);
    Touched { before: Some(before.into()), after: Some(after.into()), ..touched }
}

/// What the audit record says: how many were made, changed and deleted, and the first of them.
pub(super) fn summary(objects: &[&Applied]) -> String {
    let mut parts = Vec::new();
    for (outcome, deed) in
        [(Outcome::Created, "made"), (Outcome::Changed, "changed"), (Outcome::Deleted, "deleted")]
    {
        let found: Vec<_> = objects.iter().filter(|it| it.outcome == outcome).collect();
        let named = found.iter().take(NAMED).map(|it| format!("{deed} {} {}", it.kind, it.name));
        parts.extend(named);
        if NAMED < found.len() {
            parts.push(format!("{deed} {} more", found.len() - NAMED));
        }
    }
    if parts.is_empty() { "nothing".into() } else { parts.join(", ") }
}

/// So many of each are named in a record.
const NAMED: usize = 20;
