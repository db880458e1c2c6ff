//! Legacy clients of modern servers: the server ends its call with what it wants to know, the client
//! is asked meanwhile, and the server is called again.

use std::time::Duration;

use bytes::Bytes;
use mcp::bridge::{Due, RoundLimits, Rounds, is_asking};
use mcp::json::{Limits, Raw};
use mcp::splice::Splice;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::raw;

const LIMITS: RoundLimits = RoundLimits {
    rounds: 3,
    questions: 3,
    key_bytes: 12,
    state_bytes: 40,
    answers_bytes: 120,
    patience: Duration::from_secs(600),
    pause: Duration::from_millis(250),
};

/// What a server answers to one attempt.
#[derive(Clone, Debug)]
enum Answer {
    Complete,
    Asking {
        keys: Vec<String>,
        state: Option<String>,
    },
    /// What no honest server says.
    Odd {
        requests: Value,
        state: Value,
    },
}

/// What happens while the client is asked.
#[derive(Clone, Debug)]
enum Event {
    Give {
        index: usize,
        length: usize,
    },
    Pass {
        ms: u64,
    },
    /// The client cancels, or is gone.
    Leave,
}

fn answer() -> impl Strategy<Value = Answer> {
    let odd = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({"k": 1})),
        Just(json!({"k": {"method": "ping"}})),
        Just(json!({"k": {"method": "elicitation/create"}})),
        Just(json!("s")),
        Just(json!(7)),
    ];
    prop_oneof![
        2 => Just(Answer::Complete),
        6 => (
            prop::collection::btree_set("[a-zé\"\\\\]{1,5}", 0..4),
            prop::option::of("[ -~]{0,20}"),
        ).prop_map(|(keys, state)| Answer::Asking { keys: keys.into_iter().collect(), state }),
        1 => (odd.clone(), odd).prop_map(|(requests, state)| Answer::Odd { requests, state }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => (0..4_usize, 0..60_usize).prop_map(|(index, length)| Event::Give { index, length }),
        3 => (0..900_u64).prop_map(|ms| Event::Pass { ms }),
        1 => Just(Event::Pass { ms: 400_000 }),
        1 => Just(Event::Leave),
    ]
}

proptest! {
    #[test]
    fn a_server_is_called_again_once_for_each_whole_round_and_with_nothing_of_another(
        answers in prop::collection::vec(answer(), 1..8),
        events in prop::collection::vec(event(), 0..60),
        client_sends_round in any::<bool>(),
    ) {
        let mut events = events.into_iter();
        let mut now = Duration::ZERO;
        // What the client has written there itself it cannot mean.
        let mut first = json!({"name": "t", "arguments": {"n": 1}});
        if client_sends_round {
            first["inputResponses"] = json!({"forged": {}});
            first["requestState"] = json!("forged");
        }
        let params = Bytes::from(first.to_string());
        let mut rounds = Rounds::new(LIMITS);
        let (mut attempts, mut ends) = (1, 0);
        for answer in answers {
            let result = answer.text();
            if !is_asking(raw(result.as_bytes())) {
                ends += 1;
                break;
            }
            let Ok(mut round) = rounds.open(raw(result.as_bytes()), now) else {
                // It has asked too much, too often, or nothing that makes sense.
                ends += 1;
                break;
            };
            let Answer::Asking { keys, state } = &answer else {
                return Err(TestCaseError::fail("a round of nothing that can be asked"));
            };
            let asked: Vec<_> = round.questions().iter().map(|it| it.key.clone()).collect();
            prop_assert_eq!(&asked, &in_order(keys));
            prop_assert!(keys.len() <= LIMITS.questions);
            let mut given: Map<String, Value> = Map::new();
            let mut bytes = 0;
            let is_whole = loop {
                match round.due(now) {
                    Due::Attempt => break true,
                    Due::Late => break false,
                    Due::Answers(left) => prop_assert!(!left.is_zero() && given.len() < keys.len()),
                    Due::Pause(left) => prop_assert!(!left.is_zero() && keys.is_empty()),
                }
                match events.next() {
                    Some(Event::Give { index, length }) => {
                        let text = json!({"attempt": attempts, "a": "x".repeat(length)});
                        let answer = Bytes::from(text.to_string());
                        let is_first = asked.get(index).is_some_and(|it| !given.contains_key(it));
                        let fits = is_first && bytes + answer.len() <= LIMITS.answers_bytes;
                        prop_assert_eq!(round.answer(index, answer.clone()), fits);
                        if fits {
                            bytes += answer.len();
                            given.insert(asked[index].clone(), text);
                        }
                    }
                    Some(Event::Pass { ms }) => now += Duration::from_millis(ms),
                    Some(Event::Leave) => break false,
                    // Nothing happens any more but that time passes.
                    None => now += Duration::from_secs(100),
                }
            };
            if !is_whole {
                ends += 1;
                break;
            }
            attempts += 1;
            let mut expected = json!({"name": "t", "arguments": {"n": 1}});
            if !keys.is_empty() {
                prop_assert_eq!(given.len(), keys.len(), "no attempt before all is answered");
                expected["inputResponses"] = Value::Object(given);
            }
            if let Some(state) = state {
                expected["requestState"] = json!(state);
            }
            let mut splice = Splice::new(params.clone());
            round.write(&mut splice, Raw::parse(&params, Limits::default()).unwrap());
            let written = splice.finish().into_bytes();
            let written: Value = serde_json::from_slice(&written).unwrap();
            prop_assert_eq!(written, expected);
        }
        prop_assert!(attempts <= 1 + LIMITS.rounds, "it ends however often it is asked");
        prop_assert!(ends <= 1, "a call ends once");
    }
}

impl Answer {
    fn text(&self) -> String {
        let form = json!({"method": "elicitation/create", "params": {"message": "?"}});
        let mut result = json!({"resultType": "input_required"});
        match self {
            Self::Complete => result["resultType"] = json!("complete"),
            Self::Asking { keys, state } => {
                let requests = keys.iter().map(|it| (it.clone(), form.clone())).collect();
                result["inputRequests"] = Value::Object(requests);
                if let Some(state) = state {
                    result["requestState"] = json!(state);
                }
            }
            Self::Odd { requests, state } => {
                result["inputRequests"] = requests.clone();
                result["requestState"] = state.clone();
            }
        }
        result.to_string()
    }
}

/// As they stand in the text.
fn in_order(keys: &[String]) -> Vec<String> {
    let requests: Map<String, Value> = keys.iter().map(|it| (it.clone(), Value::Null)).collect();
    requests.into_iter().map(|(key, _)| key).collect()
}
