//! Conditions on what a server says of an offer, by which an assignment exposes it.
//!
//! A condition looks at name, title, description and annotations, and at nothing else: what it
//! holds for is known when a server is listed.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// What an offer must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of them hold. An empty list holds for everything.
    All(Vec<Condition>),
    /// One of them holds. An empty list holds for nothing.
    Any(Vec<Condition>),
    /// The server's own name; of a resource its URI, of a template its URI template.
    Name(TextTest),
    Title(TextTest),
    Description(TextTest),
    /// What the annotation says, or, where it is missing, what the specification takes it for
    /// (MCP, schema `ToolAnnotations`).
    Hint(Hint, bool),
}

/// A test of a text. None holds for a text that is missing, or that is longer than 64 KiB: servers
/// write them, and each call looks at them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// It is this, byte by byte.
    Is(String),
    /// `*` stands for any characters and `?` for one; all else for itself.
    Glob(Pattern),
    Contains(String),
    /// A regular expression matches somewhere in it.
    Matches(Pattern),
}

/// An annotation of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hint {
    ReadOnly,
    Destructive,
    Idempotent,
    OpenWorld,
}

/// What a server says of one thing on offer, as far as conditions look at it.
#[derive(Clone, Debug, Default)]
pub struct Described {
    pub name: Box<str>,
    pub title: Option<Box<str>>,
    pub description: Option<Box<str>>,
    /// In the order of [`Hint::ALL`].
    pub hints: [Option<bool>; 4],
}

/// A pattern that compiles, and takes linear time.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{0}` does not compile, or is too large")]
pub struct InvalidPattern(String);

/// The longest text that a test looks at, in bytes.
const LONGEST_TEXT: usize = 64 << 10;

/// Bounds of a pattern: its text, and the memory of what it compiles to.
const LONGEST: usize = 1_000;
const MOST_COMPILED_BYTES: usize = 256 << 10;

impl Condition {
    pub fn holds(&self, it: &Described) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(it)),
            Self::Any(any) => any.iter().any(|one| one.holds(it)),
            Self::Name(test) => test.holds(Some(&it.name)),
            Self::Title(test) => test.holds(it.title.as_deref()),
            Self::Description(test) => test.holds(it.description.as_deref()),
            Self::Hint(hint, wanted) => hint.said(&it.hints) == *wanted,
        }
    }
}

impl TextTest {
    fn holds(&self, text: Option<&str>) -> bool {
        let Some(text) = text.filter(|it| it.len() <= LONGEST_TEXT) else { return false };
        match self {
            Self::Is(wanted) => text == wanted,
            Self::Contains(wanted) => text.contains(wanted.as_str()),
            Self::Glob(pattern) | Self::Matches(pattern) => pattern.regex.is_match(text),
        }
    }
}

impl Hint {
    pub const ALL: [Self; 4] =
        [Self::ReadOnly, Self::Destructive, Self::Idempotent, Self::OpenWorld];

    /// The member of a tool's `annotations`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnlyHint",
            Self::Destructive => "destructiveHint",
            Self::Idempotent => "idempotentHint",
            Self::OpenWorld => "openWorldHint",
        }
    }

    /// What is said, or what its absence is taken for.
    pub fn said(self, hints: &[Option<bool>; 4]) -> bool {
        let said = hints.get(self.place()).copied().flatten();
        said.unwrap_or_else(|| self.is_taken_for())
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|it| *it == self).unwrap_or_default()
    }

    fn is_taken_for(self) -> bool {
        match self {
            Self::ReadOnly | Self::Idempotent => false,
            Self::Destructive | Self::OpenWorld => true,
        }
    }
}

impl Pattern {
    /// A regular expression.
    ///
    /// # Errors
    /// Where it does not compile within the bounds.
    pub fn regex(text: &str) -> Result<Self, InvalidPattern> {
        Self::compile(text, text)
    }

    /// A text with `*` and `?` in it, which stands for all of another.
    ///
    /// # Errors
    /// Where it is too long.
    pub fn glob(text: &str) -> Result<Self, InvalidPattern> {
        let mut regex = String::from("(?s)^");
        for c in text.chars() {
            match c {
                '*' => regex.push_str(".*"),
                '?' => regex.push('.'),
                c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push('$');
        Self::compile(text, &regex)
    }

    fn compile(text: &str, regex: &str) -> Result<Self, InvalidPattern> {
        let built = RegexBuilder::new(regex).size_limit(MOST_COMPILED_BYTES).build();
        match built {
            Ok(regex) if text.len() <= LONGEST => Ok(Self { text: text.to_owned(), regex }),
            _ => Err(InvalidPattern(text.chars().take(100).collect())),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_for_what() {
        let it = Described {
            name: "read_file".into(),
            title: None,
            description: Some("Reads a file.\nNothing else.".into()),
            hints: [Some(true), None, None, Some(false)],
        };
        let glob = |text: &str| TextTest::Glob(Pattern::glob(text).unwrap());
        let regex = |text: &str| TextTest::Matches(Pattern::regex(text).unwrap());
        for (condition, expected) in [
            (Condition::All(vec![]), true),
            (Condition::Any(vec![]), false),
            (Condition::Name(TextTest::Is("read_file".into())), true),
            (Condition::Name(TextTest::Is("Read_file".into())), false),
            (Condition::Name(glob("read_*")), true),
            (Condition::Name(glob("read")), false),
            (Condition::Name(glob("read.file")), false),
            (Condition::Name(glob("re?d_fil?")), true),
            (Condition::Name(regex("^read")), true),
            (Condition::Title(TextTest::Contains(String::new())), false),
            (Condition::Description(TextTest::Contains("a file".into())), true),
            (Condition::Description(glob("Reads*else.")), true),
            (Condition::Description(regex("(?i)READS")), true),
            (Condition::Hint(Hint::ReadOnly, true), true),
            (Condition::Hint(Hint::Destructive, false), false),
            (Condition::Hint(Hint::Destructive, true), true),
            (Condition::Hint(Hint::Idempotent, false), true),
            (Condition::Hint(Hint::OpenWorld, false), true),
        ] {
            assert_eq!(condition.holds(&it), expected, "{condition:?}");
            let all = Condition::All(vec![Condition::All(vec![]), condition.clone()]);
            let any = Condition::Any(vec![Condition::Any(vec![]), condition]);
            assert_eq!([all.holds(&it), any.holds(&it)], [expected; 2]);
        }
    }

    #[test]
    fn nothing_holds_for_a_text_that_takes_long_to_look_at() {
        for (length, expected) in [(LONGEST_TEXT, true), (LONGEST_TEXT + 1, false)] {
            let it = Described {
                name: "a".repeat(length).into(),
                description: Some("a".repeat(length).into()),
                ..Described::default()
            };
            let any = TextTest::Glob(Pattern::glob("*").unwrap());
            assert_eq!(Condition::Name(any.clone()).holds(&it), expected);
            assert_eq!(Condition::Description(any).holds(&it), expected);
        }
    }

    #[test]
    fn patterns_are_bounded() {
        for text in ["(", "a{1000}{1000}", &"a".repeat(LONGEST + 1)] {
            assert!(Pattern::regex(text).is_err(), "{text}");
        }
        assert!(Pattern::glob(&"*".repeat(LONGEST + 1)).is_err());
        assert!(Pattern::glob("(*[").is_ok());
    }
}
