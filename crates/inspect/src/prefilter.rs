//! Which rules can have something to say about a text, found without looking at its parts.
//!
//! A pattern without anchors that matches inside a string also matches in the text around it,
//! because quotes and structure are no word characters. So one look at the whole rules out
//! nearly all clean content. Patterns with anchors are ruled out by their keywords alone.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::bits::Bits;
use crate::rule::Rule;

/// Up to this many rules are asked one by one: their own literal searches beat the automaton.
const FEW: usize = 4;
/// Below this many keywords the fast, large form of the automaton stays within a few MiB.
const MAX_DFA_KEYWORDS: usize = 2000;

pub(crate) struct Prefilter {
    keywords: Option<Keywords>,
}

struct Keywords {
    automaton: AhoCorasick,
    /// The rule of each keyword.
    rules: Vec<usize>,
    covered: Bits,
}

impl Prefilter {
    /// For those of `rules` that are `members`.
    pub(crate) fn new(rules: &[Rule], members: Bits) -> Self {
        let mut texts = Vec::new();
        let mut owners = Vec::new();
        let mut covered = Bits::NONE;
        for index in members.iter() {
            for keyword in rules[index].keywords.iter().flatten() {
                texts.push(keyword);
                owners.push(index);
                covered.insert(index);
            }
        }
        if covered.iter().count() <= FEW {
            return Self { keywords: None };
        }
        let kind = (texts.len() <= MAX_DFA_KEYWORDS).then_some(AhoCorasickKind::DFA);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .kind(kind)
            .build(texts);
        // Without the automaton every rule is asked, which is slower and as right.
        let keywords =
            automaton.ok().map(|automaton| Keywords { automaton, rules: owners, covered });
        Self { keywords }
    }

    /// Those of `active` that may match a literal of the decoded JSON `text`.
    pub(crate) fn candidates(&self, rules: &[Rule], text: &str, active: Bits) -> Bits {
        let mut candidates = Bits::NONE;
        for index in self.reminded_of(text, active).iter() {
            let rule = &rules[index];
            if rule.is_anchored || rule.matches(text) {
                candidates.insert(index);
            }
        }
        candidates
    }

    /// Those of `active` whose keywords occur, or that have none.
    fn reminded_of(&self, text: &str, active: Bits) -> Bits {
        let Some(keywords) = &self.keywords else { return active };
        let mut missing = active.intersection(keywords.covered);
        if missing.is_empty() {
            return active;
        }
        for found in keywords.automaton.find_overlapping_iter(text) {
            let mut rule = Bits::NONE;
            rule.insert(keywords.rules[found.pattern().as_usize()]);
            missing = missing.difference(rule);
            if missing.is_empty() {
                break;
            }
        }
        active.difference(missing)
    }
}
