//! How a file names a secret without holding it.
//!
//! `env:NAME` and `file:PATH` are resolved by whoever applies the file, where it is applied from:
//! the gateway never reads its own environment or disk on behalf of a request. `vault:` stands
//! for what is stored already. A word before it, as in `Bearer env:TOKEN`, is kept.

use serde::{Deserialize, Serialize};
use vault::Secret;

use super::document::Document;
use crate::api::Error;
use crate::identities::SecretText;

/// Finds a secret by its reference, `env:NAME` or `file:PATH`.
pub type Resolve<'a> = &'a (dyn Fn(&str) -> Option<Secret> + Send + Sync);

/// A reference as it stands in a file: `env:NAME`, `file:PATH` or `vault:`, perhaps with a word
/// and a blank before it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Reference {
    /// Such as `Bearer`.
    word: Option<String>,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// `env:NAME` or `file:PATH`, whole.
    Outside(String),
    Vault,
}

/// What stands for a stored value in exports.
pub(super) fn stored() -> Reference {
    Reference { word: None, source: Source::Vault }
}

/// The references of all documents that must be resolved, in order, each once.
pub(super) fn all(documents: &[(domain::Name, Document)]) -> Vec<String> {
    let mut all = Vec::new();
    for (_, document) in documents {
        let Document::Identity(identity) = document else { continue };
        for reference in identity.headers.values() {
            if let Source::Outside(name) = &reference.source
                && !all.contains(name)
            {
                all.push(name.clone());
            }
        }
    }
    all
}

impl Reference {
    /// Whether it stands for what is stored already.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self.source, Source::Vault)
    }

    /// The value, or `None` for what is stored already.
    pub(super) fn resolve(&self, secrets: Resolve<'_>) -> Result<Option<SecretText>, Error> {
        let Source::Outside(name) = &self.source else { return Ok(None) };
        let missing = || Error::Invalid(format!("there is no secret at `{name}`"));
        let secret = secrets(name).ok_or_else(missing)?;
        let text = secret.expose_text().ok_or_else(missing)?;
        // Files end in a line feed that is not part of the secret.
        let text = text.trim_end_matches(['\r', '\n']);
        Ok(Some(SecretText::new(match &self.word {
            Some(word) => format!("{word} {text}"),
            None => text.to_owned(),
        })))
    }
}

impl TryFrom<String> for Reference {
    type Error = &'static str;

    /// The message says nothing of the text, which may well be a secret.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const HELP: &str = "secrets do not belong into files: \
                            use `env:NAME` or `file:PATH`, perhaps after a word as in `Bearer env:NAME`";
        if text == "vault:" {
            return Ok(stored());
        }
        let is_outside = |it: &str| it.starts_with("env:") || it.starts_with("file:");
        let (word, source) = match text.split_once(' ') {
            Some((word, rest)) if !is_outside(&text) => (Some(word), rest),
            _ => (None, text.as_str()),
        };
        let is_word = |it: &str| {
            it.starts_with(|c: char| c.is_ascii_alphabetic())
                && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if !word.is_none_or(is_word) {
            return Err(HELP);
        }
        if let Some(name) = source.strip_prefix("env:") {
            let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(HELP);
            }
            if name.starts_with("OSTIARY_") {
                return Err("the gateway's own settings are no credentials for servers");
            }
        } else {
            let path = source.strip_prefix("file:").ok_or(HELP)?;
            if path.is_empty() || path.chars().any(char::is_control) {
                return Err(HELP);
            }
        }
        let source = Source::Outside(source.to_owned());
        Ok(Self { word: word.map(str::to_owned), source })
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        let source = match reference.source {
            Source::Outside(name) => name,
            Source::Vault => "vault:".into(),
        };
        match reference.word {
            Some(word) => format!("{word} {source}"),
            None => source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_what_is_none() {
        let cases = [
            ("env:JIRA_TOKEN", true),
            ("Bearer env:JIRA_TOKEN", true),
            ("file:/run/secrets/jira", true),
            ("file:./my token", true),
            ("Bearer file:/run/secrets/jira", true),
            ("vault:", true),
            ("vault:x", false),
            ("Bearer vault:", false),
            ("hunter2", false),
            ("Bearer hunter2", false),
            ("env:", false),
            ("env:1A", false),
            ("env:A B", false),
            ("env:OSTIARY_MASTER_KEY", false),
            ("a b env:X", false),
            ("file:", false),
            ("", false),
        ];
        for (text, good) in cases {
            let parsed = Reference::try_from(text.to_owned());
            assert_eq!(parsed.is_ok(), good, "{text:?}");
            match parsed {
                Ok(it) => assert_eq!(String::from(it), text),
                Err(why) => assert!(!why.contains("hunter2")),
            }
        }
    }

    #[test]
    fn a_word_before_it_is_kept_and_the_last_line_feed_is_not() {
        let secrets = |name: &str| (name == "env:A").then(|| Secret::from("s3cret\n".to_owned()));
        let value = |text: &str| Reference::try_from(text.to_owned()).unwrap().resolve(&secrets);
        assert_eq!(value("Bearer env:A").unwrap().unwrap().expose(), "Bearer s3cret");
        assert_eq!(value("env:A").unwrap().unwrap().expose(), "s3cret");
        assert!(value("vault:").unwrap().is_none());
        assert!(value("env:B").is_err());
    }
}
