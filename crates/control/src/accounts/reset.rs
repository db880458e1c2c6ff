//! `/users/{user}/account`: taking it away from somebody who has lost it, or whom somebody else is in for.

use std::sync::Arc;

use axum::extract::State;
use domain::{Capability, Object, UserId, WorkspaceId};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::AccountBody;
use super::{Account, store, touched};
use crate::api::{Done, Error, IfMatch, InWorkspace, Path, Problem, Ref};
use crate::change::Change;
use crate::users::User;
use crate::{App, role_grants, session, user_admin_tokens, users};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(reset_user_account))
}

#[derive(Deserialize)]
struct UserPath {
    user: Ref,
}

/// Take password and passkeys from a user. It ends all sessions of the user and revokes the admin tokens that
/// whoever was in the account may hold: the user's own, and what the user made for others. The account is made
/// anew with a token that an administrator of the installation makes for the user.
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
    evict(&mut change, (workspace.id, user.id), &account).await?;
    change.commit().await?;
    Ok(Done::deleted(touched(&account), &before))
}

/// Whoever is in the account could have begun sessions and made tokens, and would make the account anew with
/// one of them.
async fn evict(
    change: &mut Change,
    place: (WorkspaceId, UserId),
    account: &Account,
) -> Result<(), Error> {
    session::end_of_user(change, place).await?;
    user_admin_tokens::revoke_of(change, place).await?;
    Ok(store::delete(change, account).await?)
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
