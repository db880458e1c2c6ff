//! `/me/apps`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use domain::{AppId, Capability};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Person;
use crate::App;
use crate::api::{Error, Json, Page, Paging, Problem, Which, Within};
use crate::apps::{self, AppBody};
use crate::tokens::{self, TokenBody};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_own_apps))
}

/// An app of the caller's, and what it presents.
#[derive(Serialize, ToSchema)]
struct OwnAppBody {
    app: AppBody,
    /// Those that have not expired, by name and without their secrets; at most 50.
    tokens: Vec<TokenBody>,
}

/// The caller's apps, by name, with their tokens.
#[utoipa::path(
    get,
    path = "/me/apps",
    params(Paging),
    responses((status = 200, body = Page<OwnAppBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("own"))),
    tag = "me",
)]
async fn list_own_apps(
    State(app): State<Arc<App>>,
    person: Person,
    paging: Paging,
) -> Result<Json<Page<OwnAppBody>>, Error> {
    person.check(Capability::AppsRead)?;
    let now = app.clock.now();
    let mut tx = app.db.read().await?;
    let which = Which::Within(&paging, Within::Own(person.user));
    let found = apps::list(&mut tx, person.workspace, which).await?;
    let mut tokens: HashMap<AppId, Vec<TokenBody>> = HashMap::new();
    if let [first, ..] = &found[..]
        && let [.., last] = &found[..]
    {
        let whose = (person.workspace, person.user);
        for it in tokens::of_owner(&mut tx, whose, (&first.name, &last.name), now).await? {
            tokens.entry(it.app).or_default().push(TokenBody::of(it));
        }
    }
    let body = |it: apps::App| OwnAppBody {
        tokens: tokens.remove(&it.id).unwrap_or_default(),
        app: AppBody::of(it, now),
    };
    Ok(Json(paging.answer(found, |it| it.name.to_string(), body)))
}
