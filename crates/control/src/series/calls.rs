//! `/records/calls`: the calls behind a point of a chart.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{Measure, OutcomeText, app_id, outcomes, user_id};
use super::lines::Members;
use super::search::{self, Found, Wanted};
use crate::App;
use crate::api::{Error, InWorkspace, Json, Paging, Problem, Query};
use crate::records::RecordBody;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_calls))
}

/// Which calls. Users, teams and apps go by a name or an id.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallsQuery {
    /// Ended since.
    from: Option<DateTime<Utc>>,
    /// Ended before.
    to: Option<DateTime<Utc>>,
    /// Those that it counts.
    measure: Option<Measure>,
    user: Option<String>,
    /// Whoever is in it now.
    team: Option<String>,
    app: Option<String>,
    gateway: Option<String>,
    server: Option<String>,
    tool: Option<String>,
    #[param(inline)]
    outcome: Option<OutcomeText>,
    /// How many at most.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// From the page before.
    cursor: Option<String>,
}

/// Calls that have ended, the newest first. There may be more where none is found.
#[derive(Serialize, ToSchema)]
struct CallsBody {
    items: Vec<CallBody>,
    /// Ask with it to look further; absent where everything has been looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Down to when everything has been looked at.
    reached: Option<DateTime<Utc>>,
    /// Calls that ended in this time and had begun so long before that it is not known what they were.
    unresolved: usize,
}

/// A call that has ended, as it was recorded.
#[derive(Serialize, ToSchema)]
struct CallBody {
    /// What was about to leave; absent where it was refused before.
    intent: Option<RecordBody>,
    outcome: RecordBody,
}

/// Calls that have ended, as charts count them, in the log of the replica that is asked. One request looks at
/// so many records; the cursor goes on.
#[utoipa::path(
    get,
    path = "/records/calls",
    params(CallsQuery),
    responses((status = 200, body = CallsBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn list_calls(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Query(query): Query<CallsQuery>,
) -> Result<Json<CallsBody>, Error> {
    let paging = Paging::of(query.limit.as_deref(), query.cursor.clone())?;
    let before = paging.after().map(|it| it.parse().map_err(|_| Error::not_a_cursor()));
    let before = before.transpose()?;
    let snapshot = Arc::clone(&app.publisher.newest().snapshot);
    let known = snapshot.config.workspace(workspace.id).map(AsRef::as_ref);
    let members = query.team.as_deref().zip(known).map(|(team, it)| Members::of(team, it));
    let millis = |it: Option<DateTime<Utc>>| it.map(|it| it.timestamp_millis());
    let wanted = Wanted {
        user: query.user.as_deref().map(|it| user_id(it, known)).transpose()?,
        members: members.transpose()?,
        app: query.app.as_deref().map(|it| app_id(it, known, None)).transpose()?,
        gateway: query.gateway,
        server: query.server,
        tool: query.tool,
        outcomes: outcomes(query.measure.unwrap_or(Measure::Calls), query.outcome),
        has_left: query.measure == Some(Measure::Latency),
        times: (
            millis(query.from).unwrap_or_default(),
            // One more than the last that a log can have.
            millis(query.to).unwrap_or(i64::MAX),
        ),
    };
    let _turn = app.series.turns.next().await?;
    let (log, id, limit) = (app.log.clone(), workspace.id.0, paging.limit());
    let searching = move || search::search(&log, id, &wanted, (before, limit));
    let haul = tokio::task::spawn_blocking(searching).await.map_err(Error::internal)?;
    let haul = haul.map_err(Error::internal)?;
    let body = |Found { outcome, intent }| CallBody {
        intent: intent.map(RecordBody::of),
        outcome: RecordBody::of(outcome),
    };
    Ok(Json(CallsBody {
        items: haul.found.into_iter().map(body).collect(),
        next_cursor: haul.next.map(|it| Paging::cursor(&it.to_string())),
        reached: haul.reached_ms.and_then(DateTime::from_timestamp_millis),
        unresolved: haul.unresolved,
    }))
}
