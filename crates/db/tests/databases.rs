//! What holds on both databases, and how an unusable one is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use chrono::{DateTime, TimeZone as _, Utc};
use db::testing::{self, Fresh};
use db::{Db, DbError, Epochs, OpenError, Tx, sql};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn what_is_written_is_read_back_unchanged() {
    for Fresh { db, .. } in &testing::databases().await {
        let mut tx = db.begin().await.unwrap();
        let workspace = workspace(&mut tx, "acme").await;
        let gateway = gateway(&mut tx, workspace).await;
        let written = rule(gateway);
        insert_rule(&mut tx, workspace, &written).await;
        tx.commit().await.unwrap();

        let mut tx = db.read().await.unwrap();
        let read: Option<Rule> = tx
            .optional(
                sql("SELECT id, gateway_id, pattern, on_request, tools, action, position, created_at
                     FROM rules WHERE workspace_id = $1 AND ($2 IS NULL OR name > $2)")
                .bind(workspace)
                .bind(None::<String>),
            )
            .await
            .unwrap();
        assert_eq!(read, Some(written));
    }
}

#[tokio::test]
async fn a_notice_wakes_who_listens_to_the_same_installation_once_it_holds() {
    let Some(Fresh { db, url, .. }) = testing::postgres().await else { return };
    let Fresh { db: elsewhere, .. } = testing::postgres().await.unwrap();
    let mut here = Db::open(&url).await.unwrap().listen().await.unwrap().unwrap();
    let mut there = elsewhere.listen().await.unwrap().unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.announce(1).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.announce(2).await.unwrap();
    let soon = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(soon, here.next()).await.is_err(), "nothing is committed");
    tx.commit().await.unwrap();
    here.next().await.unwrap();
    assert!(tokio::time::timeout(soon, there.next()).await.is_err(), "another installation");
}

/// Who waits for the epoch row sees then what the one before has committed, and is not refused for it.
#[tokio::test]
async fn whatever_a_database_is_set_to_changes_are_made_by_what_is_committed() {
    let Some(url) = testing::postgres_url().await else { return };
    let set = "%20-cdefault_transaction_isolation%3Dserializable";
    let db = Db::open(&format!("{url}{set}")).await.unwrap();
    for mut tx in [db.begin().await.unwrap(), db.begin_passing().await.unwrap()] {
        let level: Option<(String,)> =
            tx.optional(sql("SELECT current_setting('transaction_isolation')")).await.unwrap();
        assert_eq!(level.unwrap().0, "read committed");
    }
}

#[tokio::test]
async fn whatever_a_transaction_waits_for_it_comes_to_an_end() {
    let Some(Fresh { db, url, .. }) = testing::postgres().await else { return };
    let before = db.epoch().await.unwrap().epoch;
    let mut other = Db::open(&url).await.unwrap().begin().await.unwrap();
    other.execute(sql("UPDATE epoch SET epoch = epoch + 1")).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.limit(std::time::Duration::from_millis(100));
    let waiting = tx.execute(sql("UPDATE epoch SET epoch = epoch + 1"));
    assert!(matches!(waiting.await, Err(DbError::Late)));
    let later: Result<Vec<(i64,)>, _> = tx.all(sql("SELECT epoch FROM epoch")).await;
    assert!(matches!(later, Err(DbError::Late)));
    assert!(matches!(tx.commit().await, Err(DbError::Late)));
    other.commit().await.unwrap();
    assert_eq!(db.epoch().await.unwrap().epoch, before + 1, "nothing of it has been done");
}

#[tokio::test]
async fn text_sorts_by_its_bytes() {
    for Fresh { db, .. } in &testing::databases().await {
        let mut tx = db.begin().await.unwrap();
        for name in ["b", "a-b", "B", "ab", "ä", "a"] {
            workspace(&mut tx, name).await;
        }
        let names: Vec<(String,)> =
            tx.all(sql("SELECT name FROM workspaces ORDER BY name")).await.unwrap();
        let names: Vec<&str> = names.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["B", "a", "a-b", "ab", "b", "ä"]);
    }
}

#[tokio::test]
async fn duplicates_and_dangling_references_are_told_apart() {
    for Fresh { db, .. } in &testing::databases().await {
        let mut tx = db.begin().await.unwrap();
        let acme = workspace(&mut tx, "acme").await;
        let other = workspace(&mut tx, "other").await;
        let gateway = gateway(&mut tx, other).await;
        tx.commit().await.unwrap();

        let mut tx = db.begin().await.unwrap();
        let again = tx.execute(insert_workspace("acme")).await;
        assert!(matches!(again, Err(DbError::Duplicate)), "{again:?}");
        drop(tx);

        // A row of one workspace cannot hang on a row of another.
        let mut tx = db.begin().await.unwrap();
        let crossed = tx.execute(rule_statement(acme, &rule(gateway))).await;
        assert!(matches!(crossed, Err(DbError::Referenced)), "{crossed:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing() {
    for Fresh { db, .. } in &testing::databases().await {
        let mut tx = db.begin().await.unwrap();
        workspace(&mut tx, "acme").await;
        drop(tx);
        let mut tx = db.begin().await.unwrap();
        workspace(&mut tx, "acme").await;
        tx.rollback().await.unwrap();
        let mut tx = db.read().await.unwrap();
        let names: Vec<(String,)> = tx.all(sql("SELECT name FROM workspaces")).await.unwrap();
        assert_eq!(names, []);
    }
}

#[tokio::test]
async fn a_reader_sees_one_instant_and_cannot_write() {
    for Fresh { db, .. } in &testing::databases().await {
        let mut reader = db.read().await.unwrap();
        let count = "SELECT COUNT(*) FROM workspaces";
        let before: Option<(i64,)> = reader.optional(sql(count)).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        workspace(&mut tx, "acme").await;
        tx.commit().await.unwrap();
        let after: Option<(i64,)> = reader.optional(sql(count)).await.unwrap();
        assert_eq!((before, after), (Some((0,)), Some((0,))));
        assert!(reader.execute(insert_workspace("other")).await.is_err());
    }
}

#[tokio::test]
async fn the_epoch_is_read_after_a_commit_and_after_an_abandoned_read() {
    for Fresh { db, .. } in &testing::databases().await {
        assert_eq!(db.epoch().await.unwrap(), Epochs { epoch: 1, config: 1, ..Epochs::default() });
        let mut tx = db.begin().await.unwrap();
        tx.execute(sql("UPDATE epoch SET epoch = epoch + 1")).await.unwrap();
        assert_eq!(db.epoch().await.unwrap(), Epochs { epoch: 1, config: 1, ..Epochs::default() });
        tx.commit().await.unwrap();
        let abandoned = tokio::time::timeout(std::time::Duration::ZERO, db.epoch()).await;
        drop(abandoned);
        assert_eq!(db.epoch().await.unwrap(), Epochs { epoch: 2, config: 1, ..Epochs::default() });
    }
}

#[tokio::test]
async fn who_must_be_alone_and_who_need_not_keep_each_other_away() {
    let Some(Fresh { db, url, .. }) = testing::postgres().await else { return };
    let other = Db::open(&url).await.unwrap();
    // As versions do that know no others.
    let mut alone = other.begin().await.unwrap();
    let owned = alone.optional::<(bool,)>(sql(ALONE)).await.unwrap();
    assert_eq!(owned, Some((true,)));
    assert!(matches!(db.epoch().await, Err(DbError::Owned)));
    alone.rollback().await.unwrap();
    db.epoch().await.unwrap();
    other.epoch().await.unwrap();
    let mut alone = other.begin().await.unwrap();
    let owned = alone.optional::<(bool,)>(sql(ALONE)).await.unwrap();
    assert_eq!(owned, Some((false,)));
}

const ALONE: &str =
    "SELECT pg_try_advisory_xact_lock(x'6f737469'::int, hashtext(coalesce(current_schema(), '')))";

#[tokio::test]
async fn both_databases_end_with_the_same_tables_and_columns() {
    let lite = testing::sqlite().await;
    let Some(pg) = testing::postgres().await else { return };
    let of_sqlite = "SELECT m.name, c.name, c.\"notnull\" = 0 AND c.pk = 0
                     FROM sqlite_master m JOIN pragma_table_info(m.name) c
                     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'";
    let of_postgres = "SELECT table_name::text, column_name::text, is_nullable = 'YES'
                       FROM information_schema.columns WHERE table_schema = current_schema()";
    let lite = columns(&lite.db, of_sqlite).await;
    assert!(lite.contains_key("servers"), "{lite:?}");
    assert_eq!(lite, columns(&pg.db, of_postgres).await);
}

#[test]
fn both_folders_hold_the_same_migrations() {
    let names = |folder: &str| -> BTreeSet<String> {
        let folder = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[tokio::test]
async fn h184_a_newer_schema_is_refused() {
    for Fresh { db, url, folder } in testing::databases().await {
        let mut tx = db.begin().await.unwrap();
        tx.execute(sql("INSERT INTO _sqlx_migrations
                 (version, description, installed_on, success, checksum, execution_time)
                 SELECT 9999, 'later', installed_on, success, checksum, 0
                 FROM _sqlx_migrations WHERE version = 1"))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        db.close().await;
        drop(db);
        let opened = Db::open(&url).await.err().unwrap();
        assert!(matches!(opened, OpenError::Newer), "{opened:?}");
        drop(folder);
    }
}

#[tokio::test]
async fn processes_that_open_a_new_database_at_once_wait_for_each_other() {
    let Some(url) = testing::postgres_url().await else { return };
    let open = || Db::open(&url);
    let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
    for db in [a, b, c, d] {
        db.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_newer_schema_is_used_where_it_has_only_been_added_to() {
    for Fresh { db, url, folder } in testing::databases().await {
        assert!(matches!(Db::check(&url).await, Ok(())), "it is asked while it is used");
        let mut tx = db.begin().await.unwrap();
        let number = "INSERT INTO _sqlx_migrations
                 (version, description, installed_on, success, checksum, execution_time)
                 SELECT 9999, 'later', installed_on, success, checksum, 0
                 FROM _sqlx_migrations WHERE version = 1";
        tx.execute(sql(number)).await.unwrap();
        tx.execute(sql("INSERT INTO additive_migrations (version) VALUES (9999)")).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
        drop(db);
        Db::check(&url).await.unwrap();
        let db = Db::open(&url).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        tx.execute(sql("DELETE FROM additive_migrations")).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(Db::check(&url).await, Err(OpenError::Newer)));
        db.close().await;
        drop(folder);
    }
}

#[tokio::test]
async fn a_second_owner_of_a_file_is_refused_until_the_first_has_gone() {
    let Fresh { db, url, folder } = testing::sqlite().await;
    let second = Db::open(&url).await.err().unwrap();
    assert!(matches!(second, OpenError::InUse { .. }), "{second:?}");
    db.close().await;
    drop(db);
    Db::open(&url).await.unwrap();
    drop(folder);
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let Fresh { db, url, folder } = testing::sqlite().await;
    let mut tx = db.begin().await.unwrap();
    workspace(&mut tx, "acme").await;
    tx.commit().await.unwrap();
    db.close().await;
    drop(db);
    let path = url.strip_prefix("sqlite:").unwrap();
    let sound = fs::read(path).unwrap();

    let mut torn = sound.clone();
    torn[5000..9000].fill(0x5a);
    for damaged in [torn, b"not a database, but long enough to look like one".repeat(100)] {
        fs::write(path, damaged).unwrap();
        let opened = Db::open(&url).await.err().unwrap();
        assert!(matches!(opened, OpenError::Damaged { .. }), "{opened:?}");
    }
    fs::write(path, sound).unwrap();
    Db::open(&url).await.unwrap();
    drop(folder);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let fresh = testing::sqlite().await;
    let mut tx = fresh.db.begin().await.unwrap();
    workspace(&mut tx, "acme").await;
    tx.commit().await.unwrap();
    let path = fresh.url.strip_prefix("sqlite:").unwrap();
    for file in [path.to_owned(), format!("{path}-wal")] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{file}");
    }
}

#[tokio::test]
async fn other_urls_are_refused() {
    for url in ["mysql://x", "", "/var/lib/x.db"] {
        assert!(matches!(Db::open(url).await.err().unwrap(), OpenError::Scheme), "{url}");
    }
}

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Rule {
    id: Uuid,
    gateway_id: Uuid,
    pattern: String,
    on_request: bool,
    tools: Option<serde_json::Value>,
    action: serde_json::Value,
    position: i64,
    created_at: DateTime<Utc>,
}

fn rule(gateway_id: Uuid) -> Rule {
    Rule {
        id: Uuid::from_u128(7),
        gateway_id,
        pattern: "a 'quoted' ✓".into(),
        on_request: true,
        tools: None,
        action: json!({"replace": {"with": "x"}}),
        position: -3,
        created_at: Utc.timestamp_opt(1_700_000_000, 123_456_000).unwrap(),
    }
}

fn rule_statement(workspace: Uuid, rule: &Rule) -> db::Sql {
    sql("INSERT INTO rules (workspace_id, id, gateway_id, name, pattern, on_request, on_response,
                            tools, action, observe_only, position, created_at)
         VALUES ($1, $2, $3, 'r', $4, $5, $5, $6, $7, $5, $8, $9)")
    .bind(workspace)
    .bind(rule.id)
    .bind(rule.gateway_id)
    .bind(rule.pattern.as_str())
    .bind(rule.on_request)
    .bind(rule.tools.clone())
    .bind(rule.action.clone())
    .bind(rule.position)
    .bind(rule.created_at)
}

async fn insert_rule(tx: &mut Tx, workspace: Uuid, rule: &Rule) {
    assert_eq!(tx.execute(rule_statement(workspace, rule)).await.unwrap(), 1);
}

fn insert_workspace(name: &str) -> db::Sql {
    sql("INSERT INTO workspaces (id, name, durability, created_at) VALUES ($1, $2, 'written', $3)")
        .bind(id_of(name))
        .bind(name)
        .bind(Utc.timestamp_opt(1_700_000_000, 0).unwrap())
}

fn id_of(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().fold(1, |sum, byte| sum * 256 + u128::from(byte)))
}

async fn workspace(tx: &mut Tx, name: &str) -> Uuid {
    tx.execute(insert_workspace(name)).await.unwrap();
    id_of(name)
}

async fn gateway(tx: &mut Tx, workspace: Uuid) -> Uuid {
    let id = Uuid::from_u128(2);
    tx.execute(
        sql("INSERT INTO gateways (workspace_id, id, name, created_at) VALUES ($1, $2, 'g', $3)")
            .bind(workspace)
            .bind(id)
            .bind(Utc.timestamp_opt(1_700_000_000, 0).unwrap()),
    )
    .await
    .unwrap();
    id
}

async fn columns(db: &Db, statement: &'static str) -> BTreeMap<String, BTreeMap<String, bool>> {
    let mut tx = db.read().await.unwrap();
    let rows: Vec<(String, String, bool)> = tx.all(sql(statement)).await.unwrap();
    let mut tables: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for (table, column, nullable) in rows {
        if !table.starts_with("_sqlx") {
            tables.entry(table).or_default().insert(column, nullable);
        }
    }
    tables
}
