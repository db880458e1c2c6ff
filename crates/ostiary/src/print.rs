//! The one place that writes to standard output and standard error.

#![expect(clippy::print_stdout, reason = "this is where the CLI prints")]

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use crate::failure::Failure;

/// Logs go to standard error: as text for people, as JSON where `OSTIARY_LOG_FORMAT=json`. What is
/// logged is chosen by `OSTIARY_LOG`, such as `info` or `proxy=debug`.
pub(crate) fn start_logging() {
    let filter = crate::config::env("OSTIARY_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for people: files and pipes get plain text.
    let is_seen = std::io::stderr().is_terminal() && crate::config::env("NO_COLOR").is_none();
    let logs = logs.with_ansi(is_seen);
    if crate::config::env("OSTIARY_LOG_FORMAT").as_deref() == Some("json") {
        logs.json().init();
    } else {
        logs.with_target(false).init();
    }
}

/// One line of a command's result, at once, since another program may wait for it.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
    std::io::stdout().flush().ok();
}

/// Why a command did not work.
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    eprintln!("ostiary: {failure}");
    failure.code()
}

/// Help, version, or what is wrong with the command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    error.print().ok();
    if error.use_stderr() { 2.into() } else { ExitCode::SUCCESS }
}

/// A table of chosen members of JSON objects.
pub(crate) fn table(columns: &[&str], items: &serde_json::Value) {
    let rows: Vec<Vec<String>> = items
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| columns.iter().map(|column| cell(it.get(column))).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|it| it.chars().count());
            cells.chain([column.len()]).max().unwrap_or_default()
        })
        .collect();
    let print_row = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(it, width)| format!("{it:<width$}")).collect();
        line(padded.join("  ").trim_end());
    };
    print_row(&columns.iter().map(|it| it.to_uppercase()).collect::<Vec<_>>());
    rows.iter().for_each(|row| print_row(row));
}

/// One value in a table; control characters cannot move the terminal's cursor.
fn cell(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => "-".to_owned(),
        Some(serde_json::Value::String(text)) => {
            text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
        }
        Some(other) => other.to_string(),
    }
}
