//! Names that people give to things and that stand in URLs.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Lower-case letters, digits and single dashes between them; 1 to 63, a letter first. A letter
/// first and no `--` keep aggregated tool names and resource URIs unambiguous.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use 1 to 63 of a-z, 0-9 and single dashes inside, a letter first")]
pub struct InvalidName;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let fits = (1..=63).contains(&text.len());
        let plain = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        let dashes = !text.ends_with('-') && !text.contains("--");
        if fits && plain && starts && dashes { Ok(Self(text.into())) } else { Err(InvalidName) }
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(64);
        let cases = [
            ("jira", true),
            ("a-1", true),
            ("", false),
            ("1a", false),
            ("-a", false),
            ("a-", false),
            ("a--b", false),
            ("Jira", false),
            ("a b", false),
            ("a_b", false),
            ("ſ", false),
            (&long, false),
        ];
        for (text, good) in cases {
            assert_eq!(text.parse::<Name>().is_ok(), good, "{text:?}");
        }
    }
}
