//! The one place that writes to standard output and standard error.

#![expect(clippy::print_stdout, reason = "this is where the CLI prints")]

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;

use crate::failure::Failure;

/// Logs go to standard error: as text for people, as JSON where `OSTIARY_LOG_FORMAT=json`. What is
/// logged is chosen by `OSTIARY_LOG`, such as `info` or `proxy=debug`.
pub(crate) fn start_logging() {
    let filter = crate::config::env("OSTIARY_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = self::filter(&filter);
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

/// What is logged. One part says nothing, whatever is asked for: it would log as an error all that a
/// stranger has sent.
fn filter(wanted: &str) -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::new(format!("{wanted},webauthn_rs_core=off"))
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
            if (c.is_control() || is_unseen(c)) && !is_own {
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

/// The same of a process that goes on although nobody may listen any more: whoever has started the one
/// before it, for example.
pub(crate) fn word(text: impl Display) {
    let mut out = std::io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// A member that has changed, with what it was and what it is.
pub(crate) fn change(change: &Value) {
    let member = change.get("member").and_then(Value::as_str).unwrap_or_default();
    let [before, after] = ["before", "after"].map(|it| cell(change.get(it)));
    line(format_args!("    {}: {before} -> {after}", plain(member)));
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

/// A table of chosen members of JSON objects; a `/` leads to a member of a member, and the column
/// goes by the last of them.
pub(crate) fn table(columns: &[&str], items: &Value) {
    let of = |it: &Value, column: &str| cell(it.pointer(&format!("/{column}")));
    let rows = items.as_array().into_iter().flatten();
    let rows = rows.map(|it| columns.iter().map(|column| of(it, column)).collect());
    let head = columns.iter().map(|it| it.rsplit('/').next().unwrap_or(it).to_uppercase());
    aligned(std::iter::once(head.collect()).chain(rows).collect());
}

/// The members of one JSON object, a line each.
pub(crate) fn members(thing: &Value) {
    let rows = thing.as_object().into_iter().flatten();
    aligned(rows.map(|(name, value)| vec![name.clone(), cell(Some(value))]).collect());
}

fn aligned(rows: Vec<Vec<String>>) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|it| it.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(it, width)| format!("{it:<width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// One value in a table.
pub(crate) fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => return "-".to_owned(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    };
    plain(&text)
}

/// What others have named cannot move the terminal's cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether somebody looks at standard error.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// How far something has come, on standard error: in a line of its own, which the next one
/// replaces where somebody looks; nothing clears it.
pub(crate) fn progress(text: Option<&str>) {
    match text {
        Some(text) if is_terminal() => eprint!("\r\u{1b}[K{text}"),
        Some(text) => eprintln!("{text}"),
        None => eprint!("\r\u{1b}[K"),
    }
}

/// What turns a text around or is not to be seen.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells() {
        let cases = [
            (json!(null), "-"),
            (json!([]), "-"),
            (json!(["a", "b"]), "a,b"),
            (json!([1]), "[1]"),
            (json!({"a": "b\u{1b}[2J"}), "{\"a\":\"b\\u001b[2J\"}"),
            (json!(true), "true"),
            (json!("a\u{1b}[31m\u{202e}\nb"), "a\u{fffd}[31m\u{fffd}\u{fffd}b"),
        ];
        for (value, expected) in cases {
            assert_eq!(cell(Some(&value)), expected, "{value}");
        }
        assert_eq!(cell(None), "-");
    }

    /// Whatever is asked for.
    #[test]
    fn what_strangers_send_to_prove_who_they_are_is_not_logged() {
        for wanted in ["info", "trace", "warn,control=debug"] {
            let filter = filter(wanted).to_string();
            assert!(filter.contains("webauthn_rs_core=off"), "{filter}");
        }
    }

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
