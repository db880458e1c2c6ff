//! The figures for people, as tables, and for programs, as JSON.
//!
//! The only place that prints. What belongs to the result goes to standard output, the rest to
//! standard error.

use serde_json::{Value, json};

use crate::cores::Plan;
use crate::measure::{
    ALONE, ARRIVALS, Figures, LARGE_CALLS, LISTS, MEDIUM_CALLS, Metric, SMALL_CALLS, STEADY,
};

/// One line of a table.
pub(crate) struct Row {
    title: &'static str,
    trial: &'static str,
    metric: Metric,
    shown: Shown,
    goal: Option<Goal>,
}

/// How a value stands to that of direct access in the same round.
#[derive(Clone, Copy)]
enum Shown {
    Itself,
    /// What comes on top of direct access.
    Added,
    /// What is left of direct access.
    Share,
}

#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// A trial of no load, but of the process itself.
pub(crate) const PROCESS: &str = "process";
/// The same with a new data folder.
pub(crate) const NEW_FOLDER: &str = "new-folder";
/// Streams that are open and silent.
pub(crate) const STREAMS: &str = "streams";

pub(crate) const ROWS: &[Row] = &[
    row("one connection, p50, µs", ALONE.key, Metric::P50, Shown::Itself),
    row("  added p50, µs", ALONE.key, Metric::P50, Shown::Added).at_most(80.0),
    row("one connection, p99, µs", ALONE.key, Metric::P99, Shown::Itself),
    row("  added p99, µs", ALONE.key, Metric::P99, Shown::Added),
    row("64 connections, calls/s", SMALL_CALLS.key, Metric::PerSecond, Shown::Itself)
        .at_least(40_000.0),
    row("  of direct", SMALL_CALLS.key, Metric::PerSecond, Shown::Share),
    row("  CPU s per 100 000 calls", SMALL_CALLS.key, Metric::Cpu, Shown::Itself).at_most(4.5),
    row("results of 10 KiB, calls/s", MEDIUM_CALLS.key, Metric::PerSecond, Shown::Itself),
    row("  of direct", MEDIUM_CALLS.key, Metric::PerSecond, Shown::Share),
    row("results of 1 MiB, calls/s", LARGE_CALLS.key, Metric::PerSecond, Shown::Itself),
    row("  of direct", LARGE_CALLS.key, Metric::PerSecond, Shown::Share).at_least(0.7),
    row("at 5 000 calls/s, p50, µs", STEADY.key, Metric::P50, Shown::Itself),
    row("at 5 000 calls/s, p99, µs", STEADY.key, Metric::P99, Shown::Itself).at_most(300.0),
    row("500 tools of 5 servers, lists/s", LISTS.key, Metric::PerSecond, Shown::Itself),
    row("  of direct", LISTS.key, Metric::PerSecond, Shown::Share).at_least(0.9),
    row("legacy clients arriving per s", ARRIVALS.key, Metric::PerSecond, Shown::Itself)
        .at_least(8_000.0),
    row("idle memory, MiB", PROCESS, Metric::IdleMib, Shown::Itself).at_most(45.0),
    row("start to first answer, ms", PROCESS, Metric::FirstCallMs, Shown::Itself).at_most(150.0),
    row("  with a new data folder, ms", NEW_FOLDER, Metric::FirstCallMs, Shown::Itself),
    row("an idle stream, KiB", STREAMS, Metric::StreamKib, Shown::Itself).at_most(32.0),
];

/// What a client of a TLS listener sees.
pub(crate) const TLS_ROWS: &[Row] = &[
    row("one connection, p50, µs", ALONE.key, Metric::P50, Shown::Itself),
    row("  added p50, µs", ALONE.key, Metric::P50, Shown::Added),
    row("one connection, p99, µs", ALONE.key, Metric::P99, Shown::Itself),
    row("64 connections, calls/s", SMALL_CALLS.key, Metric::PerSecond, Shown::Itself),
    row("  of direct", SMALL_CALLS.key, Metric::PerSecond, Shown::Share),
    row("  CPU s per 100 000 calls", SMALL_CALLS.key, Metric::Cpu, Shown::Itself),
];

const fn row(title: &'static str, trial: &'static str, metric: Metric, shown: Shown) -> Row {
    Row { title, trial, metric, shown, goal: None }
}

impl Row {
    const fn at_most(self, most: f64) -> Self {
        Self { goal: Some(Goal::AtMost(most)), ..self }
    }

    const fn at_least(self, least: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(least)), ..self }
    }

    /// The middle of all rounds; none where it was not measured.
    fn value(&self, figures: &Figures, contender: &str) -> Option<f64> {
        let own = figures.of(contender, self.trial, self.metric);
        let direct = figures.of(DIRECT, self.trial, self.metric);
        let pairs = own.iter().zip(&direct);
        match self.shown {
            Shown::Itself => median(own),
            Shown::Added if contender != DIRECT => median(pairs.map(|(a, b)| a - b).collect()),
            Shown::Share if contender != DIRECT => median(pairs.map(|(a, b)| a / b).collect()),
            Shown::Added | Shown::Share => None,
        }
    }

    fn cell(&self, figures: &Figures, contender: &str) -> String {
        match self.value(figures, contender) {
            _ if figures.has_failed(contender, self.trial) => "failed".to_owned(),
            None => "–".to_owned(),
            Some(value) => number(value),
        }
    }

    fn goal(&self) -> String {
        match self.goal {
            None => String::new(),
            Some(Goal::AtMost(most)) => format!("≤ {}", number(most)),
            Some(Goal::AtLeast(least)) => format!("≥ {}", number(least)),
        }
    }
}

/// A table with a column for each contender.
pub(crate) fn table(rows: &[Row], figures: &Figures, contenders: &[&str]) -> String {
    let mut head = vec![String::new()];
    head.extend(contenders.iter().map(|contender| (*contender).to_owned()));
    head.push("goal".to_owned());
    let mut lines = vec![head];
    for row in rows {
        let mut line = vec![row.title.to_owned()];
        line.extend(contenders.iter().map(|contender| row.cell(figures, contender)));
        line.push(row.goal());
        lines.push(line);
    }
    let columns = contenders.len() + 2;
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (cell, (column, width)) in line.iter().zip(widths.iter().enumerate()) {
            // Words stand left, numbers right.
            let padded =
                if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
            text.push_str(&padded);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Everything, each value of each round included.
pub(crate) fn as_json(plan: &Plan, figures: &[(&str, &[Row], &Figures, Vec<&str>)]) -> Value {
    let tables: serde_json::Map<_, _> = figures
        .iter()
        .map(|(name, rows, figures, contenders)| {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| {
                    let values: serde_json::Map<_, _> = contenders
                        .iter()
                        .map(|name| ((*name).to_owned(), json!(row.value(figures, name))))
                        .collect();
                    json!({"title": row.title.trim(), "values": values, "goal": row.goal()})
                })
                .collect();
            let samples: Vec<_> = figures
                .samples
                .iter()
                .map(|s| {
                    json!({"contender": s.contender, "trial": s.trial,
                           "metric": s.metric.key(), "value": s.value})
                })
                .collect();
            let failures: Vec<_> = figures
                .failures
                .iter()
                .map(|f| json!({"contender": f.contender, "trial": f.trial, "why": f.why}))
                .collect();
            let table = json!({"rows": rows, "samples": samples, "failures": failures});
            ((*name).to_owned(), table)
        })
        .collect();
    json!({
        "cores": {"measured": plan.measured, "load": plan.load, "note": plan.note},
        "tables": tables,
    })
}

#[expect(clippy::print_stdout, reason = "the result, and what our processes say when ready")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// What is going on, for whoever waits.
pub(crate) fn progress(text: &str) {
    complain(&format!("  {text}"));
}

pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        at_least_100 if at_least_100 >= 99.5 => grouped(value),
        at_least_10 if at_least_10 >= 9.95 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Whole, with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(*upper);
    }
    values.get(middle - 1).map(|lower| f64::midpoint(*lower, *upper))
}

const DIRECT: &str = "direct";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_mean_something() {
        let cases = [
            (0.731, "0.73"),
            (4.5, "4.50"),
            (12.34, "12.3"),
            (99.96, "100"),
            (40_000.4, "40 000"),
            (1_234_567.0, "1 234 567"),
            (-3.2, "-3.20"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_table_compares_with_direct_access_round_by_round() {
        let mut figures = Figures::default();
        for (direct, floor) in [(10.0, 30.0), (20.0, 45.0), (30.0, 90.0)] {
            figures.note("direct", ALONE.key, Metric::P50, direct);
            figures.note("floor", ALONE.key, Metric::P50, floor);
        }
        figures.fail("ostiary", ALONE.key, &anyhow::anyhow!("no"));
        let rows = [
            row("p50", ALONE.key, Metric::P50, Shown::Itself),
            row("added", ALONE.key, Metric::P50, Shown::Added).at_most(80.0),
            row("share", ALONE.key, Metric::P50, Shown::Share).at_least(0.5),
        ];
        let text = table(&rows, &figures, &["direct", "floor", "ostiary"]);
        let expected = "       direct  floor  ostiary    goal\n\
                        p50      20.0   45.0   failed\n\
                        added       –   25.0   failed  ≤ 80.0\n\
                        share       –   3.00   failed  ≥ 0.50\n";
        assert_eq!(text, expected);
    }
}
