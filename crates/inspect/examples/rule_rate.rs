//! How fast rules let clean content through: `cargo run --release -p inspect --example rule_rate`.

#![expect(clippy::print_stdout, reason = "a report for the terminal")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch needs the time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use inspect::{Action, Leg, Legs, RuleSpec, Rules, ToolScope, Verdict};

const SIZES: [usize; 3] = [256, 10 << 10, 1 << 20];
const TIME_EACH: Duration = Duration::from_millis(200);

fn main() {
    let sets: [(&str, Vec<String>); 5] = [
        ("one literal prefix", vec!["sk_live_[0-9a-zA-Z]{24}".to_owned()]),
        ("one e-mail address", vec![r"[\w.+-]+@[\w-]+\.[\w.-]+".to_owned()]),
        (
            "one card number",
            vec![r"\b[0-9]{4}([ -]?)[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\b".to_owned()],
        ),
        ("100 tokens", (0..100).map(|n| format!("tok{n:03}_[0-9a-f]{{32}}")).collect()),
        ("1000 tokens", (0..1000).map(|n| format!("(?i)tok{n:03}_[0-9a-f]{{32}}")).collect()),
    ];
    println!("{:<20} {:<8} {:>10} {:>10} {:>10}", "MB/s", "content", "256 B", "10 KiB", "1 MiB");
    for (name, patterns) in sets {
        let rules = compile(&patterns);
        for (content, make) in CONTENTS {
            let rates = SIZES.map(|size| format!("{:.0}", rate(&rules, &make(size))));
            println!("{name:<20} {content:<8} {:>10} {:>10} {:>10}", rates[0], rates[1], rates[2]);
        }
    }
}

type Make = fn(usize) -> String;

const CONTENTS: [(&str, Make); 3] = [("base64", base64), ("prose", prose), ("records", records)];

/// One large string without escapes.
fn base64(size: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_u32;
    let digits = (0..size).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(ALPHABET[(state >> 26) as usize])
    });
    format!(r#"{{"data":"{}"}}"#, digits.collect::<String>())
}

/// One large string with an escape in each line.
fn prose(size: usize) -> String {
    let line = r"The quick brown fox jumps over the lazy dog, 12 times a day.\n";
    format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, line.repeat(size / line.len() + 1))
}

/// Many small values.
fn records(size: usize) -> String {
    let row = r#"{"id":1734,"name":"Example","tags":["a","b"],"price":12.5}"#;
    format!("[{}]", vec![row; size / row.len() + 1].join(","))
}

fn compile(patterns: &[String]) -> Rules {
    let spec = |pattern: &String| RuleSpec {
        name: pattern.clone(),
        pattern: pattern.clone(),
        legs: Legs { request: true, response: true },
        tools: ToolScope::All,
        action: Action::Redact,
        observe_only: false,
    };
    let specs: Vec<_> = patterns.iter().map(spec).collect();
    Rules::compile(&specs, [7; 32]).expect("the patterns are fine")
}

/// In MB/s.
fn rate(rules: &Rules, json: &str) -> f64 {
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < TIME_EACH {
        for _ in 0..(1 << 16) / json.len() + 1 {
            let verdict = rules.apply(Leg::Response, "server", "tool", black_box(json.as_bytes()));
            assert_eq!(verdict, Verdict::Clean);
            bytes += json.len();
        }
    }
    bytes as f64 / start.elapsed().as_secs_f64() / 1e6
}
