//! Answers: a body with its entity tag, and what a change has touched.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use uuid::Uuid;

use super::Error;
use crate::secret::sha256;

/// The present state of one thing.
pub(crate) struct Shown<T> {
    tag: HeaderMap,
    body: T,
}

/// What a change has led to. The audit layer reads what was touched from the response.
pub(crate) struct Done<T> {
    status: StatusCode,
    body: Option<T>,
    touched: Touched,
}

/// What the audit record says about a change: digests of what was there, never content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) kind: &'static str,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// The entity tags that a change may meet, if the caller cares (RFC 9110 section 13.1.1).
pub(crate) struct IfMatch(Option<String>);

impl<T: Serialize> Shown<T> {
    pub(crate) fn of(body: T) -> Self {
        Self { tag: tag(&body), body }
    }

    /// With what is true of the moment only, and so is no part of the entity tag.
    pub(crate) fn live(body: T, add: impl FnOnce(&mut T)) -> Self {
        let mut shown = Self::of(body);
        add(&mut shown.body);
        shown
    }
}

impl<T: Serialize> Done<T> {
    pub(crate) fn created(touched: Touched, body: T) -> Self {
        let touched = Touched { after: Some(digest(&body)), ..touched };
        Self { status: StatusCode::CREATED, body: Some(body), touched }
    }

    pub(crate) fn changed(touched: Touched, before: &T, after: T) -> Self {
        let (before, digest) = (Some(digest(before)), Some(digest(&after)));
        let touched = Touched { before, after: digest, ..touched };
        Self { status: StatusCode::OK, body: Some(after), touched }
    }

    pub(crate) fn deleted(touched: Touched, before: &T) -> Self {
        let touched = Touched { before: Some(digest(before)), ..touched };
        Self { status: StatusCode::NO_CONTENT, body: None, touched }
    }

    /// For what is neither of these.
    pub(crate) fn other(status: StatusCode, touched: Touched, body: T) -> Self {
        Self { status, body: Some(body), touched }
    }
}

impl Touched {
    pub(crate) fn new(kind: &'static str, id: Uuid, name: impl ToString) -> Self {
        Self { kind, id, name: name.to_string(), before: None, after: None }
    }
}

impl IfMatch {
    /// Refuses where the caller has seen something else than `body` (H166).
    pub(crate) fn check(&self, body: &impl Serialize) -> Result<(), Error> {
        let Some(wanted) = &self.0 else { return Ok(()) };
        let tag = etag(body);
        let fits = wanted.split(',').map(str::trim).any(|it| it == "*" || it == tag);
        if fits { Ok(()) } else { Err(Error::Mismatch) }
    }
}

/// A strong entity tag: equal tags mean equal bodies.
fn etag(body: &impl Serialize) -> String {
    let digest = digest(body);
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

fn digest(body: &impl Serialize) -> String {
    hex::encode(sha256(&serde_json::to_vec(body).unwrap_or_default()))
}

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        (self.tag, axum::Json(self.body)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Done<T> {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, tag(&body), axum::Json(body)).into_response(),
            None => self.status.into_response(),
        };
        response.extensions_mut().insert(self.touched);
        response
    }
}

fn tag(body: &impl Serialize) -> HeaderMap {
    let value = HeaderValue::try_from(etag(body)).ok();
    value.map(|it| (header::ETAG, it)).into_iter().collect()
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().map_err(|_| Error::Malformed("If-Match is not text".into()))?;
        Ok(Self(Some(text.to_owned())))
    }
}
