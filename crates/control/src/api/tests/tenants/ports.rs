//! What the data plane asks of the control plane, in a workspace beside one whose rows have the same
//! ids: units, picks, definitions.

use std::sync::Arc;

use domain::limits::{Charge, Holder};
use domain::ports::{NotPicked, Sighting, Uncharged};
use domain::{AppId, DefinitionHash, GatewayId, PinKey, PinKind, ServerId, WorkspaceId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::World;
use super::{is_unchanged, rows};
use crate::testing::Lists;

/// How many definitions of one name wait for a decision at most.
const MOST_OF_NAME: u8 = 8;

#[tokio::test]
async fn units_are_those_of_one_workspace_alone() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let here = WorkspaceId(ours.id);
        let counters = api.control.counters();
        // Five of each are allowed.
        let charge = async |workspace: WorkspaceId, kind: &str| {
            let snapshot = api.snapshot().await;
            let limits = &snapshot.config.workspace(here).unwrap().limits;
            let name = format!("by-{kind}");
            let limit = limits.iter().find(|it| it.name.as_str() == name);
            let holder = Holder { id: ours.id_of(kind), tool: "".into() };
            let charge = Charge { limit: Arc::clone(limit.unwrap()), holder, cost: 1 };
            counters.charge(workspace, vec![charge]).await
        };
        assert_eq!(charge(here, "app").await, Ok(()));
        api.control.set_offers(Arc::new(Lists));
        let unreviewed = api.patch(&ours.at("servers/jira"), json!({"review": "off"})).await;
        assert_eq!(unreviewed.status, 200, "{}", unreviewed.text);
        let twin = world.twin_of_ours(true).await;
        for _ in 0..5 {
            assert_eq!(charge(WorkspaceId(twin), "team").await, Ok(()));
        }
        let before = rows::of(api, twin).await;
        let why = api.get(&ours.at("why?app=bot&gateway=main&tool=jira/search")).await.json();
        let chain = why["answers"][0]["chain"].as_array().unwrap();
        let found = chain.iter().find(|it| it["name"] == "by-team");
        let room = found.unwrap_or_else(|| panic!("{why}"))["detail"].as_str();
        assert_eq!(room, Some("it has room"), "{why}");
        for kind in ["app", "gateway"] {
            let left = if kind == "app" { 4 } else { 5 };
            for _ in 0..left {
                assert_eq!(charge(here, kind).await, Ok(()));
            }
            let refused = charge(here, kind).await;
            assert!(matches!(refused, Err(Uncharged::Exceeded { .. })), "{kind}: {refused:?}");
            let path = ours.at(&format!("limits/by-{kind}/usage"));
            let used = api.get(&path).await.json();
            assert_eq!(used["items"][0]["used"], 5, "{used}");
        }
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

#[tokio::test]
async fn what_an_app_picks_it_picks_in_one_workspace_alone() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let picks = api.control.picks();
        let pick = || {
            let (app, gateway) = (AppId(ours.id_of("app")), GatewayId(ours.id_of("gateway")));
            picks.pick(WorkspaceId(ours.id), app, gateway)
        };
        let connection = ours.at("apps/bot/connections/main");
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        assert_eq!(api.patch(&connection, json!({"picked": false})).await.status, 200);
        assert_eq!(pick().await, Ok(()));
        assert_eq!(pick().await, Ok(()), "it is there already");
        assert_eq!(api.get(&connection).await.json()["picked"], true);
        // The other one is connected still.
        assert_eq!(api.delete(&connection).await.status, 204);
        assert_eq!(pick().await, Err(NotPicked::Gone));
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

#[tokio::test]
async fn what_a_server_lists_is_noted_in_one_workspace_alone() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let server = ServerId(ours.id_of("server"));
        let noted = async |hash: u8| {
            let pin = PinKey { kind: PinKind::Tool, hash: DefinitionHash([hash; 32]) };
            let (name, text) = ("search".into(), "{}".into());
            let found = vec![Sighting { pin, name, text }];
            api.control.definitions().note(WorkspaceId(ours.id), server, found);
            let looking = async {
                loop {
                    let page = api.get(&ours.at("pins?server=jira&name=search&limit=50")).await;
                    let page = page.json()["items"].as_array().unwrap().clone();
                    let is_it = |it: &&Value| it["hash"] == pin.hash.to_string();
                    if page.iter().any(|it| is_it(&it)) {
                        return page.len();
                    }
                    tokio::task::yield_now().await;
                }
            };
            let patience = std::time::Duration::from_secs(30);
            tokio::time::timeout(patience, looking).await.expect("it is noted")
        };
        // One is there from the beginning.
        for hash in 1..MOST_OF_NAME {
            noted(0x10 | hash).await;
        }
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        // What is new takes the place of what was seen long ago.
        assert_eq!(noted(0x21).await, usize::from(MOST_OF_NAME));
        assert_eq!(noted(0x22).await, usize::from(MOST_OF_NAME));
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

impl super::Tenant {
    /// The id of what it has by a usual name.
    fn id_of(&self, kind: &str) -> Uuid {
        self.usual[kind].id.parse().unwrap()
    }
}
