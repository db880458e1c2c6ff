//! A gateway in front of a server that the test plays.

use std::sync::Arc;

use futures::future::join;
use tests::{Client, Era, Gateway, Plan, Post, Upstream};

pub(crate) struct Scene {
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Gateway,
}

/// A client of one era that has listed, in front of a server of one era.
pub(crate) struct Pair {
    pub(crate) scene: Arc<Scene>,
    pub(crate) client: Client,
    pub(crate) server: Era,
    /// What to call the two where something fails.
    pub(crate) row: String,
}

/// A server of each era alone.
pub(crate) fn each_era() -> [(Era, Plan); 2] {
    [(Era::Modern, Upstream::modern()), (Era::Legacy, Upstream::legacy())]
}

impl Scene {
    pub(crate) async fn of(plan: Plan) -> Self {
        let upstream = plan.start().await;
        let gateway = Gateway::dev(&upstream.url).await;
        Self { upstream, gateway }
    }

    /// One that answers calls by itself, and a client of each era that has listed.
    pub(crate) async fn echoing() -> (Self, [Client; 2]) {
        let scene = Self::of(Upstream::of_both_eras().echoing()).await;
        let clients = scene.clients().await;
        (scene, clients)
    }

    /// In front of a server of each era alone, with a client of each era that has listed; `plan`
    /// says more of the servers.
    pub(crate) async fn of_each_era(
        plan: impl Fn(Plan) -> Plan,
    ) -> [(Era, Arc<Self>, [Client; 2]); 2] {
        let [modern, legacy] = each_era().map(|(server, of_era)| {
            let plan = plan(of_era);
            async move {
                let scene = Self::of(plan).await;
                let clients = scene.clients().await;
                (server, Arc::new(scene), clients)
            }
        });
        join(modern, legacy).await.into()
    }

    /// Clients and servers in all four combinations of their eras.
    pub(crate) async fn pairs(plan: impl Fn(Plan) -> Plan) -> Vec<Pair> {
        let scenes = Self::of_each_era(plan).await;
        let pairs = scenes.into_iter().flat_map(|(server, scene, clients)| {
            clients.map(|client| Pair {
                scene: Arc::clone(&scene),
                row: format!("{client}, a {server:?} server"),
                client,
                server,
            })
        });
        pairs.collect()
    }

    /// Those of them whose clients are of this era.
    pub(crate) async fn pairs_of(era: Era, plan: impl Fn(Plan) -> Plan) -> Vec<Pair> {
        let mut pairs = Self::pairs(plan).await;
        pairs.retain(|it| it.client.era == era);
        pairs
    }

    /// A client of each era that has listed.
    pub(crate) async fn clients(&self) -> [Client; 2] {
        let clients = Client::of_each_era(&self.gateway).await;
        for client in &clients {
            client.warm_up().await;
        }
        clients
    }

    /// Sends what must be refused: with this verdict, one record that ends this way, and nothing at
    /// the upstream.
    pub(crate) async fn refuses(&self, client: &Client, post: Post, (verdict, end): (&str, &str)) {
        let row = format!("{client}: {}", shown(&post));
        let (known, calls) = (self.gateway.records().len(), self.upstream.seen().len());
        let answer = client.send(post).await;
        assert_eq!(answer.verdict(), verdict, "{row}: {}", answer.text());
        let records = self.gateway.records_since(known);
        let ends: Vec<_> = records.iter().map(|it| (it.kind, it.end())).collect();
        assert_eq!(ends, [("outcome", end)], "{row}");
        let seen = self.upstream.seen().split_off(calls);
        assert!(seen.is_empty(), "{row}: reached the upstream: {seen:?}");
    }

    /// Sends what must pass, and be answered by the echo of these arguments.
    pub(crate) async fn passes(&self, client: &Client, post: Post, arguments: &str) {
        let row = format!("{client}: {}", shown(&post));
        let answer = client.send(post).await;
        assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
        let echo = format!(r#""structuredContent":{arguments}"#);
        assert!(answer.text().contains(&echo), "{row}: {}", answer.text());
    }
}

/// The beginning of what is sent, for messages of failures.
fn shown(post: &Post) -> String {
    let headers = post
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    let headers: Vec<_> = headers.collect();
    let body: String = String::from_utf8_lossy(&post.body).chars().take(200).collect();
    format!("{headers:?} {body}")
}
