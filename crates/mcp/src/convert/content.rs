//! Content blocks and tools for clients that are older than what they are sent.

use bytes::Bytes;

use crate::json::{self, Kind, Raw};
use crate::revision::Revision;
use crate::splice::Splice;

/// A `tools/call` result: blocks first, then `structuredContent`, whose text takes its place where
/// no text says the same already.
pub(super) fn downgrade_call_result(splice: &mut Splice, result: Raw<'_>, revision: Revision) {
    let content = result.get("content").filter(|content| content.kind() == Kind::Array);
    let mut has_text = false;
    for block in content.into_iter().flat_map(Raw::items) {
        has_text |= is_type(block, "text");
        has_text |= downgrade_block(splice, block, revision);
    }
    let Some(structured) = result.get("structuredContent") else { return };
    if has_structured_content(revision) && structured.is_object() {
        return;
    }
    splice.remove_member(result, "structuredContent");
    if has_text {
        return;
    }
    let block = text_block(structured.text());
    match content {
        Some(content) => splice.append_item(content, block),
        None => {
            let items = [&b"["[..], &block, &b"]"[..]].concat();
            splice.set_member(result, "content", items);
        }
    }
}

/// One tool of a `tools/list` result. Its output schema goes whenever its structured content would.
pub(super) fn downgrade_tool(splice: &mut Splice, tool: Raw<'_>, revision: Revision) {
    let Some(schema) = tool.get("outputSchema") else { return };
    if !has_structured_content(revision) || !is_type(schema, "object") {
        splice.remove_member(tool, "outputSchema");
    }
}

/// Replaces a block that `revision` does not know by a text, and says whether it did.
pub(super) fn downgrade_block(splice: &mut Splice, block: Raw<'_>, revision: Revision) -> bool {
    let Some(text) = in_its_place(block, revision) else { return false };
    splice.replace_value(block, text);
    true
}

/// Makes a message of several blocks, which is new in 2025-11-25, as many messages of one.
pub(super) fn split_message(splice: &mut Splice, message: Raw<'_>, revision: Revision) {
    let Some(content) = message.get("content") else { return };
    if content.kind() != Kind::Array || Revision::V2025_11_25 <= revision {
        downgrade_block(splice, content, revision);
        return;
    }
    let role = message.get("role").map_or(&b"\"user\""[..], Raw::bytes);
    let mut all = Vec::new();
    for block in content.items() {
        let block = in_its_place(block, revision).unwrap_or_else(|| block.bytes().to_vec().into());
        if !all.is_empty() {
            all.push(b',');
        }
        all.extend([&b"{\"role\":"[..], role, b",\"content\":", &block, b"}"].concat());
    }
    if all.is_empty() {
        splice.replace_value(content, text_block(""));
    } else {
        splice.replace_value(message, all);
    }
}

/// The text that stands for a block which `revision` does not know.
fn in_its_place(block: Raw<'_>, revision: Revision) -> Option<Bytes> {
    let text = match block.get("type").and_then(Raw::str).as_deref() {
        Some("resource_link") if revision < Revision::V2025_06_18 => link_text(block),
        Some("audio") if revision < Revision::V2025_03_26 => audio_text(block),
        _ => return None,
    };
    Some(text_block(&text))
}

fn has_structured_content(revision: Revision) -> bool {
    revision >= Revision::V2025_06_18
}

fn is_type(value: Raw<'_>, name: &str) -> bool {
    value.get("type").and_then(Raw::str).as_deref() == Some(name)
}

fn link_text(block: Raw<'_>) -> String {
    let member = |key| block.get(key).and_then(Raw::str).unwrap_or_default();
    let mut text = format!("{} <{}>", member("name"), member("uri"));
    let description = member("description");
    if !description.is_empty() {
        text.push_str(": ");
        text.push_str(&description);
    }
    text
}

fn audio_text(block: Raw<'_>) -> String {
    let mime = block.get("mimeType").and_then(Raw::str).unwrap_or_default();
    // Four base64 digits carry three bytes.
    let encoded = block.get("data").map_or(0, |data| data.bytes().len().saturating_sub(2));
    format!("[audio {mime}, about {} bytes]", encoded / 4 * 3)
}

fn text_block(text: &str) -> Bytes {
    let mut out = b"{\"type\":\"text\",\"text\":".to_vec();
    json::quote_into(&mut out, text);
    out.push(b'}');
    out.into()
}
