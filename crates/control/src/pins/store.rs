//! Table `pins`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::ports::Sighting;
use domain::{DefinitionHash, PinKey, PinKind, ServerId, Stamp, WorkspaceId};
use uuid::Uuid;

use super::{Filter, Pin, State};
use crate::api::Error;
use crate::row::{self, Named};

/// Pins in the order in which they were first seen.
pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    filter: &Filter<'_>,
    (after, limit): (Option<Uuid>, i64),
) -> Result<Vec<Pin>, Error> {
    let rows: Vec<Row> = tx
        .all(
            sql("SELECT p.id, p.server_id, s.name AS server, p.kind, p.name, p.hash, p.bytes,
                        p.marks, p.state, p.first_seen, p.last_seen, p.decided_by, p.decided_at,
                        CASE WHEN p.definition IS NULL THEN 0 ELSE 1 END AS is_known
                 FROM pins p
                 JOIN servers s ON s.workspace_id = p.workspace_id AND s.id = p.server_id
                 WHERE p.workspace_id = $1 AND ($2 IS NULL OR p.id = $2)
                   AND ($3 IS NULL OR p.server_id = $3) AND ($4 IS NULL OR p.state = $4)
                   AND ($5 IS NULL OR p.kind = $5) AND ($6 IS NULL OR p.name = $6)
                   AND ($7 IS NULL OR p.id > $7)
                 ORDER BY p.id LIMIT $8")
            .bind(workspace.0)
            .bind(filter.id)
            .bind(filter.server.map(|it| it.0))
            .bind(filter.state.map(State::as_str))
            .bind(filter.kind.map(PinKind::as_str))
            .bind(filter.name)
            .bind(after)
            .bind(limit),
        )
        .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// How many wait for a decision.
pub(super) async fn count_pending(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: Option<ServerId>,
) -> Result<i64, DbError> {
    let statement = sql("SELECT count(*) FROM pins
                         WHERE workspace_id = $1 AND state = 'pending'
                           AND ($2 IS NULL OR server_id = $2)");
    let statement = statement.bind(workspace.0).bind(server.map(|it| it.0));
    let row: Option<(i64,)> = tx.optional(statement).await?;
    Ok(row.map_or(0, |it| it.0))
}

pub(super) async fn count_pending_by_server(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<(Uuid, i64)>, DbError> {
    let statement = sql("SELECT server_id, count(*) FROM pins
                         WHERE workspace_id = $1 AND state = 'pending'
                         GROUP BY server_id");
    tx.all(statement.bind(workspace.0)).await
}

/// The definition itself, where it is kept.
pub(super) async fn definition(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pin: Uuid,
) -> Result<Option<String>, DbError> {
    let row: Option<(Option<String>,)> = tx
        .optional(
            sql("SELECT definition FROM pins WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(pin),
        )
        .await?;
    Ok(row.and_then(|it| it.0))
}

/// Notes that a definition has been listed, for the first time or again.
pub(super) async fn note(
    tx: &mut Tx,
    (workspace, server): (WorkspaceId, ServerId),
    stamp: Stamp,
    sighting: &Sighting,
    (definition, bytes, marks): (Option<&str>, i64, &str),
) -> Result<(), DbError> {
    let statement = sql("INSERT INTO pins
           (workspace_id, id, server_id, kind, name, hash, definition, bytes, marks, state,
            first_seen, last_seen)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', $10, $10)
         ON CONFLICT (workspace_id, server_id, kind, hash) DO UPDATE
         SET name = excluded.name, definition = excluded.definition, bytes = excluded.bytes,
             marks = excluded.marks, last_seen = excluded.last_seen");
    tx.execute(
        statement
            .bind(workspace.0)
            .bind(stamp.id)
            .bind(server.0)
            .bind(sighting.pin.kind.as_str())
            .bind(sighting.name.as_ref())
            .bind(sighting.pin.hash.0.as_slice())
            .bind(definition.map(str::to_owned))
            .bind(bytes)
            .bind(marks)
            .bind(stamp.at),
    )
    .await?;
    Ok(())
}

/// Approves what nobody may have seen yet, as files do.
pub(super) async fn insert_approved(
    tx: &mut Tx,
    (workspace, server): (WorkspaceId, ServerId),
    stamp: Stamp,
    (name, pin): (&str, PinKey),
    by: &str,
) -> Result<(), DbError> {
    let statement = sql("INSERT INTO pins
           (workspace_id, id, server_id, kind, name, hash, bytes, marks, state,
            first_seen, last_seen, decided_by, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, 0, '', 'approved', $7, $7, $8, $7)
         ON CONFLICT (workspace_id, server_id, kind, hash) DO UPDATE
         SET state = 'approved', decided_by = excluded.decided_by,
             decided_at = excluded.decided_at");
    tx.execute(
        statement
            .bind(workspace.0)
            .bind(stamp.id)
            .bind(server.0)
            .bind(pin.kind.as_str())
            .bind(name)
            .bind(pin.hash.0.as_slice())
            .bind(stamp.at)
            .bind(by),
    )
    .await?;
    Ok(())
}

/// Notes what has been decided.
pub(super) async fn decide(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pin: Uuid,
    state: State,
    decided: Option<(&str, DateTime<Utc>)>,
) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE pins SET state = $3, decided_by = $4, decided_at = $5
             WHERE workspace_id = $1 AND id = $2")
        .bind(workspace.0)
        .bind(pin)
        .bind(state.as_str())
        .bind(decided.map(|it| it.0.to_owned()))
        .bind(decided.map(|it| it.1)),
    )
    .await?;
    Ok(())
}

/// What is not approved of a server, what has been seen last first.
pub(super) async fn undecided(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: ServerId,
) -> Result<Vec<Weight>, DbError> {
    tx.all(
        sql("SELECT id, kind, name, bytes FROM pins
             WHERE workspace_id = $1 AND server_id = $2 AND state <> 'approved'
             ORDER BY last_seen DESC, id DESC")
        .bind(workspace.0)
        .bind(server.0),
    )
    .await
}

pub(super) async fn delete(tx: &mut Tx, workspace: WorkspaceId, pin: Uuid) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM pins WHERE workspace_id = $1 AND id = $2").bind(workspace.0).bind(pin),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete_all(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: ServerId,
) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM pins WHERE workspace_id = $1 AND server_id = $2")
            .bind(workspace.0)
            .bind(server.0),
    )
    .await?;
    Ok(())
}

/// What room a pin takes.
#[derive(sqlx::FromRow)]
pub(super) struct Weight {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) bytes: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    server_id: Uuid,
    server: String,
    kind: String,
    name: String,
    hash: Vec<u8>,
    bytes: i64,
    marks: String,
    state: String,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    is_known: i32,
}

impl TryFrom<Row> for Pin {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let kind: PinKind = row.kind.parse().map_err(|why: &'static str| Error::internal(why))?;
        let hash = row.hash.try_into().map_err(|_| Error::internal("the hash is not 32 bytes"))?;
        Ok(Self {
            id: row.id,
            server: Named { id: ServerId(row.server_id), name: row::name(row.server)? },
            key: PinKey { kind, hash: DefinitionHash(hash) },
            name: row.name,
            bytes: row.bytes,
            is_known: row.is_known == 1,
            marks: row.marks,
            state: State::parse(&row.state).ok_or_else(|| Error::internal("no such state"))?,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
        })
    }
}
