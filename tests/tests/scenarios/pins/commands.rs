//! Decisions on the command line.

use http::Method;
use serde_json::Value;
use tests::{Client, Site, Upstream};

use super::{ECHO, Scene, listed, pending_after, sees};

impl Scene {
    /// Runs a command against the gateway: its exit code, and what it printed.
    async fn command(&self, words: &[&str]) -> (Option<i32>, String) {
        let url = format!("http://{}", self.served.address);
        let file = self.site.home().join("token");
        std::fs::write(&file, self.served.admin()).unwrap();
        let file = file.to_str().unwrap();
        let whole = [words, &["--url", &url, "--token-file", file]].concat();
        self.site.run(&whole).await
    }
}

#[tokio::test]
async fn what_is_listed_is_looked_at_and_decided_on_the_command_line() {
    let hostile = ECHO.replace("\"echo\"", "\"e\u{202e}cho\"").replace("again", "a\u{200b}gain");
    let both = format!("{ECHO},{hostile}");
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::of(site, Upstream::of_both_eras(), &both).await;
        let path = "/mcp/default/main/mail";
        let [modern, _] = Client::with_token(&scene.served, path, &scene.token).await;
        listed(&modern, "tools/list", "tools").await;
        scene.pending("tool", 2).await;
        let (code, said) = scene.command(&["pin", "list"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("tool mail/echo sha256:"), "{said}");
        assert!(said.contains(r"tool mail/e\u{202e}cho sha256:"), "{said}");
        assert!(said.contains("hides bidi, foreign_name, zero_width"), "{said}");
        assert!(said.is_ascii(), "{said}");
        let (code, said) = scene.command(&["pin", "list", "--json", "--server", "mail"]).await;
        let pins: Value = serde_json::from_str(said.trim()).unwrap();
        let pin = |name: &str| {
            let pin = pins.as_array().unwrap().iter().find(|it| it["name"] == name).unwrap();
            [&pin["id"], &pin["hash"]].map(|it| it.as_str().unwrap().to_owned())
        };
        let [[id, hash], [other, other_hash]] = [pin("echo"), pin("e\u{202e}cho")];
        assert_eq!(code, Some(0));
        let (_, said) = scene.command(&["pin", "show", &other]).await;
        assert!(said.contains(r#"  + "Says it a\u{200b}gain.""#) && said.is_ascii(), "{said}");
        let (code, said) = scene.command(&["pin", "approve", &id, &other_hash]).await;
        assert_eq!(code, Some(5), "{said}");
        let (code, said) = scene.command(&["pin", "approve", &id, &hash]).await;
        assert_eq!(code, Some(0), "{said}");
        sees(&modern, &["echo"]).await;
        let (code, said) = scene.command(&["pin", "reject", &other, &other_hash]).await;
        assert_eq!((code, said.contains("is rejected")), (Some(0), true), "{said}");
        scene.lists(&ECHO.replace("again", "twice"));
        pending_after(&scene, &modern, 1).await;
        let (code, said) = scene.command(&["pin", "approve-all", "mail"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("2 definitions are approved"), "the prompt is one of them: {said}");
        sees(&modern, &["echo"]).await;
        let kept = scene.served.must(Method::GET, "pins?state=rejected", None).await;
        assert_eq!(kept["items"].as_array().unwrap().len(), 1);
    }
}
