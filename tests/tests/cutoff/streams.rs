//! What is under way when something is turned off: streams, calls that a server holds, listening.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::json;
use tests::client::LEGACY;
use tests::line::Line;
use tests::load::{End, once};
use tests::raw::Raw;
use tests::upstream::Talk;
use tests::wait::within;
use tests::{Caller, Served, Upstream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scene::Scene;
use crate::{SWITCHES, Switch, cut, restore};

#[tokio::test]
async fn r3b_a_stream_under_way_ends_and_lets_nothing_more_through() {
    for scene in Scene::on_each_database(Upstream::modern).await {
        for switch in SWITCHES {
            let (mut stream, talk) = scene.streaming_call().await;
            let ended = scene.upstream.seen().len();
            switch.off(&scene.served).await;
            let off = Instant::now();
            talk.notification(PROGRESS, r#"{"progressToken":7,"message":"too late"}"#).await;
            let rest = stream.rest().await;
            assert!(off.elapsed() < SOON, "{switch:?}: {:?}", off.elapsed());
            assert!(!rest.contains("too late"), "{switch:?}: {rest}");
            assert!(rest.matches("event:").count() <= 1, "{switch:?}: more than why: {rest}");
            talk.given_up().await;
            assert_eq!(scene.upstream.seen().len(), ended, "{switch:?}: nothing more is sent");
            switch.on(&scene.served, &scene.caller).await;
        }
    }
}

#[tokio::test]
async fn r3_a_call_that_the_server_holds_is_ended() {
    for scene in Scene::on_each_database(Upstream::modern).await {
        for switch in SWITCHES {
            let mut line = Line::to(scene.served.address);
            let call = once(&mut line, scene.served.address, &scene.caller, 7);
            let cutting = async {
                let held = scene.upstream.next().await;
                let asked = Instant::now();
                switch.off(&scene.served).await;
                assert!(asked.elapsed() < SOON, "{switch:?}: {:?}", asked.elapsed());
                // The server sees that nobody waits any more.
                held.given_up().await;
            };
            let (call, ()) = tokio::join!(call, cutting);
            assert!(matches!(call.end, End::Refused(_)), "{switch:?}: {call:?}");
            switch.on(&scene.served, &scene.caller).await;
        }
    }
}

#[tokio::test]
async fn r3_a_request_that_is_still_arriving_is_decided_by_what_holds_when_it_has_arrived() {
    for scene in Scene::on_each_database(|| Upstream::modern().echoing()).await {
        for switch in SWITCHES {
            assert_eq!(scene.call().await, End::Answered, "{switch:?}");
            let (mut line, body) = scene.begun_call(7).await;
            switch.off(&scene.served).await;
            let known = scene.upstream.seen().len();
            line.send(body).await;
            let answer = line.answer().await.unwrap();
            let end = End::of(answer.status, &answer.body, 7);
            assert!(matches!(end, End::Refused(_)), "{switch:?}: {end:?}");
            assert_eq!(scene.upstream.seen().len(), known, "{switch:?}: it has reached the server");
            switch.on(&scene.served, &scene.caller).await;
        }
    }
}

#[tokio::test]
async fn r3b_a_client_that_does_not_read_delays_no_cut_off() {
    for scene in Scene::on_each_database(Upstream::modern).await {
        let (mut stream, talk) = scene.streaming_call().await;
        let much = format!(r#"{{"progressToken":7,"message":"{}"}}"#, "x".repeat(1 << 20));
        let text = format!(
            "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"{PROGRESS}\",\"params\":{much}}}\n\n"
        );
        // Until everything between server and client is full.
        let full = Duration::from_millis(500);
        while tokio::time::timeout(full, talk.bytes(text.clone())).await.is_ok() {}
        let asked = Instant::now();
        cut(&scene.served, "server", "target", None).await;
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        // Once it does read, the end comes soon, and to the server as well.
        let rest = stream.rest().await;
        assert!(rest.contains("turned off"), "it is told why");
        talk.given_up().await;
    }
}

#[tokio::test]
async fn r3b_listening_ends() {
    for scene in Scene::on_each_database(Upstream::modern).await {
        let single =
            Caller { path: format!("{}/target", scene.caller.path), ..scene.caller.clone() };
        for switch in SWITCHES {
            if matches!(switch, Switch::Cutoff("tool", _)) {
                continue;
            }
            // At the gateway and at one server of it.
            for caller in [&scene.caller, &single] {
                let members = r#""notifications":{"toolsListChanged":true}"#;
                let listen = caller.ask(scene.served.address, 3, "subscriptions/listen", members);
                let mut stream = Stream::open(&scene.served, listen).await;
                stream.until("acknowledged").await;
                let talk = scene.upstream.next().await.stream();
                switch.off(&scene.served).await;
                let off = Instant::now();
                talk.notification("notifications/tools/list_changed", LATE).await;
                talk.given_up().await;
                assert!(off.elapsed() < SOON, "{switch:?}: {:?}", off.elapsed());
                if !goes_on(switch, caller, &scene.caller) {
                    let rest = stream.rest().await;
                    assert!(off.elapsed() < SOON, "{switch:?}: {:?}", off.elapsed());
                    assert!(!rest.contains("late"), "{switch:?}: {rest}");
                }
                switch.on(&scene.served, &scene.caller).await;
            }
        }
    }
}

#[tokio::test]
async fn r3b_the_stream_of_a_legacy_session_ends() {
    let (sender, mut opened) = mpsc::channel(16);
    let plan = move || {
        let sender = sender.clone();
        Upstream::legacy().echoing().on("GET", move |get| {
            let sender = sender.clone();
            async move { drop(sender.send(get.stream()).await) }
        })
    };
    for scene in Scene::on_each_database(plan).await {
        let single =
            Caller { path: format!("{}/target", scene.caller.path), ..scene.caller.clone() };
        for switch in SWITCHES {
            if matches!(switch, Switch::Cutoff("tool", _)) {
                continue;
            }
            for (caller, tool) in [(&scene.caller, "target__echo"), (&single, "echo")] {
                let session = Session::open(&scene.served, caller).await;
                session.call(tool).await;
                let mut stream = Stream::open(&scene.served, session.get()).await;
                let talk: Talk = within("the server's own stream", opened.recv()).await.unwrap();
                switch.off(&scene.served).await;
                let off = Instant::now();
                talk.notification("notifications/tools/list_changed", LATE).await;
                talk.given_up().await;
                assert!(off.elapsed() < SOON, "{switch:?}: {:?}", off.elapsed());
                if !goes_on(switch, caller, &scene.caller) {
                    let rest = stream.rest().await;
                    assert!(off.elapsed() < SOON, "{switch:?}: {:?}", off.elapsed());
                    assert!(!rest.contains("late"), "{switch:?}: {rest}");
                }
                switch.on(&scene.served, &scene.caller).await;
            }
        }
    }
}

/// Params that tell a server's word from ours: that its list has changed, a cut-off itself says.
const LATE: &str = r#"{"x":"late"}"#;

/// At the gateway there are other servers to hear of, as long as it may be used.
fn goes_on(switch: Switch, caller: &Caller, at_gateway: &Caller) -> bool {
    let of_server = ["server", "identity", "assignment"];
    caller.path == at_gateway.path
        && match switch {
            Switch::Cutoff(kind, _) => of_server.contains(&kind),
            other => matches!(other, Switch::Narrowing | Switch::Choice),
        }
}

#[tokio::test]
async fn a_cut_off_with_a_limit_ends_by_itself_and_not_before() {
    for scene in Scene::on_each_database(|| Upstream::modern().echoing()).await {
        assert_eq!(scene.call().await, End::Answered);
        let limit = Duration::from_secs(1);
        let asked = Instant::now();
        cut(&scene.served, "server", "target", Some(limit.as_secs())).await;
        let known = scene.upstream.calls().len();
        assert!(matches!(scene.call().await, End::Refused(_)));
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let again = async {
            while scene.call().await != End::Answered {
                ticks.tick().await;
            }
        };
        within("the end of a cut-off", again).await;
        assert!(limit <= asked.elapsed(), "{:?}", asked.elapsed());
        assert_eq!(scene.upstream.calls().len(), known + 1, "the one that was answered");
    }
}

#[tokio::test]
async fn a_new_token_does_not_get_around_a_cut_off_user() {
    for scene in Scene::on_each_database(|| Upstream::modern().echoing()).await {
        assert_eq!(scene.call().await, End::Answered);
        cut(&scene.served, "user", "ann", None).await;
        let known = scene.upstream.seen().len();
        let body = json!({"name": "t2"});
        let made = scene.served.ask(Method::POST, "apps/bot/tokens", Some(body)).await;
        let secret = made.body["secret"].as_str().unwrap_or("none").to_owned();
        *scene.caller.token.lock().unwrap() = secret;
        let refused = scene.call().await;
        assert_eq!(refused, End::Refused("403 switched_off".to_owned()), "{made:?}");
        assert_eq!(scene.upstream.seen().len(), known, "nothing reaches the server");
        restore(&scene.served, "user", "ann").await;
        assert_eq!(scene.call().await, End::Answered);
    }
}

impl Scene {
    /// A call whose sender has been recognised, and the body that it still waits for.
    async fn begun_call(&self, nonce: u64) -> (Raw, Bytes) {
        let (parts, body) = self.caller.request(self.served.address, nonce).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut head = format!("POST {} HTTP/1.1\r\ncontent-length: {}\r\n", parts.uri, body.len());
        for (name, value) in &parts.headers {
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        head.push_str("expect: 100-continue\r\n\r\n");
        let mut line = Raw::connect(self.served.address).await;
        line.send(head).await;
        assert_eq!(line.answer().await.unwrap().status, 100, "somebody waits for the body");
        (line, body)
    }

    /// A call that is being answered with a stream, of which one event has arrived.
    async fn streaming_call(&self) -> (Stream, Talk) {
        let request = self.caller.request(self.served.address, 7);
        let talking = async {
            let talk = self.upstream.next().await.stream();
            talk.notification(PROGRESS, r#"{"progressToken":7,"message":"at work"}"#).await;
            talk
        };
        let (mut stream, talk) = tokio::join!(Stream::open(&self.served, request), talking);
        stream.until("at work").await;
        (stream, talk)
    }
}

/// An answer that comes piece by piece.
pub(crate) struct Stream {
    body: Incoming,
    text: String,
    _line: Line,
}

impl Stream {
    pub(crate) async fn open(served: &Served, request: Request<Full<Bytes>>) -> Self {
        let mut line = Line::to(served.address);
        let response = within("the head of a stream", line.open(request)).await.unwrap();
        let is_stream = response.headers()["content-type"] == "text/event-stream";
        assert!(is_stream, "{response:?}");
        Self { body: response.into_body(), text: String::new(), _line: line }
    }

    /// Reads until this text has come.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.text.contains(text) {
            assert!(self.more().await, "the stream ended before `{text}`: {}", self.text);
        }
    }

    /// What comes until its end, comments left out.
    pub(crate) async fn rest(&mut self) -> String {
        let known = self.text.len();
        while self.more().await {}
        let rest = self.text.split_off(known);
        rest.lines().filter(|it| !it.starts_with(':')).collect::<Vec<_>>().join("\n")
    }

    async fn more(&mut self) -> bool {
        let Some(frame) = within("more of a stream", self.body.frame()).await else { return false };
        if let Ok(data) = frame.expect("a stream ends as it should").into_data() {
            self.text.push_str(&String::from_utf8_lossy(&data));
        }
        true
    }
}

/// A session of the legacy era.
struct Session<'a> {
    served: &'a Served,
    caller: &'a Caller,
    id: String,
}

impl<'a> Session<'a> {
    async fn open(served: &'a Served, caller: &'a Caller) -> Self {
        let mut session = Self { served, caller, id: String::new() };
        let info = r#"{"name":"a test","version":"1"}"#;
        let hello = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{info}}}}}"#
        );
        let mut line = Line::to(served.address);
        let opened = within("a session", line.open(session.post(hello))).await.unwrap();
        assert_eq!(opened.status(), 200, "{opened:?}");
        session.id = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        session.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, 202).await;
        session
    }

    async fn call(&self, tool: &str) {
        let params = format!(r#"{{"name":"{tool}","arguments":{{}}}}"#);
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        self.send(&call, 200).await;
    }

    async fn send(&self, body: &str, status: u16) {
        let mut line = Line::to(self.served.address);
        let sent = within("an answer", line.whole(self.post(body.to_owned()))).await.unwrap();
        assert_eq!(sent.0, status, "{}", String::from_utf8_lossy(&sent.1));
    }

    fn post(&self, body: String) -> Request<Full<Bytes>> {
        let request = self.request(Method::POST).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream");
        request.body(Full::new(body.into())).unwrap()
    }

    fn get(&self) -> Request<Full<Bytes>> {
        let request = self.request(Method::GET).header("accept", "text/event-stream");
        request.body(Full::default()).unwrap()
    }

    fn request(&self, method: Method) -> http::request::Builder {
        let token = self.caller.token.lock().unwrap();
        let request = Request::builder().method(method).uri(&self.caller.path);
        let request = request.header("host", self.served.host());
        let request = request.header("authorization", format!("Bearer {token}"));
        if self.id.is_empty() {
            return request;
        }
        request.header("mcp-session-id", &self.id).header("mcp-protocol-version", LEGACY)
    }
}

pub(crate) const PROGRESS: &str = "notifications/progress";

/// Whatever is to end has ended within this.
pub(crate) const SOON: Duration = Duration::from_millis(2_500);
