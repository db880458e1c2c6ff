//! The configuration file.

use std::time::Duration;

use ostiary::config_file::ConfigFile;

/// A file is refused or read, and what is read is within its bounds, and the same behind a comment.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = ConfigFile::parse(text);
    if !text.starts_with('\u{feff}') {
        assert_eq!(ConfigFile::parse(&format!("# a comment\n{text}")), read);
    }
    let Ok(file) = read else { return };
    assert!(file.workers.is_none_or(|it| (1..=256).contains(&it)));
    assert!((1..=1 << 30).contains(&file.largest_request_bytes));
    assert!(0 < file.most_sessions && 0 < file.most_held_calls);
    for some in [file.answers, file.longest_task, file.keep_sessions] {
        assert!(Duration::ZERO < some && some <= DAY);
    }
    assert!(file.probe <= DAY);
    assert!(file.hosts.iter().all(|it| !it.is_empty() && it.is_ascii()));
}

const DAY: Duration = Duration::from_secs(86_400);
