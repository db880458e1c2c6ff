use proptest::prelude::*;

use super::*;
use crate::json::{self, Limits};

#[test]
fn a_legacy_result_becomes_a_modern_one() {
    let hints = CacheHints { ttl_ms: 5, is_public: true };
    let cases = [
        ("tools/call", r#"{"content":[]}"#, None, r#"{"resultType":"complete","content":[]}"#),
        ("tools/call", r#"{"resultType":"task"}"#, None, r#"{"resultType":"task"}"#),
        (
            "resources/read",
            r#"{"ttlMs":9,"contents":[]}"#,
            Some(hints),
            r#"{"resultType":"complete","cacheScope":"public","ttlMs":5,"contents":[]}"#,
        ),
        (
            "tools/list",
            r#"{"tools":[{"name":"a","execution":{"taskSupport":"optional"},"x":1}]}"#,
            Some(CacheHints::NONE),
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"a","x":1}]}"#,
        ),
    ];
    for (method, before, hints, after) in cases {
        let found = edit(before, |splice, result| to_modern_result(splice, method, result, hints));
        assert_eq!(found, after);
    }
}

#[test]
fn a_modern_result_is_given_what_its_server_has_left_out() {
    let cases = [
        ("tools/call", r#"{"content":[]}"#, r#"{"resultType":"complete","content":[]}"#),
        ("tools/call", r#"{"resultType":"task"}"#, r#"{"resultType":"task"}"#),
        (
            "resources/read",
            r#"{"ttlMs":9,"contents":[]}"#,
            r#"{"cacheScope":"private","resultType":"complete","ttlMs":9,"contents":[]}"#,
        ),
        (
            "resources/read",
            r#"{"resultType":"input_required"}"#,
            r#"{"resultType":"input_required"}"#,
        ),
    ];
    for (method, before, after) in cases {
        let found = edit(before, |s, result| complete_modern_result(s, method, result));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&found), read(after));
    }
}

#[test]
fn a_tool_is_listed_as_the_client_knows_tools() {
    use Revision::{V2024_11_05, V2025_11_25, V2026_07_28};
    let tool = r#"{"name":"a","execution":{"taskSupport":"required"},"outputSchema":{"type":"array"},"x":1}"#;
    let cases = [
        (Era::Modern, V2026_07_28, tool),
        (Era::Legacy, V2026_07_28, r#"{"name":"a","outputSchema":{"type":"array"},"x":1}"#),
        (Era::Modern, V2025_11_25, r#"{"name":"a","execution":{"taskSupport":"required"},"x":1}"#),
        (Era::Legacy, V2024_11_05, r#"{"name":"a","execution":{"taskSupport":"required"},"x":1}"#),
    ];
    for (spoken, revision, after) in cases {
        let found = listed_tool(&Bytes::from_static(tool.as_bytes()), spoken, revision);
        assert_eq!(found, after.as_bytes(), "{spoken:?} {revision}");
    }
    let broken = Bytes::from_static(b"{");
    assert_eq!(listed_tool(&broken, Era::Modern, V2024_11_05), broken);
}

#[test]
fn a_modern_result_becomes_a_legacy_one() {
    let before = r#"{"resultType":"complete","ttlMs":1,"cacheScope":"private","v":1.0,
        "_meta":{"io.modelcontextprotocol/serverInfo":{},"vendor/x":1,"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#;
    let found = edit(before, |splice, result| {
        to_legacy_result(splice, "resources/list", result, Revision::V2025_11_25);
    });
    assert_eq!(
        found,
        r#"{"v":1.0,
        "_meta":{"vendor/x":1,"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#
    );
    let only_ours =
        r#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#;
    let found = edit(only_ours, |splice, result| {
        to_legacy_result(splice, "tools/call", result, Revision::V2025_11_25);
    });
    assert_eq!(found, r#"{"_meta":{}}"#);
}

#[test]
fn structured_content_goes_where_it_is_not_known_and_leaves_its_text() {
    use Revision::{V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25};
    let object = r#"{"content":[],"structuredContent":{"a":1}}"#;
    let object_as_text = r#"{"content":[{"type":"text","text":"{\"a\":1}"}]}"#;
    let cases = [
        (V2025_11_25, object, object),
        (V2025_06_18, object, object),
        (V2025_03_26, object, object_as_text),
        (V2024_11_05, object, object_as_text),
        (
            V2025_11_25,
            r#"{"structuredContent":[1.0],"content":[{"type":"text","text":"t"}]}"#,
            r#"{"content":[{"type":"text","text":"t"}]}"#,
        ),
        (
            V2025_11_25,
            r#"{"content":[{"type":"image"}],"structuredContent":null}"#,
            r#"{"content":[{"type":"image"},{"type":"text","text":"null"}]}"#,
        ),
        (V2025_11_25, r#"{"structuredContent":7}"#, r#"{"content":[{"type":"text","text":"7"}]}"#),
    ];
    for (revision, before, after) in cases {
        let found = edit(before, |s, result| downgrade_result(s, "tools/call", result, revision));
        assert_eq!(found, after, "{revision} {before}");
    }
}

#[test]
fn an_output_schema_goes_where_its_content_would() {
    use Revision::{V2025_03_26, V2025_06_18, V2025_11_25};
    let tools = r#"{"tools":[{"name":"a","outputSchema":{"type":"object"}},{"outputSchema":{"type":"array"},"name":"b"},{"name":"c"}]}"#;
    let without_array =
        r#"{"tools":[{"name":"a","outputSchema":{"type":"object"}},{"name":"b"},{"name":"c"}]}"#;
    let without_any = r#"{"tools":[{"name":"a"},{"name":"b"},{"name":"c"}]}"#;
    for (revision, after) in
        [(V2025_11_25, without_array), (V2025_06_18, without_array), (V2025_03_26, without_any)]
    {
        let found = edit(tools, |s, result| downgrade_result(s, "tools/list", result, revision));
        assert_eq!(found, after, "{revision}");
    }
}

#[test]
fn blocks_that_are_too_new_become_text() {
    use Revision::{V2024_11_05, V2025_03_26, V2025_06_18};
    let link = r#"{"type":"resource_link","uri":"file:///x","name":"x","description":"an \"x\""}"#;
    let link_text = r#"{"type":"text","text":"x <file:///x>: an \"x\""}"#;
    let audio = r#"{"type":"audio","mimeType":"audio/wav","data":"AAAAAAAA"}"#;
    let audio_text = r#"{"type":"text","text":"[audio audio/wav, about 6 bytes]"}"#;
    let image = r#"{"type":"image","data":"AA=="}"#;
    let cases = [
        (V2025_06_18, [link, audio, image]),
        (V2025_03_26, [link_text, audio, image]),
        (V2024_11_05, [link_text, audio_text, image]),
    ];
    for (revision, [l, a, i]) in cases {
        let before = format!(r#"{{"content":[{link},{audio},{image}]}}"#);
        let found = edit(&before, |s, result| downgrade_result(s, "tools/call", result, revision));
        assert_eq!(found, format!(r#"{{"content":[{l},{a},{i}]}}"#), "{revision}");
        let before = format!(r#"{{"messages":[{{"role":"user","content":{link}}}]}}"#);
        let found = edit(&before, |s, result| downgrade_result(s, "prompts/get", result, revision));
        assert_eq!(
            found,
            format!(r#"{{"messages":[{{"role":"user","content":{l}}}]}}"#),
            "{revision}"
        );
    }
}

#[test]
fn params_and_notifications_lose_what_the_target_does_not_know() {
    let params = r#"{"_meta":{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"x"},"name":"n","requestState":"s","inputResponses":{}}"#;
    let found = edit(params, |s, p| to_legacy_params(s, "tools/call", p, Revision::V2025_11_25));
    assert_eq!(found, r#"{"_meta":{"progressToken":1},"name":"n"}"#);

    let completion = r#"{"ref":{},"context":{}}"#;
    let found = edit(completion, |s, p| {
        downgrade_params(s, "completion/complete", p, Revision::V2025_03_26)
    });
    assert_eq!(found, r#"{"ref":{}}"#);
    let found = edit(completion, |s, p| {
        downgrade_params(s, "completion/complete", p, Revision::V2025_06_18)
    });
    assert_eq!(found, completion);

    let progress =
        r#"{"progress":1.0,"message":"m","_meta":{"io.modelcontextprotocol/subscriptionId":1}}"#;
    let convert = |revision| {
        edit(progress, |s, p| to_legacy_notification(s, "notifications/progress", p, revision))
    };
    assert_eq!(convert(Revision::V2024_11_05), r#"{"progress":1.0,"_meta":{}}"#);
    assert_eq!(convert(Revision::V2025_03_26), r#"{"progress":1.0,"message":"m","_meta":{}}"#);
}

#[test]
fn error_codes_follow_the_era() {
    let cases = [
        ("resources/read", -32002, Era::Modern, -32602),
        ("tools/call", -32042, Era::Modern, -32603),
        ("tools/call", -32601, Era::Modern, -32601),
        ("resources/read", -32602, Era::Legacy, -32002),
        ("tools/call", -32602, Era::Legacy, -32602),
        ("tools/call", -32020, Era::Legacy, -32603),
        ("tools/call", -32021, Era::Legacy, -32603),
        ("tools/call", -32022, Era::Legacy, -32603),
        ("tools/call", -1, Era::Legacy, -1),
    ];
    for (method, code, client, expected) in cases {
        let error = format!(r#"{{"code":{code},"message":"m","data":{{"code":1}}}}"#);
        let found = edit(&error, |splice, error| convert_error(splice, method, error, client));
        let expected = format!(r#"{{"code":{expected},"message":"m","data":{{"code":1}}}}"#);
        assert_eq!(found, expected, "{method} {client:?}");
    }
}

#[test]
fn h058_h059_hints_that_make_no_sense_are_the_strict_ones() {
    let cases = [
        (r#"{"ttlMs":500,"cacheScope":"public"}"#, 500, true),
        (r#"{"ttlMs":500,"cacheScope":"private"}"#, 500, false),
        (r#"{"ttlMs":500,"cacheScope":"PUBLIC"}"#, 500, false),
        (r#"{"ttlMs":500}"#, 500, false),
        (r#"{"ttlMs":1500.9}"#, 1000, false),
        (r#"{"ttlMs":5e2}"#, 500, false),
        (r#"{"ttlMs":99.9}"#, 99, false),
        (r#"{"ttlMs":-1}"#, 0, false),
        (r#"{"ttlMs":-1.5}"#, 0, false),
        (r#"{"ttlMs":1000000000000000000}"#, 1000, false),
        (r#"{"ttlMs":99999999999999999999999}"#, 1000, false),
        (r#"{"ttlMs":1e400}"#, 0, false),
        (r#"{"ttlMs":"500"}"#, 0, false),
        (r#"{"ttlMs":null}"#, 0, false),
        ("{}", 0, false),
    ];
    for (text, ttl_ms, is_public) in cases {
        let result = Raw::parse(text.as_bytes(), Limits::default()).unwrap();
        assert_eq!(CacheHints::of(result, 1000), CacheHints { ttl_ms, is_public }, "{text}");
    }
    let (long, public) =
        (CacheHints { ttl_ms: 9, is_public: false }, CacheHints { ttl_ms: 3, is_public: true });
    assert_eq!(long.and(public), CacheHints { ttl_ms: 3, is_public: false });
}

#[test]
fn a_form_is_flattened_for_2025_06_18_and_its_answer_lifted_again() {
    let params = r#"{"mode":"form","message":"m","requestedSchema":{"type":"object","properties":{
"plain":{"type":"string","enum":["a"],"default":"a"},
"titled":{"type":"string","title":"T","oneOf":[{"const":"a","title":"A"},{"const":"b","title":"B"}],"default":"b"},
"many":{"type":"array","minItems":1,"items":{"type":"string","enum":["x","y"]},"default":["x"]},
"titledMany":{"type":"array","description":"D","items":{"anyOf":[{"const":"x","title":"X"}]}},
"text":{"type":"string","default":"z"}},"required":["many"]}}"#;
    let found = edit(params, |s, p| downgrade_elicitation(s, p, Revision::V2025_06_18));
    let expected = r#"{"message":"m","requestedSchema":{"type":"object","properties":{
"plain":{"type":"string","enum":["a"],"default":"a"},
"titled":{"type":"string","title":"T","default":"b","enum":["a","b"],"enumNames":["A","B"]},
"many":{"type":"string","enum":["x","y"]},
"titledMany":{"type":"string","description":"D","enum":["x"],"enumNames":["X"]},
"text":{"type":"string","default":"z"}},"required":["many"]}}"#;
    assert_eq!(found, expected);
    assert_eq!(edit(params, |s, p| downgrade_elicitation(s, p, Revision::V2025_11_25)), params);

    let asked = Raw::parse(params.as_bytes(), Limits::default()).unwrap();
    let answer =
        r#"{"action":"accept","content":{"plain":"a","titled":"b","many":"x","titledMany":["x"]}}"#;
    let found = edit(answer, |s, result| lift_elicitation_answer(s, asked, result));
    assert_eq!(
        found,
        r#"{"action":"accept","content":{"plain":"a","titled":"b","many":["x"],"titledMany":["x"]}}"#
    );
    assert_eq!(
        edit(r#"{"action":"cancel"}"#, |s, r| lift_elicitation_answer(s, asked, r)),
        r#"{"action":"cancel"}"#
    );
}

proptest! {
    #[test]
    fn any_result_survives_every_conversion(
        value in json::tests::any_value(),
        method in prop::sample::select(vec!["tools/call", "tools/list", "prompts/get", "resources/read"]),
    ) {
        let text = format!(r#"{{"content":{value},"tools":[{value}],"messages":[{value}],"structuredContent":{value},"_meta":{value},"requestedSchema":{{"properties":{value}}}}}"#);
        for revision in crate::revision::ALL {
            let found = edit(&text, |s, result| to_legacy_result(s, method, result, revision));
            prop_assert_eq!(json::check(found.as_bytes(), Limits::default()), Ok(()));
            let found = edit(&text, |s, params| downgrade_elicitation(s, params, revision));
            prop_assert_eq!(json::check(found.as_bytes(), Limits::default()), Ok(()));
            let found = edit(&text, |s, params| to_legacy_params(s, method, params, revision));
            prop_assert_eq!(json::check(found.as_bytes(), Limits::default()), Ok(()));
        }
        let found = edit(&text, |s, result| to_modern_result(s, method, result, Some(CacheHints::NONE)));
        prop_assert_eq!(json::check(found.as_bytes(), Limits::default()), Ok(()));
    }
}

/// The text after an edit of its root.
fn edit(text: &str, change: impl FnOnce(&mut Splice, Raw<'_>)) -> String {
    let body = Bytes::copy_from_slice(text.as_bytes());
    let mut splice = Splice::new(body.clone());
    change(&mut splice, Raw::parse(&body, Limits::default()).unwrap());
    String::from_utf8(splice.finish().into_bytes().to_vec()).unwrap()
}
