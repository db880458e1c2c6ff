//! What differs between an object as it was and as it is, member by member.
//!
//! Both are compared as documents, in which secrets stand as references: no value of one is ever
//! here. A secret that has changed is told as such.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::document::Document;

/// A member that differed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Difference {
    /// Where it is: the names of members with dots between them; parts of lists go by their names.
    pub member: String,
    /// `null` where there was none.
    pub before: Value,
    /// `null` where there is none.
    pub after: Value,
}

/// Enough to see what is going on; a longer list is no help to anyone, and would fill records.
const MOST: usize = 200;

/// How an object differs from what it was. `members` are those known to have changed.
pub(super) fn between(
    before: &Document,
    after: &Document,
    members: &[&'static str],
) -> Vec<Difference> {
    let (before, after) = (before.members(), after.members());
    let mut found = Vec::new();
    objects(&mut found, "", &before, &after);
    for member in members {
        let is_told = found.iter().any(|it| it.member.split('.').next() == Some(member));
        if !is_told {
            // It looks the same, so what has changed is not for everyone to see.
            let sealed = Value::from("[sealed]");
            let member = (*member).to_owned();
            found.push(Difference { member, before: sealed.clone(), after: sealed });
        }
    }
    found.truncate(MOST);
    found
}

/// How two objects differ, as they are shown: all of it.
pub(crate) fn differences(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    objects(&mut found, "", before, after);
    found
}

fn objects(
    found: &mut Vec<Difference>,
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) {
    let gone = before.keys().filter(|it| !after.contains_key(*it));
    for key in after.keys().chain(gone) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        values(found, path, before.get(key), after.get(key));
    }
}

fn values(
    found: &mut Vec<Difference>,
    path: String,
    before: Option<&Value>,
    after: Option<&Value>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            objects(found, &path, before, after);
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => match (named(one), named(other)) {
            (Some(before), Some(after)) => {
                let known = found.len();
                objects(found, &path, &before, &after);
                if found.len() == known {
                    // The same things in another order.
                    let names = |it: Map<String, Value>| it.into_iter().map(|it| it.0).collect();
                    found.push(Difference {
                        member: path,
                        before: names(before),
                        after: names(after),
                    });
                }
            }
            _ => leaf(found, path, before, after),
        },
        _ => leaf(found, path, before, after),
    }
}

fn leaf(
    found: &mut Vec<Difference>,
    member: String,
    before: Option<&Value>,
    after: Option<&Value>,
) {
    // What a file does not say to be off is on.
    let is_switch = member.rsplit('.').next() == Some("enabled");
    let usual = if is_switch { Value::Bool(true) } else { Value::Null };
    let [before, after] = [before, after].map(|it| it.unwrap_or(&usual).clone());
    found.push(Difference { member, before, after });
}

/// A list of things by what they go by, where all of them go by something.
fn named(items: &[Value]) -> Option<Map<String, Value>> {
    let mut all = Map::new();
    for item in items {
        let name = ["alias", "name", "server", "gateway"].iter().find_map(|it| item.get(it))?;
        all.insert(name.as_str()?.to_owned(), item.clone());
    }
    Some(all)
}
