mod bounds;
mod own;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use audit::{Kind, Leaf};
use axum::http::Method;
use domain::Clock as _;
use serde_json::json;
use uuid::Uuid;

use super::{Series, store};
use crate::testing::{Api, TestClock, options};
use told::{
    Dice, append, begin, count_all, count_with, counted_by_hand, end, here, record, refuse,
    refused, settle, settle_in, talk, totals, write, write_to,
};

/// One call as a test tells it.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) user: u128,
    pub(crate) server: &'static str,
    pub(crate) tool: &'static str,
    pub(crate) end: &'static str,
    pub(crate) is_error: bool,
    pub(crate) total_us: u64,
    pub(crate) upstream_us: u64,
}

pub(crate) const CALL: Call = Call {
    user: 1,
    server: "jira",
    tool: "search",
    end: "answered",
    is_error: false,
    total_us: 12_000,
    upstream_us: 10_000,
};

#[tokio::test]
async fn charts_say_what_the_record_says() {
    for api in Api::on_each_database().await {
        let calls = [
            CALL,
            Call { is_error: true, ..CALL },
            Call { server: "wiki", tool: "read", user: 2, ..CALL },
            Call { end: "upstream", is_error: true, ..CALL },
            Call { end: "client_cancelled", is_error: true, ..CALL },
        ];
        record(&api, &calls).await;
        refuse(&api, "policy", None).await;
        refuse(&api, "unauthenticated", Some(7)).await;
        refuse(&api, "bad_params", None).await;
        talk(&api).await;
        api.clock.advance(Duration::from_secs(3_600));
        record(&api, &[CALL, CALL]).await;
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;

        let cases = [
            ("measure=calls", vec![("", 16)]),
            ("measure=errors", vec![("", 3)]),
            ("measure=denials", vec![("", 8)]),
            ("measure=calls&outcome=answered", vec![("", 4)]),
            ("measure=denials&outcome=failed", vec![]),
            ("measure=latency", vec![("", 7)]),
            ("measure=calls&by=server", vec![("", 9), ("jira", 6), ("wiki", 1)]),
            ("measure=calls&by=tool&server=jira", vec![("search", 6)]),
            (
                "measure=calls&by=outcome",
                vec![("answered", 4), ("cancelled", 1), ("denied", 8), ("error", 1), ("failed", 2)],
            ),
            ("measure=bytes&server=wiki", vec![("", 30)]),
            ("measure=tokens&by=server", vec![("", 0), ("jira", 54), ("wiki", 9)]),
        ];
        for (query, expected) in cases {
            for step in ["60", "3600"] {
                let found = totals(&api, &format!("{query}&step={step}")).await;
                let expected: BTreeMap<_, _> =
                    expected.iter().map(|(it, n)| ((*it).to_owned(), *n)).collect();
                assert_eq!(found, expected, "{query} {step}");
            }
        }
        let shown = api.get("series?measure=latency&step=3600").await.json();
        let points = shown["lines"][0]["points"].as_array().unwrap();
        assert_eq!(points.len(), 2, "an hour apart: {shown}");
        let latency = &points[0]["latency"];
        let p95 = |of: &str| latency[of]["p95"].as_f64().unwrap();
        assert!((p95("gateway") - 2.0).abs() < 0.1 && (p95("upstream") - 10.0).abs() < 0.5);
    }
}

/// Nobody has flushed anything at the end, and the log has it all.
#[tokio::test]
async fn what_was_not_counted_before_the_end_is_counted_at_the_next_start_and_nothing_twice() {
    for api in Api::on_each_database().await {
        let workspace = here(&api).await;
        record(&api, &[CALL; 3]).await;
        let begun = begin(&api, CALL).await;
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;
        end(&api, begun, CALL).await;
        record(&api, &[CALL; 2]).await;
        settle(&api).await;
        // Another process, that knows what is in the database and in the log.
        for _ in 0..2 {
            count_all(&api, &Series::default()).await;
        }
        let all = totals(&api, "measure=calls&by=tool").await;
        assert_eq!(all, BTreeMap::from([("search".to_owned(), 6)]));
        let mut tx = api.fresh.db.read().await.unwrap();
        let log = api.log.verifier_key();
        let progress = store::progress(&mut tx, workspace, &log).await.unwrap().unwrap();
        assert_eq!((progress.next, progress.under_way), (progress.open, 0), "no call is under way");
    }
}

/// Calls that begin and end in any order, some of them long after, counted now and then by processes that
/// start, that stand beside each other on the same log, and that are behind.
#[tokio::test]
async fn what_is_counted_is_what_is_in_the_record_whoever_counts_and_whenever() {
    for api in Api::on_each_database().await {
        for seed in [20_261_122, 7] {
            let mut dice = Dice(seed);
            let mut counters = [Series::default(), Series::default()];
            let mut under_way = Vec::new();
            for step in 0..200 {
                match dice.throw(16) {
                    0..=5 => {
                        let call = dice.call();
                        under_way.push((begin(&api, call).await, call));
                    }
                    6..=10 if !under_way.is_empty() => {
                        let length = under_way.len() as u64;
                        let (id, call) =
                            under_way.remove(usize::try_from(dice.throw(length)).unwrap());
                        end(&api, id, call).await;
                    }
                    11 => refuse(&api, "policy", Some(dice.throw(4) + 1)).await,
                    12 => talk(&api).await,
                    13 => api.clock.advance(Duration::from_secs(dice.throw(100))),
                    14 => counters[usize::try_from(dice.throw(2)).unwrap()] = Series::default(),
                    _ => {
                        settle(&api).await;
                        let one = &counters[usize::try_from(dice.throw(2)).unwrap()];
                        // It may find that the other one has been there, and looks anew then.
                        one.catch_up(&api.control.app, here(&api).await).await;
                    }
                }
                if step % 50 == 49 {
                    settle(&api).await;
                    count_all(&api, &counters[0]).await;
                    let (expected, open) = counted_by_hand(&api).await;
                    let said = format!("{seed} {step}");
                    for (by, expected) in &expected {
                        let every = dice.one(&[60, 3_600, 86_400]);
                        let query = format!("measure=calls&by={by}&step={every}");
                        assert_eq!(totals(&api, &query).await, *expected, "{said} {query}");
                    }
                    let shown = api.get("series?measure=calls").await.json();
                    assert_eq!(shown["counted"]["under_way"], open, "{said}");
                    let log = &shown["counted"]["logs"][0];
                    let size = api.log.checkpoint(here(&api).await.0).unwrap().size;
                    assert_eq!(log["records"], size, "{said}: {shown}");
                }
            }
        }
    }
}

/// What a chart counts is what one finds when one looks for it.
#[tokio::test]
async fn every_point_leads_to_the_calls_behind_it() {
    for api in Api::on_each_database().await {
        let mut dice = Dice(5);
        let mut under_way = Vec::new();
        for _ in 0..200 {
            match dice.throw(8) {
                0..=3 => {
                    let call = dice.call();
                    under_way.push((begin(&api, call).await, call));
                }
                4..=5 if !under_way.is_empty() => {
                    let length = under_way.len() as u64;
                    let place = usize::try_from(dice.throw(length)).unwrap();
                    let (id, call) = under_way.remove(place);
                    end(&api, id, call).await;
                }
                6 => refuse(&api, "policy", Some(dice.throw(3) + 1)).await,
                _ => {
                    talk(&api).await;
                    api.clock.advance(Duration::from_secs(dice.throw(60)));
                }
            }
        }
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;
        let user = Uuid::from_u128(2);
        let cases = [
            "measure=calls".to_owned(),
            "measure=errors&server=jira".to_owned(),
            "measure=denials".to_owned(),
            "measure=latency&tool=read".to_owned(),
            format!("measure=calls&user={user}&outcome=cancelled"),
            "measure=calls&gateway=none".to_owned(),
        ];
        for query in cases {
            let shown = api.get(&format!("series?{query}&step=60")).await.json();
            let points = shown["lines"][0]["points"].as_array().cloned().unwrap_or_default();
            let mut sum = 0;
            for point in &points {
                let from: chrono::DateTime<chrono::Utc> =
                    point["at"].as_str().unwrap().parse().unwrap();
                let to = from + Duration::from_secs(60);
                let time = |it: chrono::DateTime<_>| it.format("%Y-%m-%dT%H:%M:%SZ").to_string();
                let within = format!("{query}&from={}&to={}", time(from), time(to));
                assert_eq!(found(&api, &within).await, point["count"], "{within}");
                // As of a page that another process has given, whose log is longer.
                let page = api.get(&format!("records/calls?{within}&cursor=OTk5OTk5")).await;
                let first = api.get(&format!("records/calls?{within}")).await;
                assert_eq!(page.json(), first.json(), "{within}");
                sum += point["count"].as_u64().unwrap();
            }
            assert_eq!(found(&api, &query).await, sum, "{query}");
        }
        for (query, status) in [("measure=moons", 400), ("user=nobody", 404), ("cursor=x", 400)] {
            assert_eq!(api.get(&format!("records/calls?{query}")).await.status, status, "{query}");
        }
        let ann = api.given_admin("ann", &[]).await;
        assert_eq!(api.ask_as(&ann, Method::GET, "records/calls", None).await.status, 403);
    }
}

/// How many calls are found, page by page.
async fn found(api: &Api, query: &str) -> u64 {
    let (mut cursor, mut sum, mut last) = (String::new(), 0, u64::MAX);
    loop {
        let page = api.get(&format!("records/calls?{query}&limit=7{cursor}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.text);
        let page = page.json();
        assert_eq!(page["unresolved"], 0, "{query}: {page}");
        for it in page["items"].as_array().unwrap() {
            let index = it["outcome"]["index"].as_u64().unwrap();
            assert!(index < last, "each once, the newest first: {query}");
            last = index;
            sum += it["outcome"]["record"]["count"].as_u64().unwrap_or(1);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return sum,
        }
    }
}

#[tokio::test]
async fn a_log_that_was_put_back_is_counted_anew() {
    for api in Api::on_each_database().await {
        let workspace = here(&api).await;
        record(&api, &[CALL; 3]).await;
        settle(&api).await;
        count_all(&api, &Series::default()).await;
        let mut tx = api.fresh.db.begin().await.unwrap();
        let log = api.log.verifier_key();
        let progress = store::progress(&mut tx, workspace, &log).await.unwrap().unwrap();
        let ahead = store::Progress { next: progress.next + 100, ..progress };
        let from = Some(progress.next);
        assert!(store::advance(&mut tx, (workspace, &log), from, ahead).await.unwrap());
        tx.execute(db::sql("UPDATE series SET calls = calls + 5, tool = 'gone'")).await.unwrap();
        tx.commit().await.unwrap();
        count_all(&api, &Series::default()).await;
        let all = totals(&api, "measure=calls&by=tool").await;
        assert_eq!(all, BTreeMap::from([("search".to_owned(), 3)]));
    }
}

/// Each counts its own log, and whoever asks is told of both, and how far each is.
#[tokio::test]
async fn replicas_count_what_each_has_recorded_and_charts_show_all_of_it() {
    for fresh in db::testing::databases().await {
        if fresh.db.is_exclusive() {
            continue;
        }
        let api = Api::on(fresh).await;
        let log = audit::Log::open(
            audit::Options::new(api.folder.path().join("other")),
            audit::Signer::from_seed("test", &[8; 32]),
            Arc::<TestClock>::clone(&api.clock),
        );
        let log = log.unwrap();
        let beside = crate::Control::open(options(&api.fresh, &api.clock, &log)).await.unwrap();
        record(&api, &[CALL; 3]).await;
        settle(&api).await;
        let workspace = here(&api).await;
        count_all(&api, &api.control.app.series).await;
        super::count::round(&beside.app, &mut None, (&mut 0, false)).await.unwrap();
        let shown = api.get("series?measure=calls").await.json();
        let listed = shown["counted"]["logs"].as_array().unwrap();
        assert_eq!(listed.len(), 1, "who else serves is not said: {shown}");
        for _ in 0..2 {
            write_to(&log, &api, Kind::Outcome, refused(&api, "policy", None)).await;
        }
        settle_in(&log, workspace).await;
        count_all(&api, &api.control.app.series).await;
        count_with(&beside.app, &Series::default(), workspace).await;
        assert_eq!(totals(&api, "measure=calls").await[""], 5);
        for (app, is_last) in [(&api.control.app, false), (&beside.app, true)] {
            super::count::round(app, &mut None, (&mut 0, is_last)).await.unwrap();
        }
        let shown = api.get("series?measure=calls").await.json();
        let logs = shown["counted"]["logs"].as_array().unwrap();
        let records: BTreeMap<_, _> =
            logs.iter().map(|it| (it["log"].as_str().unwrap(), it["records"].as_u64())).collect();
        let size = |log: &audit::Log| log.checkpoint(workspace.0).map(|it| it.size);
        let (own, other) = (api.log.verifier_key(), log.verifier_key());
        let expected = [(own.as_str(), size(&api.log)), (other.as_str(), size(&log))];
        assert_eq!(records, BTreeMap::from(expected), "{shown}");
        assert!(logs.iter().all(|it| it["is_current"] == true), "{shown}");
        // The other one has ended, and left nothing.
        let mut tx = api.fresh.db.read().await.unwrap();
        for it in store::counters(&mut tx, workspace).await.unwrap() {
            assert_eq!(it.is_closed, it.log == other, "{it:?}");
        }
        drop(tx);
        beside.close().await;
    }
}

#[tokio::test]
async fn many_tools_are_counted_and_only_so_many_told_apart() {
    for api in Api::on_each_database().await {
        for n in 0..900 {
            let leaf =
                Leaf::new(Kind::Outcome).call(Uuid::from_u128(n)).str("method", "tools/call");
            // As long as no name is: neither database is to choke on it.
            let name = format!("tool\0{n}{}", "\u{1f511}".repeat(2_000));
            let leaf = leaf.str("offer", "tool").str("name", &name);
            let leaf = leaf.str("server", "jira").uuid("user", Uuid::from_u128(n));
            let leaf = leaf.str("end", "policy").bool("error", true).finish();
            write(&api, Kind::Outcome, leaf).await;
        }
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;
        let cases = [
            ("measure=denials", (900, 0)),
            ("measure=denials&server=wiki", (0, 150)),
            ("measure=denials&server=jira", (750, 150)),
            ("measure=denials&user=00000000-0000-0000-0000-000000000001", (1, 400)),
        ];
        for (query, expected) in cases {
            let shown = api.get(&format!("series?{query}&step=60")).await.json();
            let total = shown["lines"][0]["total"].as_u64().unwrap_or_default();
            assert_eq!((total, shown["unsorted"].as_u64().unwrap()), expected, "{query}");
            assert_eq!(shown["is_partial"], expected.1 != 0, "{query}");
        }
        let shown = api.get("series?measure=denials&by=tool&step=60").await.json();
        let lines = shown["lines"].as_array().unwrap();
        assert_eq!(lines.len(), 21);
        let other = lines.last().unwrap();
        assert_eq!((&other["is_other"], &other["total"]), (&json!(true), &json!(880)));
    }
}

#[tokio::test]
async fn teams_are_the_people_who_are_in_them() {
    for api in Api::on_each_database().await {
        let user = async |name: &str| -> u128 {
            let made = api.given("users", json!({"name": name})).await;
            made["id"].as_str().unwrap().parse::<Uuid>().unwrap().as_u128()
        };
        let (ann, bob) = (user("ann").await, user("bob").await);
        api.given("teams", json!({"name": "dev", "members": ["ann"]})).await;
        api.given("teams", json!({"name": "ops", "members": ["ann", "bob"]})).await;
        record(&api, &[Call { user: ann, ..CALL }, Call { user: bob, ..CALL }, CALL]).await;
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;
        for measure in ["calls", "latency"] {
            let shown = api.get(&format!("series?measure={measure}&by=team")).await.json();
            let lines = shown["lines"].as_array().unwrap().iter();
            let named: BTreeMap<_, _> = lines
                .map(|it| (it["name"].as_str().unwrap_or("-"), it["total"].as_u64().unwrap()))
                .collect();
            assert_eq!(named, BTreeMap::from([("-", 1), ("dev", 1), ("ops", 2)]), "{shown}");
            for (team, expected) in [("dev", 1), ("ops", 2)] {
                let query = format!("measure={measure}&team={team}");
                assert_eq!(totals(&api, &query).await[""], expected, "{query}");
            }
        }
        let query = "measure=calls&team=ops&by=user";
        let whose: Vec<_> = totals(&api, query).await.into_keys().collect();
        let id = |it: u128| Uuid::from_u128(it).to_string();
        assert_eq!(BTreeSet::from_iter(whose), BTreeSet::from([id(ann), id(bob)]));
        assert_eq!(api.get("series?measure=calls&team=none").await.status, 404);
    }
}

#[tokio::test]
async fn series_are_for_those_who_may_read_records_and_for_each_of_their_own() {
    for api in Api::on_each_database().await {
        let ann = api.given_admin("ann", &[]).await;
        api.given("roles", json!({"name": "reader", "capabilities": ["records:read"]})).await;
        let kim = api.given_admin("kim", &[("reader", "workspace")]).await;
        let workspace = here(&api).await;
        let user = |name: &str, snapshot: &domain::Snapshot| {
            let users = &snapshot.config.workspace(workspace).unwrap().users;
            users.values().find(|it| it.name.as_str() == name).unwrap().id.0.as_u128()
        };
        let snapshot = api.snapshot().await;
        let own = Call { user: user("ann", &snapshot), ..CALL };
        record(&api, &[CALL, own, own]).await;
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;
        let ask = async |token: &str, query: &str| {
            api.ask_as(token, Method::GET, &format!("series?{query}"), None).await
        };
        for query in ["measure=calls", "measure=calls&by=user", "measure=calls&user=ann"] {
            assert_eq!(ask(&ann, query).await.status, 403, "{query}");
            assert_eq!(ask(&kim, query).await.status, 200, "{query}");
        }
        let shown = ask(&ann, "measure=calls&by=own").await.json();
        assert_eq!(shown["lines"][0]["total"], 2, "{shown}");
        // How much others do is nobody's business.
        assert!(shown.get("unsorted").is_none() && shown["counted"].get("logs").is_none());
        assert_eq!(ask(&ann, "measure=calls&by=own&user=kim").await.status, 422);
        // Whoever may not see what they are found among.
        let year = "measure=calls&by=own&step=86400&from=2025-12-01T00:00:00Z";
        assert_eq!(ask(&ann, year).await.status, 422);
        assert_eq!(ask(&kim, year).await.status, 200);
        assert_eq!(ask(&api.token, "measure=calls&by=own").await.status, 422);
        let shown = ask(&kim, "measure=calls&by=user&user=ann").await.json();
        assert_eq!(shown["lines"][0]["name"], "ann", "{shown}");
        for (query, status) in [
            ("measure=calls&user=nobody", 404),
            ("measure=calls&step=61", 422),
            ("measure=calls&step=x", 400),
            ("measure=moons", 400),
            ("measure=calls&from=2026-01-03T00:00:00Z&to=2026-01-02T00:00:00Z", 422),
            ("measure=calls&from=2000-01-01T00:00:00Z&step=3600", 422),
        ] {
            assert_eq!(ask(&api.token, query).await.status, status, "{query}");
        }
    }
}

#[tokio::test]
async fn series_are_of_one_workspace_and_go_with_it() {
    for api in Api::on_each_database().await {
        let other: Uuid = api.given("/workspaces", json!({"name": "other"})).await["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        record(&api, &[CALL]).await;
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;
        assert_eq!(totals(&api, "measure=calls").await[""], 1);
        let shown = api.get("/workspaces/other/series?measure=calls").await.json();
        assert_eq!(shown["lines"], json!([]), "{shown}");
        let shown = api.get("/workspaces/other/records/calls").await.json();
        assert_eq!(shown["items"], json!([]), "{shown}");
        // What goes by the ids of another workspace finds nothing.
        let user = Uuid::from_u128(CALL.user);
        for path in ["series?measure=calls&", "records/calls?"] {
            let shown = api.get(&format!("/workspaces/other/{path}user={user}")).await;
            assert_eq!(shown.status, 200, "{path}");
            assert!(!shown.text.contains("search"), "{path}: {}", shown.text);
            let named = api.get(&format!("/workspaces/other/{path}team={user}")).await;
            assert_eq!(named.status, 404, "{path}");
        }
        // The first is under way, and there is more of it than is deleted at a time.
        for n in 0..40 {
            let id = Uuid::from_u128(n);
            let leaf = Leaf::new(Kind::Intent).call(id).str("method", "tools/call").finish();
            append(&api.log, other, Kind::Intent, leaf).await;
            let leaf = Leaf::new(Kind::Outcome).call(api.clock.id()).str("end", "policy");
            let leaf = leaf.str("method", "tools/call").str("name", &format!("tool{n}"));
            append(&api.log, other, Kind::Outcome, leaf.bool("error", true).finish()).await;
        }
        settle_in(&api.log, domain::WorkspaceId(other)).await;
        let app = &api.control.app;
        count_with(app, &app.series, domain::WorkspaceId(other)).await;
        assert!(left(&api, other).await);
        assert_eq!(api.delete("/workspaces/other").await.status, 204);
        super::count::round(app, &mut None, (&mut 0, false)).await.unwrap();
        assert!(!left(&api, other).await);
        assert_eq!(totals(&api, "measure=calls").await[""], 1, "of others nothing is deleted");
    }
}

/// Whether anything is left of what has been counted of a workspace.
async fn left(api: &Api, workspace: Uuid) -> bool {
    let mut tx = api.fresh.db.read().await.unwrap();
    super::prune::workspaces(&mut tx).await.unwrap().contains(&workspace)
}
