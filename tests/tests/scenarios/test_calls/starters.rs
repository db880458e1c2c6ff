//! A test call is made once, with what was written, and for as long as whoever has started it may.

use bytes::Bytes;
use db::{Db, sql};
use futures::StreamExt as _;
use futures::future::join;
use http::{Method, Request};
use http_body_util::Full;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::line::Line;
use tests::wait::within;
use tests::{Served, Site, Upstream};

use super::{CALLS, TOOLS, documents, eve, last, plan};

/// With what somebody comes.
pub(super) struct Shown(Vec<(&'static str, String)>);

impl Shown {
    pub(super) fn bearer(token: &str) -> Self {
        Self(vec![("authorization", format!("Bearer {token}"))])
    }

    /// A session for which a token was traded.
    async fn session(served: &Served, token: &str) -> Self {
        let origin = Self(vec![("origin", format!("http://{}", served.host()))]);
        let body = json!({ "token": token }).to_string();
        let request = origin.request(served, Method::POST, "session", body);
        let mut line = Line::to(served.address);
        let answer = line.open(request).await.unwrap();
        assert_eq!(answer.status(), 201);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        let Self(mut all) = origin;
        all.push(("cookie", cookie.to_owned()));
        Self(all)
    }

    pub(super) fn request(
        &self,
        served: &Served,
        method: Method,
        path: &str,
        body: String,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header("host", served.host())
            .header("content-type", "application/json");
        for (name, value) in &self.0 {
            request = request.header(*name, value);
        }
        request.body(Full::new(body.into())).unwrap()
    }

    fn call(&self, served: &Served, body: &str) -> Request<Full<Bytes>> {
        let path = format!("workspaces/default/{CALLS}");
        self.request(served, Method::POST, &path, body.to_owned())
    }
}

const WAIT: &str = r#"{"app":"bot","tool":"up__wait"}"#;

#[tokio::test]
async fn a_test_call_ends_with_what_its_starter_has_shown() {
    for what in ["token", "session"] {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let row = site.database();
            let upstream = Upstream::modern().with_tools(TOOLS).by_hand("tools/call").start().await;
            let served = site.start_with(&documents(&upstream.url)).await;
            let token = eve(&served).await;
            let shown = match what {
                "token" => Shown::bearer(&token),
                _ => Shown::session(&served, &token).await,
            };
            let ending = async {
                let arrived = within("the call", upstream.next()).await;
                let none = String::new();
                let operator = Shown::bearer(served.admin());
                let request = match what {
                    "token" => {
                        let path = "workspaces/default/users/eve/admin-tokens/cli";
                        operator.request(&served, Method::DELETE, path, none)
                    }
                    _ => shown.request(&served, Method::DELETE, "session", none),
                };
                let (status, said) = Line::to(served.address).whole(request).await.unwrap();
                assert_eq!(status, 204, "{row}: {what}: {said:?}");
                within("its end", arrived.given_up()).await;
            };
            let mut line = Line::to(served.address);
            let (reply, ()) = join(line.whole(shown.call(&served, WAIT)), ending).await;
            let (status, said) = reply.unwrap();
            let told: Value = serde_json::from_slice(&said).unwrap();
            assert_eq!(status, 200, "{row}: {what}: {told}");
            assert_eq!(told["outcome"], "client_cancelled", "{row}: {what}: {told}");
            assert_eq!((last(&told).0, last(&told).2), ("test", false), "{row}: {what}: {told}");
            assert_eq!(told["result"], Value::Null, "{row}: {what}: {told}");
        }
    }
}

#[tokio::test]
async fn a_test_call_holds_up_no_gateway_for_longer_than_any_request() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let upstream = Upstream::modern().with_tools(TOOLS).by_hand("tools/call").start().await;
        let served = site.start_configured(&documents(&upstream.url), "grace_seconds = 1").await;
        let shown = Shown::bearer(served.admin());
        let ending = async {
            let arrived = within("the call", upstream.next()).await;
            served.signal(Signal::TERM);
            within("its end", arrived.given_up()).await;
        };
        let mut line = Line::to(served.address);
        let (reply, ()) = join(line.whole(shown.call(&served, WAIT)), ending).await;
        let (status, said) = reply.unwrap();
        let told: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!((status, &told["outcome"]), (200, &json!("interrupted")), "{row}: {told}");
        assert!(served.stop().await.success(), "{row}");
        let (code, said) = site.verify().await;
        assert_eq!(code, Some(0), "{row}: {said}");
    }
}

#[tokio::test]
async fn a_test_call_for_which_nobody_waits_is_given_up_and_few_are_made_at_a_time() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let upstream = Upstream::modern().with_tools(TOOLS).by_hand("tools/call").start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let shown = Shown::bearer(&eve(&served).await);
        let call = || async { Line::to(served.address).whole(shown.call(&served, WAIT)).await };
        let mut waiting = futures::stream::FuturesUnordered::new();
        let mut arrived = Vec::new();
        for _ in 0..8 {
            waiting.push(call());
            let next = async {
                tokio::select! {
                    next = upstream.next() => next,
                    ended = waiting.next() => panic!("{row}: {ended:?}"),
                }
            };
            arrived.push(within("the call", next).await);
        }
        let (status, said) = call().await.unwrap();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(status, 429, "{row}: {said}");
        assert!(said.contains("8 test calls of yours are under way"), "{row}: {said}");
        drop(waiting);
        for arrived in arrived {
            within("its end", arrived.given_up()).await;
        }
        let ended = async {
            loop {
                let page = served.must(Method::GET, "records?limit=100", None).await;
                let all = page["items"].as_array().unwrap().iter();
                let is_end = |it: &&Value| it["record"]["end"] == "client_cancelled";
                if all.filter(is_end).count() == 8 {
                    return;
                }
            }
        };
        within("their ends in the record", ended).await;
    }
}

#[tokio::test]
async fn h165_the_same_test_call_twice_is_made_once_and_its_answer_is_kept_nowhere() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let upstream = plan().start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let Shown(mut shown) = Shown::bearer(served.admin());
        shown.push(("idempotency-key", "\"once\"".to_owned()));
        let shown = Shown(shown);
        let body = r#"{"app":"bot","tool":"up__echo","arguments":{"marked":"a-mark"}}"#;
        for expected in [200, 409] {
            let request = shown.call(&served, body);
            let (status, said) = Line::to(served.address).whole(request).await.unwrap();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(status, expected, "{row}: {said}");
            assert_eq!(said.contains("a-mark"), expected == 200, "{row}: {said}");
        }
        assert_eq!(upstream.calls().len(), 1, "{row}");
        assert!(served.stop().await.success(), "{row}");
        let file = || format!("sqlite:{}", site.data().join("ostiary.db").display());
        let db = Db::open(&site.url().map_or_else(file, str::to_owned)).await.unwrap();
        let mut tx = db.read().await.unwrap();
        let counting = sql("SELECT COUNT(*), COUNT(body) FROM answers");
        let found: Option<(i64, i64)> = tx.optional(counting).await.unwrap();
        assert_eq!(found, Some((1, 0)), "{row}: places, and answers in them");
        drop(tx);
        db.close().await;
    }
}

#[tokio::test]
async fn h034_the_arguments_of_a_test_call_leave_as_they_are_written_or_not_at_all() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let upstream = plan().start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let shown = Shown::bearer(&eve(&served).await);
        let send = |arguments: &str| {
            let body = format!(r#"{{"app":"bot","tool":"up__echo","arguments":{arguments}}}"#);
            let request = shown.call(&served, &body);
            let address = served.address;
            async move { Line::to(address).whole(request).await.unwrap() }
        };
        let exact = r#"{"n":12345678901234567890123,"m":"ann@example.org","o":1.50}"#;
        let (status, said) = send(exact).await;
        let told: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!((status, &told["outcome"]), (200, &json!("answered")), "{row}: {told}");
        let left = upstream.calls()[0].raw(&["params", "arguments"]);
        assert!(left.contains(r#""n":12345678901234567890123,"#), "{row}: {left}");
        assert!(left.contains(r#""o":1.50"#), "{row}: {left}");
        // Who may see no rules is not told their names.
        let links = told["trace"].as_array().unwrap();
        let rule = links.iter().find(|it| it["kind"] == "rule").unwrap();
        assert_eq!(rule["name"], "a rule", "{row}: {told}");
        for wrong in [r#"{"a":1,"a":2}"#, r#"{"b":{"a":1,"\u0061":2}}"#, "null", "[]", "1"] {
            let (status, said) = send(wrong).await;
            assert_eq!(status, 400, "{row}: {wrong}: {said:?}");
        }
        assert_eq!(upstream.calls().len(), 1, "{row}");
        // A token that is taken for the name of a tool is not in the record of the act.
        let body = json!({"app": "bot", "tool": served.admin()}).to_string();
        Line::to(served.address).whole(shown.call(&served, &body)).await.unwrap();
        let page = served.must(Method::GET, "records?limit=50", None).await;
        let acts = page["items"].as_array().unwrap().iter().filter(|it| it["kind"] == "admin");
        let names: Vec<_> = acts.map(|it| it["record"]["object_name"].to_string()).collect();
        assert!(names.iter().any(|it| it.contains("[secret]")), "{row}: {names:?}");
        assert!(!names.iter().any(|it| it.contains(served.admin())), "{row}: {names:?}");
    }
}
