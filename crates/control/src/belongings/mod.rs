//! What goes with something that is deleted, without being named: for the record of the act.

mod store;

use db::{DbError, Tx};
use domain::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Something that has gone with what it belonged to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema, sqlx::FromRow)]
pub(crate) struct Belonging {
    /// As it is called in addresses: `token`, `connection`, `assignment`, `rule`, `team`, `member`,
    /// `role-grant`, `admin-token` or `pin`.
    pub(crate) kind: String,
    pub(crate) id: Uuid,
    /// Its own name, or that of what it leads to.
    pub(crate) name: String,
}

/// Whose they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    App,
    Gateway,
    Server,
    Team,
    User,
}

/// All of them, by kind and name. To be asked before it is deleted, in the same change.
pub(crate) async fn of(
    tx: &mut Tx,
    owner: Of,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<Vec<Belonging>, DbError> {
    store::list(tx, owner, workspace, id).await
}
