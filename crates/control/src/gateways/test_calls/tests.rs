//! What came of a call is shown by what holds when nothing is waited for any more.

use std::sync::{Arc, Weak};

use axum::http::Method;
use domain::ports::{Answer, TestCalls};
use domain::{Answered, NotCalled, TestCall, Tested};
use serde_json::{Value, json};

use crate::testing::Api;

/// Answers, and before that something is changed.
struct Meanwhile(Weak<Api>, Option<(Method, &'static str, Option<Value>)>);

impl TestCalls for Meanwhile {
    fn call(&self, _: TestCall) -> Answer<'_, Result<Tested, NotCalled>> {
        Box::pin(async move {
            if let Some((method, path, body)) = self.1.clone() {
                let reply = self.0.upgrade().unwrap().ask(method, path, body).await;
                assert!(reply.status.is_success(), "{path}: {}", reply.text);
            }
            Ok(Tested { tool: None, answer: Answered::Result(json!({"said": 1}).to_string()) })
        })
    }
}

#[tokio::test]
async fn a_test_call_shows_nothing_to_whoever_may_not_see_it_at_the_end() {
    let cut = json!({"kind": "app", "name": "bot", "reason": "it leaks"});
    let rows = [
        (None, true, "unrecorded"),
        (
            Some((Method::DELETE, "users/eve/admin-tokens/cli", None)),
            false,
            "whoever has started it may not do so any more, nor see what came of it",
        ),
        (
            Some((Method::DELETE, "role-grants/eve-0", None)),
            false,
            "whoever has started it may not do so any more, nor see what came of it",
        ),
        (
            Some((Method::POST, "cutoffs", Some(cut))),
            false,
            "what was answered is not shown, since what let the call through has been taken away",
        ),
    ];
    for (change, is_shown, because) in rows {
        for api in Api::on_each_database().await {
            api.given_a_chain().await;
            let token = api.given_admin("eve", &[("workspace-admin", "workspace")]).await;
            let api = Arc::new(api);
            let meanwhile = Meanwhile(Arc::downgrade(&api), change.clone());
            api.control.set_test_calls(Arc::new(meanwhile));
            let body = json!({"app": "bot", "tool": "search"});
            let path = "gateways/main/calls";
            let reply = api.ask_as(&token, Method::POST, path, Some(body)).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            let told = reply.json();
            assert_eq!(told["because"], because, "{told}");
            assert_eq!(told["result"] == json!({"said": 1}), is_shown, "{told}");
            assert!(is_shown || !told.to_string().contains("said"), "{told}");
        }
    }
}
