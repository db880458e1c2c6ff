//! What is somebody's own, beside a workspace whose rows have the same ids, and of nobody elsewhere.

use axum::http::Method;

use super::world::World;
use crate::series::tests::told::settle;

const ASKED: [&str; 4] = ["me/apps", "me/gateways", "me/identities", "me/calls?app=bot"];

#[tokio::test]
async fn h159_what_is_ones_own_is_of_one_workspace() {
    for world in World::on_each_database().await {
        // How far calls were looked for is told, too.
        settle(&world.api).await;
        let alone = told(&world).await;
        assert!(alone[0].contains(r#""tokens":[{"#) && alone[1].contains(r#""pending":1"#));
        for text in &alone {
            world.theirs.is_not_in(text, "one's own");
        }
        world.twin_of_ours(true).await;
        assert_eq!(told(&world).await, alone);
        for what in ASKED {
            let path = world.theirs.at(what);
            let reply = world.api.ask_as(&world.ours.member, Method::GET, &path, None).await;
            assert_eq!(reply.problem(), (404, "not_found".into()), "{path}");
        }
    }
}

async fn told(world: &World) -> Vec<String> {
    let World { api, ours, .. } = world;
    let mut all = Vec::new();
    for what in ASKED {
        let reply = api.ask_as(&ours.member, Method::GET, &ours.at(what), None).await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.text);
        let mut told = reply.json();
        // It is sealed, and so another one each time.
        told.as_object_mut().unwrap().remove("next_cursor");
        all.push(told.to_string());
    }
    all
}
