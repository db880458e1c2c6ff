use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, header};
use db::{Db, Sql, sql};
use domain::Snapshot;
use domain::ports::{Answer, NotPicked, Traffic};
use futures::FutureExt as _;
use serde_json::json;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::testing::{Api, options};
use crate::{Control, ControlOptions, Serving};

/// It ends, as if it were the first time: what another replica has let through in between, and what has
/// been let through here by what that one has said, is under way.
#[tokio::test]
async fn h170_what_is_turned_off_again_ends_what_was_let_through_in_between() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let api = Api::on(fresh).await;
    api.given_a_chain().await;
    let off = json!({"kind": "server", "name": "jira", "reason": "a drill"});
    let cut = async || {
        let reply = api.post("cutoffs", off.clone()).await;
        assert!(reply.status.is_success(), "{}", reply.text);
    };
    cut().await;
    let other = beside(&api, None).await;
    restore(&api, &other).await;

    // The second one has read what is off, and goes no further.
    let database = Db::open(&api.fresh.url).await.unwrap();
    let mut lock = database.begin().await.unwrap();
    lock.execute(sql("LOCK TABLE replicas IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    let settled = api.traffic.settled.lock().len();
    let meanwhile = async {
        let waiting = "SELECT count(*) FROM pg_locks
                       WHERE NOT granted AND relation = 'replicas'::regclass";
        until(async || count(&database, sql(waiting)).await == 1).await;
        // Calls are let through by what the other one has said.
        let now = api.control.app.clock.now();
        let jira = |it: &Snapshot| it.config.workspaces["default"].servers.keys().next().copied();
        let snapshot = api.snapshot().await;
        let target = domain::Target::Server(jira(&snapshot).unwrap());
        assert!(snapshot.switches.find(&target, now).is_none());
        lock.rollback().await.unwrap();
    };
    tokio::join!(cut(), meanwhile);
    let settled_by = api.traffic.settled.lock().split_off(settled);
    assert_eq!(settled_by.len(), 1, "nobody has looked at what is under way");
    other.close().await;
}

/// Changes may come faster than one can be judged: each is confirmed in its time.
#[tokio::test]
async fn a_change_is_confirmed_while_later_ones_are_being_judged() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let api = Api::on(fresh).await;
    let other = beside(&api, Some("other")).await;
    let database = Db::open(&api.fresh.url).await.unwrap();
    let epoch = async || count(&database, sql("SELECT epoch FROM epoch")).await;
    let confirmed =
        async || count(&database, sql("SELECT epoch FROM replicas WHERE name = 'other'")).await;
    let begun = epoch().await;
    let (judged, until_judged) = watch::channel(begun);
    let (seen, mut looks) = watch::channel(0);
    other.set_traffic(Arc::new(Slow { until_judged, seen }));
    until(async || confirmed().await == begun).await;
    for later in [1, 2, 3] {
        change(&database).await;
        looks.wait_for(|it| *it == begun + later).await.unwrap();
    }
    assert_eq!(confirmed().await, begun);
    judged.send(begun + 1).unwrap();
    until(async || begun < confirmed().await).await;
    assert_eq!(confirmed().await, begun + 1, "the others are still being judged");
    // Who has the newest has those before it.
    judged.send(begun + 3).unwrap();
    until(async || confirmed().await == begun + 3).await;
    other.close().await;
}

/// One that is not there any more, and could let calls through for a minute.
#[tokio::test]
async fn whoever_waits_for_others_to_confirm_a_pick_keeps_nobody_from_picking() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let api = Api::on(fresh).await;
    api.given_a_chain().await;
    let snapshot = api.snapshot().await;
    let workspace = Arc::clone(&snapshot.config.workspaces["default"]);
    let bot = *workspace.apps.keys().next().unwrap();
    let gateway = workspace.gateways.values().next().unwrap().id;
    let database = Db::open(&api.fresh.url).await.unwrap();
    execute(&database, sql(GHOST)).await;
    let picking = api.control.picks();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let epoch = api.control.epoch();
        let mut pick = picking.pick(workspace.id, bot, gateway);
        let told = pick.as_mut().now_or_never();
        assert_ne!(told, Some(Err(NotPicked::Crowded)));
        until(async || epoch < api.control.epoch()).await;
        assert!(pick.as_mut().now_or_never().is_none(), "it is not confirmed");
        waiting.push(pick);
    }
    execute(&database, sql("UPDATE replicas SET epoch = 1000000")).await;
    for pick in waiting {
        assert_eq!(pick.await, Ok(()));
    }
}

/// The change holds, and nobody says that it holds everywhere.
#[tokio::test]
async fn whoever_waits_for_a_change_when_the_process_stops_is_told_that_it_is_not_confirmed() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let api = Api::on(fresh).await;
    api.given_a_chain().await;
    let database = Db::open(&api.fresh.url).await.unwrap();
    execute(&database, sql(GHOST)).await;
    let epoch = api.control.epoch();
    let off = json!({"kind": "server", "name": "jira", "reason": "a drill"});
    let stopping = async {
        until(async || epoch < api.control.epoch()).await;
        until(async || api.control.app.replica.looks.has_looked()).await;
        api.control.close().await;
    };
    let (reply, ()) = tokio::join!(api.post("cutoffs", off), stopping);
    let replicas = &reply.json()["replicas"];
    let told = json!({"live": 2, "acknowledged": 1, "waited_out": [], "unconfirmed": ["ghost"]});
    assert_eq!(*replicas, told, "{}", reply.text);
    assert_eq!(count(&database, sql("SELECT count(*) FROM switches")).await, 1);
}

/// Who commits and does not see its row need not wait: all that it reads comes later.
#[tokio::test]
async fn whoever_enters_has_a_row_before_it_reads_what_holds() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let api = Api::on(fresh).await;
    let database = Db::open(&api.fresh.url).await.unwrap();
    // A change is made in the very moment in which it has its row.
    execute(&database, sql(MEANWHILE)).await;
    let trigger = "CREATE TRIGGER meanwhile AFTER INSERT ON replicas
                   FOR EACH ROW EXECUTE FUNCTION meanwhile()";
    execute(&database, sql(trigger)).await;
    let before = count(&database, sql("SELECT epoch FROM epoch")).await;
    let other = beside(&api, Some("other")).await;
    // It has had no time to follow anybody yet.
    assert_eq!(other.epoch(), before + 1);
    assert_eq!(count(&database, sql("SELECT epoch FROM epoch")).await, before + 1);
    other.close().await;
}

const MEANWHILE: &str = "CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE epoch SET epoch = epoch + 1, stamp = stamp + 1; RETURN NEW; END'";

/// Has shown itself just now, and has confirmed nothing.
const GHOST: &str = "INSERT INTO replicas (id, name, version, epoch, stamp, autonomy_seconds,
                                           telling, mark, started_at, seen_at)
    VALUES ('00000000-0000-7000-8000-00000000000f', 'ghost', '0', 0, 0, 60, 2, 1,
            CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)";

/// Traffic that is looked at in as long as the test says.
struct Slow {
    /// Up to which epoch.
    until_judged: watch::Receiver<i64>,
    /// The epoch of the last look.
    seen: watch::Sender<i64>,
}

impl Traffic for Slow {
    fn settle(&self, snapshot: Arc<Snapshot>) -> Answer<'_, usize> {
        let epoch = i64::try_from(snapshot.epoch).unwrap();
        self.seen.send_replace(epoch);
        let mut judged = self.until_judged.clone();
        Box::pin(async move {
            judged.wait_for(|it| epoch <= *it).await.unwrap();
            0
        })
    }

    fn renew(&self, _: Duration) {}
}

/// Another control plane on the same database, which follows if it has a name.
async fn beside(api: &Api, name: Option<&str>) -> Control {
    let serving = name.map(|it| Serving { name: it.into(), canary: Duration::ZERO });
    let db = Db::open(&api.fresh.url).await.unwrap();
    let options = options(&api.fresh, &api.clock, &api.log);
    Control::open(ControlOptions { db, serving, ..options }).await.unwrap()
}

async fn restore(api: &Api, control: &Control) {
    let on = json!({"kind": "server", "name": "jira"});
    let request = Request::post("/api/v1/workspaces/default/restores")
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
        .header(header::CONTENT_TYPE, "application/json")
        .body(axum::body::Body::from(on.to_string()));
    let response = control.router().oneshot(request.unwrap()).await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
}

/// As another replica does.
async fn change(database: &Db) {
    let moved = "UPDATE epoch SET epoch = epoch + 1, config = epoch + 1, stamp = stamp + 1,
                                  config_stamp = stamp + 1";
    execute(database, sql(moved)).await;
}

async fn execute(database: &Db, statement: Sql) {
    let mut tx = database.begin().await.unwrap();
    tx.execute(statement).await.unwrap();
    tx.commit().await.unwrap();
}

async fn count(database: &Db, statement: Sql) -> i64 {
    let mut tx = database.read().await.unwrap();
    let row: Option<(i64,)> = tx.optional(statement).await.unwrap();
    tx.rollback().await.unwrap();
    row.unwrap().0
}

/// Waits until it is so; that it never is, is an error.
async fn until(is_it: impl AsyncFn() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let looking = async {
        while !is_it().await {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking).await.expect("it comes to be so");
}
