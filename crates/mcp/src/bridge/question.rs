//! One question of a modern server, as a legacy client is asked it, and the answer on its way back.

use std::borrow::Cow;

use bytes::Bytes;

use super::RoundsError;
use crate::convert::{self, downgrade_elicitation, lift_elicitation_answer};
use crate::json::{Limits, Raw, quote};
use crate::revision::Revision;
use crate::splice::Splice;

/// An entry of `inputRequests`.
#[derive(Clone, Debug)]
pub struct Question {
    /// The server's name for it.
    pub key: String,
    pub kind: Kind,
    /// As the server wrote them; an object.
    pub params: Bytes,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// That the user fills in a form.
    Form,
    /// That the user opens a page.
    Url,
    /// What the client's model says.
    Sampling { with_tools: bool },
    /// The client's folders.
    Roots,
}

impl Kind {
    /// The method of the request.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Form | Self::Url => "elicitation/create",
            Self::Sampling { .. } => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    fn of(method: &str, params: Option<Raw<'_>>) -> Result<Self, RoundsError> {
        let (needs_params, kind) = match method {
            "elicitation/create" => {
                let mode = params.and_then(|it| it.get("mode"));
                let mode = mode.map_or(Some(Cow::Borrowed("form")), Raw::str);
                match mode.as_deref() {
                    Some("form") => (true, Self::Form),
                    Some("url") => (true, Self::Url),
                    _ => return Err(RoundsError::Malformed("the mode of an elicitation")),
                }
            }
            "sampling/createMessage" => {
                let has = |key| params.is_some_and(|it| it.get(key).is_some());
                (true, Self::Sampling { with_tools: has("tools") || has("toolChoice") })
            }
            "roots/list" => (false, Self::Roots),
            _ => return Err(RoundsError::Malformed("a kind of question that there is not")),
        };
        if needs_params && params.is_none() {
            return Err(RoundsError::Malformed("a question without `params`"));
        }
        Ok(kind)
    }
}

impl Question {
    pub(super) fn read(key: Cow<'_, str>, entry: Raw<'_>) -> Result<Self, RoundsError> {
        let method = entry.get("method").and_then(Raw::str);
        let method = method.ok_or(RoundsError::Malformed("a question without `method`"))?;
        let params = entry.get("params");
        if params.is_some_and(|it| !it.is_object()) {
            return Err(RoundsError::Malformed("a question whose `params` are no object"));
        }
        let kind = Kind::of(&method, params)?;
        let params = params.map_or(Bytes::from_static(b"{}"), |it| it.bytes().to_vec().into());
        Ok(Self { key: key.into_owned(), kind, params })
    }

    /// Edits the params of the request that a client of `revision` gets. `params` are the question's
    /// own, or what rules have left of them. A page needs an id of ours in that era.
    pub fn to_client(
        &self,
        splice: &mut Splice,
        params: Raw<'_>,
        revision: Revision,
        elicitation_id: Option<&str>,
    ) {
        // What decides whether it may be asked is not to be read in another member; and a task
        // would be answered by another result than the server waits for.
        splice.remove_lookalikes(params, READ);
        splice.remove_member(params, "task");
        convert::strip_modern_meta(splice, params);
        if let Some(meta) = params.get(crate::meta::META) {
            splice.remove_member(meta, crate::meta::PROGRESS_TOKEN);
        }
        match self.kind {
            Kind::Form => downgrade_elicitation(splice, params, revision),
            Kind::Url => {
                if let Some(id) = elicitation_id {
                    splice.set_member(params, "elicitationId", quote(id));
                }
            }
            Kind::Sampling { .. } => convert::downgrade_sampling(splice, params, revision),
            Kind::Roots => {}
        }
    }

    /// The answer that the server gets for the result of a client of `revision`; nothing where that
    /// is none.
    pub fn from_client(&self, result: &Bytes, revision: Revision) -> Option<Bytes> {
        let whole = Raw::parse(result, Limits::default()).ok().filter(|it| it.is_object())?;
        let mut splice = Splice::new(result.clone());
        if self.kind == Kind::Form && revision < Revision::V2025_11_25 {
            let asked = Raw::parse(&self.params, Limits::default()).ok()?;
            lift_elicitation_answer(&mut splice, asked, whole);
        }
        Some(splice.finish().into_bytes())
    }
}

/// The members that we look at, or that a client may.
const READ: &[&str] = &[
    "mode",
    "url",
    "message",
    "requestedSchema",
    "elicitationId",
    "task",
    "tools",
    "toolChoice",
    "messages",
    "_meta",
];
