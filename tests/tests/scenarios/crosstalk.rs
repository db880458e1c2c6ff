//! Many calls at once: each gets its own answer.

use std::sync::Arc;

use tests::{Client, Era, Gateway};
use tokio::task::JoinSet;

use crate::scene::each_era;

const CALLERS: u64 = 64;
const CALLS: u64 = 30;

#[tokio::test]
async fn h067_interleaved_calls_over_http_get_their_own_answers() {
    for (_, plan) in each_era() {
        let upstream = plan.on("tools/call", |call| async move {
            let nonce = call.raw(&["params", "arguments", "nonce"]);
            // Answers overtake each other.
            for _ in 0..dice(nonce.parse().unwrap()) % 50 {
                tokio::task::yield_now().await;
            }
            let result = format!(r#"{{"content":[],"structuredContent":{{"nonce":{nonce}}}}}"#);
            match dice(nonce.parse::<u64>().unwrap() + 1) % 3 {
                0 => call.result(&result),
                1 => call.stream().result(&result).await,
                _ => {
                    let token = call.raw(&["params", "_meta", "progressToken"]);
                    let call = call.stream();
                    let params = format!(r#"{{"progressToken":{token},"progress":{nonce}}}"#);
                    call.notification("notifications/progress", &params).await;
                    call.result(&result).await;
                }
            }
        });
        let upstream = upstream.start().await;
        let gateway = Gateway::dev(&upstream.url).await;
        everybody_gets_their_own(&gateway).await;
    }
}

#[tokio::test]
async fn h067_interleaved_calls_over_one_pipe_get_their_own_answers() {
    for era in ["legacy", "modern"] {
        let gateway = Gateway::dev_command(&[env!("CARGO_BIN_EXE_stdio_double"), era]).await;
        everybody_gets_their_own(&gateway).await;
    }
}

async fn everybody_gets_their_own(gateway: &Gateway) {
    let [modern, legacy] = Client::of_each_era(gateway).await.map(Arc::new);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = Arc::clone(if caller % 2 == 0 { &modern } else { &legacy });
        callers.spawn(async move {
            for call in 0..CALLS {
                one_call(&client, caller * CALLS + call).await;
            }
        });
    }
    callers.join_all().await;
}

async fn one_call(client: &Client, nonce: u64) {
    let members = format!(r#""name":"echo","arguments":{{"nonce":{nonce}}}"#);
    // Everybody uses the same ids and tokens as others do.
    let meta = format!(r#""progressToken":{}"#, nonce % 7);
    let post = client.request_with_meta("tools/call", &members, &meta);
    let sending = client.send(post);
    if dice(nonce + 2).is_multiple_of(16) {
        // Some leave at some moment.
        let leaving = async {
            for _ in 0..dice(nonce + 3) % 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = sending => {}
            () = leaving => {}
        }
        return;
    }
    let answer = sending.await;
    let own = format!(r#""structuredContent":{{"nonce":{nonce}}}"#);
    assert!(answer.text().contains(&own), "{client} {nonce}: {}", answer.text());
    for progress in answer.messages.iter().rev().skip(1) {
        let progress = String::from_utf8(progress.to_vec()).unwrap();
        let own = format!(r#""progressToken":{},"progress":{nonce}}}"#, nonce % 7);
        assert!(progress.contains(&own), "{client} {nonce}: {progress}");
    }
    let is_known = client.era == Era::Legacy || answer.header("mcp-session-id").is_none();
    assert!(is_known, "{client}");
}

/// The same for the same number, and yet all over the place.
fn dice(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed >> 33
}
