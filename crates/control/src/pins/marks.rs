//! What a definition says without showing it: characters that a reader does not see, or that turn
//! what is read around.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

/// The kinds of such characters in a definition and in its name, by their names, each once.
pub(super) fn of(name: &str, definition: &str) -> Vec<&'static str> {
    let mut found = BTreeSet::new();
    if !name.is_ascii() {
        found.insert("foreign_name");
    }
    found.extend(name.chars().filter_map(mark));
    // What is not JSON has been looked at as text all the same.
    match serde_json::from_str::<Value>(definition) {
        Ok(value) => collect(&value, &mut found),
        Err(_) => found.extend(definition.chars().filter_map(mark)),
    }
    found.into_iter().collect()
}

/// The text with every such character as `\u{…}`. Of JSON: there a backslash before `u{` means
/// nothing else.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match mark(c) {
            Some(_) => write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string"),
            None => out.push(c),
        }
    }
    out
}

fn collect(value: &Value, found: &mut BTreeSet<&'static str>) {
    match value {
        Value::String(text) => found.extend(text.chars().filter_map(mark)),
        Value::Array(items) => items.iter().for_each(|it| collect(it, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            found.extend(name.chars().filter_map(mark));
            collect(value, found);
        }),
        _ => {}
    }
}

/// What kind of hidden character it is, if it is one.
fn mark(c: char) -> Option<&'static str> {
    Some(match c {
        '\t' | '\n' | '\r' => return None,
        '\u{1b}' | '\u{9b}' => "ansi",
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => "control",
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => {
            "bidi"
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0080}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}' => "zero_width",
        '\u{180b}'..='\u{180d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
            "variation_selector"
        }
        '\u{e0000}'..='\u{e007f}' => "tag",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h118_what_is_not_seen_is_named_and_shown() {
        for (text, expected, visible) in [
            ("plain \u{e9} \u{1f600} text", &[][..], "plain \u{e9} \u{1f600} text"),
            ("a\u{200b}b", &["zero_width"], "a\\u{200b}b"),
            ("a\u{2800}\u{1d173}\u{e0fff}", &["zero_width"], "a\\u{2800}\\u{1d173}\\u{e0fff}"),
            ("a\u{202e}b\u{2066}", &["bidi"], "a\\u{202e}b\\u{2066}"),
            ("a\u{e0041}", &["tag"], "a\\u{e0041}"),
            ("a\u{fe0f}\u{e0100}", &["variation_selector"], "a\\u{fe0f}\\u{e0100}"),
            ("a\u{1b}[31m", &["ansi"], "a\\u001b[31m"),
            ("a\u{7}", &["control"], "a\\u0007"),
        ] {
            let definition = serde_json::json!({"description": text, "name": "n"}).to_string();
            assert_eq!(of("n", &definition), expected, "{text:?}");
            let as_name = serde_json::json!({"name": "n", text: 1}).to_string();
            assert_eq!(of("n", &as_name), expected, "{text:?}");
            let shown = shown(&definition);
            assert_eq!(shown, format!("{{\"description\":\"{visible}\",\"name\":\"n\"}}"));
            assert_eq!(super::shown(&shown), shown);
        }
        assert_eq!(of("se\u{430}rch", "{}"), ["foreign_name"]);
        assert_eq!(of("a\u{200b}", "{}"), ["foreign_name", "zero_width"]);
    }
}
