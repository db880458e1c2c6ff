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

/// `rate:AMOUNT/PERIOD[:BURST]` or `quota:AMOUNT/WINDOW`; what there is of those is for the
/// gateway to say.
pub(super) fn allowance(text: &str) -> Result<Value, Failure> {
    let parts: Vec<&str> = text.split(':').collect();
    let amount = |it: &str| {
        let (amount, per) = it.split_once('/')?;
        Some((amount.parse::<i64>().ok()?, per.to_owned()))
    };
    let found = match parts.as_slice() {
        [kind @ ("rate" | "quota"), it] => {
            amount(it).map(|(amount, per)| json!({"type": kind, "amount": amount, "per": per}))
        }
        ["rate", it, burst] => amount(it).zip(burst.parse::<i64>().ok()).map(
            |((amount, per), burst)| {
                json!({"type": "rate", "amount": amount, "per": per, "burst": burst})
            },
        ),
        _ => None,
    };
    found.ok_or_else(|| {
        Failure::Usage(format!(
            "`{text}` allows nothing; use rate:600/minute, rate:600/minute:20 or quota:10000/month"
        ))
    })
}

/// `workspace`, a kind such as `app`, or one of that kind: `app/bot`, `tool/jira/search`.
pub(super) fn scope(text: &str) -> Result<Value, Failure> {
    let (kind, name) = match text.split_once('/') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text, None),
    };
    match (kind, name) {
        ("workspace" | "user" | "app" | "team" | "gateway" | "server" | "tool", None) => {
            Ok(json!({ "type": kind }))
        }
        ("user" | "app" | "team" | "gateway" | "server", Some(name)) => {
            Ok(json!({"type": kind, kind: name}))
        }
        ("tool", Some(name)) if name.contains('/') => {
            let (server, tool) = name.split_once('/').unwrap_or_default();
            Ok(json!({"type": "tool", "server": server, "tool": tool}))
        }
        _ => Err(Failure::Usage(format!(
            "`{text}` is no scope; use workspace, user, app, team, gateway, server, tool, or one \
             of them as user/ann or tool/jira/search"
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

/// `create_issue=destructive,pii`: what a tool does, if that is said, and its labels.
pub(super) fn tool_labels<'a>(texts: impl Iterator<Item = &'a String>) -> Result<Value, Failure> {
    let mut found = Map::new();
    // `--tool-label ''` stands for none at all.
    for text in texts.filter(|it| !it.is_empty()) {
        let Some((tool, words)) = text.rsplit_once('=') else {
            return Err(Failure::Usage("write it as TOOL=WORD,… such as search=read".to_owned()));
        };
        let is_effect = |it: &&str| matches!(*it, "read" | "write" | "destructive");
        let words = || words.split(',').filter(|it| !it.is_empty());
        let mut label = Map::new();
        if let Some(effect) = words().find(is_effect) {
            label.insert("effect".to_owned(), effect.into());
        }
        let labels: Vec<&str> = words().filter(|it| !is_effect(it)).collect();
        label.insert("labels".to_owned(), labels.into());
        if found.insert(tool.to_owned(), Value::Object(label)).is_some() {
            return Err(Failure::Usage(format!("`{tool}` stands twice")));
        }
    }
    Ok(Value::Object(found))
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
    fn allowances() {
        let rate = json!({"type": "rate", "amount": 6, "per": "minute"});
        let burst = json!({"type": "rate", "amount": 6, "per": "minute", "burst": 2});
        let cases = [
            ("rate:6/minute", Some(rate)),
            ("rate:6/minute:2", Some(burst)),
            ("quota:6/day", Some(json!({"type": "quota", "amount": 6, "per": "day"}))),
            ("quota:6/day:2", None),
            ("rate:x/minute", None),
            ("rate:6", None),
            ("6/minute", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(allowance(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn scopes() {
        let tool = json!({"type": "tool", "server": "jira", "tool": "a/b"});
        let cases = [
            ("workspace", Some(json!({"type": "workspace"}))),
            ("app", Some(json!({"type": "app"}))),
            ("app/bot", Some(json!({"type": "app", "app": "bot"}))),
            ("tool", Some(json!({"type": "tool"}))),
            ("tool/jira/a/b", Some(tool)),
            ("tool/jira", None),
            ("workspace/default", None),
            ("rule/mail", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(scope(text).ok(), expected, "{text:?}");
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
