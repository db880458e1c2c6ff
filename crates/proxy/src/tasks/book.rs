//! What is known here of the tasks that clients of revision 2025-11-25 have begun at servers of the
//! extension.
//!
//! Such a client may ask which tasks it has, and no server of the extension would say. It gets a task
//! for each call for which it asks for one, so the result of a call that its server has answered at
//! once waits here. The first end of a task is its only one, and nobody but one asker at a time puts
//! what its server wants to know to the client.
//!
//! No word of a server stands here, since rules may not let it out, or may not later. All of it is
//! bounded, for each app and for all of them together, and each task is forgotten when its
//! time is over: what is still known of it then, its server knows.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::{AppId, AssignmentId};
use mcp::json::{Limits, Raw};
use mcp::tasks::{CORE, Status, lasts, with_status};
use parking_lot::Mutex;

use super::Task;
use crate::refusal::Refusal;

/// All such tasks at this node.
#[derive(Default)]
pub(crate) struct Book(Mutex<Shelves>);

#[derive(Default)]
struct Shelves {
    by_app: HashMap<AppId, VecDeque<Arc<Entry>>>,
    count: usize,
    bytes: usize,
    next: u64,
    /// When those whose time is over were last looked for.
    swept: Duration,
}

/// Whose a task is: the ids that the task's own is sealed for, and the session where callers cannot
/// be told apart.
pub(crate) type Owner = ([[u8; 16]; 4], Option<Box<str>>);

/// One task.
pub(crate) struct Entry {
    /// As the client knows it.
    pub(crate) id: Box<str>,
    pub(crate) assignment: AssignmentId,
    pub(crate) tool: Box<str>,
    /// The order in which they were begun.
    pub(crate) number: u64,
    owner: Owner,
    /// When it is forgotten.
    ends: Duration,
    /// What the client was last told of it, without the words of its server.
    said: Mutex<Bytes>,
    /// How much room it takes, in bytes.
    size: usize,
    /// What its server has answered at once.
    pub(crate) result: Option<Bytes>,
    pub(crate) talk: Arc<Talk>,
}

/// What its server has asked about it, and who asks the client.
#[derive(Default)]
pub(crate) struct Talk {
    /// Those who wait for its result, in the order in which they have come.
    askers: Mutex<Vec<u64>>,
    next: AtomicU64,
    /// The names of what has been answered, or is on its way, each as `hasher` has it.
    answered: Mutex<Vec<u64>>,
    hasher: RandomState,
}

/// Somebody who waits for the result of a task, until it is dropped.
pub(crate) struct Asker {
    talk: Arc<Talk>,
    number: u64,
}

/// Answers on their way to a server. Dropped before they are there, they have not been given.
pub(crate) struct Giving {
    talk: Arc<Talk>,
    names: Vec<u64>,
}

/// A task to be kept.
pub(crate) struct New {
    pub(crate) app: AppId,
    pub(crate) owner: Owner,
    pub(crate) id: Box<str>,
    pub(crate) task: Task,
    /// As the client is told it.
    pub(crate) said: Bytes,
    pub(crate) result: Option<Bytes>,
}

/// How many tasks of one app are known, and of all together.
const PER_APP: usize = 256;
const MOST: usize = 16_384;

/// How many bytes are kept for one app, and for all together. Most of them are results.
const BYTES_PER_APP: usize = 4 << 20;
const MOST_BYTES: usize = 64 << 20;

/// How many bytes a task takes at most, but for its result, its tool, and its id, which is there twice:
/// times, numbers, and the names of what has been answered.
const EACH: usize = 3 << 10;

/// How long a task is known at most.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often those whose time is over are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// How many answers are remembered. Nobody asks more about one task who is honest.
const ANSWERS: usize = 256;

impl Book {
    /// Keeps a task, in the place of the app's oldest where there is no room for both.
    ///
    /// # Errors
    /// There is no room for its result. What is known of it otherwise its server knows as well.
    pub(crate) fn keep(&self, new: New, now: Duration) -> Result<Arc<Entry>, Refusal> {
        let New { app, owner, id, task, said, result } = new;
        let Task { assignment, tool, .. } = task;
        let size = EACH + 2 * id.len() + tool.len() + result.as_ref().map_or(0, Bytes::len);
        let lasts = Raw::parse(&said, Limits::default()).ok().and_then(|it| lasts(it, CORE));
        let lasts = lasts.map_or(DAY, Duration::from_millis).min(DAY);
        let said = Mutex::new(without_words(&said));
        let mut shelves = self.0.lock();
        if shelves.swept + SWEEP <= now {
            shelves.sweep(now);
        }
        // Nothing goes for what does not fit then either.
        let fits = size <= BYTES_PER_APP && shelves.is_room_beside(app, size);
        if !fits && result.is_some() {
            return Err(Refusal::NoRoom);
        }
        let (number, talk, ends) = (shelves.next, Arc::default(), now.saturating_add(lasts));
        let entry =
            Arc::new(Entry { id, assignment, tool, number, owner, ends, said, size, result, talk });
        if fits {
            while shelves.is_full(app, size) && shelves.drop_oldest(app) {}
            shelves.next += 1;
            shelves.count += 1;
            shelves.bytes += size;
            shelves.by_app.entry(app).or_default().push_back(Arc::clone(&entry));
        }
        Ok(entry)
    }

    /// The task of that id, which the app has got.
    pub(crate) fn find(&self, app: AppId, id: &str, now: Duration) -> Option<Arc<Entry>> {
        let shelves = self.0.lock();
        let mut own = shelves.by_app.get(&app)?.iter();
        own.find(|it| *it.id == *id && now < it.ends).map(Arc::clone)
    }

    /// The tasks of an owner from a number on, in the order in which they were begun.
    pub(crate) fn of(
        &self,
        app: AppId,
        (owner, from): (&Owner, u64),
        now: Duration,
    ) -> Vec<Arc<Entry>> {
        let shelves = self.0.lock();
        let own = shelves.by_app.get(&app).into_iter().flatten();
        own.filter(|it| it.owner == *owner && from <= it.number && now < it.ends)
            .map(Arc::clone)
            .collect()
    }

    /// Forgets a task that its client has not been told of.
    pub(crate) fn forget(&self, app: AppId, id: &str) {
        let mut shelves = self.0.lock();
        shelves.retain(app, |it| *it.id != *id);
    }
}

impl Shelves {
    /// How many tasks an app has, and how many bytes they take.
    fn taken_by(&self, app: AppId) -> (usize, usize) {
        let own = self.by_app.get(&app).into_iter().flatten();
        own.fold((0, 0), |(count, bytes), it| (count + 1, bytes + it.size))
    }

    fn is_full(&self, app: AppId, size: usize) -> bool {
        let (count, bytes) = self.taken_by(app);
        PER_APP <= count
            || BYTES_PER_APP < bytes + size
            || MOST <= self.count
            || MOST_BYTES < self.bytes + size
    }

    /// Whether there is room for so much beside what all other apps have.
    fn is_room_beside(&self, app: AppId, size: usize) -> bool {
        let (count, bytes) = self.taken_by(app);
        self.count - count < MOST && self.bytes - bytes + size <= MOST_BYTES
    }

    fn drop_oldest(&mut self, app: AppId) -> bool {
        let oldest = self.by_app.get(&app).and_then(|it| it.front()).map(|it| it.number);
        self.retain(app, |it| Some(it.number) != oldest);
        oldest.is_some()
    }

    fn sweep(&mut self, now: Duration) {
        self.swept = now;
        let apps: Vec<AppId> = self.by_app.keys().copied().collect();
        for app in apps {
            self.retain(app, |it| now < it.ends);
        }
    }

    fn retain(&mut self, app: AppId, is_kept: impl Fn(&Entry) -> bool) {
        let Some(own) = self.by_app.get_mut(&app) else { return };
        let (mut count, mut bytes) = (0, 0);
        own.retain(|it| {
            let stays = is_kept(it);
            if !stays {
                count += 1;
                bytes += it.size;
            }
            stays
        });
        if own.is_empty() {
            self.by_app.remove(&app);
        }
        self.count -= count;
        self.bytes -= bytes;
    }
}

impl Entry {
    /// What the client was last told of it.
    pub(crate) fn said(&self) -> Bytes {
        self.said.lock().clone()
    }

    /// Whether its client has been told of its end.
    pub(crate) fn is_over(&self) -> bool {
        has_ended(&self.said.lock())
    }

    /// What the client is told of it: nothing else after its end than its end. The words of its server
    /// pass this once and are not kept, since rules look at what is sent and not at what lies here.
    pub(crate) fn tell(&self, task: Bytes) -> Bytes {
        let brief = without_words(&task);
        let mut said = self.said.lock();
        if has_ended(&said) {
            return said.clone();
        }
        *said = brief;
        task
    }
}

impl Asker {
    /// One more who waits.
    pub(crate) fn of(talk: &Arc<Talk>) -> Self {
        let number = talk.next.fetch_add(1, Ordering::Relaxed);
        talk.askers.lock().push(number);
        Self { talk: Arc::clone(talk), number }
    }

    /// Whether the client is to be asked for it: it has come last, and whoever came before may have
    /// been left by the client since.
    pub(crate) fn may_ask(&self) -> bool {
        self.talk.askers.lock().last() == Some(&self.number)
    }

    /// Whether a question has been answered, or may not be asked any more.
    pub(crate) fn is_answered(&self, name: &str) -> bool {
        let answered = self.talk.answered.lock();
        ANSWERS <= answered.len() || answered.contains(&self.talk.hasher.hash_one(name))
    }

    /// Begins to give its server answers.
    pub(crate) fn give(&self) -> Giving {
        Giving { talk: Arc::clone(&self.talk), names: Vec::new() }
    }
}

impl Giving {
    /// Notes that a question is being answered; whether it was not before.
    pub(crate) fn add(&mut self, name: &str) -> bool {
        let name = self.talk.hasher.hash_one(name);
        let mut answered = self.talk.answered.lock();
        if ANSWERS <= answered.len() || answered.contains(&name) {
            return false;
        }
        answered.push(name);
        self.names.push(name);
        true
    }

    /// Its server has taken them.
    pub(crate) fn done(mut self) {
        self.names.clear();
    }
}

impl Drop for Giving {
    fn drop(&mut self) {
        self.talk.answered.lock().retain(|it| !self.names.contains(it));
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.talk.askers.lock().retain(|it| *it != self.number);
    }
}

fn has_ended(said: &Bytes) -> bool {
    let said = Raw::parse(said, Limits::default()).ok();
    said.and_then(Status::of).is_some_and(Status::is_last)
}

/// What is said of a task, without the words of its server.
fn without_words(said: &Bytes) -> Bytes {
    let status = Raw::parse(said, Limits::default()).ok().and_then(Status::of);
    status.map_or_else(|| said.clone(), |status| with_status(said, status))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn app(number: u128) -> AppId {
        AppId(Uuid::from_u128(number))
    }

    fn owner(number: u8) -> Owner {
        ([[number; 16]; 4], None)
    }

    fn new(id: &str, result: Option<usize>) -> New {
        let assignment = AssignmentId(Uuid::from_u128(1));
        New {
            app: app(1),
            owner: owner(1),
            id: id.into(),
            task: Task { assignment, tool: "sum".into(), id: "".into() },
            said: said("working"),
            result: result.map(|it| vec![b' '; it].into()),
        }
    }

    fn said(status: &str) -> Bytes {
        format!(r#"{{"taskId":"x","status":"{status}","ttl":5000}}"#).into()
    }

    fn ids(book: &Book, number: u8, from: u64) -> Vec<String> {
        let own = book.of(app(1), (&owner(number), from), NOW);
        own.iter().map(|it| it.id.to_string()).collect()
    }

    #[test]
    fn a_task_is_its_owners_until_its_time_is_over() {
        let book = Book::default();
        book.keep(new("one", None), NOW).unwrap();
        book.keep(New { owner: owner(2), ..new("two", None) }, NOW).unwrap();
        assert_eq!((ids(&book, 1, 0), ids(&book, 2, 0)), (vec!["one".into()], vec!["two".into()]));
        assert!(ids(&book, 1, 1).is_empty());
        assert!(book.find(app(1), "one", NOW).is_some() && book.find(app(2), "one", NOW).is_none());
        let later = NOW + Duration::from_secs(5);
        assert!(book.find(app(1), "one", later).is_none());
        book.keep(new("three", None), NOW + SWEEP + SWEEP).unwrap();
        assert_eq!(book.0.lock().count, 1, "what is over is gone");
        book.forget(app(1), "three");
        assert_eq!(book.0.lock().count, 0);
    }

    #[test]
    fn an_app_has_room_for_so_much_and_its_oldest_goes_first() {
        let book = Book::default();
        for number in 0..=PER_APP {
            book.keep(new(&number.to_string(), None), NOW).unwrap();
        }
        assert_eq!(ids(&book, 1, 0).len(), PER_APP);
        assert_eq!(ids(&book, 1, 0)[0], "1");
        let book = Book::default();
        let half = BYTES_PER_APP / 2 - 2 * EACH;
        for number in 0..3 {
            book.keep(new(&number.to_string(), Some(half)), NOW).unwrap();
        }
        assert_eq!(ids(&book, 1, 0), ["1", "2"]);
        assert!(book.keep(new("large", Some(BYTES_PER_APP + 1)), NOW).is_err());
        assert_eq!(ids(&book, 1, 0), ["1", "2"], "nothing has gone for what does not fit");
        assert!(book.0.lock().bytes <= BYTES_PER_APP);
    }

    #[test]
    fn nothing_goes_where_others_leave_no_room() {
        let book = Book::default();
        let half = BYTES_PER_APP / 2 - 2 * EACH;
        book.keep(new("own", Some(half)), NOW).unwrap();
        for number in 2.. {
            let new = New { app: app(number), ..new("x", Some(half)) };
            if book.keep(new, NOW).is_err() {
                break;
            }
        }
        assert!(book.keep(new("large", Some(2 * half + EACH)), NOW).is_err());
        assert_eq!(ids(&book, 1, 0), ["own"]);
        assert!(book.0.lock().bytes <= MOST_BYTES);
    }

    #[test]
    fn the_first_end_of_a_task_is_its_only_one() {
        let book = Book::default();
        let entry = book.keep(new("one", None), NOW).unwrap();
        assert_eq!(entry.tell(said("input_required")), said("input_required"));
        assert_eq!(entry.tell(said("cancelled")), said("cancelled"));
        for later in ["working", "completed"] {
            assert_eq!(entry.tell(said(later)), said("cancelled"));
        }
        assert_eq!(entry.said(), said("cancelled"));
    }

    #[test]
    fn no_word_of_a_server_is_kept() {
        let book = Book::default();
        let wordy = |status: &str| -> Bytes {
            let members = r#""statusMessage":"x","ttl":5000"#;
            format!(r#"{{"taskId":"x","status":"{status}",{members}}}"#).into()
        };
        let entry = book.keep(New { said: wordy("working"), ..new("one", None) }, NOW).unwrap();
        assert_eq!(entry.said(), said("working"));
        assert_eq!(entry.tell(wordy("completed")), wordy("completed"));
        assert_eq!(entry.said(), said("completed"));
    }

    #[test]
    fn whoever_has_come_last_asks_and_nothing_that_has_been_answered() {
        let talk: Arc<Talk> = Arc::default();
        let (first, second) = (Asker::of(&talk), Asker::of(&talk));
        assert!(!first.may_ask() && second.may_ask());
        drop(second);
        assert!(first.may_ask());
        let mut giving = first.give();
        assert!(giving.add("a") && !first.give().add("a"));
        assert!(first.is_answered("a") && !first.is_answered("b"));
        drop(giving);
        assert!(!first.is_answered("a"), "it has not got there");
        let mut giving = first.give();
        assert!((0..ANSWERS).all(|it| giving.add(&it.to_string())) && !giving.add("a"));
        giving.done();
        assert!(first.is_answered("b"));
    }
}
