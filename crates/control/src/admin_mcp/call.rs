//! From a call of a tool to the request that it stands for, and from its answer to a result.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use axum::response::Response;
use futures::TryStreamExt as _;
use mcp::json::{Kind, Raw, quote};

use super::WORKSPACE;
use super::tools::{Parameter, Place, Tool};
use crate::api::{Error, Via};

/// What a tool has to say.
pub(super) struct Said {
    /// What a model reads.
    pub(super) text: String,
    /// The same as JSON.
    pub(super) structured: String,
    pub(super) is_error: bool,
}

/// A larger answer is told to be too large. A page of a list is far below.
const MOST_BYTES: usize = 4 << 20;

/// The request that a call stands for: from its arguments, and as whoever calls.
///
/// # Errors
/// Where the arguments are not those of the tool, or it is not confirmed.
pub(super) fn request(
    tool: &Tool,
    arguments: Option<Raw<'_>>,
    own: &str,
    credential: &HeaderValue,
) -> Result<Request<Body>, Error> {
    let given = Given::of(tool, arguments)?;
    let mut path = String::new();
    for segment in tool.template.split('/').skip(1) {
        path.push('/');
        match segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
            None => path.push_str(segment),
            Some(name) => {
                let value = given.text(name)?;
                let value = value.or((name == WORKSPACE).then_some(Cow::Borrowed(own)));
                let value = value.filter(|it| !it.is_empty()).ok_or_else(|| missing(name))?;
                escape_into(&mut path, &value);
            }
        }
    }
    let mut request = Request::builder().method(tool.method.clone());
    let mut separator = '?';
    for parameter in tool.parameters.iter().filter(|it| it.place != Place::Path) {
        let argument = &parameter.argument;
        let Some(value) = given.text(argument)? else {
            if parameter.is_required {
                return Err(missing(argument));
            }
            continue;
        };
        if parameter.place == Place::Header {
            let value = HeaderValue::from_str(&value);
            let value = value.map_err(|_| malformed(argument, "cannot be sent in a header"))?;
            let name = HeaderName::from_bytes(parameter.name.as_bytes());
            request = request.header(name.map_err(Error::internal)?, value);
        } else {
            path.push(separator);
            separator = '&';
            escape_into(&mut path, &parameter.name);
            path.push('=');
            escape_into(&mut path, &value);
        }
    }
    let uri = Uri::try_from(path);
    let uri = uri.map_err(|_| Error::Malformed("the arguments are too long".into()))?;
    request = request.uri(uri).header(header::AUTHORIZATION, credential);
    let body = match (tool.body, given.body) {
        (Some(true), None) => return Err(missing("body")),
        (_, None) => Body::empty(),
        (_, Some(body)) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(Bytes::copy_from_slice(body.bytes()))
        }
    };
    if tool.is_final && !given.is_confirmed {
        return Err(Error::Unconfirmed(tool.name.clone()));
    }
    let via = Via { template: Arc::clone(&tool.template) };
    request.extension(via).body(body).map_err(Error::internal)
}

/// The arguments of a call, all of which its tool knows.
struct Given<'a> {
    plain: Vec<(Cow<'a, str>, Raw<'a>)>,
    body: Option<Raw<'a>>,
    is_confirmed: bool,
}

impl<'a> Given<'a> {
    fn of(tool: &Tool, arguments: Option<Raw<'a>>) -> Result<Self, Error> {
        let mut given = Self { plain: Vec::new(), body: None, is_confirmed: false };
        let members = arguments.into_iter().flat_map(Raw::members);
        for (name, value) in members {
            let is_known = |it: &Parameter| it.argument == name;
            match &*name {
                "body" if tool.body.is_some() => given.body = Some(value),
                "confirm" if tool.is_final => {
                    let confirmed = value.bool().or(value.is_null().then_some(false));
                    let wrong = || malformed("confirm", "must be `true` or `false`");
                    given.is_confirmed = confirmed.ok_or_else(wrong)?;
                }
                _ if tool.parameters.iter().any(is_known) => {
                    // Models write `null` for what they leave out.
                    if !value.is_null() {
                        given.plain.push((name, value));
                    }
                }
                _ => return Err(unknown(tool, &name)),
            }
        }
        Ok(given)
    }

    /// The text of an argument.
    fn text(&self, argument: &str) -> Result<Option<Cow<'a, str>>, Error> {
        let Some((_, value)) = self.plain.iter().find(|it| it.0 == argument) else {
            return Ok(None);
        };
        let text = match value.kind() {
            Kind::String => value.str(),
            Kind::Bool => Some(value.text().into()),
            Kind::Number if value.is_integer() => Some(value.text().into()),
            _ => None,
        };
        text.map(Some).ok_or_else(|| malformed(argument, "must be a text or a whole number"))
    }
}

/// Everything that could mean something in an address is written out, dots included, so that a
/// text is one segment or one value, whatever is in it.
fn escape_into(address: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            address.push(char::from(byte));
        } else {
            write!(address, "%{byte:02X}").expect("a text takes everything");
        }
    }
}

/// What the tool says, from what the API has answered.
pub(super) async fn said(response: Response) -> Result<Said, Error> {
    let (parts, body) = response.into_parts();
    let status = parts.status;
    let header = |name| parts.headers.get(name).and_then(|it| it.to_str().ok());
    let etag = header(header::ETAG).map(quote);
    let retry_after = header(header::RETRY_AFTER);
    let is_json = header(header::CONTENT_TYPE).is_some_and(|it| it.contains("json"));
    let body = whole(body).await?;
    if !status.is_success() {
        return Ok(refused(status, &body, retry_after));
    }
    let mut structured = format!(r#"{{"status":{}"#, status.as_u16());
    if let Some(etag) = etag {
        structured.push_str(r#","etag":"#);
        structured.push_str(&etag);
    }
    if !body.is_empty() {
        structured.push_str(r#","body":"#);
        let text = String::from_utf8_lossy(&body);
        structured.push_str(&if is_json { text } else { quote(&text).into() });
    }
    structured.push('}');
    Ok(Said { text: structured.clone(), structured, is_error: false })
}

/// A refusal: the sentence for the model, the problem document for programs.
fn refused(status: StatusCode, body: &[u8], retry_after: Option<&str>) -> Said {
    let problem = Raw::parse(body, mcp::json::Limits::default()).ok().filter(|it| it.is_object());
    let member = |name: &str| problem.and_then(|it| it.get(name)?.str());
    let title = member("title").unwrap_or_default();
    let detail = member("detail").unwrap_or_default();
    let mut text = format!("{} {title}: {detail}", status.as_u16());
    if let Some(seconds) = retry_after {
        write!(text, " (again after {seconds} s)").expect("a text takes everything");
    }
    let structured = problem.map_or_else(|| "{}".to_owned(), |it| it.text().to_owned());
    Said { text, structured, is_error: true }
}

async fn whole(body: Body) -> Result<Vec<u8>, Error> {
    let mut parts = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(part) = parts.try_next().await.map_err(Error::internal)? {
        if MOST_BYTES < all.len() + part.len() {
            let text = "the answer is too large for a tool; ask the API itself for it";
            return Err(Error::Conflict(text.into()));
        }
        all.extend_from_slice(&part);
    }
    Ok(all)
}

fn missing(argument: &str) -> Error {
    malformed(argument, "is missing")
}

fn malformed(argument: &str, what: &str) -> Error {
    Error::Malformed(format!("the argument `{argument}` {what}"))
}

fn unknown(tool: &Tool, argument: &str) -> Error {
    let mut known: Vec<&str> = tool.parameters.iter().map(|it| it.argument.as_str()).collect();
    known.extend(tool.body.is_some().then_some("body"));
    known.extend(tool.is_final.then_some("confirm"));
    let known = known.join("`, `");
    let shown: String = argument.chars().filter(|it| !it.is_control()).take(64).collect();
    let text = format!("`{}` has no argument `{shown}`; it takes `{known}`", tool.name);
    Error::Malformed(text)
}
