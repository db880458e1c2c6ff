//! Builds leaves: one line of JSON, fast, whatever the values hold.
//!
//! Members stand in the order in which they are given; the caller's order is the form. Whatever
//! could end a line, move a cursor, or hide from a reader is escaped: control characters, bidirectional
//! overrides, zero-width and tag characters. Long values are cut and say so, and a leaf never grows
//! beyond [`crate::MAX_LEAF`].

use uuid::Uuid;

use crate::content::ContentRef;
use crate::entry::{Kind, MAX_LEAF};

/// A leaf under construction.
#[derive(Clone, Debug)]
pub struct Leaf {
    json: Vec<u8>,
    is_cut: bool,
}

impl Leaf {
    /// Begins with the member `kind`.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let mut json = Vec::with_capacity(TYPICAL_BYTES);
        json.extend_from_slice(b"{\"kind\":\"");
        json.extend_from_slice(kind.as_str().as_bytes());
        json.push(b'"');
        Self { json, is_cut: false }
    }

    /// The member `call`: what pairs an intent with its outcome.
    #[must_use]
    pub fn call(self, id: Uuid) -> Self {
        self.uuid("call", id)
    }

    /// A text, cut after [`MAX_VALUE`] bytes.
    #[must_use]
    pub fn str(self, key: &'static str, value: &str) -> Self {
        self.member(key, |json, room| {
            let room = room.min(MAX_VALUE);
            json.push(b'"');
            let kept = escape(json, value, room);
            if kept < value.len() {
                json.extend_from_slice(format!("… [cut, {} bytes]", value.len()).as_bytes());
            }
            json.push(b'"');
        })
    }

    /// A text, or null.
    #[must_use]
    pub fn opt_str(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.str(key, value),
            None => self.member(key, |json, _| json.extend_from_slice(b"null")),
        }
    }

    /// A number.
    #[must_use]
    pub fn u64(self, key: &'static str, value: u64) -> Self {
        self.member(key, |json, _| json.extend_from_slice(value.to_string().as_bytes()))
    }

    /// A number that may be negative.
    #[must_use]
    pub fn i64(self, key: &'static str, value: i64) -> Self {
        self.member(key, |json, _| json.extend_from_slice(value.to_string().as_bytes()))
    }

    /// True or false.
    #[must_use]
    pub fn bool(self, key: &'static str, value: bool) -> Self {
        self.member(key, |json, _| {
            json.extend_from_slice(if value { b"true" } else { b"false" });
        })
    }

    /// An id.
    #[must_use]
    pub fn uuid(self, key: &'static str, value: Uuid) -> Self {
        self.member(key, |json, _| {
            json.push(b'"');
            let mut text = Uuid::encode_buffer();
            json.extend_from_slice(value.hyphenated().encode_lower(&mut text).as_bytes());
            json.push(b'"');
        })
    }

    /// Bytes, as hexadecimal digits.
    #[must_use]
    pub fn hex(self, key: &'static str, value: &[u8]) -> Self {
        if value.len() > MAX_VALUE / 2 {
            return self.str(key, &hex::encode(value));
        }
        self.member(key, |json, _| {
            json.push(b'"');
            json.extend_from_slice(hex::encode(value).as_bytes());
            json.push(b'"');
        })
    }

    /// Texts, as an array.
    #[must_use]
    pub fn list<'a>(self, key: &'static str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.member(key, |json, room| {
            let end = json.len() + room.min(MAX_VALUE);
            json.push(b'[');
            for (at, value) in values.into_iter().enumerate() {
                if at > 0 {
                    json.push(b',');
                }
                let room = end.saturating_sub(json.len());
                json.push(b'"');
                let kept = escape(json, value, room);
                json.extend_from_slice(if kept < value.len() {
                    "… [cut]\"".as_bytes()
                } else {
                    b"\""
                });
                if kept < value.len() {
                    break;
                }
            }
            json.push(b']');
        })
    }

    /// A value that is JSON already. What is not is recorded as a text; what is too long is
    /// recorded as its length.
    #[must_use]
    pub fn raw(self, key: &'static str, json: &str) -> Self {
        if json.len() > MAX_VALUE {
            return self.str(key, &format!("[left out, {} bytes]", json.len()));
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
            return self.str(key, json);
        }
        self.member(key, |out, _| {
            for c in json.chars() {
                match c {
                    // Between tokens only: inside of texts JSON does not allow them.
                    '\n' | '\r' | '\t' => {}
                    c if is_hidden(c) => unicode(out, c),
                    c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
        })
    }

    /// Where the content of a message is and what its digest is. Under the member `key`.
    #[must_use]
    pub fn content(self, key: &'static str, content: &ContentRef) -> Self {
        // Ours, so known to be JSON without anything hidden in it.
        self.member(key, |out, _| content.write_json(out))
    }

    /// The leaf: one line, at most [`crate::MAX_LEAF`] bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        if self.is_cut {
            self.json.extend_from_slice(b",\"cut\":true");
        }
        self.json.push(b'}');
        self.json
    }

    /// Appends a member, or notes that there was no room for it. `value` gets the room in bytes.
    fn member(mut self, key: &'static str, value: impl FnOnce(&mut Vec<u8>, usize)) -> Self {
        let before = self.json.len();
        self.json.extend_from_slice(b",\"");
        debug_assert!(key.bytes().all(is_plain), "keys are words");
        self.json.extend_from_slice(key.as_bytes());
        self.json.extend_from_slice(b"\":");
        let room = (MAX_LEAF - MARGIN).saturating_sub(self.json.len());
        value(&mut self.json, room);
        if self.json.len() > MAX_LEAF - LAST_WORDS {
            self.json.truncate(before);
            self.is_cut = true;
        }
        self
    }
}

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// Appends `text` escaped, at most about `room` bytes. How many bytes of `text` were taken.
fn escape(json: &mut Vec<u8>, text: &str, room: usize) -> usize {
    let end = json.len().saturating_add(room);
    if text.len() <= room && text.bytes().all(is_plain) {
        json.extend_from_slice(text.as_bytes());
        return text.len();
    }
    for (at, c) in text.char_indices() {
        // The longest escape has twelve bytes.
        if json.len() + 12 > end {
            return at;
        }
        match c {
            '"' => json.extend_from_slice(b"\\\""),
            '\\' => json.extend_from_slice(b"\\\\"),
            c if is_hidden(c) => unicode(json, c),
            c => json.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    text.len()
}

/// Characters that a reader cannot see, or that change how others are seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

fn unicode(json: &mut Vec<u8>, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        json.extend_from_slice(b"\\u");
        json.extend_from_slice(hex::encode(unit.to_be_bytes()).as_bytes());
    }
}

/// The longest value in bytes, as written.
pub const MAX_VALUE: usize = 4 * 1024;
/// Kept free for the end of a value that is cut.
const MARGIN: usize = 256;
/// Kept free for the note that a member was left out.
const LAST_WORDS: usize = 16;
/// Most leaves are shorter.
const TYPICAL_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_stand_in_their_order() {
        let leaf = Leaf::new(Kind::Intent)
            .call(Uuid::from_u128(1))
            .str("tool", "jira.search")
            .opt_str("agent", None)
            .u64("bytes", u64::MAX)
            .i64("skew_ms", -5)
            .bool("is_paused", false)
            .hex("digest", &[0, 255])
            .list("rules", ["pii", "a\"b"])
            .raw("tokens", "{ \"in\": 1.50,\n\"out\": [] }");
        assert_eq!(
            String::from_utf8(leaf.finish()).unwrap(),
            concat!(
                r#"{"kind":"intent","call":"00000000-0000-0000-0000-000000000001","#,
                r#""tool":"jira.search","agent":null,"bytes":18446744073709551615,"skew_ms":-5,"#,
                r#""is_paused":false,"digest":"00ff","rules":["pii","a\"b"],"#,
                r#""tokens":{ "in": 1.50,"out": [] }}"#
            )
        );
    }

    #[test]
    fn h151_one_event_is_one_line_that_hides_nothing() {
        let cases = [
            ("a\r\nb", r#""a\u000d\u000ab""#),
            ("\u{1b}[31mred", r#""\u001b[31mred""#),
            ("\u{202e}gpj.exe", r#""\u202egpj.exe""#),
            ("zero\u{200b}width", r#""zero\u200bwidth""#),
            ("\u{e0041}", r#""\udb40\udc41""#),
            ("\u{85}\u{2028}\u{7f}", r#""\u0085\u2028\u007f""#),
            (r#"","admin":true,"x":""#, r#""\",\"admin\":true,\"x\":\"""#),
            ("=cmd|' /C calc'!A0", r#""=cmd|' /C calc'!A0""#),
            ("grün 漢字 🦀", "\"grün 漢字 🦀\""),
        ];
        for (value, written) in cases {
            let leaf = String::from_utf8(Leaf::new(Kind::Admin).str("v", value).finish()).unwrap();
            assert_eq!(leaf, format!("{{\"kind\":\"admin\",\"v\":{written}}}"));
            let back: serde_json::Value = serde_json::from_str(&leaf).unwrap();
            assert_eq!(back["v"], value);
        }
    }

    #[test]
    fn h151_raw_values_cannot_break_out() {
        for bad in ["1,\"admin\":true", "}{", "\"open", "nul", "", "\"a\nb\""] {
            let leaf = Leaf::new(Kind::System).raw("v", bad).finish();
            let back: serde_json::Value = serde_json::from_slice(&leaf).unwrap();
            assert_eq!(back.as_object().unwrap().len(), 2);
            assert_eq!(back["v"], bad);
        }
        let leaf = Leaf::new(Kind::System).raw("v", "\"a\u{202e}b\"").finish();
        assert!(leaf.is_ascii());
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&leaf).unwrap()["v"], "a\u{202e}b");
    }

    #[test]
    fn h151_ten_mebibytes_are_cut_and_say_so() {
        let long = "é".repeat(5 * 1024 * 1024);
        let mut leaf = Leaf::new(Kind::Outcome);
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"] {
            leaf = leaf.str(key, &long).list(key, [long.as_str(), "x"]).raw(key, &long);
        }
        let leaf = leaf.finish();
        assert!(leaf.len() <= MAX_LEAF, "{}", leaf.len());
        let back: serde_json::Value = serde_json::from_slice(&leaf).unwrap();
        assert_eq!(back["cut"], true);
        assert_eq!(back["a"], "[left out, 10485760 bytes]");
        let leaf = Leaf::new(Kind::Outcome).str("a", &long).finish();
        let back: serde_json::Value = serde_json::from_slice(&leaf).unwrap();
        assert!(back["a"].as_str().unwrap().ends_with("é… [cut, 10485760 bytes]"));
    }

    proptest! {
        #[test]
        fn whatever_the_values_a_leaf_is_one_line_of_json_and_short_values_come_back(
            values in prop::collection::vec(".{0,200}", 0..40),
            raws in prop::collection::vec("[\\[\\]{},:\"0-9a-z \\n]{0,40}", 0..10),
        ) {
            let mut leaf = Leaf::new(Kind::Intent);
            for value in &values {
                leaf = leaf.str("v", value);
            }
            for raw in &raws {
                leaf = leaf.raw("r", raw);
            }
            leaf = leaf.list("l", values.iter().map(String::as_str).take(3));
            let leaf = leaf.finish();
            prop_assert!(leaf.len() <= MAX_LEAF);
            prop_assert!(!leaf.contains(&b'\n') && !leaf.contains(&b'\r'));
            let back: serde_json::Value = serde_json::from_slice(&leaf).unwrap();
            if let Some(last) = values.last() {
                prop_assert_eq!(back["v"].as_str().unwrap(), last.as_str());
            }
        }
    }
}
