//! Where each request of a connection begins and ends, without I/O.

use super::super::refusal::Violation;
use super::chunks::{Chunks, Progress};
use super::head::{Body, Bounds, Complete, Head};

/// What has been read of a connection.
#[derive(Debug)]
pub(super) struct Framing {
    bounds: Bounds,
    state: State,
    /// Heads that were complete.
    heads: u64,
    /// Whether the latest of them asked for another protocol. Nobody gets one, but what follows
    /// may have been written in it, so it is not read.
    is_last: bool,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Length(u64),
    Chunks(Chunks),
    /// After the last request.
    Over,
}

/// What became of some bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    /// So many of them may go on.
    pub(super) passed: usize,
    /// What the rest is.
    pub(super) rest: Rest,
}

#[derive(Debug, PartialEq)]
pub(in crate::listener) enum Rest {
    /// There is none.
    Nothing,
    /// The beginning of a head, to be given again together with what follows it.
    Part,
    /// Not to be read any more: the request before it was the last.
    Unread,
    /// The request with this number is refused.
    Refused(u64, Violation),
}

impl Framing {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, state: State::Head(Head::default()), heads: 0, is_last: false }
    }

    /// How many heads were complete.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the last byte that has passed was the last of a request, or there was none.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether no request is read after the latest.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Takes bytes that follow those that have passed.
    ///
    /// They are changed in one place: a header `Upgrade` is written over.
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Taken {
        let mut passed = 0;
        loop {
            let ahead = bytes.get_mut(passed..).unwrap_or_default();
            if ahead.is_empty() {
                return Taken { passed, rest: Rest::Nothing };
            }
            match &mut self.state {
                State::Head(head) => match head.read(ahead, &self.bounds) {
                    Ok(Some(complete)) => {
                        passed += complete.bytes;
                        self.begin(&complete);
                    }
                    Ok(None) => return Taken { passed, rest: Rest::Part },
                    Err(violation) => {
                        return Taken { passed, rest: Rest::Refused(self.heads + 1, violation) };
                    }
                },
                State::Length(left) => {
                    let here = ahead.len() as u64;
                    if *left > here {
                        *left -= here;
                        return Taken { passed: bytes.len(), rest: Rest::Nothing };
                    }
                    passed += usize::try_from(*left).expect("no more than what is here");
                    self.state = self.after_body();
                }
                State::Chunks(chunks) => match chunks.read(ahead) {
                    Progress::GoesOn => {
                        return Taken { passed: bytes.len(), rest: Rest::Nothing };
                    }
                    Progress::Ended(used) => {
                        passed += used;
                        self.state = self.after_body();
                    }
                    Progress::Refused(used, violation) => {
                        let rest = Rest::Refused(self.heads, violation);
                        return Taken { passed: passed + used, rest };
                    }
                },
                State::Over => return Taken { passed, rest: Rest::Unread },
            }
        }
    }

    fn begin(&mut self, complete: &Complete) {
        self.heads += 1;
        self.is_last = complete.asks_for_upgrade;
        self.state = match complete.body {
            Body::None => self.after_body(),
            Body::Length(length) => State::Length(length),
            Body::Chunked => State::Chunks(Chunks::default()),
        };
    }

    fn after_body(&self) -> State {
        if self.is_last { State::Over } else { State::Head(Head::default()) }
    }
}
