//! Tables `teams` and `members`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{Name, TeamId, UserId, WorkspaceId};
use uuid::Uuid;

use super::Team;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Team>, Error> {
    let statement = sql("SELECT t.id, t.name, t.created_at,
            (SELECT string_agg(u.name, ',' ORDER BY u.name)
             FROM members m JOIN users u ON u.workspace_id = m.workspace_id AND u.id = m.user_id
             WHERE m.workspace_id = t.workspace_id AND m.team_id = t.id) AS members
         FROM teams t
         WHERE t.workspace_id = $1 AND ($2 IS NULL OR t.id = $2) AND ($3 IS NULL OR t.name = $3)
           AND ($4 IS NULL OR t.name > $4) AND ($6 OR t.id = $7)
         ORDER BY t.name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> =
        tx.all(which.bind(statement).bind(which.is_anywhere()).bind(which.team())).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    team: &Team,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO teams (workspace_id, id, name, created_at) VALUES ($1, $2, $3, $4)")
                .bind(workspace.0)
                .bind(team.id.0)
                .bind(team.name.as_str())
                .bind(team.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn rename(
    change: &mut Change,
    workspace: WorkspaceId,
    team: TeamId,
    name: &Name,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE teams SET name = $3 WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(team.0)
                .bind(name.as_str()),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    team: TeamId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM teams WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(team.0),
        )
        .await?;
    Ok(())
}

/// Adding a member twice is adding it once.
pub(super) async fn add_member(
    change: &mut Change,
    workspace: WorkspaceId,
    team: TeamId,
    user: UserId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO members (workspace_id, team_id, user_id) VALUES ($1, $2, $3)
                 ON CONFLICT (workspace_id, team_id, user_id) DO NOTHING")
            .bind(workspace.0)
            .bind(team.0)
            .bind(user.0),
        )
        .await?;
    Ok(())
}

pub(super) async fn remove_member(
    change: &mut Change,
    workspace: WorkspaceId,
    team: TeamId,
    user: UserId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM members
                 WHERE workspace_id = $1 AND team_id = $2 AND user_id = $3")
            .bind(workspace.0)
            .bind(team.0)
            .bind(user.0),
        )
        .await?;
    Ok(())
}

pub(super) async fn remove_members(
    change: &mut Change,
    workspace: WorkspaceId,
    team: TeamId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM members WHERE workspace_id = $1 AND team_id = $2")
                .bind(workspace.0)
                .bind(team.0),
        )
        .await?;
    Ok(())
}

/// Who is in it.
pub(super) async fn members(
    tx: &mut Tx,
    workspace: WorkspaceId,
    team: TeamId,
) -> Result<BTreeSet<UserId>, DbError> {
    let rows: Vec<(Uuid,)> = tx
        .all(
            sql("SELECT user_id FROM members WHERE workspace_id = $1 AND team_id = $2")
                .bind(workspace.0)
                .bind(team.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| UserId(it.0)).collect())
}

/// The gateways that grant it.
pub(super) async fn uses(
    tx: &mut Tx,
    workspace: WorkspaceId,
    team: TeamId,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT 'gateway `' || g.name || '`' AS used_by
                 FROM grants t JOIN gateways g
                   ON g.workspace_id = t.workspace_id AND g.id = t.gateway_id
                 WHERE t.workspace_id = $1 AND t.team_id = $2
                 ORDER BY used_by LIMIT 10")
            .bind(workspace.0)
            .bind(team.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    members: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Team {
    type Error = Error;

    fn try_from(Row { id, name, members, created_at }: Row) -> Result<Self, Error> {
        let (id, name, members) = (TeamId(id), row::name(name)?, row::names(members)?);
        Ok(Self { id, name, members, created_at })
    }
}
