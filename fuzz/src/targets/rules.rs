//! Content rules: what administrators write, and what they are applied to.

use std::sync::Arc;

use inspect::{Action, Leg, Legs, RuleSpec, Rules, ToolScope, Verdict, splice};
use mcp::json::{Limits, check as is_json};

use super::halves;

/// A pattern and a document, apart by an empty line. The length of the pattern chooses the action.
pub(crate) fn check(bytes: &[u8]) {
    let (pattern, json) = halves(bytes);
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    let action = match pattern.len() % 5 {
        0 => Action::Redact,
        1 => Action::Replace { with: "<$0\"\\>".to_owned() },
        2 => Action::Mask { keep_last: 2 },
        3 => Action::Hash,
        _ => Action::Block { message: "no".to_owned() },
    };
    let spec = RuleSpec {
        name: "r".to_owned(),
        pattern: pattern.to_owned(),
        legs: Legs { request: true, response: true },
        tools: ToolScope::All,
        action,
        observe_only: false,
    };
    let Ok(rules) = Rules::compile(&[spec], [7; 32]) else { return };
    if is_json(json, Limits::default()).is_err() {
        return;
    }
    match rules.apply(Leg::Response, "s", "t", json) {
        Verdict::Clean => {}
        Verdict::Edited { edits, hits } => {
            assert!(!hits.is_empty());
            let edited = splice(json, &edits);
            is_json(&edited, Limits { key_bytes: usize::MAX, ..Limits::default() })
                .expect("what rules leave is JSON");
        }
        Verdict::Blocked { rule, hits, .. } => {
            assert_eq!((rule, hits.len()), (Arc::from("r"), 1));
        }
    }
}
