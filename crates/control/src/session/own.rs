//! `/sessions`: those of whoever is signed in, as far as they are of an account. Those of tokens end with
//! their token.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Caller, store};
use crate::App;
use crate::api::{Done, Error, Json, Path, Problem, Ref, Rights, Touched};
use crate::change::Change;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_own_sessions, end_other_sessions))
        .routes(routes!(end_own_session))
}

/// A session of one's own.
#[derive(Clone, Serialize, ToSchema)]
struct OwnSession {
    id: Uuid,
    /// As the browser called itself when it began.
    device: String,
    /// From where it was begun.
    address: Option<String>,
    /// Whether it is the one that asks.
    is_current: bool,
    /// To the minute.
    used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

/// One's own sessions, the newest first.
#[derive(Serialize, ToSchema)]
struct OwnSessions {
    items: Vec<OwnSession>,
}

#[derive(Deserialize)]
struct SessionPath {
    session: Ref,
}

async fn of(tx: &mut Tx, caller: &Caller, now: DateTime<Utc>) -> Result<Vec<OwnSession>, Error> {
    if !caller.is_account {
        return Ok(Vec::new());
    }
    let rows = store::sessions_of_account(tx, caller.account(), now).await?;
    let shown = |it: store::OwnSessionRow| OwnSession {
        id: it.id,
        device: it.device,
        address: it.address,
        is_current: Some(it.id) == caller.session(),
        used_at: it.used_at,
        expires_at: it.expires_at,
        created_at: it.created_at,
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// The sessions of one's own account.
#[utoipa::path(
    get,
    path = "/sessions",
    responses((status = 200, body = OwnSessions), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "session",
)]
async fn list_own_sessions(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<OwnSessions>, Error> {
    let mut tx = app.db.read().await?;
    Ok(Json(OwnSessions { items: of(&mut tx, &caller, app.clock.now()).await? }))
}

/// End all sessions of one's own account but the one that asks.
#[utoipa::path(
    delete,
    path = "/sessions",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "session",
)]
async fn end_other_sessions(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
) -> Result<Done<OwnSessions>, Error> {
    let mut change = Change::begin_switch(&app, &rights).await?;
    let now = change.now();
    let mut items = of(&mut change, &caller, now).await?;
    items.retain(|it| !it.is_current);
    if caller.is_account {
        super::end_of_account(&mut change, caller.account(), caller.session()).await?;
    }
    change.commit().await?;
    let touched = Touched::new("sessions", caller.id, &caller.name);
    Ok(Done::deleted(touched, &OwnSessions { items }))
}

/// End a session of one's own account.
#[utoipa::path(
    delete,
    path = "/sessions/{session}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "session",
)]
async fn end_own_session(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
    Path(path): Path<SessionPath>,
) -> Result<Done<OwnSession>, Error> {
    let mut change = Change::begin_switch(&app, &rights).await?;
    let now = change.now();
    let mut all = of(&mut change, &caller, now).await?.into_iter();
    let found = all.find(|it| path.session.id() == Some(it.id));
    let found = found.ok_or_else(|| path.session.not_found("session"))?;
    store::delete_account_session(&mut change, caller.account(), found.id).await?;
    change.commit().await?;
    Ok(Done::deleted(Touched::new("session", found.id, &caller.name), &found))
}
