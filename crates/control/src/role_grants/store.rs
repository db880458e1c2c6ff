//! Table `role_grants`.

use chrono::{DateTime, Utc};
use db::{DbError, Sql, Tx, sql};
use domain::{GatewayId, RoleGrantId, RoleId, ServerId, TeamId, UserId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::{Holder, On, RoleGrant};
use crate::api::{Error, Which};
use crate::change::Change;
use crate::roles::BuiltIn;
use crate::row::{self, Named};

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<RoleGrant>, Error> {
    let statement = which.bind(statement(workspace)).bind(which.is_anywhere());
    let statement = statement.bind(which.gateway()).bind(which.server()).bind(which.team());
    read(tx, statement.bind(None::<Uuid>).bind(None::<Uuid>).bind(None::<Uuid>)).await
}

pub(super) async fn of_role(
    tx: &mut Tx,
    workspace: WorkspaceId,
    role: RoleId,
) -> Result<Vec<RoleGrant>, Error> {
    read(tx, everywhere(workspace).bind(role.0).bind(None::<Uuid>).bind(None::<Uuid>)).await
}

pub(super) async fn of_team(
    tx: &mut Tx,
    workspace: WorkspaceId,
    team: TeamId,
) -> Result<Vec<RoleGrant>, Error> {
    read(tx, everywhere(workspace).bind(None::<Uuid>).bind(team.0).bind(None::<Uuid>)).await
}

/// Those given to a user, or to a team that the user is in.
pub(super) async fn of_user(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<RoleGrant>, Error> {
    read(tx, everywhere(workspace).bind(None::<Uuid>).bind(None::<Uuid>).bind(user.0)).await
}

fn everywhere(workspace: WorkspaceId) -> Sql {
    let all = Which::All;
    let statement = all.bind(statement(workspace)).bind(all.is_anywhere());
    statement.bind(all.gateway()).bind(all.server()).bind(all.team())
}

fn statement(workspace: WorkspaceId) -> Sql {
    sql("SELECT i.id, i.name, i.role_id, r.name AS role, r.capabilities, i.built_in,
            i.user_id, u.name AS user_name, i.team_id, t.name AS team,
            i.on_gateway_id, g.name AS on_gateway, i.on_server_id, s.name AS on_server,
            i.on_team_id, o.name AS on_team, i.created_at
         FROM role_grants i
         LEFT JOIN roles r ON r.workspace_id = i.workspace_id AND r.id = i.role_id
         LEFT JOIN users u ON u.workspace_id = i.workspace_id AND u.id = i.user_id
         LEFT JOIN teams t ON t.workspace_id = i.workspace_id AND t.id = i.team_id
         LEFT JOIN gateways g ON g.workspace_id = i.workspace_id AND g.id = i.on_gateway_id
         LEFT JOIN servers s ON s.workspace_id = i.workspace_id AND s.id = i.on_server_id
         LEFT JOIN teams o ON o.workspace_id = i.workspace_id AND o.id = i.on_team_id
         WHERE i.workspace_id = $1 AND ($2 IS NULL OR i.id = $2) AND ($3 IS NULL OR i.name = $3)
           AND ($4 IS NULL OR i.name > $4)
           AND ($6 OR i.on_gateway_id = $7 OR i.on_server_id = $8 OR i.on_team_id = $9)
           AND ($10 IS NULL OR i.role_id = $10) AND ($11 IS NULL OR i.team_id = $11)
           AND ($12 IS NULL OR i.user_id = $12 OR i.team_id IN (
             SELECT m.team_id FROM members m WHERE m.workspace_id = $1 AND m.user_id = $12))
         ORDER BY i.name LIMIT $5")
    .bind(workspace.0)
}

async fn read(tx: &mut Tx, statement: Sql) -> Result<Vec<RoleGrant>, Error> {
    let rows: Vec<Row> = tx.all(statement).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    (role, it): (Option<RoleId>, &RoleGrant),
) -> Result<(), DbError> {
    let built_in = role.is_none().then(|| it.role.as_str());
    let (user, team) = match &it.holder {
        Holder::User(user) => (Some(user.id.0), None),
        Holder::Team(team) => (None, Some(team.id.0)),
    };
    let (gateway, server, on_team) = match &it.on {
        On::Gateway(it) => (Some(it.id.0), None, None),
        On::Server(it) => (None, Some(it.id.0), None),
        On::Team(it) => (None, None, Some(it.id.0)),
        On::Workspace => (None, None, None),
    };
    change
        .execute(
            sql("INSERT INTO role_grants
                   (workspace_id, id, name, role_id, built_in, user_id, team_id,
                    on_gateway_id, on_server_id, on_team_id, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(workspace.0)
            .bind(it.id.0)
            .bind(it.name.as_str())
            .bind(role.map(|it| it.0))
            .bind(built_in)
            .bind(user)
            .bind(team)
            .bind(gateway)
            .bind(server)
            .bind(on_team)
            .bind(it.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    grant: RoleGrantId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM role_grants WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(grant.0),
        )
        .await?;
    Ok(())
}

/// Whether there is a user who is `workspace-admin` on all of the workspace. Who is off is nobody.
pub(super) async fn has_administrator(
    tx: &mut Tx,
    workspace: WorkspaceId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let found: Option<(Uuid,)> = tx
        .optional(
            sql("SELECT u.id FROM users u JOIN role_grants i ON i.workspace_id = u.workspace_id
                 WHERE u.workspace_id = $1 AND i.built_in = $2
                   AND i.on_gateway_id IS NULL AND i.on_server_id IS NULL AND i.on_team_id IS NULL
                   AND (i.user_id = u.id OR EXISTS (
                     SELECT 1 FROM members m
                     WHERE m.workspace_id = u.workspace_id AND m.team_id = i.team_id
                       AND m.user_id = u.id))
                   AND NOT EXISTS (
                     SELECT 1 FROM switches s
                     WHERE s.workspace_id = u.workspace_id AND s.kind = 'user'
                       AND s.target_id = u.id AND (s.until IS NULL OR s.until > $3))
                 LIMIT 1")
            .bind(workspace.0)
            .bind(BuiltIn::WorkspaceAdmin.name())
            .bind(now),
        )
        .await?;
    Ok(found.is_some())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    role: Option<String>,
    capabilities: Option<Value>,
    built_in: Option<String>,
    user_id: Option<Uuid>,
    user_name: Option<String>,
    team_id: Option<Uuid>,
    team: Option<String>,
    on_gateway_id: Option<Uuid>,
    on_gateway: Option<String>,
    on_server_id: Option<Uuid>,
    on_server: Option<String>,
    on_team_id: Option<Uuid>,
    on_team: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for RoleGrant {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let broken = || Error::internal("a role grant does not hold what it should");
        let capabilities = match (&row.built_in, row.capabilities) {
            (Some(text), _) => BuiltIn::find(text).map(BuiltIn::capabilities).unwrap_or_default(),
            (None, Some(stored)) => {
                let texts: Vec<String> = row::json(stored)?;
                texts.iter().filter_map(|it| it.parse().ok()).collect()
            }
            (None, None) => return Err(broken()),
        };
        let role = row.built_in.or(row.role).ok_or_else(broken)?;
        let holder = match (named(row.user_id, row.user_name)?, named(row.team_id, row.team)?) {
            (Some((id, name)), None) => Holder::User(Named { id: UserId(id), name }),
            (None, Some((id, name))) => Holder::Team(Named { id: TeamId(id), name }),
            _ => return Err(broken()),
        };
        let gateway = named(row.on_gateway_id, row.on_gateway)?;
        let server = named(row.on_server_id, row.on_server)?;
        let team = named(row.on_team_id, row.on_team)?;
        let on = match (gateway, server, team) {
            (Some((id, name)), None, None) => On::Gateway(Named { id: GatewayId(id), name }),
            (None, Some((id, name)), None) => On::Server(Named { id: ServerId(id), name }),
            (None, None, Some((id, name))) => On::Team(Named { id: TeamId(id), name }),
            (None, None, None) => On::Workspace,
            _ => return Err(broken()),
        };
        Ok(Self {
            id: RoleGrantId(row.id),
            name: row::name(row.name)?,
            role: row::name(role)?,
            capabilities,
            holder,
            on,
            created_at: row.created_at,
        })
    }
}

fn named(id: Option<Uuid>, name: Option<String>) -> Result<Option<(Uuid, domain::Name)>, Error> {
    id.zip(name).map(|(id, name)| Ok((id, row::name(name)?))).transpose()
}
