//! One gateway, one server that the test plays, on each database.

use tests::line::Line;
use tests::load::{End, once};
use tests::{Caller, Plan, Served, Site, Upstream};

use crate::documents;

/// A gateway in front of a server that the test plays.
pub(crate) struct Scene {
    pub(crate) served: Served,
    pub(crate) upstream: Upstream,
    pub(crate) caller: Caller,
    _site: Site,
}

impl Scene {
    pub(crate) async fn on_each_database(plan: impl Fn() -> Plan) -> Vec<Self> {
        let mut scenes = Vec::new();
        for site in Site::on_each(db::testing::postgres_url().await) {
            let upstream = plan().start().await;
            let served = site.start_with(&documents(&upstream.url, &upstream.url)).await;
            let caller = Caller::of("main", "target", &served.token("bot", "t").await);
            scenes.push(Self { served, upstream, caller, _site: site });
        }
        scenes
    }

    /// How a call ends.
    pub(crate) async fn call(&self) -> End {
        let mut line = Line::to(self.served.address);
        once(&mut line, self.served.address, &self.caller, 1).await.end
    }
}
