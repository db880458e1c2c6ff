//! A process that is told to stop, and first lets balancers and clients go elsewhere.

use bytes::Bytes;
use futures::future::join;
use http::Request;
use http_body_util::Full;
use rustix::process::Signal;
use tests::line::Line;
use tests::wait::{eventually, within};
use tests::{Caller, Client, Documents, Ledger, Site, Upstream};
use tokio::net::TcpStream;

use crate::ledgers::documents;

#[tokio::test]
async fn readiness_goes_first_and_answers_are_the_last_of_their_connections() {
    let upstream = Ledger::start().await;
    let site = Site::new(None);
    let mut served = site.start_configured(&documents(&upstream), "drain_seconds = 3600").await;
    let caller = Caller::of("main", "target", &served.token("bot", "t").await);
    let address = served.address;
    assert_eq!(served.page("/readyz").await, 200);
    let mut kept = Line::to(address);
    let answer = kept.open(caller.request(address, 1)).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("connection")), (200, None));
    drop(answer);
    served.signal(Signal::TERM);
    let ready =
        || Request::get("/readyz").header("host", "localhost").body(Full::<Bytes>::default());
    within("it is not ready any more", async {
        while Line::to(address).whole(ready().unwrap()).await.unwrap().0 != 503 {}
    })
    .await;
    // Both on a connection that there was, and on a new one.
    for (nonce, mut line) in [(2, kept), (3, Line::to(address))] {
        let answer = line.open(caller.request(address, nonce)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["connection"], "close");
    }
    // Whoever says it once more does not wait.
    served.signal(Signal::TERM);
    assert!(served.ended().await.success());
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(upstream.arrivals().len(), 3);
}

#[tokio::test]
async fn nobody_waits_for_one_who_accepts_nothing_any_more() {
    let upstream = Upstream::modern().start().await;
    let site = Site::new(None);
    let mut served = site.start_with(&Documents::of("target", &upstream.url)).await;
    let token = served.token("bot", "t").await;
    let client = Client::modern_with_token(&served, "/mcp/default/main", &token);
    let (answer, ()) = join(client.send(client.tool("target__echo", "{}")), async {
        let call = upstream.next().await;
        served.signal(Signal::TERM);
        let address = served.address;
        // The call goes on; whoever wants another is refused, and not left in a queue until its end.
        let is_closed = || std::net::TcpStream::connect(address).is_err().then_some(());
        eventually("the end of listening", is_closed).await;
        assert!(!site.data().join("handover.sock").exists());
        let nobody = site.follow(&[]).await.err().unwrap();
        assert_eq!(nobody.code(), Some(69), "{}", site.words());
        assert!(!served.has_ended());
        call.result(r#"{"resultType":"complete","content":[]}"#);
    })
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(served.ended().await.success());
}
