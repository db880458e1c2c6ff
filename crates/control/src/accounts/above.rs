//! `/accounts`: who can sign in above all workspaces, and taking that away.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::AccountBody;
use super::{store, touched};
use crate::App;
use crate::api::{Done, Error, IfMatch, Json, Page, Paging, Path, Problem, Ref, Rights, Which};
use crate::change::Change;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_accounts)).routes(routes!(delete_account))
}

#[derive(Deserialize)]
struct AccountPath {
    account: Ref,
}

/// The accounts above all workspaces, by name. Each may do anything.
#[utoipa::path(
    get,
    path = "/accounts",
    params(Paging),
    responses((status = 200, body = Page<AccountBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:read"))),
    tag = "session",
)]
async fn list_accounts(
    State(app): State<Arc<App>>,
    paging: Paging,
) -> Result<Json<Page<AccountBody>>, Error> {
    let mut tx = app.db.read().await?;
    let mut found = Vec::new();
    for account in store::administrators(&mut tx, Which::Page(&paging)).await? {
        found.push(AccountBody::of(&mut tx, account).await?);
    }
    Ok(Json(paging.answer(found, |it| it.name.to_string(), |it| it)))
}

/// Delete an account above all workspaces, with its passkeys. Its sessions end at once.
#[utoipa::path(
    delete,
    path = "/accounts/{account}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:write")), ("x-step-up" = json!(true))),
    tag = "session",
)]
async fn delete_account(
    State(app): State<Arc<App>>,
    rights: Rights,
    Path(path): Path<AccountPath>,
    if_match: IfMatch,
) -> Result<Done<AccountBody>, Error> {
    // A change, so that whoever follows the records by one of its sessions is told.
    let mut change = Change::begin_switch(&app, &rights).await?;
    let found = store::administrators(&mut change, Which::One(&path.account)).await?.pop();
    let account = found.ok_or_else(|| path.account.not_found("account"))?;
    let before = AccountBody::of(&mut change, account.clone()).await?;
    if_match.check(&before)?;
    store::delete(&mut change, &account).await?;
    change.commit().await?;
    Ok(Done::deleted(touched(&account), &before))
}
