//! What waits while the gateway cannot tell whether anything has changed.

use db::{Db, Tx, sql};
use serde_json::{Value, json};
use tests::client::LEGACY;
use tests::documents::Documents;
use tests::upstream::Talk;
use tests::wait::{eventually, within};
use tests::{Client, Record, Served, Site, Streamed, Upstream};

/// A legacy client that its server has asked something in a call, and a gateway that asks PostgreSQL
/// whether anything has changed: in a single process without others nobody has to be asked.
struct Asked {
    upstream: Upstream,
    site: Site,
    served: Served,
    client: Client,
    answer: Streamed,
    call: Talk,
    /// Of the question, as the client has it.
    id: Value,
    url: String,
}

impl Asked {
    /// Nothing where there is no PostgreSQL.
    async fn new() -> Option<Self> {
        let url = db::testing::postgres_url().await?;
        let upstream = Upstream::legacy().start().await;
        let site = Site::new(Some(url.clone()));
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        let place = ("/mcp/default/main/target", token.as_str());
        let knows = r#"{"elicitation":{}}"#;
        let client = Client::legacy_with_token(&served, place, LEGACY, knows).await;
        client.warm_up().await;
        let called = client.open(client.tool("echo", "{}"));
        let (mut answer, call) = futures::future::join(called, async {
            let call = upstream.next().await.stream();
            call.message(QUESTION).await;
            call
        })
        .await;
        let id = answer.message().await["id"].clone();
        Some(Self { upstream, site, served, client, answer, call, id, url })
    }
}

#[tokio::test]
async fn an_answer_that_the_gate_holds_back_can_be_given_once_more() {
    let Some(Asked { upstream, served, client, mut answer, call, id, url, .. }) =
        Asked::new().await
    else {
        return;
    };
    let reply = || client.send(client.reply(&id, r#"{"action":"accept"}"#));
    let locked = close(&url).await;
    let known = upstream.seen().len();
    let refused = reply().await;
    assert_eq!((refused.status, refused.reason().as_deref()), (503, Some("gate_closed")));
    assert_eq!(refused.json()["error"]["data"]["retry"], true);
    assert_eq!(upstream.seen().len(), known, "nothing has left");
    locked.rollback().await.unwrap();

    let taken = async { while reply().await.status != 202 {} };
    let (given, ()) = futures::future::join(
        async {
            let given = upstream.next().await;
            let body = given.json();
            given.accept();
            body
        },
        within("the answer is taken", taken),
    )
    .await;
    assert_eq!(given, json!({"jsonrpc": "2.0", "id": 7, "result": {"action": "accept"}}));
    call.result(r#"{"content":[]}"#).await;
    assert!(answer.message().await["result"].is_object());
    // And it has been given once.
    assert_eq!(reply().await.status, 202);
    assert_eq!(upstream.seen_of("").len(), 1);
    assert!(served.stop().await.success());
}

#[tokio::test]
async fn a_question_that_is_taken_back_while_its_answer_waits_is_not_asked_again() {
    let Some(Asked { upstream, site, served, client, mut answer, call, id, url }) =
        Asked::new().await
    else {
        return;
    };
    let reply = || client.send(client.reply(&id, r#"{"action":"accept"}"#));
    let locked = close(&url).await;
    let (refused, ()) = futures::future::join(reply(), async {
        // The answer is on record once its question counts as answered, and goes no further. That
        // somebody waits for the epoch would not say who.
        let is_recorded = || site.latest_records().iter().any(is_answer).then_some(());
        eventually("the answer is on its way", is_recorded).await;
        call.message(TAKEN_BACK).await;
        within("the client hears it", async {
            while answer.message().await["method"] != "notifications/cancelled" {}
        })
        .await;
    })
    .await;
    assert_eq!((refused.status, refused.reason().as_deref()), (503, Some("gate_closed")));
    locked.rollback().await.unwrap();
    assert_eq!(reply().await.status, 202, "an answer to what nobody asks goes nowhere");
    assert!(upstream.seen_of("").is_empty(), "nothing has left");
    call.result(r#"{"content":[]}"#).await;
    assert!(answer.message().await["result"].is_object());
    assert!(served.stop().await.success());
}

/// Keeps everybody from reading the epoch, and so the gate closed, until it is rolled back.
pub(crate) async fn close(url: &str) -> Tx {
    let mut locked = Db::open(url).await.unwrap().begin().await.unwrap();
    locked.execute(sql("LOCK TABLE epoch IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    locked
}

/// Whether it is of an answer to a question, before it leaves.
fn is_answer(record: &Record) -> bool {
    record.kind == "intent" && record.text("method") == Some("")
}

const QUESTION: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}"#;
const TAKEN_BACK: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
