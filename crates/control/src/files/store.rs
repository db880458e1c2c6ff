//! Table `owners`. The data plane does not read it.

use db::{DbError, Tx, sql};
use domain::{Name, WorkspaceId};
use uuid::Uuid;

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) object_id: Uuid,
    pub(super) owner: String,
}

pub(super) async fn select(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Row>, DbError> {
    tx.all(
        sql("SELECT kind, object_id, owner FROM owners WHERE workspace_id = $1").bind(workspace.0),
    )
    .await
}

pub(super) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (kind, object): (&str, Uuid),
    owner: &Name,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO owners (workspace_id, kind, object_id, owner) VALUES ($1, $2, $3, $4)")
            .bind(workspace.0)
            .bind(kind)
            .bind(object)
            .bind(owner.as_str()),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (kind, object): (&str, Uuid),
) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM owners WHERE workspace_id = $1 AND kind = $2 AND object_id = $3")
            .bind(workspace.0)
            .bind(kind)
            .bind(object),
    )
    .await?;
    Ok(())
}
