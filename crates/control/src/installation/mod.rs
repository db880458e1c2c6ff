//! What every start finds, or the first one makes: the proof that vault and database belong
//! together, a workspace, and someone who may administer.

mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use vault::Secret;

use crate::App;
use crate::addresses::AddressesText;
use crate::api::Rights;
use crate::change::Change;
use crate::control::ControlError;
use crate::session;
use crate::workspaces::{self, DurabilityText, NewWorkspace};

/// Done in one change, so that of two replicas that start at once only one makes it. Gives the
/// admin token that it has made, if any.
pub(crate) async fn start(app: &Arc<App>) -> Result<Option<Secret>, ControlError> {
    let mut change = Change::begin(app, &Rights::of_installation(app)).await.map_err(unusable)?;
    match store::vault_check(&mut change).await? {
        Some(stored) => app.vault.verify_check(&stored).map_err(ControlError::Vault)?,
        None => {
            store::insert(&mut change, app.vault.check_value(), app.clock.now()).await?;
            let name = workspaces::DEFAULT.parse().map_err(unusable)?;
            let new = NewWorkspace {
                name,
                durability: DurabilityText::default(),
                addresses: AddressesText::default(),
            };
            workspaces::create(&mut change, new).await.map_err(unusable)?;
        }
    }
    if session::has_admins(&mut change).await? {
        change.rollback().await?;
        return Ok(None);
    }
    let secret = session::mint_admin(&mut change, app.clock.stamp(), FIRST_ADMIN).await?;
    change.commit().await.map_err(unusable)?;
    Ok(Some(secret))
}

/// The name of the admin token that the first start makes.
const FIRST_ADMIN: &str = "first";

fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ControlError {
    ControlError::Configuration(error.into())
}
