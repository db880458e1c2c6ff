//! Tables `series`, `series_logs`, `series_open` and `series_counters`; [`super::prune`] deletes from them.

use std::collections::{BTreeMap, BTreeSet};

use db::{DbError, Tx, sql};
use domain::WorkspaceId;
use uuid::Uuid;

use super::leaf::{Key, Size};
use super::open::Begun;
use super::{Histogram, Step, Sums};

/// Up to where a log has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Progress {
    /// The index of the first record that has not been counted.
    pub(super) next: i64,
    /// That of the first intent in it whose outcome has not been counted, and that is not a row of its own.
    pub(super) open: i64,
    /// How many calls have begun and not ended.
    pub(super) under_way: i64,
    /// When the last one that has been counted was recorded.
    pub(super) time_ms: i64,
}

/// How far the log of a process has come.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Counter {
    pub(super) log: String,
    /// All that it had recorded before, in whatever workspace, has been counted.
    pub(super) counted_at: i64,
    /// The process has ended, and counted all before.
    pub(super) is_closed: bool,
    /// Of the workspace.
    pub(super) next: Option<i64>,
    pub(super) under_way: Option<i64>,
    pub(super) time_ms: Option<i64>,
}

/// Where and when something was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) workspace: WorkspaceId,
    /// Which log.
    pub(super) log: &'a str,
    pub(super) step: Step,
    /// In seconds since 1970.
    pub(super) at: i64,
}

pub(super) async fn progress(
    tx: &mut Tx,
    workspace: WorkspaceId,
    log: &str,
) -> Result<Option<Progress>, DbError> {
    let statement = sql("SELECT next, open, under_way, time_ms FROM series_logs
                         WHERE workspace_id = $1 AND log = $2");
    tx.optional(statement.bind(workspace.0).bind(log)).await
}

/// Writes up to where it is, if it is where whoever asks has left it. Whoever comes later waits here for
/// whoever was first.
pub(super) async fn advance(
    tx: &mut Tx,
    (workspace, log): (WorkspaceId, &str),
    from: Option<i64>,
    to: Progress,
) -> Result<bool, DbError> {
    let Some(from) = from else {
        let statement =
            sql("INSERT INTO series_logs (workspace_id, log, next, open, under_way, time_ms)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, log) DO NOTHING");
        let statement = statement.bind(workspace.0).bind(log).bind(to.next).bind(to.open);
        return Ok(tx.execute(statement.bind(to.under_way).bind(to.time_ms)).await? == 1);
    };
    let statement = sql("UPDATE series_logs SET next = $3, open = $4, under_way = $5, time_ms = $6
                         WHERE workspace_id = $1 AND log = $2 AND next = $7");
    let statement = statement.bind(workspace.0).bind(log).bind(to.next).bind(to.open);
    let statement = statement.bind(to.under_way).bind(to.time_ms).bind(from);
    Ok(tx.execute(statement).await? == 1)
}

/// Says that all that has been recorded in a log before that time has been counted.
pub(super) async fn tell(
    tx: &mut Tx,
    log: &str,
    (at, is_closed): (i64, bool),
) -> Result<(), DbError> {
    let statement = sql("INSERT INTO series_counters (log, counted_at, is_closed)
                         VALUES ($1, $2, $3)
                         ON CONFLICT (log) DO UPDATE
                         SET counted_at = excluded.counted_at, is_closed = excluded.is_closed");
    tx.execute(statement.bind(log).bind(at).bind(is_closed)).await?;
    Ok(())
}

/// Says that a log that has ended goes on.
pub(super) async fn reopen(tx: &mut Tx, log: &str) -> Result<(), DbError> {
    let statement = sql("UPDATE series_counters SET is_closed = FALSE WHERE log = $1");
    tx.execute(statement.bind(log)).await?;
    Ok(())
}

/// How far each log has come.
pub(super) async fn counters(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Counter>, DbError> {
    let statement = sql("SELECT a.log, COALESCE(c.counted_at, 0) AS counted_at,
                COALESCE(c.is_closed, FALSE) AS is_closed, l.next, l.under_way, l.time_ms
         FROM (SELECT log FROM series_counters
               UNION SELECT log FROM series_logs WHERE workspace_id = $1) a
         LEFT JOIN series_counters c ON c.log = a.log
         LEFT JOIN series_logs l ON l.log = a.log AND l.workspace_id = $1
         ORDER BY a.log");
    tx.all(statement.bind(workspace.0)).await
}

/// What is under way of this call, where it is a row of its own.
pub(super) async fn open_call(
    tx: &mut Tx,
    (workspace, log): (WorkspaceId, &str),
    call: Uuid,
) -> Result<Option<Begun>, DbError> {
    let statement = sql("SELECT at_index, user_id, app_id, gateway, server, tool, bytes, tokens
                         FROM series_open WHERE workspace_id = $1 AND log = $2 AND call = $3");
    let row: Option<OpenRow> =
        tx.optional(statement.bind(workspace.0).bind(log).bind(call)).await?;
    Ok(row.map(OpenRow::into_begun))
}

pub(super) async fn put_open(
    tx: &mut Tx,
    (workspace, log): (WorkspaceId, &str),
    (call, begun): (Uuid, &Begun),
) -> Result<(), DbError> {
    let statement = sql("INSERT INTO series_open
           (workspace_id, log, call, at_index, user_id, app_id, gateway, server, tool, bytes,
            tokens)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (workspace_id, log, call) DO NOTHING");
    let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let Key { user, app, gateway, server, tool, outcome: _ } = &begun.key;
    let statement = statement.bind(workspace.0).bind(log).bind(call).bind(count(begun.index));
    let statement = statement.bind(user.as_str()).bind(app.as_str()).bind(gateway.as_str());
    let statement = statement.bind(server.as_str()).bind(tool.as_str());
    let statement = statement.bind(count(begun.size.bytes)).bind(count(begun.size.tokens));
    tx.execute(statement).await?;
    Ok(())
}

pub(super) async fn delete_open(
    tx: &mut Tx,
    (workspace, log): (WorkspaceId, &str),
    call: Uuid,
) -> Result<(), DbError> {
    let statement =
        sql("DELETE FROM series_open WHERE workspace_id = $1 AND log = $2 AND call = $3");
    tx.execute(statement.bind(workspace.0).bind(log).bind(call)).await?;
    Ok(())
}

pub(super) async fn count_open(
    tx: &mut Tx,
    workspace: WorkspaceId,
    log: &str,
) -> Result<i64, DbError> {
    let statement = sql("SELECT count(*) FROM series_open WHERE workspace_id = $1 AND log = $2");
    let row: Option<(i64,)> = tx.optional(statement.bind(workspace.0).bind(log)).await?;
    Ok(row.map_or(0, |it| it.0))
}

/// What has been counted of one log from a time on.
pub(super) async fn counted(
    tx: &mut Tx,
    Place { workspace, log, step, at }: Place<'_>,
) -> Result<Vec<(i64, Key, Sums)>, DbError> {
    let statement =
        sql("SELECT at, user_id, app_id, gateway, server, tool, outcome, calls, bytes, tokens,
                added, upstream
         FROM series
         WHERE workspace_id = $1 AND step = $2 AND at >= $3 AND log = $4");
    let statement = statement.bind(workspace.0).bind(step.seconds()).bind(at).bind(log);
    let rows: Vec<Row> = tx.all(statement).await?;
    Ok(rows.into_iter().map(Row::into_parts).collect())
}

/// Writes what has been counted in one place, whatever was there.
pub(super) async fn put(
    tx: &mut Tx,
    Place { workspace, log, step, at }: Place<'_>,
    (key, sums): (&Key, &Sums),
) -> Result<(), DbError> {
    let statement = sql("INSERT INTO series
           (workspace_id, step, at, log, user_id, app_id, gateway, server, tool, outcome,
            calls, bytes, tokens, added, upstream)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT
           (workspace_id, step, at, log, user_id, app_id, gateway, server, tool, outcome)
         DO UPDATE SET calls = excluded.calls, bytes = excluded.bytes,
                       tokens = excluded.tokens, added = excluded.added, upstream = excluded.upstream");
    let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let statement = statement.bind(workspace.0).bind(step.seconds()).bind(at).bind(log);
    let statement = statement.bind(key.user.as_str()).bind(key.app.as_str());
    let statement = statement.bind(key.gateway.as_str()).bind(key.server.as_str());
    let statement = statement.bind(key.tool.as_str()).bind(key.outcome.as_str());
    let statement = statement
        .bind(count(sums.calls))
        .bind(count(sums.size.bytes))
        .bind(count(sums.size.tokens));
    tx.execute(statement.bind(sums.added.to_bytes()).bind(sums.upstream.to_bytes())).await?;
    Ok(())
}

/// Deletes the oldest bucket of a log. How many rows that were.
pub(super) async fn forget(
    tx: &mut Tx,
    (workspace, log): (WorkspaceId, &str),
    step: Step,
) -> Result<u64, DbError> {
    let statement =
        sql("DELETE FROM series WHERE workspace_id = $1 AND step = $2 AND log = $3 AND at =
           (SELECT min(at) FROM series WHERE workspace_id = $1 AND step = $2 AND log = $3)");
    tx.execute(statement.bind(workspace.0).bind(step.seconds()).bind(log)).await
}

/// Deletes up to where a log has been counted.
pub(super) async fn forget_progress(
    tx: &mut Tx,
    (workspace, log): (WorkspaceId, &str),
) -> Result<(), DbError> {
    let open = sql("DELETE FROM series_open WHERE workspace_id = $1 AND log = $2");
    tx.execute(open.bind(workspace.0).bind(log)).await?;
    let progress = sql("DELETE FROM series_logs WHERE workspace_id = $1 AND log = $2");
    tx.execute(progress.bind(workspace.0).bind(log)).await?;
    Ok(())
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) step: Step,
    pub(super) from: i64,
    pub(super) to: i64,
    /// How long each point is.
    pub(super) every: i64,
    /// A column, or nothing.
    pub(super) by: &'static str,
    pub(super) user: Option<String>,
    pub(super) app: Option<String>,
    pub(super) gateway: Option<String>,
    pub(super) server: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) outcomes: BTreeSet<&'static str>,
    /// Whether users are told apart beside that.
    pub(super) is_by_user: bool,
}

/// What a row of sums or histograms is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
pub(super) struct Spot {
    /// When, in seconds since 1970.
    pub(super) point: i64,
    pub(super) value: String,
    /// Where users are told apart: whose.
    pub(super) whose: String,
    /// Whether it is known to be of what is asked for. It may be where it was too much to be told apart.
    pub(super) certain: i64,
}

/// Calls of one spot, and their size.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct SumRow {
    #[sqlx(flatten)]
    pub(super) spot: Spot,
    pub(super) calls: i64,
    pub(super) bytes: i64,
    pub(super) tokens: i64,
}

/// What is asked for, in the columns that two statements have in common.
macro_rules! asked {
    ($select:literal, $rest:literal) => {
        concat!(
            "SELECT at / $5 * $5 AS point,
                    CASE $6 WHEN 'user' THEN user_id WHEN 'team' THEN user_id WHEN 'app' THEN app_id
                            WHEN 'gateway' THEN gateway WHEN 'server' THEN server
                            WHEN 'tool' THEN tool WHEN 'outcome' THEN outcome
                            ELSE '' END AS value,
                    CASE $17 WHEN 'user' THEN user_id ELSE '' END AS whose,
                    CAST(CASE WHEN ($7 IS NULL OR user_id = $7) AND ($8 IS NULL OR app_id = $8)
                                   AND ($9 IS NULL OR gateway = $9)
                                   AND ($10 IS NULL OR server = $10)
                                   AND ($11 IS NULL OR tool = $11) THEN 1 ELSE 0 END AS BIGINT)
                        AS certain, ",
            $select,
            " FROM series
              WHERE workspace_id = $1 AND step = $2 AND at >= $3 AND at < $4
                AND ($7 IS NULL OR user_id IN ($7, '*')) AND ($8 IS NULL OR app_id IN ($8, '*'))
                AND ($9 IS NULL OR gateway = $9 OR (gateway = '*' AND user_id = '*'))
                AND ($10 IS NULL OR server = $10 OR (server = '*' AND user_id = '*'))
                AND ($11 IS NULL OR tool = $11 OR (tool = '*' AND user_id = '*'))
                AND outcome IN ($12, $13, $14, $15, $16) ",
            $rest
        )
    };
}

/// Calls of each spot, and their size.
pub(super) async fn sums(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asked: &Asked,
) -> Result<Vec<SumRow>, DbError> {
    let statement = sql(asked!(
        "CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(bytes) AS BIGINT) AS bytes,
         CAST(sum(tokens) AS BIGINT) AS tokens",
        "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    ));
    tx.all(asked.bind(statement, workspace)).await
}

/// How long calls took, of each spot: what was added, and what servers took.
pub(super) async fn histograms(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asked: &Asked,
) -> Result<BTreeMap<Spot, [Histogram; 2]>, DbError> {
    let statement = sql(asked!("added, upstream", ""));
    let rows: Vec<HistogramRow> = tx.all(asked.bind(statement, workspace)).await?;
    let mut all = BTreeMap::<_, [Histogram; 2]>::new();
    for HistogramRow { spot, added, upstream } in rows {
        let sums = all.entry(spot).or_default();
        sums[0].merge(&Histogram::from_bytes(&added).unwrap_or_default());
        sums[1].merge(&Histogram::from_bytes(&upstream).unwrap_or_default());
    }
    Ok(all)
}

/// Servers and tools that were refused most often since the hour that began then.
pub(super) async fn top_denials(
    tx: &mut Tx,
    workspace: WorkspaceId,
    since: i64,
    limit: i64,
) -> Result<Vec<(String, String, i64)>, DbError> {
    let statement = sql("SELECT server, tool, CAST(sum(calls) AS BIGINT) AS count
                         FROM series
                         WHERE workspace_id = $1 AND step = $2 AND at >= $3 AND outcome = 'denied'
                         GROUP BY server, tool ORDER BY 3 DESC, 1, 2 LIMIT $4");
    let statement = statement.bind(workspace.0).bind(Step::Hour.seconds()).bind(since);
    tx.all(statement.bind(limit)).await
}

impl Asked {
    /// The same a few buckets at a time, so that what is read at once is bounded however long it is. Of what
    /// is kept no longer, or is to come, there is nothing.
    pub(super) fn parts(self, now: i64) -> impl Iterator<Item = Self> {
        let length = self.step.at_a_time() * self.step.seconds();
        let from = self.from.max(self.step.floor(now - self.step.kept()));
        let to = self.to.min(self.step.floor(now) + self.step.seconds());
        let starts = (0..).map(move |it| from + it * length).take_while(move |it| *it < to);
        starts.map(move |it| Self { from: it, to: (it + length).min(to), ..self.clone() })
    }

    fn bind(&self, statement: db::Sql, workspace: WorkspaceId) -> db::Sql {
        let text = |it: &Option<String>| db::Value::Text(it.clone());
        let mut outcomes = self.outcomes.iter().copied();
        let statement = statement
            .bind(workspace.0)
            .bind(self.step.seconds())
            .bind(self.from)
            .bind(self.to)
            .bind(self.every)
            .bind(self.by)
            .bind(text(&self.user))
            .bind(text(&self.app))
            .bind(text(&self.gateway))
            .bind(text(&self.server))
            .bind(text(&self.tool));
        // There is none that is empty.
        let statement =
            (0..5).fold(statement, |it, _| it.bind(outcomes.next().unwrap_or_default()));
        statement.bind(if self.is_by_user { "user" } else { "" })
    }
}

#[derive(sqlx::FromRow)]
struct HistogramRow {
    #[sqlx(flatten)]
    spot: Spot,
    added: Vec<u8>,
    upstream: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct OpenRow {
    at_index: i64,
    user_id: String,
    app_id: String,
    gateway: String,
    server: String,
    tool: String,
    bytes: i64,
    tokens: i64,
}

impl OpenRow {
    fn into_begun(self) -> Begun {
        let Self { user_id: user, app_id: app, gateway, server, tool, .. } = self;
        let count = |it: i64| u64::try_from(it).unwrap_or_default();
        let key = Key { user, app, gateway, server, tool, outcome: String::new() };
        let size = Size { bytes: count(self.bytes), tokens: count(self.tokens) };
        Begun { index: count(self.at_index), key, size }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    at: i64,
    user_id: String,
    app_id: String,
    gateway: String,
    server: String,
    tool: String,
    outcome: String,
    calls: i64,
    bytes: i64,
    tokens: i64,
    added: Vec<u8>,
    upstream: Vec<u8>,
}

impl Row {
    fn into_parts(self) -> (i64, Key, Sums) {
        let Self { at, user_id: user, app_id: app, gateway, server, tool, outcome, .. } = self;
        let count = |it: i64| u64::try_from(it).unwrap_or_default();
        let sums = Sums {
            calls: count(self.calls),
            size: Size { bytes: count(self.bytes), tokens: count(self.tokens) },
            added: Histogram::from_bytes(&self.added).unwrap_or_default(),
            upstream: Histogram::from_bytes(&self.upstream).unwrap_or_default(),
        };
        (at, Key { user, app, gateway, server, tool, outcome }, sums)
    }
}
