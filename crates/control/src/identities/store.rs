//! Table `identities`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{IdentityId, ServerId, UserId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::Identity;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row::{self, Named};
use crate::switches::OffColumns;

/// What a list says of identities.
macro_rules! listed {
    ($from:literal, $where:literal) => {
        concat!(
            "SELECT i.id, i.name, i.server_id, s.name AS server, i.owner_id,
                    u.name AS owner, i.headers, i.sealed, i.created_at,
                    o.created_at AS off_since, o.until AS off_until, o.reason AS off_reason
                 FROM ",
            $from,
            " i
                 JOIN servers s ON s.workspace_id = i.workspace_id AND s.id = i.server_id
                 LEFT JOIN users u ON u.workspace_id = i.workspace_id AND u.id = i.owner_id
                 LEFT JOIN switches o
                   ON o.workspace_id = i.workspace_id AND o.kind = 'identity' AND o.target_id = i.id
                 WHERE ",
            $where,
            " AND ($2 IS NULL OR i.id = $2) AND ($3 IS NULL OR i.name = $3)
                   AND ($4 IS NULL OR i.name > $4)
                 ORDER BY i.name LIMIT $5"
        )
    };
}
const LISTED: &str = listed!("identities", "i.workspace_id = $1");
/// SQLite would go through all of them for a few, in the order of the list, if it were not told to
/// find these first.
const LISTED_OF_PART: &str = listed!(
    "(WITH part AS MATERIALIZED (
        SELECT * FROM identities WHERE workspace_id = $1 AND server_id = $6
        UNION SELECT * FROM identities WHERE workspace_id = $1 AND owner_id = $7)
      SELECT * FROM part)",
    "TRUE"
);

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Identity>, Error> {
    let text = if which.is_anywhere() { LISTED } else { LISTED_OF_PART };
    let statement = sql(text).bind(workspace.0);
    let statement = which.bind(statement);
    let rows: Vec<Row> = tx.all(statement.bind(which.server()).bind(which.owner())).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    identity: &Identity,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO identities
                   (workspace_id, id, name, server_id, owner_id, headers, sealed, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(workspace.0)
            .bind(identity.id.0)
            .bind(identity.name.as_str())
            .bind(identity.server.id.0)
            .bind(identity.owner.as_ref().map(|it| it.id.0))
            .bind(row::to_json(&identity.headers))
            .bind(identity.sealed.as_slice())
            .bind(identity.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    identity: &Identity,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE identities SET name = $3, headers = $4, sealed = $5
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(identity.id.0)
            .bind(identity.name.as_str())
            .bind(row::to_json(&identity.headers))
            .bind(identity.sealed.as_slice()),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    identity: IdentityId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM identities WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(identity.0),
        )
        .await?;
    Ok(())
}

/// The assignments that share it and the connections that have chosen it.
pub(super) async fn uses(
    tx: &mut Tx,
    workspace: WorkspaceId,
    identity: IdentityId,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT 'assignment `' || g.name || '/' || a.alias || '`' AS used_by
                 FROM assignments a JOIN gateways g
                   ON g.workspace_id = a.workspace_id AND g.id = a.gateway_id
                 WHERE a.workspace_id = $1 AND a.identity_id = $2
                 UNION ALL
                 SELECT 'connection `' || p.name || '/' || g.name || '`'
                 FROM choices x
                 JOIN connections c ON c.workspace_id = x.workspace_id AND c.id = x.connection_id
                 JOIN apps p ON p.workspace_id = c.workspace_id AND p.id = c.app_id
                 JOIN gateways g ON g.workspace_id = c.workspace_id AND g.id = c.gateway_id
                 WHERE x.workspace_id = $1 AND x.identity_id = $2
                 ORDER BY used_by LIMIT 10")
            .bind(workspace.0)
            .bind(identity.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    server_id: Uuid,
    server: String,
    owner_id: Option<Uuid>,
    owner: Option<String>,
    headers: Value,
    sealed: Vec<u8>,
    created_at: DateTime<Utc>,
    #[sqlx(flatten)]
    off: OffColumns,
}

impl TryFrom<Row> for Identity {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let owner = match row.owner_id.zip(row.owner) {
            Some((id, name)) => Some(Named { id: UserId(id), name: row::name(name)? }),
            None => None,
        };
        Ok(Self {
            id: IdentityId(row.id),
            name: row::name(row.name)?,
            server: Named { id: ServerId(row.server_id), name: row::name(row.server)? },
            owner,
            headers: row::json(row.headers)?,
            sealed: row.sealed,
            off: row.off.into(),
            created_at: row.created_at,
        })
    }
}
