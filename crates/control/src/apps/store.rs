//! Table `apps`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{AppId, UserId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::App;
use crate::addresses::AddressesText;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row::{self, Named};
use crate::switches::OffColumns;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<App>, Error> {
    let statement = sql(
        "SELECT a.id, a.name, a.owner_id, u.name AS owner, a.purpose, a.addresses, a.labels, a.created_at,
            o.created_at AS off_since, o.until AS off_until, o.reason AS off_reason
         FROM apps a
         JOIN users u ON u.workspace_id = a.workspace_id AND u.id = a.owner_id
         LEFT JOIN switches o
           ON o.workspace_id = a.workspace_id AND o.kind = 'app' AND o.target_id = a.id
         WHERE a.workspace_id = $1 AND ($2 IS NULL OR a.id = $2) AND ($3 IS NULL OR a.name = $3)
           AND ($4 IS NULL OR a.name > $4) AND ($6 OR a.owner_id = $7)
         ORDER BY a.name LIMIT $5",
    )
    .bind(workspace.0);
    let rows: Vec<Row> =
        tx.all(which.bind(statement).bind(which.is_anywhere()).bind(which.owner())).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    app: &App,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO apps (workspace_id, id, name, owner_id, purpose, created_at, addresses,
                                   labels)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(workspace.0)
            .bind(app.id.0)
            .bind(app.name.as_str())
            .bind(app.owner.id.0)
            .bind(app.purpose.as_str())
            .bind(app.created_at)
            .bind(row::to_json(&AddressesText(app.addresses.clone())))
            .bind(row::to_json(&app.labels)),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    app: &App,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE apps SET name = $3, owner_id = $4, purpose = $5, addresses = $6, labels = $7
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(app.id.0)
            .bind(app.name.as_str())
            .bind(app.owner.id.0)
            .bind(app.purpose.as_str())
            .bind(row::to_json(&AddressesText(app.addresses.clone())))
            .bind(row::to_json(&app.labels)),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    app: AppId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM apps WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(app.0),
        )
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    owner_id: Uuid,
    owner: String,
    purpose: String,
    addresses: Value,
    labels: Value,
    created_at: DateTime<Utc>,
    #[sqlx(flatten)]
    off: OffColumns,
}

impl TryFrom<Row> for App {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let AddressesText(addresses) = row::json(row.addresses)?;
        Ok(Self {
            id: AppId(row.id),
            name: row::name(row.name)?,
            owner: Named { id: UserId(row.owner_id), name: row::name(row.owner)? },
            purpose: row.purpose,
            addresses,
            labels: row::json(row.labels)?,
            off: row.off.into(),
            created_at: row.created_at,
        })
    }
}
