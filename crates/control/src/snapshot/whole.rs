//! What is followed change by change is what is made from nothing.
//!
//! [`check`] holds the one against the other, down to the text of compiled policies. The test of all
//! routes that change something asks it after each of them, and those here after changes that come in
//! any order, by hand, and in databases that have become others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use db::{Db, Tx, sql};
use domain::{Assignment, Config, Gateway, Review, Server, Workspace};
use serde_json::json;

use super::changes::{Part, Scope};
use super::{Publisher, changes, move_epoch, store};
use crate::testing::Api;

/// Panics where what is published is not what stands in the database, read from the beginning.
pub(crate) async fn check(api: &Api, step: &str) {
    check_published(&api.control.app.publisher, &api.fresh.db, step).await;
}

async fn check_published(publisher: &Publisher, db: &Db, step: &str) {
    let followed = publisher.newest();
    let mut tx = db.read().await.unwrap();
    let whole = Publisher::new().prepare(&mut tx).await.unwrap();
    assert_eq!(followed.epochs, whole.epochs, "{step}");
    let (is, should) = (told(&followed.snapshot.config), told(&whole.snapshot.config));
    for (key, it) in &should {
        assert_eq!(is.get(key), Some(it), "{step}: {key}");
    }
    let more: Vec<_> = is.keys().filter(|it| !should.contains_key(*it)).collect();
    assert!(more.is_empty(), "{step}: {more:?} should not be there");
    assert!(followed.memo.index == whole.memo.index, "{step}: the index");
    assert_eq!(followed.memo.position, whole.memo.position, "{step}: the position");
    assert_eq!(*followed.snapshot.switches, *whole.snapshot.switches, "{step}");
}

/// All that a configuration says, by what it says it of. Whoever adds something to it has to say it
/// here.
pub(crate) fn told(config: &Config) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let Config { workspaces, tokens } = config;
    for (hash, token) in tokens.iter() {
        told.insert(format!("token {hash:?}"), format!("{token:?}"));
    }
    for (key, workspace) in workspaces.iter() {
        let mut say = |what: String, it: &dyn Debug| {
            told.insert(format!("{key} {what}"), format!("{it:?}"));
        };
        let Workspace { id, name, durability, addresses, lobby: _, limits, .. } = &**workspace;
        let Workspace { users, teams, apps, servers, identities, gateways, .. } = &**workspace;
        let Workspace { authority, policies, .. } = &**workspace;
        say("itself".into(), &(id, name, durability, addresses, limits));
        users.iter().for_each(|(id, it)| say(format!("user {id}"), it));
        teams.iter().for_each(|(id, it)| say(format!("team {id}"), it));
        apps.iter().for_each(|(id, it)| say(format!("app {id}"), it));
        identities.iter().for_each(|(id, it)| say(format!("identity {id}"), it));
        servers.iter().for_each(|(id, it)| say(format!("server {id}"), &server(it)));
        say("grants".into(), &authority.grants().collect::<Vec<_>>());
        say("authority".into(), &authority.statements());
        let book: Vec<_> = policies.book().iter().map(|(name, it)| (name, it.as_str())).collect();
        say("policies".into(), &book);
        for (name, it) in gateways.iter() {
            let Gateway { id, name: own, assignments, teams, addresses, .. } = &**it;
            let Gateway { autonomy, connections, rules, policy, .. } = &**it;
            say(format!("gateway {name}"), &(id, own, teams, addresses, autonomy, rules));
            say(format!("gateway {name} policy"), &policy.statements());
            for (app, it) in connections.iter() {
                let chosen: BTreeMap<_, _> = it.identities.iter().collect();
                say(format!("gateway {name} app {app}"), &(it.id, it.app, it.user, chosen));
            }
            for (n, it) in assignments.iter().enumerate() {
                let Assignment { id, alias, server, scheme, tools, prompts, resources } = &**it;
                assert!(
                    Arc::ptr_eq(server, &servers[&server.id]),
                    "{name} {alias}: another server"
                );
                let it = (id, alias, server.id, scheme, tools, prompts, resources);
                say(format!("gateway {name} server {n}"), &it);
            }
        }
    }
    told
}

fn server(server: &Server) -> String {
    let Server { id, name, transport, era, tasks, roots, review, labels, tool_labels } = server;
    let approved: Option<BTreeSet<_>> = match review {
        Review::Off => None,
        Review::On(approved) => Some(approved.iter().collect()),
    };
    let how = (transport, era, tasks, roots, approved);
    format!("{:?}", (id, name, how, labels, tool_labels))
}

/// Changes that no handler makes: whoever follows hears of them all the same.
#[tokio::test]
async fn what_is_changed_by_hand_is_followed() {
    const STEPS: &[(&str, &[&str])] = &[
        ("rows", &["UPDATE users SET name = 'eve' WHERE name = 'ann'"]),
        (
            "two gateways with each other's names",
            &[
                "UPDATE gateways SET name = 'between' WHERE name = 'main'",
                "UPDATE gateways SET name = 'main' WHERE name = 'side'",
                "UPDATE gateways SET name = 'side' WHERE name = 'between'",
            ],
        ),
        ("a workspace under another name", &["UPDATE workspaces SET name = 'first'"]),
        ("a server of a gateway", &["UPDATE servers SET review = 'on'"]),
        ("approved before anybody looks", &["UPDATE pins SET state = 'approved'"]),
        ("another definition", &["UPDATE pins SET kind = 'prompt'"]),
        ("no longer", &["UPDATE pins SET state = 'rejected'"]),
        ("who is in no team", &["DELETE FROM members"]),
        ("what is gone with others", &["DELETE FROM tokens", "DELETE FROM choices"]),
        ("a connection and all that hangs on it", &["DELETE FROM connections"]),
        ("an app with its tokens", &["DELETE FROM apps"]),
        ("assignments, then gateways", &["DELETE FROM assignments", "DELETE FROM gateways"]),
        ("nothing", &[]),
    ];
    for api in Api::on_each_database().await {
        given_everything(&api).await;
        let (db, publisher) = (&api.fresh.db, Publisher::new());
        follow(&publisher, db).await;
        for (step, statements) in STEPS {
            for is_first in [true, false] {
                let mut tx = db.begin().await.unwrap();
                if is_first {
                    move_epoch(&mut tx, stamp(step, is_first), false).await.unwrap();
                }
                for statement in *statements {
                    tx.execute(sql(statement)).await.unwrap();
                }
                if !is_first {
                    move_epoch(&mut tx, stamp(step, is_first), false).await.unwrap();
                }
                tx.commit().await.unwrap();
                assert!(is_followed(&publisher, db).await, "{step}");
                follow(&publisher, db).await;
                check_published(&publisher, db, step).await;
            }
        }
    }
}

/// Rows that were written while nobody moved the epoch are read with the next move.
#[tokio::test]
async fn what_was_changed_in_silence_is_read_later() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let (db, publisher) = (&api.fresh.db, Publisher::new());
        follow(&publisher, db).await;
        for name in ["first", "second"] {
            let mut tx = db.begin().await.unwrap();
            tx.execute(sql("UPDATE teams SET name = $1").bind(name)).await.unwrap();
            tx.commit().await.unwrap();
            by_hand(db, 7, &[]).await;
            assert!(is_followed(&publisher, db).await);
            follow(&publisher, db).await;
            check_published(&publisher, db, name).await;
        }
    }
}

#[tokio::test]
async fn whoever_is_behind_what_is_kept_reads_everything() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let (db, publisher) = (&api.fresh.db, Publisher::new());
        follow(&publisher, db).await;
        by_hand(db, 1, &["UPDATE users SET name = 'eve'"]).await;
        // The oldest first, up to the move that is known here.
        let mut ways = Vec::new();
        for left in (0..10).rev() {
            let mut tx = db.begin().await.unwrap();
            changes::cut(&mut tx, left).await.unwrap();
            tx.commit().await.unwrap();
            ways.push(is_followed(&publisher, db).await);
        }
        assert!(ways[0] && !ways[9] && ways.is_sorted_by(|one, other| one >= other), "{ways:?}");
        follow(&publisher, db).await;
        check_published(&publisher, db, "cut off").await;
        // From the next move on it follows again.
        for (stamp, expected) in [(2, false), (3, true)] {
            by_hand(db, stamp, &["UPDATE users SET name = 'ann'"]).await;
            assert_eq!(is_followed(&publisher, db).await, expected);
            follow(&publisher, db).await;
            check_published(&publisher, db, "cut off, and on").await;
        }
    }
}

/// A backup that has been put back, or a copy that was behind and has taken over: the numbers of the
/// list are given out a second time.
#[tokio::test]
async fn a_database_that_has_become_another_one_is_read_as_a_whole() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let (db, publisher) = (&api.fresh.db, Publisher::new());
        by_hand(db, 10, &["UPDATE teams SET name = 'first'"]).await;
        let last = last(db).await;
        by_hand(db, 11, &["UPDATE teams SET name = 'lost'"]).await;
        follow(&publisher, db).await;
        check_published(&publisher, db, "before").await;

        let mut tx = db.begin().await.unwrap();
        for statement in [
            "UPDATE teams SET name = 'first'",
            "UPDATE epoch SET epoch = epoch - 1, config = config - 1, stamp = 10, config_stamp = 10",
        ] {
            tx.execute(sql(statement)).await.unwrap();
        }
        tx.execute(sql("DELETE FROM row_changes WHERE number > $1").bind(last)).await.unwrap();
        let again = if db.is_exclusive() {
            "UPDATE sqlite_sequence SET seq = $1 WHERE name = 'row_changes'"
        } else {
            "SELECT setval(pg_get_serial_sequence('row_changes', 'number'), $1)"
        };
        tx.execute(sql(again).bind(last)).await.unwrap();
        tx.commit().await.unwrap();
        // As many changes as were lost, of which none touches what was.
        by_hand(db, 12, &["UPDATE users SET name = 'eve'"]).await;
        assert!(!is_followed(&publisher, db).await);
        follow(&publisher, db).await;
        check_published(&publisher, db, "after").await;
        by_hand(db, 13, &["UPDATE users SET name = 'ann'"]).await;
        assert!(is_followed(&publisher, db).await);
    }
}

/// What is taken away at once is told to no trigger of a row.
#[tokio::test]
async fn tables_that_are_emptied_are_read_as_a_whole() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let api = Api::on(fresh).await;
    api.given_a_chain().await;
    let (db, publisher) = (&api.fresh.db, Publisher::new());
    follow(&publisher, db).await;
    by_hand(db, 1, &["TRUNCATE choices"]).await;
    assert!(!is_followed(&publisher, db).await);
    follow(&publisher, db).await;
    check_published(&publisher, db, "emptied").await;
}

/// Every column that is read of every table: what changes it is on the list, on either database.
#[tokio::test]
async fn every_table_that_is_read_tells_of_its_changes() {
    for api in Api::on_each_database().await {
        given_everything(&api).await;
        let mut tables = BTreeSet::new();
        for (table, column) in columns() {
            tables.insert(table);
            // Approved or not is all that is told of them, and another definition.
            let value = if table == "pins" { "'prompt'" } else { column };
            let column = if table == "pins" { "kind" } else { column };
            let statement = format!("UPDATE {table} SET {column} = {value}");
            assert!(0 < touching(&api.fresh.db, &statement).await, "{statement}");
        }
        // In an order that leaves nothing behind that others need.
        let order = [
            "picks",
            "choices",
            "connections",
            "tokens",
            "apps",
            "policies",
            "limits",
            "rules",
            "pins",
            "assignments",
            "grants",
            "gateways",
            "identities",
            "servers",
            "role_grants",
            "roles",
            "members",
            "teams",
            "users",
        ];
        for table in order {
            assert!(0 < touching(&api.fresh.db, &format!("DELETE FROM {table}")).await, "{table}");
        }
        assert!(tables.iter().all(|it| order.contains(it) || *it == "workspaces"), "{tables:?}");
    }
}

/// What servers are seen to list is written often, and is no change until somebody decides.
#[tokio::test]
async fn what_waits_for_a_decision_is_not_on_the_list() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let before = last(&api.fresh.db).await;
        api.given_a_pin().await;
        let seen = "UPDATE pins SET last_seen = first_seen, definition = '[]'";
        assert_eq!(touching(&api.fresh.db, seen).await, 0);
        assert_eq!(last(&api.fresh.db).await, before);
        approve(&api).await;
        assert!(before < last(&api.fresh.db).await);
        assert_eq!(touching(&api.fresh.db, seen).await, 0, "nor of what is approved");
    }
}

/// A row in each table that is read.
async fn given_everything(api: &Api) {
    api.given_a_chain().await;
    api.given_a_limit().await;
    api.given_a_policy().await;
    api.given_a_pin().await;
    let rule = json!({"name": "mail", "pattern": "@", "action": {"type": "mask"}});
    api.given("gateways/main/rules", rule).await;
    api.given("gateways", json!({"name": "side", "teams": ["dev"]})).await;
    api.given("roles", json!({"name": "keeper", "capabilities": []})).await;
    api.given("role-grants", json!({"name": "g", "role": "keeper", "user": "ann"})).await;
    api.given("apps/bot/tokens", json!({"name": "ci"})).await;
    approve(api).await;
    let picked = api.patch("apps/bot/connections/main", json!({"picked": true})).await;
    assert_eq!(picked.status, 200, "{}", picked.text);
}

/// The pin of [`Api::given_a_pin`].
async fn approve(api: &Api) {
    let hashes = json!([format!("sha256:{}", hex::encode([7; 32]))]);
    let approved = api.post("servers/jira/pins/approve", json!({ "hashes": hashes })).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
}

/// The tables and columns that statements read.
fn columns() -> BTreeSet<(&'static str, &'static str)> {
    let mut all = BTreeSet::new();
    for text in store::texts() {
        let words: Vec<&str> = text.split(|it: char| it.is_whitespace() || it == ',').collect();
        let words: Vec<&str> = words.into_iter().filter(|it| !it.is_empty()).collect();
        let from = words.iter().position(|it| *it == "FROM").unwrap();
        let mut tables = BTreeMap::new();
        for (n, _) in words.iter().enumerate().filter(|(_, it)| ["FROM", "JOIN"].contains(it)) {
            let alias = words.get(n + 2).copied().filter(|it| it.len() == 1).unwrap_or_default();
            tables.insert(alias, words[n + 1]);
        }
        let mut columns = words[1..from].iter();
        while let Some(column) = columns.next() {
            if *column == "AS" {
                columns.next();
                continue;
            }
            let (alias, column) = column.split_once('.').unwrap_or(("", column));
            all.insert((tables[alias], column));
        }
        // Those of joins, too, of which nothing else is read.
        all.extend(
            tables.values().map(|it| (*it, "workspace_id")).filter(|it| it.0 != "workspaces"),
        );
    }
    all
}

/// How many entries a statement makes. It is undone.
async fn touching(db: &Db, statement: &str) -> i64 {
    // Statements are texts of ours that live as long as the program; here a test makes some.
    let statement: &'static str = Box::leak(statement.to_owned().into_boxed_str());
    let mut tx = db.begin().await.unwrap();
    let before = count(&mut tx).await;
    tx.execute(sql(statement)).await.unwrap();
    let after = count(&mut tx).await;
    if statement.starts_with("DELETE") { tx.commit().await } else { tx.rollback().await }.unwrap();
    after - before
}

async fn count(tx: &mut Tx) -> i64 {
    let row: Option<(i64,)> = tx.optional(sql("SELECT count(*) FROM row_changes")).await.unwrap();
    row.unwrap().0
}

async fn last(db: &Db) -> i64 {
    let mut tx = db.read().await.unwrap();
    let row: Option<(i64,)> =
        tx.optional(sql("SELECT max(number) FROM row_changes")).await.unwrap();
    row.unwrap().0
}

/// Statements, and a move of the epoch as every version makes it.
async fn by_hand(db: &Db, stamp: i64, statements: &[&'static str]) {
    let mut tx = db.begin().await.unwrap();
    move_epoch(&mut tx, stamp, false).await.unwrap();
    for statement in statements {
        tx.execute(sql(statement)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Another one for each change.
fn stamp(step: &str, is_first: bool) -> i64 {
    i64::try_from(step.len() * 2 + usize::from(is_first)).unwrap()
}

async fn follow(publisher: &Publisher, db: &Db) {
    let mut tx = db.read().await.unwrap();
    let next = publisher.prepare(&mut tx).await.unwrap();
    publisher.publish(next);
}

/// Whether what has changed would be read, and not everything.
async fn is_followed(publisher: &Publisher, db: &Db) -> bool {
    let newest = publisher.newest();
    let mut tx = db.read().await.unwrap();
    let is = store::epochs(&mut tx).await.unwrap().unwrap();
    let was = (newest.epochs.config, newest.epochs.config_stamp);
    let is = (is.config, is.config_stamp);
    let (scope, _) = changes::since(&mut tx, (newest.memo.position, was), is).await.unwrap();
    scope.keys(Part::User).is_some() && scope != Scope::Everything
}
