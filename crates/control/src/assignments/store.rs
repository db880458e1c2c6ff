//! Table `assignments`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{AssignmentId, GatewayId, IdentityId, ServerId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::{Assignment, ProvisionText};
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row::{self, Named};
use crate::switches::OffColumns;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: Option<GatewayId>,
    which: Which<'_>,
) -> Result<Vec<Assignment>, Error> {
    let statement = sql("SELECT a.id, a.gateway_id, g.name AS gateway, a.alias, a.server_id,
            s.name AS server, a.scheme, a.identity_id, i.name AS identity,
            a.tools, a.prompts, a.resources, a.position, a.created_at,
            o.created_at AS off_since, o.until AS off_until, o.reason AS off_reason
         FROM assignments a
         JOIN gateways g ON g.workspace_id = a.workspace_id AND g.id = a.gateway_id
         JOIN servers s ON s.workspace_id = a.workspace_id AND s.id = a.server_id
         LEFT JOIN identities i ON i.workspace_id = a.workspace_id AND i.id = a.identity_id
         LEFT JOIN switches o
           ON o.workspace_id = a.workspace_id AND o.kind = 'assignment' AND o.target_id = a.id
         WHERE a.workspace_id = $1 AND ($2 IS NULL OR a.id = $2) AND ($3 IS NULL OR a.alias = $3)
           AND ($4 IS NULL OR a.alias > $4) AND ($6 IS NULL OR a.gateway_id = $6)
         ORDER BY a.alias LIMIT $5")
    .bind(workspace.0);
    let statement = which.bind(statement).bind(gateway.map(|it| it.0));
    let rows: Vec<Row> = tx.all(statement).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Behind all others.
pub(super) async fn next_position(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
) -> Result<i64, DbError> {
    let row: Option<(Option<i64>,)> = tx
        .optional(
            sql(
                "SELECT MAX(position) FROM assignments WHERE workspace_id = $1 AND gateway_id = $2",
            )
            .bind(workspace.0)
            .bind(gateway.0),
        )
        .await?;
    Ok(row.and_then(|it| it.0).map_or(1, |it| it.saturating_add(1)))
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    it: &Assignment,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO assignments
                   (workspace_id, id, gateway_id, alias, server_id, scheme, identity_id,
                    tools, prompts, resources, position, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
            .bind(workspace.0)
            .bind(it.id.0)
            .bind(it.gateway.id.0)
            .bind(it.alias.as_str())
            .bind(it.server.id.0)
            .bind(it.scheme.as_str())
            .bind(it.identity.as_ref().map(|it| it.id.0))
            .bind(row::to_json(&ProvisionText::from(it.tools.clone())))
            .bind(row::to_json(&ProvisionText::from(it.prompts.clone())))
            .bind(row::to_json(&ProvisionText::from(it.resources.clone())))
            .bind(it.position)
            .bind(it.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    it: &Assignment,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE assignments
                 SET alias = $3, scheme = $4, identity_id = $5, tools = $6, prompts = $7,
                     resources = $8, position = $9
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(it.id.0)
            .bind(it.alias.as_str())
            .bind(it.scheme.as_str())
            .bind(it.identity.as_ref().map(|it| it.id.0))
            .bind(row::to_json(&ProvisionText::from(it.tools.clone())))
            .bind(row::to_json(&ProvisionText::from(it.prompts.clone())))
            .bind(row::to_json(&ProvisionText::from(it.resources.clone())))
            .bind(it.position),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    assignment: AssignmentId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM assignments WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(assignment.0),
        )
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    gateway_id: Uuid,
    gateway: String,
    alias: String,
    server_id: Uuid,
    server: String,
    scheme: String,
    identity_id: Option<Uuid>,
    identity: Option<String>,
    tools: Value,
    prompts: Value,
    resources: Value,
    position: i64,
    created_at: DateTime<Utc>,
    #[sqlx(flatten)]
    off: OffColumns,
}

impl TryFrom<Row> for Assignment {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let identity = match row.identity_id.zip(row.identity) {
            Some((id, name)) => Some(Named { id: IdentityId(id), name: row::name(name)? }),
            None => None,
        };
        Ok(Self {
            id: AssignmentId(row.id),
            gateway: Named { id: GatewayId(row.gateway_id), name: row::name(row.gateway)? },
            alias: row::name(row.alias)?,
            server: Named { id: ServerId(row.server_id), name: row::name(row.server)? },
            scheme: row::json(Value::String(row.scheme))?,
            identity,
            tools: row::json::<ProvisionText>(row.tools)?.into(),
            prompts: row::json::<ProvisionText>(row.prompts)?.into(),
            resources: row::json::<ProvisionText>(row.resources)?.into(),
            position: row.position,
            off: row.off.into(),
            created_at: row.created_at,
        })
    }
}
