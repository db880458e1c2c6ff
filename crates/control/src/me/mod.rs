//! What somebody has in a workspace, for themselves: the gateways that they may use, their apps and
//! their credentials. Their calls are in [`series`](crate::series), which finds calls.
//!
//! Who is meant is said by what was presented and by nothing else, so there is nobody to name, and
//! whatever roles somebody holds, here they see no more than is theirs. Nothing is decided here: whether
//! an app gets somewhere is what [`why`](crate::why) says. A token that is good for less shows less.

mod apps;
mod gateways;
mod identities;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{Capability, UserId, WorkspaceId};
use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::api::{Error, InWorkspace};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(apps::routes()).merge(gateways::routes()).merge(identities::routes())
}

/// Whoever asks, as a user of their workspace.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) workspace: WorkspaceId,
    pub(crate) user: UserId,
    here: InWorkspace,
}

impl Person {
    /// Refuses what the token is not good for. All else of what is theirs is everybody's to see.
    pub(crate) fn check(&self, capability: Capability) -> Result<(), Error> {
        let refused = || Error::forbidden(capability, "what is yours");
        self.admits(capability).then_some(()).ok_or_else(refused)
    }

    /// Whether the token is good for it.
    fn admits(&self, capability: Capability) -> bool {
        self.here.rights.limits().is_none_or(|it| it.contains(&capability))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let here = InWorkspace::from_request_parts(parts, state).await?;
        // The guard has let nobody by who is none.
        let user = here.rights.user().ok_or(Error::NoRoute)?;
        Ok(Self { workspace: here.id, user, here })
    }
}
