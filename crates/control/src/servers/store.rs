//! Table `servers`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{ServerId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::{EraText, Server, TasksText, TransportText};
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;
use crate::switches::OffColumns;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Server>, Error> {
    let statement = sql("SELECT s.id, s.name, s.transport, s.era, s.tasks, s.roots, s.review,
            s.labels, s.tool_labels, s.created_at,
            o.created_at AS off_since, o.until AS off_until, o.reason AS off_reason
         FROM servers s LEFT JOIN switches o
           ON o.workspace_id = s.workspace_id AND o.kind = 'server' AND o.target_id = s.id
         WHERE s.workspace_id = $1 AND ($2 IS NULL OR s.id = $2) AND ($3 IS NULL OR s.name = $3)
           AND ($4 IS NULL OR s.name > $4) AND ($6 OR s.id = $7)
         ORDER BY s.name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> =
        tx.all(which.bind(statement).bind(which.is_anywhere()).bind(which.server())).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    server: &Server,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO servers
                   (workspace_id, id, name, transport, era, tasks, roots, created_at, review,
                    labels, tool_labels)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(workspace.0)
            .bind(server.id.0)
            .bind(server.name.as_str())
            .bind(column(server))
            .bind(EraText::from(server.era).as_str())
            .bind(TasksText::from(server.tasks).as_str())
            .bind(server.roots)
            .bind(server.created_at)
            .bind(server.review.as_str())
            .bind(row::to_json(&server.labels))
            .bind(row::to_json(&server.tool_labels)),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    server: &Server,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE servers SET name = $3, transport = $4, era = $5, tasks = $6, roots = $7,
                     review = $8, labels = $9, tool_labels = $10
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(server.id.0)
            .bind(server.name.as_str())
            .bind(column(server))
            .bind(EraText::from(server.era).as_str())
            .bind(TasksText::from(server.tasks).as_str())
            .bind(server.roots)
            .bind(server.review.as_str())
            .bind(row::to_json(&server.labels))
            .bind(row::to_json(&server.tool_labels)),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    server: ServerId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM servers WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(server.0),
        )
        .await?;
    Ok(())
}

/// The identities and assignments that need it.
pub(super) async fn uses(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: ServerId,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT 'identity `' || name || '`' AS used_by FROM identities
                 WHERE workspace_id = $1 AND server_id = $2
                 UNION ALL
                 SELECT 'assignment `' || g.name || '/' || a.alias || '`'
                 FROM assignments a JOIN gateways g
                   ON g.workspace_id = a.workspace_id AND g.id = a.gateway_id
                 WHERE a.workspace_id = $1 AND a.server_id = $2
                 ORDER BY used_by LIMIT 10")
            .bind(workspace.0)
            .bind(server.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

/// The credentials for it.
pub(super) async fn identities(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: ServerId,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT 'identity `' || name || '`' FROM identities
                 WHERE workspace_id = $1 AND server_id = $2 ORDER BY name LIMIT 10")
            .bind(workspace.0)
            .bind(server.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    transport: Value,
    era: String,
    tasks: String,
    roots: bool,
    review: String,
    labels: Value,
    tool_labels: Value,
    created_at: DateTime<Utc>,
    #[sqlx(flatten)]
    off: OffColumns,
}

fn column(server: &Server) -> Value {
    row::to_json(&TransportText::from(server.transport.clone()))
}

impl TryFrom<Row> for Server {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let transport: TransportText = row::json(row.transport)?;
        let era: EraText = row::json(Value::String(row.era))?;
        let tasks: TasksText = row::json(Value::String(row.tasks))?;
        Ok(Self {
            id: ServerId(row.id),
            name: row::name(row.name)?,
            transport: transport.into(),
            era: era.into(),
            tasks: tasks.into(),
            roots: row.roots,
            review: row::json(Value::String(row.review))?,
            labels: row::json(row.labels)?,
            tool_labels: row::json(row.tool_labels)?,
            off: row.off.into(),
            created_at: row.created_at,
        })
    }
}
