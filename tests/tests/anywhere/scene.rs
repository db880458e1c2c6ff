//! Three replicas in front of one server that the test plays.

use tests::client::LEGACY;
use tests::upstream::Talk;
use tests::{Client, Documents, Era, Paired, Plan, Record, Served, Site, Streamed, Upstream};

/// How others reach each of them.
pub(crate) const CONFIGURATION: &str = "replica_listen = '127.0.0.1:0'";
pub(crate) const PATH: &str = "/mcp/default/main/target";

const REPLICAS: usize = 3;
const PROGRESS: &str = "notifications/progress";

pub(crate) struct Scene {
    pub(crate) served: Vec<Served>,
    pub(crate) sites: Vec<Site>,
    pub(crate) upstream: Upstream,
    pub(crate) token: String,
    /// Of another app.
    pub(crate) other: String,
}

impl Scene {
    /// None where there is no PostgreSQL.
    pub(crate) async fn of(plan: Plan) -> Option<Self> {
        let url = db::testing::postgres_url().await?;
        let upstream = plan.start().await;
        let site = Site::new(Some(url));
        let documents = Documents::of_two_people("target", &upstream.url);
        let mut served = vec![site.start_configured(&documents, CONFIGURATION).await];
        let token = served[0].token("bot", "t").await;
        let other = served[0].token("other", "t").await;
        let mut sites = vec![site];
        for _ in 1..REPLICAS {
            let site = sites[0].beside();
            served.push(site.start_configured("", CONFIGURATION).await);
            sites.push(site);
        }
        Some(Self { served, sites, upstream, token, other })
    }

    /// A modern client at the first of them.
    pub(crate) fn modern(&self, can: &str) -> Client {
        let mut client = Client::modern_with_token(&self.served[0], PATH, &self.token);
        can.clone_into(&mut client.capabilities);
        client
    }

    /// A legacy client with a session that the first of them has.
    pub(crate) async fn legacy(&self, can: &str) -> Client {
        self.legacy_of(LEGACY, can).await
    }

    pub(crate) async fn legacy_of(&self, revision: &'static str, can: &str) -> Client {
        Client::legacy_with_token(&self.served[0], (PATH, &self.token), revision, can).await
    }

    /// The same on the transport of 2024-11-05.
    pub(crate) async fn paired(&self, can: &str) -> Paired {
        Paired::greet(&self.modern(can).in_era(Era::Legacy, LEGACY)).await
    }

    /// The client comes to that one from now on.
    pub(crate) fn at(&self, client: &mut Client, number: usize) {
        client.move_to(self.served[number].address);
    }

    /// The records of the calls that one of them has served.
    pub(crate) fn calls(&self, number: usize) -> Vec<Record> {
        let records = self.sites[number].latest_records().into_iter();
        records.filter(|it| it.text("method") == Some("tools/call")).collect()
    }

    /// How often one of them has passed a request on.
    pub(crate) async fn passed_on(&self, number: usize) -> u64 {
        self.served[number].metrics().await["ostiary_passed_on_total"]
    }

    /// A call that the server answers with a stream, of which one event has arrived.
    pub(crate) async fn streaming(&self, client: &Client) -> (Streamed, Talk) {
        let post = client.tool_with_progress("echo", "1");
        let (mut answer, talk) = tokio::join!(client.open(post), async {
            let talk = self.upstream.next().await.stream();
            progress(&talk, 1).await;
            talk
        });
        assert_eq!(answer.message().await["params"]["progress"], 1);
        (answer, talk)
    }
}

pub(crate) async fn progress(talk: &Talk, number: u32) {
    let params = format!(r#"{{"progressToken":1,"progress":{number}}}"#);
    talk.notification(PROGRESS, &params).await;
}
