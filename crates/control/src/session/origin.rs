//! From which pages a request comes: another site's get nothing done, and sign nobody in.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::api::Error;

/// Stands before what is public and changes something: nobody is signed in by another site's doing.
/// What says nothing of where it comes from is no browser, and has nobody in front of it.
pub(crate) async fn own_pages_only(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && is_cross_site(request.headers()) {
        return Error::CrossSite.into_response();
    }
    next.run(request).await
}

/// Whether a browser says that another site made it send this.
fn is_cross_site(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site != "same-origin" && site != "none",
        None => headers.contains_key(header::ORIGIN) && !is_same_origin(headers),
    }
}

/// Whether a browser says that the request comes from our own pages. One that says nothing has
/// no cookie of ours to send on behalf of others.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|it: &header::HeaderValue| it.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let Some((origin, host)) = text(header::ORIGIN).zip(text(header::HOST)) else { return false };
    let authority = origin.split_once("://").map(|it| it.1);
    authority.is_some_and(|it| it.eq_ignore_ascii_case(host))
}
