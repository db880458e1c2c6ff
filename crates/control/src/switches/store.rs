//! Table `switches`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{Target, WorkspaceId};
use uuid::Uuid;

use super::{CANARY, Off, columns};
use crate::api::Which;
use crate::change::Change;

/// A row with the name of its target, which is absent where the target is gone.
#[derive(sqlx::FromRow)]
pub(crate) struct Listed {
    pub(crate) kind: String,
    pub(crate) target_id: Uuid,
    tool: String,
    pub(crate) name: Option<String>,
    pub(crate) since: DateTime<Utc>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) reason: Option<String>,
}

impl Listed {
    /// What pages go by.
    pub(super) fn key(&self) -> String {
        format!("{}/{}/{}", self.kind, self.target_id, self.tool)
    }
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    target: &Target,
    off: &Off,
) -> Result<(), DbError> {
    let (id, tool) = columns(target);
    change
        .execute(
            sql("INSERT INTO switches (workspace_id, kind, target_id, tool, until, reason, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (workspace_id, kind, target_id, tool) DO UPDATE
                 SET until = excluded.until, reason = excluded.reason,
                     created_at = excluded.created_at")
            .bind(workspace.0)
            .bind(target.noun())
            .bind(id)
            .bind(tool)
            .bind(off.until)
            .bind(off.reason.clone())
            .bind(off.since),
        )
        .await?;
    Ok(())
}

pub(super) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    target: &Target,
) -> Result<Option<Off>, DbError> {
    let (id, tool) = columns(target);
    let row: Option<Row> = tx
        .optional(
            sql("SELECT created_at, until, reason FROM switches
                 WHERE workspace_id = $1 AND kind = $2 AND target_id = $3 AND tool = $4")
            .bind(workspace.0)
            .bind(target.noun())
            .bind(id)
            .bind(tool),
        )
        .await?;
    Ok(row.map(|Row { created_at, until, reason }| Off { since: created_at, until, reason }))
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    target: &Target,
) -> Result<u64, DbError> {
    let (id, tool) = columns(target);
    change
        .execute(
            sql("DELETE FROM switches
                 WHERE workspace_id = $1 AND kind = $2 AND target_id = $3 AND tool = $4")
            .bind(workspace.0)
            .bind(target.noun())
            .bind(id)
            .bind(tool),
        )
        .await
}

/// Those whose time has passed.
pub(super) async fn delete_over(
    change: &mut Change,
    workspace: WorkspaceId,
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    change
        .execute(
            sql("DELETE FROM switches WHERE workspace_id = $1 AND until <= $2")
                .bind(workspace.0)
                .bind(now),
        )
        .await
}

/// With the switches of its tools, where it is a server.
pub(super) async fn forget(
    change: &mut Change,
    workspace: WorkspaceId,
    target: &Target,
) -> Result<u64, DbError> {
    let (id, _) = columns(target);
    change
        .execute(
            sql("DELETE FROM switches WHERE workspace_id = $1 AND target_id = $2")
                .bind(workspace.0)
                .bind(id),
        )
        .await
}

/// What a list says of what is off.
macro_rules! listed {
    ($from:literal, $where:literal) => {
        concat!(
            "SELECT kind, target_id, tool, created_at AS since, until, reason,
                    CASE kind
                      WHEN 'app' THEN (SELECT name FROM apps t
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                      WHEN 'assignment' THEN (SELECT g.name || '/' || t.alias
                        FROM assignments t JOIN gateways g
                          ON g.workspace_id = t.workspace_id AND g.id = t.gateway_id
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                      WHEN 'connection' THEN (SELECT a.name || '/' || g.name
                        FROM connections t
                        JOIN apps a ON a.workspace_id = t.workspace_id AND a.id = t.app_id
                        JOIN gateways g ON g.workspace_id = t.workspace_id AND g.id = t.gateway_id
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                      WHEN 'gateway' THEN (SELECT name FROM gateways t
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                      WHEN 'identity' THEN (SELECT name FROM identities t
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                      WHEN 'user' THEN (SELECT name FROM users t
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                      WHEN 'tool' THEN (SELECT name || '/' || s.tool FROM servers t
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                      ELSE (SELECT name FROM servers t
                        WHERE t.workspace_id = s.workspace_id AND t.id = s.target_id)
                    END AS name
                 FROM ",
            $from,
            " s
                 WHERE ",
            $where,
            " AND (until IS NULL OR until > $2)
                   AND (kind, target_id, tool) > ($3, $4, $5)
                   AND (reason IS NULL OR reason <> $6 OR kind <> 'server')
                 ORDER BY kind, target_id, tool LIMIT $9"
        )
    };
}
const LISTED: &str = listed!("switches", "workspace_id = $1");
/// Found by what it is a part of: there may be many more that are not.
const LISTED_OF_PART: &str = listed!(
    "(SELECT * FROM switches
      WHERE workspace_id = $1 AND kind = 'gateway' AND target_id = $7
      UNION SELECT * FROM switches
      WHERE workspace_id = $1 AND kind IN ('server', 'tool') AND target_id = $8
      UNION SELECT * FROM switches
      WHERE workspace_id = $1 AND kind = 'assignment' AND target_id IN (
        SELECT id FROM assignments WHERE workspace_id = $1 AND gateway_id = $7)
      UNION SELECT * FROM switches
      WHERE workspace_id = $1 AND kind = 'connection' AND target_id IN (
        SELECT id FROM connections WHERE workspace_id = $1 AND gateway_id = $7)
      UNION SELECT * FROM switches
      WHERE workspace_id = $1 AND kind = 'identity' AND target_id IN (
        SELECT id FROM identities WHERE workspace_id = $1 AND server_id = $8))",
    "TRUE"
);

/// A page of what is off at `now`, by kind and id, after what has that kind, id and tool. Canaries are
/// left out.
pub(super) async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: (&str, Uuid, &str),
    which: &Which<'_>,
    (now, most): (DateTime<Utc>, i64),
) -> Result<Vec<Listed>, DbError> {
    let (kind, id, tool) = after;
    let text = if which.is_anywhere() { LISTED } else { LISTED_OF_PART };
    tx.all(
        sql(text)
            .bind(workspace.0)
            .bind(now)
            .bind(kind)
            .bind(id)
            .bind(tool)
            .bind(CANARY)
            .bind(which.gateway())
            .bind(which.server())
            .bind(most),
    )
    .await
}

#[derive(sqlx::FromRow)]
struct Row {
    created_at: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    reason: Option<String>,
}
