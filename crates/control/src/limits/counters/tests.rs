use std::sync::Arc;
use std::time::Duration;

use db::testing::Fresh;
use domain::limits::{
    Allowance, Charge, Direction, Holder, Limit, Period, Quota, Rate, Scope, Unit, Window,
};
use domain::ports::{Counters as _, Uncharged};
use domain::{Clock as _, LimitId, WorkspaceId};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::ledger::{Ledger, Time};
use super::{Accounts, Counting, table};
use crate::testing::{Api, TestClock};

/// Replicas on one database, which go by one clock.
struct Scene {
    api: Api,
    workspace: WorkspaceId,
    clock: Arc<TestClock>,
    replicas: Vec<Arc<Accounts>>,
}

impl Scene {
    /// One process alone, and then two that share a database of each kind.
    async fn each() -> Vec<Self> {
        let alone = Self::of(1, true, db::testing::sqlite().await).await;
        let mut all = vec![alone];
        for fresh in db::testing::databases().await {
            all.push(Self::of(2, false, fresh).await);
        }
        all
    }

    async fn of(replicas: usize, is_alone: bool, fresh: Fresh) -> Self {
        let api = Api::on(fresh).await;
        let clock = Arc::<TestClock>::default();
        let workspace = api.snapshot().await.config.workspaces["default"].id;
        let replica = |_| {
            let (db, clock) = (api.fresh.db.clone(), Arc::<TestClock>::clone(&clock));
            let ledger = Ledger::new(db, Time::Own(Arc::<TestClock>::clone(&clock)), is_alone);
            Accounts::with(ledger, clock, is_alone, TaskTracker::new())
        };
        let replicas = (0..replicas).map(replica).collect();
        Self { workspace, clock, replicas, api }
    }

    /// A limit that is stored, too.
    async fn limit(&self, name: &str, allowance: Allowance) -> Arc<Limit> {
        let text = json!({"name": name, "scope": {"type": "tool"}, "unit": "bytes",
                          "allowance": super::super::AllowanceText::from(allowance)});
        let made: Value = self.api.given("limits", text).await;
        let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
        Arc::new(Limit {
            id: LimitId(id),
            name: name.parse().unwrap(),
            scope: Scope::Tool(None),
            unit: Unit::Bytes(Direction::Both),
            allowance,
            gateway: None,
        })
    }

    fn counting(&self, replica: usize) -> Counting {
        let accounts = Arc::clone(&self.replicas[replica % self.replicas.len()]);
        Counting { accounts, shared: None }
    }

    async fn charge(&self, replica: usize, charges: &[&Charge]) -> Result<(), Uncharged> {
        let charges = charges.iter().map(|it| (*it).clone()).collect();
        let counting = self.counting(replica);
        counting.charge(self.workspace, charges).await
    }

    fn settle(&self, replica: usize, charge: Charge) {
        let counting = self.counting(replica);
        counting.settle(self.workspace, vec![charge]);
    }

    async fn used(&self, replica: usize, limit: &Limit) -> Vec<u64> {
        let mut tx = self.api.fresh.db.read().await.unwrap();
        let first = Holder { id: Uuid::nil(), tool: "".into() };
        let accounts = &self.replicas[replica % self.replicas.len()];
        let usage = accounts.usage(&mut tx, self.workspace, limit, (&first, 100)).await;
        usage.unwrap().into_iter().map(|it| it.used).collect()
    }

    /// How many of so many single units are admitted, asked for at once of all replicas in turn.
    async fn admitted(&self, limit: &Arc<Limit>, asked: usize) -> usize {
        let one = charge(limit, "a", 1);
        let one = [&one];
        let all = join_all((0..asked).map(|i| self.charge(i, &one))).await;
        all.iter().filter(|it| it.is_ok()).count()
    }
}

fn charge(limit: &Arc<Limit>, tool: &str, cost: u64) -> Charge {
    let holder = Holder { id: Uuid::from_u128(7), tool: tool.into() };
    Charge { limit: Arc::clone(limit), holder, cost }
}

fn daily(amount: u64) -> Allowance {
    Allowance::Quota(Quota { amount, per: Window::Day })
}

fn per_second(amount: u64, burst: u64) -> Allowance {
    Allowance::Rate(Rate { amount, per: Period::Second, burst })
}

fn refused(name: &str, ms: u64) -> Result<(), Uncharged> {
    let limit = name.parse().unwrap();
    Err(Uncharged::Exceeded { limit, wait: Some(Duration::from_millis(ms)) })
}

#[tokio::test]
async fn as_many_as_the_quota_allows_are_admitted_at_once_over_all_replicas() {
    for scene in Scene::each().await {
        for amount in [1, 7, 100, 640] {
            let name = format!("q{amount}");
            let limit = scene.limit(&name, daily(amount)).await;
            let admitted = scene.admitted(&limit, 700).await as u64;
            assert!(admitted <= amount, "{admitted} of {amount}");
            // What one of them still holds, the other cannot use before it is given back.
            let early = if scene.replicas.len() == 1 { 0 } else { amount / 100 };
            assert!(amount - early <= admitted, "{admitted} of {amount}");
        }
    }
}

#[tokio::test]
async fn a_rate_is_never_exceeded_over_all_replicas_and_comes_back_when_it_says() {
    for scene in Scene::each().await {
        for (amount, burst) in [(1, 1), (10, 3), (100, 50), (1_000, 300)] {
            let limit = scene.limit(&format!("r{amount}"), per_second(amount, burst)).await;
            let first = scene.admitted(&limit, 320).await as u64;
            assert!(first <= burst, "{first} of {burst}");
            // What comes back within a tenth of a second is kept out where units are held.
            let early = if scene.replicas.len() == 1 { 0 } else { amount / 5 };
            assert!(burst.saturating_sub(early).max(1) <= first, "{first} of {burst}");
            let one = charge(&limit, "a", 1);
            let mut passed = 0;
            let mut admitted = first;
            for _ in 0..20 {
                match scene.charge(passed, &[&one]).await {
                    Ok(()) => admitted += 1,
                    Err(Uncharged::Exceeded { wait: Some(wait), .. }) => {
                        let ms = wait.as_micros().div_ceil(1_000).max(1);
                        let ms = u64::try_from(ms).unwrap();
                        scene.clock.advance(Duration::from_millis(ms));
                        passed += usize::try_from(ms).unwrap();
                        // Truthful: nobody else has taken it.
                        assert_eq!(scene.charge(passed, &[&one]).await, Ok(()), "after {ms} ms");
                        admitted += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            let most = burst + amount * (passed as u64) / 1_000;
            assert!(admitted <= most, "{admitted} of {most}");
        }
    }
}

#[tokio::test]
async fn a_refusal_charges_nothing() {
    for scene in Scene::each().await {
        let few = scene.limit("few", daily(2)).await;
        let many = scene.limit("many", daily(1_000)).await;
        let rate = scene.limit("rate", per_second(1, 50)).await;
        let all = [charge(&few, "a", 1), charge(&many, "a", 10), charge(&rate, "a", 1)];
        let all: Vec<&Charge> = all.iter().collect();
        for i in 0..10 {
            assert_eq!(scene.charge(i, &all).await.is_ok(), i < 2, "{i}");
        }
        for accounts in &scene.replicas {
            accounts.give_back(Duration::ZERO).await;
        }
        assert_eq!(scene.used(0, &few).await, [2]);
        assert_eq!(scene.used(0, &many).await, [20]);
        assert_eq!(scene.used(0, &rate).await, [2]);
        let too_much = charge(&few, "a", 3);
        let limit = "few".parse().unwrap();
        let never = Err(Uncharged::Exceeded { limit, wait: None });
        assert_eq!(scene.charge(0, &[&too_much]).await, never);
    }
}

#[tokio::test]
async fn an_answer_overdraws_once_and_then_nothing_passes_on_any_replica() {
    for scene in Scene::each().await {
        for (name, allowance, wait_ms) in [
            ("quota", daily(100), 75_355_000),
            ("rate", per_second(10, 100), 46_100 - if scene.replicas.len() == 1 { 0 } else { 900 }),
        ] {
            let limit = scene.limit(name, allowance).await;
            let free = charge(&limit, "a", 0);
            assert_eq!(scene.charge(0, &[&free]).await, Ok(()), "{name}");
            scene.settle(0, charge(&limit, "a", 560));
            for accounts in &scene.replicas {
                accounts.pay().await;
            }
            for i in 0..2 {
                match scene.charge(i, &[&free]).await {
                    Err(Uncharged::Exceeded { wait: Some(wait), .. }) => {
                        let ms = u64::try_from(wait.as_millis()).unwrap();
                        assert!(ms.abs_diff(wait_ms) <= 1_100, "{name} {i}: {ms} {wait_ms}");
                    }
                    other => panic!("{name} {i}: {other:?}"),
                }
            }
            let used = scene.used(0, &limit).await;
            assert!(used[0].abs_diff(560) <= 1, "{name}: {used:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_used_is_given_back_and_what_is_counted_outlives_the_process() {
    for scene in Scene::each().await {
        let limit = scene.limit("few", daily(1_000)).await;
        let one = charge(&limit, "a", 1);
        for i in 0..5 {
            assert_eq!(scene.charge(i, &[&one]).await, Ok(()));
        }
        let stop = CancellationToken::new();
        stop.cancel();
        for accounts in &scene.replicas {
            Arc::clone(accounts).keep(stop.clone()).await;
        }
        let mut tx = scene.api.fresh.db.read().await.unwrap();
        let next = Accounts::new(
            scene.api.fresh.db.clone(),
            Arc::<TestClock>::clone(&scene.clock),
            TaskTracker::new(),
        );
        // By the same clock, on a database that has one of its own.
        let first = Holder { id: Uuid::nil(), tool: "".into() };
        if scene.api.fresh.db.is_exclusive() {
            let usage = next.usage(&mut tx, scene.workspace, &limit, (&first, 9)).await.unwrap();
            assert_eq!(usage.iter().map(|it| it.used).collect::<Vec<_>>(), [5]);
            let end = scene.clock.now().date_naive().succ_opt().unwrap();
            assert_eq!(usage[0].until, end.and_hms_opt(0, 0, 0).unwrap().and_utc());
        }
        drop(tx);
        assert_eq!(scene.used(1, &limit).await, [5]);
    }
}

#[tokio::test]
async fn another_day_is_another_quota() {
    for scene in Scene::each().await {
        let limit = scene.limit("few", daily(3)).await;
        assert_eq!(scene.admitted(&limit, 10).await, 3);
        let one = charge(&limit, "a", 1);
        let Err(Uncharged::Exceeded { wait: Some(wait), .. }) = scene.charge(0, &[&one]).await
        else {
            panic!("it is used up");
        };
        scene.clock.advance(wait);
        assert_eq!(scene.admitted(&limit, 10).await, 3);
    }
}

#[tokio::test]
async fn without_the_database_nothing_that_needs_it_passes() {
    for scene in Scene::each().await {
        let limit = scene.limit("few", daily(3)).await;
        let one = charge(&limit, "a", 1);
        let mut tx = scene.api.fresh.db.begin().await.unwrap();
        tx.execute(db::sql("ALTER TABLE limit_counters RENAME TO gone")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(scene.charge(0, &[&one]).await, Err(Uncharged::Unavailable));
        let mut tx = scene.api.fresh.db.begin().await.unwrap();
        tx.execute(db::sql("ALTER TABLE gone RENAME TO limit_counters")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(scene.admitted(&limit, 10).await, 3);
    }
}

#[tokio::test]
async fn a_limit_that_is_changed_goes_on_and_one_that_is_gone_allows_everything() {
    for scene in Scene::each().await {
        let limit = scene.limit("few", daily(3)).await;
        assert_eq!(scene.admitted(&limit, 10).await, 3);
        let more = Arc::new(Limit { allowance: daily(5), ..(*limit).clone() });
        assert_eq!(scene.admitted(&more, 10).await, 2);
        assert_eq!(scene.api.delete("limits/few").await.status, 204);
        let other = charge(&limit, "b", 1);
        assert_eq!(scene.charge(0, &[&other]).await, Ok(()));
    }
}

/// A million tools, of which each is called once under a rate and a quota.
#[tokio::test]
async fn counters_have_an_end() {
    let scene = Scene::of(1, true, db::testing::sqlite().await).await;
    let rate = scene.limit("rate", per_second(1, 1)).await;
    let accounts = &scene.replicas[0];
    let (mut admitted, mut refused) = (0, 0);
    for i in 0..1_000_000_u32 {
        let one = charge(&rate, &i.to_string(), 1);
        match scene.charge(0, &[&one]).await {
            Ok(()) => admitted += 1,
            Err(uncharged) => {
                assert_eq!(uncharged, Uncharged::Unavailable, "and not as if it were used up");
                refused += 1;
            }
        }
        let book = accounts.book(scene.workspace);
        assert!(book.table.lock().len() <= table::MOST);
    }
    assert_eq!((admitted, refused), (table::MOST, 1_000_000 - table::MOST));
    // Whatever is whole again makes room.
    scene.clock.advance(Duration::from_secs(2));
    let one = charge(&rate, "new", 1);
    assert_eq!(scene.charge(0, &[&one]).await, Ok(()));
    assert_eq!(accounts.book(scene.workspace).table.lock().len(), 1);
    assert_eq!(scene.charge(0, &[&one]).await, self::refused("rate", 1_000));
}

#[tokio::test]
async fn without_the_database_each_replica_counts_within_bounds_and_pays_later() {
    for scene in Scene::each().await.into_iter().filter(|it| 1 < it.replicas.len()) {
        let (quota, few) = (daily(1_000), daily(9));
        let (quota, few) = (scene.limit("quota", quota).await, scene.limit("few", few).await);
        let rate = scene.limit("rate", per_second(10, 20)).await;
        let apart = |replica, charges: &[&Charge]| {
            let charges: Vec<Charge> = charges.iter().map(|it| (*it).clone()).collect();
            scene.counting(replica).charge_apart(scene.workspace, &charges)
        };
        let one = charge(&quota, "a", 1);
        // What is held first, and then a tenth.
        assert_eq!(scene.charge(0, &[&one]).await, Ok(()));
        let served = (0..2_000).filter(|_| apart(0, &[&one]).is_ok()).count();
        assert!((100..=110).contains(&served), "{served}");
        assert_eq!((0..2_000).filter(|_| apart(1, &[&one]).is_ok()).count(), 100);
        // All or none: what is refused by one is charged by no other.
        let (some, none) = (charge(&rate, "a", 1), charge(&few, "a", 1));
        assert!(apart(0, &[&some, &none]).is_err(), "a tenth of nine is none");
        let burst = (0..100).filter(|_| apart(0, &[&some]).is_ok()).count();
        assert_eq!(burst, 20);
        scene.clock.advance(Duration::from_secs(1));
        assert_eq!((0..100).filter(|_| apart(0, &[&some]).is_ok()).count(), 10);
        let too_much = charge(&rate, "a", 21);
        assert!(matches!(apart(1, &[&too_much]), Err(Uncharged::Exceeded { wait: None, .. })));

        // What is being paid is owed still.
        for it in &scene.replicas {
            it.pay().await;
        }
        assert_eq!(scene.used(0, &quota).await, [1 + served as u64 + 100]);
        assert_eq!(scene.charge(0, &[&one, &some]).await, Ok(()));
        // It is lent once in a day, however often the database is away.
        assert_eq!((0..2_000).filter(|_| apart(1, &[&one]).is_ok()).count(), 0);
        assert_eq!(scene.charge(1, &[&one]).await, Ok(()));
        let held = (0..2_000).filter(|_| apart(1, &[&one]).is_ok()).count();
        assert!(held <= 10, "{held}");
        scene.clock.advance(Duration::from_secs(24 * 60 * 60));
        assert_eq!(scene.charge(1, &[&one]).await, Ok(()));
        assert!(100 <= (0..2_000).filter(|_| apart(1, &[&one]).is_ok()).count(), "another day");
    }
}

#[tokio::test]
async fn what_the_database_has_just_refused_is_refused_without_it_too() {
    for scene in Scene::each().await.into_iter().filter(|it| 1 < it.replicas.len()) {
        let limit = scene.limit("quota", daily(20)).await;
        let one = charge(&limit, "a", 1);
        while scene.charge(0, &[&one]).await.is_ok() {}
        assert!(scene.counting(0).charge_apart(scene.workspace, &[one]).is_err());
    }
}
