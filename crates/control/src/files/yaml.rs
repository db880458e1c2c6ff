//! The little of YAML that configuration needs, read strictly.
//!
//! Anchors, aliases, tags and keys that stand twice are refused, so a text means what it seems to
//! mean and is never larger than it looks (H182). Scalars without quotes are null, true, false, a
//! number or text, as in YAML 1.2: `no` is text. JSON is read by the same rules.

use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a text is refused: a sentence that names the line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// Deeper is no configuration, and would exhaust the stack.
const DEEPEST: usize = 32;

/// The documents of a text; a list counts as so many documents.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, Refused> {
    // Editors on some systems begin files with it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = match json(text) {
        Some(value) => vec![value],
        None => yaml(text)?,
    };
    let mut all = Vec::new();
    for document in documents {
        match document {
            Value::Array(items) => all.extend(items),
            Value::Null => {}
            other => all.push(other),
        }
    }
    Ok(all)
}

/// JSON may hold escapes that YAML reads otherwise, so what is JSON is read as such.
fn json(text: &str) -> Option<Value> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok().map(|()| value)
}

fn yaml(text: &str) -> Result<Vec<Value>, Refused> {
    let mut events = Events { parser: Parser::new_from_str(text) };
    let mut documents = Vec::new();
    loop {
        let (event, span) = events.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            event => documents.push(events.value(event, span, DEEPEST)?),
        }
    }
}

struct Events<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Refused> {
        match self.parser.next() {
            Some(event) => event.map_err(|error: ScanError| Refused(error.to_string())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, deeper: usize) -> Result<Value, Refused> {
        let deeper = deeper.checked_sub(1).ok_or_else(|| refused(span, "this is too deep"))?;
        match event {
            Event::Alias(_) => Err(refused(span, "aliases are not read; write it out")),
            Event::Scalar(.., anchor, tag) if anchor != 0 || tag.is_some() => {
                Err(refused(span, "anchors and tags are not read"))
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if anchor != 0 || tag.is_some() =>
            {
                Err(refused(span, "anchors and tags are not read"))
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => Ok(plain(&text)),
            Event::Scalar(text, ..) => Ok(Value::String(text.into_owned())),
            Event::SequenceStart(..) => self.sequence(deeper),
            Event::MappingStart(..) => self.mapping(deeper),
            _ => Err(refused(span, "this is not YAML")),
        }
    }

    fn sequence(&mut self, deeper: usize) -> Result<Value, Refused> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => items.push(self.value(event, span, deeper)?),
            }
        }
    }

    fn mapping(&mut self, deeper: usize) -> Result<Value, Refused> {
        let mut members = Map::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Object(members)),
                next => next,
            };
            let Event::Scalar(key, _, 0, None) = event else {
                return Err(refused(span, "a key must be plain text"));
            };
            let (event, value_span) = self.next()?;
            let value = self.value(event, value_span, deeper)?;
            if members.insert(key.clone().into_owned(), value).is_some() {
                return Err(refused(span, &format!("the key `{key}` stands twice")));
            }
        }
    }
}

/// The core schema of YAML 1.2, numbers as JSON writes them.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match serde_json::from_str::<Number>(text) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

fn refused(span: Span, why: &str) -> Refused {
    Refused(format!("line {}: {why}", span.start.line()))
}

/// JSON in which no key stands twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(Self)?;
            if all.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts() {
        let cases = [
            ("", json!([])),
            ("# nothing\n---\n", json!([])),
            ("a: 1\nb: [x, 'y', \"z\"]", json!([{"a": 1, "b": ["x", "y", "z"]}])),
            ("a: 1\n---\nb: 2\n", json!([{"a": 1}, {"b": 2}])),
            ("- a: 1\n- b: 2\n", json!([{"a": 1}, {"b": 2}])),
            (
                "a: no\nb: on\nc: ~\nd: null\ne:",
                json!([{"a": "no", "b": "on", "c": null, "d": null, "e": null}]),
            ),
            (
                "a: 1.50\nb: 0x1f\nc: 010\nd: '1'",
                json!([{"a": 1.5, "b": "0x1f", "c": "010", "d": "1"}]),
            ),
            ("a: |\n  one\n  two\n", json!([{"a": "one\ntwo\n"}])),
            ("\u{feff}a: 1", json!([{"a": 1}])),
            ("\u{feff}{\"a\": 1}", json!([{"a": 1}])),
            ("a: b#c # d", json!([{"a": "b#c"}])),
            ("{kind: User, name: ann}", json!([{"kind": "User", "name": "ann"}])),
            (r#"{"a": "\ud83d\ude00\/"}"#, json!([{"a": "😀/"}])),
            (r#"[{"a": 1}, {"b": [true, null, -2]}]"#, json!([{"a": 1}, {"b": [true, null, -2]}])),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(Value::Array), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn h182_what_could_mean_something_else_is_refused() {
        let deep = "[".repeat(200_000);
        let cases = [
            ("a: 1\na: 2", "twice"),
            (r#"{"a": 1, "a": 2}"#, "twice"),
            (r#"{"a": {"b": 1, "b": 2}}"#, "twice"),
            ("a: 1\n\"a\": 2", "twice"),
            ("a: &x 1\nb: *x", "anchors"),
            ("a: &x [1]", "anchors"),
            ("a: &x {b: 1}", "anchors"),
            ("&x a: 1", "plain text"),
            ("a: *x", ""),
            ("a: !!str 1", "tags"),
            ("a: !python/object/apply:os.system [ls]", "tags"),
            ("a: ! 1", "tags"),
            ("!!map {a: 1}", "tags"),
            ("? [a]\n: 1", "plain text"),
            ("a: [1", ""),
            ("a: \"b", ""),
            ("a: 1\n\tb: 2", ""),
            (&deep, ""),
        ];
        for (text, why) in cases {
            let refused = parse(text).expect_err(&text.chars().take(40).collect::<String>());
            assert!(refused.0.contains(why), "{why}: {refused}");
        }
    }

    #[test]
    fn h182_a_bomb_of_anchors_does_not_go_off() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..60 {
            let last = i - 1;
            let aliases = vec![format!("*a{last}"); 9].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        assert!(parse(&text).is_err());
    }
}
