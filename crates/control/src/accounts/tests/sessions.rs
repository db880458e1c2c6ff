use super::*;

#[tokio::test]
async fn one_sees_ones_own_sessions_and_ends_them() {
    for api in Api::on_each_database().await {
        for user in ["ann", "bea"] {
            let token = api.given_admin(user, &[("workspace-admin", "workspace")]).await;
            let body = Some(new(PASSWORD));
            let set = api.ask_as(&token, Method::PUT, "/session/password", body).await;
            assert_eq!(set.status, 200);
        }
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let other = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let third = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let foreign = cookie(&sign_in(&api, "bea", PASSWORD).await);
        let list = async |cookie: &str| {
            let reply = whole(&api, Method::GET, "sessions", None, cookie).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            reply.json()["items"].as_array().unwrap().clone()
        };
        let all = list(&own).await;
        assert_eq!(all.len(), 3);
        assert_eq!(list(&foreign).await.len(), 1);
        assert_eq!(all.iter().filter(|it| it["is_current"] == true).count(), 1);
        assert_eq!(all[0]["device"], "Mosaic");
        api.clock.advance(Duration::from_secs(60));
        let used = list(&other).await;
        let here = used.iter().find(|it| it["is_current"] == true).unwrap();
        let path = format!("sessions/{}", here["id"].as_str().unwrap());
        let used = list(&own).await;
        let found = used.iter().find(|it| it["id"] == here["id"]).unwrap();
        assert_eq!(found["used_at"], "2026-01-02T03:05:05Z");

        let by_another = whole(&api, Method::DELETE, &path, None, &foreign).await;
        assert_eq!(by_another.problem(), (404, "not_found".into()));
        assert_eq!(whole(&api, Method::DELETE, &path, None, &own).await.status, 204);
        assert_eq!(whole(&api, Method::GET, "sessions", None, &other).await.status, 401);
        assert_eq!(whole(&api, Method::DELETE, "sessions", None, &own).await.status, 204);
        assert_eq!(whole(&api, Method::GET, "sessions", None, &third).await.status, 401);
        assert_eq!(list(&own).await.len(), 1);
        assert_eq!(list(&foreign).await.len(), 1);
    }
}
