//! Conditions that administrators write, definitions that servers list, and cursors that anybody sends.

use mcp::json::{Limits, Raw, sorted};

use super::halves;

/// A condition, and the text that it is tried on. It is read as it is written again, says the same
/// inside of others, and holds for no text without an end.
pub(crate) fn conditions(bytes: &[u8]) {
    let (condition, text) = halves(bytes);
    let Ok(condition) = std::str::from_utf8(condition) else { return };
    let text = String::from_utf8_lossy(text);
    let name = text.lines().next().unwrap_or_default();
    let Ok((written, holds)) = control::fuzzing::condition(condition, name, &text) else { return };
    let again = control::fuzzing::condition(&written, name, &text);
    assert_eq!(again, Ok((written.clone(), holds)));
    // Deeper ones may be refused.
    for outer in ["all", "any"] {
        let nested = format!(r#"{{"{outer}":[{written}]}}"#);
        if let Ok((_, inside)) = control::fuzzing::condition(&nested, name, &text) {
            assert_eq!(inside, holds, "{nested}");
        }
    }
}

/// Two definitions: nothing differs exactly where they are the same, and nothing is shown that
/// cannot be seen.
pub(crate) fn definitions(bytes: &[u8]) {
    let (before, after) = halves(bytes);
    let canonical = |it| {
        let object = Raw::parse(it, Limits::default()).ok().filter(|it| it.is_object())?;
        String::from_utf8(sorted(object)).ok()
    };
    let (Some(before), Some(after)) = (canonical(before), canonical(after)) else { return };
    let (count, shown) = control::fuzzing::differences(&before, &after);
    assert_eq!(count == 0, before == after, "{before} {after}");
    let hidden = ['\u{200b}', '\u{202e}', '\u{2066}', '\u{e0041}', '\u{fe0f}', '\u{1b}', '\u{85}'];
    assert!(!shown.contains(hidden), "{shown:?}");
    assert_eq!(control::fuzzing::differences(&after, &after).0, 0);
}

/// A limit and a cursor: where a page begins is where its cursor says.
pub(crate) fn cursors(bytes: &[u8]) {
    let (limit, cursor) = halves(bytes);
    let (Ok(limit), Ok(cursor)) = (std::str::from_utf8(limit), std::str::from_utf8(cursor)) else {
        return;
    };
    let Ok((after, next)) = control::fuzzing::page(limit, cursor) else { return };
    assert!(after.len() <= 2_048);
    assert_eq!(control::fuzzing::page(limit, &next), Ok((after, next.clone())));
}
