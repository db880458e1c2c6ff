//! Where the outer members of a document lie, as noted by the pass that has accepted it.
//!
//! Most of what is asked of a message is asked of its `params` or its `result`, and of their `_meta`,
//! over and over. So the pass notes the members of the outermost objects, and [`super::Raw`] looks
//! there first. An object within an array, too deep, or with too many members is not noted; it is
//! walked, which finds the same.

use std::ops::Range;

use super::raw::Member;

/// The members of one object in order, each followed by those of its own value.
pub(crate) type Notes = [Note];

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Where it lies, from the opening brace of its own object on.
    pub(crate) member: Member,
    /// How many notes behind this one are of its value; absent where the value is not noted.
    pub(crate) within: Option<usize>,
}

/// The notes on each member of one object, without those within.
#[derive(Clone, Debug)]
pub(crate) struct Each<'a> {
    notes: &'a Notes,
    at: usize,
}

/// Goes through the members of the object that all these notes are of.
pub(super) fn each(notes: &Notes) -> Each<'_> {
    Each { notes, at: 0 }
}

impl<'a> Iterator for Each<'a> {
    /// A member, and where the notes on its value are among these.
    type Item = (&'a Member, Option<Range<usize>>);

    fn next(&mut self) -> Option<Self::Item> {
        let Note { member, within } = self.notes.get(self.at)?;
        let from = self.at + 1;
        self.at = from + within.unwrap_or_default();
        Some((member, within.map(|_| from..self.at)))
    }
}

/// Takes notes while a document is passed.
#[derive(Debug, Default)]
pub(super) struct Notebook {
    notes: Vec<Note>,
    open: Vec<Noted>,
    is_whole: bool,
}

/// An object whose members are being noted.
#[derive(Debug)]
struct Noted {
    /// Where it begins in the document.
    start: usize,
    /// The note that it is the value of; absent for the outermost one.
    of: Option<usize>,
    /// Its last member so far, and how many it has.
    last: usize,
    count: usize,
}

/// How deep objects are noted: a message, its params, and their `_meta`.
const DEPTH: usize = 3;

/// An object with more members than this is not noted.
const MOST: usize = 16;

impl Notebook {
    pub(super) fn new() -> Self {
        Self { notes: Vec::with_capacity(16), open: Vec::with_capacity(DEPTH), is_whole: false }
    }

    /// What has been noted, if the document is an object that could be.
    pub(super) fn finish(self) -> Option<Vec<Note>> {
        self.is_whole.then_some(self.notes)
    }

    /// An object begins, within so many containers.
    pub(super) fn enter(&mut self, start: usize, depth: usize) {
        if depth != self.open.len() || DEPTH <= depth {
            return;
        }
        let of = self.open.last().map(|it| it.last);
        self.open.push(Noted { start, of, last: 0, count: 0 });
    }

    /// A name has come, of an object within so many containers, itself included; its value follows.
    pub(super) fn name(&mut self, mut member: Member, depth: usize) {
        let is_noted = depth == self.open.len();
        let Some(object) = self.open.last_mut().filter(|_| is_noted) else { return };
        if object.count == MOST {
            self.notes.truncate(object.of.map_or(0, |it| it + 1));
            self.open.pop();
            return;
        }
        object.count += 1;
        object.last = self.notes.len();
        for place in [&mut member.name, &mut member.value] {
            *place = place.start - object.start..place.end - object.start;
        }
        self.notes.push(Note { member, within: None });
    }

    /// The value of the last member has ended, in an object as above.
    pub(super) fn end_value(&mut self, end: usize, depth: usize) {
        if let Some(object) = self.open.last().filter(|it| depth == self.open.len() && 0 < it.count)
            && let Some(note) = self.notes.get_mut(object.last)
        {
            note.member.value.end = end - object.start;
        }
    }

    /// An object has ended, as above.
    pub(super) fn leave(&mut self, depth: usize) {
        let is_noted = depth == self.open.len();
        let Some(object) = self.open.pop_if(|_| is_noted) else { return };
        match object.of {
            Some(of) => {
                let within = self.notes.len() - of - 1;
                if let Some(note) = self.notes.get_mut(of) {
                    note.within = Some(within);
                }
            }
            None => self.is_whole = true,
        }
    }
}
