//! As much of RESP2, the protocol of Valkey and Redis, as is spoken here. What comes back is bounded,
//! since it is as far from being trusted as anything from outside.

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Error(String),
    Number(i64),
    Numbers(Vec<i64>),
}

/// What is no answer that could be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its answer is not of the protocol")]
pub(super) struct Malformed;

/// The longest line, and the longest text.
const LONGEST: usize = 4_096;

/// A number for each counter of a call.
const MOST_NUMBERS: usize = 1 << 17;

/// A command as it is sent.
pub(super) fn command<'a>(parts: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The reply at the beginning of what has come, and how long it is; nothing while there is more to
/// come of it.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let Some((kind, text, mut at)) = line(bytes)? else { return Ok(None) };
    let reply = match kind {
        b'+' => Reply::Text(text.to_owned()),
        b'-' => Reply::Error(text.to_owned()),
        b':' => Reply::Number(number(text)?),
        b'$' => {
            let length = usize::try_from(number(text)?).map_err(|_| Malformed)?;
            if LONGEST < length {
                return Err(Malformed);
            }
            let Some(text) = bytes.get(at..at + length + 2) else { return Ok(None) };
            at += text.len();
            let text = text.strip_suffix(b"\r\n").ok_or(Malformed)?;
            Reply::Text(String::from_utf8(text.to_vec()).map_err(|_| Malformed)?)
        }
        b'*' => {
            let count = usize::try_from(number(text)?).map_err(|_| Malformed)?;
            if MOST_NUMBERS < count {
                return Err(Malformed);
            }
            let mut numbers = Vec::new();
            for _ in 0..count {
                let rest = bytes.get(at..).unwrap_or_default();
                let Some((b':', text, length)) = line(rest)? else {
                    return if rest.first().is_none_or(|it| *it == b':') {
                        Ok(None)
                    } else {
                        Err(Malformed)
                    };
                };
                numbers.push(number(text)?);
                at += length;
            }
            Reply::Numbers(numbers)
        }
        _ => return Err(Malformed),
    };
    Ok(Some((reply, at)))
}

/// What a line is of, its text, and how long it is with its end.
fn line(bytes: &[u8]) -> Result<Option<(u8, &str, usize)>, Malformed> {
    let head = bytes.get(..bytes.len().min(LONGEST)).unwrap_or_default();
    let Some(end) = head.windows(2).position(|it| it == b"\r\n") else {
        return if head.len() < LONGEST { Ok(None) } else { Err(Malformed) };
    };
    let (kind, text) = head.get(..end).and_then(<[u8]>::split_first).ok_or(Malformed)?;
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    Ok(Some((*kind, text, end + 2)))
}

fn number(text: &str) -> Result<i64, Malformed> {
    text.parse().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replies_are_read_when_all_of_them_is_there() {
        let cases = [
            ("+OK\r\n", Reply::Text("OK".into())),
            ("-NOSCRIPT none\r\n", Reply::Error("NOSCRIPT none".into())),
            (":-7\r\n", Reply::Number(-7)),
            ("$3\r\na\r\n\r\n", Reply::Text("a\r\n".into())),
            ("*3\r\n:1\r\n:2\r\n:30\r\n", Reply::Numbers(vec![1, 2, 30])),
            ("*0\r\n", Reply::Numbers(vec![])),
        ];
        for (text, expected) in cases {
            for end in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..end]), Ok(None), "{text:?} {end}");
            }
            let more = format!("{text}:1");
            assert_eq!(parse(more.as_bytes()), Ok(Some((expected, text.len()))), "{text:?}");
        }
    }

    #[test]
    fn what_is_none_is_refused_without_waiting_for_more() {
        let long = format!("+{}", "a".repeat(LONGEST));
        for text in [
            "HTTP/1.1 200 OK\r\n",
            "\r\n",
            ":x\r\n",
            "$-1\r\n",
            "$5000\r\n",
            "*-1\r\n",
            "*1000000\r\n",
            "*1\r\n*1\r\n",
            "*1\r\n$1\r\na\r\n",
            "$1\r\nabc",
            long.as_str(),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_command_is_framed_by_lengths() {
        let parts: [&[u8]; 2] = [b"GET", b"a\r\nb"];
        assert_eq!(command(parts.into_iter()), b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n");
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_breaks(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some((_, length))) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
