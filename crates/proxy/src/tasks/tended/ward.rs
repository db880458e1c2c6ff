//! What is known of one task that is tended: how far it has come, what its server asks, and what has
//! come of it.

use std::sync::Arc;

use bytes::Bytes;
use domain::AppId;
use mcp::bridge::askable::Asked;
use mcp::convert;
use mcp::json::{Limits, Raw, quote};
use mcp::revision::Era;
use mcp::splice::Splice;
use mcp::tasks::Status;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::mpsc;

use crate::refusal::Refusal;

/// One task.
pub(crate) struct Ward {
    created: String,
    ttl: u64,
    state: Mutex<State>,
    say: mpsc::Sender<Word>,
}

struct State {
    status: Status,
    updated: String,
    /// In the words of its server: a JSON string.
    words: Option<Bytes>,
    questions: Vec<Question>,
    next_key: u32,
    /// What has come of it: a member of what is said of it.
    end: Bytes,
    /// The place that this takes.
    _kept: Option<Kept>,
    version: u64,
}

/// What its server has asked and has not been answered.
pub(super) struct Question {
    key: String,
    /// The server's own id, as it wrote it.
    pub(super) id: Bytes,
    pub(super) asked: Asked,
}

/// What whoever tends it is to do.
pub(super) enum Word {
    /// Answer what its server has asked.
    Answer {
        question: Question,
        result: Bytes,
    },
    Cancel,
}

/// How many bytes of results are kept, for each app.
#[derive(Default)]
pub(super) struct Room(Mutex<HashMap<AppId, usize>>);

/// The room that one result takes, until it is dropped.
pub(super) struct Kept {
    room: Arc<Room>,
    app: AppId,
    size: usize,
}

const BYTES_PER_APP: usize = 4 << 20;
const MOST_BYTES: usize = 64 << 20;

/// How many questions may wait for answers, how many bytes they may hold, and how many there may be.
const OPEN: usize = 32;
const OPEN_BYTES: usize = 256 << 10;
const QUESTIONS: u32 = 256;

/// How often a client is to ask, in milliseconds.
const PAUSE: u64 = 1_000;

impl Ward {
    pub(super) fn new(created: String, ttl: u64, say: mpsc::Sender<Word>) -> Self {
        let state = State {
            status: Status::Working,
            updated: created.clone(),
            words: None,
            questions: Vec::new(),
            next_key: 1,
            end: Bytes::new(),
            _kept: None,
            version: 0,
        };
        Self { created, ttl, state: Mutex::new(state), say }
    }

    /// Its status, and the other members of what is said of it but for its id.
    pub(super) fn said(&self) -> (Status, Bytes) {
        let state = self.state.lock();
        let (created, updated) = (quote(&self.created), quote(&state.updated));
        let mut out = format!(
            r#""createdAt":{created},"lastUpdatedAt":{updated},"ttlMs":{},"pollIntervalMs":{PAUSE}"#,
            self.ttl
        )
        .into_bytes();
        if let Some(words) = &state.words {
            out.extend_from_slice(br#","statusMessage":"#);
            out.extend_from_slice(words);
        }
        if !state.questions.is_empty() {
            out.extend_from_slice(br#","inputRequests":{"#);
            for (index, Question { key, asked, .. }) in state.questions.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let (key, method) = (quote(key), quote(asked.method));
                let head = format!(r#"{comma}{key}:{{"method":{method},"params":"#);
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(&asked.params);
                out.push(b'}');
            }
            out.push(b'}');
        }
        out.extend_from_slice(&state.end);
        (state.status, out.into())
    }

    /// Its server says how far it has come; whether that is new.
    pub(super) fn describe(&self, words: Option<Bytes>) -> bool {
        let mut state = self.state.lock();
        let is_new = !state.status.is_last() && state.words != words;
        if is_new {
            state.words = words;
            state.version += 1;
        }
        is_new
    }

    /// Counts what has changed of it.
    pub(super) fn version(&self) -> u64 {
        self.state.lock().version
    }

    /// Its server asks; whether its client can be.
    pub(super) fn ask(&self, id: Bytes, asked: Asked, now: String) -> bool {
        let mut state = self.state.lock();
        let bytes: usize = state.questions.iter().map(|it| it.asked.params.len()).sum();
        if state.questions.iter().any(|it| it.id == id) {
            return true;
        }
        if state.status.is_last()
            || QUESTIONS < state.next_key
            || OPEN <= state.questions.len()
            || OPEN_BYTES < bytes.saturating_add(asked.params.len())
        {
            return false;
        }
        state.ask((id, asked), now);
        true
    }

    /// An answer has not got to its server: its client is asked once more, under another key.
    pub(super) fn ask_again(&self, Question { id, asked, .. }: Question, now: String) {
        let mut state = self.state.lock();
        if !state.status.is_last() && state.questions.iter().all(|it| it.id != id) {
            state.ask((id, asked), now);
        }
    }

    /// Its server takes a question back.
    pub(super) fn take_back(&self, id: &[u8], now: String) {
        let mut state = self.state.lock();
        state.questions.retain(|it| it.id != id);
        state.go_on(now);
    }

    /// Takes what its client has answered: each question once, whatever else is said.
    pub(super) fn take(&self, answer: impl Fn(&str) -> Option<Bytes>) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        let mut open = Vec::new();
        for question in std::mem::take(&mut state.questions) {
            match answer(&question.key) {
                None => open.push(question),
                Some(result) => match self.say.try_reserve() {
                    Ok(place) => place.send(Word::Answer { question, result }),
                    Err(_) => open.push(question),
                },
            }
        }
        state.questions = open;
        let updated = state.updated.clone();
        state.go_on(updated);
        Ok(())
    }

    /// Its client wants it to end.
    pub(super) fn cancel(&self) -> Result<(), Refusal> {
        if self.state.lock().status.is_last() {
            return Ok(());
        }
        self.say.try_send(Word::Cancel).map_err(|_| Refusal::TooManyTasks)
    }

    /// It has ended, in a result or an error of its server, or in nothing; its first end is its only one.
    pub(super) fn end(&self, end: End<'_>, (room, app): (&Arc<Room>, AppId), now: String) {
        let mut state = self.state.lock();
        if state.status.is_last() {
            return;
        }
        let (status, member) = end.said();
        let kept = room.take(app, member.len());
        let (status, member) = match (kept.is_some(), member.is_empty()) {
            (false, false) => End::Failed("there is no room for the result of this task").said(),
            _ => (status, member),
        };
        state.questions.clear();
        state.words = None;
        (state.end, state._kept) = (member, kept);
        state.turn(status, now);
    }
}

impl State {
    fn ask(&mut self, (id, asked): (Bytes, Asked), now: String) {
        let key = format!("q{}", self.next_key);
        self.next_key = self.next_key.saturating_add(1);
        self.questions.push(Question { key, id, asked });
        self.turn(Status::InputRequired, now);
    }

    fn turn(&mut self, status: Status, now: String) {
        (self.status, self.updated) = (status, now);
        self.version += 1;
    }

    /// Once it has asked nothing more, it works.
    fn go_on(&mut self, now: String) {
        if self.questions.is_empty() && self.status == Status::InputRequired {
            self.turn(Status::Working, now);
        }
    }
}

/// What comes of a task.
pub(super) enum End<'a> {
    Result(Raw<'a>),
    Error(Raw<'a>),
    /// For this reason.
    Failed(&'a str),
    Cancelled,
}

impl End<'_> {
    fn said(&self) -> (Status, Bytes) {
        let member = |key: &str, value: &[u8]| -> Bytes {
            [format!(r#","{key}":"#).as_bytes(), value].concat().into()
        };
        match self {
            Self::Result(result) => {
                let result = Bytes::copy_from_slice(result.bytes());
                let mut splice = Splice::new(result.clone());
                if let Ok(root) = Raw::parse(&result, Limits::default()) {
                    convert::to_modern_result(&mut splice, "tools/call", root, None);
                }
                (Status::Completed, member("result", &splice.finish().into_bytes()))
            }
            Self::Error(error) => {
                let error = Bytes::copy_from_slice(error.bytes());
                let mut splice = Splice::new(error.clone());
                if let Ok(root) = Raw::parse(&error, Limits::default()) {
                    convert::convert_error(&mut splice, "tools/call", root, Era::Modern);
                }
                (Status::Failed, member("error", &splice.finish().into_bytes()))
            }
            Self::Failed(why) => {
                let error = format!(r#"{{"code":-32603,"message":{}}}"#, quote(why));
                (Status::Failed, member("error", error.as_bytes()))
            }
            Self::Cancelled => (Status::Cancelled, Bytes::new()),
        }
    }
}

impl Room {
    fn take(self: &Arc<Self>, app: AppId, size: usize) -> Option<Kept> {
        let mut taken = self.0.lock();
        let (own, all) = (taken.get(&app).copied().unwrap_or(0), taken.values().sum::<usize>());
        if BYTES_PER_APP < own + size || MOST_BYTES < all + size {
            return None;
        }
        taken.insert(app, own + size);
        Some(Kept { room: Arc::clone(self), app, size })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut taken = self.room.0.lock();
        if let Some(own) = taken.get_mut(&self.app) {
            *own -= self.size;
            if *own == 0 {
                taken.remove(&self.app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn asked() -> Asked {
        Asked { method: "elicitation/create", params: Bytes::from_static(b"{}") }
    }

    fn ward() -> (Ward, mpsc::Receiver<Word>) {
        let (say, words) = mpsc::channel(64);
        (Ward::new("then".into(), 5, say), words)
    }

    fn text(ward: &Ward) -> String {
        String::from_utf8(ward.said().1.to_vec()).unwrap()
    }

    #[test]
    fn each_question_has_a_key_of_its_own_and_is_answered_once() {
        let (ward, mut words) = ward();
        for id in ["1", "2", "2"] {
            assert!(ward.ask(id.into(), asked(), "now".into()));
        }
        assert_eq!(ward.said().0, Status::InputRequired);
        assert!(text(&ward).contains(r#""q1":{"method":"elicitation/create","params":{}},"q2":"#));
        for _ in 0..2 {
            ward.take(|key| (key != "q2").then(|| Bytes::from_static(b"{}"))).unwrap();
        }
        assert!(
            matches!(words.try_recv(), Ok(Word::Answer { question, .. }) if question.id == "1")
        );
        assert!(words.try_recv().is_err());
        // The server asks under the same id again, which is another question.
        assert!(ward.ask("1".into(), asked(), "now".into()));
        assert!(text(&ward).contains(r#""q3":"#) && !text(&ward).contains(r#""q1":"#));
        ward.take_back(b"1", "now".into());
        ward.take_back(b"2", "now".into());
        assert_eq!(ward.said().0, Status::Working);
        let asks = |it: usize| ward.ask(it.to_string().into(), asked(), "now".into());
        assert_eq!((0..2 * OPEN).filter(|it| asks(*it)).count(), OPEN);
    }

    #[test]
    fn the_first_end_is_the_only_one_and_what_is_kept_is_bounded() {
        let (room, app) = (Arc::default(), AppId(Uuid::from_u128(1)));
        let (ward, _words) = ward();
        ward.ask("1".into(), asked(), "now".into());
        ward.end(End::Cancelled, (&room, app), "now".into());
        ward.end(End::Failed("x"), (&room, app), "later".into());
        assert_eq!(ward.said().0, Status::Cancelled);
        assert!(!text(&ward).contains("inputRequests") && !text(&ward).contains("error"));
        assert!(!ward.ask("2".into(), asked(), "now".into()));
        let large = format!(r#"{{"content":"{}"}}"#, "x".repeat(BYTES_PER_APP / 2));
        let large = Raw::parse(large.as_bytes(), Limits::default()).unwrap();
        let wards = [self::ward(), self::ward(), self::ward()];
        for (ward, _) in &wards {
            ward.end(End::Result(large), (&room, app), "now".into());
        }
        let ended = wards.each_ref().map(|(ward, _)| ward.said().0);
        assert_eq!(ended, [Status::Completed, Status::Failed, Status::Failed]);
        assert!(text(&wards[0].0).contains(r#""resultType":"complete""#));
        drop(wards);
        assert!(room.0.lock().is_empty());
    }
}
