//! Calls that a client on a pipe gives up, through a real gateway: each is over, whenever it is said.

use tests::wait::eventually;
use tests::{Gateway, Piped, Upstream};

use super::NEWEST;

const CALLS: usize = 20;

#[tokio::test]
async fn a_call_that_is_given_up_in_the_same_breath_is_over_all_the_same() {
    for is_modern in [true, false] {
        for plan in [Upstream::modern(), Upstream::legacy()] {
            let server = plan.start().await;
            let gateway = Gateway::dev(&server.url).await;
            let mut bridge = Piped::to(&gateway.url);
            if !is_modern {
                bridge.hello(NEWEST, "{}").await;
            }
            // So that the gateway knows the tool.
            bridge.ask_modern("\"list\"", "tools/list", "").await;
            while bridge.next().await["id"] != "list" {}
            for number in 0..CALLS {
                let named = r#""name":"echo","arguments":{}"#;
                if is_modern {
                    bridge.ask_modern(&number.to_string(), "tools/call", named).await;
                } else {
                    bridge.ask(&number.to_string(), "tools/call", &format!("{{{named}}}")).await;
                }
                bridge
                    .tell("notifications/cancelled", &format!(r#"{{"requestId":{number}}}"#))
                    .await;
            }
            // Each call that has got as far as to be recorded is recorded as given up.
            let row = format!("modern: {is_modern}");
            eventually(&row, || {
                let records = gateway.records();
                let calls = records.iter().filter(|it| it.kind == "intent");
                let calls = calls.filter(|it| it.text("method") == Some("tools/call"));
                let over = records.iter().filter(|it| it.end() == "client_cancelled");
                let (calls, over) = (calls.count(), over.count());
                (calls == over && (is_modern || CALLS == calls)).then_some(())
            })
            .await;
            // Nobody waits for an answer, and the next call has one.
            bridge.ask_modern("\"last\"", "prompts/list", "").await;
            let last = bridge.next().await;
            assert_eq!(last["id"], "last", "{row}: {last}");
        }
    }
}
