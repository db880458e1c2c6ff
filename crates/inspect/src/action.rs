//! What an action makes of a text.

use std::sync::Arc;

use aws_lc_rs::hmac;
use regex::{Captures, Match, Regex};

use crate::Action;
use crate::rule::Reach;

/// Bytes of the authentication code that a hash shows: 48 bits tell values apart.
const SHOWN_BYTES: usize = 6;

/// An action that is ready to run.
pub(crate) enum Deed {
    Block { message: String },
    Edit(Change),
}

/// What an edit makes of a match.
pub(crate) enum Change {
    Redact,
    Replace(Vec<Part>),
    Mask { keep_last: usize },
    Hash(Arc<hmac::Key>),
}

/// A piece of a replacement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    Group(usize),
}

/// What one message may still cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// How many bytes edited texts may have.
    pub(crate) text_bytes: usize,
    /// How many bytes searches may read beyond the ends of their matches. Each search is linear,
    /// but one that reads on after its match reads the same bytes again in the next search.
    pub(crate) overread_bytes: usize,
}

/// The budget is spent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// A pattern and how far its searches may read.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) regex: &'a Regex,
    pub(crate) reach: &'a Reach,
}

impl Deed {
    /// `Err` holds the group of a replacement that the pattern does not have.
    pub(crate) fn new(
        action: &Action,
        regex: &Regex,
        salt: &Arc<hmac::Key>,
    ) -> Result<Self, String> {
        Ok(Self::Edit(match action {
            Action::Block { message } => return Ok(Self::Block { message: message.clone() }),
            Action::Redact => Change::Redact,
            Action::Replace { with } => Change::Replace(parse_template(with, regex)?),
            Action::Mask { keep_last } => Change::Mask { keep_last: *keep_last },
            Action::Hash => Change::Hash(Arc::clone(salt)),
        }))
    }
}

impl Change {
    /// The text with every match edited and the number of matches, if there are any.
    pub(crate) fn edit(
        &self,
        search: Search<'_>,
        text: &str,
        budget: &mut Budget,
    ) -> Result<Option<(String, u32)>, Exhausted> {
        let mut output = Output { text: String::new(), limit: budget.text_bytes };
        let mut meter = Meter::new(search.reach, text);
        let mut copied_to = 0;
        let mut count: u32 = 0;
        let mut replace = |found: Match<'_>, groups: Option<&Captures<'_>>| {
            meter.charge(found.end(), budget)?;
            output.push(text.get(copied_to..found.start()).unwrap_or_default())?;
            self.write(found.as_str(), groups, &mut output)?;
            copied_to = found.end();
            count = count.saturating_add(1);
            Ok(())
        };
        // Groups are the dear part of matching, and only replacements name them.
        if let Self::Replace(_) = self {
            for groups in search.regex.captures_iter(text) {
                replace(groups.get_match(), Some(&groups))?;
            }
        } else {
            for found in search.regex.find_iter(text) {
                replace(found, None)?;
            }
        }
        if count == 0 {
            return Ok(None);
        }
        output.push(text.get(copied_to..).unwrap_or_default())?;
        Ok(Some((output.text, count)))
    }

    fn write(
        &self,
        found: &str,
        groups: Option<&Captures<'_>>,
        output: &mut Output,
    ) -> Result<(), Exhausted> {
        match self {
            Self::Redact => output.push("[redacted]"),
            Self::Replace(parts) => parts.iter().try_for_each(|part| match part {
                Part::Literal(literal) => output.push(literal),
                // A group that took no part in the match stands for nothing.
                Part::Group(group) => {
                    let group = groups.and_then(|groups| groups.get(*group));
                    output.push(group.map_or("", |group| group.as_str()))
                }
            }),
            Self::Mask { keep_last } => output.push(&mask(found, *keep_last)),
            Self::Hash(key) => {
                let code = hmac::sign(key, found.as_bytes());
                output.push(&format!("[sha256:{}]", hex::encode(&code.as_ref()[..SHOWN_BYTES])))
            }
        }
    }
}

/// The number of matches, or of those that the budget allows to count.
pub(crate) fn count(search: Search<'_>, text: &str, budget: &mut Budget) -> u32 {
    let mut meter = Meter::new(search.reach, text);
    let mut count: u32 = 0;
    for found in search.regex.find_iter(text) {
        count = count.saturating_add(1);
        if meter.charge(found.end(), budget).is_err() {
            break;
        }
    }
    count
}

fn mask(found: &str, keep_last: usize) -> String {
    let chars = found.chars().count();
    let hidden = if chars > keep_last { chars - keep_last } else { chars };
    let mut masked = "*".repeat(hidden);
    masked.extend(found.chars().skip(hidden));
    masked
}

struct Output {
    text: String,
    limit: usize,
}

impl Output {
    fn push(&mut self, piece: &str) -> Result<(), Exhausted> {
        if self.text.len() + piece.len() > self.limit {
            return Err(Exhausted);
        }
        self.text.push_str(piece);
        Ok(())
    }
}

/// Adds up how far the searches in one text may have read beyond their matches.
struct Meter<'a> {
    reach: &'a Reach,
    text: &'a [u8],
    /// No byte between the last match and this one stops a search.
    next_stop: usize,
}

impl<'a> Meter<'a> {
    fn new(reach: &'a Reach, text: &'a str) -> Self {
        Self { reach, text: text.as_bytes(), next_stop: 0 }
    }

    fn charge(&mut self, match_end: usize, budget: &mut Budget) -> Result<(), Exhausted> {
        if self.next_stop < match_end {
            let rest = self.text.get(match_end..).unwrap_or_default();
            let clear = rest.iter().position(|byte| self.reach.stops(*byte));
            self.next_stop = match_end + clear.unwrap_or(rest.len());
        }
        let overread = (self.next_stop - match_end).min(self.reach.max_match_bytes);
        budget.overread_bytes = budget.overread_bytes.checked_sub(overread).ok_or(Exhausted)?;
        Ok(())
    }
}

/// `Err` holds the group that the pattern does not have.
fn parse_template(with: &str, regex: &Regex) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = with;
    while let Some((before, dollar)) = rest.split_once('$') {
        parts.push(Part::Literal(before.to_owned()));
        let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let (name, after) = if let Some(after) = dollar.strip_prefix('$') {
            parts.push(Part::Literal("$".to_owned()));
            rest = after;
            continue;
        } else if let Some(braced) = dollar.strip_prefix('{') {
            braced.split_once('}').ok_or_else(|| format!("${dollar}"))?
        } else {
            let end = dollar.find(|c| !is_word(c)).unwrap_or(dollar.len());
            dollar.split_at(end)
        };
        if name.is_empty() {
            return Err("$".to_owned());
        }
        parts.push(Part::Group(group(name, regex).ok_or_else(|| name.to_owned())?));
        rest = after;
    }
    parts.push(Part::Literal(rest.to_owned()));
    parts.retain(|part| *part != Part::Literal(String::new()));
    Ok(parts)
}

fn group(name: &str, regex: &Regex) -> Option<usize> {
    match name.parse() {
        Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
        Err(_) => regex.capture_names().position(|it| it == Some(name)),
    }
}
