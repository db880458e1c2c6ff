//! Where a load goes, and how a message is written for it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use rustls::ClientConfig;

use super::connection::Connection;
use super::message::{NUMBER, Numbered};

/// One MCP endpoint, as a client knows it.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) path: String,
    /// Sent as a bearer token.
    pub(crate) token: Option<String>,
    /// Tokens of other apps, for more streams than one app may have.
    pub(crate) more_tokens: Vec<String>,
    /// What `sized` is called there.
    pub(crate) tool: String,
    /// How many tools it offers.
    pub(crate) tools: usize,
}

impl Target {
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address, self.tls.as_ref()).await
    }

    /// The same for one of the apps in turn.
    pub(super) fn in_turn(&self, number: usize) -> Self {
        let tokens: Vec<_> = self.token.iter().chain(&self.more_tokens).collect();
        let token = tokens.get(number % tokens.len().max(1)).map(|it| (*it).clone());
        Self { token, ..self.clone() }
    }

    /// A modern request. `params` are the members of its params beside `_meta`.
    pub(crate) fn modern(&self, method: &str, name: Option<&str>, params: &str) -> Numbered {
        self.modern_saying(method, name, params, META)
    }

    fn modern_saying(
        &self,
        method: &str,
        name: Option<&str>,
        params: &str,
        meta: &str,
    ) -> Numbered {
        let comma = if params.is_empty() { "" } else { "," };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{NUMBER},"method":"{method}","params":{{{params}{comma}"_meta":{meta}}}}}"#
        );
        let mut headers = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n");
        if let Some(name) = name {
            headers.push_str(&format!("Mcp-Name: {name}\r\n"));
        }
        Numbered::new(&self.post(&headers, &body))
    }

    /// A call of the tool, with its number as nonce.
    pub(crate) fn call(&self, bytes: usize) -> Numbered {
        let tool = &self.tool;
        let params =
            format!(r#""name":"{tool}","arguments":{{"nonce":"n-{NUMBER}","bytes":{bytes}}}"#);
        self.modern("tools/call", Some(tool), &params)
    }

    /// A legacy message in a session.
    pub(crate) fn legacy(&self, session: Option<&str>, body: &str) -> String {
        let mut headers = String::new();
        if let Some(session) = session {
            headers = format!("MCP-Protocol-Version: {LEGACY}\r\nMcp-Session-Id: {session}\r\n");
        }
        self.post(&headers, body)
    }

    /// The call of [`Target::call`] in a legacy session.
    pub(crate) fn legacy_call(&self, session: &str, bytes: usize) -> Numbered {
        let tool = &self.tool;
        let arguments = format!(r#"{{"nonce":"n-{NUMBER}","bytes":{bytes}}}"#);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{NUMBER},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        Numbered::new(&self.legacy(Some(session), &body))
    }

    /// The call of a client that can be asked something.
    pub(super) fn call_with_forms(&self, bytes: usize) -> Numbered {
        let tool = &self.tool;
        let params =
            format!(r#""name":"{tool}","arguments":{{"nonce":"n-{NUMBER}","bytes":{bytes}}}"#);
        let meta = META.replace(
            r#"clientCapabilities":{}"#,
            r#"clientCapabilities":{"elicitation":{"form":{}}}"#,
        );
        self.modern_saying("tools/call", Some(tool), &params, &meta)
    }

    /// Ends a legacy session.
    pub(crate) fn leave(&self, session: &str) -> String {
        let headers = format!("MCP-Protocol-Version: {LEGACY}\r\nMcp-Session-Id: {session}\r\n");
        self.request("DELETE", &headers, "")
    }

    pub(super) fn post(&self, headers: &str, body: &str) -> String {
        self.request("POST", headers, body)
    }

    fn request(&self, verb: &str, headers: &str, body: &str) -> String {
        let authorization =
            self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
        format!(
            "{verb} {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             {headers}Content-Length: {len}\r\n\r\n{body}",
            path = self.path,
            host = self.address,
            authorization = authorization.unwrap_or_default(),
            len = body.len(),
        )
    }
}

/// The legacy revision that newcomers speak.
pub(crate) const LEGACY: &str = "2025-11-25";

const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"}}"#;
