//! The arguments of a call, as far as policies look at them.
//!
//! Only what a policy names is looked up. What is there and cannot be given in one of the types in
//! which it is asked for ends in a refusal, so that nobody gets by a policy by writing a number as
//! a text. What is not there, or is `null`, has no tag.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::RestrictedExpression;
use serde_json::Value;

use super::expression::Type;

/// Tags, by the entity that has them.
pub(super) type Tags = BTreeMap<Type, Vec<(String, RestrictedExpression)>>;

/// An argument is not of a type that policies can look at. With its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Untypable(pub(super) Box<str>);

/// Bounds of what is converted.
const LONGEST_TEXT: usize = 64 << 10;
const LONGEST_LIST: usize = 1_000;

/// The tags of what is asked for.
pub(super) fn tags(
    asked: &BTreeMap<Box<str>, BTreeSet<Type>>,
    arguments: &Value,
) -> Result<Tags, Untypable> {
    let mut tags = Tags::new();
    for (path, types) in asked {
        let untypable = || Untypable(path.clone());
        let Some(value) = find(arguments, path).map_err(|()| untypable())? else { continue };
        let mut is_given = false;
        for kind in types {
            if let Some(given) = typed(value, *kind) {
                is_given = true;
                tags.entry(*kind).or_default().push((path.to_string(), given));
            }
        }
        if !is_given {
            return Err(untypable());
        }
    }
    Ok(tags)
}

/// What stands at a path; nothing where there is nothing, or `null`.
fn find<'a>(arguments: &'a Value, path: &str) -> Result<Option<&'a Value>, ()> {
    let mut value = arguments;
    for segment in path.split('/') {
        let name = segment.replace("~1", "/").replace("~0", "~");
        value = match value {
            Value::Null => return Ok(None),
            Value::Object(members) => {
                // Servers that ignore case would take another spelling for the argument.
                let folded = folded(&name);
                if members.keys().any(|it| *it != name && self::folded(it) == folded) {
                    return Err(());
                }
                match members.get(&name) {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
            _ => return Err(()),
        };
    }
    Ok(Some(value).filter(|it| !it.is_null()))
}

/// What is left of a name where case is ignored, by the simple folding of Unicode, too, in which the long
/// s is an s and the sign of Kelvin a k.
fn folded(name: &str) -> String {
    let upper = name.chars().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).collect()
}

fn typed(value: &Value, kind: Type) -> Option<RestrictedExpression> {
    match (kind, value) {
        (Type::Texts, Value::String(text)) if text.len() <= LONGEST_TEXT => {
            Some(RestrictedExpression::new_string(text.clone()))
        }
        (Type::Truths, Value::Bool(it)) => Some(RestrictedExpression::new_bool(*it)),
        (Type::Numbers, Value::Number(it)) => whole(it).map(RestrictedExpression::new_long),
        (Type::Decimals, Value::Number(it)) => decimal(it).map(RestrictedExpression::new_decimal),
        (Type::Lists, Value::Array(items)) if items.len() <= LONGEST_LIST => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            let texts =
                texts.filter(|all| all.iter().map(|it| it.len()).sum::<usize>() <= LONGEST_TEXT)?;
            let texts = texts.into_iter().map(|it| RestrictedExpression::new_string(it.to_owned()));
            Some(RestrictedExpression::new_set(texts))
        }
        _ => None,
    }
}

/// A number that is whole, however it is written.
fn whole(number: &serde_json::Number) -> Option<i64> {
    /// Up to here every whole number is a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;

    if let Some(it) = number.as_i64() {
        return Some(it);
    }
    let it = number.as_f64().filter(|it| !number.is_u64() && it.fract() == 0.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the bounds")]
    (it.abs() < EXACT).then_some(it as i64)
}

/// A number that a Cedar decimal holds exactly: four digits after the point.
fn decimal(number: &serde_json::Number) -> Option<String> {
    /// The largest whole part (Cedar, `decimal`).
    const MOST: u64 = 922_337_203_685_476;

    let text = match whole(number) {
        Some(it) => format!("{it}.0"),
        None => format!("{}", number.as_f64()?),
    };
    let (before, after) = text.trim_start_matches('-').split_once('.')?;
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let fits = digits(before) && digits(after) && after.len() <= 4;
    (fits && before.parse::<u64>().is_ok_and(|it| it <= MOST)).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_must_be_of_a_type_that_is_asked_for() {
        use Type::{Decimals, Lists, Numbers, Texts, Truths};
        let given = json!({
            "text": "a", "whole": 3, "also": 4.0, "part": 1.25, "fine": 0.00001, "huge": 1e300,
            "most": u64::MAX, "yes": true, "list": ["a", "b"], "mixed": ["a", 1], "nothing": null,
            "inner": {"a/b": {"~": 7}}, "Case": 1, "case": 2, "\u{17f}igned": 1, "\u{212a}ind": 1,
        });
        for (path, kind, expected) in [
            ("text", Texts, Some(true)),
            ("text", Numbers, None),
            ("whole", Numbers, Some(true)),
            ("whole", Decimals, Some(true)),
            ("also", Numbers, Some(true)),
            ("part", Decimals, Some(true)),
            ("part", Numbers, None),
            ("fine", Decimals, None),
            ("huge", Numbers, None),
            ("huge", Decimals, None),
            ("most", Numbers, None),
            ("yes", Truths, Some(true)),
            ("list", Lists, Some(true)),
            ("mixed", Lists, None),
            ("nothing", Texts, Some(false)),
            ("absent", Texts, Some(false)),
            ("inner", Texts, None),
            ("inner/a~1b/~0", Numbers, Some(true)),
            ("inner/a/b", Numbers, Some(false)),
            ("text/deeper", Texts, None),
            ("case", Numbers, None),
            ("signed", Numbers, None),
            ("kind", Numbers, None),
        ] {
            let asked = BTreeMap::from([(path.into(), BTreeSet::from([kind]))]);
            let found = tags(&asked, &given).ok().map(|it| !it.is_empty());
            assert_eq!(found, expected, "{path} as {kind:?}");
        }
    }
}
