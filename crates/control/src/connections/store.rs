//! Tables `connections` and `choices`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{AppId, ConnectionId, GatewayId, IdentityId, ServerId, UserId, WorkspaceId};
use uuid::Uuid;

use super::Connection;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row::{self, Named};
use crate::switches::OffColumns;

/// What a list says of connections.
macro_rules! listed {
    ($from:literal, $where:literal) => {
        concat!(
            "SELECT c.id, c.app_id, a.name AS app, c.gateway_id, g.name AS gateway,
                    c.user_id, u.name AS user_name, c.created_at, p.app_id IS NOT NULL AS picked,
                    (SELECT string_agg(s.name || '=' || i.name, ',' ORDER BY s.name)
                     FROM choices x
                     JOIN servers s ON s.workspace_id = x.workspace_id AND s.id = x.server_id
                     JOIN identities i ON i.workspace_id = x.workspace_id AND i.id = x.identity_id
                     WHERE x.workspace_id = c.workspace_id AND x.connection_id = c.id) AS choices,
                    o.created_at AS off_since, o.until AS off_until, o.reason AS off_reason
                 FROM ",
            $from,
            " c
                 JOIN apps a ON a.workspace_id = c.workspace_id AND a.id = c.app_id
                 LEFT JOIN gateways g ON g.workspace_id = c.workspace_id AND g.id = c.gateway_id
                 JOIN users u ON u.workspace_id = c.workspace_id AND u.id = c.user_id
                 LEFT JOIN picks p ON p.workspace_id = c.workspace_id AND p.app_id = c.app_id
                   AND p.gateway_id = c.gateway_id
                 LEFT JOIN switches o
                   ON o.workspace_id = c.workspace_id AND o.kind = 'connection' AND o.target_id = c.id
                 WHERE ",
            $where,
            " AND ($2 IS NULL OR c.id = $2) AND ($3 IS NULL OR g.name = $3)
                   AND ($4 IS NULL OR (a.name, g.name) > ($9, $10)) AND ($6 IS NULL OR c.app_id = $6)
                 ORDER BY a.name, g.name LIMIT $5"
        )
    };
}
const LISTED: &str = listed!("connections", "c.workspace_id = $1");
/// SQLite would go through all apps for a few connections, in the order of the list.
const LISTED_OF_PART: &str = listed!(
    "(SELECT * FROM connections WHERE workspace_id = $1 AND gateway_id = $7
      UNION SELECT * FROM connections WHERE workspace_id = $1 AND user_id = $8)",
    "TRUE"
);

/// [`Which::One`] goes by the id or the gateway's name, pages by the app's name and the gateway's.
///
/// Each has a gateway; the outer join keeps SQLite from going through all gateways for each app.
pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    app: Option<AppId>,
    which: Which<'_>,
) -> Result<Vec<Connection>, Error> {
    let text = if which.is_anywhere() { LISTED } else { LISTED_OF_PART };
    let statement = sql(text).bind(workspace.0);
    let statement = which.bind(statement).bind(app.map(|it| it.0));
    let statement = statement.bind(which.gateway()).bind(which.owner());
    // Cursors of before had a slash there. Without either it is after all of an app.
    let after = which.after().map(|it| it.split_once([' ', '/']).unwrap_or((it, "")));
    let (after, gateway) = after.unwrap_or_default();
    let rows: Vec<Row> = tx.all(statement.bind(after).bind(gateway)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    it: &Connection,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO connections
                   (workspace_id, id, app_id, gateway_id, user_id, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(workspace.0)
            .bind(it.id.0)
            .bind(it.app.id.0)
            .bind(it.gateway.id.0)
            .bind(it.user.id.0)
            .bind(it.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    connection: ConnectionId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM connections WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(connection.0),
        )
        .await?;
    Ok(())
}

pub(super) async fn remove_choices(
    change: &mut Change,
    workspace: WorkspaceId,
    connection: ConnectionId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM choices WHERE workspace_id = $1 AND connection_id = $2")
                .bind(workspace.0)
                .bind(connection.0),
        )
        .await?;
    Ok(())
}

pub(super) async fn add_choice(
    change: &mut Change,
    workspace: WorkspaceId,
    connection: ConnectionId,
    (server, identity): (ServerId, IdentityId),
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO choices (workspace_id, connection_id, server_id, identity_id)
                 VALUES ($1, $2, $3, $4)")
            .bind(workspace.0)
            .bind(connection.0)
            .bind(server.0)
            .bind(identity.0),
        )
        .await?;
    Ok(())
}

/// Lets the app be at a gateway, having been at none; whether it is connected to that.
pub(super) async fn pick(
    change: &mut Change,
    workspace: WorkspaceId,
    app: AppId,
    gateway: GatewayId,
) -> Result<bool, DbError> {
    let picked = change
        .execute(
            sql("INSERT INTO picks (workspace_id, app_id, gateway_id)
                 SELECT workspace_id, app_id, gateway_id FROM connections
                 WHERE workspace_id = $1 AND app_id = $2 AND gateway_id = $3")
            .bind(workspace.0)
            .bind(app.0)
            .bind(gateway.0),
        )
        .await?;
    Ok(0 < picked)
}

pub(super) async fn unpick(
    change: &mut Change,
    workspace: WorkspaceId,
    app: AppId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM picks WHERE workspace_id = $1 AND app_id = $2")
                .bind(workspace.0)
                .bind(app.0),
        )
        .await?;
    Ok(())
}

/// The chosen credentials that belong to someone other than `owner`.
pub(super) async fn private_choices(
    tx: &mut Tx,
    workspace: WorkspaceId,
    app: AppId,
    owner: UserId,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT DISTINCT 'identity `' || i.name || '`' AS used
                 FROM choices x
                 JOIN connections c ON c.workspace_id = x.workspace_id AND c.id = x.connection_id
                 JOIN identities i ON i.workspace_id = x.workspace_id AND i.id = x.identity_id
                 WHERE x.workspace_id = $1 AND c.app_id = $2
                   AND i.owner_id IS NOT NULL AND i.owner_id <> $3
                 ORDER BY used LIMIT 10")
            .bind(workspace.0)
            .bind(app.0)
            .bind(owner.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

pub(super) async fn hand_over(
    change: &mut Change,
    workspace: WorkspaceId,
    app: AppId,
    owner: UserId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE connections SET user_id = $3 WHERE workspace_id = $1 AND app_id = $2")
                .bind(workspace.0)
                .bind(app.0)
                .bind(owner.0),
        )
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    app_id: Uuid,
    app: String,
    gateway_id: Uuid,
    gateway: String,
    user_id: Uuid,
    user_name: String,
    choices: Option<String>,
    picked: bool,
    created_at: DateTime<Utc>,
    #[sqlx(flatten)]
    off: OffColumns,
}

impl TryFrom<Row> for Connection {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        // Joined as `server=identity,…`; no name holds either sign.
        let choices = row.choices.unwrap_or_default();
        let choices = choices.split(',').filter_map(|it| it.split_once('='));
        let choices = choices
            .map(|(server, identity)| Ok((row::name(server.into())?, row::name(identity.into())?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            id: ConnectionId(row.id),
            app: Named { id: AppId(row.app_id), name: row::name(row.app)? },
            gateway: Named { id: GatewayId(row.gateway_id), name: row::name(row.gateway)? },
            user: Named { id: UserId(row.user_id), name: row::name(row.user_name)? },
            choices,
            picked: row.picked,
            off: row.off.into(),
            created_at: row.created_at,
        })
    }
}
