//! `/users/{user}/account`: taking it away from somebody who has lost it, or whom somebody else is in for.

use std::sync::Arc;

use axum::extract::State;
use domain::{Capability, Object, WorkspaceId};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::AccountBody;
use super::{Account, store, touched};
use crate::api::{Done, Error, IfMatch, InWorkspace, Path, Problem, Ref};
use crate::change::Change;
use crate::users::User;
use crate::{App, role_grants, users};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(reset_user_account))
}

#[derive(Deserialize)]
struct UserPath {
    user: Ref,
}

/// Take password and passkeys from a user, which ends the sessions of the account. The user makes it anew
/// with an admin token.
#[utoipa::path(
    delete,
    path = "/users/{user}/account",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write")), ("x-step-up" = json!(true))),
    tag = "users",
)]
async fn reset_user_account(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<UserPath>,
    if_match: IfMatch,
) -> Result<Done<AccountBody>, Error> {
    // A change, so that whoever follows the records by one of its sessions is told.
    let mut change = Change::begin_switch(&app, &workspace.rights).await?;
    let user = users::find(&mut change, workspace.id, &path.user).await?;
    let object = Object::User(user.id);
    change.require(Capability::PeopleWrite, &object, ("user", &user.name))?;
    let account = find(&mut change, workspace.id, &user).await?;
    let before = AccountBody::of(&mut change, account.clone()).await?;
    if_match.check(&before)?;
    check(&mut change, workspace.id, &user).await?;
    store::delete(&mut change, &account).await?;
    change.commit().await?;
    Ok(Done::deleted(touched(&account), &before))
}

/// Nobody does it to somebody who holds more, nor to themselves: whoever has come by a token of somebody
/// would otherwise make the account theirs.
async fn check(change: &mut Change, workspace: WorkspaceId, user: &User) -> Result<(), Error> {
    if change.rights().user() == Some(user.id) {
        return Err(Error::Forbidden("somebody else resets your account".into()));
    }
    role_grants::check_holds_as_much(change, workspace, user.id).await
}

async fn find(change: &mut Change, workspace: WorkspaceId, user: &User) -> Result<Account, Error> {
    let found = store::find_of_user(change, workspace, user.id).await?;
    found.ok_or_else(|| Error::NotFound { kind: "account", name: user.name.to_string() })
}
