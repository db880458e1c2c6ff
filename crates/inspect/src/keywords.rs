//! The keywords of a pattern: texts of which each match holds at least one.
//!
//! They let one Aho-Corasick automaton rule out most patterns in a single pass. The automaton
//! ignores ASCII case, so keywords are lower-case and a set may name more than the pattern
//! matches. It may never name less.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A larger set is rarely a good filter, and each of its members costs memory.
const MAX_KEYWORDS: usize = 24;
/// More of a literal filters no better.
const MAX_KEYWORD_BYTES: usize = 24;
/// Shorter ones stand in nearly every text.
const MIN_KEYWORD_BYTES: usize = 3;

/// The best keywords of `hir`, or none where it has none that are worth looking for.
pub(crate) fn keywords(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    best(hir).filter(|set| shortest(set) >= MIN_KEYWORD_BYTES || is_telling(set))
}

/// The one single byte that is rare enough: it begins no word and ends no sentence.
fn is_telling(set: &[Vec<u8>]) -> bool {
    set.iter().all(|keyword| keyword.contains(&b'@'))
}

fn best(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Concat(parts) => best_of_concat(parts),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(best(branch)?);
            }
            tidy(all)
        }
        HirKind::Capture(capture) => best(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            better(exact(hir), best(&repetition.sub))
        }
        _ => exact(hir),
    }
}

/// Neighbours whose texts are all known are multiplied out; the best run or part wins.
fn best_of_concat(parts: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let mut winner = None;
    let mut run = vec![Vec::new()];
    for part in parts {
        match exact(part) {
            Some(texts) => match product(&run, &texts) {
                Some(longer) => run = longer,
                None => {
                    winner = better(winner, Some(std::mem::replace(&mut run, texts)));
                }
            },
            None => {
                winner = better(winner, Some(std::mem::replace(&mut run, vec![Vec::new()])));
                winner = better(winner, best(part));
            }
        }
    }
    better(winner, Some(run))
}

/// All texts that `hir` matches, where these are few and short. Assertions count as empty: they
/// only narrow down what matches.
fn exact(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => exact_class(class),
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Concat(parts) => {
            let start = vec![Vec::new()];
            parts.iter().try_fold(start, |run, part| product(&run, &exact(part)?))
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(exact(branch)?);
            }
            tidy(all)
        }
        HirKind::Repetition(repetition) if repetition.max == Some(repetition.min) => {
            let once = exact(&repetition.sub)?;
            (0..repetition.min).try_fold(vec![Vec::new()], |run, _| product(&run, &once))
        }
        HirKind::Repetition(_) => None,
    }
}

fn exact_class(class: &Class) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                for one in range.start()..=range.end() {
                    all.push(one.to_ascii_lowercase().to_string().into_bytes());
                    (all.len() <= MAX_KEYWORDS).then_some(())?;
                }
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                for one in range.start()..=range.end() {
                    all.push(vec![one.to_ascii_lowercase()]);
                    (all.len() <= MAX_KEYWORDS).then_some(())?;
                }
            }
        }
    }
    tidy(all)
}

fn product(heads: &[Vec<u8>], tails: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let longest = |set: &[Vec<u8>]| set.iter().map(Vec::len).max().unwrap_or(0);
    let is_small = heads.len() * tails.len() <= MAX_KEYWORDS;
    (is_small && longest(heads) + longest(tails) <= MAX_KEYWORD_BYTES).then_some(())?;
    let join = |head: &Vec<u8>| tails.iter().map(|tail| [&head[..], tail].concat()).collect();
    Some(heads.iter().flat_map::<Vec<_>, _>(join).collect())
}

/// Sorted and free of doubles, or nothing where it is too large or empty.
fn tidy(mut set: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    set.sort_unstable();
    set.dedup();
    (1..=MAX_KEYWORDS).contains(&set.len()).then_some(set)
}

/// The set whose shortest member is longer; of equals, the smaller set.
fn better(a: Option<Vec<Vec<u8>>>, b: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    let worth = |set: &Vec<Vec<u8>>| (shortest(set), usize::MAX - set.len());
    match (a, b) {
        (Some(a), Some(b)) => Some(if worth(&b) > worth(&a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn shortest(set: &[Vec<u8>]) -> usize {
    set.iter().map(Vec::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_patterns() {
        let cases: &[(&str, &[&str])] = &[
            ("sk_live_[0-9a-z]{24}", &["sk_live_"]),
            ("AKIA[A-Z0-9]{16}", &["akia"]),
            (r"\bghp_\w+", &["ghp_"]),
            ("(?i)token", &["to\u{212a}en", "token"]),
            (
                "(?i)password",
                &["pa\u{17f}\u{17f}word", "pa\u{17f}sword", "pas\u{17f}word", "password"],
            ),
            ("(foo|barbaz)[0-9]+", &["barbaz", "foo"]),
            (r"[a-z]+@[a-z]+", &["@"]),
            (r"\d+(?:-confidential)+", &["-confidential"]),
            (r"(?:abc){2}", &["abcabc"]),
            (r"[ab]cd\d", &["acd", "bcd"]),
            (r"\d{3}-\d{2}", &[]),
            (r"(?:secret)?\d", &[]),
            (r"secret|\d+", &[]),
            (r"[a-z]{8}", &[]),
            (".*", &[]),
            ("a{1000}", &[]),
        ];
        for (pattern, expected) in cases {
            let hir = regex_syntax::parse(pattern).unwrap();
            let found = keywords(&hir).unwrap_or_default();
            let found: Vec<_> = found.iter().map(|it| str::from_utf8(it).unwrap()).collect();
            let mut sorted = found.clone();
            sorted.sort_unstable();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(sorted, expected, "{pattern}");
        }
    }
}
