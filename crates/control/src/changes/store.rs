//! Table `pin_changes`. Nobody writes to it but triggers.

use db::{DbError, Tx, sql};
use domain::{ServerId, WorkspaceId};
use uuid::Uuid;

/// A number for each server that is another one whenever what it lists is, or what is decided about it.
/// Of all workspaces, since whoever follows any of them is told from here.
pub(super) async fn numbers(tx: &mut Tx) -> Result<Vec<(WorkspaceId, ServerId, i64)>, DbError> {
    let rows: Vec<(Uuid, Uuid, i64)> =
        tx.all(sql("SELECT workspace_id, server_id, number FROM pin_changes")).await?;
    let typed = |(workspace, server, number)| (WorkspaceId(workspace), ServerId(server), number);
    Ok(rows.into_iter().map(typed).collect())
}
