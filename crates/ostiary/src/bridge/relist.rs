//! The list of tools, asked for by the bridge itself: for a client that calls what it has not listed.

use std::sync::Arc;

use bytes::Bytes;
use mcp::envelope::Message;
use mcp::errors;
use mcp::json::{Limits, Raw};
use mcp::meta::{self, CLIENT_CAPABILITIES, CLIENT_INFO, META, PROTOCOL_VERSION};

use super::Bridge;
use super::call::{answering, modern_headers};
use super::trouble::Trouble;

/// How many pages are asked for.
const PAGES: usize = 100;

/// No client's id: it stands in no message but those of the bridge itself.
const ID: &[u8] = b"\"ostiary-bridge-tools\"";

/// Learns which headers tools want, in the name of a call.
///
/// # Errors
/// When the list cannot be had.
pub(super) async fn learn(bridge: &Arc<Bridge>, call: &Message) -> Result<(), Trouble> {
    let mut cursor: Option<Bytes> = None;
    for _ in 0..PAGES {
        let body = request(call, cursor.as_deref());
        let message = Message::parse(body, Limits::default());
        let message = message.map_err(|it| Trouble::NotMcp { reason: it.to_string() })?;
        let headers = modern_headers(bridge, &message);
        let mut answer = bridge.gateway.post(headers, message.body().clone()).await?;
        let listed = loop {
            match answer.next().await? {
                Some(said) if answering(&said, &message).is_some() => break said,
                Some(_) => {}
                None => return Ok(()),
            }
        };
        bridge.mirrors.learn(&listed);
        let next = listed.result().and_then(|it| it.get("nextCursor"));
        let Some(next) = next.filter(|it| !it.is_null()) else { return Ok(()) };
        cursor = Some(Bytes::copy_from_slice(next.bytes()));
    }
    Ok(())
}

/// `tools/list` as the client would send it.
fn request(call: &Message, cursor: Option<&[u8]>) -> Bytes {
    let mut entries = Vec::new();
    for key in [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO] {
        if let Some(value) = call.params().and_then(|it| meta::entry(it, key)).map(Raw::text) {
            entries.push(format!("\"{key}\":{value}"));
        }
    }
    let mut params = format!("{{\"{META}\":{{{}}}", entries.join(","));
    if let Some(cursor) = cursor {
        params.push_str(",\"cursor\":");
        params.push_str(&String::from_utf8_lossy(cursor));
    }
    params.push('}');
    errors::request_body(ID, "tools/list", Some(params.as_bytes()))
}
