//! Lists in pages, of which nearly all have one.
//!
//! A list is prepared as a whole. Many clients read no page but the first, so a page holds more than
//! any of them could use; a larger list goes on where a cursor says. A cursor is sealed for one app at
//! one gateway, and for the list as it was: after a change it is unknown, and its client begins anew.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mcp::json::quote;
use mcp::sealed::Sealer;

use super::List;
use crate::refusal::Refusal;

/// A finished list.
#[derive(Clone)]
pub(crate) struct Written {
    /// Each is the beginning of a result: its member with the items, without braces around it.
    pages: Arc<[Bytes]>,
    /// What tells it from a list that says something else.
    pub(crate) print: u64,
}

/// A list that is being written.
pub(super) struct Pages {
    member: &'static str,
    done: Vec<Bytes>,
    page: BytesMut,
    /// On the page.
    count: usize,
}

/// How much one page holds at most: so many items, and none that begins after so many bytes.
const MOST_ITEMS: usize = 5_000;
const MOST_BYTES: usize = 8 << 20;

/// What cursors are sealed for.
const PURPOSE: &str = "cursor";

impl Written {
    /// The page that a cursor asks for, or the first, with the end of its object. `whose` are the ids
    /// that a cursor is bound to.
    pub(crate) fn page(
        &self,
        list: List,
        (sealer, whose): (&Sealer, &[&[u8]]),
        cursor: Option<&str>,
    ) -> Result<[Bytes; 2], Refusal> {
        let bound = [whose, &[list.member().as_bytes()]].concat();
        let number = match cursor {
            None => Some(0),
            Some(cursor) => sealer.open(PURPOSE, &bound, cursor).and_then(|it| self.number(&it)),
        };
        let unknown = || Refusal::Params("unknown cursor; list again without one");
        let number = number.ok_or_else(unknown)?;
        let page = self.pages.get(number).ok_or_else(unknown)?;
        let next = number + 1;
        if self.pages.len() <= next {
            return Ok([page.clone(), Bytes::from_static(b"}")]);
        }
        let payload = [(next as u64).to_be_bytes(), self.print.to_be_bytes()].concat();
        let cursor = quote(&sealer.seal(PURPOSE, &bound, &payload));
        Ok([page.clone(), format!(r#","nextCursor":{cursor}}}"#).into()])
    }

    /// Its pages, each as an object with the list's member alone.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Vec<u8>> {
        self.pages.iter().map(|page| [b"{", page.as_ref(), b"}"].concat())
    }

    /// The number of a page of this very list.
    fn number(&self, payload: &[u8]) -> Option<usize> {
        let (number, print) = payload.split_first_chunk::<8>()?;
        let is_same = print == self.print.to_be_bytes();
        usize::try_from(u64::from_be_bytes(*number)).ok().filter(|_| is_same)
    }
}

impl Pages {
    pub(super) fn of(member: &'static str) -> Self {
        let mut pages = Self { member, done: Vec::new(), page: BytesMut::new(), count: 0 };
        pages.begin();
        pages
    }

    /// Where the next item is to be written.
    pub(super) fn next(&mut self) -> &mut BytesMut {
        if self.count == MOST_ITEMS || MOST_BYTES <= self.page.len() {
            self.end();
            self.begin();
        } else if 0 < self.count {
            self.page.extend_from_slice(b",");
        }
        self.count += 1;
        &mut self.page
    }

    pub(super) fn finish(mut self) -> Written {
        self.end();
        let mut hasher = DefaultHasher::new();
        self.done.hash(&mut hasher);
        Written { pages: self.done.into(), print: hasher.finish() }
    }

    fn begin(&mut self) {
        self.count = 0;
        self.page.extend_from_slice(format!("\"{}\":[", self.member).as_bytes());
    }

    fn end(&mut self) {
        self.page.extend_from_slice(b"]");
        self.done.push(self.page.split().freeze());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOSE: &[&[u8]] = &[b"one", b"two"];

    fn written(items: usize, size: usize) -> Written {
        let mut pages = Pages::of("tools");
        for item in 0..items {
            pages.next().extend_from_slice(format!("\"{item:0size$}\"").as_bytes());
        }
        pages.finish()
    }

    fn text(parts: [Bytes; 2]) -> String {
        format!("{{{}", String::from_utf8(parts.concat()).unwrap())
    }

    #[test]
    fn a_small_list_is_one_page() {
        let sealer = Sealer::new([7; 32]);
        for (items, expected) in [(0, r#"{"tools":[]}"#), (2, r#"{"tools":["0","1"]}"#)] {
            let page = written(items, 1).page(List::Tools, (&sealer, WHOSE), None);
            assert_eq!(text(page.unwrap()), expected);
        }
    }

    #[test]
    fn a_large_list_goes_on_where_a_cursor_says() {
        let sealer = Sealer::new([7; 32]);
        for (items, size, expected) in [(12_500, 5, 3), (400, 60_000, 3)] {
            let list = written(items, size);
            let (mut cursor, mut pages, mut found) = (None, 0, 0);
            loop {
                let page = list.page(List::Tools, (&sealer, WHOSE), cursor.as_deref()).unwrap();
                let page: serde_json::Value = serde_json::from_str(&text(page)).unwrap();
                found += page["tools"].as_array().unwrap().len();
                pages += 1;
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = Some(next.to_owned()),
                    None => break,
                }
            }
            assert_eq!((pages, found), (expected, items));
        }
    }

    #[test]
    fn a_cursor_is_for_one_list_of_one_app_as_it_was() {
        let sealer = Sealer::new([7; 32]);
        let list = written(5_500, 4);
        let [_, end] = list.page(List::Tools, (&sealer, WHOSE), None).unwrap();
        let end: serde_json::Value = serde_json::from_slice(&[b"{", &end[1..]].concat()).unwrap();
        let cursor = end["nextCursor"].as_str();
        assert!(list.page(List::Tools, (&sealer, WHOSE), cursor).is_ok());
        assert!(list.page(List::Prompts, (&sealer, WHOSE), cursor).is_err());
        assert!(list.page(List::Tools, (&sealer, &[b"one", b"3"]), cursor).is_err());
        assert!(written(5_501, 4).page(List::Tools, (&sealer, WHOSE), cursor).is_err());
        for made_up in ["", "1", "AAAA"] {
            assert!(list.page(List::Tools, (&sealer, WHOSE), Some(made_up)).is_err());
        }
    }
}
