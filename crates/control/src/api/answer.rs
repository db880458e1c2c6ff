//! Answers: a body with its entity tag, and what a change has touched.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Error;
use crate::belongings::Belonging;
use crate::secret::sha256;
use crate::switches::Off;

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
    holds_secret: bool,
}

/// In the extensions of an answer that shows a secret, which nothing may keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldsSecret;

/// In the extensions of an answer that was given before: nothing has been done again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeated;

/// What the audit record says about a change: what was there and what is, as anybody may see it who
/// may see it at all. So a secret is in neither.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) kind: &'static str,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    /// Members that are written and never read, and have got another value.
    pub(crate) sealed: Vec<String>,
    /// What has gone with it.
    pub(crate) taken: Vec<Belonging>,
    /// Whether it was only tried, and nothing has been changed.
    pub(crate) is_trial: bool,
}

/// What a change may meet, if the caller cares (RFC 9110 section 13.1.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// The caller does not care.
    Absent,
    /// `*`: whatever is there.
    Anything,
    /// One of these entity tags, with their quotes. Weak ones are not among them: a change compares
    /// strongly, and to that a weak one is equal to none (RFC 9110 section 8.8.3.2).
    Tags(Vec<String>),
}

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
        Self::other(StatusCode::CREATED, touched, body)
    }

    pub(crate) fn changed(touched: Touched, before: &T, after: T) -> Self {
        let touched = Touched { before: Some(to_json(before)), ..touched };
        Self::other(StatusCode::OK, touched, after)
    }

    pub(crate) fn deleted(touched: Touched, before: &T) -> Self {
        let touched = Touched { before: Some(to_json(before)), ..touched };
        Self { status: StatusCode::NO_CONTENT, body: None, touched, holds_secret: false }
    }

    /// For what is neither of these.
    pub(crate) fn other(status: StatusCode, touched: Touched, body: T) -> Self {
        let after = touched.after.or_else(|| Some(to_json(&body)));
        let touched = Touched { after, ..touched };
        Self { status, body: Some(body), touched, holds_secret: false }
    }

    /// For what nothing may keep: neither the record of the act, nor for whoever asks again.
    pub(crate) fn unkept(touched: Touched, body: T) -> Self {
        Self { status: StatusCode::OK, body: Some(body), touched, holds_secret: true }
    }

    /// Made, with a secret in the body that is shown this once; `shown` is the same without.
    pub(crate) fn minted(touched: Touched, shown: &impl Serialize, body: T) -> Self {
        let sealed = vec!["secret".to_owned()];
        let touched = Touched { after: Some(to_json(shown)), sealed, ..touched };
        Self { status: StatusCode::CREATED, body: Some(body), touched, holds_secret: true }
    }
}

impl Touched {
    pub(crate) fn new(kind: &'static str, id: Uuid, name: impl ToString) -> Self {
        Self { kind, id, name: name.to_string(), ..Self::default() }
    }

    /// The same, where something has been turned off or on.
    pub(crate) fn switched(self, before: Option<&Off>, after: Option<&Off>) -> Self {
        let shown = |off: Option<&Off>| Some(json!({"enabled": off.is_none(), "off": off}));
        Self { before: shown(before), after: shown(after), ..self }
    }

    /// The same, where these definitions waited and are approved: by their ids, what they are called and
    /// their hashes, since several may be called the same.
    pub(crate) fn decided(self, all: impl Iterator<Item = (Uuid, String, String)>) -> Self {
        let pins: Vec<_> = all.collect();
        let all = |state: &str| -> Value {
            let pin = |(id, title, hash): &(Uuid, String, String)| {
                (id.to_string(), json!({"title": title, "hash": hash, "state": state}))
            };
            Value::Object(pins.iter().map(pin).collect())
        };
        Self { before: Some(all("pending")), after: Some(all("approved")), ..self }
    }

    /// The same, where these have gone with it.
    pub(crate) fn taking(self, taken: Vec<Belonging>) -> Self {
        Self { taken, ..self }
    }

    /// The same, where nothing was to be changed by it.
    pub(crate) fn tried(self) -> Self {
        Self { is_trial: true, ..self }
    }

    /// The same, where secrets have been set.
    pub(crate) fn sealing(self, members: impl IntoIterator<Item = String>) -> Self {
        Self { sealed: members.into_iter().collect(), ..self }
    }
}

impl IfMatch {
    /// Refuses where the caller has seen something else than `body` (H166).
    pub(crate) fn check(&self, body: &impl Serialize) -> Result<(), Error> {
        match self {
            Self::Absent | Self::Anything => Ok(()),
            Self::Tags(tags) if tags.contains(&etag(body)) => Ok(()),
            Self::Tags(_) => Err(Error::Mismatch),
        }
    }

    /// Reads a list of entity tags, which may hold commas between their quotes.
    fn parse(list: &str) -> Option<Self> {
        if list.trim() == "*" {
            return Some(Self::Anything);
        }
        let mut tags = Vec::new();
        let mut found = false;
        let mut rest = list;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return found.then_some(Self::Tags(tags));
            }
            let (is_weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let (inner, after) = quoted.strip_prefix('"')?.split_once('"')?;
            let is_plain = |c: char| c == '!' || ('#'..='~').contains(&c) || !c.is_ascii();
            let is_alone = after.trim_start_matches([' ', '\t']);
            let is_alone = is_alone.is_empty() || is_alone.starts_with(',');
            if !inner.chars().all(is_plain) || !is_alone {
                return None;
            }
            found = true;
            if !is_weak {
                tags.push(format!("\"{inner}\""));
            }
            rest = after;
        }
    }
}

/// A strong entity tag: equal tags mean equal bodies.
fn etag(body: &impl Serialize) -> String {
    let digest = digest(body);
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

/// What cannot be written is shown as nothing.
fn to_json(body: &impl Serialize) -> Value {
    serde_json::to_value(body).unwrap_or_default()
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
        if self.holds_secret {
            response.extensions_mut().insert(HoldsSecret);
        }
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
        let refused = || {
            Error::Malformed(
                "If-Match must be `*`, or entity tags in quotes as ETag gives them".into(),
            )
        };
        let lines = parts.headers.get_all(header::IF_MATCH).iter();
        let lines: Vec<&str> = lines
            .map(|it| str::from_utf8(it.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(|_| refused())?;
        if lines.is_empty() {
            return Ok(Self::Absent);
        }
        // Lines of a list are one list (RFC 9110 section 5.3).
        Self::parse(&lines.join(",")).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h166_conditions() {
        let tags =
            |tags: &[&str]| Some(IfMatch::Tags(tags.iter().map(|it| (*it).into()).collect()));
        let cases = [
            ("*", Some(IfMatch::Anything)),
            (" * ", Some(IfMatch::Anything)),
            ("\"a\"", tags(&["\"a\""])),
            ("\"a\", \"b\"", tags(&["\"a\"", "\"b\""])),
            (",\"a\" ,, \"b\",", tags(&["\"a\"", "\"b\""])),
            ("\"a,b\"", tags(&["\"a,b\""])),
            ("\"\"", tags(&["\"\""])),
            ("W/\"a\"", tags(&[])),
            ("W/\"a\", \"b\"", tags(&["\"b\""])),
            ("\"*\"", tags(&["\"*\""])),
            ("", None),
            (",", None),
            ("a", None),
            ("\"a", None),
            ("w/\"a\"", None),
            ("\"a\"\"b\"", None),
            ("\"a\" \"b\"", None),
            ("*, \"a\"", None),
            ("\"a b\"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(IfMatch::parse(text), expected, "{text}");
        }
    }
}
