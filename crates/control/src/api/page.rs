//! Lists, a page at a time.
//!
//! Pages go by name and not by number, so they stay stable while rows come and go.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Sql;
use domain::{Reach, Scope, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Error, Query, Ref};

/// Which rows a statement is to find, as four values: an id, a name, the name after which to
/// begin, and how many at most.
pub(crate) enum Which<'a> {
    All,
    One(&'a Ref),
    Page(&'a Paging),
    /// A page of what is below one thing, or of what belongs to somebody.
    Within(&'a Paging, Within),
}

/// Below what, or whose.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Within {
    Own(UserId),
    Scope(Scope),
}

/// Which page.
#[derive(Debug)]
pub(crate) struct Paging {
    after: Option<String>,
    limit: i64,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page<T> {
    items: Vec<T>,
    /// Ask with it for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The query parameters of every list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many at most.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// From the page before.
    cursor: Option<String>,
}

/// Without a limit: enough for most lists, and small enough to render.
const USUAL: i64 = 50;
const MOST: i64 = 200;

impl Which<'_> {
    /// Binds the id, the name, where to begin and how many.
    pub(crate) fn bind(&self, sql: Sql) -> Sql {
        let (id, name, after, limit): (Option<Uuid>, Option<&str>, Option<&str>, i64) = match self {
            Self::All => (None, None, None, i64::MAX),
            Self::One(it) => (it.id(), it.name(), None, 2),
            // One more than asked for shows whether there is another page. No name is empty: the
            // first page is looked for as the others are, along the index.
            Self::Page(page) | Self::Within(page, _) => {
                (None, None, Some(page.after.as_deref().unwrap_or("")), page.limit + 1)
            }
        };
        sql.bind(id).bind(name).bind(after).bind(limit)
    }

    /// After which name it begins.
    pub(crate) fn after(&self) -> Option<&str> {
        match self {
            Self::Page(page) | Self::Within(page, _) => page.after(),
            Self::All | Self::One(_) => None,
        }
    }

    /// Whether it finds rows wherever they are.
    pub(crate) fn is_anywhere(&self) -> bool {
        !matches!(self, Self::Within(..))
    }

    /// The gateway below which it finds rows.
    pub(crate) fn gateway(&self) -> Option<Uuid> {
        match self {
            Self::Within(_, Within::Scope(Scope::Gateway(id))) => Some(id.0),
            _ => None,
        }
    }

    /// The server below which it finds rows.
    pub(crate) fn server(&self) -> Option<Uuid> {
        match self {
            Self::Within(_, Within::Scope(Scope::Server(id))) => Some(id.0),
            _ => None,
        }
    }

    /// The team below which it finds rows.
    pub(crate) fn team(&self) -> Option<Uuid> {
        match self {
            Self::Within(_, Within::Scope(Scope::Team(id))) => Some(id.0),
            _ => None,
        }
    }

    /// The user whose rows it finds.
    pub(crate) fn owner(&self) -> Option<Uuid> {
        match self {
            Self::Within(_, Within::Own(id)) => Some(id.0),
            _ => None,
        }
    }
}

#[cfg(feature = "fuzzing")]
impl<T> Page<T> {
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }
}

impl Paging {
    /// Where to begin.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// How many at most.
    pub(crate) fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// What to find for a page of what is within reach: a page of each place.
    pub(crate) fn within(&self, reach: &Reach) -> Vec<Which<'_>> {
        if reach.is_whole {
            return vec![Which::Page(self)];
        }
        let places = reach.scopes.iter().copied().map(Within::Scope);
        places.chain(reach.own.map(Within::Own)).map(|it| Which::Within(self, it)).collect()
    }

    /// [`Paging::answer`] of the rows of all places that [`Paging::within`] gave. What was found
    /// in two of them is in the answer once.
    pub(crate) fn answer_within<R, T>(
        &self,
        rows: Vec<R>,
        name: impl Fn(&R) -> String,
        body: impl FnMut(R) -> T,
    ) -> Page<T> {
        let rows: BTreeMap<String, R> = rows.into_iter().map(|it| (name(&it), it)).collect();
        self.answer(rows.into_values().collect(), name, body)
    }

    /// What one asks with to begin after that.
    pub(crate) fn cursor(after: &str) -> String {
        URL_SAFE_NO_PAD.encode(after)
    }

    /// Makes the answer of the rows that [`Which::Page`] found; `name` is what they go by.
    pub(crate) fn answer<R, T>(
        &self,
        mut rows: Vec<R>,
        name: impl Fn(&R) -> String,
        body: impl FnMut(R) -> T,
    ) -> Page<T> {
        let limit = self.limit();
        let more = limit < rows.len();
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(name);
        let next_cursor = last.map(|it| Self::cursor(&it));
        Page { items: rows.into_iter().map(body).collect(), next_cursor }
    }

    /// From the query parameters of a list that has others beside them.
    pub(crate) fn of(limit: Option<&str>, cursor: Option<String>) -> Result<Self, Error> {
        let limit = match limit {
            None => USUAL,
            Some(text) => text
                .parse()
                .ok()
                .filter(|it| (1..=MOST).contains(it))
                .ok_or_else(|| Error::Malformed(format!("`limit` must be 1 to {MOST}")))?,
        };
        let after = match cursor {
            None => None,
            Some(cursor) => Some(
                URL_SAFE_NO_PAD
                    .decode(cursor)
                    .ok()
                    .and_then(|it| String::from_utf8(it).ok())
                    .filter(|it| it.len() <= 2_048)
                    .ok_or_else(Error::not_a_cursor)?,
            ),
        };
        Ok(Self { after, limit })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(query) = Query::<PageQuery>::from_request_parts(parts, state).await?;
        Self::of(query.limit.as_deref(), query.cursor)
    }
}

impl IntoParams for Paging {
    fn into_params(
        parameter_in_provider: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        PageQuery::into_params(parameter_in_provider)
    }
}
