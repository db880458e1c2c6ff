//! What a home page shows of the last hour and the last day.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::WorkspaceId;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::CountedBody;
use super::leaf::End;
use super::lines::Latency;
use super::store::{self, Asked, SumRow};
use super::{Histogram, Step};
use crate::App;
use crate::api::Error;

/// What is called, and how it goes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Glance {
    /// The last hour, minute by minute; those without a call are left out.
    minutes: Vec<Minute>,
    /// How long calls took in the last hour; absent where there was none.
    latency: Option<Latency>,
    /// What was refused most often within the last 24 hours, and in the one that they began in.
    denied: Vec<Denied>,
    counted: CountedBody,
}

/// How calls ended that ended within a minute.
#[derive(Serialize, ToSchema)]
struct Minute {
    at: DateTime<Utc>,
    calls: u64,
    /// With an error of their server, or for want of an answer.
    errors: u64,
    denials: u64,
}

/// What was refused.
#[derive(Serialize, ToSchema)]
struct Denied {
    /// Empty where no server was asked for that there is.
    server: String,
    /// By its server's own name; empty for what is none.
    tool: String,
    count: u64,
}

const HOUR: i64 = 3_600;

/// How many are told of that were refused.
const MOST_DENIED: i64 = 5;

/// What has been counted lately.
pub(crate) async fn glance(app: &App, workspace: WorkspaceId) -> Result<Glance, Error> {
    let own = app.series.catch_up(app, workspace).await;
    let now = app.clock.now().timestamp();
    let asked = Asked {
        step: Step::Minute,
        from: Step::Minute.floor(now - HOUR),
        to: now + 1,
        every: Step::Minute.seconds(),
        by: "outcome",
        outcomes: End::ALL.map(End::as_str).into_iter().collect(),
        ..Asked::default()
    };
    let _turn = app.series.turns.next().await?;
    // First, so that whatever they say has been counted is in all parts.
    let counters = store::counters(&mut app.db.read().await?, workspace).await?;
    let mut minutes = BTreeMap::<i64, [u64; 3]>::new();
    let mut histograms = [Histogram::default(), Histogram::default()];
    for part in asked.parts(now) {
        let mut tx = app.db.read().await?;
        for SumRow { spot, calls, .. } in store::sums(&mut tx, workspace, &part).await? {
            let count = u64::try_from(calls).unwrap_or_default();
            let [all, errors, denials] = minutes.entry(spot.point).or_default();
            *all += count;
            match spot.value.as_str() {
                "error" | "failed" => *errors += count,
                "denied" => *denials += count,
                _ => {}
            }
        }
        for more in store::histograms(&mut tx, workspace, &part).await?.values() {
            histograms.iter_mut().zip(more).for_each(|(it, more)| it.merge(more));
        }
    }
    let since = Step::Hour.floor(now - 24 * HOUR);
    let mut tx = app.db.read().await?;
    let denied = store::top_denials(&mut tx, workspace, since, MOST_DENIED).await?;
    drop(tx);
    let minute = |(at, [calls, errors, denials]): (i64, [u64; 3])| {
        Some(Minute { at: DateTime::from_timestamp(at, 0)?, calls, errors, denials })
    };
    let denial = |(server, tool, count): (String, String, i64)| Denied {
        server,
        tool,
        count: u64::try_from(count).unwrap_or_default(),
    };
    Ok(Glance {
        minutes: minutes.into_iter().filter_map(minute).collect(),
        latency: (histograms[0].count() != 0).then(|| Latency::of(&histograms)),
        denied: denied.into_iter().map(denial).collect(),
        counted: CountedBody::of(app, counters, own),
    })
}
