//! What all REST handlers share: extractors that answer in our error form, references, paging,
//! entity tags, and the answers themselves.

mod answer;
#[cfg(test)]
mod conditions;
mod guard;
#[cfg(test)]
mod matrix;
mod needs;
mod page;
mod problem;
mod reference;
mod rights;
mod surface;
#[cfg(test)]
mod tests;

use axum::extract::{FromRequest, FromRequestParts};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use answer::{Done, HoldsSecret, IfMatch, Repeated, Shown, Touched};
pub use guard::{ClientAddress, Gone};
pub(crate) use guard::{InWorkspace, Via};
pub(crate) use needs::Needs;
pub(crate) use page::{Page, Paging, Which, Within};
pub(crate) use problem::{Error, Problem, RequestId, chain, number};
pub(crate) use reference::{
    AddressText, CapabilityText, HashText, NameText, Ref, RefText, ScopeText,
};
pub(crate) use rights::{Rights, describe};
pub(crate) use surface::{BODY_BYTES, openapi, router};

/// A JSON body; one that does not parse is answered in our error form.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Error))]
pub(crate) struct Json<T>(pub(crate) T);

/// Path parameters; what is no name is the name of nothing.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Error))]
pub(crate) struct Path<T>(pub(crate) T);

/// Query parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Error))]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// For members of a patch that may be set to `null`: absent and `null` are told apart.
pub(crate) fn nullable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
