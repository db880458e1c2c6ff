//! The two forms of tasks: that of revision 2025-11-25, and the extension of the modern era.
//!
//! Both say the same of a task under other names. What they do not share is how its result and its
//! questions are got, which is for whoever carries them.

use bytes::Bytes;

use crate::json::{Limits, Raw, quote, quote_into};
use crate::splice::Splice;

/// Under which names a form says how long a task lasts and how often it may be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    lasts: &'static str,
    pause: &'static str,
}

/// Revision 2025-11-25.
pub const CORE: Form = Form { lasts: "ttl", pause: "pollInterval" };
/// `io.modelcontextprotocol/tasks`.
pub const EXTENSION: Form = Form { lasts: "ttlMs", pause: "pollIntervalMs" };

/// How far a task has come. Both forms have the same words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    const ALL: [Self; 5] =
        [Self::Working, Self::InputRequired, Self::Completed, Self::Failed, Self::Cancelled];

    /// The status in what a server says of a task.
    pub fn of(task: Raw<'_>) -> Option<Self> {
        let status = task.get("status")?.str()?;
        Self::ALL.into_iter().find(|it| it.as_str() == status)
    }

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing comes after it.
    pub const fn is_last(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// How long a task lasts from its beginning on, in milliseconds; absent where that is not bounded.
pub fn lasts(task: Raw<'_>, form: Form) -> Option<u64> {
    task.get(form.lasts).and_then(Raw::u64)
}

/// What is said of a task in one form, in the other, under `id`: an object of what both know of it,
/// in the order of the schema. `now` stands for times that are missing, or are none. Nothing where it
/// has no status.
pub fn restate(task: Raw<'_>, (from, to): (Form, Form), id: &str, now: &str) -> Option<Bytes> {
    let status = Status::of(task)?;
    let time = |key: &str| {
        let said = task.get(key).and_then(Raw::str).filter(|it| is_time(it));
        quote(said.as_deref().unwrap_or(now))
    };
    let number = |key: &str| task.get(key).and_then(Raw::u64).map(|it| it.to_string());
    let mut out = b"{\"taskId\":".to_vec();
    quote_into(&mut out, id);
    let mut member = |key: &str, value: &str| {
        out.extend_from_slice(format!(r#","{key}":{value}"#).as_bytes());
    };
    member("status", &quote(status.as_str()));
    if let Some(words) = task.get("statusMessage").filter(|it| it.str().is_some()) {
        member("statusMessage", words.text());
    }
    member("createdAt", &time("createdAt"));
    member("lastUpdatedAt", &time("lastUpdatedAt"));
    member(to.lasts, number(from.lasts).as_deref().unwrap_or("null"));
    if let Some(pause) = number(from.pause) {
        member(to.pause, &pause);
    }
    out.push(b'}');
    Some(out.into())
}

/// Whether a text is a time as RFC 3339 writes it (section 5.6), in no more than 64 bytes. Only its form
/// is looked at.
fn is_time(text: &str) -> bool {
    const LONGEST: usize = 64;

    let is_like = |text: &[u8], form: &str| {
        let like = |(is, form): (&u8, u8)| match form {
            b'0' => is.is_ascii_digit(),
            form => is.eq_ignore_ascii_case(&form),
        };
        text.len() == form.len() && text.iter().zip(form.bytes()).all(like)
    };
    let Some((start, rest)) = text.as_bytes().split_at_checked("0000-00-00T00:00:00".len()) else {
        return false;
    };
    let zone = match rest {
        [b'.', digits @ ..] => {
            let end = digits.iter().position(|it| !it.is_ascii_digit()).unwrap_or(digits.len());
            if end == 0 {
                return false;
            }
            &digits[end..]
        }
        rest => rest,
    };
    text.len() <= LONGEST
        && is_like(start, "0000-00-00T00:00:00")
        && ["Z", "+00:00", "-00:00"].iter().any(|it| is_like(zone, it))
}

/// The same object with another status and none of the words about the one before.
pub fn with_status(task: &Bytes, status: Status) -> Bytes {
    let Ok(root) = Raw::parse(task, Limits::default()) else { return task.clone() };
    let mut splice = Splice::new(task.clone());
    splice.set_member(root, "status", quote(status.as_str()));
    splice.remove_member(root, "statusMessage");
    splice.finish().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: &str = r#"{"resultType":"task","taskId":"t","status":"working","statusMessage":"a\"b","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-02T00:00:00Z","ttlMs":5,"pollIntervalMs":7,"inputRequests":{}}"#;

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text.as_bytes(), Limits::default()).unwrap()
    }

    #[test]
    fn each_form_says_what_the_other_has_said() {
        let core = restate(raw(FLAT), (EXTENSION, CORE), "ours", "now").unwrap();
        let expected = r#"{"taskId":"ours","status":"working","statusMessage":"a\"b","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-02T00:00:00Z","ttl":5,"pollInterval":7}"#;
        assert_eq!(core, expected);
        let core = std::str::from_utf8(&core).unwrap();
        let back = restate(raw(core), (CORE, EXTENSION), "t", "now").unwrap();
        let expected = FLAT.replace(r#""resultType":"task","#, "");
        assert_eq!(back, expected.replace(r#","inputRequests":{}"#, ""));
    }

    #[test]
    fn what_is_missing_is_made_up_but_for_the_status() {
        let least = r#"{"status":"failed","ttlMs":-1,"createdAt":7,"statusMessage":{}}"#;
        let core = restate(raw(least), (EXTENSION, CORE), "i", "n").unwrap();
        let expected =
            r#"{"taskId":"i","status":"failed","createdAt":"n","lastUpdatedAt":"n","ttl":null}"#;
        assert_eq!(core, expected);
        for none in ["{}", r#"{"status":"done"}"#, r#"{"status":7}"#, "[]"] {
            assert_eq!(restate(raw(none), (EXTENSION, CORE), "i", "n"), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_said_for_one() {
        let long = format!("2026-01-01T00:00:00.{}Z", "0".repeat(44));
        for time in ["2026-01-01T00:00:00Z", "2026-01-01t00:00:00.5+01:00"] {
            assert!(is_time(time), "{time}");
        }
        let none = ["", "now", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "+49-123", &long];
        for time in none.into_iter().chain(["2026-01-01T00:00:00Z ", "2026-01-01T00:00:0\u{e9}Z"]) {
            assert!(!is_time(time), "{time}");
        }
        let task = r#"{"status":"working","createdAt":"+49-123","lastUpdatedAt":"x"}"#;
        let core = restate(raw(task), (EXTENSION, CORE), "i", "n").unwrap();
        assert!(core.ends_with(br#""createdAt":"n","lastUpdatedAt":"n","ttl":null}"#));
    }

    #[test]
    fn a_task_that_is_cancelled_says_nothing_of_before() {
        let task = Bytes::from_static(br#"{"taskId":"i","status":"working","statusMessage":"x"}"#);
        let expected = r#"{"taskId":"i","status":"cancelled"}"#;
        assert_eq!(with_status(&task, Status::Cancelled), expected);
        assert!(Status::Cancelled.is_last() && !Status::InputRequired.is_last());
    }
}
