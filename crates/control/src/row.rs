//! From columns to values. What does not fit was not written by us.

use domain::Name;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::Error;

pub(crate) fn name(text: String) -> Result<Name, Error> {
    Name::try_from(text).map_err(Error::internal)
}

/// A reference to something by id and name, as joins yield it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<Id> {
    pub(crate) id: Id,
    pub(crate) name: Name,
}

/// Names that the statement has joined with commas, which no name holds.
pub(crate) fn names(joined: Option<String>) -> Result<Vec<Name>, Error> {
    let joined = joined.unwrap_or_default();
    joined.split(',').filter(|it| !it.is_empty()).map(|it| name(it.to_owned())).collect()
}

pub(crate) fn json<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(Error::internal)
}

/// The column of one of our own mirror types, which always have a JSON form.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("text forms have string keys and finite numbers")
}
