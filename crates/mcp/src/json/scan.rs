//! One pass over a document that accepts it or says where it is wrong.
//!
//! The pass is a loop, not a recursion, so that depth costs a stack frame of ours and never one of
//! the thread's. Long strings are skipped with vector instructions. Names of open objects wait on
//! one shared stack; an object with more than [`LINEAR`] of them gets a hash set with a random key,
//! so that chosen names cannot make it slow.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::notes::{Note, Notebook};
use super::raw::{Member, decode, find_by_eight, is_run_end};
use super::{JsonError, Limits};

/// Validates one whole document: see [`JsonError`] for what is refused.
///
/// # Errors
/// The first fault, with its offset.
pub fn check(bytes: &[u8], limits: Limits) -> Result<(), JsonError> {
    Scanner::new(bytes, limits)?.document().map(drop)
}

/// Like [`check`], and also hands out where the value lies without the white space around it and, if
/// it is an object that is not too large for that, where its members lie.
pub(crate) fn check_noted(
    bytes: &[u8],
    limits: Limits,
) -> Result<(Range<usize>, Option<Vec<Note>>), JsonError> {
    let mut scanner = Scanner::new(bytes, limits)?;
    scanner.notebook = Some(Notebook::new());
    let value = scanner.document()?;
    Ok((value, scanner.notebook.and_then(Notebook::finish)))
}

/// Up to this many names are compared one by one, which is faster than hashing them.
const LINEAR: usize = 16;

/// From here on, a search with vector instructions beats a look at each byte.
const SHORT: usize = 32;

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
    members: usize,
    open: Vec<Open<'a>>,
    /// Names of all open objects with few names, innermost last.
    names: Vec<Cow<'a, [u8]>>,
    /// Where the outer members lie, if somebody wants to know.
    notebook: Option<Notebook>,
}

/// A container that has not ended yet.
enum Open<'a> {
    Array,
    Object {
        first_name: usize,
        /// Set once there are too many names for the stack.
        many: Option<HashSet<Cow<'a, [u8]>>>,
    },
}

/// What may come next.
enum Next {
    Value,
    /// A name, after `{` (where the object may also end) or after a comma (where it may not).
    Name {
        may_end: bool,
    },
    /// A comma or the end of the innermost container.
    Rest,
}

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8], limits: Limits) -> Result<Self, JsonError> {
        // Checked for the whole document at once: the standard library does that fastest.
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(JsonError::InvalidUtf8 { at: error.valid_up_to() });
        }
        let (open, names) = (Vec::with_capacity(8), Vec::with_capacity(LINEAR));
        Ok(Self { bytes, at: 0, limits, members: 0, open, names, notebook: None })
    }

    fn document(&mut self) -> Result<Range<usize>, JsonError> {
        self.blanks();
        let start = self.at;
        let mut next = Next::Value;
        loop {
            next = match next {
                Next::Value => self.value()?,
                Next::Name { may_end } => self.name(may_end)?,
                Next::Rest => self.rest()?,
            };
            if let (Some(notebook), Next::Rest) = (&mut self.notebook, &next) {
                notebook.end_value(self.at, self.open.len());
            }
            if self.open.is_empty() {
                break;
            }
            self.blanks();
        }
        let end = self.at;
        self.blanks();
        if self.at < self.bytes.len() {
            return Err(JsonError::TrailingBytes { at: self.at });
        }
        Ok(start..end)
    }

    fn value(&mut self) -> Result<Next, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| Next::Rest),
            Some(b'{') => {
                if let Some(notebook) = &mut self.notebook {
                    notebook.enter(self.at, self.open.len());
                }
                self.enter(Open::Object { first_name: self.names.len(), many: None })?;
                Ok(Next::Name { may_end: true })
            }
            Some(b'[') => {
                self.enter(Open::Array)?;
                self.blanks();
                if self.peek() == Some(b']') { Ok(Next::Rest) } else { Ok(Next::Value) }
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Next::Rest),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.syntax()),
        }
    }

    fn enter(&mut self, container: Open<'a>) -> Result<(), JsonError> {
        if self.open.len() >= self.limits.depth {
            return Err(JsonError::TooDeep { at: self.at });
        }
        self.open.push(container);
        self.at += 1;
        Ok(())
    }

    fn name(&mut self, may_end: bool) -> Result<Next, JsonError> {
        match self.peek() {
            Some(b'"') => {}
            Some(b'}') if may_end => return Ok(Next::Rest),
            _ => return Err(self.syntax()),
        }
        let start = self.at;
        let escaped = self.string()?;
        if self.at - start - 2 > self.limits.key_bytes {
            return Err(JsonError::KeyTooLong { at: start });
        }
        self.members += 1;
        if self.members > self.limits.members {
            return Err(JsonError::TooManyMembers);
        }
        self.remember(start, escaped)?;
        let name = start..self.at;
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.syntax());
        }
        self.at += 1;
        self.blanks();
        if let Some(notebook) = &mut self.notebook {
            let member = Member { name, escaped, value: self.at..self.at };
            notebook.name(member, self.open.len());
        }
        Ok(Next::Value)
    }

    /// Notes a name in the innermost object, and refuses the second of its kind.
    fn remember(&mut self, start: usize, escaped: bool) -> Result<(), JsonError> {
        let written = self.bytes.get(start + 1..self.at - 1).unwrap_or_default();
        let name = if escaped { decode(written) } else { Cow::Borrowed(written) };
        if escaped && name.contains(&0) {
            return Err(JsonError::NulInKey { at: start });
        }
        let Some(Open::Object { first_name, many }) = self.open.last_mut() else {
            return Err(JsonError::Syntax { at: start });
        };
        let is_new = if let Some(many) = many {
            many.insert(name)
        } else if self.names.iter().skip(*first_name).any(|other| *other == name) {
            false
        } else {
            self.names.push(name);
            if self.names.len() - *first_name > LINEAR {
                *many = Some(self.names.drain(*first_name..).collect());
            }
            true
        };
        if is_new { Ok(()) } else { Err(JsonError::DuplicateKey { at: start }) }
    }

    fn rest(&mut self) -> Result<Next, JsonError> {
        let is_array = matches!(self.open.last(), Some(Open::Array));
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(if is_array { Next::Value } else { Next::Name { may_end: false } })
            }
            Some(b']') if is_array => self.leave(),
            Some(b'}') if !is_array => {
                if let Some(notebook) = &mut self.notebook {
                    notebook.leave(self.open.len());
                }
                self.leave()
            }
            _ => Err(self.syntax()),
        }
    }

    fn leave(&mut self) -> Result<Next, JsonError> {
        self.at += 1;
        if let Some(Open::Object { first_name, .. }) = self.open.pop() {
            self.names.truncate(first_name);
        }
        Ok(Next::Rest)
    }

    /// Passes a string, quotes included, and says whether it holds escapes.
    fn string(&mut self) -> Result<bool, JsonError> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.plain_run()?;
            // The run ended at a quote or a backslash: both are there.
            let found = self.peek();
            self.at += 1;
            if found == Some(b'"') {
                return Ok(escaped);
            }
            escaped = true;
            self.escape()?;
        }
    }

    /// Moves to the next quote or backslash, over characters that may stand in a string.
    fn plain_run(&mut self) -> Result<(), JsonError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let near = rest.get(..SHORT).unwrap_or(rest);
        if let Some(length) = find_by_eight(near, is_run_end) {
            self.at += length;
            return if rest.get(length).is_some_and(|b| *b >= 0x20) {
                Ok(())
            } else {
                Err(self.syntax())
            };
        }
        let far = rest.get(SHORT..).unwrap_or_default();
        let length = SHORT + memchr::memchr2(b'"', b'\\', far).unwrap_or(far.len());
        let run = rest.get(..length).unwrap_or(rest);
        // Without a branch, so that the compiler looks at many bytes at a time.
        if run.iter().fold(false, |bad, b| bad | (*b < 0x20)) || length >= rest.len() {
            let bad = run.iter().position(|b| *b < 0x20).unwrap_or(rest.len());
            self.at += bad;
            return Err(self.syntax());
        }
        self.at += length;
        Ok(())
    }

    /// Passes what follows a backslash.
    fn escape(&mut self) -> Result<(), JsonError> {
        let start = self.at - 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                match self.hex()? {
                    0xdc00..=0xdfff => return Err(JsonError::LoneSurrogate { at: start }),
                    0xd800..=0xdbff => {
                        if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                            return Err(JsonError::LoneSurrogate { at: start });
                        }
                        self.at += 2;
                        if !matches!(self.hex()?, 0xdc00..=0xdfff) {
                            return Err(JsonError::LoneSurrogate { at: start });
                        }
                    }
                    _ => {}
                }
            }
            _ => return Err(self.syntax()),
        }
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            value = value * 16 + digit.ok_or(JsonError::Syntax { at: self.at })?;
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax()) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Result<Next, JsonError> {
        if self.bytes.get(self.at..self.at + word.len()) != Some(word) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(Next::Rest)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn syntax(&self) -> JsonError {
        JsonError::Syntax { at: self.at }
    }
}
