use std::sync::Arc;
use std::time::Duration;

use audit::DataKeys;
use db::Db;
use domain::Clock as _;
use uuid::Uuid;

use crate::testing::{Api, options};
use crate::{Control, ControlOptions, Serving};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_for_one_workspace_and_day_and_survives_a_restart() {
    for api in Api::on_each_database().await {
        let workspace = default_workspace(&api).await;
        let keys = api.control.data_keys();
        let monday = current(&keys, workspace, 20_000).await.unwrap();
        let again = current(&keys, workspace, 20_000).await.unwrap();
        let tuesday = current(&keys, workspace, 20_001).await.unwrap();
        assert_eq!(monday, again);
        assert_ne!(monday, tuesday);
        assert!(current(&keys, Uuid::from_u128(9), 20_000).await.is_none(), "no such workspace");

        let restarted = Control::open(options(&api.fresh, &api.clock, &api.log)).await.unwrap();
        let keys = restarted.data_keys();
        assert_eq!(open(&keys, monday.0).await, Some(monday.1));
        assert_eq!(current(&keys, workspace, 20_001).await, Some(tuesday));
        assert_eq!(open(&keys, api.clock.id()).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h156_a_destroyed_key_is_gone_for_good() {
    for api in Api::on_each_database().await {
        let workspace = default_workspace(&api).await;
        let keys = api.control.data_keys();
        let (id, plain) = current(&keys, workspace, 20_000).await.unwrap();
        assert!(api.control.erase_content(workspace, 20_000).await.unwrap());
        assert!(!api.control.erase_content(workspace, 20_000).await.unwrap());
        assert_eq!(open(&keys, id).await, None);
        // Another may be made for what is still to come of the day.
        let (other, other_plain) = current(&keys, workspace, 20_000).await.unwrap();
        assert_ne!((id, plain), (other, other_plain));
    }
}

/// Nobody takes what cannot be told now for what is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_a_key_is_gone_is_not_guessed_where_the_database_is_away() {
    for api in Api::on_each_database().await {
        let keys = api.control.data_keys();
        let unknown = api.clock.id();
        let ask = async || {
            let keys = Arc::clone(&keys);
            tokio::task::spawn_blocking(move || keys.open(unknown).map(|it| it.is_some())).await
        };
        assert_eq!(ask().await.unwrap(), Ok(false));
        api.fresh.db.close().await;
        assert_eq!(ask().await.unwrap(), Err(audit::KeyUnavailable));
    }
}

/// The other one follows, as every replica that serves: what it has confirmed, it has forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h156_a_key_that_was_destroyed_at_one_replica_is_in_the_memory_of_none() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let api = Api::on(fresh).await;
    let workspace = default_workspace(&api).await;
    let other = ControlOptions {
        db: Db::open(&api.fresh.url).await.unwrap(),
        serving: Some(Serving { name: "other".into(), canary: Duration::ZERO }),
        ..options(&api.fresh, &api.clock, &api.log)
    };
    let other = Control::open(other).await.unwrap();
    let keys = other.data_keys();
    let (id, plain) = current(&keys, workspace, 20_000).await.unwrap();
    assert_eq!(open(&keys, id).await, Some(plain), "it is in memory");
    assert!(api.control.erase_content(workspace, 20_000).await.unwrap());
    assert_eq!(open(&keys, id).await, None);
    let (new, _) = current(&keys, workspace, 20_000).await.unwrap();
    assert_ne!(new, id, "nothing more is sealed with it");
    other.close().await;
}

async fn default_workspace(api: &Api) -> Uuid {
    api.snapshot().await.config.workspaces["default"].id.0
}

type Key = (Uuid, [u8; 32]);

/// Asked as the log asks: from a thread of its own.
async fn current(keys: &Arc<dyn DataKeys>, workspace: Uuid, day: i32) -> Option<Key> {
    let keys = Arc::clone(keys);
    let asking = move || keys.current(workspace, day).ok().map(|it| (it.id, *it.key));
    tokio::task::spawn_blocking(asking).await.unwrap()
}

async fn open(keys: &Arc<dyn DataKeys>, id: Uuid) -> Option<[u8; 32]> {
    let keys = Arc::clone(keys);
    tokio::task::spawn_blocking(move || keys.open(id).unwrap().map(|it| *it.key)).await.unwrap()
}
