//! Which arguments of tools are mirrored in headers, as the gateway's lists have told.
//!
//! Over stdio a client need not know of `x-mcp-header`, so the bridge reads the lists of tools that
//! pass by. Where a tool was never listed, the gateway asks for the headers, and is asked for its list.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use mcp::envelope::Message;
use mcp::headers::{ParamHeader, param_header_values, param_headers};
use mcp::json::Raw;
use parking_lot::Mutex;

/// How many tools are remembered.
const TOOLS: usize = 10_000;

/// What is known of tools that want headers.
#[derive(Default)]
pub(super) struct Mirrors(Mutex<HashMap<String, Arc<[ParamHeader]>>>);

impl Mirrors {
    /// Reads the result of `tools/list`.
    pub(super) fn learn(&self, listed: &Message) {
        let Some(tools) = listed.result().and_then(|it| it.get("tools")) else { return };
        for tool in tools.items() {
            let Some(name) = tool.get("name").and_then(Raw::str) else { continue };
            // What is wrong with an annotation is the gateway's to judge.
            let headers = tool.get("inputSchema").and_then(|it| param_headers(it).ok());
            let headers = headers.filter(|it| !it.is_empty());
            let mut known = self.0.lock();
            match headers {
                Some(headers) if known.len() < TOOLS || known.contains_key(&*name) => {
                    known.insert(name.into_owned(), headers.into());
                }
                Some(_) => {}
                None => drop(known.remove(&*name)),
            }
        }
    }

    /// The headers of a call.
    pub(super) fn of(&self, call: &Message) -> Vec<(HeaderName, HeaderValue)> {
        let Some(params) = call.params() else { return Vec::new() };
        let name = params.get("name").and_then(Raw::str);
        let known = name.and_then(|it| self.0.lock().get(&*it).map(Arc::clone));
        let arguments = params.get("arguments");
        known.map(|it| param_header_values(&it, arguments)).unwrap_or_default()
    }
}
