//! Messages on their way from one era to the other: whatever comes in, what goes out is JSON.

use bytes::Bytes;
use mcp::convert;
use mcp::json::{Limits, Raw, check as is_json};
use mcp::revision::{ALL, Era, Revision};
use mcp::splice::Splice;

const METHODS: [&str; 7] = [
    "tools/call",
    "tools/list",
    "prompts/get",
    "prompts/list",
    "resources/read",
    "elicitation/create",
    "sampling/createMessage",
];

type Edit = fn(&mut Splice, &str, Raw<'_>, Revision);

const EDITS: [Edit; 9] = [
    |splice, method, raw, _| convert::to_modern_result(splice, method, raw, None),
    |splice, method, raw, _| convert::complete_modern_result(splice, method, raw),
    convert::to_legacy_result,
    convert::downgrade_result,
    convert::to_legacy_notification,
    convert::to_legacy_params,
    convert::downgrade_params,
    |splice, method, raw, to| convert::convert_error(splice, method, raw, to.era()),
    |splice, _, raw, to| {
        convert::downgrade_elicitation(splice, raw, to);
    },
];

pub(crate) fn check(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let Ok(raw) = Raw::parse(&body, Limits::default()) else { return };
    if !raw.is_object() {
        return;
    }
    for revision in ALL {
        for (number, edit) in EDITS.iter().enumerate() {
            for method in METHODS {
                let mut splice = Splice::new(body.clone());
                edit(&mut splice, method, raw, revision);
                let out = splice.finish().into_bytes();
                assert!(sound(&out), "{number} {method} {revision}: {out:?}");
                let read = |key| Raw::parse(&out, Limits::default()).ok()?.get(key).map(|_| ());
                if number == 2 {
                    assert_eq!(read("resultType"), None, "{out:?}");
                }
            }
        }
        for era in [Era::Legacy, Era::Modern] {
            assert!(sound(&convert::listed_tool(&body, era, revision)));
        }
    }
}

/// What is added may make it longer and deeper than what may come in.
fn sound(bytes: &[u8]) -> bool {
    let limits = Limits { depth: 128, members: usize::MAX, key_bytes: usize::MAX };
    is_json(bytes, limits).is_ok()
}
