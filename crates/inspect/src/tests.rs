//! What rules promise, through the front door.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

#[test]
fn each_action_on_a_value() {
    let cases = [
        (Action::Redact, json!("[redacted]")),
        (Action::Replace { with: "<$2 $1>".to_owned() }, json!("<1234 4111>")),
        (Action::Replace { with: "${first}0$$".to_owned() }, json!("41110$")),
        (Action::Replace { with: String::new() }, json!("")),
        (Action::Mask { keep_last: 4 }, json!("*****1234")),
        (Action::Mask { keep_last: 0 }, json!("*********")),
        (Action::Mask { keep_last: 8 }, json!("*111 1234")),
        (Action::Mask { keep_last: 9 }, json!("*********")),
        (Action::Mask { keep_last: usize::MAX }, json!("*********")),
        (Action::Hash, json!("[sha256:92d7277d3e96]")),
    ];
    for (action, expected) in cases {
        let rules = rules(&[rule("card", r"(?<first>\d{4}) (\d{4})", action.clone())]);
        let json = json!({"a": ["4111 1234", "free 4111", true, null]});
        let edited = json!({"a": [expected, "free 4111", true, null]});
        let hits = [("card", action.name(), 1)];
        assert_eq!(outcome(&rules, &json), (edited, own(&hits)), "{action:?}");
    }
}

#[test]
fn a_block_ends_the_message_with_its_own_words() {
    let rules = rules(&[
        rule("first", "a+", Action::Redact),
        rule("second", "b", block("no b here")),
        rule("third", "c", block("no c here")),
    ]);
    let verdict = rules.apply(Leg::Request, "s", "t", br#"["c","aa a","b b","c","b"]"#);
    let hits = vec![hit("first", "redact", 2), hit("second", "block", 3)];
    let message = "no b here".to_owned();
    assert_eq!(verdict, Verdict::Blocked { rule: "second".into(), message, hits });
}

#[test]
fn each_rule_sees_what_the_ones_before_it_left() {
    let hide = rule("hide", "secret", Action::Redact);
    let spread = rule("spread", "abc", Action::Replace { with: "a-secret-c".to_owned() });
    let stop = rule("stop", "secret|redacted", block("no"));
    let cases = [
        (vec![&hide, &spread], json!("a-secret-c"), vec!["spread"]),
        (vec![&spread, &hide], json!("a-[redacted]-c"), vec!["spread", "hide"]),
    ];
    for (order, expected, hits) in cases {
        let rules = rules(&order.into_iter().cloned().collect::<Vec<_>>());
        let (edited, found) = outcome(&rules, &json!("abc"));
        let found: Vec<_> = found.into_iter().map(|(rule, ..)| rule).collect();
        assert_eq!((edited, found), (expected, hits.into_iter().map(str::to_owned).collect()));
    }
    let blocked = rules(&[spread, hide, stop]).apply(Leg::Request, "s", "t", br#""abc""#);
    assert!(matches!(blocked, Verdict::Blocked { .. }), "{blocked:?}");
}

#[test]
fn observing_rules_count_and_do_nothing() {
    let observe = |name, action| RuleSpec { observe_only: true, ..rule(name, "secret", action) };
    let rules = rules(&[
        observe("watch", Action::Redact),
        observe("would block", block("no")),
        rule("mask", "secret", Action::Mask { keep_last: 0 }),
        observe("too late", Action::Redact),
    ]);
    let json = json!({"secret": "secret", "b": "a secret"});
    let Verdict::Edited { edits, hits } =
        rules.apply(Leg::Request, "s", "t", json.to_string().as_bytes())
    else {
        panic!("edited");
    };
    let observed = |name, action, count| Hit { observed_only: true, ..hit(name, action, count) };
    assert_eq!(
        hits,
        [
            observed("watch", "redact", 2),
            observed("would block", "block", 3),
            hit("mask", "mask", 2),
        ]
    );
    assert_eq!(edits.len(), 2);

    let quiet = self::rules(&[observe("watch", Action::Redact)]);
    let verdict = quiet.apply(Leg::Request, "s", "t", json.to_string().as_bytes());
    let hits = vec![observed("watch", "redact", 2)];
    assert_eq!(verdict, Verdict::Edited { edits: vec![], hits });
}

#[test]
fn rules_look_at_their_legs_and_tools_only() {
    let scope = |names: &[&str]| ToolScope::Named(names.iter().map(|it| (*it).into()).collect());
    let cases = [
        (ToolScope::All, true, "jira", "search", true),
        (ToolScope::All, false, "jira", "search", false),
        (scope(&["search"]), true, "jira", "search", true),
        (scope(&["search"]), true, "wiki", "search", true),
        (scope(&["search"]), true, "jira", "searches", false),
        (scope(&["jira_search"]), true, "jira", "search", false),
        (scope(&["jira__search"]), true, "jira", "search", true),
        (scope(&["jira/search"]), true, "jira", "search", true),
        (scope(&["jira__search"]), true, "wiki", "search", false),
        (scope(&["jirasearch"]), true, "jira", "search", false),
        (scope(&["other", "search"]), true, "jira", "search", true),
        (scope(&[]), true, "jira", "search", false),
    ];
    for (tools, request, server, tool, expected) in cases {
        let legs = Legs { request, response: !request };
        let spec = RuleSpec { legs, tools, ..rule("r", "x", Action::Redact) };
        let rules = rules(std::slice::from_ref(&spec));
        assert_eq!(rules.applies(Leg::Request, server, tool), expected, "{spec:?}");
        let verdict = rules.apply(Leg::Request, server, tool, br#""x""#);
        assert_eq!(verdict != Verdict::Clean, expected, "{spec:?}");
    }
}

#[test]
fn keys_are_seen_by_rules_that_block_and_never_edited() {
    let json = json!({"secret": 1, "nested": {"s\u{65}cret\n": []}});
    let edit = rules(&[rule("r", "secret", Action::Redact)]);
    assert_eq!(outcome(&edit, &json), (json.clone(), vec![]));
    let stop = rules(&[rule("r", "secret", block("no"))]);
    let verdict = stop.apply(Leg::Request, "s", "t", json.to_string().as_bytes());
    let hits = vec![hit("r", "block", 2)];
    assert_eq!(verdict, Verdict::Blocked { rule: "r".into(), message: "no".to_owned(), hits });
}

#[test]
fn h046_keys_with_a_meaning_elsewhere_are_plain_data() {
    let rules = rules(&[rule("r", "secret", Action::Redact)]);
    let json = json!({
        "__proto__": {"constructor": "secret"},
        "$ref": "file:///secret",
        "constructor": ["secret"],
    });
    let edited = json!({
        "__proto__": {"constructor": "[redacted]"},
        "$ref": "file:///[redacted]",
        "constructor": ["[redacted]"],
    });
    assert_eq!(outcome(&rules, &json), (edited, own(&[("r", "redact", 3)])));
}

#[test]
fn escapes_hide_nothing() {
    let rules = rules(&[
        rule("r", "sëcret\n\"x\"", Action::Redact),
        rule("anchored", "^né$", Action::Redact),
    ]);
    let cases = [
        (r#""a sëcret\n\"x\"""#, r#""a [redacted]""#),
        (r#""a \u0073\u00ebcret\u000a\u0022x\u0022""#, r#""a [redacted]""#),
        (r#"{"\u0073":"s\u00EBcret\n\"x\"\\"}"#, r#"{"\u0073":"[redacted]\\"}"#),
        (r#"["n\u00e9", "né", "xné"]"#, r#"["[redacted]", "[redacted]", "xné"]"#),
    ];
    for (json, expected) in cases {
        assert_eq!(edited(&rules, Leg::Request, json), expected, "{json}");
    }
}

#[test]
fn h151_what_is_written_is_one_line_of_valid_json() {
    let with = "\r\n\u{1b}[31m\"},\"admin\":true,\"\u{0}\\\u{2028}=cmd()";
    let rules = rules(&[rule("r", "x", Action::Replace { with: with.to_owned() })]);
    let result = edited(&rules, Leg::Response, r#"{"a":"1x2"}"#);
    assert!(result.bytes().all(|byte| byte >= 0x20), "{result}");
    assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), json!({"a": format!("1{with}2")}));
}

#[test]
fn h152_numbers_and_json_in_strings_are_seen() {
    let card = |action| rules(&[rule("card", r"\b[0-9]{16}\b", action)]);
    let mask = card(Action::Mask { keep_last: 4 });
    let cases = [
        (r#"{"n":4111111111111111}"#, r#"{"n":"************1111"}"#),
        (r#"[ -4111111111111111 ,1.5,"x"]"#, r#"[ "-************1111" ,1.5,"x"]"#),
        ("4111111111111111", r#""************1111""#),
        (r#"["{\"n\":\"4111111111111111\"}"]"#, r#"["{\"n\":\"************1111\"}"]"#),
    ];
    for (json, expected) in cases {
        assert_eq!(edited(&mask, Leg::Request, json), expected, "{json}");
    }
    assert_eq!(edited(&card(Action::Redact), Leg::Request, cases[0].0), r#"{"n":"[redacted]"}"#);
    let blocked = card(block("no")).apply(Leg::Request, "s", "t", cases[0].0.as_bytes());
    assert!(matches!(blocked, Verdict::Blocked { .. }), "{blocked:?}");
}

#[test]
fn h135_the_words_that_structure_a_result_are_left_alone() {
    let rules = rules(&[rule("r", "text|complete|image", Action::Redact)]);
    let result = r#"{"resultType":"complete","content":[{"type":"text","text":"text"}]}"#;
    let expected = r#"{"resultType":"complete","content":[{"type":"text","text":"[redacted]"}]}"#;
    assert_eq!(edited(&rules, Leg::Response, result), expected);
    // Arguments have no such words, and a list of words is no word.
    let cases = [
        (Leg::Request, r#"{"type":"text"}"#, r#"{"type":"[redacted]"}"#),
        (Leg::Response, r#"{"type":["text"]}"#, r#"{"type":["[redacted]"]}"#),
        (Leg::Response, r#"{"type":[],"x":"text"}"#, r#"{"type":[],"x":"[redacted]"}"#),
        (Leg::Response, r#"{"type":"a text"}"#, r#"{"type":"a [redacted]"}"#),
    ];
    for (leg, json, expected) in cases {
        assert_eq!(edited(&rules, leg, json), expected, "{leg:?} {json}");
    }
}

#[test]
fn hashes_tell_values_apart_and_need_the_salt() {
    let hash = |salt: u8, text: &str| {
        let specs = [rule("r", r"\w+", Action::Hash)];
        let rules = Rules::compile(&specs, [salt; 32]).unwrap();
        edited(&rules, Leg::Request, &format!("{text:?}"))
    };
    assert_eq!(hash(1, "ann"), hash(1, "ann"));
    let all: BTreeSet<_> = [(1, "ann"), (1, "bob"), (2, "ann"), (2, "bob")]
        .into_iter()
        .map(|(salt, text)| hash(salt, text))
        .collect();
    assert_eq!(all.len(), 4);
}

#[test]
fn rules_that_cannot_hold_are_refused_in_plain_words() {
    let cases = [
        ("(a", "rule `r`: unclosed group, at character 1 of the pattern"),
        (
            "é(?=b)",
            "look-around, including look-ahead and look-behind, is not supported, at character 2",
        ),
        (r"(a)\1", "backreferences are not supported, at character 4"),
        (r"\xZZ", "at character 3"),
        ("a*", "matches empty text"),
        (r"\b", "matches empty text"),
        ("", "matches empty text"),
        ("x|$", "matches empty text"),
        (r"[^\s\S]", "can never match"),
        (r"\w{1000}", "too large"),
        ("(?:[ab][a-d]{0,900}){9}", "too large"),
        ("((((a{100}){100}){100}){100}){100}", "too large"),
        (&"(".repeat(60), "at character"),
        (&format!("{}a{}", "(".repeat(60), ")".repeat(60)), "nest"),
        (&"a".repeat(20_000), "too large"),
        (r"(?-u:\xff)", "at character"),
    ];
    for (pattern, why) in cases {
        let error = Rules::compile(&[rule("r", pattern, Action::Redact)], [0; 32]);
        let error = error.expect_err(pattern).to_string();
        assert!(error.contains(why) && !error.contains('\n'), "{pattern}: {error}");
    }
    for (with, group) in [("$2", "`2`"), ("$1x", "`1x`"), ("${name}", "`name`"), ("5 $", "`$`")] {
        let spec = rule("r", "(a)", Action::Replace { with: with.to_owned() });
        let error = Rules::compile(&[spec], [0; 32]).expect_err(with).to_string();
        assert!(error.contains(group), "{with}: {error}");
    }
    let long = rule("r", "a", Action::Replace { with: "x".repeat(5000) });
    assert!(matches!(Rules::compile(&[long], [0; 32]), Err(RuleError::LongReplacement { .. })));
    let many = vec![rule("r", "a", Action::Redact); 1025];
    assert_eq!(Rules::compile(&many, [0; 32]).unwrap_err(), RuleError::TooMany { count: 1025 });
}

#[test]
fn a_list_of_many_words_is_no_large_pattern() {
    let words: Vec<_> = (0..1500).map(|index| format!("word{index:04}")).collect();
    for prefix in ["", "(?i)"] {
        let rules = rules(&[rule("r", &format!("{prefix}{}", words.join("|")), Action::Redact)]);
        assert_eq!(edited(&rules, Leg::Request, r#""a word1499""#), r#""a [redacted]""#);
    }
}

#[test]
fn h132_patterns_and_texts_that_are_made_to_hurt_end() {
    let cases = [
        ("(x+x+)+y", "x".repeat(100_000)),
        ("(?:a|aa)+$", format!("{}b", "a".repeat(100_000))),
        ("a.{500}[ef]", "a".repeat(20_000)),
        (".*[^a-z]|[a-z]", "a".repeat(10_000)),
    ];
    for (pattern, text) in cases {
        let rules = rules(&[rule("r", pattern, Action::Redact)]);
        let verdict = rules.apply(Leg::Request, "s", "t", format!("{text:?}").as_bytes());
        let is_left = !matches!(verdict, Verdict::Blocked { .. });
        assert!(is_left, "{pattern}: {verdict:?}");
    }
}

#[test]
fn an_edit_that_would_cost_too_much_blocks_instead_of_letting_half_through() {
    let doubling =
        |index| rule(&format!("r{index}"), ".+", Action::Replace { with: "$0$0".into() });
    let rules = rules(&(0..40).map(doubling).collect::<Vec<_>>());
    let verdict = rules.apply(Leg::Request, "s", "t", br#""0123456789""#);
    let Verdict::Blocked { message, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(message, "content rule `r16` found more than it can edit");
}

#[test]
fn h136_no_rules_let_everything_through() {
    for rules in [Rules::default(), rules(&[])] {
        assert!(rules.is_empty());
        assert!(!rules.applies(Leg::Request, "s", "t"));
        assert_eq!(rules.apply(Leg::Response, "s", "t", b"\"x\""), Verdict::Clean);
    }
}

#[test]
fn h136_a_thousand_rules_hold_at_once() {
    let specs: Vec<_> = (0..1024)
        .map(|index| rule(&format!("r{index}"), &format!("tok{index}_[0-9]+"), Action::Redact))
        .collect();
    let rules = rules(&specs);
    let json = json!({"a": "tok0_1 tok1023_22 tok512_ tok77_7", "b": "x"});
    let expected = json!({"a": "[redacted] [redacted] tok512_ [redacted]", "b": "x"});
    let hits = [("r0", "redact", 1), ("r77", "redact", 1), ("r1023", "redact", 1)];
    assert_eq!(outcome(&rules, &json), (expected, own(&hits)));
}

#[test]
fn content_that_cannot_be_read_is_blocked() {
    let rules = rules(&[rule("r", "x", Action::Redact)]);
    for bytes in [&b"\"x\xff\""[..], b"\"x", b"[\"a\",\"x]"] {
        let verdict = rules.apply(Leg::Request, "s", "t", bytes);
        assert!(matches!(verdict, Verdict::Blocked { .. }), "{verdict:?}");
    }
}

fn block(message: &str) -> Action {
    Action::Block { message: message.to_owned() }
}

fn rule(name: &str, pattern: &str, action: Action) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        legs: Legs { request: true, response: true },
        tools: ToolScope::All,
        action,
        observe_only: false,
    }
}

fn rules(specs: &[RuleSpec]) -> Rules {
    Rules::compile(specs, [7; 32]).unwrap()
}

fn hit(rule: &str, action: &'static str, count: u32) -> Hit {
    Hit { rule: rule.into(), action, count, observed_only: false }
}

fn edited(rules: &Rules, leg: Leg, json: &str) -> String {
    match rules.apply(leg, "s", "t", json.as_bytes()) {
        Verdict::Clean => json.to_owned(),
        Verdict::Edited { edits, .. } => {
            String::from_utf8(splice(json.as_bytes(), &edits)).unwrap()
        }
        blocked @ Verdict::Blocked { .. } => panic!("{blocked:?}"),
    }
}

/// The value after its edits, and the name, action and count of each hit.
fn outcome(rules: &Rules, json: &Value) -> (Value, Vec<(String, String, u32)>) {
    let text = json.to_string();
    match rules.apply(Leg::Request, "s", "t", text.as_bytes()) {
        Verdict::Clean => (json.clone(), vec![]),
        Verdict::Edited { edits, hits } => {
            let edited = serde_json::from_slice(&splice(text.as_bytes(), &edits)).unwrap();
            let hits = hits.iter().map(|it| (it.rule.to_string(), it.action.into(), it.count));
            (edited, hits.collect())
        }
        blocked @ Verdict::Blocked { .. } => panic!("{blocked:?}"),
    }
}

fn own(hits: &[(&str, &str, u32)]) -> Vec<(String, String, u32)> {
    hits.iter().map(|(rule, action, count)| ((*rule).into(), (*action).into(), *count)).collect()
}
