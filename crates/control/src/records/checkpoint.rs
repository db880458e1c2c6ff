//! `/records/checkpoint`: what somebody keeps who wants to know later that the log has been continued,
//! and not replaced.

use std::sync::Arc;

use audit::ProveError;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::api::{Error, InWorkspace, Json, Problem, Query};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show_checkpoint))
}

/// The signed head of a log.
#[derive(Serialize, ToSchema)]
struct CheckpointBody {
    /// The signed note (c2sp.org/tlog-checkpoint).
    checkpoint: String,
    /// The key that this gateway signs with, as `name+hash+key`. It proves nothing against whoever
    /// could have replaced the gateway: compare it with a copy from elsewhere.
    key: String,
    /// The hashes in base64 which prove that the log of size `until` continues that of size `since`
    /// (RFC 6962, section 2.1.2). Empty where it has never had both sizes.
    consistency: Vec<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GrowthQuery {
    /// The size of a checkpoint that was seen before; 0 where it is absent.
    since: Option<u64>,
    /// The size of one that was seen later; that of the newest where it is absent.
    until: Option<u64>,
}

/// The newest checkpoint of the log, the key that has signed it, and the proof that one that was seen
/// before has been continued.
#[utoipa::path(
    get,
    path = "/records/checkpoint",
    params(GrowthQuery),
    responses((status = 200, body = CheckpointBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn show_checkpoint(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Query(query): Query<GrowthQuery>,
) -> Result<Json<CheckpointBody>, Error> {
    let (log, id) = (app.log.clone(), workspace.id.0);
    let Some(head) = log.checkpoint(id) else {
        return Err(Error::NotFound { kind: "checkpoint", name: workspace.name.to_string() });
    };
    if [query.since, query.until].into_iter().flatten().any(|it| i64::try_from(it).is_err()) {
        return Err(Error::Malformed("`since` and `until` are sizes, below 2^63".into()));
    }
    let key = log.verifier_key();
    let sizes = (query.since.unwrap_or_default(), query.until.unwrap_or(head.size));
    let proving = move || match log.prove_growth(id, sizes) {
        // That it was larger once is for its reader to see, in a checkpoint that is signed.
        Err(ProveError::NotYet { .. }) => Ok(vec![]),
        proved => proved,
    };
    let proved = tokio::task::spawn_blocking(proving).await.map_err(Error::internal)?;
    let hashes = proved.map_err(Error::internal)?;
    let consistency = hashes.iter().map(|it| STANDARD.encode(it)).collect();
    Ok(Json(CheckpointBody { checkpoint: head.text, key, consistency }))
}
