//! Tables `gateways` and `grants`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{Addresses, AssignmentId, GatewayId, Name, TeamId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::Gateway;
use crate::addresses::AddressesText;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;
use crate::switches::OffColumns;

/// What a list says of gateways.
macro_rules! listed {
    ($from:literal, $where:literal) => {
        concat!(
            "SELECT g.id, g.name, g.addresses, g.max_autonomy_seconds, g.created_at,
                    (SELECT string_agg(t.name, ',' ORDER BY t.name)
                     FROM grants r
                     JOIN teams t ON t.workspace_id = r.workspace_id AND t.id = r.team_id
                     WHERE r.workspace_id = g.workspace_id AND r.gateway_id = g.id) AS teams,
                    o.created_at AS off_since, o.until AS off_until, o.reason AS off_reason
                 FROM ",
            $from,
            " g LEFT JOIN switches o
                   ON o.workspace_id = g.workspace_id AND o.kind = 'gateway' AND o.target_id = g.id
                 WHERE ",
            $where,
            " AND ($2 IS NULL OR g.id = $2) AND ($3 IS NULL OR g.name = $3)
                   AND ($4 IS NULL OR g.name > $4)
                 ORDER BY g.name LIMIT $5"
        )
    };
}
const LISTED: &str = listed!("gateways", "g.workspace_id = $1");
/// SQLite would go through all of them for a few, in the order of the list, if it were not told to
/// find these first.
const LISTED_OF_PART: &str = listed!(
    "(WITH part AS MATERIALIZED (
        SELECT * FROM gateways WHERE workspace_id = $1 AND id IN (
          SELECT $6 UNION ALL SELECT r.gateway_id FROM members m
          JOIN grants r ON r.workspace_id = m.workspace_id AND r.team_id = m.team_id
          WHERE m.workspace_id = $1 AND m.user_id = $7))
      SELECT * FROM part)",
    "TRUE"
);

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Gateway>, Error> {
    let text = if which.is_anywhere() { LISTED } else { LISTED_OF_PART };
    let statement = sql(text).bind(workspace.0);
    let statement = which.bind(statement);
    let rows: Vec<Row> = tx.all(statement.bind(which.gateway()).bind(which.owner())).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: &Gateway,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO gateways
                   (workspace_id, id, name, created_at, addresses, max_autonomy_seconds)
                 VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(workspace.0)
            .bind(gateway.id.0)
            .bind(gateway.name.as_str())
            .bind(gateway.created_at)
            .bind(row::to_json(&AddressesText(gateway.addresses.clone())))
            .bind(i64::from(gateway.max_autonomy_seconds)),
        )
        .await?;
    Ok(())
}

pub(super) async fn rename(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    name: &Name,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE gateways SET name = $3 WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(gateway.0)
                .bind(name.as_str()),
        )
        .await?;
    Ok(())
}

pub(super) async fn set_addresses(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    addresses: &Addresses,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE gateways SET addresses = $3 WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(gateway.0)
                .bind(row::to_json(&AddressesText(addresses.clone()))),
        )
        .await?;
    Ok(())
}

pub(super) async fn set_autonomy(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    seconds: u8,
) -> Result<(), DbError> {
    change
        .execute(
            sql(
                "UPDATE gateways SET max_autonomy_seconds = $3 WHERE workspace_id = $1 AND id = $2",
            )
            .bind(workspace.0)
            .bind(gateway.0)
            .bind(i64::from(seconds)),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM gateways WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(gateway.0),
        )
        .await?;
    Ok(())
}

/// Granting twice is granting once.
pub(super) async fn add_grant(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    team: TeamId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO grants (workspace_id, gateway_id, team_id) VALUES ($1, $2, $3)
                 ON CONFLICT (workspace_id, gateway_id, team_id) DO NOTHING")
            .bind(workspace.0)
            .bind(gateway.0)
            .bind(team.0),
        )
        .await?;
    Ok(())
}

pub(super) async fn remove_grant(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    team: TeamId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM grants
                 WHERE workspace_id = $1 AND gateway_id = $2 AND team_id = $3")
            .bind(workspace.0)
            .bind(gateway.0)
            .bind(team.0),
        )
        .await?;
    Ok(())
}

pub(super) async fn remove_grants(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM grants WHERE workspace_id = $1 AND gateway_id = $2")
                .bind(workspace.0)
                .bind(gateway.0),
        )
        .await?;
    Ok(())
}

/// The connections to it.
pub(super) async fn uses(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT 'connection `' || a.name || '/' || g.name || '`' AS used_by
                 FROM connections c
                 JOIN apps a ON a.workspace_id = c.workspace_id AND a.id = c.app_id
                 JOIN gateways g ON g.workspace_id = c.workspace_id AND g.id = c.gateway_id
                 WHERE c.workspace_id = $1 AND c.gateway_id = $2
                 ORDER BY used_by LIMIT 10")
            .bind(workspace.0)
            .bind(gateway.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

/// What goes with it.
pub(super) async fn assignments(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
) -> Result<Vec<AssignmentId>, DbError> {
    let rows: Vec<(Uuid,)> = tx
        .all(
            sql("SELECT id FROM assignments WHERE workspace_id = $1 AND gateway_id = $2")
                .bind(workspace.0)
                .bind(gateway.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| AssignmentId(it.0)).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    teams: Option<String>,
    addresses: Value,
    max_autonomy_seconds: i64,
    created_at: DateTime<Utc>,
    #[sqlx(flatten)]
    off: OffColumns,
}

impl TryFrom<Row> for Gateway {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let (id, name) = (GatewayId(row.id), row::name(row.name)?);
        let AddressesText(addresses) = row::json(row.addresses)?;
        let (teams, off, created_at) = (row::names(row.teams)?, row.off.into(), row.created_at);
        // No more than a small number is ever written.
        let max_autonomy_seconds = u8::try_from(row.max_autonomy_seconds).unwrap_or_default();
        Ok(Self { id, name, teams, addresses, max_autonomy_seconds, off, created_at })
    }
}
