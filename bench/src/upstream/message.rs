//! As much of a message as the double has to know, borrowed from its body.

use std::borrow::Cow;

use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::TOOL;

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
    #[serde(borrow, rename = "protocolVersion")]
    revision: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    nonce: Cow<'a, str>,
    bytes: usize,
}

impl Message<'_> {
    /// The id as it was written; none where the message is a notification.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.map(RawValue::get)
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// Nonce and size of a call of the tool.
    pub(super) fn sized(&self) -> Option<(&str, usize)> {
        let params = self.params.as_ref()?;
        let arguments = params.arguments.as_ref()?;
        (params.name.as_deref() == Some(TOOL)).then_some((&*arguments.nonce, arguments.bytes))
    }

    /// What an `initialize` asks for.
    pub(super) fn revision(&self) -> &str {
        self.params.as_ref().and_then(|params| params.revision.as_deref()).unwrap_or("2025-11-25")
    }

    /// A modern request says in its headers what its body says.
    pub(super) fn agrees_with(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if header("mcp-protocol-version") != Some("2026-07-28") {
            return Ok(());
        }
        if header("mcp-method") != Some(&*self.method) {
            return Err("Mcp-Method is not the method");
        }
        let name = self.params.as_ref().and_then(|params| params.name.as_deref());
        if self.method == "tools/call" && header("mcp-name") != name {
            return Err("Mcp-Name is not the name");
        }
        Ok(())
    }
}
