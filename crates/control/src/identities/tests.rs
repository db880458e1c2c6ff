use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn credentials_are_replaced_whole_and_sealed_anew() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let sealed = || async {
            let snapshot = api.snapshot().await;
            let workspace = &snapshot.config.workspaces["default"];
            let identity = workspace.identities.values().next().unwrap();
            let headers = api.control.secrets().open(workspace.id, identity).unwrap().0;
            (identity.sealed.clone(), headers)
        };
        let (before, _) = sealed().await;
        assert!(!before.windows(7).any(|it| it == b"hunter2"));
        let same = json!({"headers": {"authorization": "Bearer hunter2"}});
        assert_eq!(api.patch("identities/ann-jira", same).await.status, 200);
        let (after, headers) = sealed().await;
        assert_ne!(before, after, "never the same bytes twice");
        assert_eq!(headers, [("authorization".to_owned(), b"Bearer hunter2".to_vec())]);

        let other = json!({"headers": {"X-Key": "k1", "X-User": "u1"}});
        let reply = api.patch("identities/ann-jira", other).await.json();
        assert_eq!(reply["headers"], json!(["x-key", "x-user"]));
        assert_eq!(sealed().await.1.len(), 2);
    }
}

#[tokio::test]
async fn refusals() {
    let cases = [
        (json!({"name": "i", "server": "nope", "headers": {"x-a": "b"}}), 422),
        (json!({"name": "i", "server": "jira", "owner": "nope", "headers": {"x-a": "b"}}), 422),
        (json!({"name": "i", "server": "jira", "headers": {}}), 422),
        (json!({"name": "i", "server": "jira", "headers": {"host": "b"}}), 422),
        (json!({"name": "i", "server": "jira", "headers": {"x-a": "1", "X-A": "2"}}), 422),
        (json!({"name": "i", "server": "jira", "headers": {"x-a": 1}}), 400),
        (json!({"name": "i", "server": "jira"}), 400),
        (json!({"name": "ann-jira", "server": "jira", "headers": {"x-a": "b"}}), 409),
    ];
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    for (body, status) in cases {
        let reply = api.post("identities", body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
    }
}
