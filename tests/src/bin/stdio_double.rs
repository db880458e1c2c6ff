//! A server on standard streams, as well-behaved or as bad as the tool that is called.
//!
//!     stdio_double legacy|modern [--impatient] [--once]
//!
//! It speaks one era. An impatient one ends when it is asked what it does not know, which some
//! servers do before `initialize`. One of `--once` lets itself be initialized once.
#![expect(clippy::unwrap_used, reason = "what cannot be done is the end of it")]

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use tests::text::{find_raw, raw};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_modern = args[0] == "modern";
    let is_impatient = args.iter().any(|it| it == "--impatient");
    let hellos = if args.iter().any(|it| it == "--once") { 1 } else { usize::MAX };
    let mut double = Double {
        is_modern,
        is_impatient,
        hellos,
        given_up: Vec::new(),
        asked: None,
        listening: Vec::new(),
        watched: Vec::new(),
    };
    for line in io::stdin().lock().lines() {
        double.take(&line.unwrap());
    }
}

struct Double {
    is_modern: bool,
    is_impatient: bool,
    /// How often it may yet be initialized.
    hellos: usize,
    /// The ids of calls that have been cancelled.
    given_up: Vec<Value>,
    /// The id of the call for which the client has been asked something.
    asked: Option<Value>,
    /// The ids of subscriptions.
    listening: Vec<Value>,
    /// What is subscribed to in the legacy way.
    watched: Vec<String>,
}

impl Double {
    fn take(&mut self, line: &str) {
        let method = find_raw(line, &["method"]).unwrap_or_default();
        match method.trim_matches('"') {
            "server/discover" if self.is_modern => result(
                &id(line),
                &format!(
                    r#"{{{HINTS},"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"resources":{{"subscribe":true}}}},"_meta":{{}}}}"#
                ),
            ),
            "initialize" if !self.is_modern && 0 < self.hellos => {
                self.hellos -= 1;
                let version = raw(line, &["params", "protocolVersion"]);
                let hello = format!(
                    r#"{{"protocolVersion":{version},"capabilities":{{"tools":{{"listChanged":true}},"resources":{{"subscribe":true}},"logging":{{}}}},"serverInfo":{{"name":"double","version":"1"}}}}"#
                );
                result(&id(line), &hello);
            }
            "tools/list" => {
                let tools: Vec<Value> =
                    TOOLS.iter().map(|it| json!({"name": it, "inputSchema": {}})).collect();
                result(&id(line), &format!(r#"{{{HINTS},"tools":{}}}"#, json!(tools)));
            }
            "resources/list" => result(&id(line), &format!(r#"{{{HINTS},"resources":[]}}"#)),
            "resources/templates/list" => {
                result(&id(line), &format!(r#"{{{HINTS},"resourceTemplates":[]}}"#));
            }
            "resources/subscribe" if !self.is_modern => {
                self.watched.push(raw(line, &["params", "uri"]));
                result(&id(line), "{}");
            }
            "resources/unsubscribe" if !self.is_modern => {
                let uri = raw(line, &["params", "uri"]);
                self.watched.retain(|it| *it != uri);
                result(&id(line), "{}");
            }
            "subscriptions/listen" if self.is_modern => {
                self.listening.push(id(line));
                tell("notifications/subscriptions/acknowledged", &self.listening, "");
            }
            "tools/call" => self.call(line),
            "notifications/cancelled" => {
                let id: Value = raw(line, &["params", "requestId"]).parse().unwrap();
                self.listening.retain(|it| *it != id);
                // Too late.
                text(&id, "after it was cancelled");
                self.given_up.push(id);
            }
            "" => {
                // The client's answer becomes that of the call.
                if let Some(call) = self.asked.take() {
                    result(
                        &call,
                        &format!(r#"{{{HINTS},"content":[],"structuredContent":{line}}}"#),
                    );
                }
            }
            other if other.starts_with("notifications/") => {}
            _ if self.is_impatient => std::process::exit(1),
            _ => say(&format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no such method"}}}}"#,
                id(line)
            )),
        }
    }

    /// Says that everything that is watched has changed.
    fn touch(&self) {
        let uris = if self.is_modern { vec![ONE.to_owned()] } else { self.watched.clone() };
        for uri in uris {
            let uri = format!(r#","uri":{uri}"#);
            tell("notifications/resources/updated", &self.listening, &uri);
        }
    }

    fn call(&mut self, line: &str) {
        let id = id(line);
        let name: String = serde_json::from_str(&raw(line, &["params", "name"])).unwrap();
        match name.as_str() {
            "echo" => {
                let arguments = raw(line, &["params", "arguments"]);
                result(
                    &id,
                    &format!(r#"{{{HINTS},"content":[],"structuredContent":{arguments}}}"#),
                );
            }
            "pid" => text(&id, &std::process::id().to_string()),
            "environment" => text(&id, &environment()),
            "crash" => std::process::exit(3),
            "crash in a frame" => {
                write(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#).as_bytes());
                std::process::exit(3);
            }
            "noise" => {
                make_noise();
                text(&id, "after the noise");
            }
            "endless noise" => {
                for _ in 0..2_000 {
                    say(&"x".repeat(1_000));
                }
                text(&id, "after the noise");
            }
            "endless line" => {
                write(br#"{"jsonrpc":"2.0","method":""#);
                while io::stdout().write_all(&[b'x'; 1 << 20]).is_ok() {}
            }
            "complain" => {
                for _ in 0..8 << 10 {
                    io::stderr().write_all(&[b'e'; 1 << 10]).unwrap();
                }
                text(&id, "after the complaint");
            }
            "twice" => {
                text(&id, "first");
                text(&id, "second");
            }
            "mistaken" => {
                for wrong in [json!(4711), json!(id.to_string()), json!(-1), Value::Null] {
                    text(&wrong, "wrong");
                }
                text(&id, "right");
            }
            "ask" => {
                self.asked = Some(id);
                say(
                    r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}"#,
                );
            }
            "report" => {
                let token = raw(line, &["params", "_meta", "progressToken"]);
                for token in [token.as_str(), "\"another\"", "999999", token.as_str()] {
                    progress(token);
                }
                text(&id, "reported");
            }
            "change" => {
                tell("notifications/tools/list_changed", &self.listening, "");
                text(&id, "changed");
            }
            "touch" => {
                self.touch();
                text(&id, "touched");
            }
            "watched" => text(&id, &(self.watched.len() + self.listening.len()).to_string()),
            "given up" => text(&id, &json!(self.given_up).to_string()),
            // Never answers.
            "hang" => {
                if let Some(token) = find_raw(line, &["params", "_meta", "progressToken"]) {
                    progress(&token);
                }
            }
            _ => std::process::exit(2),
        }
    }
}

const ONE: &str = r#""test://one""#;

const TOOLS: [&str; 18] = [
    "echo",
    "pid",
    "environment",
    "crash",
    "crash in a frame",
    "noise",
    "endless noise",
    "endless line",
    "complain",
    "twice",
    "mistaken",
    "ask",
    "report",
    "change",
    "touch",
    "watched",
    "given up",
    "hang",
];

const HINTS: &str = r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#;

fn id(line: &str) -> Value {
    raw(line, &["id"]).parse().unwrap()
}

fn text(id: &Value, text: &str) {
    let content = json!([{"type": "text", "text": text}]);
    result(id, &format!(r#"{{"resultType":"complete","content":{content}}}"#));
}

fn environment() -> String {
    let names = std::env::vars_os().map(|(it, _)| it.into_string().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

/// Lines that are no messages, as some servers write them before they know better.
fn make_noise() {
    say("Listening on standard input ...");
    say("");
    say("{\"level\":\"info\",\"msg\":\"a log\"}");
    say("[1,2,3]");
    say("{\"jsonrpc\":\"2.0\",");
    say("\u{1b}[31mred\u{1b}[0m");
    write(b"\xff\xfe\r\n");
}

/// To each subscription, or to whoever listens where there are none.
fn tell(method: &str, listening: &[Value], members: &str) {
    let key = "io.modelcontextprotocol/subscriptionId";
    let metas = listening.iter().map(|it| format!(r#"{{"{key}":{it}}}"#));
    let metas: Vec<String> = if listening.is_empty() { vec!["{}".into()] } else { metas.collect() };
    for meta in metas {
        let params = format!(r#"{{"_meta":{meta}{members}}}"#);
        say(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#));
    }
}

fn progress(token: &str) {
    let params = format!(r#"{{"progressToken":{token},"progress":1.0}}"#);
    say(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#));
}

fn result(id: &Value, result: &str) {
    say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#));
}

fn say(line: &str) {
    write(line.as_bytes());
    write(b"\n");
}

fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    out.write_all(bytes).unwrap();
    out.flush().unwrap();
}
