//! A call that a legacy server holds, while its modern client is asked and answers.
//!
//! The client waits in turns: its call is its first wait, and each retry another one. A wait ends
//! with questions, and then nobody waits until the client comes back with answers; or it ends with
//! the end of the call. What holds here, in whatever order things happen:
//!
//! - Each question of the server is answered once: by the client, or with an error when the call
//!   ends before that.
//! - Each wait ends once, and there is never more than one.
//! - A round of questions can be answered once. What comes late, twice or for another round is told
//!   so, and changes nothing.

use std::time::Duration;

use bytes::Bytes;

use super::askable::Asked;

/// The questions of one call and where it stands.
#[derive(Debug)]
pub struct Parked {
    phase: Phase,
    round: u32,
    next_key: u32,
    open: Vec<Question>,
    limits: Limits,
    /// When it ends in any case.
    end: Duration,
}

/// What one call may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the client may take to come back.
    pub patience: Duration,
    /// How long a question waits for others to be asked together with it.
    pub gather: Duration,
    /// How many questions may wait for answers.
    pub questions: usize,
    /// How much they may hold, in bytes.
    pub bytes: usize,
    /// How often the client may be asked.
    pub rounds: u32,
    /// How long the call may last.
    pub life: Duration,
}

/// A question of the server that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Under which the client is asked.
    pub key: String,
    /// The server's own id, as it wrote it.
    pub id: Bytes,
    /// As the client is asked it.
    pub asked: Asked,
    /// In which round it was asked; absent before it was.
    round: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server works, and the client waits.
    Running,
    /// Questions have come, and others may come along; the client waits.
    Gathering {
        until: Duration,
    },
    /// The client has been asked. Nobody waits.
    Waiting {
        until: Duration,
    },
    Ended,
}

/// Why a question is not put to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// It waits for an answer already.
    Twice,
    TooMany,
    Ended,
}

/// What time has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// The client's wait ends with these questions.
    Ask(Round),
    /// The client has not come back, or all has lasted too long.
    Expired,
}

/// What the client is asked at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    pub number: u32,
    pub questions: Vec<Question>,
}

/// What becomes of a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// These have been answered now, and the client waits again.
    Go(Vec<Question>),
    /// Nothing has been answered. The same once more; nobody waits.
    Again(Round),
    /// That round is over, or has not begun; or its answers are being acted upon.
    Stale,
    Ended,
}

impl Parked {
    /// A call that has been sent, whose client waits.
    pub fn new(limits: Limits, now: Duration) -> Self {
        let end = now.saturating_add(limits.life);
        Self { phase: Phase::Running, round: 0, next_key: 1, open: Vec::new(), limits, end }
    }

    /// The server asks.
    ///
    /// # Errors
    /// The question is to be answered with an error, unless it is one that waits already.
    pub fn ask(&mut self, id: Bytes, asked: Asked, now: Duration) -> Result<(), NotAsked> {
        if self.phase == Phase::Ended {
            return Err(NotAsked::Ended);
        }
        if self.open.iter().any(|it| it.id == id) {
            return Err(NotAsked::Twice);
        }
        let bytes: usize = self.open.iter().map(|it| it.asked.params.len()).sum();
        if self.limits.questions <= self.open.len()
            || self.limits.bytes < bytes.saturating_add(asked.params.len())
            || self.limits.rounds <= self.round
        {
            return Err(NotAsked::TooMany);
        }
        let key = format!("q{}", self.next_key);
        self.next_key = self.next_key.saturating_add(1);
        self.open.push(Question { key, id, asked, round: None });
        if self.phase == Phase::Running {
            self.phase = Phase::Gathering { until: now.saturating_add(self.limits.gather) };
        }
        Ok(())
    }

    /// The server takes a question back; whether there was one.
    pub fn take_back(&mut self, id: &[u8]) -> bool {
        let before = self.open.len();
        self.open.retain(|it| it.id != id);
        if self.open.is_empty() && matches!(self.phase, Phase::Gathering { .. }) {
            self.phase = Phase::Running;
        }
        self.open.len() < before
    }

    /// When to look at [`Parked::due`]; absent for what has ended.
    pub fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Running => Some(self.end),
            Phase::Gathering { until } | Phase::Waiting { until } => Some(until.min(self.end)),
            Phase::Ended => None,
        }
    }

    /// What is to be done at this time.
    pub fn due(&mut self, now: Duration) -> Option<Due> {
        if self.phase != Phase::Ended && self.end <= now {
            return Some(Due::Expired);
        }
        match self.phase {
            Phase::Gathering { until } if until <= now => {
                self.round += 1;
                self.phase = Phase::Waiting { until: now.saturating_add(self.limits.patience) };
                for question in &mut self.open {
                    question.round = Some(self.round);
                }
                Some(Due::Ask(self.current()))
            }
            Phase::Waiting { until } if until <= now => Some(Due::Expired),
            _ => None,
        }
    }

    /// The client comes back with answers for these keys to the questions of a round.
    pub fn retry(&mut self, round: u32, has: impl Fn(&str) -> bool, now: Duration) -> Retry {
        match self.phase {
            Phase::Ended => return Retry::Ended,
            Phase::Waiting { .. } if round == self.round => {}
            _ => return Retry::Stale,
        }
        let is_asked = |it: &Question| it.round == Some(round);
        let is_answered = |it: &Question| is_asked(it) && has(&it.key);
        let asked = self.open.iter().filter(|it| is_asked(it)).count();
        let (answered, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.open).into_iter().partition(is_answered);
        self.open = left;
        if answered.is_empty() && 0 < asked {
            return Retry::Again(self.current());
        }
        let until = now.saturating_add(self.limits.gather);
        // Whatever is left is asked in a round of its own.
        self.phase = if self.open.is_empty() { Phase::Running } else { Phase::Gathering { until } };
        Retry::Go(answered)
    }

    /// Whether the client waits for what comes.
    pub fn is_awaited(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Gathering { .. })
    }

    /// Whether a question waits for its answer.
    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The call ends, for whatever reason: the questions that are to be answered with an error.
    pub fn end(&mut self) -> Vec<Question> {
        self.phase = Phase::Ended;
        std::mem::take(&mut self.open)
    }

    fn current(&self) -> Round {
        let is_asked = |it: &&Question| it.round == Some(self.round);
        let questions = self.open.iter().filter(is_asked).cloned().collect();
        Round { number: self.round, questions }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        patience: Duration::from_secs(600),
        gather: Duration::from_millis(5),
        questions: 4,
        bytes: 100,
        rounds: 3,
        life: Duration::from_secs(3_600),
    };

    #[test]
    fn questions_that_come_together_are_asked_together_and_answered_once() {
        let mut call = Parked::new(LIMITS, ms(0));
        assert_eq!(call.ask(id("1"), asked("{}"), ms(10)), Ok(()));
        assert_eq!(call.ask(id("\"1\""), asked("{}"), ms(12)), Ok(()));
        assert_eq!(call.ask(id("1"), asked("{}"), ms(12)), Err(NotAsked::Twice));
        assert_eq!((call.deadline(), call.due(ms(14))), (Some(ms(15)), None));
        let Some(Due::Ask(round)) = call.due(ms(15)) else { panic!("{call:?}") };
        assert_eq!((round.number, keys(&round.questions)), (1, vec!["q1", "q2"]));
        assert!(!call.is_awaited());
        assert_eq!(call.retry(2, |_| true, ms(20)), Retry::Stale);
        let Retry::Go(answered) = call.retry(1, |_| true, ms(20)) else { panic!("{call:?}") };
        assert_eq!(keys(&answered), ["q1", "q2"]);
        assert_eq!(call.retry(1, |_| true, ms(21)), Retry::Stale, "a duplicate");
        assert!(call.is_awaited() && !call.has_open());
        assert_eq!(call.end(), []);
        assert_eq!(call.retry(1, |_| true, ms(22)), Retry::Ended);
        assert_eq!(call.ask(id("2"), asked("{}"), ms(22)), Err(NotAsked::Ended));
        assert_eq!((call.deadline(), call.due(ms(1_000_000))), (None, None));
    }

    #[test]
    fn what_is_not_answered_is_asked_again() {
        let mut call = Parked::new(LIMITS, ms(0));
        call.ask(id("1"), asked("{}"), ms(0)).unwrap();
        call.ask(id("2"), asked("{}"), ms(0)).unwrap();
        call.due(ms(5));
        let Retry::Again(round) = call.retry(1, |_| false, ms(6)) else { panic!("{call:?}") };
        assert_eq!((round.number, keys(&round.questions)), (1, vec!["q1", "q2"]));
        // Came while nobody waited.
        call.ask(id("3"), asked("{}"), ms(7)).unwrap();
        assert_eq!(call.due(ms(100)), None, "there is nobody to be asked");
        let Retry::Go(answered) = call.retry(1, |it| it != "q1", ms(200)) else { panic!() };
        assert_eq!(keys(&answered), ["q2"], "it could not know of the third");
        let Some(Due::Ask(round)) = call.due(ms(205)) else { panic!("{call:?}") };
        assert_eq!((round.number, keys(&round.questions)), (2, vec!["q1", "q3"]));
        assert_eq!(call.retry(1, |_| true, ms(206)), Retry::Stale);
    }

    #[test]
    fn a_client_that_does_not_come_back_is_waited_for_to_the_end_of_patience() {
        let mut call = Parked::new(LIMITS, ms(0));
        call.ask(id("1"), asked("{}"), ms(0)).unwrap();
        call.due(ms(5));
        // Coming back with nothing is no reason to wait longer.
        call.retry(1, |_| false, ms(500_000));
        assert_eq!((call.due(ms(600_004)), call.deadline()), (None, Some(ms(600_005))));
        assert_eq!(call.due(ms(600_005)), Some(Due::Expired));
        assert_eq!(keys(&call.end()), ["q1"]);
    }

    #[test]
    fn a_call_has_an_end_however_often_it_asks() {
        let mut call = Parked::new(LIMITS, ms(0));
        for round in 1..=3 {
            call.ask(id("1"), asked("{}"), ms(0)).unwrap();
            call.due(ms(5));
            call.retry(round, |_| true, ms(6));
        }
        assert_eq!(call.ask(id("1"), asked("{}"), ms(0)), Err(NotAsked::TooMany));
        assert_eq!(call.due(ms(3_599_999)), None);
        assert_eq!(call.due(ms(3_600_000)), Some(Due::Expired));
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_size() {
        let mut call = Parked::new(LIMITS, ms(0));
        for number in 0..4 {
            call.ask(id(&number.to_string()), asked("{}"), ms(0)).unwrap();
        }
        assert_eq!(call.ask(id("5"), asked("{}"), ms(0)), Err(NotAsked::TooMany));
        let mut call = Parked::new(LIMITS, ms(0));
        call.ask(id("1"), asked(&"x".repeat(60)), ms(0)).unwrap();
        assert_eq!(call.ask(id("2"), asked(&"x".repeat(41)), ms(0)), Err(NotAsked::TooMany));
        call.ask(id("2"), asked(&"x".repeat(40)), ms(0)).unwrap();
    }

    #[test]
    fn what_a_server_takes_back_is_not_asked_and_not_answered() {
        let mut call = Parked::new(LIMITS, ms(0));
        call.ask(id("1"), asked("{}"), ms(0)).unwrap();
        assert!(call.take_back(b"1") && !call.take_back(b"1"));
        assert_eq!(call.due(ms(5)), None, "there is nothing to ask");
        call.ask(id("2"), asked("{}"), ms(10)).unwrap();
        call.due(ms(15));
        assert!(call.take_back(b"2"));
        assert_eq!(call.retry(1, |_| true, ms(20)), Retry::Go(Vec::new()));
        assert!(call.is_awaited());
    }

    /// What can happen, with any numbers.
    #[derive(Clone, Debug)]
    enum Event {
        Ask(u8),
        TakeBack(u8),
        Pass(u64),
        Retry(u32, Vec<u8>),
        End,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => (0u8..6).prop_map(Event::Ask),
            1 => (0u8..6).prop_map(Event::TakeBack),
            6 => (0u64..20).prop_map(Event::Pass),
            1 => Just(Event::Pass(600_000)),
            6 => (0u32..4, prop::collection::vec(0u8..12, 0..4)).prop_map(|(r, k)| Event::Retry(r, k)),
            1 => Just(Event::End),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: each question is answered at most once and, unless it
        /// is taken back, at least once; each wait ends once.
        #[test]
        fn every_question_is_answered_once_and_every_wait_ends_once(
            events in prop::collection::vec(event(), 0..80),
        ) {
            let mut call = Parked::new(LIMITS, ms(0));
            let (mut now, mut waits, mut serial) = (0, 1, 0);
            // Questions by the serial number in their params; true once answered or taken back.
            let mut done: HashMap<String, bool> = HashMap::new();
            let mut by_id: HashMap<Bytes, String> = HashMap::new();
            let mut rounds = HashSet::new();
            let finish = |question: &Question, done: &mut HashMap<String, bool>| {
                let serial = String::from_utf8(question.asked.params.to_vec()).unwrap();
                let was = done.insert(serial, true);
                prop_assert_eq!(was, Some(false), "answered twice, or never asked");
                Ok(())
            };
            let mut ended = false;
            for event in events {
                match event {
                    Event::Ask(number) => {
                        serial += 1;
                        let (id, text) = (id(&number.to_string()), serial.to_string());
                        if call.ask(id.clone(), asked(&text), ms(now)).is_ok() {
                            prop_assert!(!ended);
                            done.insert(text.clone(), false);
                            by_id.insert(id, text);
                        }
                    }
                    Event::TakeBack(number) => {
                        let id = id(&number.to_string());
                        if call.take_back(&id) {
                            let was = done.insert(by_id[&id].clone(), true);
                            prop_assert_eq!(was, Some(false));
                        }
                    }
                    Event::Pass(time) => {
                        now += time;
                        match call.due(ms(now)) {
                            Some(Due::Ask(round)) => {
                                waits -= 1;
                                prop_assert!(!round.questions.is_empty());
                                prop_assert!(rounds.insert(round.number), "a round of its own");
                            }
                            Some(Due::Expired) => {
                                for question in call.end() {
                                    finish(&question, &mut done)?;
                                }
                                waits = 0;
                                ended = true;
                            }
                            None => {}
                        }
                    }
                    Event::Retry(round, given) => {
                        let has = |key: &str| given.iter().any(|it| key == format!("q{it}"));
                        let before = call.is_awaited();
                        match call.retry(round, has, ms(now)) {
                            Retry::Go(answered) => {
                                prop_assert!(!before && !ended);
                                waits += 1;
                                for question in &answered {
                                    prop_assert!(has(&question.key));
                                    finish(question, &mut done)?;
                                }
                            }
                            Retry::Again(round) => {
                                prop_assert!(!round.questions.is_empty());
                                prop_assert_eq!(call.is_awaited(), before);
                            }
                            Retry::Stale => prop_assert_eq!(call.is_awaited(), before),
                            Retry::Ended => prop_assert!(ended),
                        }
                    }
                    Event::End => {
                        for question in call.end() {
                            finish(&question, &mut done)?;
                        }
                        waits = 0;
                        ended = true;
                    }
                }
                prop_assert_eq!(waits, i32::from(call.is_awaited()), "one wait, or none");
                prop_assert_eq!(call.deadline().is_none(), ended);
            }
            for question in call.end() {
                finish(&question, &mut done)?;
            }
            prop_assert!(done.values().all(|it| *it), "{:?}", done);
        }
    }

    fn keys(questions: &[Question]) -> Vec<&str> {
        questions.iter().map(|it| it.key.as_str()).collect()
    }

    fn id(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn asked(params: &str) -> Asked {
        let params = Bytes::copy_from_slice(params.as_bytes());
        Asked { method: "elicitation/create", params }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
}
