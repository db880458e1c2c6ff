//! How a request says which thing it means.

use std::borrow::Cow;

use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::Error;

/// A name, or an id. Ids begin with a digit and names with a letter, so that neither is ever
/// taken for the other. One spelling each: what is not canonical means nothing (H162).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Ref {
    Id(Uuid),
    Name(Name),
}

/// A name, as documents describe it.
pub(crate) enum NameText {}

/// A [`Ref`], as documents describe it.
pub(crate) enum RefText {}

/// An address of a client, as documents describe it.
pub(crate) enum AddressText {}

/// A capability, as documents describe it.
pub(crate) enum CapabilityText {}

/// The hash of a definition, as documents describe it.
pub(crate) enum HashText {}

/// What a grant covers, as documents describe it.
pub(crate) enum ScopeText {}

const NAME: &str = "[a-z](?:-?[a-z0-9])*";
const ID: &str = "[0-9][0-9a-f]{7}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

impl Ref {
    pub(crate) fn id(&self) -> Option<Uuid> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Name(_) => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Id(_) => None,
            Self::Name(name) => Some(name.as_str()),
        }
    }

    /// Whether it is this thing that is meant.
    pub(crate) fn means(&self, id: Uuid, name: &Name) -> bool {
        match self {
            Self::Id(own) => *own == id,
            Self::Name(own) => own == name,
        }
    }

    pub(crate) fn not_found(&self, kind: &'static str) -> Error {
        Error::NotFound { kind, name: self.to_string() }
    }
}

impl TryFrom<String> for Ref {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let id: Uuid = text.parse().map_err(|_| "use a name or an id")?;
            return if id.to_string() == text {
                Ok(Self::Id(id))
            } else {
                Err("not a canonical id")
            };
        }
        Name::try_from(text).map(Self::Name).map_err(|_| "use a name or an id")
    }
}

impl From<Ref> for String {
    fn from(reference: Ref) -> Self {
        reference.to_string()
    }
}

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl From<Uuid> for Ref {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<&Name> for Ref {
    fn from(name: &Name) -> Self {
        Self::Name(name.clone())
    }
}

impl ToSchema for NameText {
    fn name() -> Cow<'static, str> {
        "Name".into()
    }
}

impl PartialSchema for NameText {
    fn schema() -> RefOr<Schema> {
        text("1 to 63 of a-z, 0-9 and single dashes inside, a letter first.", NAME)
    }
}

impl ToSchema for RefText {
    fn name() -> Cow<'static, str> {
        "Ref".into()
    }
}

impl PartialSchema for RefText {
    fn schema() -> RefOr<Schema> {
        text("A name, or an id.", &format!("(?:{NAME}|{ID})"))
    }
}

impl ToSchema for AddressText {
    fn name() -> Cow<'static, str> {
        "Address".into()
    }
}

impl PartialSchema for AddressText {
    fn schema() -> RefOr<Schema> {
        let text = |format| {
            let format = SchemaFormat::KnownFormat(format);
            ObjectBuilder::new().schema_type(Type::String).format(Some(format))
        };
        AnyOfBuilder::new()
            .description(Some("An IP address."))
            .item(text(KnownFormat::Ipv4))
            .item(text(KnownFormat::Ipv6))
            .into()
    }
}

impl ToSchema for CapabilityText {
    fn name() -> Cow<'static, str> {
        "Capability".into()
    }
}

impl PartialSchema for CapabilityText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What a role lets somebody do."))
            .enum_values(Some(Capability::ALL.iter().map(|it| it.as_str())))
            .into()
    }
}

impl ToSchema for HashText {
    fn name() -> Cow<'static, str> {
        "Hash".into()
    }
}

impl PartialSchema for HashText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("SHA-256 over a canonical form."))
            .pattern(Some("^sha256:[0-9a-f]{64}$"))
            .into()
    }
}

impl ToSchema for ScopeText {
    fn name() -> Cow<'static, str> {
        "Scope".into()
    }
}

impl PartialSchema for ScopeText {
    fn schema() -> RefOr<Schema> {
        let thing = |kind: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some(format!("^{kind}/(?:{NAME}|{ID})$")))
                .max_length(Some(kind.len() + 64))
        };
        AnyOfBuilder::new()
            .description(Some("The workspace, or one thing and all below it."))
            .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["workspace"])))
            .item(thing("gateway"))
            .item(thing("server"))
            .item(thing("team"))
            .into()
    }
}

fn text(what: &str, pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(what))
        .pattern(Some(format!("^{pattern}$")))
        .min_length(Some(1))
        .max_length(Some(63))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h162_only_the_canonical_form_means_something() {
        let cases = [
            ("jira", true),
            ("0190a5b0-7c1e-7aaa-8000-0123456789ab", true),
            ("0190A5B0-7C1E-7AAA-8000-0123456789AB", false),
            ("0190a5b07c1e7aaa80000123456789ab", false),
            ("{0190a5b0-7c1e-7aaa-8000-0123456789ab}", false),
            ("Jira", false),
            (" jira", false),
            ("jira ", false),
            ("jıra", false),
            ("ji\u{200b}ra", false),
            ("", false),
            ("..", false),
        ];
        for (text, good) in cases {
            assert_eq!(Ref::try_from(text.to_owned()).is_ok(), good, "{text:?}");
        }
    }
}
