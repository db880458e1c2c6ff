//! One rule, from its specification to what can run.

use std::sync::Arc;

use aws_lc_rs::hmac;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::action::{Deed, Search};
use crate::bits::MAX_RULES;
use crate::keywords::keywords;
use crate::runs::{Runs, with_neighbours};
use crate::{Action, Legs, RuleSpec, ToolScope};

/// A longer pattern is a list that belongs elsewhere.
const MAX_PATTERN_BYTES: usize = 16 << 10;
/// Bounds the memory of a compiled pattern.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// Bounds the time per byte of text: where a text is made to hurt, about 3 ns for each unit.
const MAX_WEIGHT: u64 = 2000;
/// Deeper nesting is made by machines, or by an enemy.
const MAX_NESTING: u32 = 50;
/// So many places where a pattern may match are looked at one by one.
const FEW_RUNS: usize = 64;
/// Shorter runs stand everywhere.
const LEAST_RUN_BYTES: usize = 4;
/// Of the 95 printable characters of ASCII; of more than this, text has long runs.
const MOST_PRINTABLE: usize = 40;
/// What stands in for a match is a label, not a document.
const MAX_REPLACEMENT_BYTES: usize = 4 << 10;

/// Why rules were refused, for the person who wrote them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("rule `{rule}`: {reason}, at character {at} of the pattern")]
    Pattern { rule: String, reason: String, at: usize },
    #[error(
        "rule `{rule}`: the pattern is too large; use fewer alternatives, smaller repetitions or \
         narrower classes, such as `[0-9]` for `\\d`"
    )]
    TooLarge { rule: String },
    #[error("rule `{rule}`: the pattern matches empty text, and so would match everywhere")]
    MatchesEmpty { rule: String },
    #[error("rule `{rule}`: the pattern can never match")]
    MatchesNothing { rule: String },
    #[error(
        "rule `{rule}`: the replacement names `{group}`, which is no group of the pattern; write \
         `${{1}}` to end a group's name and `$$` for a dollar sign"
    )]
    UnknownGroup { rule: String, group: String },
    #[error("rule `{rule}`: the replacement is longer than {MAX_REPLACEMENT_BYTES} bytes")]
    LongReplacement { rule: String },
    #[error("{count} rules are too many; at most {MAX_RULES} can hold at once")]
    TooMany { count: usize },
}

/// A rule that is ready to run.
pub(crate) struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) action: &'static str,
    pub(crate) regex: Regex,
    pub(crate) keywords: Option<Vec<Vec<u8>>>,
    /// Whether the pattern can tell the ends of a text or line from other places.
    pub(crate) is_anchored: bool,
    pub(crate) reach: Reach,
    pub(crate) deed: Deed,
    pub(crate) legs: Legs,
    pub(crate) tools: ToolScope,
    pub(crate) observe_only: bool,
}

impl Rule {
    pub(crate) fn compile(spec: &RuleSpec, salt: &Arc<hmac::Key>) -> Result<Self, RuleError> {
        let rule = || spec.name.clone();
        let hir = parse(spec)?;
        match hir.properties().minimum_len() {
            None => return Err(RuleError::MatchesNothing { rule: rule() }),
            Some(0) => return Err(RuleError::MatchesEmpty { rule: rule() }),
            Some(_) => {}
        }
        if weight(&hir) > MAX_WEIGHT {
            return Err(RuleError::TooLarge { rule: rule() });
        }
        let regex = RegexBuilder::new(&spec.pattern)
            .nest_limit(MAX_NESTING)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            // Its syntax has just been found right.
            .map_err(|_| RuleError::TooLarge { rule: rule() })?;
        if let Action::Replace { with } = &spec.action
            && with.len() > MAX_REPLACEMENT_BYTES
        {
            return Err(RuleError::LongReplacement { rule: rule() });
        }
        let deed = Deed::new(&spec.action, &regex, salt)
            .map_err(|group| RuleError::UnknownGroup { rule: rule(), group })?;
        Ok(Self {
            name: Arc::from(spec.name.as_str()),
            action: spec.action.name(),
            keywords: keywords(&hir),
            is_anchored: hir.properties().look_set().contains_anchor(),
            reach: Reach::of(&hir),
            regex,
            deed,
            legs: spec.legs,
            tools: spec.tools.clone(),
            observe_only: spec.observe_only,
        })
    }

    pub(crate) fn search(&self) -> Search<'_> {
        Search { regex: &self.regex, reach: &self.reach }
    }

    /// Whether the pattern matches anywhere in `text`; only for one without anchors. A pattern with
    /// keywords is searched for by them, any other one where enough of its bytes stand together.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.keywords.is_some() || !self.reach.is_telling() {
            return self.regex.is_match(text);
        }
        let mut runs = Runs::new(text, &self.reach.in_matches, self.reach.min_match_bytes);
        if runs.by_ref().take(FEW_RUNS).any(|it| self.regex.is_match(with_neighbours(text, it))) {
            return true;
        }
        // Where runs are many, one search through the rest is quicker than one through each.
        let rest = runs.next().map(|run| text.floor_char_boundary(run.start));
        rest.is_some_and(|rest| self.regex.is_match_at(text, rest))
    }
}

fn parse(spec: &RuleSpec) -> Result<Hir, RuleError> {
    if spec.pattern.len() > MAX_PATTERN_BYTES {
        return Err(RuleError::TooLarge { rule: spec.name.clone() });
    }
    let parsed =
        regex_syntax::ParserBuilder::new().nest_limit(MAX_NESTING).build().parse(&spec.pattern);
    parsed.map_err(|error| {
        let (reason, offset) = match &error {
            regex_syntax::Error::Parse(error) => {
                (error.kind().to_string(), error.span().start.offset)
            }
            regex_syntax::Error::Translate(error) => {
                (error.kind().to_string(), error.span().start.offset)
            }
            other => (other.to_string(), 0),
        };
        let at = spec.pattern.get(..offset).map_or(0, |before| before.chars().count()) + 1;
        RuleError::Pattern { rule: spec.name.clone(), reason, at }
    })
}

/// How many places of a pattern a search may have to follow at once. Plain words are not among
/// them, be they many: they become one automaton that is always in one place.
fn weight(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Class(class) => u64::from(!is_one_letter(class)),
        HirKind::Repetition(_) => written_out(hir),
        other => other.subs().iter().map(weight).fold(0, u64::saturating_add),
    }
}

/// The characters of a pattern with its repetitions written out.
fn written_out(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(_) | HirKind::Look(_) => 1,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            written_out(&repetition.sub).saturating_mul(times.into())
        }
        other => other.subs().iter().map(written_out).fold(0, u64::saturating_add),
    }
}

/// Whether the class holds the cases of one letter, as a pattern that ignores case has them.
fn is_one_letter(class: &Class) -> bool {
    let Class::Unicode(class) = class else { return false };
    let fold = |one: char| one.to_uppercase().flat_map(char::to_lowercase).collect::<String>();
    let is_short = class.ranges().iter().map(|range| range.len()).sum::<usize>() <= 4;
    let mut all = class.ranges().iter().flat_map(|range| range.start()..=range.end()).map(fold);
    let first = is_short.then(|| all.next()).flatten();
    first.is_some_and(|first| all.all(|it| it == first))
}

/// How far a search may read beyond the end of its match.
///
/// It goes on as long as a longer match is possible, so at most to the next byte that no match
/// holds, and no further than the longest match.
pub(crate) struct Reach {
    in_matches: [bool; 256],
    min_match_bytes: usize,
    /// `usize::MAX` where there is no longest.
    pub(crate) max_match_bytes: usize,
}

impl Reach {
    fn of(hir: &Hir) -> Self {
        let mut in_matches = [false; 256];
        mark(hir, &mut in_matches);
        let min_match_bytes = hir.properties().minimum_len().unwrap_or(0);
        let max_match_bytes = hir.properties().maximum_len().unwrap_or(usize::MAX);
        Self { in_matches, min_match_bytes, max_match_bytes }
    }

    /// Whether a run of bytes that matches hold is rare, and quicker to look for than a match.
    fn is_telling(&self) -> bool {
        let printable = self.in_matches.iter().skip(0x20).take(0x5f).filter(|it| **it).count();
        LEAST_RUN_BYTES <= self.min_match_bytes && printable <= MOST_PRINTABLE
    }

    pub(crate) fn stops(&self, byte: u8) -> bool {
        !self.in_matches[usize::from(byte)]
    }
}

fn mark(hir: &Hir, bytes: &mut [bool; 256]) {
    match hir.kind() {
        HirKind::Literal(literal) => {
            literal.0.iter().for_each(|byte| bytes[usize::from(*byte)] = true);
        }
        HirKind::Class(Class::Bytes(class)) => {
            for range in class.ranges() {
                bytes[usize::from(range.start())..=usize::from(range.end())].fill(true);
            }
        }
        HirKind::Class(Class::Unicode(class)) => {
            for range in class.ranges() {
                // Bytes of other characters are not told apart: all of them may occur.
                let end = u8::try_from(range.end()).unwrap_or(u8::MAX);
                let start = u8::try_from(range.start()).unwrap_or(0x80);
                if !end.is_ascii() {
                    bytes[0x80..].fill(true);
                }
                if start.is_ascii() {
                    bytes[usize::from(start)..=usize::from(end)].fill(true);
                }
            }
        }
        other => other.subs().iter().for_each(|sub| mark(sub, bytes)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ToolScope;

    const PATTERNS: [&str; 8] = [
        r"\b\d{4}[ -]?\d{4}\b",
        r"\b\d{2}-\d{2}\b",
        r"\B\d{4}\B",
        r"[0-9é]{4,}",
        r"\d{4}|é\d-\d",
        r"(?i)[a-c]{2}-?\d\d",
        r"(?-u:\b)[0-9a-f]{6}(?-u:\b)",
        r"[à-é]{2}[1-3]{2}",
    ];

    proptest! {
        #[test]
        fn looking_at_runs_finds_what_looking_at_all_finds(
            pattern in prop::sample::select(&PATTERNS[..]),
            text in "([0-9]{1,5}|[a-cA-C xé٣è-]{1,3}){0,100}",
        ) {
            let rule = compile(pattern);
            prop_assert!(rule.keywords.is_none() && rule.reach.is_telling(), "{pattern}");
            prop_assert_eq!(rule.matches(&text), rule.regex.is_match(&text));
        }
    }

    #[test]
    fn what_follows_many_runs_is_found() {
        let rule = compile(PATTERNS[0]);
        for runs in [FEW_RUNS - 1, FEW_RUNS, FEW_RUNS + 1, 3 * FEW_RUNS] {
            let no_cards = "x12345678 ".repeat(runs);
            assert!(!rule.matches(&no_cards), "{runs}");
            assert!(rule.matches(&(no_cards + "1234-5678")), "{runs}");
        }
    }

    fn compile(pattern: &str) -> Rule {
        let spec = RuleSpec {
            name: "rule".to_owned(),
            pattern: pattern.to_owned(),
            legs: Legs { request: true, response: true },
            tools: ToolScope::All,
            action: Action::Redact,
            observe_only: false,
        };
        Rule::compile(&spec, &Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]))).unwrap()
    }
}
