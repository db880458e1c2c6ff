use std::collections::HashMap;

use chrono::{TimeZone, Utc};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Kind;

const NO_WRITE: &str = r#"forbid(principal, action, resource) when { resource.effect != "read" };"#;

#[test]
fn policies_take_away_and_never_give() {
    let forbids = r#"forbid(principal in Team::"dev", action == Action::"call", resource in Server::"jira");"#;
    let permits = r#"permit(principal in Team::"ops", action, resource);"#;
    for (texts, team, server, expected) in [
        (vec![], "dev", "jira", None),
        (vec![forbids], "dev", "jira", Some(How::Forbids)),
        (vec![forbids], "ops", "jira", None),
        (vec![forbids], "dev", "wiki", None),
        (vec![permits], "ops", "jira", None),
        (vec![permits], "dev", "jira", Some(How::DoesNotPermit)),
        (vec![permits, forbids], "ops", "jira", None),
        (vec![NO_WRITE], "dev", "jira", Some(How::Forbids)),
    ] {
        let book = book(&texts);
        let (caller, thing) = (caller(team), Thing { server: server.into(), ..tool() });
        let verdict = book.decide(&caller, &thing, &Facts::default());
        let how = match verdict {
            Verdict::Allowed => None,
            Verdict::Refused(it) | Verdict::Open(it) => Some(it.how),
        };
        assert_eq!(how, expected, "{texts:?} for {team} on {server}");
    }
}

#[test]
fn effects_are_of_annotations_unless_somebody_says_otherwise() {
    for (hints, label, expected) in [
        ([None; 4], None, Effect::Destructive),
        ([Some(true), None, None, None], None, Effect::Read),
        ([Some(true), Some(true), None, None], None, Effect::Read),
        ([None, Some(false), None, None], None, Effect::Write),
        ([Some(true), None, None, None], Some(Effect::Write), Effect::Write),
        ([None; 4], Some(Effect::Read), Effect::Read),
    ] {
        let label = ToolLabel { effect: label, ..ToolLabel::default() };
        let thing = Thing { hints: Some(hints), label, ..tool() };
        assert_eq!(thing.effect(), expected, "{hints:?}");
        let is_allowed = book(&[NO_WRITE]).decide(&caller("dev"), &thing, &Facts::default());
        assert_eq!(is_allowed == Verdict::Allowed, expected == Effect::Read, "{hints:?}");
    }
    // An administrator's word needs none of the server's.
    let label = ToolLabel { effect: Some(Effect::Read), ..ToolLabel::default() };
    let thing = Thing { hints: None, label, ..tool() };
    let verdict = book(&[NO_WRITE]).decide(&caller("dev"), &thing, &Facts::default());
    assert!(matches!(verdict, Verdict::Open(_)), "{verdict:?}");
}

#[test]
fn what_is_not_known_leaves_it_open_only_where_it_counts() {
    let text = r#"forbid(principal, action, resource)
        when { resource.server.labels.contains("pii") || context.arguments.numbers.hasTag("n")
               && context.arguments.numbers.getTag("n") > 10 }
        unless { context.address.isInRange(ip("10.0.0.0/8")) };"#;
    let book = book(&[text]);
    let labelled = Thing { server_labels: BTreeSet::from(["pii".into()]), ..tool() };
    let (small, large, other) = (json!({"n": 1}), json!({"n": 11}), json!({"n": "11"}));
    let inside = Some("10.1.2.3".parse().unwrap());
    let mapped = Some("::ffff:10.1.2.3".parse().unwrap());
    let outside = Some("192.0.2.1".parse().unwrap());
    for (thing, address, arguments, expected) in [
        (&tool(), inside, Some(&large), 'a'),
        (&tool(), mapped, Some(&large), 'a'),
        (&tool(), outside, Some(&large), 'r'),
        (&tool(), outside, Some(&small), 'a'),
        (&tool(), outside, Some(&other), 'r'),
        (&tool(), outside, None, 'o'),
        (&tool(), inside, None, 'a'),
        (&tool(), None, Some(&small), 'a'),
        (&tool(), None, Some(&large), 'o'),
        (&labelled, outside, None, 'r'),
        (&labelled, None, None, 'o'),
        (&labelled, inside, None, 'a'),
    ] {
        let facts = Facts { now: None, address, arguments };
        let verdict = match book.decide(&caller("dev"), thing, &facts) {
            Verdict::Allowed => 'a',
            Verdict::Refused(_) => 'r',
            Verdict::Open(_) => 'o',
        };
        assert_eq!(verdict, expected, "{address:?} {arguments:?}");
    }
}

#[test]
fn the_time_is_in_utc() {
    let text = "forbid(principal, action, resource)
        unless { context.weekday <= 5 && context.hour >= 8 && context.hour < 18
                 && context.time > datetime(\"2026-01-01\") };";
    let book = book(&[text]);
    for (month, day, hour, expected) in
        [(1, 5, 8, true), (1, 5, 17, true), (1, 5, 18, false), (1, 4, 12, false)]
    {
        let now = Some(Utc.with_ymd_and_hms(2026, month, day, hour, 59, 0).unwrap());
        let facts = Facts { now, ..Facts::default() };
        let verdict = book.decide(&caller("dev"), &tool(), &facts);
        assert_eq!(verdict == Verdict::Allowed, expected, "{month}-{day} {hour}");
    }
}

#[test]
fn texts_that_are_no_policies_are_refused_with_the_place() {
    for (text, line, part) in [
        ("", None, "statements"),
        ("permit(principal, action, resource)", Some(1), "unexpected end"),
        ("forbid(principal, action, resource)\n  when { principal.nam == \"a\" };", Some(2), "nam"),
        ("forbid(principal == ?principal, action, resource);", None, "template"),
        ("forbid(principal == User::\"ann\", action, resource);", None, ""),
        ("forbid(principal, action == Action::\"fly\", resource);", None, "fly"),
        (
            "forbid(principal, action, resource) when { context.arguments.texts.hasTag(resource.name) };",
            None,
            "by a name",
        ),
        (
            "forbid(principal, action, resource) when { context.hour > 300000000000000000000 };",
            None,
            "",
        ),
    ] {
        let faults = PolicyText::parse(text).expect_err(text);
        let first = faults.first().unwrap();
        assert!(first.message.contains(part), "{text}: {faults:?}");
        assert!(line.is_none() || first.line == line, "{text}: {faults:?}");
    }
}

#[test]
fn whoever_refuses_everybody_is_told() {
    let callers = [caller("dev"), caller("ops")];
    for (text, expected, of_nobody) in [
        ("forbid(principal, action, resource);", true, true),
        ("permit(principal, action, resource);", false, false),
        ("permit(principal in Team::\"sales\", action, resource);", true, false),
        ("permit(principal in Team::\"dev\", action, resource);", false, false),
        ("forbid(principal in Team::\"dev\", action, resource);", false, false),
        ("forbid(principal, action, resource) when { resource.effect != \"read\" };", false, false),
        ("forbid(principal, action, resource in Server::\"jira\");", true, true),
        ("forbid(principal, action, resource in Server::\"wiki\");", false, false),
        ("forbid(principal, action, resource) unless { context.hour < 8 };", false, false),
        ("permit(principal, action, resource == Tool::\"jira/search\");", false, false),
        ("forbid(principal, action, resource) when { principal.user.clearance < 3 };", true, false),
    ] {
        let book = book(&[text]);
        let all = callers.iter().map(|it| (Some(it.clone()), tool()));
        assert_eq!(refuses_everybody(&book, all, || false), expected, "{text}");
        let nobody = std::iter::once((None, tool()));
        assert_eq!(refuses_everybody(&book, nobody, || false), of_nobody, "{text} of nobody");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What a list hides is refused with whatever arguments, and what is refused with some of them
    /// only is listed: the two are one decision.
    #[test]
    fn lists_and_calls_agree(
        conditions in prop::collection::vec(condition(), 1..4),
        permits in any::<bool>(),
        number in prop::option::of(-2_i64..3),
        text in prop::option::of("[ab]"),
        team in prop::sample::select(vec!["dev", "ops"]),
    ) {
        let effect = if permits { "permit" } else { "forbid" };
        let text_of = |it: &String| format!("{effect}(principal, action, resource) when {{ {it} }};");
        let texts: Vec<String> = conditions.iter().map(text_of).collect();
        // One that never holds is no policy.
        let parsed = PolicyText::parse(&texts.join("\n"));
        prop_assume!(parsed.is_ok());
        let book = PolicyBook::new(vec![("p0".parse().unwrap(), Arc::new(parsed.unwrap()))]);
        let arguments = json!({"n": number, "t": text});
        let listed = Facts { now: Some(Utc.with_ymd_and_hms(2026, 1, 1, 9, 0, 0).unwrap()), ..Facts::default() };
        let called = Facts { arguments: Some(&arguments), ..listed };
        let call = book.decide(&caller(team), &tool(), &called);
        match book.decide(&caller(team), &tool(), &listed) {
            Verdict::Refused(_) => prop_assert!(matches!(call, Verdict::Refused(_))),
            Verdict::Allowed => prop_assert_eq!(call, Verdict::Allowed),
            Verdict::Open(_) => prop_assert!(!matches!(call, Verdict::Open(_))),
        }
    }

    /// Whatever has been asked before of the same statements, or of the same thing.
    #[test]
    fn what_is_kept_says_what_is_said_anew(
        statements in prop::collection::vec((any::<bool>(), scope(), condition()), 1..4),
        asked in prop::collection::vec((any::<[bool; 4]>(), prop::option::of(-1_i64..3)), 1..12),
    ) {
        let text_of = |(permits, scope, condition): &(bool, &str, String)| {
            let effect = if *permits { "permit" } else { "forbid" };
            format!("{effect}({scope}) when {{ {condition} }};")
        };
        let parsed: Vec<_> = statements.iter().map(|it| PolicyText::parse(&text_of(it))).collect();
        prop_assume!(parsed.iter().all(Result::is_ok));
        let named = |(n, it): (usize, Result<_, _>)| (format!("p{n}").parse().unwrap(), Arc::new(it.unwrap()));
        let book = PolicyBook::new(parsed.into_iter().enumerate().map(named).collect());
        let (mut choices, mut kept) = (HashMap::new(), HashMap::new());
        for ([is_dev, is_create, is_morning, is_listed], number) in asked {
            let caller = caller(if is_dev { "dev" } else { "ops" });
            let name = if is_create { "create" } else { "delete" };
            let thing = Thing { name: name.into(), ..tool() };
            let candidate = kept.entry((is_dev, is_create)).or_insert_with(|| {
                let choose = |it: &[Place]| {
                    let made = || Arc::new(Choice::new(&book, it));
                    Arc::clone(choices.entry(it.to_vec()).or_insert_with(made))
                };
                book.candidate((&caller, &thing), Parts::NONE, choose).unwrap()
            });
            let arguments = json!({"n": number});
            let hour = if is_morning { 9 } else { 15 };
            let now = Some(Utc.with_ymd_and_hms(2026, 1, 1, hour, 0, 0).unwrap());
            let arguments = (!is_listed).then_some(&arguments);
            let facts = Facts { now, arguments, ..Facts::default() };
            prop_assert_eq!(candidate.decide(&book, &facts), book.decide(&caller, &thing, &facts));
        }
    }
}

fn scope() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "principal, action, resource",
        r#"principal in Team::"dev", action, resource"#,
        r#"principal, action, resource == Tool::"jira/create""#,
    ])
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "true".to_owned(),
        "principal in Team::\"dev\"".to_owned(),
        "resource.effect == \"read\"".to_owned(),
        "(context.arguments.numbers.hasTag(\"n\") && context.arguments.numbers.getTag(\"n\") > 0)"
            .to_owned(),
        "context.arguments.texts.hasTag(\"t\")".to_owned(),
        "context.hour < 12".to_owned(),
        "(context.arguments.texts.hasTag(\"t\") && context.arguments.texts.getTag(\"t\") == \"a\")"
            .to_owned(),
    ]);
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

fn book(texts: &[&str]) -> PolicyBook {
    let policies = texts.iter().enumerate().map(|(n, text)| {
        let name: Name = format!("p{n}").parse().unwrap();
        (name, Arc::new(PolicyText::parse(text).unwrap_or_else(|it| panic!("{text}: {it:?}"))))
    });
    PolicyBook::new(policies.collect())
}

fn caller(team: &str) -> Caller {
    Caller {
        app: "bot".into(),
        user: "ann".into(),
        teams: BTreeSet::from([team.into()]),
        ..Caller::default()
    }
}

fn tool() -> Thing {
    Thing {
        kind: Kind::Tool,
        name: "create".into(),
        server: "jira".into(),
        server_labels: BTreeSet::new(),
        gateway: "main".into(),
        label: ToolLabel::default(),
        hints: Some([None; 4]),
    }
}
