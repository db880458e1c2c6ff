//! The sample workspace, as `make run` starts it: two servers that others wrote behind one
//! aggregated gateway, and the official SDKs in every era that they speak.

use std::path::Path;

use futures::future::{BoxFuture, join_all};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use tests::peers::{Peer, bin, run_client};
use tests::{Served, Site};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

#[tokio::test]
async fn the_rust_sdk_uses_the_sample_workspace_in_each_of_its_modes() {
    // There is no TLS here, and yet the client's library wants to know whose it would be.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let legacy = ClientLifecycleMode::Initialize;
    let discover = ClientLifecycleMode::Discover { preferred_versions: preferred_versions.clone() };
    let auto = ClientLifecycleMode::Auto { preferred_versions, legacy_version: None };
    for sample in Sample::on_each_database().await {
        for (mode, revision) in [(&legacy, LEGACY), (&discover, MODERN), (&auto, MODERN)] {
            let act = |deed| sample.with_rust(mode.clone(), deed);
            sample.is_used(&format!("rmcp {mode:?}"), (revision, 13), act).await;
        }
        sample.ends_with_every_call_accounted_for(3).await;
    }
}

#[tokio::test]
async fn the_typescript_sdk_uses_the_sample_workspace_in_each_of_its_modes() {
    uses_it_in_each_mode("node-client", 15).await;
}

#[tokio::test]
async fn the_python_sdk_uses_the_sample_workspace_in_each_of_its_modes() {
    uses_it_in_each_mode("python-client", 16).await;
}

/// The reference server has more tools for clients that can be asked something: forms and sampling,
/// and where they open them URLs.
async fn uses_it_in_each_mode(client: &str, tools: usize) {
    for sample in Sample::on_each_database().await {
        for (mode, revision) in [("legacy", LEGACY), ("auto", MODERN), (MODERN, MODERN)] {
            let act = |deed| sample.with_program(client, mode, revision, deed);
            sample.is_used(&format!("{client} {mode}"), (revision, tools), act).await;
        }
        sample.ends_with_every_call_accounted_for(3).await;
    }
}

/// What a client does; its outcome is the result, as JSON.
enum Deed {
    List,
    Call(&'static str, Value),
}

/// A running gateway, its servers, and the token of the workspace's own app.
struct Sample {
    _everything: Peer,
    site: Site,
    served: Served,
    url: String,
    token: String,
}

impl Sample {
    async fn on_each_database() -> Vec<Self> {
        join_all(Site::on_each(db::testing::postgres_url().await).into_iter().map(Self::at)).await
    }

    async fn at(site: Site) -> Self {
        let everything = Peer::everything().await;
        let folder = site.home().join("sample");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("hello.txt"), "Hello from the sample folder.\n").unwrap();
        let served = site.start_with(&documents(&everything, &folder)).await;
        let url = format!("http://{}/mcp/default/main", served.address);
        let token = served.token("demo", "client").await;
        Self { _everything: everything, site, served, url, token }
    }

    /// Lists the tools of both servers and calls one of each, in one mode of a client.
    async fn is_used<'a>(
        &'a self,
        client: &str,
        (revision, offered): (&str, usize),
        act: impl Fn(Deed) -> BoxFuture<'a, Value>,
    ) {
        let row = format!("{client}, {}", self.site.database());
        let listed = act(Deed::List).await;
        let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("{row}: {listed}"));
        let of = |prefix: &str| {
            let names = tools.iter().filter_map(|it| it["name"].as_str());
            names.filter(|it| it.starts_with(prefix)).count()
        };
        let expected = (offered, 14, offered + 14);
        assert_eq!((of("everything__"), of("files__"), tools.len()), expected, "{row}");

        let message = json!({"message": "my card is 4111 1111 1111 1111"});
        let said = act(Deed::Call("everything__echo", message)).await;
        let text = &said["content"][0]["text"];
        assert_eq!(*text, "Echo: my card is ***************1111", "{row}: {said}");

        let path = self.site.home().join("sample/hello.txt");
        let read = act(Deed::Call("files__read_text_file", json!({"path": path}))).await;
        assert_eq!(read["content"][0]["text"], "Hello from the sample folder.\n", "{row}: {read}");

        let records = self.site.records();
        let newest: Vec<_> = records.iter().rev().filter(|it| it.text("name").is_some()).collect();
        let seen = |it: usize| (newest[it].text("server"), newest[it].text("revision"));
        assert_eq!(seen(0), (Some("files"), Some(revision)), "{row}");
        assert_eq!(seen(1), (Some("everything"), Some(revision)), "{row}");
    }

    /// Each call has an intent and an outcome, and a verifier that was not there believes the log.
    async fn ends_with_every_call_accounted_for(self, runs: usize) {
        let database = self.site.database();
        assert!(self.served.stop().await.success(), "{database}");
        let (code, words) = self.site.verify().await;
        assert_eq!(code, Some(0), "{database}: {words}");
        let records = self.site.records();
        let calls = records.iter().filter(|it| it.kind == "intent");
        let calls: Vec<_> = calls.filter(|it| it.text("method") == Some("tools/call")).collect();
        assert_eq!(calls.len(), 2 * runs, "{database}");
        for intent in calls {
            let call = intent.text("call").expect("a call's number");
            let ends = records.iter().filter(|it| it.kind == "outcome");
            let ends: Vec<_> = ends.filter(|it| it.text("call") == Some(call)).collect();
            assert_eq!(ends.len(), 1, "{database}: {intent:?}");
            assert_eq!(ends[0].text("end"), Some("answered"), "{database}: {intent:?}");
            assert!(intent.sequence < ends[0].sequence, "{database}: {intent:?}");
        }
        assert!(!self.site.words().contains("panicked"), "{database}");
    }

    fn with_rust(&self, mode: ClientLifecycleMode, deed: Deed) -> BoxFuture<'_, Value> {
        Box::pin(async move {
            let config = StreamableHttpClientTransportConfig::with_uri(self.url.clone());
            let config = config.auth_header(self.token.clone());
            let transport = StreamableHttpClientTransport::from_config(config);
            let client = ().serve_with_lifecycle(transport, mode).await.unwrap();
            let result = match deed {
                Deed::List => json!({"tools": client.list_all_tools().await.unwrap()}),
                Deed::Call(name, arguments) => {
                    let arguments = arguments.as_object().unwrap().clone();
                    let call = CallToolRequestParams::new(name).with_arguments(arguments);
                    json!(client.call_tool(call).await.unwrap())
                }
            };
            client.cancel().await.unwrap();
            result
        })
    }

    fn with_program<'a>(
        &'a self,
        client: &'a str,
        mode: &'a str,
        revision: &'a str,
        deed: Deed,
    ) -> BoxFuture<'a, Value> {
        Box::pin(async move {
            let mut words = vec![&*self.url, mode, "--token", &self.token];
            let arguments;
            match &deed {
                Deed::List => words.push("list"),
                Deed::Call(name, given) => {
                    arguments = given.to_string();
                    words.extend(["call", name, &arguments]);
                }
            }
            let said = run_client(client, &words).await;
            assert_eq!(said["revision"], revision, "{client} {mode}: {said}");
            said["result"].clone()
        })
    }
}

/// The sample's documents, filled in as `scripts/run.sh` does.
fn documents(everything: &Peer, folder: &Path) -> String {
    let port = everything.url.rsplit_once(':').unwrap().1.strip_suffix("/mcp").unwrap();
    let command = bin("server-filesystem");
    let filled = include_str!("../../../samples/workspace.yaml")
        .replace("@EVERYTHING_PORT@", port)
        .replace("@FILES_COMMAND@", command.to_str().unwrap())
        .replace("@FILES_FOLDER@", folder.to_str().unwrap());
    assert!(!filled.contains('@'), "something is left to be filled in: {filled}");
    filled
}
