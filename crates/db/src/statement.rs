//! A statement with its values.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use uuid::Uuid;

use crate::DbError;

/// A statement with its values bound.
pub struct Sql {
    pub(crate) text: &'static str,
    pub(crate) values: Vec<Value>,
}

/// The column types we use: the ones both databases hold without loss. `None` is a NULL that
/// keeps its type.
#[derive(Clone, Debug)]
pub enum Value {
    Bool(Option<bool>),
    Bytes(Option<Vec<u8>>),
    Int(Option<i64>),
    Json(Option<serde_json::Value>),
    Text(Option<String>),
    Time(Option<DateTime<Utc>>),
    Uuid(Option<Uuid>),
}

/// Begins a statement. Placeholders are `$1`, `$2`, …
pub fn sql(text: &'static str) -> Sql {
    Sql { text, values: Vec::new() }
}

impl Sql {
    /// Gives the next placeholder its value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Refuses what not both databases would keep.
    pub(crate) fn checked(self) -> Result<Self, DbError> {
        if self.values.iter().any(Value::has_nul) { Err(DbError::Nul) } else { Ok(self) }
    }
}

impl Value {
    fn has_nul(&self) -> bool {
        match self {
            Self::Text(Some(text)) => text.contains('\0'),
            Self::Json(Some(json)) => holds_nul(json),
            _ => false,
        }
    }
}

fn holds_nul(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(holds_nul),
        serde_json::Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        _ => false,
    }
}

/// Written twice because the two `bind` methods share a shape but no trait.
macro_rules! bind_all {
    ($name:ident, $db:ty, $args:ty) => {
        pub(crate) fn $name<'q>(sql: Sql) -> sqlx::query::Query<'q, $db, $args> {
            let mut query = sqlx::query(sql.text);
            for value in sql.values {
                query = match value {
                    Value::Bool(it) => query.bind(it),
                    Value::Bytes(it) => query.bind(it),
                    Value::Int(it) => query.bind(it),
                    Value::Json(it) => query.bind(it),
                    Value::Text(it) => query.bind(it),
                    Value::Time(it) => query.bind(it),
                    Value::Uuid(it) => query.bind(it),
                };
            }
            query
        }
    };
}

bind_all!(for_sqlite, Sqlite, SqliteArguments);
bind_all!(for_postgres, Postgres, PgArguments);

/// `From<T>` and `From<Option<T>>` for each column type.
macro_rules! value_from {
    ($($rust:ty => $variant:ident),* $(,)?) => {$(
        impl From<$rust> for Value {
            fn from(value: $rust) -> Self {
                Self::$variant(Some(value.into()))
            }
        }

        impl From<Option<$rust>> for Value {
            fn from(value: Option<$rust>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )*};
}

value_from! {
    bool => Bool,
    &[u8] => Bytes,
    Vec<u8> => Bytes,
    i64 => Int,
    serde_json::Value => Json,
    &str => Text,
    String => Text,
    DateTime<Utc> => Time,
    Uuid => Uuid,
}
