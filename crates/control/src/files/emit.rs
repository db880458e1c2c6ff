//! Writes YAML: the same bytes for the same values.
//!
//! Mappings and lists in block form; text that is anything but a simple word in double quotes, as
//! JSON writes it, which YAML reads alike.

use std::fmt::Write as _;

use serde_json::Value;

/// One document, ending in a line feed.
pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    out
}

fn write(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (i, (key, value)) in members.iter().enumerate() {
                if i != 0 {
                    indent(out, depth);
                }
                out.push_str(&scalar(key));
                out.push(':');
                write_member(out, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                if i != 0 {
                    indent(out, depth);
                }
                out.push_str("- ");
                write(out, item, depth + 1);
            }
        }
        other => {
            out.push_str(&flow(other));
            out.push('\n');
        }
    }
}

fn write_member(out: &mut String, value: &Value, depth: usize) {
    let is_block = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        indent(out, depth + 1);
        write(out, value, depth + 1);
    } else {
        out.push(' ');
        write(out, value, depth + 1);
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A word stands without quotes where YAML cannot take it for anything else.
fn scalar(text: &str) -> String {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.');
    let is_word = starts && text.chars().all(plain);
    // Other readers of YAML take these for booleans and the like.
    let lower = text.to_ascii_lowercase();
    let special = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if is_word && !special.contains(&lower.as_str()) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c => write!(quoted, "\\U{:08x}", u32::from(c)).expect("writing to a string"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::files::yaml;

    #[test]
    fn a_document() {
        let value = json!({
            "kind": "Gateway",
            "teams": [],
            "rules": [
                {"name": "mail", "pattern": "\\w+@\\w+", "on_request": true},
                {"name": "off", "tools": ["a b", "c"]},
            ],
        });
        assert_eq!(
            document(&value),
            "kind: Gateway\n\
             teams: []\n\
             rules:\n  \
               - name: mail\n    \
                 pattern: \"\\\\w+@\\\\w+\"\n    \
                 on_request: true\n  \
               - name: \"off\"\n    \
                 tools:\n      \
                   - \"a b\"\n      \
                   - c\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_is_written_is_read_back(value in tree()) {
            let text = document(&value);
            let read = yaml::parse(&text);
            let expected = match value {
                Value::Array(items) => items,
                Value::Null => vec![],
                other => vec![other],
            };
            prop_assert_eq!(read, Ok(expected), "{}", text);
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z]{1,5}".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,3}|\\PC{0,4}", inner, 0..4)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }
}
