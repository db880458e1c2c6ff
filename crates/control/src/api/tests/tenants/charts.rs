//! Charts, the overview and the calls behind them in a workspace beside one whose rows have the same ids.

use db::sql;
use serde_json::Value;
use uuid::Uuid;

use super::world::World;
use super::{is_unchanged, rows};
use crate::series::Series;
use crate::series::tests::told::{begin, count_all, end, record, refuse, settle};
use crate::series::tests::{CALL, Call};
use crate::testing::Api;

/// What is asked of charts, and how far counting has come.
const ASKED: [&str; 6] = [
    "overview",
    "records/calls",
    "series?measure=bytes&step=60",
    "series?measure=calls&by=outcome&step=60",
    "series?measure=denials&by=tool&step=3600",
    "series?measure=latency&by=server&step=60",
];

#[tokio::test]
async fn h159_charts_are_those_of_one_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        record(api, &[CALL, Call { server: "wiki", ..CALL }]).await;
        refuse(api, "policy", None).await;
        // By a name that somebody has elsewhere, too.
        let ann: Uuid = ours.usual["user"].id.parse().unwrap();
        record(api, &[Call { user: ann.as_u128(), ..CALL }]).await;
        // More than are kept in memory.
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(begin(api, CALL).await);
        }
        settle(api).await;
        count_all(api, &api.control.app.series).await;
        let alone = told(&world).await;
        for of_ann in ["records/calls?user=ann", "series?measure=calls&user=ann"] {
            let shown = api.get(&ours.at(of_ann)).await.json();
            let found = [&shown["items"], &shown["lines"]].map(|it| it.as_array().map(Vec::len));
            assert!(found.contains(&Some(1)), "{of_ann}: {shown}");
        }
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        assert!(!before["series"].is_empty() && !before["series_open"].is_empty(), "{before:?}");
        assert_eq!(told(&world).await, alone);

        for call in open {
            end(api, call, CALL).await;
        }
        settle(api).await;
        // As after a start: from where it was left.
        let series = Series::default();
        count_all(api, &series).await;
        for step in ["60", "3600", "86400"] {
            let path = format!("series?measure=calls&step={step}");
            assert_eq!(calls(api, &ours.at(&path)).await, 10, "{step}");
        }
        is_unchanged(&before, &rows::of(api, twin).await);
        let under_way = api.get(&ours.at("series?measure=calls")).await.json();
        // What the workspace was filled with never ends.
        assert_eq!(under_way["counted"]["under_way"], 2, "{under_way}");

        // As if the log had been put back to an earlier state, without some tool.
        let putting_back = [
            "UPDATE series SET tool = 'gone' WHERE workspace_id = $1",
            "UPDATE series_logs SET next = 10000 WHERE workspace_id = $1",
        ];
        let mut tx = api.fresh.db.begin().await.unwrap();
        for text in putting_back {
            assert_ne!(tx.execute(sql(text).bind(ours.id)).await.unwrap(), 0);
        }
        tx.commit().await.unwrap();
        count_all(api, &Series::default()).await;
        for step in ["60", "3600", "86400"] {
            let path = format!("series?measure=calls&step={step}");
            assert_eq!(calls(api, &ours.at(&path)).await, 10, "{step}");
        }
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

async fn told(world: &World) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ASKED {
        let reply = world.api.get(&world.ours.at(path)).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        all.push(reply.json());
    }
    all
}

async fn calls(api: &Api, path: &str) -> u64 {
    let shown = api.get(path).await.json();
    assert_eq!(shown["is_partial"], false, "{shown}");
    shown["lines"][0]["total"].as_u64().unwrap()
}
