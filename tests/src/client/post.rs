//! What a client sends, right as it is made, and then made wrong as a test likes.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use serde_json::Value;

use super::{Client, Era};
use crate::text::find_raw;

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Post {
    pub verb: Method,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Bytes,
    /// The id of the JSON-RPC request in it, as JSON.
    pub id: String,
}

impl Client {
    /// A request whose `params` have these members, as raw JSON, beside what the era asks for.
    pub fn request(&self, method: &str, members: &str) -> Post {
        self.request_with_meta(method, members, "")
    }

    /// The same, with these members in its `_meta`.
    pub fn request_with_meta(&self, method: &str, members: &str, meta: &str) -> Post {
        let id = self.next_id().to_string();
        let params = joined(&[members, &self.meta(meta)]);
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#);
        let mut post = self.post(body).with("mcp-method", method);
        post.id = id;
        let key = if method == "resources/read" { "uri" } else { "name" };
        let named = find_raw(&format!("{{{members}}}"), &[key]);
        let name: Option<String> = named.map(|it| serde_json::from_str(&it).unwrap());
        match name {
            Some(name) if self.era == Era::Modern => post.with("mcp-name", name),
            _ => post,
        }
    }

    /// A call of a tool with these arguments, as raw JSON.
    pub fn tool(&self, name: &str, arguments: &str) -> Post {
        self.request("tools/call", &format!(r#""name":"{name}","arguments":{arguments}"#))
    }

    /// A call of a tool that reports its progress under this token, which is raw JSON.
    pub fn tool_with_progress(&self, name: &str, token: &str) -> Post {
        let members = format!(r#""name":"{name}","arguments":{{}}"#);
        self.request_with_meta("tools/call", &members, &format!(r#""progressToken":{token}"#))
    }

    pub fn notification(&self, method: &str, members: &str) -> Post {
        self.post(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{members}}}}}"#))
    }

    /// An answer to what the gateway has asked.
    pub fn reply(&self, id: &Value, result: &str) -> Post {
        self.post(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
    }

    pub fn initialize(&self) -> Post {
        let (revision, capabilities) = (self.revision, &self.capabilities);
        let params = format!(
            r#"{{"protocolVersion":"{revision}","capabilities":{capabilities},"clientInfo":{INFO}}}"#
        );
        self.post(format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#))
    }

    /// Any body, with the headers that its era asks of every message.
    pub fn post(&self, body: impl Into<Bytes>) -> Post {
        let headers = vec![
            ("content-type".to_owned(), b"application/json".to_vec()),
            ("accept".to_owned(), b"application/json, text/event-stream".to_vec()),
        ];
        let body = body.into();
        let mut post = Post { verb: Method::POST, headers, body, id: "0".to_owned() };
        if let Some(token) = &self.token {
            post = post.with("authorization", format!("Bearer {token}"));
        }
        if let Some(session) = &self.session {
            post = post.with("mcp-session-id", session);
        }
        if self.era == Era::Modern || self.session.is_some() {
            post = post.with("mcp-protocol-version", self.revision);
        }
        post
    }

    /// The stream for what belongs to no request.
    pub fn get(&self) -> Post {
        let mut post = self.post("").without("content-type").with("accept", "text/event-stream");
        post.verb = Method::GET;
        post
    }

    /// The end of its session.
    pub fn delete(&self) -> Post {
        let mut post = self.post("").without("content-type").without("accept");
        post.verb = Method::DELETE;
        post
    }

    fn meta(&self, members: &str) -> String {
        let own = match self.era {
            Era::Legacy => String::new(),
            Era::Modern => format!(
                r#""{P}protocolVersion":"{}","{P}clientCapabilities":{},"{P}clientInfo":{INFO}"#,
                self.revision, self.capabilities
            ),
        };
        match joined(&[members, &own]).as_str() {
            "" => String::new(),
            all => format!(r#""_meta":{{{all}}}"#),
        }
    }
}

const P: &str = "io.modelcontextprotocol/";
const INFO: &str = r#"{"name":"a test","version":"1"}"#;

fn joined(members: &[&str]) -> String {
    let some: Vec<&str> = members.iter().copied().filter(|it| !it.is_empty()).collect();
    some.join(",")
}

impl Post {
    /// Sets a header, in place of any other of the name.
    #[must_use]
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).and(name, value)
    }

    /// Adds a header.
    #[must_use]
    pub fn and(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(it, _)| it != name);
        self
    }

    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Writes another text where the body has this one.
    #[must_use]
    pub fn replacing(self, old: &str, new: &str) -> Self {
        let body = String::from_utf8(self.body.to_vec()).unwrap();
        assert!(body.contains(old), "{old} is not in {body}");
        self.with_body(body.replacen(old, new, 1))
    }

    /// The same as bytes on a connection, for somebody at `host`.
    pub fn bytes(&self, host: &str, path: &str) -> Vec<u8> {
        let mut bytes = format!("{} {path} HTTP/1.1\r\nhost: {host}\r\n", self.verb).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: ").as_bytes());
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend(&self.body);
        bytes
    }

    pub(super) fn into_request(self, host: &str, path: &str) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.verb;
        *request.uri_mut() = path.parse().unwrap();
        let headers = request.headers_mut();
        let names_host = self.headers.iter().any(|(name, _)| name == "host");
        if !names_host {
            headers.insert("host", HeaderValue::from_str(host).unwrap());
        }
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(&value).unwrap());
        }
        request
    }
}
