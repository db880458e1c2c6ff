//! Where in a text a pattern can match at all, found without reading most of the text.
//!
//! A match consists of bytes that the pattern can hold, and has a least number of them: it lies in
//! a run of such bytes. Whoever looks at the last of that many bytes and finds one that is in no
//! match has passed all of them, so the longer a match has to be, the less of a text is read.

use std::ops::Range;

/// The longest stretches of a text that hold nothing but bytes of one set and are long enough.
pub(crate) struct Runs<'a> {
    text: &'a [u8],
    set: &'a [bool; 256],
    least: usize,
    /// What stands before has been passed, and the byte before it is not in the set.
    from: usize,
}

impl<'a> Runs<'a> {
    /// Of at least `least` bytes; one is the least that can be asked for.
    pub(crate) fn new(text: &'a str, set: &'a [bool; 256], least: usize) -> Self {
        Self { text: text.as_bytes(), set, least: least.max(1), from: 0 }
    }

    fn has(&self, byte: u8) -> bool {
        self.set[usize::from(byte)]
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let last = self.from.checked_add(self.least - 1)?;
            if !self.has(*self.text.get(last)?) {
                self.from = last + 1;
                continue;
            }
            let passed = self.text[self.from..last].iter().rposition(|byte| !self.has(*byte));
            if let Some(passed) = passed {
                self.from += passed + 1;
                continue;
            }
            let rest = &self.text[last..];
            let end = rest.iter().position(|byte| !self.has(*byte)).unwrap_or(rest.len()) + last;
            return Some(std::mem::replace(&mut self.from, end + 1)..end);
        }
    }
}

/// The range of a text and the characters beside it, which are all that a pattern without anchors
/// can ask about what lies around a match.
pub(crate) fn with_neighbours(text: &str, range: Range<usize>) -> &str {
    let start = text.floor_char_boundary(range.start.saturating_sub(1));
    let end = text.ceil_char_boundary(range.end.saturating_add(1));
    text.get(start..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_run_is_found_once_and_whole(text in "[ab0é]{0,60}", least in 1..9usize) {
            let mut set = [false; 256];
            b"ab\xc3".iter().for_each(|byte| set[usize::from(*byte)] = true);
            let found: Vec<_> = Runs::new(&text, &set, least).collect();
            let mut expected = Vec::new();
            let mut at = 0;
            for run in text.as_bytes().split(|byte| !set[usize::from(*byte)]) {
                if least <= run.len() {
                    expected.push(at..at + run.len());
                }
                at += run.len() + 1;
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn neighbours_are_whole_characters() {
        let text = "é12é";
        assert_eq!(with_neighbours(text, 2..4), text);
        assert_eq!(with_neighbours(text, 1..4), text);
        assert_eq!(with_neighbours("a12b", 1..3), "a12b");
        assert_eq!(with_neighbours("ba12bc", 2..4), "a12b");
        assert_eq!(with_neighbours("12", 0..2), "12");
    }
}
