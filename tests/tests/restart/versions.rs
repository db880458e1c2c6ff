//! Two versions on one schema. The newer one is played: by a migration that this one does not know,
//! which adds a table and a column, beside the running gateway or before its start.

use db::{Db, sql};
use tests::{Ledger, Site};

use crate::ledgers::{Clients, documents};

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
