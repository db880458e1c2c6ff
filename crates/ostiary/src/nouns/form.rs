//! Values as they are typed, and what they mean.

use serde_json::{Map, Value, json};

use crate::commands::files;
use crate::failure::Failure;

/// `redact`, `hash`, `mask[:KEEP]`, `block:MESSAGE` or `replace:WITH`.
pub(super) fn action(text: &str) -> Result<Value, Failure> {
    let (kind, rest) = match text.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (text, None),
    };
    let keep = |it: &str| it.parse::<u32>().ok();
    match (kind, rest) {
        ("redact" | "hash", None) => Ok(json!({ "type": kind })),
        ("mask", None) => Ok(json!({ "type": "mask" })),
        ("mask", Some(it)) if keep(it).is_some() => {
            Ok(json!({"type": "mask", "keep_last": keep(it)}))
        }
        ("block", Some(message)) => Ok(json!({"type": "block", "message": message})),
        ("replace", Some(with)) => Ok(json!({"type": "replace", "with": with})),
        _ => Err(Failure::Usage(format!(
            "`{text}` is no action; use redact, hash, mask, mask:4, block:MESSAGE or replace:WITH"
        ))),
    }
}

/// `all`, `none`, or names with commas between them.
pub(super) fn expose(text: &str) -> Value {
    match text {
        "all" => json!({"expose": "all"}),
        "none" => json!({"expose": "nothing"}),
        names => json!({"expose": "named", "names": names.split(',').collect::<Vec<_>>()}),
    }
}

/// `NAME=VALUE`, each.
pub(super) fn pairs<'a>(
    texts: impl Iterator<Item = &'a String>,
    mut value: impl FnMut(&str) -> Result<String, Failure>,
) -> Result<Map<String, Value>, Failure> {
    let mut found = Map::new();
    for text in texts {
        let Some((name, it)) = text.split_once('=') else {
            return Err(Failure::Usage("write it as NAME=VALUE".to_owned()));
        };
        if found.insert(name.to_owned(), value(it)?.into()).is_some() {
            return Err(Failure::Usage(format!("`{name}` stands twice")));
        }
    }
    Ok(found)
}

/// What a reference such as `env:NAME` or `Bearer file:PATH` stands for. What is no reference is
/// not repeated: it may be the secret itself.
pub(super) fn secret(text: &str) -> Result<String, Failure> {
    let (word, source) = match text.split_once(' ') {
        Some((word, source)) if !word.contains(':') => (Some(word), source),
        _ => (None, text),
    };
    let found = match source.split_once(':') {
        Some(("stdin", "")) => {
            let read = std::io::read_to_string(std::io::stdin()).map_err(Failure::other)?;
            Some(read.trim_end_matches(['\r', '\n']).to_owned())
        }
        Some(("env" | "file", _)) => {
            files::resolve(source).and_then(|it| it.expose_text().map(str::to_owned))
        }
        _ => {
            return Err(Failure::Usage(
                "others can read a command line: say where the secret is, as env:NAME, file:PATH \
                 or stdin:, perhaps after a word as in `Bearer env:NAME`"
                    .to_owned(),
            ));
        }
    };
    let found =
        found.ok_or_else(|| Failure::Other(format!("`{source}` is not set, or cannot be read")))?;
    Ok(match word {
        Some(word) => format!("{word} {found}"),
        None => found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions() {
        let cases = [
            ("redact", Some(json!({"type": "redact"}))),
            ("hash", Some(json!({"type": "hash"}))),
            ("mask", Some(json!({"type": "mask"}))),
            ("mask:4", Some(json!({"type": "mask", "keep_last": 4}))),
            ("block:not: here", Some(json!({"type": "block", "message": "not: here"}))),
            ("replace:", Some(json!({"type": "replace", "with": ""}))),
            ("mask:x", None),
            ("mask:-1", None),
            ("redact:x", None),
            ("block", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(action(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_and_not_repeated() {
        for text in ["hunter2", "Bearer hunter2", "vault:", "Bearer vault:", "stdin:x", "a b env:X"]
        {
            let refused = secret(text).unwrap_err();
            assert!(matches!(refused, Failure::Usage(_)), "{text}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
