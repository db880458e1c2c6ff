//! In what two definitions differ, member by member.
//!
//! Compared is the canonical text, so that nothing is rounded or taken for the same on the way.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::marks;

/// A member that differs. Values are JSON, with characters that are not seen as `\u{…}`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PinDifference)]
pub(super) struct Difference {
    /// Where it is, as a JSON pointer (RFC 6901).
    pub(super) path: String,
    /// Absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    /// Absent where there is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

/// In what a definition differs from what was there before; all of it, where nothing was.
pub(super) fn of(before: Option<&str>, after: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut found, "", before.unwrap_or("{}"), after);
    found
}

fn compare(found: &mut Vec<Difference>, path: &str, before: &str, after: &str) {
    if before == after {
        return;
    }
    let (Some(mut was), Some(is)) = (members(before), members(after)) else {
        found.push(difference(path, Some(before), Some(after)));
        return;
    };
    for (name, value) in is {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        match was.remove(&name) {
            Some(before) => compare(found, &path, before.get(), value.get()),
            None => found.push(difference(&path, None, Some(value.get()))),
        }
    }
    for (name, value) in was {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(difference(&path, Some(value.get()), None));
    }
}

fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

fn difference(path: &str, before: Option<&str>, after: Option<&str>) -> Difference {
    Difference {
        path: marks::shown(path),
        before: before.map(marks::shown),
        after: after.map(marks::shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_apart_by_their_text() {
        let cases = [
            (None, r#"{"name":"a"}"#, vec![("/name", None, Some("\"a\""))]),
            (Some(r#"{"name":"a"}"#), r#"{"name":"a"}"#, vec![]),
            (
                Some(r#"{"a":{"b":1,"c":2}}"#),
                r#"{"a":{"b":1.0,"d":3}}"#,
                vec![
                    ("/a/b", Some("1"), Some("1.0")),
                    ("/a/d", None, Some("3")),
                    ("/a/c", Some("2"), None),
                ],
            ),
            (Some(r#"{"a":[1]}"#), r#"{"a":[1,2]}"#, vec![("/a", Some("[1]"), Some("[1,2]"))]),
            (Some(r#"{"a":{}}"#), r#"{"a":[]}"#, vec![("/a", Some("{}"), Some("[]"))]),
            (Some(r#"{"a/b~c":1}"#), r#"{}"#, vec![("/a~1b~0c", Some("1"), None)]),
            (
                Some("{\"d\":\"x\"}"),
                "{\"d\":\"x\u{200b}\"}",
                vec![("/d", Some("\"x\""), Some("\"x\\u{200b}\""))],
            ),
        ];
        for (before, after, expected) in cases {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(path, before, after)| Difference {
                    path: path.into(),
                    before: before.map(Into::into),
                    after: after.map(Into::into),
                })
                .collect();
            assert_eq!(of(before, after), expected, "{before:?} {after}");
        }
    }
}
