//! The figures for people, as tables, and for programs, as JSON.
//!
//! The only place that prints. What belongs to the result goes to standard output, the rest to
//! standard error.

use serde_json::{Map, Value, json};

use crate::contender::Contender;
use crate::machine::Machine;
use crate::measure::{
    ALONE, ARRIVALS, Failure, Figures, LARGE_CALLS, LISTS, MEDIUM_CALLS, Metric, NEW_FOLDER,
    PARKED, PROCESS, SESSIONS, SMALL_CALLS, STEADY, STREAMS,
};

/// One line of a table.
pub(crate) struct Row {
    title: &'static str,
    trial: &'static str,
    metric: Metric,
    shown: Shown,
    goal: Option<Goal>,
}

/// How a value stands to that of direct access, or of whatever else it is compared with, in the same
/// round.
#[derive(Clone, Copy)]
enum Shown {
    Itself,
    /// What comes on top.
    Added,
    /// What is left of it, or how many times as much it is.
    Share,
}

#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

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
    row("legacy clients, come and go, per s", ARRIVALS.key, Metric::PerSecond, Shown::Itself)
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

/// What calls between the eras cost, of clients and servers as the columns say. Each is compared with
/// that of the client's own era, and those of one era with another gateway's, if there is one.
pub(crate) const BRIDGED_ROWS: &[Row] = &[
    row("one connection, p50, µs", ALONE.key, Metric::P50, Shown::Itself),
    row("  of what it is compared with", ALONE.key, Metric::P50, Shown::Share).at_most(1.3),
    row("  CPU s per 100 000 calls", ALONE.key, Metric::Cpu, Shown::Itself),
    row("  of what it is compared with", ALONE.key, Metric::Cpu, Shown::Share).at_most(1.3),
    row("one connection, p99, µs", ALONE.key, Metric::P99, Shown::Itself),
    row("64 connections, calls/s", SMALL_CALLS.key, Metric::PerSecond, Shown::Itself),
    row("  of what it is compared with", SMALL_CALLS.key, Metric::PerSecond, Shown::Share)
        .at_least(1.0 / 1.3),
    row("  CPU s per 100 000 calls", SMALL_CALLS.key, Metric::Cpu, Shown::Itself),
    row("  of what it is compared with", SMALL_CALLS.key, Metric::Cpu, Shown::Share).at_most(1.3),
    row("a legacy session, KiB", SESSIONS, Metric::SessionKib, Shown::Itself),
    row("a call that waits for its client, KiB", PARKED, Metric::ParkedKib, Shown::Itself),
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
    fn value(&self, figures: &Figures, column: &Column) -> Option<f64> {
        let own = figures.of(column.name, self.trial, self.metric);
        let other = figures.of(column.compared_with, self.trial, self.metric);
        let is_other = column.name == column.compared_with;
        let pairs = own.iter().zip(&other);
        match self.shown {
            Shown::Itself => median(own),
            Shown::Added if !is_other => median(pairs.map(|(a, b)| a - b).collect()),
            Shown::Share if !is_other => median(pairs.map(|(a, b)| a / b).collect()),
            Shown::Added | Shown::Share => None,
        }
    }

    fn cell(&self, figures: &Figures, column: &Column) -> String {
        match self.value(figures, column) {
            _ if figures.has_failed(column.name, self.trial) => "failed".to_owned(),
            None => NOTHING.to_owned(),
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

/// One contender of a table.
struct Column {
    name: &'static str,
    compared_with: &'static str,
}

/// Figures with a column for each contender.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    rows: &'static [Row],
    columns: Vec<Column>,
    pub(crate) figures: Figures,
    /// What its reader has to know; printed below it.
    pub(crate) notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(
        name: &'static str,
        rows: &'static [Row],
        figures: Figures,
        contenders: &[Contender],
    ) -> Self {
        let column = |it: &Contender| Column { name: it.name, compared_with: it.compared_with };
        let columns = contenders.iter().map(column).collect();
        let told = |f: &Failure| format!("{} failed in `{}`: {}", f.contender, f.trial, f.why);
        let notes = figures.failures.iter().map(told).collect();
        Self { name, rows, columns, figures, notes }
    }

    pub(crate) fn with(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Rows that were not measured at all are left out.
    pub(crate) fn text(&self) -> String {
        let mut head = vec![String::new()];
        head.extend(self.columns.iter().map(|column| column.name.to_owned()));
        head.push("goal".to_owned());
        let mut lines = vec![head];
        for row in self.rows {
            let mut line = vec![row.title.to_owned()];
            line.extend(self.columns.iter().map(|column| row.cell(&self.figures, column)));
            if line.iter().skip(1).any(|cell| cell != NOTHING) {
                line.push(row.goal());
                lines.push(line);
            }
        }
        aligned(&lines)
    }

    fn as_json(&self) -> Value {
        let mut rows = Vec::new();
        for row in self.rows {
            let mut values = Map::new();
            for column in &self.columns {
                values.insert(column.name.to_owned(), json!(row.value(&self.figures, column)));
            }
            let (trial, metric) = (row.trial, row.metric.key());
            rows.push(json!({
                "title": row.title.trim(), "trial": trial, "metric": metric,
                "values": values, "goal": row.goal(),
            }));
        }
        let samples = self.figures.samples.iter().map(|s| {
            let metric = s.metric.key();
            json!({"contender": s.contender, "trial": s.trial, "metric": metric, "value": s.value})
        });
        let samples: Vec<_> = samples.collect();
        json!({"name": self.name, "rows": rows, "samples": samples, "notes": self.notes})
    }
}

/// Everything, each value of each round included.
pub(crate) fn as_json(machine: &Machine, tables: &[Table]) -> Value {
    let tables: Vec<_> = tables.iter().map(Table::as_json).collect();
    json!({"machine": machine.as_json(), "tables": tables})
}

/// In columns: words stand left, numbers right.
fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text.push_str(&match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
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

/// Stands where there is no value.
const NOTHING: &str = "–";

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
        figures.fail("gateway", STEADY.key, &anyhow::anyhow!("no"));
        static ROWS: [Row; 4] = [
            row("p50", "alone", Metric::P50, Shown::Itself),
            row("added", "alone", Metric::P50, Shown::Added).at_most(80.0),
            row("share", "alone", Metric::P50, Shown::Share).at_least(0.5),
            row("not measured", "alone", Metric::P99, Shown::Itself),
        ];
        let mut table = Table::new("it", &ROWS, figures, &[]);
        let columns = ["direct", "floor", "gateway"];
        table.columns = columns.map(|name| Column { name, compared_with: "direct" }).into();
        assert_eq!(table.notes, ["gateway failed in `steady`: no"]);
        let expected = "       direct  floor  gateway    goal\n\
                        p50      20.0   45.0        –\n\
                        added       –   25.0        –  ≤ 80.0\n\
                        share       –   3.00        –  ≥ 0.50\n";
        assert_eq!(table.text(), expected);
    }
}
