//! `/metrics`, in the OpenMetrics text format.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use control::Control;
use proxy::metrics::Histogram;

use crate::config::ConfigError;
use crate::pages::Pages;

/// Shows the metrics to whoever has it. Only its hash is kept.
#[derive(Clone)]
pub(crate) struct MetricsToken([u8; 32]);

/// How long it may be, in characters: too long to be guessed, and no more than a line.
const LENGTH: RangeInclusive<usize> = 32..=512;

impl MetricsToken {
    /// The first line of a file that is closed to other users.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let facts = file.metadata().map_err(unreadable)?;
        let mut text = String::new();
        // With room for a line's end.
        let most = *LENGTH.end() as u64 + 2;
        file.take(most).read_to_string(&mut text).map_err(unreadable)?;
        let text = text.trim_ascii_end();
        let is_token = LENGTH.contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
        // A group may be how it is shared with whoever collects the metrics.
        if !facts.is_file() || facts.mode() & 0o007 != 0 || !is_token {
            return Err(ConfigError::MetricsToken { allowed: LENGTH });
        }
        Ok(Self(hash(text)))
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let shown = given.next().and_then(|it| it.to_str().ok()?.split_once(' '));
        shown.is_some_and(|(scheme, token)| {
            let is_it = verify_slices_are_equal(&hash(token), &self.0).is_ok();
            is_it && scheme.eq_ignore_ascii_case("bearer") && given.next().is_none()
        })
    }
}

fn hash(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Shows all metrics to whoever has their token, or an admin token.
pub(crate) async fn show(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let is_known = pages.metrics_token.as_ref().is_some_and(|it| it.is_in(&headers));
    if !is_known && !pages.control.is_admin(&headers).await {
        let text = "send the metrics token, or an admin token, as `Authorization: Bearer …`\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    }
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, media)], render(&pages)).into_response()
}

fn render(pages: &Pages) -> String {
    let mut text = String::new();
    let metrics = &pages.proxy.metrics;
    let calls = metrics.calls.load(Ordering::Relaxed);
    counter(&mut text, "ostiary_calls", "Calls whose outcome was recorded.", &[(None, calls)]);
    let passed_on = [(None, metrics.passed_on.load(Ordering::Relaxed))];
    let help = "Requests that another replica has answered.";
    counter(&mut text, "ostiary_passed_on", help, &passed_on);
    let apart = [(None, metrics.apart.load(Ordering::Relaxed))];
    let help = "Calls that were decided without the database.";
    counter(&mut text, "ostiary_calls_without_database", help, &apart);
    let refusals: Vec<_> =
        metrics.refusals().into_iter().map(|(reason, n)| (Some(("reason", reason)), n)).collect();
    counter(&mut text, "ostiary_refusals", "Messages that were refused.", &refusals);
    let limited = metrics.refusals_by_limit();
    let limited: Vec<_> =
        limited.iter().map(|(limit, n)| (Some(("limit", limit.as_str())), *n)).collect();
    counter(&mut text, "ostiary_limited", "Calls that a limit has refused.", &limited);
    histogram(&mut text, "ostiary_call_seconds", "From arrival to release.", &metrics.total);
    histogram(&mut text, "ostiary_upstream_seconds", "In the upstream.", &metrics.upstream);
    for (name, value) in pages.proxy.gauges() {
        gauge(&mut text, &format!("ostiary_{name}"), "Open now.", value as u64);
    }
    if let Some((is_used, fallbacks)) = pages.control.counter_store() {
        let help = "1 while the store of counters counts.";
        gauge(&mut text, "ostiary_counter_store_used", help, u64::from(is_used));
        let help = "Calls that the database has counted for want of the store.";
        counter(&mut text, "ostiary_counter_store_fallbacks", help, &[(None, fallbacks)]);
    }
    let health = pages.log.health();
    let taking = u64::from(health.condition == audit::Condition::Ok);
    gauge(&mut text, "ostiary_log_taking_records", "1 while the log takes records.", taking);
    gauge(&mut text, "ostiary_log_queued_bytes", "Not yet on disk.", health.queued_bytes as u64);
    let written = [(None, health.records_written)];
    counter(&mut text, "ostiary_log_records", "Records written.", &written);
    changes(&mut text, &pages.control);
    text.push_str("# EOF\n");
    text
}

/// How changes spread, and whether they still would.
fn changes(text: &mut String, control: &Control) {
    let figures = control.figures();
    let epoch = u64::try_from(control.epoch()).unwrap_or_default();
    gauge(text, "ostiary_epoch", "The newest change that is known here.", epoch);
    let is_behind = u64::from(figures.is_database_behind());
    gauge(text, "ostiary_database_behind", "1 while the database has lost changes.", is_behind);
    let is_away = u64::from(control.is_database_away());
    gauge(text, "ostiary_database_away", "1 while the database does not answer.", is_away);
    let help = "How long some calls are answered from now on if the database does not.";
    gauge(text, "ostiary_autonomy_seconds", help, control.autonomy().as_secs());
    let is_astray = u64::from(figures.is_clock_astray());
    let help = "1 while the clock of this machine is not the database's.";
    gauge(text, "ostiary_clock_astray", help, is_astray);
    let waited_out = [(None, figures.changes_waited_out())];
    let help = "Changes that not all replicas have acknowledged in time.";
    counter(text, "ostiary_changes_waited_out", help, &waited_out);
    let (runs, failures) = figures.canaries();
    counter(text, "ostiary_canaries", "Cut-offs of the canary.", &[(None, runs)]);
    let help = "Those that did not hold everywhere in time.";
    counter(text, "ostiary_canary_failures", help, &[(None, failures)]);
    let name = "ostiary_canary_seconds";
    head(text, name, "gauge", "How long the last cut-off of the canary took.");
    line(text, format_args!("{name} {:.6}", figures.canary_took().as_secs_f64()));
}

type Sample<'a> = (Option<(&'a str, &'a str)>, u64);

fn counter(text: &mut String, name: &str, help: &str, samples: &[Sample<'_>]) {
    head(text, name, "counter", help);
    for (label, value) in samples {
        match label {
            Some((key, label)) => {
                line(text, format_args!("{name}_total{{{key}=\"{label}\"}} {value}"))
            }
            None => line(text, format_args!("{name}_total {value}")),
        }
    }
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    head(text, name, "gauge", help);
    line(text, format_args!("{name} {value}"));
}

fn histogram(text: &mut String, name: &str, help: &str, histogram: &Histogram) {
    head(text, name, "histogram", help);
    let (rows, sum) = histogram.cumulative();
    let count = rows.last().map_or(0, |(_, count)| *count);
    for (bound, count) in rows.iter().take(rows.len().saturating_sub(1)) {
        line(text, format_args!("{name}_bucket{{le=\"{bound}\"}} {count}"));
    }
    line(text, format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
    line(text, format_args!("{name}_sum {sum}"));
    line(text, format_args!("{name}_count {count}"));
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# TYPE {name} {kind}"));
    line(text, format_args!("# HELP {name} {help}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}
