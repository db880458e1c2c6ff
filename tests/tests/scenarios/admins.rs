//! What administrators, and those who collect metrics, hold.

use std::os::unix::fs::PermissionsExt;

use http::{Method, Request};
use http_body_util::Full;
use tests::line::Line;
use tests::{Served, Site};

const COLLECTOR: &str = "a-token-for-whoever-collects-the-metrics";

#[tokio::test]
async fn a_metrics_token_shows_metrics_and_nothing_else() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let file = site.home().join("metrics.token");
        std::fs::write(&file, format!("{COLLECTOR}\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        let configuration = format!("metrics_token_file = {file:?}");
        let served = site.start_configured("", &configuration).await;
        let wrong = COLLECTOR.to_uppercase();
        for (path, token, status) in [
            ("/metrics", Some(COLLECTOR), 200),
            ("/metrics", Some(wrong.as_str()), 401),
            ("/metrics", Some(""), 401),
            ("/metrics", None, 401),
            ("/api/v1/session", Some(COLLECTOR), 401),
            ("/api/v1/workspaces", Some(COLLECTOR), 401),
            ("/mcp/default/main", Some(COLLECTOR), 405),
        ] {
            let found = asked(&served, path, token).await;
            // The data plane says at once that it takes no such token, or no such request.
            let is_refused = path.starts_with("/mcp") && matches!(found, 401 | 404 | 405 | 406);
            assert!(found == status || is_refused, "{path} {token:?}: {found}");
        }
        // An admin token shows them as before.
        assert!(served.metrics().await.contains_key("ostiary_calls_total"));
        assert!(served.stop().await.success());
    }
}

#[tokio::test]
async fn a_metrics_token_that_others_can_read_or_guess_is_refused_at_start() {
    let site = Site::new(None);
    let file = site.home().join("metrics.token");
    for (text, mode) in [(COLLECTOR, 0o644), ("short", 0o600), ("", 0o600)] {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let configuration = site.home().join("refused.toml");
        std::fs::write(&configuration, format!("metrics_token_file = {file:?}")).unwrap();
        let more = ["--config".into(), configuration.into()];
        let ended = site.start_under(&[], &more).await.err().unwrap();
        assert_eq!(ended.code(), Some(78), "{text} {mode:o}: {}", site.words());
    }
}

#[tokio::test]
async fn an_admin_token_is_listed_and_revoked_on_the_command_line() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let data = site.data();
        let served = site.start().await;
        assert!(served.stop().await.success());
        let (code, made) =
            site.run(&["admin-token", "--data", data.to_str().unwrap(), "second"]).await;
        assert_eq!(code, Some(0), "{row}: {made}");
        let second = made.lines().find(|it| it.starts_with("osta_")).unwrap().to_owned();
        let served = site.start().await;
        let url = format!("http://{}", served.address);
        let file = site.home().join("second");
        std::fs::write(&file, second).unwrap();
        let at = ["--url", &url, "--token-file", file.to_str().unwrap()];
        let (code, listed) = site.run(&[&["token", "list"][..], &at].concat()).await;
        assert_eq!(code, Some(0), "{row}: {listed}");
        assert!(listed.contains("first") && listed.contains("second"), "{row}: {listed}");
        let (code, said) = site.run(&[&["token", "revoke", "first"][..], &at].concat()).await;
        assert_eq!(code, Some(0), "{row}: {said}");
        let reply = served.ask(Method::GET, "users", None).await;
        assert_eq!(reply.status, 401, "{row}: what has been revoked opens nothing");
        let (code, said) = site.run(&[&["token", "revoke", "second"][..], &at].concat()).await;
        assert_eq!(code, Some(5), "{row}: the last one stays: {said}");
        assert!(served.stop().await.success());
    }
}

async fn asked(served: &Served, path: &str, token: Option<&str>) -> u16 {
    let request = Request::builder().uri(path).header("host", served.host());
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    let request = request.body(Full::default()).unwrap();
    Line::to(served.address).whole(request).await.unwrap().0
}
