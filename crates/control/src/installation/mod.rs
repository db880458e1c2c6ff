//! What every start finds, or the first one makes: the proof that vault and database belong
//! together, a workspace, and someone who may administer.

mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::json;
use vault::Secret;

use crate::App;
use crate::addresses::AddressesText;
use crate::api::{Rights, Touched};
use crate::change::Change;
use crate::control::ControlError;
use crate::session::{self, Caller};
use crate::trail::{self, Act, End, What};
use crate::workspaces::{self, DurabilityText, NewWorkspace};

/// The first start.
pub(crate) struct First {
    /// The admin token that it has made.
    pub(crate) secret: Secret,
    /// Its record, which is to be ended.
    pub(crate) act: (Act, End),
}

/// Done in one change, so that of two replicas that start at once only one makes it.
pub(crate) async fn start(app: &Arc<App>) -> Result<Option<First>, ControlError> {
    let mut made = None;
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
            let workspace = workspaces::create(&mut change, new).await.map_err(unusable)?;
            made = Some(workspace.name);
        }
    }
    if session::has_admins(&mut change).await? {
        change.rollback().await?;
        return Ok(None);
    }
    let stamp = app.clock.stamp();
    let what = What::words("first start");
    let logs = vec![trail::INSTALLATION];
    let act = trail::open(app, &Caller::command_line(), (stamp.id, what), logs).await;
    let act = act.map_err(unusable)?;
    let secret = session::mint_admin(&mut change, stamp, (FIRST_ADMIN, true)).await?;
    if let Err(error) = change.commit().await {
        act.close(app, End::failed(&error)).await;
        return Err(unusable(error));
    }
    let touched = session::minted(stamp, FIRST_ADMIN);
    let after = json!({"admin_token": touched.after, "workspace": made});
    let end = End::with(StatusCode::CREATED).touching(Touched { after: Some(after), ..touched });
    Ok(Some(First { secret, act: (act, end) }))
}

/// The name of the admin token that the first start makes.
const FIRST_ADMIN: &str = "first";

fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ControlError {
    ControlError::Configuration(error.into())
}
