//! A successor that cannot follow: the one before it goes on.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use tests::line::Line;
use tests::load::{End, once};
use tests::wait::{eventually, within};
use tests::{Caller, Client, Ledger, Site};

use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::ledgers::{Clients, documents};

/// Who has rung stands there until somebody opens.
#[tokio::test]
async fn a_successor_for_whom_there_is_no_open_file_is_let_in_later() {
    const PAUSE: Duration = Duration::from_millis(50);
    const SAID: &str = "Nobody who rings can be heard for now";

    let site = Site::new(None);
    let served = site.start().await;
    assert_eq!(served.page("/readyz").await, 200);
    // What is open stays so.
    let few = Rlimit { current: Some(3), maximum: getrlimit(Resource::Nofile).maximum };
    let most = prlimit(served.pid(), Resource::Nofile, few).unwrap();
    let began = Instant::now();
    let place = site.data().join("handover.sock");
    let _ringing = within("a doorbell", UnixStream::connect(place)).await.unwrap();
    let rung = || site.words().matches(SAID).count();
    let times = eventually("somebody at the door", || (2 < rung()).then(rung)).await;
    let least = PAUSE * u32::try_from(times - 1).unwrap();
    assert!(least <= began.elapsed(), "{times} times in {:?}", began.elapsed());
    prlimit(served.pid(), Resource::Nofile, most).unwrap();
    assert!(served.stop().await.success());
}

#[tokio::test]
async fn a_successor_that_is_not_prepared_changes_nothing() {
    let upstream = Ledger::start().await;
    let site = Site::new(None);
    let mut served = site.start_with(&documents(&upstream)).await;
    let token = served.token("bot", "t").await;
    let caller = Caller::of("main", "target", &token);
    let mut session = Client::modern_with_token(&served, "/mcp/default/main", &token);
    assert_eq!(session.begin_session().await.status, 200);
    let mut line = Line::to(served.address);
    assert_eq!(once(&mut line, served.address, &caller, 1).await.end, End::Answered);
    let bad = site.home().join("bad.toml");
    std::fs::write(&bad, "grace_seconds = 0").unwrap();
    let bad = bad.to_str().unwrap();
    for words in [&["--config", bad][..], &["--apply", "/nowhere.yaml"]] {
        assert_eq!(site.follow(words).await.err().unwrap().code(), Some(78), "{words:?}");
    }
    assert!(!served.has_ended());
    // Even the connection and the session are the ones of before.
    assert_eq!(once(&mut line, served.address, &caller, 2).await.end, End::Answered);
    let call = session.tool("target__echo", r#"{"nonce":3}"#);
    assert_eq!(session.send(call).await.status, 200);
    assert!(served.stop().await.success());
}

#[tokio::test]
async fn a_successor_that_listens_elsewhere_is_refused() {
    let site = Site::new(None);
    let mut served = site.start().await;
    let other = ["--config".to_owned(), configuration(&site, "listen = '127.0.0.2:0'")];
    // The command line of the test says where to listen as well, and wins.
    let follower = site.follow(&[&other[0], &other[1]]).await.unwrap();
    assert!(served.ended().await.success());
    assert!(follower.stop().await.success());
    let nobody = site.follow(&[]).await.err().unwrap();
    assert_eq!(nobody.code(), Some(69), "{}", site.words());
    assert!(site.words().contains("can be followed"), "{}", site.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_fails_after_all_is_waited_out_and_no_call_is_lost() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Ledger::start().await;
        let mut served = site.start_with(&documents(&upstream)).await;
        let clients = Clients::of(&served, served.address).await;
        // What can be read, and cannot be applied.
        let documents = site.home().join("more.yaml");
        std::fs::write(&documents, "kind: Gateway\nname: odd\nteams: [nobody-knows]\n").unwrap();
        for _ in 0..2 {
            clients.progress(200).await;
            let ended = site.follow(&["--apply", documents.to_str().unwrap()]).await;
            assert_eq!(ended.err().unwrap().code(), Some(78), "{}", site.words());
            clients.progress(200).await;
            assert!(!served.has_ended());
        }
        let done = clients.finish().await;
        assert!(served.stop().await.success());
        let what = format!("two successors that failed on {}", site.database());
        done.check(&upstream, &[&site], &what).await;
    }
}

fn configuration(site: &Site, text: &str) -> String {
    let path = site.home().join("other.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
