//! From where something may be used: as text, and as it is stored.
//!
//! Workspaces, apps and gateways each have such a list. It is one of the members that a request, a
//! file and a row have alike, so there is one form of it.

use std::borrow::Cow;

use domain::{Addresses, Network};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Networks, such as `192.0.2.0/24` and `2001:db8::/32`, or single addresses. None at all: from
/// everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub(crate) struct AddressesText(pub(crate) Addresses);

/// What an address or a network is written with. Whether it is one is told when it is read.
const NETWORK: &str = "^[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?$";

impl TryFrom<Vec<String>> for AddressesText {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let networks: Result<Vec<Network>, _> = texts.iter().map(|it| it.parse()).collect();
        let networks = networks.map_err(|why: domain::InvalidNetwork| why.to_string())?;
        Addresses::new(networks).map(Self).map_err(|why| why.to_string())
    }
}

impl From<AddressesText> for Vec<String> {
    fn from(text: AddressesText) -> Self {
        text.0.iter().map(|it| it.to_string()).collect()
    }
}

impl PartialSchema for AddressesText {
    fn schema() -> RefOr<Schema> {
        let network = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(NETWORK))
            .max_length(Some(49))
            .build();
        let text = "Networks in CIDR notation, or single addresses; none: from everywhere.";
        ArrayBuilder::new()
            .items(network)
            .max_items(Some(Addresses::MOST))
            .description(Some(text))
            .build()
            .into()
    }
}

impl ToSchema for AddressesText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AddressesText")
    }
}
