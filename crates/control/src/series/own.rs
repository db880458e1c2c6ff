//! `/me/calls`: what somebody's own apps have called, and how that has ended.
//!
//! It takes no right to see records, so it tells less than they do: nothing of how the gateway is made,
//! and nothing of anybody else. What is told of a refusal is what the client was told.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use domain::Capability;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vault::{Place, Vault};

use super::api::{LONGEST_OWN, Measure, OutcomeText, app_id, outcomes};
use super::leaf::End;
use super::search::{self, Found, Wanted};
use crate::App;
use crate::api::{Error, Json, Paging, Problem, Query};
use crate::me::Person;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_own_calls))
}

/// Which of them. Of the last 31 days, whatever is asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OwnCallsQuery {
    /// Ended since.
    from: Option<DateTime<Utc>>,
    /// Ended before.
    to: Option<DateTime<Utc>>,
    /// An app of the caller's, by name or id.
    app: Option<String>,
    gateway: Option<String>,
    #[param(inline)]
    outcome: Option<OutcomeText>,
    /// How many at most.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// From the page before.
    cursor: Option<String>,
}

/// Calls of the caller's that have ended, the newest first. There may be more where none is found.
#[derive(Serialize, ToSchema)]
struct OwnCallsBody {
    items: Vec<OwnCallBody>,
    /// Ask with it to look further; absent where everything has been looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Down to when everything has been looked at, in whole minutes.
    reached: Option<DateTime<Utc>>,
}

/// A call of the caller's that has ended.
#[derive(Serialize, ToSchema)]
struct OwnCallBody {
    /// By which whoever reads the record finds it.
    id: Option<Uuid>,
    ended_at: DateTime<Utc>,
    /// The name that the app had.
    app: Option<String>,
    gateway: Option<String>,
    server: Option<String>,
    /// What was called: the server's own name for a tool or prompt, or a URI.
    name: Option<String>,
    /// As the protocol calls it.
    method: Option<String>,
    #[schema(inline)]
    outcome: OutcomeText,
    /// The same as the record has it, such as `switched_off`.
    end: String,
    /// Why, in the words that the client was told; absent where it was answered.
    because: Option<String>,
    /// From its coming until its answer went; absent where it was refused before anything left.
    took_ms: Option<f64>,
}

/// What the caller's own apps have called, in the log of the replica that is asked. One request looks at so
/// many records; the cursor goes on.
#[utoipa::path(
    get,
    path = "/me/calls",
    params(OwnCallsQuery),
    responses((status = 200, body = OwnCallsBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("own"))),
    tag = "me",
)]
async fn list_own_calls(
    State(app): State<Arc<App>>,
    person: Person,
    Query(query): Query<OwnCallsQuery>,
) -> Result<Json<OwnCallsBody>, Error> {
    person.check(Capability::RecordsRead)?;
    let paging = Paging::of(query.limit.as_deref(), query.cursor)?;
    let before = paging.after().map(|it| open(&app.vault, &person, it)).transpose()?;
    let snapshot = Arc::clone(&app.publisher.newest().snapshot);
    let known = snapshot.config.workspace(person.workspace).map(AsRef::as_ref);
    let own = person.user.to_string();
    let app_of = |it: &str| app_id(it, known, Some(&own));
    let of = query.app.as_deref().map(app_of).transpose()?;
    let earliest = app.clock.now() - Duration::seconds(LONGEST_OWN);
    let wanted = Wanted {
        user: Some(own),
        members: None,
        app: of,
        gateway: query.gateway,
        server: None,
        tool: None,
        outcomes: outcomes(Measure::Calls, query.outcome),
        has_left: false,
        times: (
            query.from.map_or(earliest, |it| it.max(earliest)).timestamp_millis(),
            query.to.map_or(i64::MAX, |it| it.timestamp_millis()),
        ),
    };
    let _own = app.series.turns.own(person.user).await?;
    let _turn = app.series.turns.next().await?;
    let (log, id, limit) = (app.log.clone(), person.workspace.0, paging.limit());
    let searching = move || search::search(&log, id, &wanted, (before, limit));
    let haul = tokio::task::spawn_blocking(searching).await.map_err(Error::internal)?;
    let haul = haul.map_err(Error::internal)?;
    Ok(Json(OwnCallsBody {
        items: haul.found.iter().map(OwnCallBody::of).collect(),
        next_cursor: haul.next.map(|it| seal(&app.vault, &person, it)).transpose()?,
        reached: haul.reached_ms.and_then(reached),
    }))
}

/// An index says how much everybody calls, so nobody reads it, and nobody makes one up.
fn seal(vault: &Vault, person: &Person, index: u64) -> Result<String, Error> {
    let sealed = vault.seal(place(person), &index.to_be_bytes()).map_err(Error::internal)?;
    Ok(Paging::cursor(&URL_SAFE_NO_PAD.encode(sealed.as_bytes())))
}

fn open(vault: &Vault, person: &Person, cursor: &str) -> Result<u64, Error> {
    let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::not_a_cursor())?;
    let opened = vault.open(place(person), &sealed).map_err(|_| Error::not_a_cursor())?;
    let index = opened.expose().try_into().map_err(|_| Error::not_a_cursor())?;
    Ok(u64::from_be_bytes(index))
}

fn place(person: &Person) -> Place<'static> {
    Place {
        workspace: person.workspace.0.into_bytes(),
        kind: "own_calls",
        record: person.user.0.into_bytes(),
        field: "cursor",
    }
}

/// The whole minute before which something is not looked at: the time itself is that of somebody's record.
fn reached(time_ms: i64) -> Option<DateTime<Utc>> {
    let minutes = time_ms.saturating_add(MINUTE_MS - 1).div_euclid(MINUTE_MS);
    DateTime::from_timestamp_millis(minutes * MINUTE_MS)
}

const MINUTE_MS: i64 = 60_000;

/// As much of a record as is told.
#[derive(Default, Deserialize)]
struct Told {
    call: Option<Uuid>,
    app_name: Option<String>,
    gateway: Option<String>,
    server: Option<String>,
    name: Option<String>,
    method: Option<String>,
    end: Option<String>,
    #[serde(default)]
    error: bool,
    detail: Option<String>,
    total_us: Option<f64>,
}

impl OwnCallBody {
    fn of(found: &Found) -> Self {
        let read = |text: &str| serde_json::from_str::<Told>(text).unwrap_or_default();
        let outcome = read(&found.outcome.text);
        // What it was stands in its intent, or in its outcome where it was refused before.
        let what = match &found.intent {
            Some(intent) => read(&intent.text),
            None => read(&found.outcome.text),
        };
        let end = outcome.end.unwrap_or_default();
        let how = End::of(&end, outcome.error);
        Self {
            id: outcome.call,
            ended_at: DateTime::from_timestamp_millis(found.outcome.time_ms).unwrap_or_default(),
            app: what.app_name,
            gateway: what.gateway,
            server: what.server,
            name: what.name,
            method: what.method,
            outcome: how.into(),
            because: because(how, outcome.detail),
            end,
            took_ms: outcome.total_us.map(|it| it / 1_000.0),
        }
    }
}

/// Why it has not been answered.
fn because(end: End, detail: Option<String>) -> Option<String> {
    let plain = match end {
        End::Answered => return None,
        End::Cancelled => "its client has cancelled it, or has gone",
        End::Denied => "it was not allowed",
        End::Error => "its server has answered with an error",
        End::Failed => "it could not be answered",
    };
    Some(detail.unwrap_or_else(|| plain.to_owned()))
}

impl From<End> for OutcomeText {
    fn from(end: End) -> Self {
        match end {
            End::Answered => Self::Answered,
            End::Cancelled => Self::Cancelled,
            End::Denied => Self::Denied,
            End::Error => Self::Error,
            End::Failed => Self::Failed,
        }
    }
}
