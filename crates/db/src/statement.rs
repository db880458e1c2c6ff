//! A statement with its values.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
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
///
/// A condition that only holds where something was asked for is written `($2 IS NULL OR id = $2)`.
/// Databases plan a text for whatever its values may be, and would look at every row; so they are
/// given it without what the values have decided already.
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

    /// The text without the conditions that begin with `($n IS NULL OR`, or with `($n OR` where the
    /// value is a boolean: true where that is so, and the rest of them where it is not. Of the rest
    /// nothing is equal to NULL.
    fn decided(&self) -> Cow<'static, str> {
        let mut text = String::new();
        let mut rest = self.text;
        while let Some(it) = self.next_decided(rest) {
            text.push_str(it.before);
            text.push('(');
            if it.is_true {
                text.push_str("TRUE");
            } else {
                let left = alternatives(it.condition).filter(|it| !self.is_void(it));
                let left: Vec<&str> = left.collect();
                text.push_str(&if left.is_empty() { "FALSE".into() } else { left.join(" OR ") });
            }
            rest = it.after;
        }
        if text.is_empty() { Cow::Borrowed(rest) } else { Cow::Owned(text + rest) }
    }

    /// Whether it is `column = $n`, and the value NULL.
    fn is_void(&self, condition: &str) -> bool {
        let Some((column, value)) = condition.split_once(" = $") else { return false };
        let is_column = column.chars().all(|it| it.is_ascii_alphanumeric() || "._".contains(it));
        let value = value.parse::<usize>().ok().and_then(|it| self.values.get(it.checked_sub(1)?));
        is_column && value.is_some_and(Value::is_null)
    }

    fn next_decided(&self, text: &'static str) -> Option<Decided> {
        text.match_indices("($").find_map(|(at, opening)| {
            let (before, from) = text.split_at(at);
            let from = from.strip_prefix(opening)?;
            let after = from.trim_start_matches(|it: char| it.is_ascii_digit());
            let number: usize = from.strip_suffix(after)?.parse().ok()?;
            let value = self.values.get(number.checked_sub(1)?)?;
            let (rest, is_true) = match (after.strip_prefix(" IS NULL OR "), value) {
                (Some(rest), value) => (rest, value.is_null()),
                (None, Value::Bool(Some(is_true))) => (after.strip_prefix(" OR ")?, *is_true),
                (None, _) => return None,
            };
            let (condition, after) = rest.split_at(closing(rest));
            Some(Decided { before, is_true, condition, after })
        })
    }

    /// Refuses what not both databases would keep.
    pub(crate) fn checked(self) -> Result<Self, DbError> {
        if self.values.iter().any(Value::has_nul) { Err(DbError::Nul) } else { Ok(self) }
    }
}

impl Value {
    fn is_null(&self) -> bool {
        match self {
            Self::Bool(it) => it.is_none(),
            Self::Bytes(it) => it.is_none(),
            Self::Int(it) => it.is_none(),
            Self::Json(it) => it.is_none(),
            Self::Text(it) => it.is_none(),
            Self::Time(it) => it.is_none(),
            Self::Uuid(it) => it.is_none(),
        }
    }

    fn has_nul(&self) -> bool {
        match self {
            Self::Text(Some(text)) => text.contains('\0'),
            Self::Json(Some(json)) => holds_nul(json),
            _ => false,
        }
    }
}

/// A condition in parentheses whose first alternative is decided by a value.
struct Decided {
    /// Up to the parenthesis.
    before: &'static str,
    is_true: bool,
    /// Its other alternatives.
    condition: &'static str,
    /// From the closing parenthesis.
    after: &'static str,
}

/// Where the parenthesis ends that is open at the beginning.
fn closing(text: &str) -> usize {
    let mut open = 1;
    let close = text.find(|it| {
        open += depth(it);
        open == 0
    });
    close.unwrap_or(text.len())
}

/// How many parentheses a character opens.
fn depth(it: char) -> i32 {
    i32::from(it == '(') - i32::from(it == ')')
}

/// What stands between `OR`, outside of parentheses.
fn alternatives(condition: &'static str) -> impl Iterator<Item = &'static str> {
    const OR: &str = " OR ";
    let mut rest = Some(condition);
    std::iter::from_fn(move || {
        let text = rest?;
        let parts = text.match_indices(OR).map(|(at, _)| text.split_at(at));
        let first =
            parts.into_iter().find(|(before, _)| before.chars().map(depth).sum::<i32>() == 0);
        let (one, others) = first.unwrap_or((text, ""));
        rest = others.strip_prefix(OR);
        Some(one)
    })
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
            let text = match sql.decided() {
                Cow::Borrowed(text) => text.into_sql_str(),
                // It is made of parts of the text, and of nothing else.
                Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
            };
            let mut query = sqlx::query(text);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_without_what_its_values_decide() {
        let of = |text, id: Option<i64>, name: Option<&str>| {
            sql(text).bind(0).bind(id).bind(name).decided().into_owned()
        };
        let text =
            "WHERE w = $1 AND ($2 IS NULL OR i = $2) AND ($3 IS NULL OR n IN (($3), 'a')) LIMIT 1";
        assert_eq!(of(text, None, None), "WHERE w = $1 AND (TRUE) AND (TRUE) LIMIT 1");
        assert_eq!(of(text, Some(1), None), "WHERE w = $1 AND (i = $2) AND (TRUE) LIMIT 1");
        let named = "WHERE w = $1 AND (TRUE) AND (n IN (($3), 'a')) LIMIT 1";
        assert_eq!(of(text, None, Some("a")), named);
        // What is not decided, or not by these values, is left to the database.
        for text in [
            "WHERE w = $1",
            "WHERE (until IS NULL OR until > $2)",
            "WHERE ($3 || x IS NULL OR x = $2)",
            "WHERE ($1 OR x = $2) AND x IN ($1)",
            "WHERE ($0 IS NULL OR x = $2) AND ($9 IS NULL OR x = $9)",
        ] {
            assert!(
                matches!(sql(text).bind(0).decided(), Cow::Borrowed(it) if it == text),
                "{text}"
            );
        }
        let flagged = |it: bool| sql("WHERE ($1 OR i = $2)").bind(it).bind(1).decided();
        assert_eq!(flagged(true), "WHERE (TRUE)");
        assert_eq!(flagged(false), "WHERE (i = $2)");
        let among = |a: Option<i64>, b: Option<i64>| {
            let text = "WHERE ($1 OR x.a = $2 OR (a = $2 OR b = $3) OR b = $3) AND y = $2";
            sql(text).bind(false).bind(a).bind(b).decided()
        };
        assert_eq!(among(Some(1), None), "WHERE (x.a = $2 OR (a = $2 OR b = $3)) AND y = $2");
        assert_eq!(among(None, Some(1)), "WHERE ((a = $2 OR b = $3) OR b = $3) AND y = $2");
        assert_eq!(
            sql("WHERE ($1 OR i = $2)").bind(false).bind(None::<i64>).decided(),
            "WHERE (FALSE)"
        );
        let mixed = "WHERE (until IS NULL OR until > $1) AND ($2 IS NULL OR i = $2)";
        assert_eq!(of(mixed, None, None), "WHERE (until IS NULL OR until > $1) AND (TRUE)");
    }
}
