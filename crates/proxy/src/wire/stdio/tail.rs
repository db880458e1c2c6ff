//! The last of what a server wrote to its standard error.

use std::collections::VecDeque;
use std::fmt::Write;

use parking_lot::Mutex;

pub(super) struct Tail {
    kept: Mutex<VecDeque<u8>>,
    limit: usize,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: Mutex::new(VecDeque::new()), limit }
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        let new = bytes.get(bytes.len().saturating_sub(self.limit)..).unwrap_or_default();
        let mut kept = self.kept.lock();
        let excess = (kept.len() + new.len()).saturating_sub(self.limit).min(kept.len());
        kept.drain(..excess);
        kept.extend(new);
    }

    /// Fit for a log or a page: a server must not move our cursor or turn our text around.
    pub(super) fn escaped(&self) -> String {
        let bytes: Vec<u8> = self.kept.lock().iter().copied().collect();
        let mut out = String::with_capacity(bytes.len());
        for c in String::from_utf8_lossy(&bytes).chars() {
            if c == '\n' || !(c.is_control() || is_invisible(c)) {
                out.push(c);
            } else {
                write!(out, "{}", c.escape_default()).expect("writing to a string succeeds");
            }
        }
        out
    }
}

/// Characters that change how their neighbours are shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_beginning_forgotten() {
        let tail = Tail::new(5);
        for bytes in [&b"abc"[..], b"de", b"", b"f", b"0123456789"] {
            tail.push(bytes);
        }
        assert_eq!(tail.escaped(), "56789");
        tail.push(b"xy");
        assert_eq!(tail.escaped(), "789xy");
    }

    #[test]
    fn control_characters_lose_their_power() {
        let tail = Tail::new(64);
        tail.push("a\u{1b}[2Jb\r\nc\u{202e}d\u{0}".as_bytes());
        tail.push(&[0xff]);
        assert_eq!(tail.escaped(), "a\\u{1b}[2Jb\\r\nc\\u{202e}d\\u{0}\u{fffd}");
    }
}
