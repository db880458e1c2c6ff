//! Several replicas in front of one server that the test plays.

use std::time::Duration;

use db::{Db, Sql};
use http::Method;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tests::line::Line;
use tests::load::{End, once};
use tests::upstream::Talk;
use tests::wait::within;
use tests::{Caller, Plan, Relay, Served, Site, Upstream};

use crate::streams::{PROGRESS, Stream};
use crate::{cut, documents};

pub(crate) struct Cluster {
    pub(crate) served: Vec<Served>,
    pub(crate) upstream: Upstream,
    pub(crate) caller: Caller,
    /// Between the last one and the database.
    pub(crate) relay: Relay,
    pub(crate) sites: Vec<Site>,
}

impl Cluster {
    /// None where there is no PostgreSQL.
    pub(crate) async fn of(replicas: usize, plan: Plan) -> Option<Self> {
        let upstream = plan.start().await;
        let place = upstream.url.clone();
        Self::before(replicas, upstream, &place).await
    }

    /// The same in front of a server that is reached by that URL.
    pub(crate) async fn before(replicas: usize, upstream: Upstream, place: &str) -> Option<Self> {
        let url = db::testing::postgres_url().await?;
        let relay = relay_to(&url).await;
        // For which the functions of its schema come before PostgreSQL's own.
        let through = format!("{}%2Cpg_catalog", through(&relay, &url));
        assert!(through.contains("search_path%3D"), "{through}");
        let site = Site::new(Some(url));
        let mut served = vec![site.start_with(&documents(place, place)).await];
        let caller = Caller::of("main", "target", &served[0].token("bot", "t").await);
        let mut sites = vec![site];
        for _ in 2..replicas {
            sites.push(sites[0].beside());
        }
        sites.push(sites[0].beside_by(through));
        for site in &sites[1..] {
            served.push(site.start().await);
        }
        Some(Self { served, upstream, caller, relay, sites })
    }

    /// The name that a replica has where nobody has given it one.
    pub(crate) fn name(&self, number: usize) -> String {
        let system = rustix::system::uname();
        let port = self.served[number].address.port();
        format!("{}:{port}", system.nodename().to_string_lossy())
    }

    pub(crate) fn signal(&self, number: usize, signal: Signal) {
        kill_process(self.served[number].pid().unwrap(), signal).unwrap();
    }

    /// How a call to a replica ends.
    pub(crate) async fn call(&self, number: usize) -> End {
        let address = self.served[number].address;
        once(&mut Line::to(address), address, &self.caller, 1).await.end
    }

    /// Calls until it ends so.
    pub(crate) async fn call_until(&self, number: usize, is_it: impl Fn(&End) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let calling = async {
            loop {
                ticks.tick().await;
                let end = self.call(number).await;
                if is_it(&end) {
                    return;
                }
            }
        };
        within("a call that ends otherwise", calling).await;
    }

    /// Turns the server off at the first replica; what that says of all.
    pub(crate) async fn cut(&self) -> Value {
        cut(&self.served[0], "server", "target", None).await["replicas"].clone()
    }

    /// The same, until those are the only ones that were waited out: where the machine has no time for
    /// it, others may be late now and then.
    pub(crate) async fn cut_without(&self, waited_out: &[String]) -> Value {
        let expected = json!(waited_out);
        let cutting = async {
            loop {
                let replicas = self.cut().await;
                if replicas["waited_out"] == expected {
                    return replicas;
                }
                // One more may be late. None that cannot have confirmed is ever taken for one that has.
                let named = replicas["waited_out"].as_array().unwrap();
                let is_unknown = named.contains(&json!("all others"));
                let are_named = waited_out.iter().all(|it| named.contains(&json!(it)));
                assert!(is_unknown || are_named, "{replicas}");
            }
        };
        within("all others to confirm", cutting).await
    }

    /// What the first one knows of all, by name.
    pub(crate) async fn list(&self) -> Vec<Value> {
        let all = self.served[0].must(Method::GET, "/replicas", None).await;
        all["items"].as_array().unwrap().clone()
    }

    /// Waits until that many are live.
    pub(crate) async fn until_live(&self, count: usize) {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let looking = async {
            loop {
                ticks.tick().await;
                let all = self.list().await;
                if all.iter().filter(|it| it["live"] == true).count() == count {
                    return;
                }
            }
        };
        within("replicas to come or go", looking).await;
    }

    /// A call at a replica that is being answered with a stream, of which one event has arrived.
    pub(crate) async fn streaming_call(&self, number: usize) -> (Stream, Talk) {
        let served = &self.served[number];
        let request = self.caller.request(served.address, 7);
        let talking = async {
            let talk = self.upstream.next().await.stream();
            talk.notification(PROGRESS, r#"{"progressToken":7,"message":"at work"}"#).await;
            talk
        };
        let (mut stream, talk) = tokio::join!(Stream::open(served, request), talking);
        stream.until("at work").await;
        (stream, talk)
    }

    /// Does something to the database that no replica has done.
    pub(crate) async fn tamper(&self, statements: impl IntoIterator<Item = Sql>) {
        let db = Db::open(self.sites[0].url().unwrap()).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for it in statements {
            tx.execute(it).await.unwrap();
        }
        tx.commit().await.unwrap();
        db.close().await;
    }

    /// What a command at a replica ends with, and says.
    pub(crate) async fn run(&self, number: usize, words: &[&str]) -> (Option<i32>, String) {
        let (site, served) = (&self.sites[number], &self.served[number]);
        let url = format!("http://{}", served.address);
        let file = site.home().join("admin-token");
        std::fs::write(&file, served.admin()).unwrap();
        site.run(&[words, &["--url", &url, "--token-file", file.to_str().unwrap()]].concat()).await
    }

    /// Turns the server on again, and waits until all know it.
    pub(crate) async fn restore(&self) {
        let body = json!({"kind": "server", "name": "target"});
        self.served[0].must(Method::POST, "restores", Some(body)).await;
        self.until_level().await;
    }

    /// Waits until all that are live have confirmed all changes: one that was waited out refuses for
    /// a moment what it does not know yet.
    pub(crate) async fn until_level(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let looking = async {
            while self.list().await.iter().any(|it| it["live"] == true && it["behind"] != 0) {
                ticks.tick().await;
            }
        };
        within("all replicas to know it", looking).await;
    }
}

/// A relay to the server of a database.
pub(crate) async fn relay_to(url: &str) -> Relay {
    let place = url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    Relay::to(&format!("http://{place}/")).await
}

/// The URL of a database where it is reached through a relay.
pub(crate) fn through(relay: &Relay, url: &str) -> String {
    let (user, rest) = url.split_once('@').unwrap();
    format!("{user}@{}/{}", relay.place(), rest.split_once('/').unwrap().1)
}
