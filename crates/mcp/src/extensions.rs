//! What extensions put into messages that a gateway which joins several servers cannot pass on.
//!
//! An app (`io.modelcontextprotocol/ui`) is a page of its server. It calls the server's tools and
//! reads its resources by the server's own names, and whatever its host has of the same connection
//! it may reach. Where several servers share a connection under other names, its calls would fail
//! or reach another server's tools. Skills (`io.modelcontextprotocol/skills`) name their files in
//! texts whose digests are known, so nothing in them can be renamed. So both are withheld there as a
//! whole: what declares them, what points to them, and what they point to.

use bytes::Bytes;

use crate::json::{Limits, Raw};
use crate::meta;
use crate::splice::Splice;

/// Pages that are shown by the client.
pub const APPS: &str = "io.modelcontextprotocol/ui";
/// Calls that are answered later.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// What names a page in the `_meta` of a tool or a result; the second is the older form.
const PAGE: [&str; 2] = ["ui", "ui/resourceUri"];

/// Whether a resource or a template of one belongs to what is withheld.
pub fn is_withheld(uri: &str) -> bool {
    uri.split_once(':')
        .is_some_and(|(scheme, _)| ["ui", "skill"].iter().any(|it| scheme.eq_ignore_ascii_case(it)))
}

/// Whether a tool is there for apps and not for models.
pub fn is_for_apps_alone(tool: Raw<'_>) -> bool {
    let visibility = tool.at(&[meta::META, "ui", "visibility"]);
    let mut to_whom = visibility.into_iter().flat_map(Raw::items).filter_map(Raw::str);
    visibility.is_some() && !to_whom.any(|it| it == "model")
}

/// Takes away what points to a page in the `_meta` of a tool or a result, be it that of a task.
pub fn remove_page(splice: &mut Splice, holder: Raw<'_>) {
    let entries = [holder.get(meta::META), holder.at(&["result", meta::META])];
    for entries in entries.into_iter().flatten().filter(|it| it.is_object()) {
        for key in PAGE {
            splice.remove_member(entries, key);
        }
    }
}

/// A tool without what points to its page.
pub fn without_page(tool: &Bytes) -> Bytes {
    let Ok(root) = Raw::parse(tool, Limits::default()) else { return tool.clone() };
    let mut splice = Splice::new(tool.clone());
    remove_page(&mut splice, root);
    splice.finish().into_bytes()
}

/// Takes away the extensions in a `capabilities` object that cannot be carried between clients and
/// several servers: all that are not known here.
pub fn remove_extensions(splice: &mut Splice, capabilities: Raw<'_>) {
    let Some(extensions) = capabilities.get("extensions") else { return };
    for (name, _) in extensions.members().filter(|(name, _)| name != TASKS) {
        splice.remove_member(extensions, &name);
    }
}

/// A `capabilities` object without them.
pub fn without_extensions(capabilities: &Bytes) -> Bytes {
    let Ok(root) = Raw::parse(capabilities, Limits::default()) else { return capabilities.clone() };
    let mut splice = Splice::new(capabilities.clone());
    remove_extensions(&mut splice, root);
    splice.finish().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_skills_are_known_by_their_scheme() {
        for (uri, expected) in [
            ("ui://weather/view", true),
            ("UI://x", true),
            ("skill://a/SKILL.md", true),
            ("uix://x", false),
            ("file:///ui://x", false),
            ("ui", false),
            ("", false),
        ] {
            assert_eq!(is_withheld(uri), expected, "{uri}");
        }
    }

    #[test]
    fn a_tool_that_is_hidden_from_models_is_for_apps_alone() {
        for (visibility, expected) in [
            (r#"["app"]"#, true),
            (r#"["app","model"]"#, false),
            (r#"["model"]"#, false),
            ("[]", true),
            ("\"app\"", true),
        ] {
            let tool = format!(r#"{{"name":"t","_meta":{{"ui":{{"visibility":{visibility}}}}}}}"#);
            assert_eq!(is_for_apps_alone(raw(&tool)), expected, "{visibility}");
        }
        for tool in ["{}", r#"{"_meta":{"ui":{"resourceUri":"ui://x"}}}"#, r#"{"_meta":7}"#] {
            assert!(!is_for_apps_alone(raw(tool)), "{tool}");
        }
    }

    #[test]
    fn what_points_to_a_page_goes_and_nothing_else() {
        let tool = r#"{"name":"t","_meta":{"v/a":1.0,"ui":{"resourceUri":"ui://x"},"ui/resourceUri":"ui://x"},"x":2}"#;
        let expected = r#"{"name":"t","_meta":{"v/a":1.0},"x":2}"#;
        assert_eq!(without_page(&Bytes::from_static(tool.as_bytes())), expected);
        let declared = r#"{"roots":{},"extensions":{"io.modelcontextprotocol/ui":{},"io.modelcontextprotocol/tasks":{},"a/b":{}}}"#;
        let expected = r#"{"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
        assert_eq!(without_extensions(&Bytes::from_static(declared.as_bytes())), expected);
        for same in ["{}", r#"{"extensions":null}"#] {
            assert_eq!(without_extensions(&Bytes::from_static(same.as_bytes())), same);
        }
    }

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text.as_bytes(), Limits::default()).unwrap()
    }
}
