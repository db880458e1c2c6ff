//! `/series`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Object, Workspace};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Step;
use super::leaf::End;
use super::lines::{Found, Line, Members};
use super::store::{self, Asked, Counter, SumRow};
use crate::App;
use crate::api::{Error, InWorkspace, Json, Problem, Query};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(show_series))
        .merge(super::calls::routes())
        .merge(super::own::routes())
}

/// What is asked for. Users, teams and apps go by a name or an id.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SeriesQuery {
    measure: Measure,
    /// What is told apart. `own` is what the caller's own apps do, without `records:read`.
    by: Option<By>,
    /// A day before `to` where absent.
    from: Option<DateTime<Utc>>,
    /// Now where absent.
    to: Option<DateTime<Utc>>,
    /// Seconds: whole minutes within the last 48 hours, else whole hours or days of UTC.
    #[param(value_type = Option<u32>, minimum = 60, maximum = 31_622_400)]
    step: Option<String>,
    user: Option<String>,
    /// Whoever is in it now.
    team: Option<String>,
    app: Option<String>,
    gateway: Option<String>,
    server: Option<String>,
    /// As its server calls it.
    tool: Option<String>,
    #[param(inline)]
    outcome: Option<OutcomeText>,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measure {
    /// Those that have ended, however.
    Calls,
    /// Those that their servers have answered with an error, and those that have failed otherwise.
    Errors,
    /// Those that were not allowed.
    Denials,
    /// In milliseconds, of calls that have left.
    Latency,
    /// Of what was asked and what was released.
    Bytes,
    /// About how many tokens of a language model that was. What was recorded before they were counted
    /// has none.
    Tokens,
}

/// What is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    App,
    Gateway,
    Outcome,
    Own,
    Server,
    /// As people are in them now: calls of whoever is in several are in the line of each.
    Team,
    Tool,
    User,
}

/// How calls have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeText {
    Answered,
    Cancelled,
    Denied,
    Error,
    Failed,
}

/// Lines of points, the largest first.
#[derive(Serialize, ToSchema)]
struct SeriesBody {
    measure: Measure,
    by: Option<By>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// Seconds from point to point.
    step: i64,
    lines: Vec<Line>,
    /// Some calls may be missing: there were too many kinds at a time to tell them all apart.
    is_partial: bool,
    /// How many; not said to those who are shown only their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsorted: Option<u64>,
    counted: CountedBody,
}

/// How far counting has come. What has been recorded later is not shown.
#[derive(Serialize, ToSchema)]
pub(super) struct CountedBody {
    /// Up to when all is counted that is recorded by the processes that are heard of.
    to: Option<DateTime<Utc>>,
    /// Calls that have begun and not ended. They count when they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    under_way: Option<u64>,
    /// Each log that has records of the workspace that are counted. Neither is for those who are shown only
    /// their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<Vec<CountedLog>>,
}

/// How far the log of one process has been counted.
#[derive(Serialize, ToSchema)]
struct CountedLog {
    /// The key that it is verified by.
    log: String,
    /// How many records of the workspace have been counted, from the first one on.
    records: u64,
    /// Up to when all is counted.
    to: DateTime<Utc>,
    /// Whether it has said so lately, or has ended in good order and left nothing.
    is_current: bool,
}

/// How many points a line has.
const MOST_POINTS: i64 = 2_000;

const DAY: i64 = 24 * 3_600;

/// How much at a time those are shown who see only their own.
pub(super) const LONGEST_OWN: i64 = 31 * DAY;

/// Whoever has not said for so long how far it is does not count any more, or there is none.
const SILENT_MS: i64 = 60_000;

/// Calls, errors, denials, latency, tokens or bytes over time, as they stand in the record.
#[utoipa::path(
    get,
    path = "/series",
    params(SeriesQuery),
    responses((status = 200, body = SeriesBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "series",
)]
async fn show_series(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Query(query): Query<SeriesQuery>,
) -> Result<Json<SeriesBody>, Error> {
    let asked = asked(&app, &workspace, &query)?;
    let snapshot = Arc::clone(&app.publisher.newest().snapshot);
    let known = snapshot.config.workspace(workspace.id).map(AsRef::as_ref);
    let members = match (&query.team, known) {
        (Some(team), Some(known)) => Some(Members::of(team, known)?),
        _ => None,
    };
    let own = app.series.catch_up(&app, workspace.id).await;
    let _own = match (query.by, workspace.rights.user()) {
        (Some(By::Own), Some(user)) => Some(app.series.turns.own(user).await?),
        _ => None,
    };
    let _turn = app.series.turns.next().await?;
    // First, so that whatever they say has been counted is in all parts.
    let counters = store::counters(&mut app.db.read().await?, workspace.id).await?;
    let mut found = Found::new(query.by, members, known);
    let (from, to, every) = (time(asked.from)?, time(asked.to)?, asked.every);
    for part in asked.parts(app.clock.now().timestamp()) {
        // Others get at the database in between.
        let mut tx = app.db.read().await?;
        if query.measure == Measure::Latency {
            for (spot, histograms) in store::histograms(&mut tx, workspace.id, &part).await? {
                let count = histograms[0].count();
                if count != 0 {
                    found.add(spot, (count, Some(histograms)))?;
                }
            }
        } else {
            for row in store::sums(&mut tx, workspace.id, &part).await? {
                let SumRow { spot, calls, bytes, tokens } = row;
                let count = match query.measure {
                    Measure::Bytes => bytes,
                    Measure::Tokens => tokens,
                    _ => calls,
                };
                found.add(spot, (u64::try_from(count).unwrap_or_default(), None))?;
            }
        }
    }
    let (is_own, unsorted) = (query.by == Some(By::Own), found.unsorted());
    let mut counted = CountedBody::of(&app, counters, own);
    if is_own {
        (counted.under_way, counted.logs) = (None, None);
    }
    let SeriesQuery { measure, by, .. } = query;
    Ok(Json(SeriesBody {
        measure,
        by,
        from,
        to,
        step: every,
        lines: found.into_lines(),
        is_partial: unsorted != 0,
        unsorted: (!is_own).then_some(unsorted),
        counted,
    }))
}

impl CountedBody {
    pub(super) fn of(app: &App, counters: Vec<Counter>, own: Option<i64>) -> Self {
        let now = app.clock.now().timestamp_millis();
        let key = app.log.verifier_key();
        let count = |it: Option<i64>| it.and_then(|it| u64::try_from(it).ok()).unwrap_or_default();
        let mut under_way = 0;
        let mut to = None;
        let mut not_before = |at| to = Some(to.map_or(at, |to: DateTime<Utc>| to.min(at)));
        let (mut logs, mut has_own) = (Vec::new(), false);
        for it in counters {
            let is_own = it.log == key;
            has_own |= is_own;
            under_way += count(it.under_way);
            let told = own.filter(|_| is_own).unwrap_or(it.counted_at);
            let at = it.time_ms.map_or(told, |it| it.max(told));
            let is_closed = it.is_closed && !is_own;
            let is_current = is_closed || is_own || now - SILENT_MS <= it.counted_at;
            let at = DateTime::from_timestamp_millis(if is_closed { now } else { at });
            let Some(at) = at else { continue };
            if is_current {
                not_before(at);
            }
            // Who else serves is not for those who read records of this workspace.
            if it.next.is_some() {
                logs.push(CountedLog { log: it.log, records: count(it.next), to: at, is_current });
            }
        }
        // Nothing of this workspace has been recorded here, or nobody has said so yet.
        if let Some(at) = own.filter(|_| !has_own).and_then(DateTime::from_timestamp_millis) {
            not_before(at);
        }
        Self { to, under_way: Some(under_way), logs: Some(logs) }
    }
}

fn time(seconds: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| Error::Malformed("no such time".into()))
}

/// What is asked of the database, by whoever may ask it.
fn asked(of: &App, workspace: &InWorkspace, query: &SeriesQuery) -> Result<Asked, Error> {
    let rights = &workspace.rights;
    let own = match query.by {
        Some(By::Own) => Some(own(workspace, query)?),
        _ => {
            rights.require_on_workspace(Capability::RecordsRead)?;
            None
        }
    };
    let now = of.clock.now().timestamp();
    // This second, too.
    let to = query.to.map_or(now + 1, |it| it.timestamp());
    let from = query.from.map_or(to - DAY, |it| it.timestamp());
    if to <= from || from < 0 {
        return Err(Error::Invalid("`from` must be before `to`".into()));
    }
    let (base, every) = step(query.step.as_deref(), (from, to), now)?;
    let from = from.div_euclid(every) * every;
    // They find what is theirs among what is everybody's.
    if !rights.may(Capability::RecordsRead, &Object::Workspace) && LONGEST_OWN < to - from {
        return Err(Error::Invalid("these are more than 31 days".into()));
    }
    if MOST_POINTS < (to - from).div_euclid(every) {
        return Err(Error::Invalid(format!("these are more than {MOST_POINTS} points")));
    }
    let to = to + (base.seconds() - to.rem_euclid(base.seconds())).rem_euclid(base.seconds());
    let snapshot = Arc::clone(&of.publisher.newest().snapshot);
    let known = snapshot.config.workspace(workspace.id).map(AsRef::as_ref);
    let user = query.user.as_deref().map(|it| user_id(it, known)).transpose()?;
    let app_of = |it: &str| app_id(it, known, own.as_deref());
    let app = query.app.as_deref().map(app_of).transpose()?;
    Ok(Asked {
        step: base,
        from,
        to,
        every,
        by: query.by.map_or("", By::as_str),
        user: own.or(user),
        app,
        gateway: query.gateway.clone(),
        server: query.server.clone(),
        tool: query.tool.clone(),
        outcomes: outcomes(query.measure, query.outcome),
        is_by_user: query.team.is_some(),
    })
}

/// How calls have ended that are counted.
pub(super) fn outcomes(measure: Measure, only: Option<OutcomeText>) -> BTreeSet<&'static str> {
    let of_measure: &[End] = match measure {
        Measure::Denials => &[End::Denied],
        Measure::Errors => &[End::Error, End::Failed],
        Measure::Bytes | Measure::Calls | Measure::Latency | Measure::Tokens => &End::ALL,
    };
    let all = of_measure.iter().map(|it| it.as_str());
    all.filter(|it| only.is_none_or(|only| only.as_str() == *it)).collect()
}

/// Whose own they are. A token that is good for less does not show them.
fn own(workspace: &InWorkspace, query: &SeriesQuery) -> Result<String, Error> {
    let rights = &workspace.rights;
    let Some(user) = rights.user() else {
        return Err(Error::Invalid("`by=own` is for people: this token is nobody's".into()));
    };
    if rights.limits().is_some_and(|it| !it.contains(&Capability::RecordsRead)) {
        return Err(Error::forbidden(Capability::RecordsRead, "what is yours"));
    }
    if query.user.is_some() || query.team.is_some() {
        let text = "`by=own` goes with neither `user` nor `team`";
        return Err(Error::Invalid(text.into()));
    }
    Ok(user.to_string())
}

/// The buckets that are read, and how long a point is.
fn step(text: Option<&str>, (from, to): (i64, i64), now: i64) -> Result<(Step, i64), Error> {
    let has_minutes = now - Step::Minute.kept() <= from;
    let every = match text {
        None if to - from <= 6 * 3_600 && has_minutes => 60,
        None if to - from <= 7 * DAY => 3_600,
        None => DAY,
        Some(text) => {
            text.parse().ok().filter(|it| (60..=366 * DAY).contains(it)).ok_or_else(|| {
                Error::Malformed("`step` is a number of seconds from 60 to 31622400".into())
            })?
        }
    };
    if every % Step::Day.seconds() == 0 {
        return Ok((Step::Day, every));
    }
    if every % Step::Hour.seconds() == 0 {
        return Ok((Step::Hour, every));
    }
    if every % Step::Minute.seconds() == 0 && has_minutes {
        return Ok((Step::Minute, every));
    }
    Err(Error::Invalid(
        "`step` must be whole minutes, and whole hours for what is older than 48 hours".into(),
    ))
}

/// The id of a user by their name or id. They may be gone: then their id finds what has been recorded.
pub(super) fn user_id(text: &str, workspace: Option<&Workspace>) -> Result<String, Error> {
    let named =
        |it: &Workspace| it.users.values().find(|it| it.name.as_str() == text).map(|it| it.id.0);
    let missing = || Error::NotFound { kind: "user", name: text.to_owned() };
    let id = text.parse().ok().or_else(|| workspace.and_then(named)).ok_or_else(missing)?;
    Ok(id.to_string())
}

/// The same of an app. Whoever sees only their own finds no others by their names.
pub(super) fn app_id(
    text: &str,
    workspace: Option<&Workspace>,
    owner: Option<&str>,
) -> Result<String, Error> {
    let is_seen = |it: &domain::App| owner.is_none_or(|owner| it.owner.to_string() == owner);
    let named = |it: &Workspace| {
        let mut apps = it.apps.values();
        apps.find(|it| it.name.as_str() == text && is_seen(it)).map(|it| it.id.0)
    };
    let missing = || Error::NotFound { kind: "app", name: text.to_owned() };
    let id: Option<Uuid> = text.parse().ok();
    Ok(id.or_else(|| workspace.and_then(named)).ok_or_else(missing)?.to_string())
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Gateway => "gateway",
            Self::Outcome => "outcome",
            Self::Own => "",
            Self::Server => "server",
            Self::Team => "team",
            Self::Tool => "tool",
            Self::User => "user",
        }
    }
}

impl OutcomeText {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Failed => "failed",
        }
    }
}
