//! The headers that mirror a body, and whether they tell the truth (2026-07-28, "HTTP headers").
//!
//! Whatever stands between client and server may route by these headers. So a request whose headers
//! disagree with its body is refused before anything else looks at either, and the body alone is
//! what policy sees. The order of checks is fixed, since clients act on the code:
//!
//! 1. a doubled or unreadable version header: [`HeaderError::Mismatch`]
//! 2. the required entries of `_meta`: [`HeaderError::Meta`]
//! 3. the version header equals `_meta`: [`HeaderError::Mismatch`]
//! 4. the version is one of ours: [`HeaderError::Version`]
//! 5. `Mcp-Method` and `Mcp-Name` equal the body: [`HeaderError::Mismatch`]

mod param;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::envelope::{Message, MessageKind};
use crate::errors;
use crate::json::{self, Raw};
use crate::meta;
use crate::methods;
use crate::revision::{self, Era, LATEST, Revision};

pub use param::{
    InvalidAnnotation, ParamHeader, ParamType, check_params, param_header_values, param_headers,
};

/// The revision that a request is written in.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Names a legacy session; ignored on modern requests.
pub const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Mirrors `method`.
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Mirrors what the request names: see [`methods::Method::mirrored`].
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Where a legacy client wants a stream to go on.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Why a modern request is refused. All of them go with HTTP status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("header {header}: {reason}")]
    Mismatch { header: HeaderName, reason: &'static str },
    #[error("unsupported protocol version")]
    Version { requested: String },
    #[error("_meta: {reason}")]
    Meta { reason: &'static str },
    #[error("a client sends no responses")]
    Response,
}

impl HeaderError {
    /// The JSON-RPC code to answer with.
    pub fn code(&self) -> i32 {
        match self {
            Self::Mismatch { .. } => errors::HEADER_MISMATCH,
            Self::Version { .. } => errors::UNSUPPORTED_VERSION,
            Self::Meta { .. } => errors::INVALID_PARAMS,
            Self::Response => errors::INVALID_REQUEST,
        }
    }

    /// The `data` of the answer, as raw JSON: the versions that may be asked for instead.
    pub fn data(&self) -> Option<String> {
        let Self::Version { requested } = self else { return None };
        let modern = revision::ALL.into_iter().filter(|r| r.era() == Era::Modern);
        let supported: Vec<String> = modern.map(|r| json::quote(r.as_str())).collect();
        let (supported, requested) = (supported.join(","), json::quote(requested));
        Some(format!("{{\"supported\":[{supported}],\"requested\":{requested}}}"))
    }
}

/// Checks the headers of a modern message against its body, and gives its revision.
///
/// Rules for the headers of a notification are not defined; its version must be right if present.
///
/// # Errors
/// In the order that the module states.
pub fn validate(headers: &HeaderMap, message: &Message) -> Result<Revision, HeaderError> {
    let header = single(headers, &MCP_PROTOCOL_VERSION)?.map(|v| text(v, &MCP_PROTOCOL_VERSION));
    let header = header.transpose()?;
    match message.kind() {
        MessageKind::Request => {}
        MessageKind::Notification => return validate_notification(header, message),
        MessageKind::Response | MessageKind::Error => return Err(HeaderError::Response),
    }
    let Some(params) = message.params() else {
        return Err(HeaderError::Meta { reason: "missing" });
    };
    let declared = declared_version(params)?;
    let Some(header) = header else { return Err(mismatch(MCP_PROTOCOL_VERSION, "missing")) };
    if header != declared {
        return Err(mismatch(MCP_PROTOCOL_VERSION, DIFFERS));
    }
    let revision = modern_revision(&declared)?;
    check_method(headers, message.method())?;
    check_name(headers, message.method(), params)?;
    Ok(revision)
}

/// The text of a `Mcp-Name` or `Mcp-Param-*` value: decoded if it is marked as base64, else as it
/// is. The marks are case-sensitive and exact: a value without both of them is literal.
///
/// `None` if what is marked is not padded standard base64 of UTF-8, or if a literal value is not
/// visible ASCII, blanks and tabs.
pub fn decode_value(value: &[u8]) -> Option<Cow<'_, str>> {
    let value = value.trim_ascii();
    if let Some(encoded) = marked(value) {
        let decoded = STANDARD.decode(encoded).ok()?;
        return String::from_utf8(decoded).ok().map(Cow::Owned);
    }
    let plain = value.iter().all(|b| matches!(b, b'\t' | 0x20..=0x7e));
    if plain { std::str::from_utf8(value).ok().map(Cow::Borrowed) } else { None }
}

/// The header value for a text: as it is if that is safe, else marked base64.
pub fn encode_value(text: &str) -> HeaderValue {
    let bytes = text.as_bytes();
    let is_plain = bytes.iter().all(|b| matches!(b, 0x20..=0x7e))
        && bytes.trim_ascii().len() == bytes.len()
        && marked(bytes).is_none();
    if is_plain && let Ok(value) = HeaderValue::from_str(text) {
        return value;
    }
    let value = format!("{OPEN}{}{CLOSE}", STANDARD.encode(bytes));
    HeaderValue::try_from(value).expect("base64 and its marks are visible ASCII")
}

/// The value of `Mcp-Name` for a request, or `None` if its method names nothing.
pub fn name_header(method: &str, params: Option<Raw<'_>>) -> Option<HeaderValue> {
    let key = methods::describe(method)?.mirrored()?;
    params?.get(key)?.str().map(|name| encode_value(&name))
}

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";
const DIFFERS: &str = "differs from the body";

fn marked(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(OPEN.as_bytes())?.strip_suffix(CLOSE.as_bytes())
}

fn validate_notification(header: Option<&str>, message: &Message) -> Result<Revision, HeaderError> {
    let declared = message.params().and_then(meta::protocol_version);
    match (header, declared) {
        (Some(header), Some(declared)) if header != declared => {
            Err(mismatch(MCP_PROTOCOL_VERSION, DIFFERS))
        }
        (Some(version), _) => modern_revision(version),
        (None, Some(version)) => modern_revision(&version),
        (None, None) => Ok(LATEST),
    }
}

/// The version in `_meta`, once all its required entries are known to be there.
fn declared_version(params: Raw<'_>) -> Result<Cow<'_, str>, HeaderError> {
    let missing = |reason| HeaderError::Meta { reason };
    let entries = params.get(meta::META).ok_or(missing("missing"))?;
    if !entries.is_object() {
        return Err(missing("not an object"));
    }
    let version = entries.get(meta::PROTOCOL_VERSION).and_then(Raw::str);
    let version = version.ok_or(missing("io.modelcontextprotocol/protocolVersion is required"))?;
    let capabilities = entries.get(meta::CLIENT_CAPABILITIES);
    if !capabilities.is_some_and(Raw::is_object) {
        return Err(missing("io.modelcontextprotocol/clientCapabilities is required"));
    }
    Ok(version)
}

fn modern_revision(version: &str) -> Result<Revision, HeaderError> {
    match version.parse::<Revision>() {
        Ok(revision) if revision.era() == Era::Modern => Ok(revision),
        _ => Err(HeaderError::Version { requested: version.to_owned() }),
    }
}

fn check_method(headers: &HeaderMap, method: &str) -> Result<(), HeaderError> {
    match single(headers, &MCP_METHOD)? {
        None => Err(mismatch(MCP_METHOD, "missing")),
        Some(value) if value.as_bytes().trim_ascii() == method.as_bytes() => Ok(()),
        Some(_) => Err(mismatch(MCP_METHOD, DIFFERS)),
    }
}

/// A method that names nothing may carry `Mcp-Name` all the same: nobody routes by it.
fn check_name(headers: &HeaderMap, method: &str, params: Raw<'_>) -> Result<(), HeaderError> {
    let value = single(headers, &MCP_NAME)?;
    let named = methods::describe(method).and_then(methods::Method::mirrored);
    let Some(key) = named else { return Ok(()) };
    // A request that names nothing is answered by whoever reads its params.
    let name = params.get(key).and_then(Raw::str);
    match (value, name) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(mismatch(MCP_NAME, "missing")),
        (Some(_), None) => Err(mismatch(MCP_NAME, "names what the body does not")),
        (Some(value), Some(name)) => match decode_value(value.as_bytes()) {
            None => Err(mismatch(MCP_NAME, "malformed")),
            Some(decoded) if decoded == name => Ok(()),
            Some(_) => Err(mismatch(MCP_NAME, DIFFERS)),
        },
    }
}

/// The one value of a header; two of them could be read differently by two readers.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, HeaderError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(mismatch(name.clone(), "sent twice")) } else { Ok(first) }
}

fn text<'a>(value: &'a HeaderValue, name: &HeaderName) -> Result<&'a str, HeaderError> {
    value.to_str().map(str::trim).map_err(|_| mismatch(name.clone(), "malformed"))
}

fn mismatch(header: HeaderName, reason: &'static str) -> HeaderError {
    HeaderError::Mismatch { header, reason }
}

#[cfg(test)]
mod tests;
