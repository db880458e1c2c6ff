//! Tenants. Everything else belongs to exactly one, and nothing crosses.

mod api;
mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use db::{DbError, Tx};
use domain::{Addresses, Capability, Durability, Name, Object, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use api::{NewWorkspace, WorkspacePatch, routes};

use crate::addresses::AddressesText;
use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::content_keys;

#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    pub(crate) name: Name,
    pub(crate) durability: Durability,
    pub(crate) addresses: Addresses,
    pub(crate) created_at: DateTime<Utc>,
}

/// What a record must have survived before a call goes on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DurabilityText {
    /// The death of the process.
    #[default]
    Written,
    /// The loss of power.
    Synced,
}

/// The name of the one that is there from the first start.
pub(crate) const DEFAULT: &str = "default";

pub(crate) async fn list(tx: &mut Tx, which: Which<'_>) -> Result<Vec<Workspace>, Error> {
    store::select(tx, which).await
}

pub(crate) async fn find(tx: &mut Tx, workspace: &Ref) -> Result<Workspace, Error> {
    let found = store::select(tx, Which::One(workspace)).await?.pop();
    found.ok_or_else(|| workspace.not_found("workspace"))
}

pub(crate) async fn create(change: &mut Change, new: NewWorkspace) -> Result<Workspace, Error> {
    let named = ("workspace", &new.name);
    change.require(Capability::WorkspacesWrite, &Object::Installation, named)?;
    let stamp = change.stamp();
    let workspace = Workspace {
        id: WorkspaceId(stamp.id),
        name: new.name,
        durability: new.durability.into(),
        addresses: new.addresses.0,
        created_at: stamp.at,
    };
    store::insert(change, &workspace)
        .await
        .map_err(|error| Error::saving(error, "workspace", &workspace.name))?;
    Ok(workspace)
}

pub(crate) async fn update(
    change: &mut Change,
    mut workspace: Workspace,
    patch: WorkspacePatch,
) -> Result<Workspace, Error> {
    change.require_on_workspace(Capability::WorkspacesWrite)?;
    workspace.name = patch.name.unwrap_or(workspace.name);
    workspace.durability = patch.durability.map_or(workspace.durability, Into::into);
    if let Some(AddressesText(addresses)) = patch.addresses {
        check_addresses(change, &addresses, patch.force)?;
        workspace.addresses = addresses;
    }
    store::update(change, &workspace)
        .await
        .map_err(|error| Error::saving(error, "workspace", &workspace.name))?;
    Ok(workspace)
}

/// Refuses a list that the request's own address is not on: that is mostly a mistake, and one that
/// locks people out.
fn check_addresses(change: &Change, addresses: &Addresses, force: bool) -> Result<(), Error> {
    match change.rights().address() {
        Some(own) if !force && !addresses.admit(own) => Err(Error::Conflict(format!(
            "you come from {}, which is not among the addresses; to set them nevertheless, say \
             `force`",
            domain::canonical(own),
        ))),
        _ => Ok(()),
    }
}

/// Only an empty one goes, so that nothing is deleted by one mistaken word.
async fn delete(change: &mut Change, workspace: &Workspace) -> Result<(), Error> {
    change.require_on_workspace(Capability::WorkspacesWrite)?;
    let in_use = |by| Error::InUse { kind: "workspace", name: workspace.name.to_string(), by };
    let by = store::uses(change, workspace.id).await?;
    if !by.is_empty() {
        return Err(in_use(by));
    }
    content_keys::keep(change, workspace.id).await?;
    match store::delete(change, workspace.id).await {
        // Replicas may make a key meanwhile.
        Err(DbError::Referenced) => {
            Err(Error::Conflict("it was in use just now: try again".into()))
        }
        outcome => Ok(outcome?),
    }
}

impl DurabilityText {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Synced => "synced",
        }
    }
}

impl From<DurabilityText> for Durability {
    fn from(text: DurabilityText) -> Self {
        match text {
            DurabilityText::Written => Self::Written,
            DurabilityText::Synced => Self::Synced,
        }
    }
}

impl From<Durability> for DurabilityText {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Written => Self::Written,
            Durability::Synced => Self::Synced,
        }
    }
}
