//! Commands that speak to a running gateway through its admin API, as its owner would.

pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod files;
pub(crate) mod pin;
pub(crate) mod policy;
pub(crate) mod record;
pub(crate) mod remote;
pub(crate) mod replicas;
pub(crate) mod series;
pub(crate) mod shell;
pub(crate) mod switch;
pub(crate) mod token;
pub(crate) mod why;

use std::time::Duration;

use crate::failure::Failure;

/// Runs a command's conversation.
pub(crate) fn converse<T>(talk: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::other)?.block_on(talk)
}

/// Reads `90s`, `15m`, `12h` or `30d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write 90s, 15m, 12h or 30d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).and_then(|it| it.parse::<u64>().ok());
    let seconds = number.and_then(|it| it.checked_mul(scale)).filter(|it| 0 < *it);
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("2h", Some(7_200)),
            ("1d", Some(86_400)),
            ("0s", None),
            ("5", None),
            ("", None),
            ("h", None),
            ("-1h", None),
            ("99999999999999999999d", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(duration(text).ok().map(|it| it.as_secs()), seconds, "{text}");
        }
    }
}
