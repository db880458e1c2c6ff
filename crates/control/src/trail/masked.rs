//! What an act has changed may hold what nobody has called a secret: processes of servers get theirs
//! in variables and arguments. A record is read by others than those who set them, and kept for longer,
//! so of variables it holds the names, and of arguments what does not look like a secret.

use serde_json::{Map, Value, json};

use crate::files::Difference;
use crate::secret::{holds_secret, is_secret};

/// In the place of what is not told.
pub(super) const MASKED: &str = "[masked]";

/// Of all that there is to run a process with.
pub(super) fn object(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("type").is_some_and(|it| it == "stdio") {
                process(members);
            } else {
                members.values_mut().for_each(object);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(object),
        _ => {}
    }
}

/// The same of what differed: a variable has been set or changed.
pub(super) fn difference(it: &mut Difference) {
    let mut path = it.member.rsplit('.');
    let (last, above) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    let is_new = it.before.is_null();
    match (above, last) {
        ("env", _) => {
            let word =
                |value: &Value, word| if value.is_null() { Value::Null } else { json!(word) };
            it.after = word(&it.after, if is_new { "set" } else { "changed" });
            it.before = word(&it.before, "set");
        }
        ("transport", "env") => [&mut it.before, &mut it.after].into_iter().for_each(variables),
        ("transport", "args") => [&mut it.before, &mut it.after].into_iter().for_each(arguments),
        _ => [&mut it.before, &mut it.after].into_iter().for_each(object),
    }
}

fn process(members: &mut Map<String, Value>) {
    members.get_mut("env").into_iter().for_each(variables);
    members.get_mut("args").into_iter().for_each(arguments);
}

fn variables(value: &mut Value) {
    let Value::Object(members) = value else { return };
    members.values_mut().for_each(|it| *it = json!(MASKED));
}

fn arguments(value: &mut Value) {
    let Value::Array(items) = value else { return };
    // Whether the one before says that a secret comes.
    let mut is_next = false;
    for item in items {
        let Value::String(text) = item else { continue };
        let is_meant = std::mem::take(&mut is_next) && !text.starts_with('-');
        let pair = text.split_once('=').filter(|it| !it.0.contains("://"));
        if is_meant {
            MASKED.clone_into(text);
        } else if let Some((name, value)) = pair.filter(|it| !looks_secret(it.0)) {
            if names_secret(name) || looks_secret(value) {
                *text = format!("{name}={MASKED}");
            }
        } else if looks_secret(text) {
            MASKED.clone_into(text);
        } else {
            is_next = text.starts_with('-') && names_secret(text);
        }
    }
}

/// Whether a flag or a variable of that name takes a secret, as these are mostly called.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words =
        ["token", "secret", "passw", "key", "credential", "auth", "bearer", "cookie", "header"];
    words.iter().any(|it| name.contains(it))
}

/// Whether it is one of ours, a password in a URL, or what nobody would type: long, and of letters and
/// digits.
fn looks_secret(text: &str) -> bool {
    let is_in_url = text.split_once("://").is_some_and(|(_, rest)| {
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        place.contains('@')
    });
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=');
    let is_drawn = |word: &str| {
        let has = |is_it: fn(&u8) -> bool| word.as_bytes().iter().any(is_it);
        20 <= word.len() && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
    };
    is_in_url
        || holds_secret(text)
        || text.split(|c| !is_word(c)).any(|it| is_secret(it) || is_drawn(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_process_stays_what_is_no_secret() {
        let args = [
            ("-y", "-y"),
            ("@example/server-files", "@example/server-files"),
            ("/srv/data", "/srv/data"),
            ("--verbose", "--verbose"),
            ("--token", "--token"),
            ("hunter2", MASKED),
            ("--port=8080", "--port=8080"),
            ("--api-key=hunter2", "--api-key=[masked]"),
            ("postgres://ann:hunter2@db/main", MASKED),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", MASKED),
            ("--config=sk9aVbQ2mZ0pLr8TyUwXe31d", "--config=[masked]"),
        ];
        let (before, after): (Vec<_>, Vec<_>) = args.into_iter().unzip();
        let mut value = json!({"Server default/files": {"transport": {
            "type": "stdio", "command": "npx", "args": before, "env": {"A": "hunter2"},
        }}});
        object(&mut value);
        let transport = &value["Server default/files"]["transport"];
        assert_eq!(transport["args"], json!(after));
        assert_eq!(
            (&transport["env"], &transport["command"]),
            (&json!({"A": MASKED}), &json!("npx"))
        );
    }

    #[test]
    fn a_variable_that_differs_is_named() {
        let all = [
            ("transport.env.A", json!("x"), json!("y"), json!("set"), json!("changed")),
            ("transport.env.A", json!(null), json!("y"), json!(null), json!("set")),
            ("transport.env.A", json!("x"), json!(null), json!("set"), json!(null)),
            ("transport.env", json!(null), json!({"A": "x"}), json!(null), json!({"A": MASKED})),
            (
                "transport.args",
                json!(["--key", "x"]),
                json!([]),
                json!(["--key", MASKED]),
                json!([]),
            ),
            ("name", json!("a"), json!("b"), json!("a"), json!("b")),
        ];
        for (member, before, after, masked_before, masked_after) in all {
            let mut it = Difference { member: member.into(), before, after };
            difference(&mut it);
            assert_eq!((it.before, it.after), (masked_before, masked_after), "{member}");
        }
    }
}
