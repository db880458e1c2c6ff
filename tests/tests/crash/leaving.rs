//! Clients that leave while their calls are being recorded.

use tests::line::Line;
use tests::wait::eventually;

use crate::workload::{Fault, Group, Origin, tracer_of, verify};

#[tokio::test]
async fn h068_a_client_that_leaves_while_its_call_is_being_recorded_has_cancelled_it() {
    let origin = Origin::new("synced").await;
    let site = origin.copy();
    // Slow enough to leave meanwhile, and quick enough not to be given up.
    let inject = "fdatasync:delay_enter=700000".to_owned();
    let slow = Fault { inject, group: Group::Segments };
    let served = site.start_under(&tracer_of(&site, Some(&slow)), &[]).await.unwrap();
    let known = origin.call(&served, 1).await;
    assert!(known.is_well(), "{known:?}");
    let before: Vec<_> = site.records().iter().map(|it| it.sequence).collect();
    let mut line = Line::to(served.address);
    let request = origin.caller.request(served.address, NONCE);
    let mut answer = Box::pin(line.open(request));
    let intent = loop {
        let wait = tokio::time::timeout(std::time::Duration::from_millis(5), &mut answer);
        assert!(wait.await.is_err(), "it is not answered before it is recorded");
        let new = site
            .records()
            .into_iter()
            .find(|it| !before.contains(&it.sequence) && it.text("method") == Some("tools/call"));
        if let Some(new) = new {
            break new;
        }
    };
    assert_eq!(intent.kind, "intent");
    drop(answer);
    drop(line);
    let end = eventually("an outcome", || {
        let records = site.records().into_iter();
        let mut outcomes = records.filter(|it| it.kind == "outcome");
        outcomes.find(|it| it.text("call") == intent.text("call"))
    })
    .await;
    assert_eq!(end.text("end"), Some("client_cancelled"));
    assert!(served.stop().await.success());
    verify(&site, "after a client has left").await;
    assert!(origin.ledger.arrivals().iter().all(|it| it.nonce != NONCE), "it never left");
}

const NONCE: u64 = 1_000_000;
