//! Servers on the transport of 2024-11-05: what they ask does not say for which call.

use futures::future::{join, join3};
use serde_json::json;
use tests::Upstream;

use super::{FORMS, Scene, asks, question, retry_of, state};

#[tokio::test]
async fn two_calls_at_a_time_are_asked_on_streams_of_their_own() {
    for scene in Scene::on_each_database(|| Upstream::legacy().over_sse()).await {
        let row = scene.site.database();
        let client = scene.client(FORMS);
        let arguments = |n: usize| format!(r#"{{"n":{n}}}"#);
        let asking = async {
            let mut asked = Vec::new();
            for _ in 0..2 {
                let call = scene.call().await;
                let (stream, target) = (call.stream_of_answer(), call.target.clone());
                let (id, n) = (call.id(), call.raw(&["params", "arguments", "n"]));
                call.accept();
                let params = format!(r#"{{"message":"for {n}","requestedSchema":{{}}}}"#);
                // Both servers count from one.
                stream.message(&question("1", &params)).await;
                asked.push((n, id, stream, target));
            }
            asked.sort_by(|one, other| one.0.cmp(&other.0));
            asked
        };
        let first = client.send(client.tool("echo", &arguments(1)));
        let second = client.send(client.tool("echo", &arguments(2)));
        let (first, second, asked) = join3(first, second, asking).await;
        assert_ne!(asked[0].3, asked[1].3, "{row}: each has a stream");
        for (at, (answer, (_, id, stream, target))) in
            [first, second].iter().zip(asked).enumerate().rev()
        {
            let n = at + 1;
            let message = &asks(answer)["q1"]["params"]["message"];
            assert_eq!(*message, json!(format!("for {n}")), "{row}: {}", answer.text());
            let given = format!(r#"{{"q1":{{"action":"accept","content":{{"n":{n}}}}}}}"#);
            let members = format!(r#""name":"echo","arguments":{}"#, arguments(n));
            let back = retry_of(&client, "tools/call", &members, (&state(answer), &given));
            let ending = async {
                let told = scene.answer().await;
                assert_eq!(told.target, target, "{row}: the answer goes to the stream of its call");
                assert_eq!(told.raw(&["result", "content", "n"]), n.to_string(), "{row}");
                told.accept();
                let result = format!(r#"{{"content":[],"structuredContent":{{"was":{n}}}}}"#);
                let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
                stream.message(&body).await;
            };
            let (last, ()) = join(client.send(back), ending).await;
            let was = &last.json()["result"]["structuredContent"];
            assert_eq!(*was, json!({"was": n}), "{row}: {}", last.text());
        }
        let records = scene.records().await;
        for (method, end) in [("tools/call", "answered"), ("elicitation/create", "told")] {
            let begun = records.iter().filter(|it| it.kind == "intent");
            let calls: Vec<_> = begun.filter(|it| it.text("method") == Some(method)).collect();
            assert_eq!(calls.len(), 2, "{row}: {method}");
            for call in calls {
                let ends = records.iter().filter(|it| it.kind == "outcome");
                let ends: Vec<_> = ends.filter(|it| it.text("call") == call.text("call")).collect();
                assert_eq!(ends.len(), 1, "{row}: {method}");
                assert_eq!(ends[0].text("end"), Some(end), "{row}: {method}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_while_its_call_is_held_ends_the_call() {
    let scene = Scene::at(tests::Site::new(None), Upstream::legacy().over_sse(), "").await;
    let client = scene.client(FORMS);
    let asking = async {
        let call = scene.call().await;
        let stream = call.stream_of_answer();
        call.accept();
        stream.message(&question("1", r#"{"message":"?","requestedSchema":{}}"#)).await;
    };
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), asking).await;
    scene.upstream.end_stream();
    // Before that has been noticed, answers would still be on their way to the server.
    let is_over = || {
        let records = scene.site.records();
        records.iter().any(|it| it.text("end") == Some("upstream")).then_some(())
    };
    tests::wait::eventually("the end of the call", is_over).await;
    let members = r#""name":"echo","arguments":{}"#;
    let given = r#"{"q1":{"action":"accept","content":{}}}"#;
    let back = retry_of(&client, "tools/call", members, (&state(&answer), given));
    let last = client.send(back).await;
    assert_ne!(last.verdict(), "200", "{}", last.text());
    // The next call finds another stream.
    let calling = async {
        let call = scene.call().await;
        call.result(r#"{"content":[],"structuredContent":{"m":1}}"#);
    };
    let (next, ()) = join(client.send(client.tool("echo", "{}")), calling).await;
    assert!(next.text().contains(r#"{"m":1}"#), "{}", next.text());
    let records = scene.records().await;
    let ends = records.iter().filter(|it| it.kind == "outcome");
    let ends: Vec<_> = ends.filter_map(|it| it.text("end")).collect();
    assert_eq!(ends, ["upstream", "request_state", "answered"]);
}
