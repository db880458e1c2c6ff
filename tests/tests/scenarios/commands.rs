//! `ostiary NOUN VERB`: what the admin API has, at the command line, as scripts use it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tests::serve::{Ran, binary};
use tests::wait::within;
use tests::{Client, Served, Site, Upstream};
use tokio::io::{AsyncReadExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A gateway, and commands that ask it.
struct Desk {
    site: Site,
    served: Served,
}

impl Desk {
    async fn on_each_database() -> Vec<Self> {
        let sites = Site::on_each(db::testing::postgres_url().await);
        join_all(sites.into_iter().map(Self::at)).await
    }

    async fn at(site: Site) -> Self {
        let served = site.start().await;
        Self { site, served }
    }

    /// Splits the line at blanks; `~` stands for one.
    async fn run(&self, line: &str) -> Ran {
        let words: Vec<String> = line.split(' ').map(|it| it.replace('~', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.site.command(&self.served, &words).await
    }

    /// What a command prints that must work.
    async fn prints(&self, line: &str) -> String {
        let ran = self.run(line).await;
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{line}: {}", ran.out);
        ran.out
    }

    /// The same as JSON, on one line.
    async fn tells(&self, line: &str) -> Value {
        let out = self.prints(&format!("{line} --json")).await;
        assert_eq!(out.lines().count(), 1, "{line}");
        serde_json::from_str(&out).unwrap()
    }

    /// A record gets its place in the log a moment after it is written.
    async fn place_of_the_oldest(&self) -> u64 {
        loop {
            let found = self.tells("record list").await;
            let oldest = found.as_array().unwrap().last().unwrap();
            if let Some(index) = oldest["index"].as_u64() {
                return index;
            }
        }
    }

    /// The exit code and the one sentence of a command that must not.
    async fn refuses(&self, line: &str) -> (i32, String) {
        let ran = self.run(line).await;
        assert_eq!(ran.out, "", "{line}");
        assert_eq!(ran.err.lines().count(), 1, "{line}: {}", ran.err);
        (ran.code.unwrap(), ran.err)
    }
}

#[tokio::test]
async fn a_workspace_is_built_used_and_taken_down_by_commands() {
    let upstream = Upstream::of_both_eras().echoing().start().await;
    for desk in Desk::on_each_database().await {
        let url = &upstream.url;
        for line in [
            "user create ann",
            "user create bob",
            "team create dev --member ann",
            "team add-member dev bob",
            &format!("server create files --http {url} --era modern --review off"),
            "server create local --env A=b -- mcp-server --root /srv",
            "identity create key --server files --header Authorization=Bearer~env:TEST_CREDENTIAL",
            "gateway create main",
            "gateway grant main dev",
            "assignment create files --gateway main --scheme shared --identity key --tools echo",
            "rule create mail --gateway main --pattern @ --action redact --on-response false",
            "app create bot --owner ann --purpose tests",
            "connection create main --app bot",
        ] {
            desk.prints(line).await;
        }
        let token = desk.prints("token create --app bot --for 1h").await;
        for client in Client::with_token(&desk.served, "/mcp/default/main", token.trim()).await {
            client.warm_up().await;
            let answer = client.send(client.tool("files__echo", r#"{"n":1}"#)).await;
            assert_eq!(answer.verdict(), "200", "{}", answer.text());
        }
        let seen = upstream.calls().pop().unwrap();
        assert_eq!(seen.header("authorization"), Some("Bearer hunter2"));

        assert_eq!(desk.tells("team show dev").await["members"], json!(["ann", "bob"]));
        assert_eq!(desk.tells("gateway show main").await["teams"], json!(["dev"]));
        let local = json!({"type": "stdio", "command": "mcp-server", "args": ["--root", "/srv"],
                           "env": {"A": "b"}});
        assert_eq!(desk.tells("server show local").await["transport"], local);
        let files = desk.tells("assignment show files --gateway main").await;
        assert_eq!(files["tools"], json!({"expose": "named", "names": ["echo"]}));
        assert_eq!(desk.tells("rule list --gateway main").await[0]["on_response"], false);
        assert_eq!(desk.tells("connection list").await[0]["app"], "bot");

        desk.prints("rule update mail --gateway main --action mask:4 --tool echo").await;
        let rule = desk.tells("rule show mail --gateway main").await;
        assert_eq!(rule["action"], json!({"type": "mask", "keep_last": 4}));
        desk.prints("gateway revoke main dev").await;
        desk.prints("team remove-member dev bob").await;
        desk.prints("user update bob --name robert --enabled false").await;
        let robert = desk.tells("user show robert").await;
        assert_eq!((&robert["enabled"], &robert["teams"]), (&json!(false), &json!([])));
        assert_eq!(desk.tells("cutoff list").await[0]["name"], "robert");

        assert_eq!(desk.prints("token revoke cli --app bot").await, "token `cli` is revoked\n");
        for line in [
            "connection delete main --app bot",
            "app delete bot",
            "rule delete mail --gateway main",
            "assignment delete files --gateway main",
            "gateway delete main",
            "identity delete key",
            "server delete files",
            "server delete local",
            "team delete dev",
            "user delete ann",
            "user delete robert",
        ] {
            assert!(desk.prints(line).await.ends_with("is deleted\n"), "{line}");
        }
        desk.prints("workspace create labs --durability synced").await;
        assert_eq!(desk.tells("workspace show labs").await["durability"], "synced");
        desk.prints("user create eve --workspace labs").await;
        assert_eq!(desk.tells("user list --workspace labs").await[0]["name"], "eve");
        assert_eq!(desk.tells("user list").await, json!([]));
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_by_exit_codes() {
    for desk in Desk::on_each_database().await {
        desk.prints("user create ann").await;
        desk.prints("app create bot --owner ann --purpose x").await;
        let cases = [
            ("user show bob", 4, "there is no user `bob`"),
            ("user show ../session", 4, "there is no user `../session`"),
            ("user show ann?x=1", 4, "there is no user"),
            ("user show Ann", 4, "there is no user `Ann`"),
            ("user list --workspace nowhere", 4, "there is no workspace `nowhere`"),
            ("user list --workspace ..", 4, "there is no workspace `..`"),
            ("token list --app none", 4, "there is no app `none`"),
            ("user create ann", 5, "user `ann` already exists"),
            ("user delete ann", 5, "user `ann` is used by app `bot`"),
            ("user update ann", 2, "say what to change"),
            ("user create Ann", 1, ""),
            ("team create t --member bob", 1, "there is no user `bob`"),
            ("server create s --http http://example.com/", 1, "use https"),
            ("server create s --http https://a.example/ --sse https://a.example/", 2, "one of"),
            ("identity create i --server s --header Authorization=Bearer~hunter2", 2, "env:NAME"),
            ("identity create i --server s --header Authorization=env:NOT_SET", 1, "not set"),
            ("user list --url http://127.0.0.1:1", 69, "does not answer"),
            ("user list --token-file /nowhere", 3, "cannot be read|cannot read"),
            ("user list --token-file /dev/null", 3, "sign in first"),
        ];
        for (line, code, words) in cases {
            let (ended, said) = desk.refuses(line).await;
            assert_eq!(ended, code, "{line}: {said}");
            assert!(words.split('|').any(|it| said.contains(it)), "{line}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        for line in ["user create", "user", "user frobnicate", "token create", "rule create r"] {
            assert_eq!(desk.run(line).await.code, Some(2), "{line}");
        }
        // The command line is no place for a token, so there is no such option.
        let ran = desk.run("user list --token osta_x").await;
        assert_eq!(ran.code, Some(2), "{}", ran.err);
    }
}

#[tokio::test]
async fn a_secret_comes_from_standard_input_or_a_file_and_is_not_shown() {
    for desk in Desk::on_each_database().await {
        desk.prints("server create s --http https://a.example/mcp").await;
        let header = ["--header", "authorization=Bearer stdin:"];
        let words = [&["identity", "create", "i", "--server", "s"], &header[..]].concat();
        let ran = desk.site.command_with(&desk.served, &words, "correct-horse\n").await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let file = desk.site.home().join("battery");
        std::fs::write(&file, "battery-staple\n").unwrap();
        let line = format!("identity update i --header x-key=file:{}", file.display());
        let out = desk.prints(&line).await + &ran.out + &desk.prints("identity list").await;
        assert!(out.contains("x-key"), "{out}");
        assert!(!out.contains("horse") && !out.contains("staple"), "{out}");
    }
}

#[tokio::test]
async fn what_a_command_makes_is_made_once_though_the_answer_was_lost() {
    for desk in Desk::on_each_database().await {
        let (url, _relay) = losing_first_answers(desk.served.address, 2).await;
        desk.prints(&format!("user create ann --url {url}")).await;
        desk.prints("app create bot --owner ann --purpose tests").await;
        let (url, _relay) = losing_first_answers(desk.served.address, 1).await;
        // A secret is shown once, and is told to be lost.
        let (code, said) = desk.refuses(&format!("token create --app bot --url {url}")).await;
        assert_eq!(code, 5, "{said}");
        assert!(said.contains("was done"), "{said}");
        assert_eq!(desk.tells("token list --app bot").await[0]["name"], "cli");
        let made: Vec<_> = desk
            .site
            .records()
            .into_iter()
            .filter(|it| it.text("phase") == Some("ended") && it.text("object") == Some("user"))
            .collect();
        assert_eq!(made.len(), 1, "{made:?}");
    }
}

/// Leads to a gateway, and swallows its answers on the first connections.
async fn losing_first_answers(to: SocketAddr, lost: usize) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut relay = JoinSet::new();
    relay.spawn(async move {
        for count in 0.. {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(to).await.unwrap();
            if lost <= count {
                // Whoever has what it wanted may go away at any time.
                copy_bidirectional(&mut near, &mut far).await.ok();
                continue;
            }
            let (mut from_near, _) = near.split();
            let (mut from_far, mut to_far) = far.split();
            let mut answer = [0; 1];
            tokio::select! {
                copied = copy(&mut from_near, &mut to_far) => panic!("{copied:?}"),
                read = from_far.read_exact(&mut answer) => drop(read.unwrap()),
            }
        }
    });
    (url, relay)
}

#[tokio::test]
async fn lists_are_followed_to_their_end() {
    for desk in Desk::on_each_database().await {
        let users = (0..450).map(|n| format!("kind: User\nname: user-{n:03}\n"));
        let text = users.collect::<Vec<_>>().join("---\n");
        let body = json!({ "text": text });
        desk.served.must(Method::POST, "apply", Some(body)).await;
        let found = desk.tells("user list").await;
        let names: Vec<&str> =
            found.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!((names.len(), names[0], names[449]), (450, "user-000", "user-449"));
        let table = desk.prints("user list").await;
        assert_eq!(table.lines().count(), 451);
        assert!(table.starts_with("NAME      TEAMS  ENABLED  CREATED_AT"), "{table}");
    }
}

#[tokio::test]
async fn what_commands_did_is_in_the_record_and_can_be_proven() {
    for desk in Desk::on_each_database().await {
        desk.prints("user create ann").await;
        let found = desk.tells("record list --last 1").await;
        assert_eq!(found[0]["record"]["action"], "POST /workspaces/{workspace}/users");
        assert_eq!(found.as_array().unwrap().len(), 1);
        let index = within("a place in the log", desk.place_of_the_oldest()).await;
        let proof = desk.prints(&format!("record proof {index}")).await;
        let file = desk.site.home().join("proof");
        std::fs::write(&file, proof).unwrap();
        let key = std::fs::read_to_string(desk.site.data().join("log.key")).unwrap();
        let words = ["audit", "verify", "--proof", file.to_str().unwrap(), "--key", key.trim()];
        let (code, words) = desk.site.run(&words).await;
        assert_eq!(code, Some(0), "{words}");
    }
}

#[tokio::test]
async fn something_is_turned_off_and_on_again_by_commands() {
    for desk in Desk::on_each_database().await {
        desk.prints("server create wiki --http https://wiki.example/mcp").await;
        let said = desk.prints("cutoff server wiki --for 1h --reason a~drill").await;
        assert!(said.starts_with("server `wiki` is off on 1/1 replicas after "), "{said}");
        assert!(said.ends_with(" ms; 0 calls and streams were ended\n"), "{said}");
        let off = desk.tells("cutoff list").await;
        assert_eq!((&off[0]["name"], &off[0]["reason"]), (&json!("wiki"), &json!("a drill")));
        assert!(off[0]["until"].is_string(), "{off}");
        desk.prints("restore server wiki").await;
        assert_eq!(desk.tells("cutoff list").await, json!([]));
        let (code, why) = desk.refuses("cutoff server nowhere").await;
        assert_eq!(code, 4, "{why}");
    }
}

#[tokio::test]
async fn shells_complete_every_noun_and_every_command_has_a_page() {
    let desk = Desk::at(Site::new(None)).await;
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.prints(&format!("completions {shell}")).await;
        for word in ["assignment", "add-member", "observe-only", "cutoff"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let script = desk.site.home().join("ostiary.bash");
    std::fs::write(&script, desk.prints("completions bash").await).unwrap();
    assert_eq!(
        offers(&script, "team").await,
        "add-member create delete help list remove-member show update"
    );
    let folder = desk.site.home().join("pages");
    desk.prints(&format!("man --out {}", folder.display())).await;
    let page = std::fs::read_to_string(folder.join("ostiary-team-add-member.1")).unwrap();
    assert!(page.contains("ostiary team add"), "{page}");
}

/// What bash offers after `ostiary NOUN`.
async fn offers(script: &Path, noun: &str) -> String {
    let text = format!(
        "source {}; COMP_WORDS=(ostiary {noun} ''); COMP_CWORD=2; _ostiary ostiary '' {noun}; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\" | grep -v '^-' | sort | paste -sd' '",
        script.display()
    );
    assert!(binary().exists());
    let mut bash = tokio::process::Command::new("bash");
    let output = bash.args(["--norc", "-c", &text]).stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
