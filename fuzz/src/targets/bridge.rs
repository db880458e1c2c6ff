//! Questions and answers between the eras.

use std::time::Duration;

use bytes::Bytes;
use mcp::bridge::askable::{Askable, legacy_answer};
use mcp::bridge::{Abilities, Due, RoundLimits, Rounds, to_modern_capabilities};
use mcp::json::{Limits, Raw, check as is_json};
use mcp::revision::ALL;
use mcp::splice::Splice;

pub(crate) fn check(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let Ok(raw) = Raw::parse(&body, Limits::default()) else { return };
    let is_sound = |it: &[u8]| is_json(it, Limits { depth: 128, ..Limits::default() }).is_ok();
    let all =
        br#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{},"context":{}},"roots":{}}"#;
    let everything = Askable::of(Raw::parse(all, Limits::default()).unwrap());
    for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
        if let Ok(asked) = everything.question(method, Some(raw)) {
            assert!(is_sound(&asked.params), "{asked:?}");
        }
        assert!(Askable::NOTHING.question(method, Some(raw)).is_err());
    }
    if let Some(answer) = legacy_answer(raw) {
        assert!(is_sound(&answer), "{answer:?}");
    }
    for asked in everything.urls(raw) {
        assert!(is_sound(&asked.params));
    }
    let declared = Askable::of(raw);
    let told = declared.capabilities();
    assert_eq!(Askable::of(Raw::parse(&told, Limits::default()).unwrap()).capabilities(), told);
    for revision in ALL {
        let modern = to_modern_capabilities(raw, revision);
        assert!(is_sound(&modern), "{modern:?}");
        let _abilities = Abilities::of(raw, revision);
    }
    round(raw);
}

fn round(raw: Raw<'_>) {
    let limits = RoundLimits::default();
    let Ok(mut round) = Rounds::new(limits).open(raw, Duration::ZERO) else { return };
    assert!(round.questions().len() <= limits.questions);
    for (index, question) in round.questions().to_vec().iter().enumerate() {
        for revision in ALL {
            let params = Raw::parse(&question.params, Limits::default()).unwrap();
            let mut splice = Splice::new(question.params.clone());
            question.to_client(&mut splice, params, revision, Some("page"));
            let out = splice.finish().into_bytes();
            assert!(is_json(&out, Limits { depth: 128, ..Limits::default() }).is_ok(), "{out:?}");
            let answer = Bytes::from_static(br#"{"action":"accept","content":{"a":"b"}}"#);
            let lifted = question.from_client(&answer, revision).expect("an object");
            is_json(&lifted, Limits::default()).unwrap();
        }
        assert!(round.answer(index, Bytes::from_static(b"{}")));
    }
    if !round.questions().is_empty() {
        assert_eq!(round.due(Duration::ZERO), Due::Attempt);
    }
    let body = Bytes::from_static(br#"{"name":"n","requestState":"old","inputResponses":{}}"#);
    let mut splice = Splice::new(body.clone());
    round.write(&mut splice, Raw::parse(&body, Limits::default()).unwrap());
    let out = splice.finish().into_bytes();
    is_json(&out, Limits::default()).expect("the next attempt is JSON");
}
