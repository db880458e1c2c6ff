//! One process that follows another on the same data folder.

use std::ffi::OsString;
use std::time::Duration;

use futures::future::join;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;
use tests::line::Line;
use tests::load::{End, once};
use tests::wait::{eventually, within};
use tests::{Caller, Client, Documents, Ledger, Site, Upstream};

use crate::ledgers::{Clients, connect_again_and_again, documents};

/// How often.
const RESTARTS: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_process_that_follows_another_loses_no_call_and_refuses_no_connection() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Ledger::start().await;
        let mut served = site.start_with(&documents(&upstream)).await;
        let address = served.address;
        let clients = Clients::of(&served, address).await;
        let restarting = async {
            for _ in 0..RESTARTS {
                clients.progress(300).await;
                let follower = site.follow(&[]).await.unwrap();
                assert_eq!(follower.address, address);
                assert!(std::mem::replace(&mut served, follower).ended().await.success());
            }
            clients.progress(300).await;
        };
        tokio::select! {
            () = restarting => {}
            () = connect_again_and_again(address) => {}
        }
        let done = clients.finish().await;
        assert!(served.stop().await.success());
        let what = format!("{RESTARTS} restarts on {}", site.database());
        done.check(&upstream, &[&site], &what).await;
    }
}

#[tokio::test]
async fn a_signal_starts_the_same_program_again_which_follows() {
    let upstream = Ledger::start().await;
    let site = Site::new(None);
    let mut served = site.start_with(&documents(&upstream)).await;
    let caller = Caller::of("main", "target", &served.token("bot", "t").await);
    let (address, own) = (served.address, served.pid().unwrap().as_raw_pid());
    served.signal(Signal::USR2);
    let child = || {
        let threads = std::fs::read_dir(format!("/proc/{own}/task")).ok()?;
        let files = threads.filter_map(|it| Some(it.ok()?.path().join("children")));
        let listed = files.filter_map(|it| std::fs::read_to_string(it).ok());
        listed.flat_map(|it| it.split_whitespace().next()?.parse().ok()).next()
    };
    let child: i32 = eventually("a successor", child).await;
    assert!(served.ended().await.success());
    let call = once(&mut Line::to(address), address, &caller, 1).await;
    assert_eq!(call.end, End::Answered);
    kill_process(Pid::from_raw(child).unwrap(), Signal::TERM).unwrap();
    // It is nobody's child any more, so it may never be reaped; but what it ran is gone.
    let program = format!("/proc/{child}/exe");
    eventually("its end", || std::fs::read_link(&program).is_err().then_some(())).await;
}

#[tokio::test]
async fn nobody_but_its_own_user_can_follow_a_process() {
    // Nobody else can become another user.
    if !geteuid().is_root() {
        return;
    }
    let site = Site::new(None);
    let mut served = site.start_as_nobody().await;
    // The modes of files do not keep root out.
    assert_eq!(site.follow(&[]).await.err().unwrap().code(), Some(69), "{}", site.words());
    // It is shown the door before it is spoken of.
    let said = || site.words().contains("Somebody rang who cannot take over").then_some(());
    eventually("a word of it", said).await;
    assert!(!served.has_ended());
    assert_eq!(served.page("/readyz").await, 200);
    assert!(served.stop().await.success());
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_ends_with_an_error_that_says_it_may_be_tried_again() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::modern().start().await;
        let documents = Documents::of("target", &upstream.url);
        let mut served = site.start_configured(&documents, "grace_seconds = 1").await;
        let token = served.token("bot", "t").await;
        let path = "/mcp/default/main";
        let client = Client::modern_with_token(&served, path, &token);
        let (answer, (call, follower)) =
            join(client.send(client.tool("target__echo", "{}")), async {
                let call = upstream.next().await;
                (call, site.follow(&[]).await.unwrap())
            })
            .await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        let data = answer.json()["error"]["data"].clone();
        assert_eq!(data["reason"], "interrupted", "{data}");
        assert_eq!(
            (&data["retry"], &data["mayHaveActed"]),
            (&Value::Bool(true), &Value::Bool(true))
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
        within("the server is told", call.given_up()).await;
        assert!(served.ended().await.success());
        // Whoever sends it again is served.
        let (answer, ()) = join(client.send(client.tool("target__echo", "{}")), async {
            upstream.next().await.result(RESULT);
        })
        .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(follower.stop().await.success());
        let ends: Vec<_> =
            site.records().iter().filter_map(|it| it.text("end").map(str::to_owned)).collect();
        assert!(ends.contains(&"interrupted".to_owned()), "{ends:?}");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_long_call_of_somebody_else_is_served_when_it_has_ended() {
    let site = Site::new(None);
    let upstream = Upstream::modern().start().await;
    let mut served = site.start_with(&Documents::of("target", &upstream.url)).await;
    let token = served.token("bot", "t").await;
    let client = Client::modern_with_token(&served, "/mcp/default/main", &token);
    let (long, (early, follower)) = join(client.send(client.tool("target__echo", "{}")), async {
        let call = upstream.next().await;
        let following = site.follow(&[]);
        tokio::pin!(following);
        // It does not listen before the call has ended.
        let early = tokio::time::timeout(Duration::from_millis(300), &mut following).await.is_ok();
        // Until it has made room for the other it answers.
        let mut waiting = None;
        let asking = async {
            while waiting.is_none() {
                let mut list = Box::pin(client.send(client.request("tools/list", "")));
                let answered = tokio::time::timeout(Duration::from_millis(300), &mut list).await;
                waiting = answered.is_err().then_some(list);
            }
        };
        within("the first to make room", asking).await;
        call.result(RESULT);
        let follower = following.await.unwrap();
        let listed = waiting.unwrap().await;
        assert_eq!(listed.status, 200, "{}", listed.text());
        (early, follower)
    })
    .await;
    assert!(!early);
    assert_eq!(long.status, 200, "{}", long.text());
    assert!(served.ended().await.success());
    assert!(follower.stop().await.success());
}

#[tokio::test]
async fn r1_with_a_data_folder_of_its_own_the_next_serves_while_the_last_call_of_the_other_goes_on()
{
    let Some(url) = db::testing::postgres_url().await else { return };
    let (one, other) = (Site::new(Some(url.clone())), Site::new(Some(url)));
    let upstream = Upstream::modern().start().await;
    let mut first = one.start_with(&Documents::of("target", &upstream.url)).await;
    let token = first.token("bot", "t").await;
    let client = Client::modern_with_token(&first, "/mcp/default/main", &token);
    let from = OsString::from(format!("--take-over={}", one.data().display()));
    let (long, second) = join(client.send(client.tool("target__echo", "{}")), async {
        let long = upstream.next().await;
        let second = other.start_under(&[], &[from]).await.unwrap();
        assert_eq!(second.address, first.address);
        let (short, ()) = join(client.send(client.tool("target__echo", "{}")), async {
            upstream.next().await.result(RESULT);
        })
        .await;
        assert_eq!(short.status, 200, "{}", short.text());
        long.result(RESULT);
        second
    })
    .await;
    assert_eq!(long.status, 200, "{}", long.text());
    assert!(first.ended().await.success());
    assert!(second.stop().await.success());
    for site in [one, other] {
        let (code, said) = site.verify().await;
        assert_eq!(code, Some(0), "{said}");
    }
}

const RESULT: &str = r#"{"resultType":"complete","content":[]}"#;
