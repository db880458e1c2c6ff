//! Why the control plane said no, and how it says so (RFC 9457).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use db::DbError;
use domain::{Capability, Fault, Name};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::App;
use crate::snapshot::LoadError;

/// Why a request was refused. One variant for each thing the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the database is busy; try again")]
    Busy,
    #[error("a request with a session cookie must come from the console's own pages")]
    CrossSite,
    /// What stands in the way of a file.
    #[error("{0}")]
    Conflict(String),
    #[error("{kind} `{name}` already exists")]
    Duplicate { kind: &'static str, name: String },
    /// The text of a policy, with what is wrong in it and where.
    #[error("the policy is not valid: {}", .faults.first().map(ToString::to_string).unwrap_or_default())]
    Faulty { faults: Vec<Fault> },
    /// Says which capability is missing, and on what.
    #[error("{0}")]
    Forbidden(String),
    #[error("{kind} `{name}` is used by {}", .by.join(", "))]
    InUse { kind: &'static str, name: String, by: Vec<String> },
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Malformed(String),
    #[error("it has changed since you read it; read it again")]
    Mismatch,
    #[error("send the body as application/json")]
    MediaType,
    #[error("this Idempotency-Key was sent with another request; take another key")]
    OtherRequest,
    #[error("the request with this Idempotency-Key is under way; ask again in a moment")]
    UnderWay,
    #[error("there is no {kind} `{name}`")]
    NotFound { kind: &'static str, name: String },
    #[error("answers are application/json, which must be accepted")]
    NotAcceptable,
    #[error("there is nothing at this address")]
    NoRoute,
    #[error("this address does not take that method")]
    Method,
    #[error("prove first who you are: POST /api/v1/session/step-up")]
    StepUp,
    #[error("this does not prove who is signed in")]
    Unproven,
    #[error("the body is too large")]
    TooLarge,
    #[error("there were too many attempts; try again in {} s", seconds(.wait))]
    TooMany { wait: Duration },
    #[error("{0} streams are open already; close one first")]
    TooManyStreams(usize),
    #[error("{0} test calls of yours are under way; wait until one has ended")]
    TooManyCalls(usize),
    #[error("sign in first")]
    Unauthenticated,
    #[error(
        "nothing was done: `{0}` is not undone easily; ask for agreement, then add `confirm: true`"
    )]
    Unconfirmed(String),
    #[error("the act cannot be recorded, so it was not done")]
    Unrecorded(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Details go to the log, never to the caller.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The body of every refusal (RFC 9457).
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem; the same as `code`, as a URI.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem, for people.
    title: &'static str,
    status: u16,
    /// What was wrong this time, for people; may change at any time.
    detail: String,
    /// Stable and meant for programs.
    code: &'static str,
    /// The number of the request, which the log and the record of an act carry as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
    /// What is wrong in the text of a policy, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultBody>,
}

/// Something that is wrong in a text.
#[derive(Clone, Serialize, ToSchema)]
struct FaultBody {
    /// From 1; absent where it is about the whole text.
    line: Option<usize>,
    /// In characters, from 1.
    column: Option<usize>,
    message: String,
}

/// What a refusal leaves to whoever knows the number of its request. It is no part of the answer.
#[derive(Clone)]
struct Refused {
    problem: Problem,
    /// What has gone wrong here, for the log.
    cause: Option<String>,
}

/// The number of a request.
#[derive(Clone, Copy)]
pub(crate) struct RequestId(pub(crate) Uuid);

/// Gives each request a number, by which its refusal is found in the log and in the record.
pub(crate) async fn number(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = app.clock.id();
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    let Some(Refused { mut problem, cause }) = response.extensions_mut().remove::<Refused>() else {
        return response;
    };
    if let Some(error) = cause {
        tracing::error!(request.id = %id, error, "A request to the admin API failed");
    }
    problem.request_id = Some(id);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = Json(problem).into_response().into_body();
    Response::from_parts(parts, body)
}

impl Error {
    pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    pub(crate) fn not_a_cursor() -> Self {
        Self::Malformed("`cursor` is not from a page".into())
    }

    pub(crate) fn forbidden(missing: Capability, on: impl std::fmt::Display) -> Self {
        Self::Forbidden(format!("this needs the capability `{missing}` on {on}"))
    }

    /// Names what exists already, where that is what the database says.
    pub(crate) fn saving(error: DbError, kind: &'static str, name: &Name) -> Self {
        match error {
            DbError::Duplicate => Self::Duplicate { kind, name: name.to_string() },
            error => error.into(),
        }
    }

    /// For what a body names: the address was right, the content is not.
    pub(crate) fn in_body(self) -> Self {
        match self {
            Self::NotFound { .. } => Self::Invalid(self.to_string()),
            error => error,
        }
    }

    /// Says which document of a file was meant.
    pub(crate) fn of_document(self, kind: &str, name: &Name) -> Self {
        let text = format!("{kind} `{name}`: {self}");
        match self {
            Self::Busy | Self::Internal(_) | Self::Unrecorded(_) => self,
            Self::Conflict(_) | Self::Duplicate { .. } | Self::InUse { .. } => Self::Conflict(text),
            Self::Malformed(_) => Self::Malformed(text),
            Self::Forbidden(_) => Self::Forbidden(text),
            _ => Self::Invalid(text),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// What a record says of it: its code, and the words where they hold nothing but names.
    pub(crate) fn recorded(&self) -> (&'static str, Option<String>) {
        let (status, code, _) = self.kind();
        (code, says_names_alone(status).then(|| self.to_string()))
    }

    /// The same of an answer that is a refusal.
    pub(crate) fn of(response: &Response) -> Option<(&'static str, Option<String>)> {
        let problem = &response.extensions().get::<Refused>()?.problem;
        let says = says_names_alone(response.status()).then(|| problem.detail.clone());
        Some((problem.code, says))
    }

    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross_site", "Cross-site request"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict", "In the way"),
            Self::Duplicate { .. } => (StatusCode::CONFLICT, "duplicate", "Already exists"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::InUse { .. } => (StatusCode::CONFLICT, "in_use", "In use"),
            Self::Invalid(_) | Self::Faulty { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Not acceptable")
            }
            Self::OtherRequest => (StatusCode::CONFLICT, "other_request", "Another request"),
            Self::UnderWay => (StatusCode::CONFLICT, "under_way", "Under way"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "Malformed request"),
            Self::MediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", "Unsupported media type")
            }
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            }
            Self::NotAcceptable => {
                (StatusCode::NOT_ACCEPTABLE, "not_acceptable", "Not acceptable to you")
            }
            Self::Mismatch => (StatusCode::PRECONDITION_FAILED, "mismatch", "Changed meanwhile"),
            Self::NotFound { .. } | Self::NoRoute => {
                (StatusCode::NOT_FOUND, "not_found", "Not found")
            }
            Self::StepUp => (StatusCode::FORBIDDEN, "step_up_required", "Prove who you are"),
            Self::Unproven => (StatusCode::FORBIDDEN, "unproven", "Not proven"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large"),
            Self::TooMany { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "Too many attempts")
            }
            Self::TooManyStreams(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_streams", "Too many streams")
            }
            Self::TooManyCalls(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_calls", "Too many calls")
            }
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in"),
            Self::Unconfirmed(_) => {
                (StatusCode::PRECONDITION_REQUIRED, "unconfirmed", "Not confirmed")
            }
            Self::Unrecorded(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unrecorded", "Cannot be recorded")
            }
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }
}

impl FaultBody {
    fn of(fault: &Fault) -> Self {
        let Fault { line, column, message } = fault.clone();
        Self { line, column, message }
    }
}

/// Rounded up, since a moment before it is too early.
fn seconds(wait: &Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() != 0)
}

/// What does not parse may be quoted in the words about it, and may be anything.
fn says_names_alone(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::PRECONDITION_FAILED
    )
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let cause = match &self {
            Self::Internal(source) | Self::Unrecorded(source) => Some(chain(source.as_ref())),
            _ => None,
        };
        let (status, code, title) = self.kind();
        let faults = match &self {
            Self::Faulty { faults } => faults.iter().map(FaultBody::of).collect(),
            _ => Vec::new(),
        };
        let problem = Problem {
            kind: format!("urn:ostiary:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: self.to_string(),
            code,
            request_id: None,
            faults,
        };
        let mut response = (status, Json(problem.clone())).into_response();
        response.extensions_mut().insert(Refused { problem, cause });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self, Self::Busy | Self::UnderWay | Self::TooManyCalls(_)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Self::TooMany { wait } = &self {
            headers.insert(header::RETRY_AFTER, seconds(wait).into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An error with all that caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Busy(_) | DbError::Late => Self::Busy,
            DbError::Nul => Self::Invalid(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Db(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::MediaType,
            _ => Self::Malformed(innermost(&rejection)),
        }
    }
}

impl From<BytesRejection> for Error {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            _ => Self::Malformed(innermost(&rejection)),
        }
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::Malformed(innermost(&rejection))
    }
}

impl From<PathRejection> for Error {
    /// What is no name is the name of nothing.
    fn from(_: PathRejection) -> Self {
        Self::NoRoute
    }
}

/// What the parser said, without what the framework says about the parser.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
