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
    // Colours are for people: files and pipes get plain text.
    let is_coloured = std::io::stderr().is_terminal() && crate::config::env("NO_COLOR").is_none();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_coloured);
    let logs = logs.with_writer(move || OneLine { to: std::io::stderr(), is_coloured });
    if crate::config::env("OSTIARY_LOG_FORMAT").as_deref() == Some("json") {
        logs.json().init();
    } else {
        logs.with_target(false).init();
    }
}

/// Writes each event as one line, whatever the names and errors of others in it hold: what would
/// end the line, move a cursor or turn the text around is written as JSON would escape it.
struct OneLine<W> {
    to: W,
    /// Then escape characters are our own; those of others have been taken out already.
    is_coloured: bool,
}

impl<W: Write> Write for OneLine<W> {
    /// Takes a whole event, as it is handed over.
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut plain = String::with_capacity(text.len());
        for c in line.chars() {
            let is_own = c == '\u{1b}' && self.is_coloured;
            let is_unseen = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if (c.is_control() || is_unseen) && !is_own {
                plain.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                plain.push(c);
            }
        }
        plain.push('\n');
        self.to.write_all(plain.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h151_an_event_is_one_line() {
        let cases = [
            ("plain\n", false, "plain\n"),
            ("a\nb\r\tc\n", false, "a\\u000ab\\u000d\\u0009c\n"),
            ("\u{1b}[31mred\n", false, "\\u001b[31mred\n"),
            ("\u{1b}[31mred\n", true, "\u{1b}[31mred\n"),
            ("é\u{85}\u{9b}\u{2028}\u{202e}\n", true, "é\\u0085\\u009b\\u2028\\u202e\n"),
        ];
        for (event, is_coloured, expected) in cases {
            let mut line = OneLine { to: Vec::new(), is_coloured };
            line.write_all(event.as_bytes()).unwrap();
            let written = String::from_utf8(line.to).unwrap();
            assert_eq!(written, expected, "{event:?}");
        }
    }
}
