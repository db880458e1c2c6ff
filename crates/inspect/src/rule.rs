//! One rule, from its specification to what can run.

use std::sync::Arc;

use aws_lc_rs::hmac;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::action::{Deed, Search};
use crate::bits::MAX_RULES;
use crate::keywords::keywords;
use crate::{Action, Legs, RuleSpec, ToolScope};

/// A longer pattern is a list that belongs elsewhere.
const MAX_PATTERN_BYTES: usize = 16 << 10;
/// Bounds the memory of a compiled pattern.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// Bounds the time per byte of text: where a text is made to hurt, about 3 ns for each unit.
const MAX_WEIGHT: u64 = 2000;
/// Deeper nesting is made by machines, or by an enemy.
const MAX_NESTING: u32 = 50;
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
    /// `usize::MAX` where there is no longest.
    pub(crate) max_match_bytes: usize,
}

impl Reach {
    fn of(hir: &Hir) -> Self {
        let mut in_matches = [false; 256];
        mark(hir, &mut in_matches);
        let max_match_bytes = hir.properties().maximum_len().unwrap_or(usize::MAX);
        Self { in_matches, max_match_bytes }
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
