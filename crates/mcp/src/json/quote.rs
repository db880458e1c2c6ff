//! Writing JSON: string literals, and a value in its one canonical spelling.

use super::{Kind, Raw};

/// A JSON string literal: quotes, backslashes and control characters escaped, nothing else.
pub fn quote(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    quote_into(&mut out, text);
    String::from_utf8(out).expect("escapes and unchanged text are UTF-8")
}

/// Appends a JSON string literal.
pub fn quote_into(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(length) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)) {
        let (plain, special) = rest.split_at(length);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        escape_into(out, *byte);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The value without white space and with each string in its shortest spelling, so that two
/// spellings of one value give the same bytes. Members keep their order, numbers their text.
pub fn canonical(value: Raw<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.bytes().len());
    canonical_into(&mut out, value, false);
    out
}

/// [`canonical`] with members in the order of their names, by code points: one text for all
/// spellings of a value in which the order of members means nothing. As RFC 8785, but for numbers,
/// which keep their text (so that none is rounded), and for names beyond the basic plane, which
/// that sorts by UTF-16 code units.
pub fn sorted(value: Raw<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.bytes().len());
    canonical_into(&mut out, value, true);
    out
}

fn canonical_into(out: &mut Vec<u8>, value: Raw<'_>, is_sorted: bool) {
    match value.kind() {
        Kind::Object => {
            out.push(b'{');
            let mut members: Vec<_> = value.members().collect();
            if is_sorted {
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
            }
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                quote_into(out, &name);
                out.push(b':');
                canonical_into(out, value, is_sorted);
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            for (index, item) in value.items().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                canonical_into(out, item, is_sorted);
            }
            out.push(b']');
        }
        Kind::String => quote_into(out, &value.str().unwrap_or_default()),
        Kind::Number | Kind::Bool | Kind::Null => out.extend_from_slice(value.bytes()),
    }
}

fn escape_into(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
