//! The same request twice is done once (draft-ietf-httpapi-idempotency-key-header).
//!
//! A POST with an `Idempotency-Key` takes its place before it is handled, per caller and
//! workspace. While it is under way, and after it has been done, the same key does nothing again:
//! it gets the very same answer, or hears why there is none. What was refused has done nothing,
//! so its place is free again; what failed on our side may have been done, so its place is not.
//!
//! Answers are as plain as what a GET shows. One that holds a secret is not kept: then the key
//! says that it was done, and no more.

mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use uuid::Uuid;

use crate::App;
use crate::api::{Error, HoldsSecret, InWorkspace, Repeated, chain};
use crate::secret::sha256;
use crate::session::Caller;

/// Whose request it is, and which.
#[derive(Clone, Copy, Debug)]
struct Place {
    caller: Uuid,
    /// Nil where it is in none.
    workspace: Uuid,
    key: [u8; 32],
    request: [u8; 32],
}

/// What became of a request.
#[derive(Debug)]
struct Kept {
    status: u16,
    media: Option<String>,
    etag: Option<String>,
    /// Absent where it is not kept.
    body: Option<Vec<u8>>,
}

/// What stands at a place.
enum Found {
    /// Nothing did; now it is ours.
    Free,
    OtherRequest,
    UnderWay {
        since: DateTime<Utc>,
    },
    Done(Kept),
}

/// How long an answer is kept.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What has not ended by then was interrupted.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Per caller and workspace; the oldest give way. Clients repeat within minutes.
const MOST_KEPT: i64 = 1_000;

/// A larger answer is not kept.
const MOST_BYTES: usize = 1024 * 1024;

const KEY_CHARS: usize = 255;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Stands before the handlers of all that is private, after the caller is known.
pub(crate) async fn once(
    State(app): State<Arc<App>>,
    caller: axum::Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    match take_place(&app, caller.id, request).await {
        Ok((place, Found::Free, request)) => {
            let response = next.run(request).await;
            keep(&app, place, response).await
        }
        Ok((_, found, _)) => found.answer(app.clock.now()),
        Err(error) => error.into_response(),
    }
}

async fn take_place(
    app: &App,
    caller: Uuid,
    request: Request,
) -> Result<(Place, Found, Request), Error> {
    let key = sha256(key(request.headers())?.as_bytes());
    let workspace = request.extensions().get::<InWorkspace>().map(|it| it.id.0);
    let (parts, body) = request.into_parts();
    let copy = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(copy, &()).await?;
    let place = Place {
        caller,
        workspace: workspace.unwrap_or_default(),
        key,
        request: digest(&parts.uri.to_string(), &parts.headers, &body),
    };
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    store::delete_older(&mut tx, now - LIFE).await?;
    let found = if store::insert(&mut tx, &place, now).await? {
        store::delete_beyond(&mut tx, &place, MOST_KEPT).await?;
        Found::Free
    } else {
        store::find(&mut tx, &place).await?
    };
    tx.commit().await?;
    Ok((place, found, Request::from_parts(parts, Body::from(body))))
}

/// Keeps what was answered, before the client may see it.
async fn keep(app: &App, place: Place, response: Response) -> Response {
    let status = response.status();
    let (parts, body) = response.into_parts();
    let body = match whole(body).await {
        Ok(body) => body,
        Err(error) => return Error::internal(error).into_response(),
    };
    let was_refused = status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE;
    let kept = if was_refused {
        None
    } else {
        let text = |name| parts.headers.get(name).and_then(|it: &HeaderValue| it.to_str().ok());
        let is_kept = parts.extensions.get::<HoldsSecret>().is_none() && body.len() <= MOST_BYTES;
        Some(Kept {
            status: status.as_u16(),
            media: text(header::CONTENT_TYPE).map(str::to_owned),
            etag: text(header::ETAG).map(str::to_owned),
            body: is_kept.then(|| body.to_vec()),
        })
    };
    if let Err(error) = store_outcome(app, &place, kept).await {
        // The place stays taken, which tells a repetition that it is not known what became of it.
        tracing::warn!(error = %chain(&error), "An answer could not be kept for its repetition");
    }
    Response::from_parts(parts, Body::from(body))
}

async fn store_outcome(app: &App, place: &Place, kept: Option<Kept>) -> Result<(), db::DbError> {
    let mut tx = app.db.begin().await?;
    match kept {
        Some(kept) => store::update(&mut tx, place, kept).await?,
        None => store::delete(&mut tx, place).await?,
    }
    tx.commit().await
}

/// An answer of our own making, which is in memory already.
async fn whole(body: Body) -> Result<Bytes, axum::Error> {
    let parts: Vec<Bytes> = body.into_data_stream().try_collect().await?;
    Ok(match <[Bytes; 1]>::try_from(parts) {
        Ok([one]) => one,
        Err(parts) => parts.concat().into(),
    })
}

/// A string of structured fields (RFC 9651 section 3.3.3), or the same without its quotes.
fn key(headers: &HeaderMap) -> Result<&str, Error> {
    let refused = || {
        Error::Malformed(format!(
            "Idempotency-Key must be one text of 1 to {KEY_CHARS} printable characters, in quotes"
        ))
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(refused()) };
    let text = value.to_str().map_err(|_| refused())?.trim();
    let inner = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or_else(refused)?,
        None => text,
    };
    let is_plain = |b: u8| (b' '..=b'~').contains(&b) && !matches!(b, b'"' | b'\\');
    let fits = (1..=KEY_CHARS).contains(&inner.len()) && inner.bytes().all(is_plain);
    if fits { Ok(inner) } else { Err(refused()) }
}

/// What makes a request the same.
fn digest(address: &str, headers: &HeaderMap, body: &[u8]) -> [u8; 32] {
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    sha256(&[address.as_bytes(), media, body].map(sha256).concat())
}

impl Found {
    fn answer(self, now: DateTime<Utc>) -> Response {
        match self {
            Self::Free | Self::OtherRequest => Error::OtherRequest.into_response(),
            Self::UnderWay { since } if now < since + LONGEST => Error::UnderWay.into_response(),
            Self::UnderWay { .. } => Error::Conflict(
                "the request with this Idempotency-Key was interrupted; look whether it was done \
                 before you send another"
                    .into(),
            )
            .into_response(),
            Self::Done(kept) => kept.answer(),
        }
    }
}

impl Kept {
    fn answer(self) -> Response {
        let Some(body) = self.body else {
            return Error::Conflict(
                "the request with this Idempotency-Key was done, and its answer is shown once \
                 only; if it is lost, undo what was done and do it again with another key"
                    .into(),
            )
            .into_response();
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(Repeated);
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        for (name, text) in [(header::CONTENT_TYPE, self.media), (header::ETAG, self.etag)] {
            if let Some(value) = text.and_then(|it| HeaderValue::try_from(it).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}
