//! One run of the rules over one message in which something hit.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::action::{Budget, Deed, Exhausted, count};
use crate::bits::Bits;
use crate::json::{Kind, Token, Tokens, unescape};
use crate::rule::Rule;
use crate::{Edit, Hit, Leg, Verdict};

/// Edited texts may be this many times as long as the message together, for replacements that
/// are longer than what they replace, ...
const MAX_GROWTH: usize = 4;
/// ... and this many bytes more, so that it means nothing to small messages.
const FREE_GROWTH_BYTES: usize = 1 << 20;
/// How often each byte may be read again because a search read on beyond its match, ...
const MAX_OVERREADS: usize = 64;
/// ... and this many bytes more: about half a second, and out of reach for ordinary text.
const FREE_OVERREAD_BYTES: usize = 256 << 20;

/// Members of a result that say what it is made of, and their words in MCP. They carry nothing,
/// and a result in which one is edited cannot be read, so rules do not see them.
const STRUCTURE: [(&str, &[&str]); 2] = [
    (
        r#""type""#,
        &[r#""text""#, r#""image""#, r#""audio""#, r#""resource""#, r#""resource_link""#],
    ),
    (r#""resultType""#, &[r#""complete""#, r#""input_required""#, r#""task""#]),
];

pub(crate) struct Pass<'a> {
    rules: &'a [Rule],
    /// The rules that look at this message.
    active: Bits,
    /// Those that may match what has not been edited.
    candidates: Bits,
    leg: Leg,
    json: &'a str,
    counts: Vec<u32>,
    edits: Vec<Edit>,
    budget: Budget,
    /// What rules that only observe may cost: they must not use up what the others need.
    observing: Budget,
    /// The first rule, in their order, that ends the message, and what to say.
    end: Option<(usize, String)>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(
        rules: &'a [Rule],
        active: Bits,
        candidates: Bits,
        leg: Leg,
        json: &'a str,
    ) -> Self {
        let budget = Budget {
            text_bytes: json.len() * MAX_GROWTH + FREE_GROWTH_BYTES,
            overread_bytes: json.len() * MAX_OVERREADS + FREE_OVERREAD_BYTES,
        };
        Self {
            rules,
            active,
            candidates,
            leg,
            json,
            counts: vec![0; rules.len()],
            edits: Vec::new(),
            budget,
            observing: budget,
            end: None,
        }
    }

    pub(crate) fn run(mut self) -> Verdict {
        let mut key = 0..0;
        for token in Tokens::of(self.json) {
            let Ok(token) = token else { return unreadable() };
            if token.kind == Kind::Key {
                self.look_at_key(&token);
                key = token.range;
            } else if !self.is_structure(&key, &token.range) {
                self.look_at_value(&token);
            }
        }
        self.verdict()
    }

    /// `key` is the last one before `value`, which may belong to it or stand deeper.
    fn is_structure(&self, key: &Range<usize>, value: &Range<usize>) -> bool {
        let text = |range| self.json.get(range).unwrap_or_default();
        self.leg == Leg::Response
            && STRUCTURE.iter().any(|(name, words)| {
                *name == text(key.clone())
                    && words.contains(&text(value.clone()))
                    && text(key.end..value.start).trim() == ":"
            })
    }

    fn look_at_key(&mut self, token: &Token) {
        let text = self.text(token);
        let candidates = self.candidates;
        for index in candidates.iter() {
            if self.has_ended_before(index) {
                break;
            }
            if let Deed::Block { .. } = self.rules[index].deed {
                self.count(index, &text);
            }
        }
    }

    fn look_at_value(&mut self, token: &Token) {
        let original = self.text(token);
        let mut text = Cow::Borrowed(&*original);
        let mut next = self.candidates.next_from(0);
        while let Some(index) = next {
            if self.has_ended_before(index) {
                break;
            }
            if let Some(edited) = self.run_rule(index, &text) {
                text = Cow::Owned(edited);
            }
            // What has been edited may match rules that the original did not.
            let remaining = match text {
                Cow::Borrowed(_) => &self.candidates,
                Cow::Owned(_) => &self.active,
            };
            next = remaining.next_from(index + 1);
        }
        if let Cow::Owned(edited) = text
            && edited != *original
        {
            self.budget.text_bytes = self.budget.text_bytes.saturating_sub(edited.len());
            self.edits.push((token.range.clone(), literal(&edited)));
        }
    }

    /// The text after the rule, where it edits anything.
    fn run_rule(&mut self, index: usize, text: &str) -> Option<String> {
        let rule = &self.rules[index];
        let change = match &rule.deed {
            Deed::Edit(change) if !rule.observe_only => change,
            _ => {
                self.count(index, text);
                return None;
            }
        };
        match change.edit(rule.search(), text, &mut self.budget) {
            Ok(None) => None,
            Ok(Some((edited, found))) => {
                self.hit(index, found);
                Some(edited)
            }
            // Half an edit would let the other half through.
            Err(Exhausted) => {
                self.hit(index, 1);
                let message = format!("content rule `{}` found more than it can edit", rule.name);
                self.end = Some((index, message));
                None
            }
        }
    }

    /// Counts the matches of a rule that edits nothing, and ends the message where it blocks.
    fn count(&mut self, index: usize, text: &str) {
        let rule = &self.rules[index];
        let budget = if rule.observe_only { &mut self.observing } else { &mut self.budget };
        let found = count(rule.search(), text, budget);
        self.hit(index, found);
        if let Deed::Block { message } = &rule.deed
            && !rule.observe_only
            && found > 0
        {
            self.end = Some((index, message.clone()));
        }
    }

    fn text(&self, token: &Token) -> Cow<'a, str> {
        let literal = self.json.get(token.range.clone()).unwrap_or_default();
        match token.kind {
            Kind::Number => Cow::Borrowed(literal),
            Kind::Key | Kind::Text => {
                let inner = literal.get(1..literal.len() - 1).unwrap_or_default();
                if token.is_escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
            }
        }
    }

    fn hit(&mut self, index: usize, count: u32) {
        self.counts[index] = self.counts[index].saturating_add(count);
    }

    fn has_ended_before(&self, index: usize) -> bool {
        self.end.as_ref().is_some_and(|(end, _)| *end < index)
    }

    fn verdict(self) -> Verdict {
        let last = self.end.as_ref().map_or(self.rules.len(), |(end, _)| end + 1);
        let hits: Vec<Hit> = self.rules[..last]
            .iter()
            .zip(&self.counts)
            .filter(|(_, count)| **count > 0)
            .map(|(rule, count)| Hit {
                rule: Arc::clone(&rule.name),
                action: rule.action,
                count: *count,
                observed_only: rule.observe_only,
            })
            .collect();
        match self.end {
            Some((end, message)) => {
                Verdict::Blocked { rule: Arc::clone(&self.rules[end].name), message, hits }
            }
            None if hits.is_empty() => Verdict::Clean,
            None => Verdict::Edited { edits: self.edits, hits },
        }
    }
}

/// For content that is not JSON, which validation lets nobody send.
pub(crate) fn unreadable() -> Verdict {
    Verdict::Blocked {
        rule: Arc::from("unreadable content"),
        message: "the content cannot be read, so no rule can pass it".to_owned(),
        hits: Vec::new(),
    }
}

/// The text as a JSON string literal (RFC 8259, section 7).
fn literal(text: &str) -> Vec<u8> {
    let mut literal = Vec::with_capacity(text.len() + 2);
    literal.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => literal.extend_from_slice(b"\\\""),
            b'\\' => literal.extend_from_slice(b"\\\\"),
            b'\n' => literal.extend_from_slice(b"\\n"),
            b'\r' => literal.extend_from_slice(b"\\r"),
            b'\t' => literal.extend_from_slice(b"\\t"),
            0..0x20 => literal.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => literal.push(byte),
        }
    }
    literal.push(b'"');
    literal
}
