//! The engine against a model that does the same slowly: no prefilter, no bytes, no shortcuts.

#![expect(clippy::unwrap_used, reason = "a failed test is meant to stop")]

use inspect::{Action, Hit, Leg, Legs, RuleSpec, Rules, ToolScope, Verdict, splice};
use proptest::prelude::*;
use regex::Regex;
use serde_json::Value;

/// Patterns with and without keywords and anchors, and such as match what others leave behind.
const PATTERNS: [&str; 24] = [
    "secret",
    "(?i)token",
    "(?i)sk_\\w+",
    "^foo",
    "foo$",
    "(?m)^a",
    "(?m)o$",
    r"\A.\z",
    r"\d{4}",
    r"\b\d+\b",
    r"\B[a-z]",
    r"\b\w+@\w+\.\w+\b",
    r"(?i)key=(\w+)",
    r"\[redacted\]",
    r"[^a-z]+",
    "é",
    r"\\",
    "\"",
    r"[,:{}\[\]]",
    "\n",
    "😀",
    "foobar|token|secret",
    "-?1(\\.5)?",
    r"\*+",
];

const PIECES: [&str; 30] = [
    "foo",
    "bar",
    "secret",
    "Secret",
    "token",
    "TO\u{212a}EN",
    "sk_live",
    "\u{17f}k_x",
    "key=",
    "a@b.cd",
    "1234",
    "4111",
    "1",
    ".5",
    "\n",
    "\r",
    "\t",
    "\"",
    "\\",
    "é",
    "😀",
    " ",
    "-",
    "_",
    "[redacted]",
    "*",
    "\u{0}",
    "{\"a\":1}",
    "text",
    "\u{301}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn h135_the_engine_does_what_the_model_does_and_keeps_structure(
        specs in prop::collection::vec(spec(), 1..12),
        json in value(),
        style in 0..3,
        leg in prop_oneof![Just(Leg::Request), Just(Leg::Response)],
    ) {
        let text = write(&json, style);
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json.clone());
        let rules = Rules::compile(&specs, [1; 32]).unwrap();
        let verdict = rules.apply(leg, "jira", "search", text.as_bytes());
        let mut model = Model::of(&specs, leg);
        let expected = model.edit(&json);
        match verdict {
            Verdict::Blocked { rule, message, hits } => {
                let end = model.end.expect("the model lets it pass");
                prop_assert_eq!(&*rule, specs[end].name.as_str());
                let Action::Block { message: ours } = &specs[end].action else { panic!("{rule}") };
                prop_assert_eq!(&message, ours);
                prop_assert_eq!(hits, model.hits(&json));
            }
            Verdict::Clean => {
                prop_assert_eq!(model.end, None);
                prop_assert_eq!(expected, json.clone());
                prop_assert_eq!(model.hits(&json), vec![]);
            }
            Verdict::Edited { edits, hits } => {
                prop_assert_eq!(model.end, None);
                let edited = splice(text.as_bytes(), &edits);
                let edited: Value = serde_json::from_slice(&edited).unwrap();
                prop_assert_eq!(&edited, &expected);
                prop_assert!(is_same_shape(&json, &edited));
                prop_assert_eq!(hits, model.hits(&json));
            }
        }
    }

    /// Nothing in the same chain can make an exception from a block: what it matches must have
    /// been taken out before it, or it holds.
    #[test]
    fn h133_a_block_wins_over_whatever_comes_after_it(
        after in prop::collection::vec(spec(), 0..8),
        json in value(),
    ) {
        let block = RuleSpec {
            pattern: "secret".to_owned(),
            action: Action::Block { message: "no".to_owned() },
            observe_only: false,
            tools: ToolScope::All,
            legs: Legs { request: true, response: true },
            name: "block".to_owned(),
        };
        let specs: Vec<_> = std::iter::once(block).chain(after).collect();
        let rules = Rules::compile(&specs, [1; 32]).unwrap();
        let text = json.to_string();
        let verdict = rules.apply(Leg::Request, "jira", "search", text.as_bytes());
        let is_blocked =
            matches!(verdict, Verdict::Blocked { ref rule, .. } if &**rule == "block");
        prop_assert_eq!(is_blocked, text.contains("secret"), "{:?}", verdict);
    }

    #[test]
    fn foreign_bytes_never_panic(
        specs in prop::collection::vec(spec(), 1..8),
        bytes in "([\"\\\\{}:,0-9 a-fé]|secret|token|foo){0,60}",
    ) {
        let rules = Rules::compile(&specs, [1; 32]).unwrap();
        if let Verdict::Edited { edits, .. } =
            rules.apply(Leg::Response, "jira", "search", bytes.as_bytes())
        {
            splice(bytes.as_bytes(), &edits);
        }
    }
}

/// Rules over text, one after the other.
struct Model<'a> {
    specs: &'a [RuleSpec],
    leg: Leg,
    end: Option<usize>,
    counts: Vec<u32>,
}

impl<'a> Model<'a> {
    fn of(specs: &'a [RuleSpec], leg: Leg) -> Self {
        Self { specs, leg, end: None, counts: vec![0; specs.len()] }
    }

    fn hits(&self, json: &Value) -> Vec<Hit> {
        // Counted anew, since what stands after the end does not count.
        let last = self.end.map_or(self.specs.len(), |end| end + 1);
        let mut again = Model::of(&self.specs[..last], self.leg);
        again.edit(json);
        let hits = again.specs.iter().zip(again.counts).filter(|(_, count)| *count > 0);
        hits.map(|(spec, count)| Hit {
            rule: spec.name.as_str().into(),
            action: spec.action.name(),
            count,
            observed_only: spec.observe_only,
        })
        .collect()
    }

    fn edit(&mut self, json: &Value) -> Value {
        match json {
            Value::String(text) => Value::String(self.chain(text)),
            Value::Number(number) => {
                let text = number.to_string();
                let edited = self.chain(&text);
                if edited == text { json.clone() } else { Value::String(edited) }
            }
            Value::Array(items) => items.iter().map(|item| self.edit(item)).collect(),
            Value::Object(members) => {
                let edit = |(key, value): (&String, &Value)| {
                    self.key(key);
                    let word = value.as_str().unwrap_or_default();
                    let is_structure = self.leg == Leg::Response && key == "type" && word == "text";
                    let value = if is_structure { value.clone() } else { self.edit(value) };
                    (key.clone(), value)
                };
                Value::Object(members.iter().map(edit).collect())
            }
            Value::Null | Value::Bool(_) => json.clone(),
        }
    }

    fn key(&mut self, key: &str) {
        for index in 0..self.specs.len() {
            if matches!(self.specs[index].action, Action::Block { .. }) {
                self.step(index, key);
            }
        }
    }

    /// In a text, a rule after a block would see what the block saw; none of it counts.
    fn chain(&mut self, text: &str) -> String {
        (0..self.specs.len()).fold(text.to_owned(), |text, index| self.step(index, &text))
    }

    fn step(&mut self, index: usize, text: &str) -> String {
        let spec = &self.specs[index];
        let looks = match self.leg {
            Leg::Request => spec.legs.request,
            Leg::Response => spec.legs.response,
        };
        let is_meant = match &spec.tools {
            ToolScope::All => true,
            ToolScope::Named(names) => names.contains("search"),
        };
        let regex = Regex::new(&spec.pattern).unwrap();
        let found = u32::try_from(regex.find_iter(text).count()).unwrap();
        if !looks || !is_meant || found == 0 {
            return text.to_owned();
        }
        self.counts[index] += found;
        let put = |with: &dyn Fn(&str) -> String| {
            regex.replace_all(text, |found: &regex::Captures<'_>| with(&found[0])).into_owned()
        };
        match &spec.action {
            _ if spec.observe_only => text.to_owned(),
            Action::Block { .. } => {
                self.end = Some(self.end.map_or(index, |end| end.min(index)));
                text.to_owned()
            }
            Action::Redact => put(&|_| "[redacted]".to_owned()),
            Action::Replace { with } => regex.replace_all(text, with).into_owned(),
            Action::Mask { keep_last } => put(&|found| {
                let chars: Vec<char> = found.chars().collect();
                let kept = if chars.len() > *keep_last { *keep_last } else { 0 };
                let hidden = chars.len() - kept;
                let mask = std::iter::repeat_n('*', hidden);
                mask.chain(chars[hidden..].iter().copied()).collect()
            }),
            Action::Hash => put(&|found| {
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[1; 32]);
                let code = hex::encode(aws_lc_rs::hmac::sign(&key, found.as_bytes()));
                format!("[sha256:{}]", code.get(..12).unwrap())
            }),
        }
    }
}

/// Objects and arrays, their lengths and keys, and all that is neither text nor number.
fn is_same_shape(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same_shape(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && is_same_shape(a.1, b.1))
        }
        (Value::Number(a), Value::Number(b)) => a == b,
        (Value::String(_) | Value::Number(_), Value::String(_)) => true,
        (a, b) => a == b,
    }
}

fn spec() -> impl Strategy<Value = RuleSpec> {
    let action = prop_oneof![
        1 => Just(Action::Block { message: "no".to_owned() }),
        2 => Just(Action::Redact),
        3 => prop::sample::select(vec!["", "secret", "<$0>", "$$", "\"\\\n", "foo bar"])
            .prop_map(|with| Action::Replace { with: with.to_owned() }),
        2 => (0_usize..6).prop_map(|keep_last| Action::Mask { keep_last }),
        1 => Just(Action::Hash),
    ];
    let tools = prop_oneof![
        4 => Just(ToolScope::All),
        1 => Just(ToolScope::Named(["search".to_owned()].into())),
        1 => Just(ToolScope::Named(["other".to_owned()].into())),
    ];
    let pattern = prop::sample::select(PATTERNS.to_vec());
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.9), prop::bool::weighted(0.9));
    (pattern, action, tools, flags, any::<u16>()).prop_map(
        |(pattern, action, tools, (observe_only, request, response), id)| RuleSpec {
            name: format!("{pattern} {id}"),
            pattern: pattern.to_owned(),
            legs: Legs { request, response },
            tools,
            action,
            observe_only,
        },
    )
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..6)
        .prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::String),
        1 => (-20_000_i64..20_000).prop_map(Value::from),
        1 => Just(Value::from(-1.5)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop_oneof![1 => Just("type".to_owned()), 3 => text()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// As servers write it: compact, with white space, or in ASCII.
fn write(json: &Value, style: i32) -> String {
    match style {
        0 => json.to_string(),
        1 => serde_json::to_string_pretty(json).unwrap(),
        _ => {
            let mut units = [0; 2];
            let escape = |one: char| match one {
                '\u{0}'..='\u{7f}' => one.to_string(),
                _ => {
                    let units = one.encode_utf16(&mut units);
                    units.iter().map(|unit| format!("\\u{unit:04X}")).collect()
                }
            };
            json.to_string().chars().map(escape).collect()
        }
    }
}
