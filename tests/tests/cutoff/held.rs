//! What was judged before a change and goes on after it.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tests::line::Line;
use tests::load::{End, once};
use tests::raw::Raw;
use tests::wait::within;
use tests::{Caller, Upstream};
use tokio::time::Instant;

use crate::scene::Scene;
use crate::streams::SOON;
use crate::{SWITCHES, cut};

#[tokio::test]
async fn r1_a_body_that_comes_after_a_change_is_judged_by_what_holds_then() {
    for scene in Scene::on_each_database(|| Upstream::modern().echoing()).await {
        let single = Caller {
            path: format!("{}/target", scene.caller.path),
            tool: "echo".to_owned(),
            ..scene.caller.clone()
        };
        for switch in SWITCHES {
            for caller in [&scene.caller, &single] {
                let row = format!("{switch:?}, {}", caller.path);
                let known = scene.upstream.calls().len();
                let (mut line, body) = scene.head_of_a_call(caller).await;
                switch.off(&scene.served).await;
                line.send(body).await;
                let answer = line.answer().await.unwrap();
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(!text.contains("structuredContent"), "{row}: {text}");
                assert_eq!(scene.upstream.calls().len(), known, "{row}: {text}");
                switch.on(&scene.served, &scene.caller).await;
                assert_eq!(scene.call().await, End::Answered, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_made_anew_when_something_changes_meanwhile() {
    for scene in Scene::on_each_database(|| Upstream::modern().by_hand("tools/list")).await {
        let path = format!("{}/target", scene.caller.path);
        let single = Caller { path, ..scene.caller.clone() };
        let request = single.ask(scene.served.address, 5, "tools/list", r#""x":1"#);
        let changing = async {
            let listing = scene.upstream.next().await;
            let user = json!({"name": "carol"});
            scene.served.must(Method::POST, "users", Some(user)).await;
            listing.result(r#"{"resultType":"complete","ttlMs":60000,"tools":[{"name":"echo","inputSchema":{}}]}"#);
        };
        let mut line = Line::to(scene.served.address);
        let (answer, ()) = tokio::join!(line.whole(request), changing);
        let (status, body) = answer.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(status == 200 && body.contains(r#""name":"echo""#), "{status}: {body}");
    }
}

#[tokio::test]
async fn a_list_shows_nothing_that_was_taken_away_meanwhile() {
    for scene in Scene::on_each_database(|| Upstream::modern().by_hand("tools/list")).await {
        let request = scene.caller.ask(scene.served.address, 5, "tools/list", r#""x":1"#);
        let changing = async {
            let listing = scene.upstream.next().await;
            let nothing = json!({"tools": {"expose": "nothing"}});
            let path = "gateways/main/assignments/target";
            scene.served.must(Method::PATCH, path, Some(nothing)).await;
            // What was begun before ends, and there is another look.
            listing.given_up().await;
            scene.upstream.next().await.result(LISTED);
        };
        let mut line = Line::to(scene.served.address);
        let (answer, ()) = tokio::join!(line.whole(request), changing);
        let (status, body) = answer.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(status == 200 && !body.contains("echo"), "{status}: {body}");
    }
}

#[tokio::test]
async fn r3_a_server_that_does_not_take_a_cancellation_delays_no_cut_off() {
    let plan = || Upstream::legacy().by_hand("notifications/cancelled");
    for scene in Scene::on_each_database(plan).await {
        let mut line = Line::to(scene.served.address);
        let call = line.open(scene.caller.request(scene.served.address, 1));
        let held = tokio::select! {
            held = scene.upstream.next() => held,
            answer = call => panic!("{answer:?}"),
        };
        drop(line);
        held.given_up().await;
        let told = scene.upstream.next().await;
        assert_eq!(told.method, "notifications/cancelled");
        let asked = Instant::now();
        cut(&scene.served, "server", "target", None).await;
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        told.given_up().await;
    }
}

#[tokio::test]
async fn a_change_elsewhere_is_no_reason_to_refuse_an_answer() {
    for scene in Scene::on_each_database(Upstream::modern).await {
        let mut line = Line::to(scene.served.address);
        let call = once(&mut line, scene.served.address, &scene.caller, 7);
        let changing = async {
            let held = scene.upstream.next().await;
            let user = json!({"name": "carol"});
            scene.served.must(Method::POST, "users", Some(user)).await;
            held.result(
                r#"{"resultType":"complete","content":[],"structuredContent":{"nonce":7}}"#,
            );
        };
        let (call, ()) = tokio::join!(call, changing);
        assert_eq!(call.end, End::Answered);
    }
}

/// Nothing ends such a call: it is the gate before its answer is released that holds it back.
#[tokio::test]
async fn an_answer_that_was_judged_by_rules_of_before_is_not_released() {
    for scene in Scene::on_each_database(Upstream::modern).await {
        let mut line = Line::to(scene.served.address);
        let call = once(&mut line, scene.served.address, &scene.caller, 7);
        let changing = async {
            let held = scene.upstream.next().await;
            let rule = json!({"name": "r", "pattern": "secret", "action": {"type": "redact"}});
            scene.served.must(Method::POST, "gateways/main/rules", Some(rule)).await;
            held.result(
                r#"{"resultType":"complete","content":[],"structuredContent":{"nonce":7}}"#,
            );
        };
        let (call, ()) = tokio::join!(call, changing);
        assert!(matches!(&call.end, End::Refused(why) if why.starts_with("503 ")), "{call:?}");
    }
}

const LISTED: &str =
    r#"{"resultType":"complete","ttlMs":1,"tools":[{"name":"echo","inputSchema":{}}]}"#;

impl Scene {
    /// Sends the head of a call and waits until the gateway wants the body, which is given.
    async fn head_of_a_call(&self, caller: &Caller) -> (Raw, Bytes) {
        let request: Request<Full<Bytes>> = caller.request(self.served.address, 7);
        let (head, body) = request.into_parts();
        let body = within("a body", body.collect()).await.unwrap().to_bytes();
        let mut text = format!("POST {} HTTP/1.1\r\nexpect: 100-continue\r\n", caller.path);
        for (name, value) in &head.headers {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut line = Raw::connect(self.served.address).await;
        line.send(text).await;
        assert_eq!(line.answer().await.unwrap().status, 100);
        (line, body)
    }
}
