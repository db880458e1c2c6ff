//! Pins: which definitions of a server's offers a person has approved.
//!
//! A definition is the JSON object that a server lists for a tool, a prompt or a resource template, or
//! the object `{"instructions": …}` that holds what it tells models of itself as a whole.
//! It is known by the SHA-256 of its canonical form, so that every member of it counts: whatever is
//! changed in it makes another definition, which nobody has approved yet.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// SHA-256 over the canonical form of a definition. As text `sha256:` and 64 small hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DefinitionHash(pub [u8; 32]);

/// What a definition is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PinKind {
    /// What the server tells models of itself as a whole.
    Instructions,
    Prompt,
    Template,
    Tool,
}

/// What an approval is bound to. The name is a part of the definition, hence of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinKey {
    pub kind: PinKind,
    pub hash: DefinitionHash,
}

/// Whether a server's definitions must be approved before anybody sees them.
#[derive(Clone, Debug)]
pub enum Review {
    Off,
    /// These have been approved.
    On(Arc<HashSet<PinKey>>),
}

/// A text that is not the hash of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is `sha256:` and 64 hex digits in small letters")]
pub struct InvalidHash;

impl Review {
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }

    /// Whether a definition may be used as far as approval goes.
    pub fn admits(&self, pin: PinKey) -> bool {
        match self {
            Self::Off => true,
            Self::On(approved) => approved.contains(&pin),
        }
    }
}

impl PinKind {
    /// As it stands in the API, in files and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Prompt => "prompt",
            Self::Template => "resource_template",
            Self::Tool => "tool",
        }
    }
}

impl FromStr for PinKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Instructions, Self::Prompt, Self::Template, Self::Tool];
        let found = all.into_iter().find(|it| it.as_str() == text);
        found.ok_or(
            "a definition is of a `tool`, a `prompt`, a `resource_template` or `instructions`",
        )
    }
}

impl fmt::Display for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DefinitionHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let digits = text.strip_prefix("sha256:").ok_or(InvalidHash)?.as_bytes();
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(InvalidHash),
        };
        let mut hash = [0; 32];
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return Err(InvalidHash);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = value(*high)? << 4 | value(*low)?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for DefinitionHash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<DefinitionHash> for String {
    fn from(hash: DefinitionHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_one_spelling() {
        let hash = DefinitionHash(std::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap()));
        let text = hash.to_string();
        assert_eq!(text.parse(), Ok(hash));
        for wrong in [
            text.to_uppercase(),
            text.replace("sha256:", ""),
            format!("{text}0"),
            format!("{text}00"),
            text.replacen('0', "g", 1),
            String::new(),
        ] {
            assert_eq!(wrong.parse::<DefinitionHash>(), Err(InvalidHash), "{wrong}");
        }
    }

    #[test]
    fn only_the_approved_definition_of_its_kind_is_admitted() {
        let pin = |kind, byte| PinKey { kind, hash: DefinitionHash([byte; 32]) };
        let approved = [pin(PinKind::Tool, 1), pin(PinKind::Prompt, 2)];
        let review = Review::On(Arc::new(HashSet::from(approved)));
        for (pin, expected) in [
            (pin(PinKind::Tool, 1), true),
            (pin(PinKind::Tool, 2), false),
            (pin(PinKind::Prompt, 2), true),
            (pin(PinKind::Template, 1), false),
        ] {
            assert_eq!(review.admits(pin), expected, "{pin:?}");
            assert!(Review::Off.admits(pin));
        }
    }
}
