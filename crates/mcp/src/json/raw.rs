//! A walk over bytes that have been checked.
//!
//! Everything here trusts [`super::check`]: it looks for the ends of values and does not look at
//! what lies between. It never panics on unchecked bytes either; it only finds less.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::notes::{self, Notes};
use super::{JsonError, Limits, scan};

/// Exactly one validated JSON value, without white space around it.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    bytes: &'a [u8],
    /// Where its members lie, as far as that is known already.
    notes: Option<&'a Notes>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl<'a> Raw<'a> {
    /// Checks a whole document and trims the white space around it.
    ///
    /// # Errors
    /// What [`super::check`] refuses.
    pub fn parse(bytes: &'a [u8], limits: Limits) -> Result<Self, JsonError> {
        scan::check(bytes, limits)?;
        Ok(Self::trusted(bytes.trim_ascii()))
    }

    /// A value that is known to have been checked, as part of a larger document.
    pub(crate) fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes, notes: None }
    }

    /// The same where its members have been noted.
    pub(crate) fn noted(bytes: &'a [u8], notes: Option<&'a Notes>) -> Self {
        Self { bytes, notes }
    }

    /// The value as it is written.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The value as it is written. Looks at each byte again, so ask for it where text is needed.
    pub fn text(self) -> &'a str {
        std::str::from_utf8(self.bytes).expect("a checked document is UTF-8")
    }

    /// What the value is; its first byte tells.
    pub fn kind(self) -> Kind {
        match self.bytes.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The decoded text of a string; borrowed when nothing in it was escaped.
    pub fn str(self) -> Option<Cow<'a, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        let written = self.bytes.get(1..self.bytes.len().checked_sub(1)?)?;
        Some(if memchr::memchr(b'\\', written).is_some() {
            text(decode(written))
        } else {
            text(Cow::Borrowed(written))
        })
    }

    /// A number that is written as a whole one and fits.
    pub fn u64(self) -> Option<u64> {
        if self.is_integer() { self.text().parse().ok() } else { None }
    }

    /// A number that is written as a whole one and fits.
    pub fn i64(self) -> Option<i64> {
        if self.is_integer() { self.text().parse().ok() } else { None }
    }

    /// The nearest finite number; `None` for one too great, such as `1e400`.
    pub fn f64(self) -> Option<f64> {
        if self.kind() != Kind::Number {
            return None;
        }
        self.text().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The value of a boolean.
    pub fn bool(self) -> Option<bool> {
        match self.bytes {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// A number without fraction and exponent, of any length. `1.0` is not one.
    pub fn is_integer(self) -> bool {
        let digits = self.bytes.strip_prefix(b"-").unwrap_or(self.bytes);
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    }

    /// The members of an object in order; none for anything else.
    pub fn members(self) -> Members<'a> {
        Members { of: self, places: self.places() }
    }

    /// The items of an array in order; none for anything else.
    pub fn items(self) -> Items<'a> {
        let is_array = self.kind() == Kind::Array;
        Items { bytes: self.bytes, at: if is_array { 1 } else { self.bytes.len() } }
    }

    /// The value of one member.
    pub fn get(self, key: &str) -> Option<Raw<'a>> {
        let (place, notes) = match self.notes {
            Some(notes) => {
                let mut each = notes::each(notes);
                let (member, notes) = each.find(|(it, _)| it.is_named(self.bytes, key))?;
                (member.value.clone(), notes)
            }
            None => (Spans::new(self.bytes).find(|it| it.is_named(self.bytes, key))?.value, None),
        };
        self.value(place, notes)
    }

    /// Where its members lie in it, and the notes on each of their values among its own.
    pub(crate) fn places(self) -> Places<'a> {
        match self.notes {
            Some(notes) => Places::Noted(notes::each(notes)),
            None => Places::Walked(Spans::new(self.bytes)),
        }
    }

    fn value(self, place: Range<usize>, notes: Option<Range<usize>>) -> Option<Self> {
        let notes = self.notes.zip(notes).and_then(|(all, own)| all.get(own));
        self.bytes.get(place).map(|bytes| Self { bytes, notes })
    }

    /// The value at the end of a path of members.
    pub fn at(self, path: &[&str]) -> Option<Raw<'a>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Where this value lies in the body that it was cut from; `None` if it was cut from another.
    pub fn range_in(self, body: &[u8]) -> Option<Range<usize>> {
        let start = self.bytes.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
        let end = start.checked_add(self.bytes.len())?;
        (end <= body.len()).then_some(start..end)
    }
}

/// By what is written, whatever is known of it.
impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Raw<'_> {}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.bytes))
    }
}

/// The members of an object: decoded name and value.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    of: Raw<'a>,
    places: Places<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (member, notes) = self.places.next()?;
        let name = member.decoded_name(self.of.bytes);
        Some((text(name), self.of.value(member.value, notes)?))
    }
}

/// The items of an array.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let start = skip_separators(self.bytes, self.at);
        if matches!(self.bytes.get(start), None | Some(b']')) {
            self.at = self.bytes.len();
            return None;
        }
        let end = skip_value(self.bytes, start);
        // Only unchecked bytes have nothing where a value should be.
        self.at = if end > start { end } else { self.bytes.len() };
        self.bytes.get(start..end).map(Raw::trusted)
    }
}

/// Where one member lies in its document or object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The name with its quotes.
    pub(crate) name: Range<usize>,
    /// Whether the name is written with escapes.
    pub(crate) escaped: bool,
    pub(crate) value: Range<usize>,
}

impl Member {
    /// Whether this is the member of that name, in the bytes that it was found in.
    pub(crate) fn is_named(&self, bytes: &[u8], key: &str) -> bool {
        if self.escaped {
            return *self.decoded_name(bytes) == *key.as_bytes();
        }
        self.name.len() == key.len() + 2
            && bytes.get(self.name.start + 1..self.name.end - 1) == Some(key.as_bytes())
    }

    /// Its name, in the bytes that it was found in.
    pub(crate) fn decoded_name<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let written = bytes.get(self.name.start + 1..self.name.end - 1).unwrap_or_default();
        if self.escaped { decode(written) } else { Cow::Borrowed(written) }
    }
}

/// Where the members of an object lie: looked up or walked to.
#[derive(Clone, Debug)]
pub(crate) enum Places<'a> {
    Noted(notes::Each<'a>),
    Walked(Spans<'a>),
}

impl Iterator for Places<'_> {
    type Item = (Member, Option<Range<usize>>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Noted(each) => each.next().map(|(member, notes)| (member.clone(), notes)),
            Self::Walked(spans) => spans.next().map(|it| (it, None)),
        }
    }
}

/// Where the members of an object lie, as offsets from its opening brace.
#[derive(Clone, Debug)]
pub(crate) struct Spans<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Spans<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: if bytes.first() == Some(&b'{') { 1 } else { bytes.len() } }
    }
}

impl Iterator for Spans<'_> {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        let start = skip_separators(self.bytes, self.at);
        if self.bytes.get(start) != Some(&b'"') {
            self.at = self.bytes.len();
            return None;
        }
        let (end, escaped) = skip_string(self.bytes, start);
        let from = skip_separators(self.bytes, end);
        let to = skip_value(self.bytes, from);
        self.at = to;
        if end < start + 2 {
            return None;
        }
        Some(Member { name: start..end, escaped, value: from..to })
    }
}

/// Commas and colons stand where the grammar wants them: that has been checked.
fn skip_separators(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':')) {
        at += 1;
    }
    at
}

fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => return skip_string(bytes, at).0,
        Some(b'{' | b'[') => {}
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            let rest = bytes.get(at..).unwrap_or_default();
            return at + rest.iter().position(ends).unwrap_or(rest.len());
        }
    }
    let mut depth = 0usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(length) = find_by_eight(rest, is_structure) else { return bytes.len() };
        at += length;
        match bytes.get(at) {
            Some(b'"') => {
                at = skip_string(bytes, at).0;
                continue;
            }
            Some(b'{' | b'[') => depth += 1,
            _ => depth = depth.saturating_sub(1),
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
}

/// The end of a string that starts at `at`, and whether it holds escapes.
fn skip_string(bytes: &[u8], at: usize) -> (usize, bool) {
    let mut at = at + 1;
    let mut escaped = false;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        // Most names and values are shorter than what a vector search needs to warm up.
        let (near, far) = rest.split_at(rest.len().min(NEAR));
        let found = find_by_eight(near, is_string_end);
        let found = found.or_else(|| Some(near.len() + memchr::memchr2(b'"', b'\\', far)?));
        let Some(length) = found else {
            return (bytes.len(), escaped);
        };
        at += length;
        if bytes.get(at) == Some(&b'"') {
            return (at + 1, escaped);
        }
        escaped = true;
        at += 2;
    }
}

/// The first byte that `marks` marks, looked for in eight at a time.
pub(super) fn find_by_eight(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        let marked = marks(u64::from_le_bytes(*eight));
        if marked != 0 {
            return Some(at * 8 + marked.trailing_zeros() as usize / 8);
        }
    }
    let is_marked = |byte: &u8| marks(u64::from(*byte)) & 0xff != 0;
    rest.iter().position(is_marked).map(|at| eights.len() * 8 + at)
}

/// Marks quotes and backslashes.
fn is_string_end(eight: u64) -> u64 {
    marked(eight ^ each(b'"')) | marked(eight ^ each(b'\\'))
}

/// Marks what ends a run of characters that stand for themselves: quotes, backslashes, controls.
pub(super) fn is_run_end(eight: u64) -> u64 {
    is_string_end(eight) | eight.wrapping_sub(each(0x20)) & !eight & each(0x80)
}

/// Marks quotes, brackets and braces, which differ from brackets in one bit.
fn is_structure(eight: u64) -> u64 {
    let folded = eight | each(0x20);
    marked(eight ^ each(b'"')) | marked(folded ^ each(b'{')) | marked(folded ^ each(b'}'))
}

/// The highest bit of the first zero byte; what is above it may be marked wrongly.
fn marked(eight: u64) -> u64 {
    eight.wrapping_sub(each(0x01)) & !eight & each(0x80)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Up to here a vector search does not pay.
const NEAR: usize = 32;

/// The text that a string with escapes stands for.
pub(crate) fn decode(written: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some(length) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(length);
        out.extend_from_slice(plain);
        let code = escape.get(1).copied().unwrap_or(b'\\');
        let mut used = 2;
        let letter = match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (letter, length) = unicode(escape);
                used = length;
                letter
            }
            other => char::from(other),
        };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        rest = escape.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// The character of a `\u` escape, with its second half if it has one, and how long it is written.
fn unicode(escape: &[u8]) -> (char, usize) {
    let unit = |from: usize| {
        let digits = escape.get(from..from + 4).and_then(|hex| std::str::from_utf8(hex).ok());
        digits.and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0xfffd)
    };
    let high = unit(2);
    if !(0xd800..0xdc00).contains(&high) {
        return (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
    }
    let low = unit(8).wrapping_sub(0xdc00) & 0x3ff;
    let code = 0x1_0000 + ((high - 0xd800) << 10) + low;
    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
}

fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    const CHECKED: &str = "a checked document is UTF-8";
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).expect(CHECKED)),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).expect(CHECKED)),
    }
}
