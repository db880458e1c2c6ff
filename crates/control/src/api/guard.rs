//! What stands before every handler that is not public: who is calling, in which workspace, and
//! the record of it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, OriginalUri, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::WorkspaceId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::needs::Table;
use super::{Error, Ref, RequestId, Rights};
use crate::session::{self, Caller};
use crate::trail::{self, End, What};
use crate::{App, workspaces};

/// In the extensions of a request: from where it comes, by whoever has taken it in.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The workspace that the address names. It exists.
#[derive(Clone, Debug)]
pub(crate) struct InWorkspace {
    pub(crate) id: WorkspaceId,
    pub(crate) name: domain::Name,
    /// What the caller may do in it.
    pub(crate) rights: Rights,
}

impl InWorkspace {
    pub(crate) fn reference(&self) -> Ref {
        Ref::Id(self.id.0)
    }
}

/// In the extensions of a request that is a call of a tool: where that tool leads. Nothing that
/// comes over a connection has it.
#[derive(Clone, Debug)]
pub(crate) struct Via {
    /// The address as it was declared.
    pub(crate) template: Arc<str>,
}

/// In the extensions of a request: cancelled by whoever has taken it in, when nobody waits for its answer
/// any more. It is handled to its end nevertheless, where its handler does not heed this.
#[derive(Clone, Debug, Default)]
pub struct Gone(pub CancellationToken);

/// What the guard needs to know.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) app: Arc<App>,
    pub(super) needs: Arc<Table>,
}

/// Lets a request pass to its handler with its [`Caller`], its [`Rights`] and, if it names one,
/// its workspace.
pub(super) async fn guard(
    State(guard): State<Guard>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let app = &guard.app;
    let address = request.extensions().get::<ClientAddress>().map(|it| it.0);
    let mut caller = match session::authenticate(app, request.method(), request.headers()).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    caller.via = request.extensions().get::<Via>().map(|_| "mcp");
    caller.address = address;
    let admitted = admit(&guard, &caller, &params, &mut request).await;
    if request.method().is_safe() {
        return match admitted {
            Ok(_) => next.run(request).await,
            Err(error) => error.into_response(),
        };
    }
    recorded(guard.app, caller, admitted, request, next).await
}

/// Decides what is known before the request is handled. Gives the workspace that it names.
async fn admit(
    guard: &Guard,
    caller: &Caller,
    params: &RawPathParams,
    request: &mut Request,
) -> Result<Option<Uuid>, Error> {
    let app = &guard.app;
    // Whatever is in the arguments of a tool, it leads nowhere else.
    let via = request.extensions().get::<Via>();
    if via.is_some_and(|it| it.template.strip_prefix("/api/v1") != Some(template(request))) {
        return Err(Error::NoRoute);
    }
    let rights = Rights::of(app, caller).await?;
    let params: Vec<(String, String)> =
        params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let workspace = match params.iter().find(|(name, _)| name == "workspace") {
        Some((_, named)) => Some(workspace(app, &rights, named).await?),
        None => None,
    };
    let said = guard.needs.find(request.method(), template(request));
    let said = said.ok_or_else(|| Error::internal("a route says nothing of what it needs"))?;
    let (needs, is_dangerous) = said;
    needs.check(&rights, &params)?;
    if is_dangerous {
        caller.check_recent_proof(app.clock.now())?;
    }
    let extensions = request.extensions_mut();
    extensions.insert(caller.clone());
    extensions.insert(rights);
    let id = workspace.as_ref().map(|it| it.id.0);
    if let Some(workspace) = workspace {
        extensions.insert(workspace);
    }
    Ok(id)
}

/// For whoever belongs to another workspace there is none of this name.
async fn workspace(app: &App, rights: &Rights, named: &str) -> Result<InWorkspace, Error> {
    let nowhere = || Error::NotFound { kind: "workspace", name: named.to_owned() };
    let reference = Ref::try_from(named.to_owned()).map_err(|_| nowhere())?;
    let mut tx = app.db.read().await?;
    let found = workspaces::find(&mut tx, &reference).await?;
    if rights.workspace().is_some_and(|own| own.id != found.id) {
        return Err(nowhere());
    }
    Ok(InWorkspace { id: found.id, name: found.name, rights: rights.clone() })
}

/// The path as it was called.
fn address(request: &Request) -> &str {
    let whole = request.extensions().get::<OriginalUri>();
    whole.map_or(request.uri(), |it| &it.0).path()
}

/// The address as it was declared.
fn template(request: &Request) -> &str {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    path.strip_prefix("/api/v1").unwrap_or(path)
}

/// Runs the handler between the two records, to its end even when the client has gone. What is
/// refused is recorded, too, in the log of whoever has tried.
async fn recorded(
    app: Arc<App>,
    caller: Caller,
    admitted: Result<Option<Uuid>, Error>,
    request: Request,
    next: Next,
) -> Response {
    let what = What {
        action: format!("{} {}", request.method(), template(&request)),
        address: address(&request).to_owned(),
    };
    let is_whole = WHOLE.contains(&template(&request));
    let id = request.extensions().get::<RequestId>().map_or_else(|| app.clock.id(), |it| it.0);
    let tasks = app.tasks.clone();
    let handled = tasks.spawn(async move {
        let workspace = match admitted {
            Ok(workspace) => workspace,
            Err(error) => {
                let log = caller.workspace().unwrap_or(trail::INSTALLATION);
                let refused = trail::refuse(&app, &caller, (id, what), (log, &error)).await;
                return refused.map_or_else(|it| it, |()| error).into_response();
            }
        };
        let is_gone = request.method() == Method::DELETE && template(&request) == WHOLE[0];
        // What is about the caller is where the caller is.
        let workspace = workspace.or_else(|| caller.workspace());
        let logs = logs(workspace, is_whole, is_gone);
        let act = match trail::open(&app, &caller, (id, what), logs).await {
            Ok(act) => act,
            Err(error) => return error.into_response(),
        };
        let response = next.run(request).await;
        act.close(&app, End::of(&response)).await;
        response
    });
    handled.await.unwrap_or_else(|error| Error::internal(error).into_response())
}

/// What is about a workspace as a whole, or takes away what has been recorded of it.
const WHOLE: [&str; 2] =
    ["/workspaces/{workspace}", "/workspaces/{workspace}/records/content/{day}"];

/// What becomes of a whole workspace concerns those above it, too; and when it is gone, them alone.
fn logs(workspace: Option<Uuid>, is_whole: bool, is_gone: bool) -> Vec<Uuid> {
    match workspace {
        None => vec![trail::INSTALLATION],
        Some(_) if is_gone => vec![trail::INSTALLATION],
        Some(id) if is_whole => vec![id, trail::INSTALLATION],
        Some(id) => vec![id],
    }
}

impl<S: Sync> FromRequestParts<S> for InWorkspace {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::NoRoute)
    }
}
