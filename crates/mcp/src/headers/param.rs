//! `Mcp-Param-*`: tool arguments that a schema asks to have mirrored (`x-mcp-header`).
//!
//! An annotation is valid only where every client finds it the same way: on a string, boolean or
//! integer that is reached from the root of the input schema through `properties` alone. One invalid
//! annotation makes the whole tool unusable over HTTP, so it is an error and not skipped.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{DIFFERS, HeaderError, decode_value, encode_value, mismatch, single};
use crate::json::{Kind, Limits, Raw};

/// One annotated parameter of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamHeader {
    /// `mcp-param-` and the annotation in lower case.
    pub header: HeaderName,
    /// Member names from `arguments` down to the value.
    pub path: Vec<String>,
    /// What the schema declares the value to be.
    pub param: ParamType,
}

/// The types that may be mirrored; `number` is not one, since floats have many spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    String,
    Boolean,
    Integer,
}

/// Why a tool must not be offered over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnnotation {
    #[error("x-mcp-header is not a string that can be part of a header name")]
    Name,
    #[error("x-mcp-header stands on something other than a string, boolean or integer")]
    Type,
    #[error("x-mcp-header `{name}` is used twice")]
    Duplicate { name: String },
    #[error("x-mcp-header stands where it is not reached through properties alone")]
    Place,
    #[error("more than {MAX_HEADERS} x-mcp-header annotations")]
    TooMany,
}

/// Collects the annotations of a tool's `inputSchema`.
///
/// # Errors
/// The first annotation that breaks a rule.
pub fn param_headers(schema: Raw<'_>) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    let mut found = Vec::new();
    // Most schemas have none: one search settles that. An escaped spelling of the key holds a
    // backslash before some letter of it, so it is found by the walk.
    let bytes = schema.bytes();
    let is_plain = memchr::memchr(b'\\', bytes).is_none();
    if is_plain && memchr::memmem::find(bytes, ANNOTATION.as_bytes()).is_none() {
        return Ok(found);
    }
    if schema.get(ANNOTATION).is_some() {
        return Err(InvalidAnnotation::Place);
    }
    collect(schema, &mut Vec::new(), &mut found)?;
    Ok(found)
}

/// Checks the mirrored headers of a call against its arguments.
///
/// # Errors
/// [`HeaderError::Mismatch`] if a header is missing, doubled, malformed, differs from its argument,
/// or is there although the argument is not. Integers are compared as numbers.
pub fn check_params(
    headers: &HeaderMap,
    params: &[ParamHeader],
    arguments: Option<Raw<'_>>,
) -> Result<(), HeaderError> {
    for param in params {
        let value = single(headers, &param.header)?;
        let argument = param.argument(arguments);
        let reason = match (value, argument) {
            (None, None) => continue,
            (None, Some(_)) => "missing",
            (Some(_), None) => "sent for an argument that is absent",
            (Some(value), Some(argument)) => match decode_value(value.as_bytes()) {
                None => "malformed",
                Some(text) if agrees(&text, argument) => continue,
                Some(_) => DIFFERS,
            },
        };
        return Err(mismatch(param.header.clone(), reason));
    }
    Ok(())
}

/// The mirrored headers that a call must carry.
pub fn param_header_values(
    params: &[ParamHeader],
    arguments: Option<Raw<'_>>,
) -> Vec<(HeaderName, HeaderValue)> {
    let value = |param: &ParamHeader| {
        let argument = param.argument(arguments)?;
        let value = match argument.kind() {
            Kind::String => encode_value(&argument.str()?),
            Kind::Bool | Kind::Number => encode_value(&plain(argument)),
            Kind::Object | Kind::Array | Kind::Null => return None,
        };
        Some((param.header.clone(), value))
    };
    params.iter().filter_map(value).collect()
}

impl ParamHeader {
    /// The argument that is mirrored; `null` counts as absent.
    fn argument<'a>(&self, arguments: Option<Raw<'a>>) -> Option<Raw<'a>> {
        let value = self.path.iter().try_fold(arguments?, |value, key| value.get(key))?;
        (!value.is_null()).then_some(value)
    }
}

const ANNOTATION: &str = "x-mcp-header";

/// More mirrored headers than this exceed what servers accept in a header section.
const MAX_HEADERS: usize = 64;

/// Whole numbers up to here are exact in the floating point numbers of JavaScript.
const SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Walks a schema that is reached through `properties` alone.
fn collect(
    schema: Raw<'_>,
    path: &mut Vec<String>,
    found: &mut Vec<ParamHeader>,
) -> Result<(), InvalidAnnotation> {
    for (keyword, value) in schema.members() {
        if keyword != "properties" {
            refuse_below(&keyword, value)?;
            continue;
        }
        for (name, property) in value.members() {
            path.push(name.into_owned());
            if let Some(annotation) = property.get(ANNOTATION) {
                let param = annotated(annotation, property, path)?;
                if found.iter().any(|other| other.header == param.header) {
                    let name = annotation.str().unwrap_or_default().into_owned();
                    return Err(InvalidAnnotation::Duplicate { name });
                }
                if found.len() == MAX_HEADERS {
                    return Err(InvalidAnnotation::TooMany);
                }
                found.push(param);
            }
            collect(property, path, found)?;
            path.pop();
        }
    }
    Ok(())
}

fn annotated(
    annotation: Raw<'_>,
    property: Raw<'_>,
    path: &[String],
) -> Result<ParamHeader, InvalidAnnotation> {
    let name = annotation.str().ok_or(InvalidAnnotation::Name)?;
    // The rules of `HeaderName` are those of an RFC 9110 token.
    let is_ascii = !name.is_empty() && name.is_ascii();
    let header = HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes());
    let header = header.ok().filter(|_| is_ascii).ok_or(InvalidAnnotation::Name)?;
    let param = match property.get("type").and_then(Raw::str).as_deref() {
        Some("string") => ParamType::String,
        Some("boolean") => ParamType::Boolean,
        Some("integer") => ParamType::Integer,
        _ => return Err(InvalidAnnotation::Type),
    };
    Ok(ParamHeader { header, path: path.to_vec(), param })
}

/// Refuses annotations in a keyword's value, where no chain of `properties` leads.
fn refuse_below(keyword: &str, value: Raw<'_>) -> Result<(), InvalidAnnotation> {
    match keyword {
        // Plain data, in which the annotation is a member like any other.
        "const" | "default" | "enum" | "examples" => Ok(()),
        // Maps from names to schemas: the names are no keywords.
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            value.members().try_for_each(|(_, schema)| refuse_in(schema))
        }
        _ => refuse_in(value),
    }
}

fn refuse_in(schema: Raw<'_>) -> Result<(), InvalidAnnotation> {
    match schema.kind() {
        Kind::Object => schema.members().try_for_each(|(keyword, value)| {
            if keyword == ANNOTATION {
                return Err(InvalidAnnotation::Place);
            }
            refuse_below(&keyword, value)
        }),
        Kind::Array => schema.items().try_for_each(refuse_in),
        _ => Ok(()),
    }
}

fn agrees(text: &str, argument: Raw<'_>) -> bool {
    match argument.kind() {
        Kind::String => argument.str().is_some_and(|argument| argument == text),
        Kind::Bool => argument.bytes() == text.as_bytes(),
        Kind::Number => {
            argument.bytes() == text.as_bytes() || {
                let number = Raw::parse(text.as_bytes(), Limits::default()).ok();
                let safe = |raw: Raw<'_>| raw.f64().filter(|n| n.abs() <= SAFE_INTEGER);
                let (header, body) = (number.and_then(safe), safe(argument));
                header.is_some() && header == body
            }
        }
        Kind::Object | Kind::Array | Kind::Null => false,
    }
}

/// A boolean as it is written, and a number as JavaScript writes it: `42` for `42.0`.
fn plain(argument: Raw<'_>) -> String {
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= SAFE_INTEGER;
    match argument.f64().filter(whole) {
        Some(number) if !argument.is_integer() => format!("{number:.0}"),
        _ => argument.text().to_owned(),
    }
}
