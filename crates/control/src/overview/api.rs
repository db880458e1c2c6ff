//! `/overview`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, Object, Scope};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Error, InWorkspace, Json, Paging, Problem};
use crate::records::{self, Cover};
use crate::replicas::{self, Health};
use crate::series::{self, Glance};
use crate::{App, pins, switches};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show_overview))
}

/// How the workspace is. Of what the caller may not see a part is absent.
#[derive(Serialize, ToSchema)]
struct OverviewBody {
    at: DateTime<Utc>,
    /// For those with `cutoffs:read` on the installation, as the replicas themselves.
    replicas: Option<Health>,
    /// Definitions that wait for a decision, of servers of which the caller may see them.
    pending: Option<u64>,
    /// Cut-offs in force that the caller may see.
    cutoffs: Option<InForce>,
    /// For those with `records:read` on the workspace.
    calls: Option<Glance>,
    /// For those with `records:read` on the workspace.
    record: Option<Cover>,
}

/// What is off.
#[derive(Serialize, ToSchema)]
struct InForce {
    count: usize,
    /// There are more than are counted here.
    is_more: bool,
}

/// As many cut-offs are counted: one page of them.
const MOST_COUNTED: usize = 200;

/// What a home page shows of the workspace.
#[utoipa::path(
    get,
    path = "/overview",
    responses((status = 200, body = OverviewBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "overview",
)]
async fn show_overview(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
) -> Result<Json<OverviewBody>, Error> {
    let at = app.clock.now();
    let may = |it| workspace.rights.may(it, &Object::Workspace);
    let replicas = match workspace.rights.may(Capability::CutoffsRead, &Object::Installation) {
        true => Some(replicas::health(&app).await?),
        false => None,
    };
    let (calls, record) = match may(Capability::RecordsRead) {
        true => {
            let calls = series::glance(&app, workspace.id).await?;
            (Some(calls), Some(records::cover(&app, workspace.id).await?))
        }
        false => (None, None),
    };
    let mut tx = app.db.read().await?;
    let pending = pending(&mut tx, &workspace).await?;
    let cutoffs = in_force(&mut tx, &workspace, at).await?;
    Ok(Json(OverviewBody { at, replicas, pending, cutoffs, calls, record }))
}

async fn pending(tx: &mut Tx, workspace: &InWorkspace) -> Result<Option<u64>, Error> {
    let reach = workspace.rights.reach(Capability::PinsRead);
    if reach.is_whole {
        return Ok(Some(pins::count_pending(tx, workspace.id, None).await?));
    }
    let servers = reach.scopes.iter().filter_map(|it| match it {
        Scope::Server(id) => Some(*id),
        _ => None,
    });
    let mut count = None;
    for server in servers {
        let more = pins::count_pending(tx, workspace.id, Some(server)).await?;
        count = Some(count.unwrap_or_default() + more);
    }
    Ok(count)
}

async fn in_force(
    tx: &mut Tx,
    workspace: &InWorkspace,
    now: DateTime<Utc>,
) -> Result<Option<InForce>, Error> {
    let reach = workspace.rights.reach(Capability::CutoffsRead);
    if !reach.is_whole && reach.scopes.is_empty() {
        return Ok(None);
    }
    let paging = Paging::of(Some(&MOST_COUNTED.to_string()), None)?;
    let found = switches::page(tx, workspace.id, (&paging, &reach), now).await?.len();
    Ok(Some(InForce { count: found.min(MOST_COUNTED), is_more: MOST_COUNTED < found }))
}
