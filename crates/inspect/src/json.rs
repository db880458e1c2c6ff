//! JSON as a row of literals.
//!
//! The text has been validated before, so this looks for no more than where literals begin and
//! end. It does not recurse, so depth is no danger; on text that is not JSON it ends or errs.

use std::ops::Range;

use memchr::{memchr, memchr2};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Key,
    Text,
    Number,
}

/// A literal and where it stands, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    pub(crate) is_escaped: bool,
}

/// A string that does not end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The keys, strings and numbers of a JSON text, in its order.
pub(crate) struct Tokens<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(json: &'a str) -> Self {
        Self { json: json.as_bytes(), at: 0 }
    }

    fn string(&mut self) -> Result<Token, Malformed> {
        let start = self.at;
        let mut is_escaped = false;
        self.at += 1;
        loop {
            let rest = self.json.get(self.at..).ok_or(Malformed)?;
            let found = memchr2(b'"', b'\\', rest).ok_or(Malformed)?;
            if rest[found] == b'"' {
                self.at += found + 1;
                break;
            }
            is_escaped = true;
            self.at += found + 2;
        }
        let range = start..self.at;
        let after = self.json[self.at..].iter().find(|byte| !byte.is_ascii_whitespace());
        let kind = if after == Some(&b':') { Kind::Key } else { Kind::Text };
        Ok(Token { kind, range, is_escaped })
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        let belongs = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        while self.json.get(self.at).is_some_and(belongs) {
            self.at += 1;
        }
        Token { kind: Kind::Number, range: start..self.at, is_escaped: false }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.json.get(self.at)? {
                b'"' => return Some(self.string()),
                b'-' | b'0'..=b'9' => return Some(Ok(self.number())),
                _ => self.at += 1,
            }
        }
    }
}

/// The text with its escapes decoded. Half a surrogate pair becomes U+FFFD; what is no escape
/// stays as it is.
pub(crate) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = split_at_backslash(rest) {
        plain.push_str(before);
        let (decoded, used) = decode(escape);
        plain.push(decoded);
        rest = escape.get(used..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

fn split_at_backslash(text: &str) -> Option<(&str, &str)> {
    text.split_at_checked(memchr(b'\\', text.as_bytes())?)
}

/// The character that `escape` begins with, and the number of bytes it took.
fn decode(escape: &str) -> (char, usize) {
    let plain = match escape.as_bytes().get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return decode_unicode(escape),
        _ => return ('\\', 1),
    };
    (plain, 2)
}

fn decode_unicode(escape: &str) -> (char, usize) {
    let Some(first) = code_unit(escape) else { return ('\\', 1) };
    if let Some(plain) = char::from_u32(first) {
        return (plain, 6);
    }
    let second = escape.get(6..).and_then(code_unit);
    match (first, second) {
        (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => {
            let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The four digits of `\uXXXX`.
fn code_unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    // The parser of integers would take a sign as well.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_are_told_apart() {
        let cases: &[(&str, &[(Kind, &str)])] = &[
            ("", &[]),
            ("true", &[]),
            ("-1.5e+3", &[(Kind::Number, "-1.5e+3")]),
            (r#""a""#, &[(Kind::Text, r#""a""#)]),
            (r#"{"a" : "b:"}"#, &[(Kind::Key, r#""a""#), (Kind::Text, r#""b:""#)]),
            (r#"["\"", "\\"]"#, &[(Kind::Text, r#""\"""#), (Kind::Text, r#""\\""#)]),
            (
                r#"{"n":[1,2.0],"x":null}"#,
                &[
                    (Kind::Key, r#""n""#),
                    (Kind::Number, "1"),
                    (Kind::Number, "2.0"),
                    (Kind::Key, r#""x""#),
                ],
            ),
        ];
        for (json, expected) in cases {
            let tokens: Vec<_> = Tokens::of(json)
                .map(|token| token.unwrap())
                .map(|token| (token.kind, json.get(token.range).unwrap()))
                .collect();
            assert_eq!(&tokens, expected, "{json}");
        }
    }

    #[test]
    fn a_string_without_an_end_is_an_error() {
        for json in ["\"", "\"a", "\"a\\", "\"a\\\"", "[1,\"a]"] {
            assert!(Tokens::of(json).any(|token| token.is_err()), "{json}");
        }
    }

    #[test]
    fn escapes_are_decoded() {
        let cases = [
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"a\u0041b", "aAb"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d", "\u{fffd}"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\u+041", "\\u+041"),
            (r"\u00é1", "\\u00é1"),
            (r"\", "\\"),
        ];
        for (escaped, plain) in cases {
            assert_eq!(unescape(escaped), plain, "{escaped}");
        }
    }

    proptest! {
        #[test]
        fn decoding_agrees_with_serde_json(text in "\\PC*|[\\x00-\\x7f\"\\\\é😀]*") {
            let literal = serde_json::to_string(&text).unwrap();
            let inner = literal.get(1..literal.len() - 1).unwrap();
            prop_assert_eq!(unescape(inner), text.clone());
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(unescape(&units), text);
        }

        #[test]
        fn foreign_text_neither_panics_nor_hangs(text in "[\"\\\\u0-9d:é ]*|\\PC*") {
            unescape(&text);
            prop_assert!(Tokens::of(&text).take(text.len() + 1).count() <= text.len());
        }
    }
}
