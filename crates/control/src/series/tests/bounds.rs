//! What is kept, and what is read at a time, is bounded; and whoever sees only their own finds nothing else.

use std::sync::Arc;
use std::time::Duration;

use audit::{Kind, Leaf};
use axum::http::Method;
use serde_json::json;
use uuid::Uuid;

use super::super::count::{reopen, round};
use super::super::{Series, Step, store};
use super::own::id_of;
use super::told::{count_all, here, record, refused, settle, totals, write, write_to};
use super::{CALL, Call};
use crate::Control;
use crate::testing::{Api, TestClock, options};

#[tokio::test]
async fn what_is_too_old_is_deleted_and_so_is_what_is_known_of_logs_that_are_silent() {
    for api in Api::on_each_database().await {
        let app = &api.control.app;
        record(&api, &[CALL; 2]).await;
        settle(&api).await;
        count_all(&api, &app.series).await;
        let counted = async |step: Step| {
            let mut tx = api.fresh.db.read().await.unwrap();
            let (workspace, log) = (here(&api).await, api.log.verifier_key());
            let place = store::Place { workspace, log: &log, step, at: 0 };
            store::counted(&mut tx, place).await.unwrap().len()
        };
        let days = |it: u64| Duration::from_secs(it * 24 * 3_600);
        round(app, &mut None, (&mut 0, false)).await.unwrap();
        assert_eq!([counted(Step::Minute).await, counted(Step::Hour).await], [1, 1]);
        api.clock.advance(days(3));
        round(app, &mut None, (&mut 0, false)).await.unwrap();
        assert_eq!([counted(Step::Minute).await, counted(Step::Hour).await], [0, 1]);
        assert_eq!(totals(&api, "measure=calls").await[""], 2);

        // One that was heard of last as long ago as anything is kept.
        let mut tx = api.fresh.db.begin().await.unwrap();
        store::tell(&mut tx, "gone", (1, true)).await.unwrap();
        let progress = store::Progress { next: 1, open: 1, under_way: 0, time_ms: 1 };
        let gone = (here(&api).await, "gone");
        assert!(store::advance(&mut tx, gone, None, progress).await.unwrap());
        tx.commit().await.unwrap();
        round(app, &mut None, (&mut 0, false)).await.unwrap();
        let mut tx = api.fresh.db.read().await.unwrap();
        let logs = store::counters(&mut tx, gone.0).await.unwrap();
        let logs: Vec<_> = logs.into_iter().map(|it| it.log).collect();
        assert_eq!(logs, [api.log.verifier_key()]);
        drop(tx);

        api.clock.advance(days(401));
        round(app, &mut None, (&mut 0, false)).await.unwrap();
        assert_eq!([counted(Step::Hour).await, counted(Step::Day).await], [0, 0]);
        // What comes after so long a pause is counted like any other.
        record(&api, &[CALL]).await;
        settle(&api).await;
        count_all(&api, &Series::default()).await;
        assert_eq!(totals(&api, "measure=calls&by=tool").await["search"], 1);
    }
}

/// The disk may keep the first record of a workspace out of its tree for long.
#[tokio::test]
async fn what_is_not_in_the_tree_yet_is_not_waited_for_and_its_log_has_not_ended() {
    for api in Api::on_each_database().await {
        let mut slow = audit::Options::new(api.folder.path().join("slow"));
        slow.checkpoint_every = Duration::from_secs(3_600);
        let signer = audit::Signer::from_seed("test", &[9; 32]);
        let log = audit::Log::open(slow, signer, Arc::<TestClock>::clone(&api.clock)).unwrap();
        let control = Control::open(options(&api.fresh, &api.clock, &log)).await.unwrap();
        write_to(&log, &api, Kind::Outcome, refused(&api, "policy", None)).await;
        round(&control.app, &mut None, (&mut 0, true)).await.unwrap();
        let workspace = here(&api).await;
        let told = async || {
            let mut tx = api.fresh.db.read().await.unwrap();
            let all = store::counters(&mut tx, workspace).await.unwrap();
            all.into_iter().find(|it| it.log == log.verifier_key()).map(|it| it.is_closed)
        };
        assert_eq!(told().await, None);

        log.clone().close().unwrap();
        round(&control.app, &mut None, (&mut 0, true)).await.unwrap();
        assert_eq!(told().await, Some(true));
        assert_eq!(totals(&api, "measure=denials").await[""], 1);

        reopen(&control.app).await;
        assert_eq!(told().await, Some(false), "the next start goes on with it");
        control.close().await;
    }
}

#[tokio::test]
async fn more_than_is_put_together_at_a_time_is_refused() {
    for api in Api::on_each_database().await {
        for n in 0..1_200 {
            if n % 400 == 0 {
                api.clock.advance(Duration::from_secs(60));
            }
            let leaf =
                Leaf::new(Kind::Outcome).call(Uuid::from_u128(n)).str("method", "tools/call");
            let leaf = leaf.str("offer", "tool").str("name", &format!("tool{n}"));
            let leaf = leaf.str("end", "policy").bool("error", true).finish();
            write(&api, Kind::Outcome, leaf).await;
        }
        settle(&api).await;
        count_all(&api, &api.control.app.series).await;
        for (query, status) in [
            ("measure=calls&by=tool&step=60", 422),
            ("measure=calls&by=outcome&step=60", 200),
            ("measure=calls&by=tool&step=60&tool=tool7", 200),
        ] {
            let reply = api.get(&format!("series?{query}")).await;
            assert_eq!(reply.status, status, "{query}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn no_more_read_charts_at_a_time_than_leave_the_database_to_others() {
    for api in Api::on_each_database().await {
        let paths = ["series?measure=calls", "records/calls", "overview"];
        let own = ["me/calls", "series?measure=calls&by=own"];
        let ann = api.given_admin("ann", &[]).await;
        let asked = async |path: &str| api.ask_as(&ann, Method::GET, path, None).await;
        let app = &api.control.app;
        let turns =
            [app.series.turns.next().await.unwrap(), app.series.turns.next().await.unwrap()];
        for path in paths {
            let reply = api.get(path).await;
            assert_eq!(reply.status, 503, "{path}: {}", reply.text);
        }
        for path in own {
            let reply = asked(path).await;
            assert_eq!(reply.status, 503, "{path}: {}", reply.text);
        }
        drop(turns);
        for path in paths {
            assert_eq!(api.get(path).await.status, 200, "{path}");
        }
        // People have a turn of their own first, and leave another one to those who administer.
        let other = domain::UserId(Uuid::from_u128(7));
        for user in [id_of(&api, "ann").await, other] {
            let _own = app.series.turns.own(user).await.unwrap();
            let _turn = app.series.turns.next().await.unwrap();
            for path in own {
                let reply = asked(path).await;
                assert_eq!(reply.status, 503, "{path}: {}", reply.text);
            }
            for path in paths {
                assert_eq!(api.get(path).await.status, 200, "{path}");
            }
        }
        for path in own {
            assert_eq!(asked(path).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn whoever_sees_their_own_finds_no_app_of_others_by_its_name() {
    for api in Api::on_each_database().await {
        let ann = api.given_admin("ann", &[]).await;
        api.given_admin("bob", &[]).await;
        for (name, owner) in [("of-ann", "ann"), ("of-bob", "bob")] {
            api.given("apps", json!({"name": name, "owner": owner, "purpose": "x"})).await;
        }
        record(&api, &[Call { user: 2, ..CALL }]).await;
        for (app, status) in [("of-ann", 200), ("of-bob", 404), ("of-nobody", 404)] {
            let path = format!("series?measure=calls&by=own&app={app}");
            let reply = api.ask_as(&ann, Method::GET, &path, None).await;
            assert_eq!(reply.status, status, "{app}: {}", reply.text);
            let path = format!("series?measure=calls&app={app}");
            let everybody = api.get(&path).await.status;
            assert_eq!(everybody == 200, app != "of-nobody", "{app}");
        }
    }
}
