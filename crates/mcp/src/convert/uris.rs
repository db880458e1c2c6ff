//! URIs in results, where several servers' resources are known under other URIs than their own.

use bytes::Bytes;

use crate::json::{Kind, Raw, quote};
use crate::names;
use crate::splice::Splice;

/// Writes the URIs of resources in a result as the clients of a gateway know them: in what has been
/// read, in links, and in resources that stand within the contents of tools, prompts and tasks. What
/// clients can fetch from the web by themselves stays as it is.
pub fn expose_uris(splice: &mut Splice, result: Raw<'_>, alias: &str) {
    for content in result.get("contents").into_iter().flat_map(Raw::items) {
        expose(splice, content, alias);
    }
    for block in result.get("content").into_iter().flat_map(Raw::items) {
        expose_block(splice, block, alias);
    }
    for message in result.get("messages").into_iter().flat_map(Raw::items) {
        match message.get("content") {
            Some(blocks) if blocks.kind() == Kind::Array => {
                blocks.items().for_each(|it| expose_block(splice, it, alias));
            }
            Some(block) => expose_block(splice, block, alias),
            None => {}
        }
    }
    // That of a task.
    for block in result.at(&["result", "content"]).into_iter().flat_map(Raw::items) {
        expose_block(splice, block, alias);
    }
}

fn expose_block(splice: &mut Splice, block: Raw<'_>, alias: &str) {
    let holder = match block.get("type").and_then(Raw::str).as_deref() {
        Some("resource_link") => Some(block),
        Some("resource") => block.get("resource"),
        _ => None,
    };
    let is_web =
        |holder: &Raw<'_>| holder.get("uri").and_then(Raw::str).is_some_and(|it| is_web(&it));
    if let Some(holder) = holder.filter(|it| !is_web(it)) {
        expose(splice, holder, alias);
    }
}

fn expose(splice: &mut Splice, holder: Raw<'_>, alias: &str) {
    let uri = holder.get("uri");
    if let Some((place, text)) = uri.and_then(|it| it.str().map(|text| (it, text))) {
        let exposed = quote(&names::exposed_uri(alias, &text));
        splice.replace_value(place, Bytes::from(exposed));
    }
}

fn is_web(uri: &str) -> bool {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|it| ["http", "https"].iter().any(|web| it.eq_ignore_ascii_case(web)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Limits;

    #[test]
    fn uris_of_resources_are_written_as_clients_know_them() {
        let link = |uri: &str| format!(r#"{{"type":"resource_link","uri":"{uri}","size":1.0}}"#);
        let within = |uri: &str| {
            format!(r#"{{"type":"resource","resource":{{"uri":"{uri}","text":"file:///x"}}}}"#)
        };
        let rows = [
            (
                format!(r#"{{"content":[{},{}]}}"#, link("file:///x"), within("a:b")),
                format!(r#"{{"content":[{},{}]}}"#, link("m+file:///x"), within("m+a:b")),
            ),
            (
                format!(r#"{{"content":[{},{}]}}"#, link("https://x/"), within("HTTP://x/")),
                format!(r#"{{"content":[{},{}]}}"#, link("https://x/"), within("HTTP://x/")),
            ),
            (
                r#"{"contents":[{"uri":"https://x/"},{"uri":7},{}]}"#.to_owned(),
                r#"{"contents":[{"uri":"m+https://x/"},{"uri":7},{}]}"#.to_owned(),
            ),
            (
                format!(r#"{{"messages":[{{"content":{}}},{{"content":[{}]}},{{}}]}}"#, link("a:b"), within("a:b")),
                format!(r#"{{"messages":[{{"content":{}}},{{"content":[{}]}},{{}}]}}"#, link("m+a:b"), within("m+a:b")),
            ),
            (
                format!(r#"{{"taskId":"t","result":{{"content":[{}]}}}}"#, link("a:b")),
                format!(r#"{{"taskId":"t","result":{{"content":[{}]}}}}"#, link("m+a:b")),
            ),
            (
                r#"{"content":[{"type":"text","text":"a:b","uri":"a:b"},{"type":"resource"},7],"structuredContent":{"uri":"a:b"}}"#.to_owned(),
                r#"{"content":[{"type":"text","text":"a:b","uri":"a:b"},{"type":"resource"},7],"structuredContent":{"uri":"a:b"}}"#.to_owned(),
            ),
        ];
        for (before, after) in rows {
            let body = Bytes::from(before);
            let mut splice = Splice::new(body.clone());
            expose_uris(&mut splice, Raw::parse(&body, Limits::default()).unwrap(), "m");
            assert_eq!(splice.finish().into_bytes(), after);
        }
    }
}
