//! `/me/identities`.

use std::sync::Arc;

use axum::extract::State;
use domain::Capability;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Person;
use crate::App;
use crate::api::{Error, Json, Page, Paging, Problem, Which, Within};
use crate::identities::{self, IdentityBody};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_own_identities))
}

/// The caller's own credentials at servers, by name, without their values.
#[utoipa::path(
    get,
    path = "/me/identities",
    params(Paging),
    responses((status = 200, body = Page<IdentityBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("own"))),
    tag = "me",
)]
async fn list_own_identities(
    State(app): State<Arc<App>>,
    person: Person,
    paging: Paging,
) -> Result<Json<Page<IdentityBody>>, Error> {
    person.check(Capability::IdentitiesRead)?;
    let mut tx = app.db.read().await?;
    let which = Which::Within(&paging, Within::Own(person.user));
    let found = identities::list(&mut tx, person.workspace, which).await?;
    let now = app.clock.now();
    Ok(Json(paging.answer(found, |it| it.name.to_string(), |it| IdentityBody::of(it, now))))
}
