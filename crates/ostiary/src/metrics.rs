//! `/metrics`, in the OpenMetrics text format.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use proxy::metrics::Histogram;

use crate::pages::Pages;

/// Shows all metrics to whoever has an admin token.
pub(crate) async fn show(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if !pages.control.is_admin(&headers).await {
        return (StatusCode::UNAUTHORIZED, "send an admin token as `Authorization: Bearer …`\n")
            .into_response();
    }
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, media)], render(&pages)).into_response()
}

fn render(pages: &Pages) -> String {
    let mut text = String::new();
    let metrics = &pages.proxy.metrics;
    let calls = metrics.calls.load(Ordering::Relaxed);
    counter(&mut text, "ostiary_calls", "Calls whose outcome was recorded.", &[(None, calls)]);
    let refusals: Vec<_> =
        metrics.refusals().into_iter().map(|(reason, n)| (Some(("reason", reason)), n)).collect();
    counter(&mut text, "ostiary_refusals", "Messages that were refused.", &refusals);
    histogram(&mut text, "ostiary_call_seconds", "From arrival to release.", &metrics.total);
    histogram(&mut text, "ostiary_upstream_seconds", "In the upstream.", &metrics.upstream);
    for (name, value) in pages.proxy.gauges() {
        gauge(&mut text, &format!("ostiary_{name}"), "Open now.", value as u64);
    }
    let health = pages.log.health();
    let taking = u64::from(health.condition == audit::Condition::Ok);
    gauge(&mut text, "ostiary_log_taking_records", "1 while the log takes records.", taking);
    gauge(&mut text, "ostiary_log_queued_bytes", "Not yet on disk.", health.queued_bytes as u64);
    let written = [(None, health.records_written)];
    counter(&mut text, "ostiary_log_records", "Records written.", &written);
    text.push_str("# EOF\n");
    text
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
