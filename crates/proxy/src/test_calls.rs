//! A call that somebody makes in the place of an app, to see what comes of it.
//!
//! Only how it comes in and how its answer is read are of its own. It is a request of the modern era,
//! as a client would have sent it that can be asked nothing, and enters where those of clients enter
//! that have been received and identified; from there on its way is theirs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::ports::{Answer, TestCalls};
use domain::{Answered, Kind, Name, NotCalled, TestCall, Tested};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use mcp::envelope::{Message, MessageKind};
use mcp::headers;
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::revision;
use mcp::sse::Decoder;
use tokio::sync::Semaphore;

use crate::body::{Body, Released, Spot};
use crate::call::Asked;
use crate::identify::{Caller, Test};
use crate::known::Known;
use crate::modern;
use crate::refusal::Refusal;
use crate::route::{Place, Way};
use crate::serve::{Proxy, Worker};
use crate::wire::HttpWire;

/// How long whoever tries a call waits for its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of an answer that is larger, nothing is shown.
const MOST_BYTES: usize = 1 << 20;

/// Calls in the place of apps, on a runtime of its own choice.
pub struct Tester(Arc<Worker>);

impl Tester {
    /// One with connections of its own. What it leaves to be done is among the tasks of the data plane's
    /// options, which somebody waits for.
    pub fn new(proxy: Arc<Proxy>, wire: HttpWire, hop: Option<HttpWire>) -> Self {
        let (held, looking) = (proxy.options.tasks.clone(), Semaphore::new(1));
        Self(Arc::new(Worker { proxy, wire, hop, held, looking }))
    }

    async fn test(&self, test: TestCall) -> Result<Tested, NotCalled> {
        let nowhere = || NotCalled("nobody knows from where".into());
        let peer = test.starter.address.ok_or_else(nowhere)?;
        let mut asked = self.ask(test, peer).map_err(|refusal| NotCalled(refusal.to_string()))?;
        let mut tool = None;
        let serving = async {
            tool = self.find(&mut asked).await;
            let spot = Spot {
                workspace: Arc::clone(&asked.caller.workspace),
                gateway: Arc::clone(&asked.place.gateway),
            };
            let response = Box::pin(modern::serve(asked)).await;
            let flights = &self.0.proxy.flights;
            read(response.map(|body: Body| Released::of(body, flights, Some(spot)))).await
        };
        let answer = tokio::time::timeout(PATIENCE, serving).await;
        Ok(Tested { tool, answer: answer.unwrap_or(Answered::Late(PATIENCE.as_secs())) })
    }

    /// What a client of the app would have asked, at the gateway's own address.
    fn ask(&self, test: TestCall, peer: IpAddr) -> Result<Asked, Refusal> {
        let TestCall { workspace, gateway, app, call, tool, arguments, starter } = test;
        let proxy = &self.0.proxy;
        let arrived = proxy.clock.elapsed();
        let config = Arc::clone(&proxy.gate.latest().config);
        let found = config.workspace(workspace).ok_or(Refusal::NoGateway)?;
        let test = Test { call, starter };
        let caller = Caller::test(found, app, test).ok_or(Refusal::NoGateway)?;
        let gateway = found.gateways.values().find(|it| it.id == gateway);
        let gateway = Arc::clone(gateway.ok_or(Refusal::NoGateway)?);
        let place = Place { config: Arc::clone(&config), gateway, only: None, way: Way::Direct };
        let message = Message::parse(request(&tool, &arguments), Limits::default())?;
        let headers = HeaderMap::new();
        let known = Known { caller, place, headers, peer, is_passed_on: false, arrived };
        Ok(known.ask(&self.0, message, revision::LATEST, None))
    }

    /// Which tool of which server is meant, and what a client that has seen it says in headers.
    async fn find(&self, asked: &mut Asked) -> Option<(Name, String)> {
        let params = asked.message.params();
        let exposed = params.and_then(|it| it.get("name")).and_then(Raw::str)?.into_owned();
        let view = self.0.proxy.catalog.view_for(asked, Some(&exposed)).await;
        let (offered, offer) = view.find(Kind::Tool, &exposed)?;
        let arguments = params.and_then(|it| it.get("arguments"));
        asked.headers =
            headers::param_header_values(&offer.headers, arguments).into_iter().collect();
        Some((offered.assignment.alias.clone(), offered.name.into_string()))
    }
}

impl TestCalls for Tester {
    fn call(&self, test: TestCall) -> Answer<'_, Result<Tested, NotCalled>> {
        Box::pin(self.test(test))
    }
}

fn request(tool: &str, arguments: &str) -> Bytes {
    let info = String::from_utf8_lossy(&crate::link::our_info()).into_owned();
    let meta = format!(
        r#"{{"{}":{},"{}":{info},"{}":{{}}}}"#,
        meta::PROTOCOL_VERSION,
        quote(revision::LATEST.as_str()),
        meta::CLIENT_INFO,
        meta::CLIENT_CAPABILITIES,
    );
    let params = format!(r#"{{"_meta":{meta},"name":{},"arguments":{arguments}}}"#, quote(tool));
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#).into()
}

/// The answer, whether it comes alone or at the end of a stream.
async fn read(response: Response<Released>) -> Answered {
    let media = response.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let is_stream = media.is_some_and(|it| it.starts_with(b"text/event-stream"));
    let mut body = response.into_body();
    if !is_stream {
        let mut whole = BytesMut::new();
        while let Some(Ok(frame)) = body.frame().await {
            whole.extend_from_slice(frame.data_ref().map_or(b"", |it| it));
            if MOST_BYTES < whole.len() {
                return Answered::TooLarge(MOST_BYTES);
            }
        }
        return told(whole.freeze()).unwrap_or(Answered::Nothing);
    }
    let mut events = Decoder::new(MOST_BYTES);
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        events.push(data);
        loop {
            match events.next_event() {
                Ok(Some(event)) if event.is_message() => {
                    if let Some(answer) = told(event.data) {
                        return answer;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return Answered::TooLarge(MOST_BYTES),
            }
        }
    }
    Answered::Nothing
}

/// What a message answers; nothing where it only tells of something on the way.
fn told(message: Bytes) -> Option<Answered> {
    let message = Message::parse(message, Limits::default()).ok()?;
    match message.kind() {
        MessageKind::Response => Some(Answered::Result(message.result()?.text().to_owned())),
        MessageKind::Error => {
            let error = message.error()?;
            let code = error.get("code").and_then(Raw::i64).unwrap_or_default();
            let text = error.get("message").and_then(Raw::str).unwrap_or_default();
            Some(Answered::Error { code, message: text.into_owned() })
        }
        MessageKind::Request | MessageKind::Notification => None,
    }
}
