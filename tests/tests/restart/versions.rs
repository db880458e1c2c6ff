//! Two versions on one schema. Where there is no older binary to be tried with, the newer version is
//! played: by a migration that this one does not know, which adds a table and a column, beside the
//! running gateway or before its start.

use std::sync::atomic::{AtomicU64, Ordering};

use db::{Db, sql};
use futures::future::join_all;
use http::Method;
use serde_json::json;
use tests::line::Line;
use tests::load::{End, once};
use tests::serve::{binary, older_binary};
use tests::{Caller, Documents, Ledger, Site};

use crate::ledgers::{Clients, connect_again_and_again, documents};

#[tokio::test(flavor = "multi_thread")]
async fn r22_a_version_follows_an_older_one_and_back_with_no_call_lost() {
    for mut site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Ledger::start().await;
        site.program = older_binary();
        let mut served = site.start_with(&documents(&upstream)).await;
        let address = served.address;
        let clients = Clients::of(&served, address).await;
        let upgrading = async {
            for program in [binary(), older_binary(), binary()] {
                clients.progress(200).await;
                site.program = program;
                let follower = site.follow(&[]).await.unwrap();
                assert!(std::mem::replace(&mut served, follower).ended().await.success());
            }
            clients.progress(200).await;
        };
        tokio::select! {
            () = upgrading => {}
            () = connect_again_and_again(address) => {}
        }
        let done = clients.finish().await;
        assert!(served.stop().await.success());
        let what = format!("an upgrade, back and forth on {}", site.database());
        done.check(&upstream, &[&site], &what).await;
    }
}

#[tokio::test]
async fn h178_two_versions_serve_beside_each_other_and_cut_off_for_each_other() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let (mut older, newer) = (Site::new(Some(url.clone())), Site::new(Some(url.clone())));
    older.program = older_binary();
    let upstream = Ledger::start().await;
    let one = older.start_with(&Documents::of_two_people("target", &upstream.url)).await;
    let callers = ["bot", "other"]
        .map(async |app| (app, Caller::of("main", "target", &one.token(app, "t").await)));
    let callers = join_all(callers).await;
    let other = newer.start().await;
    let schema = Db::open(&url).await.unwrap();
    migrate(&schema, 9_001, true).await;
    schema.close().await;
    let nonces = AtomicU64::new(1);
    // Whom both serve, as they are asked in turn.
    let served = async || {
        let mut served = Vec::new();
        for (app, caller) in &callers {
            for address in [one.address, other.address] {
                let nonce = nonces.fetch_add(1, Ordering::Relaxed);
                let call = once(&mut Line::to(address), address, caller, nonce).await;
                served.extend((call.end == End::Answered).then_some(*app));
            }
        }
        served
    };
    assert_eq!(served().await, ["bot", "bot", "other", "other"]);
    for (asked, app, left) in [(&other, "bot", &["other"; 2][..]), (&one, "other", &[])] {
        let off = json!({"kind": "app", "name": app});
        let reply = asked.ask_as(one.admin(), Method::POST, "cutoffs", Some(off)).await;
        assert!((200..300).contains(&reply.status), "{reply:?}");
        assert_eq!(served().await, left);
    }
    // Only what was let through has arrived.
    assert_eq!(upstream.arrivals().len(), 6);
    for (served, site) in [(one, older), (other, newer)] {
        assert!(served.stop().await.success());
        let (code, said) = site.verify().await;
        assert_eq!(code, Some(0), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r22_a_version_runs_on_a_schema_that_a_newer_one_has_added_to_and_follows_it() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let site = Site::new(Some(url.clone()));
    let upstream = Ledger::start().await;
    let mut served = site.start_with(&documents(&upstream)).await;
    let clients = Clients::of(&served, served.address).await;
    clients.progress(200).await;
    // The newer one begins, while the older one serves.
    let newer = Db::open(&url).await.unwrap();
    migrate(&newer, 9_001, true).await;
    clients.progress(200).await;
    // And ends: the older one is started in its place.
    let follower = site.follow(&[]).await.unwrap();
    assert!(std::mem::replace(&mut served, follower).ended().await.success());
    clients.progress(200).await;
    // One that has changed what the older one needs keeps it away, and the one that runs goes on.
    migrate(&newer, 9_002, false).await;
    let refused = site.follow(&[]).await.err().unwrap();
    assert_eq!(refused.code(), Some(78), "{}", site.words());
    assert!(site.words().contains("a newer version of Ostiary has changed the database"));
    assert!(!served.has_ended());
    clients.progress(200).await;
    let done = clients.finish().await;
    assert!(served.stop().await.success());
    newer.close().await;
    done.check(&upstream, &[&site], "a newer version and back").await;
}

#[tokio::test]
async fn r22_a_version_is_started_on_a_file_that_a_newer_one_has_added_to() {
    let site = Site::new(None);
    let upstream = Ledger::start().await;
    assert!(site.start_with(&documents(&upstream)).await.stop().await.success());
    let url = format!("sqlite:{}", site.data().join("ostiary.db").display());
    for (version, is_additive) in [(9_001, true), (9_002, false)] {
        let newer = Db::open(&url).await.unwrap();
        migrate(&newer, version, is_additive).await;
        newer.close().await;
        drop(newer);
        let started = site.start_under(&[], &[]).await;
        match started {
            Ok(served) if is_additive => assert!(served.stop().await.success()),
            Err(status) if !is_additive => assert_eq!(status.code(), Some(78)),
            _ => panic!("{version}: {}", site.words()),
        }
    }
    assert!(site.words().contains("run that version, or restore a backup"), "{}", site.words());
}

/// What a newer version does to the schema, and how it says so.
async fn migrate(db: &Db, version: i64, is_additive: bool) {
    let mut tx = db.begin().await.unwrap();
    let (table, column) = match version {
        9_001 => (
            "CREATE TABLE newer_things (id INTEGER PRIMARY KEY, note TEXT)",
            "ALTER TABLE servers ADD COLUMN newer_note TEXT",
        ),
        _ => ("CREATE TABLE other_things (id INTEGER PRIMARY KEY)", "DROP TABLE newer_things"),
    };
    tx.execute(sql(table)).await.unwrap();
    tx.execute(sql(column)).await.unwrap();
    let number = "INSERT INTO _sqlx_migrations
             (version, description, installed_on, success, checksum, execution_time)
             SELECT $1, 'newer', installed_on, success, checksum, 0
             FROM _sqlx_migrations WHERE version = 1";
    tx.execute(sql(number).bind(version)).await.unwrap();
    if is_additive {
        let named = "INSERT INTO additive_migrations (version) VALUES ($1)";
        tx.execute(sql(named).bind(version)).await.unwrap();
    }
    tx.commit().await.unwrap();
}
