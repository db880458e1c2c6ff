//! What stands before every handler that is not public: who is calling, in which workspace, and
//! the record of it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::WorkspaceId;
use uuid::Uuid;

use super::{Error, Ref, RequestId, Touched};
use crate::session::{self, Caller};
use crate::{App, trail, workspaces};

/// The workspace that the address names. It exists.
#[derive(Clone, Debug)]
pub(crate) struct InWorkspace {
    pub(crate) id: WorkspaceId,
    pub(crate) name: domain::Name,
}

impl InWorkspace {
    pub(crate) fn reference(&self) -> Ref {
        Ref::Id(self.id.0)
    }
}

/// Lets a request pass to its handler with its [`Caller`] and, if it names one, its workspace.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&app, &params, &mut request).await {
        Ok(admitted) if request.method().is_safe() => {
            drop(admitted);
            next.run(request).await
        }
        Ok(admitted) => recorded(app, admitted, request, next).await,
        Err(error) => error.into_response(),
    }
}

/// What is known of a request before it is handled.
struct Admitted {
    caller: Caller,
    workspace: Option<Uuid>,
}

async fn admit(
    app: &App,
    params: &RawPathParams,
    request: &mut Request,
) -> Result<Admitted, Error> {
    let caller = session::authenticate(app, request.method(), request.headers()).await?;
    request.extensions_mut().insert(caller.clone());
    let named = params.iter().find(|(name, _)| *name == "workspace").map(|it| it.1.to_owned());
    let Some(named) = named else { return Ok(Admitted { caller, workspace: None }) };
    let nowhere = |_| Error::NotFound { kind: "workspace", name: named.clone() };
    let reference = Ref::try_from(named.clone()).map_err(nowhere)?;
    let mut tx = app.db.read().await?;
    let found = workspaces::find(&mut tx, &reference).await?;
    request.extensions_mut().insert(InWorkspace { id: found.id, name: found.name });
    Ok(Admitted { caller, workspace: Some(found.id.0) })
}

/// Runs the handler between the two records, to its end even when the client has gone.
async fn recorded(app: Arc<App>, admitted: Admitted, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let template = template.unwrap_or_default();
    let template = template.strip_prefix("/api/v1").unwrap_or(&template);
    let action = format!("{} {template}", request.method());
    let id = request.extensions().get::<RequestId>().map_or_else(|| app.clock.id(), |it| it.0);
    let tasks = app.tasks.clone();
    let handled = tasks.spawn(async move {
        let Admitted { caller, workspace } = admitted;
        let act = match trail::open(&app, &caller, (id, &action), workspace).await {
            Ok(act) => act,
            Err(error) => return error.into_response(),
        };
        let response = next.run(request).await;
        act.close(&app, response.status(), response.extensions().get::<Touched>());
        response
    });
    handled.await.unwrap_or_else(|error| Error::internal(error).into_response())
}

impl<S: Sync> FromRequestParts<S> for InWorkspace {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::NoRoute)
    }
}
