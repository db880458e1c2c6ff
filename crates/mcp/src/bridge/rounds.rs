//! A call of a legacy client to a modern server that wants to know more before it answers.
//!
//! Each `input_required` result opens a [`Round`]: questions to be put to the client at once, whose
//! answers may come in any order, or none but a state, which the server wants back after a while.
//! When a round is complete, it writes what it has gathered into the params of the next attempt, in
//! place of what the round before has: answers are replaced and not collected, and the state goes
//! back byte for byte. Time is given in, and what the server has sent is hostile.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;

use super::Question;
use crate::json::{self, Kind, Raw};
use crate::splice::Splice;

/// How much of this is put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundLimits {
    /// Rounds of one call.
    pub rounds: u32,
    /// Questions of one round.
    pub questions: usize,
    /// Bytes of the name of a question.
    pub key_bytes: usize,
    /// Bytes of a state as it is written.
    pub state_bytes: usize,
    /// Bytes of all answers of a round.
    pub answers_bytes: usize,
    /// How long the client may take for the answers of one round.
    pub patience: Duration,
    /// How long a server waits that has asked nothing, the first time; then twice as long.
    pub pause: Duration,
}

impl Default for RoundLimits {
    /// Rounds, patience and pause as the SDKs have them where they do the same.
    fn default() -> Self {
        Self {
            rounds: 8,
            questions: 32,
            key_bytes: 1 << 10,
            state_bytes: 256 << 10,
            answers_bytes: 16 << 20,
            patience: Duration::from_secs(600),
            pause: Duration::from_millis(250),
        }
    }
}

/// Why a result opens no round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoundsError {
    #[error("its result has {0}")]
    Malformed(&'static str),
    #[error("it asks too many questions at once")]
    TooManyQuestions,
    #[error("it still asks after {0} rounds")]
    TooManyRounds(u32),
    #[error("it names a question by too long a key")]
    KeyTooLong,
    #[error("it wants too long a state back")]
    StateTooLong,
}

/// All rounds of one call.
#[derive(Clone, Debug)]
pub struct Rounds {
    limits: RoundLimits,
    taken: u32,
    /// How many of them have asked nothing.
    silent: u32,
}

/// What one result has asked for, and what has been answered to it.
#[derive(Clone, Debug)]
pub struct Round {
    questions: Vec<Question>,
    answers: Vec<Option<Bytes>>,
    /// How many bytes of answers there may yet be.
    room: usize,
    /// The server's state as it was written: a JSON string.
    state: Option<Bytes>,
    /// When the client has been waited for long enough, or the server has waited.
    until: Duration,
}

/// What is next in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Answers are to come, for as long.
    Answers(Duration),
    /// Nothing has been asked; the server is called again after as long.
    Pause(Duration),
    /// The server is to be called again.
    Attempt,
    /// The client has not answered in time.
    Late,
}

/// Whether the result of a call is none yet, since its server wants to know more.
pub fn is_asking(result: Raw<'_>) -> bool {
    result.get("resultType").and_then(Raw::str).as_deref() == Some("input_required")
}

impl Rounds {
    /// No round yet.
    pub fn new(limits: RoundLimits) -> Self {
        Self { limits, taken: 0, silent: 0 }
    }

    /// Opens the next round.
    ///
    /// # Errors
    /// Refuses a result that asks nothing and gives no state, or that is not as the protocol has it,
    /// or too much.
    pub fn open(&mut self, result: Raw<'_>, now: Duration) -> Result<Round, RoundsError> {
        let RoundLimits { rounds, .. } = self.limits;
        self.taken += 1;
        if rounds < self.taken {
            return Err(RoundsError::TooManyRounds(rounds));
        }
        let questions = self.questions(result)?;
        let state = match result.get("requestState") {
            None => None,
            Some(it) if it.kind() != Kind::String => {
                return Err(RoundsError::Malformed("a `requestState` that is no string"));
            }
            Some(it) if self.limits.state_bytes < it.bytes().len() => {
                return Err(RoundsError::StateTooLong);
            }
            Some(it) => Some(Bytes::copy_from_slice(it.bytes())),
        };
        let wait = match (questions.is_empty(), &state) {
            (false, _) => self.limits.patience,
            (true, Some(_)) => {
                let factor = 1_u32.checked_shl(self.silent).unwrap_or(u32::MAX);
                self.silent += 1;
                self.limits.pause.saturating_mul(factor)
            }
            (true, None) => {
                return Err(RoundsError::Malformed("neither `inputRequests` nor `requestState`"));
            }
        };
        let answers = vec![None; questions.len()];
        let (until, room) = (now.saturating_add(wait), self.limits.answers_bytes);
        Ok(Round { questions, answers, room, state, until })
    }

    fn questions(&self, result: Raw<'_>) -> Result<Vec<Question>, RoundsError> {
        let Some(asked) = result.get("inputRequests") else { return Ok(Vec::new()) };
        if !asked.is_object() {
            return Err(RoundsError::Malformed("`inputRequests` that are no object"));
        }
        let (mut questions, mut keys) = (Vec::new(), HashSet::new());
        for (key, entry) in asked.members() {
            if self.limits.questions <= questions.len() {
                return Err(RoundsError::TooManyQuestions);
            }
            if self.limits.key_bytes < key.len() {
                return Err(RoundsError::KeyTooLong);
            }
            // Strict JSON has no two; an answer to both would be one to neither.
            if !keys.insert(key.clone()) {
                return Err(RoundsError::Malformed("two questions of one name"));
            }
            questions.push(Question::read(key, entry)?);
        }
        Ok(questions)
    }
}

impl Round {
    /// What is to be asked, all at once.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Takes the answer to the question at `index`, in the form that the server gets it; whether it
    /// could be taken. Each is answered once.
    pub fn answer(&mut self, index: usize, answer: Bytes) -> bool {
        match (self.answers.get_mut(index), self.room.checked_sub(answer.len())) {
            (Some(place @ None), Some(room)) => {
                *place = Some(answer);
                self.room = room;
                true
            }
            _ => false,
        }
    }

    /// What is next.
    pub fn due(&self, now: Duration) -> Due {
        let left = self.until.saturating_sub(now);
        let is_asked = !self.questions.is_empty();
        if is_asked && self.answers.iter().all(Option::is_some) {
            return Due::Attempt;
        }
        match (is_asked, left.is_zero()) {
            (true, false) => Due::Answers(left),
            (true, true) => Due::Late,
            (false, false) => Due::Pause(left),
            (false, true) => Due::Attempt,
        }
    }

    /// Writes the answers and the state into the params of the next attempt, which else are those of
    /// the first.
    pub fn write(&self, splice: &mut Splice, params: Raw<'_>) {
        without_round(splice, params);
        if let Some(state) = &self.state {
            splice.set_member(params, STATE, state.clone());
        }
        if !self.questions.is_empty() {
            splice.set_member(params, ANSWERS, self.answers());
        }
    }

    /// An object of what has been answered, by the names of the questions.
    pub fn answers(&self) -> Bytes {
        let mut answers = vec![b'{'];
        for (question, answer) in self.questions.iter().zip(&self.answers) {
            let Some(answer) = answer else { continue };
            if answers.len() > 1 {
                answers.push(b',');
            }
            json::quote_into(&mut answers, &question.key);
            answers.push(b':');
            answers.extend_from_slice(answer);
        }
        answers.push(b'}');
        answers.into()
    }
}

/// Takes away what belongs to a round: a legacy client has none, whatever it sends.
pub fn without_round(splice: &mut Splice, params: Raw<'_>) {
    splice.remove_member(params, ANSWERS);
    splice.remove_member(params, STATE);
}

const ANSWERS: &str = "inputResponses";
const STATE: &str = "requestState";
