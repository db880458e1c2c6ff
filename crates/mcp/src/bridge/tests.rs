use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::envelope::Message;
use crate::json::{self, Limits, Raw, quote};
use crate::revision::Revision;
use crate::splice::Splice;

const NOW: Duration = Duration::from_secs(1_000);
const LIMITS: RoundLimits = RoundLimits {
    rounds: 4,
    questions: 3,
    key_bytes: 8,
    state_bytes: 32,
    answers_bytes: 64,
    patience: Duration::from_secs(600),
    pause: Duration::from_millis(250),
};

const FORM: &str = r#"{"method":"elicitation/create","params":{"message":"?"}}"#;

#[test]
fn what_was_asked_is_answered_in_any_order_and_goes_back_with_the_state_as_it_came() {
    let mut rounds = Rounds::new(LIMITS);
    let roots = r#"{"method":"roots/list"}"#;
    let mut round = rounds
        .open(parse(&format!(
            r#"{{"resultType":"input_required","inputRequests":{{"a\u002fb":{FORM},"r":{roots}}},"requestState":"x\u002b\/="}}"#
        )), NOW)
        .unwrap();
    let kinds: Vec<_> = round.questions().iter().map(|it| (it.key.as_str(), it.kind)).collect();
    assert_eq!(kinds, [("a/b", Kind::Form), ("r", Kind::Roots)]);
    assert_eq!(round.due(NOW), Due::Answers(LIMITS.patience));
    assert!(round.answer(1, Bytes::from_static(br#"{"roots":[]}"#)));
    assert!(!round.answer(1, Bytes::from_static(b"{}")), "each is answered once");
    assert!(!round.answer(2, Bytes::from_static(b"{}")), "what was not asked is not answered");
    assert_eq!(round.due(NOW), Due::Answers(LIMITS.patience));
    assert!(round.answer(0, Bytes::from_static(br#"{"action":"accept","content":{"n":1.0}}"#)));
    assert_eq!(round.due(NOW), Due::Attempt);
    // What the round before has left is replaced.
    let before =
        r#"{"name":"n","inputResponses":{"old":{}},"arguments":{"n":1.0},"requestState":"old"}"#;
    assert_eq!(
        write(&round, before),
        r#"{"name":"n","inputResponses":{"a/b":{"action":"accept","content":{"n":1.0}},"r":{"roots":[]}},"arguments":{"n":1.0},"requestState":"x\u002b\/="}"#
    );
    // A round without a state sends none, and one without questions no answers.
    let mut second = rounds.open(parse(&asking(&[("k", FORM)])), NOW).unwrap();
    assert!(second.answer(0, Bytes::from_static(b"{}")));
    assert_eq!(
        write(&second, before),
        r#"{"name":"n","inputResponses":{"k":{}},"arguments":{"n":1.0}}"#
    );
    let third = rounds.open(parse(r#"{"requestState":"s"}"#), NOW).unwrap();
    assert_eq!(write(&third, before), r#"{"name":"n","arguments":{"n":1.0},"requestState":"s"}"#);
    assert_eq!(write(&third, "{}"), r#"{"requestState":"s"}"#);
}

#[test]
fn a_client_that_does_not_answer_is_late_and_a_server_that_asks_nothing_waits_ever_longer() {
    let mut rounds = Rounds::new(LIMITS);
    let late = NOW + LIMITS.patience;
    let round = rounds.open(parse(&asking(&[("k", FORM)])), NOW).unwrap();
    assert_eq!(round.due(late - Duration::from_millis(1)), Due::Answers(Duration::from_millis(1)));
    assert_eq!(round.due(late), Due::Late);
    for ms in [250, 500, 1_000] {
        let pause = Duration::from_millis(ms);
        let round = rounds.open(parse(r#"{"inputRequests":{},"requestState":""}"#), NOW).unwrap();
        assert_eq!(round.due(NOW), Due::Pause(pause));
        assert_eq!(round.due(NOW + pause), Due::Attempt);
    }
    let error = rounds.open(parse(r#"{"requestState":""}"#), NOW).unwrap_err();
    assert_eq!(error, RoundsError::TooManyRounds(4));
}

#[test]
fn h060_what_no_honest_server_asks_opens_no_round() {
    let malformed = [
        r#"{}"#,
        r#"{"inputRequests":{}}"#,
        r#"{"inputRequests":[],"requestState":"s"}"#,
        r#"{"inputRequests":null,"requestState":"s"}"#,
        r#"{"inputRequests":"k","requestState":"s"}"#,
        r#"{"inputRequests":{"k":null}}"#,
        r#"{"inputRequests":{"k":{}}}"#,
        r#"{"inputRequests":{"k":{"method":1}}}"#,
        r#"{"inputRequests":{"k":{"method":"tools/call","params":{}}}}"#,
        r#"{"inputRequests":{"k":{"method":"ping"}}}"#,
        r#"{"inputRequests":{"k":{"method":"Roots/List"}}}"#,
        r#"{"inputRequests":{"k":{"method":"elicitation/create"}}}"#,
        r#"{"inputRequests":{"k":{"method":"elicitation/create","params":[]}}}"#,
        r#"{"inputRequests":{"k":{"method":"elicitation/create","params":{"mode":"URL"}}}}"#,
        r#"{"inputRequests":{"k":{"method":"elicitation/create","params":{"mode":null}}}}"#,
        r#"{"inputRequests":{"k":{"method":"sampling/createMessage"}}}"#,
        r#"{"inputRequests":{"k":{"method":"roots/list","params":"x"}}}"#,
        r#"{"requestState":null}"#,
        r#"{"requestState":{}}"#,
        r#"{"inputRequests":{"k":{"method":"roots/list"}},"requestState":7}"#,
    ];
    for text in malformed {
        let error = Rounds::new(LIMITS).open(parse(text), NOW).unwrap_err();
        assert!(matches!(error, RoundsError::Malformed(_)), "{text}: {error}");
    }
    let many = asking(&[("a", FORM), ("b", FORM), ("c", FORM), ("d", FORM)]);
    let long_key = asking(&[("abcdefghi", FORM)]);
    let long_state = format!(r#"{{"requestState":{}}}"#, quote(&"s".repeat(31)));
    for (text, expected) in [
        (many, RoundsError::TooManyQuestions),
        (long_key, RoundsError::KeyTooLong),
        (long_state, RoundsError::StateTooLong),
    ] {
        assert_eq!(Rounds::new(LIMITS).open(parse(&text), NOW).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn h034_two_questions_of_one_name_are_no_json() {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"input_required","inputRequests":{{"k":{FORM},"\u006b":{FORM}}}}}}}"#
    );
    assert!(Message::parse(text.into(), Limits::default()).is_err());
}

#[test]
fn answers_are_taken_up_to_a_limit() {
    let mut rounds = Rounds::new(LIMITS);
    let mut round = rounds.open(parse(&asking(&[("a", FORM), ("b", FORM)])), NOW).unwrap();
    let large = Bytes::from(quote(&"x".repeat(40)));
    assert!(round.answer(0, large.clone()));
    assert!(!round.answer(1, large));
    assert!(round.answer(1, Bytes::from_static(b"{}")));
}

#[test]
fn a_question_is_put_as_the_clients_revision_has_it() {
    use Revision::{V2024_11_05, V2025_06_18, V2025_11_25};
    let form = r#"{"mode":"form","Mode":"url","message":"?","task":{"ttl":1},"_meta":{"progressToken":1,"io.modelcontextprotocol/x":1,"v":1},"requestedSchema":{"type":"object","properties":{"m":{"type":"array","items":{"type":"string","enum":["a"]}}}}}"#;
    let flat = r#"{"message":"?","_meta":{"v":1},"requestedSchema":{"type":"object","properties":{"m":{"type":"string","enum":["a"]}}}}"#;
    let newest = r#"{"mode":"form","message":"?","_meta":{"v":1},"requestedSchema":{"type":"object","properties":{"m":{"type":"array","items":{"type":"string","enum":["a"]}}}}}"#;
    let url = r#"{"mode":"url","url":"https://a/","message":"?"}"#;
    let with_id = r#"{"elicitationId":"id","mode":"url","url":"https://a/","message":"?"}"#;
    let sampling = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"audio","mimeType":"m","data":"AAAA"}]},{"role":"assistant","content":{"type":"text","text":"b"}},{"role":"user","content":[]}],"maxTokens":1}"#;
    let split = r#"{"messages":[{"role":"user","content":{"type":"text","text":"a"}},{"role":"user","content":{"type":"text","text":"[audio m, about 3 bytes]"}},{"role":"assistant","content":{"type":"text","text":"b"}},{"role":"user","content":{"type":"text","text":""}}],"maxTokens":1}"#;
    let cases = [
        ("elicitation/create", form, V2025_06_18, flat),
        ("elicitation/create", form, V2025_11_25, newest),
        ("elicitation/create", url, V2025_11_25, with_id),
        ("sampling/createMessage", sampling, V2025_11_25, sampling),
        ("sampling/createMessage", sampling, V2024_11_05, split),
        ("roots/list", "{}", V2024_11_05, "{}"),
    ];
    for (method, params, revision, expected) in cases {
        let question = question(method, params);
        let body = question.params.clone();
        let mut splice = Splice::new(body.clone());
        let raw = Raw::parse(&body, Limits::default()).unwrap();
        question.to_client(&mut splice, raw, revision, Some("id"));
        assert_eq!(splice.finish().into_bytes(), expected.as_bytes(), "{method} {revision}");
    }
    let asked = question("elicitation/create", form);
    let answer = Bytes::from_static(br#"{"action":"accept","content":{"m":"a"}}"#);
    let lifted = asked.from_client(&answer, V2025_06_18).unwrap();
    assert_eq!(lifted, &br#"{"action":"accept","content":{"m":["a"]}}"#[..]);
    assert_eq!(asked.from_client(&answer, V2025_11_25), Some(answer));
    for none in ["[]", "null", "\"accept\"", "1", "{", ""] {
        assert_eq!(asked.from_client(&none.into(), V2025_11_25), None, "{none}");
    }
}

#[test]
fn a_client_is_asked_for_nothing_that_it_has_not_declared() {
    let cases = [
        (
            "{}",
            [
                Some("elicitation.form"),
                Some("elicitation.url"),
                Some("sampling"),
                Some("sampling"),
                Some("roots"),
            ],
        ),
        (
            r#"{"elicitation":{}}"#,
            [None, Some("elicitation.url"), Some("sampling"), Some("sampling"), Some("roots")],
        ),
        (
            r#"{"elicitation":{"url":{}},"sampling":{},"roots":{}}"#,
            [Some("elicitation.form"), None, None, Some("sampling.tools"), None],
        ),
        (
            r#"{"elicitation":{"url":{},"form":{}},"sampling":{"tools":{}}}"#,
            [None, None, None, None, Some("roots")],
        ),
    ];
    let message = r#"{"messages":[],"maxTokens":1}"#;
    let with_tools = r#"{"messages":[],"maxTokens":1,"toolChoice":{}}"#;
    let questions = [
        question("elicitation/create", "{}"),
        question("elicitation/create", r#"{"mode":"url"}"#),
        question("sampling/createMessage", message),
        question("sampling/createMessage", with_tools),
        question("roots/list", "{}"),
    ];
    for (declared, expected) in cases {
        let abilities = Abilities::of(parse(declared), Revision::V2025_11_25);
        let found: Vec<_> = questions.iter().map(|it| abilities.lacks(it.kind)).collect();
        assert_eq!(found, expected, "{declared}");
    }
}

proptest! {
    #[test]
    fn answers_in_any_order_make_the_same_attempt_and_touch_nothing_else(
        keys in prop::collection::btree_set("[a-z\"\\\\é/]{1,4}", 1..4),
        values in prop::collection::vec(json::tests::any_value(), 3),
        params in json::tests::any_value(),
        state in prop::option::of("[ -~]{0,12}"),
        seed in any::<u64>(),
    ) {
        let entries: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), FORM)).collect();
        let mut result: Value = serde_json::from_str(&asking(&entries)).unwrap();
        if let Some(state) = &state {
            result["requestState"] = json!(state);
        }
        let result = result.to_string();
        let answers: Vec<Bytes> =
            values.iter().take(keys.len()).map(|it| format!(r#"{{"a":{it}}}"#).into()).collect();
        let limits = RoundLimits { answers_bytes: 1 << 20, key_bytes: 64, state_bytes: 64, ..LIMITS };
        let before = format!(r#"{{"name":"n","x":{params},"inputResponses":1,"requestState":2}}"#);
        let mut written = Vec::new();
        for turn in 0..3_u64 {
            let mut round = Rounds::new(limits).open(parse(&result), NOW).unwrap();
            let mut order: Vec<usize> = (0..keys.len()).collect();
            order.sort_by_key(|index| (*index as u64 + 1).wrapping_mul(seed.rotate_left(7 * u32::try_from(turn).unwrap())) % 97);
            for (done, index) in order.into_iter().enumerate() {
                prop_assert_eq!(round.due(NOW) == Due::Attempt, false, "{} answers", done);
                // The questions stand in the order of the message.
                prop_assert!(round.answer(index, answers[index].clone()));
            }
            prop_assert_eq!(round.due(NOW), Due::Attempt);
            written.push(write(&round, &before));
        }
        prop_assert!(written.windows(2).all(|it| it[0] == it[1]));
        let after = parse(&written[0]);
        let original = parse(&before);
        prop_assert_eq!(after.get("name"), original.get("name"));
        prop_assert_eq!(after.get("x").map(Raw::bytes), original.get("x").map(Raw::bytes));
        prop_assert_eq!(after.get("requestState").and_then(Raw::str).map(|it| it.into_owned()), state);
        let found: BTreeMap<String, Bytes> = after
            .get("inputResponses").unwrap().members()
            .map(|(key, value)| (key.into_owned(), Bytes::copy_from_slice(value.bytes())))
            .collect();
        let asked: Vec<String> = parse(&result).get("inputRequests").unwrap().members().map(|(key, _)| key.into_owned()).collect();
        for (key, answer) in asked.iter().zip(&answers) {
            prop_assert_eq!(&found[key], answer);
        }
        prop_assert_eq!(found.len(), keys.len());
    }

    #[test]
    fn whatever_a_server_sends_is_bounded_or_refused(
        results in prop::collection::vec((json::tests::any_value(), json::tests::any_value(), json::tests::any_value()), 1..8),
        given in prop::collection::vec((0_usize..5, json::tests::any_value()), 0..8),
        elapsed in 0_u64..2_000,
    ) {
        let mut rounds = Rounds::new(LIMITS);
        let mut opened = 0;
        for (params, state, other) in results {
            let entry = format!(r#"{{"method":"elicitation/create","params":{params}}}"#);
            for asked in [format!(r#"{{"k":{entry},"o":{other}}}"#), format!(r#"{{"k":{entry}}}"#), other.to_string()] {
                let text = format!(r#"{{"inputRequests":{asked},"requestState":{state}}}"#);
                let Ok(mut round) = rounds.open(parse(&text), NOW) else { continue };
                opened += 1;
                prop_assert!(round.questions().len() <= LIMITS.questions);
                for (index, answer) in &given {
                    let taken = round.answer(*index, answer.to_string().into());
                    prop_assert!(!taken || *index < round.questions().len());
                }
                let due = round.due(NOW + Duration::from_secs(elapsed));
                let is_over = 600 <= elapsed;
                prop_assert!(!(is_over && matches!(due, Due::Answers(_) | Due::Pause(_))), "every wait ends");
                json::check(write(&round, r#"{"name":"n"}"#).as_bytes(), Limits::default()).unwrap();
            }
        }
        prop_assert!(opened <= LIMITS.rounds);
    }
}

fn question(method: &str, params: &str) -> Question {
    let text = format!(r#"{{"inputRequests":{{"k":{{"method":"{method}","params":{params}}}}}}}"#);
    Rounds::new(RoundLimits::default()).open(parse(&text), NOW).unwrap().questions()[0].clone()
}

fn asking(entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(key, entry)| format!("{}:{entry}", quote(key))).collect();
    format!(r#"{{"resultType":"input_required","inputRequests":{{{}}}}}"#, entries.join(","))
}

fn write(round: &Round, params: &str) -> String {
    let body = Bytes::copy_from_slice(params.as_bytes());
    let mut splice = Splice::new(body.clone());
    round.write(&mut splice, Raw::parse(&body, Limits::default()).unwrap());
    String::from_utf8(splice.finish().into_bytes().to_vec()).unwrap()
}

fn parse(text: &str) -> Raw<'_> {
    Raw::parse(text.as_bytes(), Limits::default()).unwrap()
}
