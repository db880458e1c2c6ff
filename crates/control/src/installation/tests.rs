use std::sync::Arc;

use db::Db;
use vault::{MasterKey, Vault};

use crate::testing::{Api, options};
use crate::{Control, ControlError, ControlOptions};

#[tokio::test]
async fn only_the_first_start_makes_a_workspace_and_a_token() {
    for api in Api::on_each_database().await {
        assert!(api.control.first_admin_token().is_none(), "taken once");
        let again = Control::open(options(&api.fresh, &api.clock, &api.log)).await.unwrap();
        assert!(again.first_admin_token().is_none());
        assert_eq!(again.gate().latest().config.workspaces.len(), 1);
    }
}

#[tokio::test]
async fn another_master_key_is_refused() {
    for api in Api::on_each_database().await {
        let other = Vault::new(MasterKey::generate().unwrap(), 1);
        let options = options(&api.fresh, &api.clock, &api.log);
        let options = ControlOptions { vault: Arc::new(other), ..options };
        let refused = Control::open(options).await.err().unwrap();
        assert!(matches!(refused, ControlError::Vault(_)), "{refused:?}");
        assert!(refused.to_string().contains("master key"), "{refused}");
    }
}

#[tokio::test]
async fn of_two_replicas_that_start_at_once_one_makes_the_token() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let url = fresh.url.clone();
    // The clock and the log are those of a control plane elsewhere.
    let api = Api::on_sqlite().await;
    let open = || async {
        let db = Db::open(&url).await.unwrap();
        let options = ControlOptions { db, ..options(&api.fresh, &api.clock, &api.log) };
        Control::open(options).await.unwrap()
    };
    let (one, other) = tokio::join!(open(), open());
    let tokens = [one.first_admin_token(), other.first_admin_token()];
    assert_eq!(tokens.iter().flatten().count(), 1);
}
