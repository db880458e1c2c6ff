//! Modern clients of legacy servers: the server holds its call and asks, the client is sent away
//! with questions and a sealed state, and comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use mcp::bridge::askable::{Askable, legacy_answer};
use mcp::bridge::parked::{Due, Limits, NotAsked, Parked, Retry, Round};
use mcp::bridge::state::{Bound, Kind, Misfit, State, States, digest_params};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::raw;

const LIMITS: Limits = Limits {
    patience: Duration::from_secs(600),
    gather: Duration::from_millis(10),
    questions: 3,
    bytes: 1_000,
    rounds: 4,
    life: Duration::from_secs(3_600),
};

/// What one of many does, with any numbers; those that fit nothing do nothing, or must be refused.
#[derive(Clone, Debug)]
enum Deed {
    /// Somebody calls.
    Call {
        who: usize,
        what: usize,
        declares: usize,
    },
    /// The server of a call asks, under an id of its own choice.
    Ask {
        call: usize,
        id: u8,
        kind: usize,
    },
    TakeBack {
        call: usize,
        id: u8,
    },
    /// The server answers the call.
    Answer {
        call: usize,
    },
    /// The client of a call that waits goes away.
    Leave {
        call: usize,
    },
    /// Somebody comes back with some state that the gateway has ever given to anybody.
    Return {
        who: usize,
        what: usize,
        state: usize,
        change: Change,
        given: Vec<(u8, bool)>,
    },
    Pass {
        ms: u64,
    },
}

/// What is done to a state before it is brought back.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    /// One character is another one.
    Character(usize),
    Cut(usize),
}

/// One call and what is known of it on both sides.
struct Call {
    who: usize,
    what: usize,
    askable: Askable,
    parked: Parked,
    /// Whether its client waits; how many waits there have been, and how many have ended.
    waits: bool,
    begun: u32,
    ended: u32,
    /// The last one that the client was asked.
    round: u32,
    is_over: bool,
    /// The server has answered while nobody waited.
    is_kept: bool,
    /// What the server waits for, by its ids, and what is between: `method` of each question.
    open: BTreeMap<Bytes, &'static str>,
}

/// A state that was given to a client.
struct Given {
    text: String,
    call: usize,
    round: u32,
    until_ms: i64,
}

struct World {
    states: States,
    now: Duration,
    calls: Vec<Call>,
    given: Vec<Given>,
    serial: u64,
}

const DECLARES: [&str; 4] = [
    "{}",
    r#"{"elicitation":{}}"#,
    r#"{"elicitation":{"url":{}},"sampling":{}}"#,
    r#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}}}"#,
];

/// Questions, and who must have declared what for them.
const QUESTIONS: [(&str, &str, &str); 6] = [
    ("elicitation/create", r#"{"message":"?","requestedSchema":{}}"#, "form"),
    ("elicitation/create", r#"{"mode":"url","url":"https://a/","message":"?"}"#, "url"),
    ("sampling/createMessage", r#"{"messages":[],"maxTokens":1}"#, "sampling"),
    ("sampling/createMessage", r#"{"messages":[],"maxTokens":1,"tools":[]}"#, "tools"),
    ("roots/list", "{}", "nothing"),
    ("elicitation/create", r#"{"mode":"Form","message":"?"}"#, "nothing"),
];

/// What is called: where, which method, with which params. No two may pass for one another.
const WHATS: [(&str, &str, &str, &str); 5] = [
    ("g/one", "s", "tools/call", r#"{"name":"t","arguments":{"a":1}}"#),
    ("g/two", "s", "tools/call", r#"{"name":"t","arguments":{"a":1}}"#),
    ("g/one", "z", "tools/call", r#"{"name":"t","arguments":{"a":1}}"#),
    ("g/one", "s", "prompts/get", r#"{"name":"t","arguments":{"a":1}}"#),
    ("g/one", "s", "tools/call", r#"{"name":"t","arguments":{"a":1.0}}"#),
];
const PEOPLE: [(&str, &str); 3] = [("w", "ann"), ("w", "bob"), ("other", "ann")];

fn bound(who: usize, what: usize) -> Bound {
    let ((workspace, principal), (route, upstream, method, params)) = (PEOPLE[who], WHATS[what]);
    Bound {
        workspace: workspace.to_owned(),
        principal: principal.to_owned(),
        route: route.to_owned(),
        upstream: upstream.to_owned(),
        method: method.to_owned(),
        params: digest_params(Some(raw(params.as_bytes()))),
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    let call = 0..6_usize;
    let given = prop::collection::vec((0..6_u8, any::<bool>()), 0..4);
    let change = prop_oneof![
        6 => Just(Change::None),
        1 => any::<usize>().prop_map(Change::Character),
        1 => any::<usize>().prop_map(Change::Cut),
    ];
    prop_oneof![
        2 => (0..3_usize, 0..5_usize, 0..4_usize)
            .prop_map(|(who, what, declares)| Deed::Call { who, what, declares }),
        5 => (call.clone(), 0..4_u8, 0..6_usize)
            .prop_map(|(call, id, kind)| Deed::Ask { call, id, kind }),
        1 => (call.clone(), 0..4_u8).prop_map(|(call, id)| Deed::TakeBack { call, id }),
        1 => call.clone().prop_map(|call| Deed::Answer { call }),
        1 => call.prop_map(|call| Deed::Leave { call }),
        2 => (0..3_usize, 0..5_usize, any::<usize>(), change, given.clone()).prop_map(
            |(who, what, state, change, given)| Deed::Return { who, what, state, change, given }
        ),
        // Most come back as themselves.
        4 => (any::<usize>(), given).prop_map(|(state, given)| {
            Deed::Return { who: usize::MAX, what: 0, state, change: Change::None, given }
        }),
        6 => (0..40_u64).prop_map(|ms| Deed::Pass { ms }),
        1 => Just(Deed::Pass { ms: 300_000 }),
    ]
}

proptest! {
    #[test]
    fn h060_every_call_ends_once_every_question_is_answered_once_and_nothing_reaches_another(
        deeds in prop::collection::vec(deed(), 0..120),
    ) {
        let mut world = World {
            states: States::new([7; 32]),
            now: Duration::ZERO,
            calls: Vec::new(),
            given: Vec::new(),
            serial: 0,
        };
        for deed in deeds {
            world.take(deed)?;
            world.look()?;
        }
        // Whatever has happened, time ends it all.
        world.take(Deed::Pass { ms: 4_000_000 })?;
        world.look()?;
        for call in &world.calls {
            prop_assert!(call.is_over && call.open.is_empty(), "something is left");
            prop_assert!(call.parked.deadline().is_none() && !call.parked.has_open());
            prop_assert_eq!(call.begun, call.ended, "each wait ends once");
        }
    }
}

type Fine = Result<(), TestCaseError>;

impl World {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.now.as_millis()).unwrap()
    }

    fn take(&mut self, deed: Deed) -> Fine {
        match deed {
            Deed::Call { who, what, declares } if self.calls.len() < 6 => {
                let askable = Askable::of(raw(DECLARES[declares].as_bytes()));
                let parked = Parked::new(LIMITS, self.now);
                let open = BTreeMap::new();
                let (begun, ended) = (1, 0);
                self.calls.push(Call {
                    who,
                    what,
                    askable,
                    parked,
                    waits: true,
                    begun,
                    ended,
                    round: 0,
                    is_over: false,
                    is_kept: false,
                    open,
                });
            }
            Deed::Call { .. } => {}
            Deed::Ask { call, id, kind } => self.ask(call, id, kind)?,
            Deed::TakeBack { call, id } => {
                if let Some(call) = self.calls.get_mut(call) {
                    let id = own_id(id);
                    let was_open = call.open.remove(&id).is_some();
                    prop_assert_eq!(call.parked.take_back(&id), was_open);
                }
            }
            Deed::Answer { call } => {
                if let Some(call) = self.calls.get_mut(call).filter(|it| !it.is_over) {
                    if call.waits { call.end()? } else { call.is_kept = true }
                }
            }
            Deed::Leave { call } => {
                if let Some(call) = self.calls.get_mut(call).filter(|it| it.waits) {
                    call.end()?;
                }
            }
            Deed::Return { who, what, state, change, given } => {
                self.come_back((who, what), state, change, &given)?;
            }
            Deed::Pass { ms } => self.now += Duration::from_millis(ms),
        }
        self.tick()
    }

    /// A server asks. What its client has not declared it is told at once.
    fn ask(&mut self, call: usize, id: u8, kind: usize) -> Fine {
        self.serial += 1;
        let (serial, now) = (self.serial, self.now);
        let Some(own) = self.calls.get_mut(call).filter(|it| !it.is_kept) else { return Ok(()) };
        let (method, params, needs) = QUESTIONS[kind];
        let mut params: Value = serde_json::from_str(params).unwrap();
        params["of"] = json!(call);
        params["serial"] = json!(serial);
        let params = params.to_string();
        let asked = own.askable.question(method, Some(raw(params.as_bytes())));
        let is_declared = match needs {
            "form" => own.askable.form,
            "url" => own.askable.url,
            "sampling" => own.askable.sampling,
            "tools" => own.askable.sampling && own.askable.tools,
            _ => false,
        };
        prop_assert_eq!(asked.is_ok(), is_declared, "{} {:?}", params, own.askable);
        let Ok(asked) = asked else { return Ok(()) };
        let id = own_id(id);
        let before = own.open.len();
        match own.parked.ask(id.clone(), asked, now) {
            Ok(()) => {
                prop_assert!(!own.is_over && before < LIMITS.questions);
                prop_assert!(own.open.insert(id, method).is_none(), "two of one id wait");
            }
            Err(NotAsked::Twice) => prop_assert!(own.open.contains_key(&id)),
            Err(NotAsked::Ended) => prop_assert!(own.is_over),
            Err(NotAsked::TooMany) => prop_assert!(!own.is_over),
        }
        Ok(())
    }

    fn come_back(
        &mut self,
        (who, what): (usize, usize),
        state: usize,
        change: Change,
        answers: &[(u8, bool)],
    ) -> Fine {
        let Some(index) = state.checked_rem(self.given.len()) else { return Ok(()) };
        let given = &self.given[index];
        let own = &self.calls[given.call];
        let (who, what) = if who == usize::MAX { (own.who, own.what) } else { (who, what) };
        let text = change.of(&given.text);
        let is_own = (who, what) == (own.who, own.what) && text == given.text;
        let opened = self.states.open(&text, &bound(who, what), self.now_ms());
        let state = match opened {
            Ok(state) => state,
            Err(Misfit::Foreign) => {
                prop_assert!(!is_own, "a state is good for its own request");
                return Ok(());
            }
            Err(Misfit::Expired) => {
                prop_assert!(is_own && given.until_ms <= self.now_ms());
                return Ok(());
            }
        };
        prop_assert!(
            is_own,
            "a state is good for no other request: {:?} {:?}",
            (who, what),
            change
        );
        prop_assert_eq!((state.call, state.round), (given.call.to_string(), given.round));
        let number = given.call;
        let call = &mut self.calls[number];
        // Some answers are none.
        let is_answer = |(_, fits): &(u8, bool)| *fits;
        let has = |key: &str| answers.iter().any(|it| is_answer(it) && key == format!("q{}", it.0));
        let was_waiting = call.waits;
        let is_latest = given.round == call.round;
        match call.parked.retry(given.round, has, self.now) {
            Retry::Go(answered) => {
                prop_assert!(
                    !was_waiting && !call.is_over && is_latest,
                    "a round is answered once"
                );
                call.waits = true;
                call.begun += 1;
                for question in answered {
                    prop_assert!(has(&question.key));
                    let answer =
                        format!(r#"{{"action":"accept","resultType":"complete","by":{who}}}"#);
                    let told = legacy_answer(raw(answer.as_bytes())).unwrap();
                    prop_assert_eq!(told, format!(r#"{{"action":"accept","by":{who}}}"#));
                    let method = call.open.remove(&question.id);
                    prop_assert_eq!(method, Some(question.asked.method), "answered once");
                    belongs(number, &question.asked.params)?;
                }
                if call.is_kept {
                    call.end()?;
                }
            }
            Retry::Again(round) => {
                prop_assert!(!call.is_over && !was_waiting && is_latest);
                put(number, &round)?;
            }
            Retry::Stale => prop_assert!(!call.is_over),
            Retry::Ended => prop_assert!(call.is_over),
        }
        Ok(())
    }

    /// What time has brought to every call.
    fn tick(&mut self) -> Fine {
        let (now, now_ms) = (self.now, self.now_ms());
        for (number, call) in self.calls.iter_mut().enumerate() {
            match call.parked.due(now) {
                Some(Due::Ask(round)) => {
                    prop_assert!(call.waits, "somebody is there to be asked");
                    put(number, &round)?;
                    call.waits = false;
                    call.ended += 1;
                    prop_assert!(call.round < round.number, "a round of its own");
                    call.round = round.number;
                    let until_ms = now_ms + i64::try_from(LIMITS.patience.as_millis()).unwrap();
                    let text = self.states.seal(&State {
                        kind: Kind::Parked,
                        node: "n".to_owned(),
                        call: number.to_string(),
                        bound: bound(call.who, call.what),
                        round: round.number,
                        issued_ms: now_ms,
                        expires_ms: until_ms,
                    });
                    self.given.push(Given { text, call: number, round: round.number, until_ms });
                }
                Some(Due::Expired) => call.end()?,
                None => {}
            }
        }
        Ok(())
    }

    /// What holds at every moment.
    fn look(&self) -> Fine {
        let mut texts = BTreeSet::new();
        prop_assert!(self.given.iter().all(|it| texts.insert(&it.text)), "no two are alike");
        for call in &self.calls {
            prop_assert_eq!(call.waits, call.parked.is_awaited());
            prop_assert_eq!(call.begun, call.ended + u32::from(call.waits), "one wait, or none");
            prop_assert_eq!(call.parked.has_open(), !call.open.is_empty());
            prop_assert!(call.open.len() <= LIMITS.questions && call.ended <= LIMITS.rounds + 1);
            prop_assert_eq!(call.is_over, call.parked.deadline().is_none());
        }
        Ok(())
    }
}

impl Call {
    /// It ends, for whatever reason: its server's questions are answered with errors.
    fn end(&mut self) -> Fine {
        prop_assert!(!self.is_over, "a call ends once");
        for question in self.parked.end() {
            prop_assert!(self.open.remove(&question.id).is_some(), "answered once");
        }
        prop_assert!(self.open.is_empty(), "a question is left without an answer");
        self.ended += u32::from(std::mem::take(&mut self.waits));
        self.is_over = true;
        Ok(())
    }
}

impl Change {
    fn of(self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        match self {
            Self::None => {}
            Self::Character(at) => {
                let at = at % bytes.len();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            }
            Self::Cut(at) => bytes.truncate(at % bytes.len()),
        }
        String::from_utf8(bytes).unwrap()
    }
}

/// Every question of a round is of its call.
fn put(call: usize, round: &Round) -> Fine {
    prop_assert!(!round.questions.is_empty(), "a round asks something");
    let keys: BTreeSet<_> = round.questions.iter().map(|it| &it.key).collect();
    prop_assert_eq!(keys.len(), round.questions.len());
    round.questions.iter().try_for_each(|it| belongs(call, &it.asked.params))
}

fn belongs(call: usize, params: &[u8]) -> Fine {
    let params: Value = serde_json::from_slice(params).unwrap();
    prop_assert_eq!(&params["of"], &json!(call), "a question of another call");
    Ok(())
}

/// The same in every call, since servers count from one.
fn own_id(id: u8) -> Bytes {
    if id == 3 { Bytes::from_static(b"\"1\"") } else { id.to_string().into() }
}
