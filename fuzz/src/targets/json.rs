//! Strict JSON, and the messages that are written in it.

use bytes::Bytes;
use mcp::envelope::{Message, MessageKind};
use mcp::json::{Kind, Limits, Raw, canonical, quote};
use serde_json::Value;
use serde_json::value::RawValue;

/// Whatever is accepted, every other parser accepts and reads the same in it.
pub(crate) fn document(bytes: &[u8]) {
    let Ok(raw) = Raw::parse(bytes, Limits::default()) else { return };
    let theirs: &RawValue = serde_json::from_slice(bytes).expect("what we take is JSON");
    assert_eq!(theirs.get(), raw.text());
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        is_same(raw, &value);
    }
    let written = canonical(raw);
    let again = Raw::parse(&written, Limits::default());
    // Escapes can be longer than what they stand for, so a name may have become too long.
    if let Ok(again) = again {
        assert_eq!(canonical(again), written, "the canonical form of itself");
    }
}

fn is_same(raw: Raw<'_>, value: &Value) {
    match (raw.kind(), value) {
        (Kind::Null, Value::Null) => {}
        (Kind::Bool, Value::Bool(theirs)) => assert_eq!(raw.bool(), Some(*theirs)),
        (Kind::Number, Value::Number(theirs)) => {
            let of_text: serde_json::Number = raw.text().parse().expect("a number");
            assert_eq!(&of_text, theirs);
            if let Some(ours) = raw.u64() {
                assert_eq!(theirs.as_f64(), Some(ours as f64));
            }
        }
        (Kind::String, Value::String(theirs)) => {
            assert_eq!(raw.str().as_deref(), Some(theirs.as_str()));
            let quoted = quote(theirs);
            let again = Raw::parse(quoted.as_bytes(), Limits::default()).unwrap();
            assert_eq!(again.str().as_deref(), Some(theirs.as_str()));
        }
        (Kind::Array, Value::Array(theirs)) => {
            assert_eq!(raw.items().count(), theirs.len());
            raw.items().zip(theirs).for_each(|(ours, theirs)| is_same(ours, theirs));
        }
        (Kind::Object, Value::Object(theirs)) => {
            assert_eq!(raw.members().count(), theirs.len(), "no name stands twice");
            for (name, ours) in raw.members() {
                is_same(ours, &theirs[&*name]);
                assert_eq!(raw.get(&name).map(Raw::bytes), Some(ours.bytes()));
            }
        }
        (kind, theirs) => panic!("{kind:?} is {theirs}"),
    }
}

/// A message is what every other parser takes it for.
pub(crate) fn envelope(bytes: &[u8]) {
    let limits = Limits::default();
    let body = Bytes::copy_from_slice(bytes);
    if let Ok(messages) = Message::parse_batch(&body, limits, 10) {
        assert!(!messages.is_empty() && messages.len() <= 10);
    }
    let Ok(message) = Message::parse(body.clone(), limits) else { return };
    assert_eq!(message.body(), &body, "as it came");
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    assert_eq!(value["jsonrpc"], "2.0");
    let members = value.as_object().expect("an object");
    let has = |name: &str| members.contains_key(name);
    // An error that could not read an id has none.
    assert_eq!(message.id().is_some_and(|it| !it.is_null()), has("id") && !value["id"].is_null());
    match message.kind() {
        MessageKind::Request => assert!(has("method") && has("id")),
        MessageKind::Notification => assert!(has("method") && !has("id")),
        MessageKind::Response => assert!(has("result") && !has("error") && has("id")),
        MessageKind::Error => assert!(has("error") && !has("result")),
    }
    if has("method") {
        assert_eq!(value["method"], message.method());
    }
    for (name, ours) in
        [("params", message.params()), ("result", message.result()), ("error", message.error())]
    {
        if let Some(ours) = ours {
            is_same(ours, &value[name]);
        }
    }
}
